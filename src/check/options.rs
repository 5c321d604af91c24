//! One check in the config.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Probe;
use crate::model::alert::Labels;
use crate::model::duration::Period;
use crate::model::name::{LONGEST, is_name};

/// The section `checks`: each by its name.
pub type Options = BTreeMap<String, Check>;

/// The shortest time between two probes of one check.
const OFTEN: Duration = Duration::from_millis(10);

/// One check, by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// What is probed: exactly one kind.
    pub probe: Probe,
    /// Time from the start of one probe to the start of the next; at least 10ms.
    #[serde(default = "every")]
    pub every: Period,
    /// A probe that takes longer has failed.
    #[serde(default = "timeout")]
    pub timeout: Period,
    /// Probes in a row that must pass before the check is up.
    #[serde(default = "rise")]
    #[schemars(range(min = 1, max = 1000))]
    pub rise: u16,
    /// Probes in a row that must fail before the check is down.
    #[serde(default = "fall")]
    #[schemars(range(min = 1, max = 1000))]
    pub fall: u16,
    /// How long it must have been failing, counted from the first failed probe, before a check that is down raises an
    /// alert.
    #[serde(default, rename = "for")]
    pub hold: Period,
    /// Whether the node is unhealthy while the alert stands, and the alert critical; otherwise it is degraded, and the
    /// alert a warning.
    #[serde(default)]
    pub critical: bool,
    /// Labels of the alert beside `check`, for playbooks to match on; `alertname` (CheckFailed) and `severity` (critical or
    /// warning) may be given others.
    #[serde(default)]
    pub alert: Labels,
    /// What it is about, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

const fn every() -> Period {
    Period::secs(10)
}

const fn timeout() -> Period {
    Period::secs(3)
}

const fn rise() -> u16 {
    2
}

const fn fall() -> u16 {
    3
}

/// A check that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its name.
    pub check: String,
    /// The key that is wrong, from the check on; empty for its name.
    pub keys: Vec<&'static str>,
    /// Why.
    pub why: String,
}

/// Everything that is wrong with the checks and that their types do not show.
#[must_use]
pub fn faults(options: &Options) -> Vec<Invalid> {
    let each = options.iter().map(|(name, check)| check.faults(name));
    each.flatten().collect()
}

impl Check {
    fn faults(&self, name: &str) -> Vec<Invalid> {
        let mut faults = Vec::new();
        let mut fault = |keys: &[&'static str], why: String| {
            faults.push(Invalid {
                check: name.to_owned(),
                keys: keys.to_vec(),
                why,
            });
        };
        if !is_name(name) {
            let why = format!(
                "the name of a check has up to {LONGEST} letters, digits, dots, dashes and underscores"
            );
            fault(&[], why);
        }
        if self.every.get() < OFTEN {
            fault(&["every"], "must be at least 10ms".into());
        }
        if self.timeout.get().is_zero() {
            fault(&["timeout"], "must be longer than 0s".into());
        }
        for label in self.alert.keys() {
            let first = label.bytes().next().is_some_and(|b| !b.is_ascii_digit());
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            if label == "check" {
                fault(
                    &["alert"],
                    "the label check is the name of the check; choose another".into(),
                );
            } else if !first || !label.bytes().all(word) {
                let why = format!(
                    "{label:?} is no label: letters, digits and underscores, no digit first"
                );
                fault(&["alert"], why);
            }
        }
        for (key, why) in self.probe.options().faults() {
            let below = key.split('.').filter(|key| !key.is_empty());
            let keys: Vec<_> = ["probe", self.probe.kind()]
                .into_iter()
                .chain(below)
                .collect();
            fault(&keys, why);
        }
        faults
    }
}
