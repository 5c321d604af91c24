//! One notifier in the config.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{To, Which};
use crate::model::duration::Period;
use crate::model::name::{LONGEST, is_name};
use crate::model::severity::Severity;

/// The section `notify`: each by its name.
pub type Options = BTreeMap<String, Notifier>;

/// The shortest time for which delivery is tried.
const SHORTEST: Period = Period::secs(60);

/// One notifier, by its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notifier {
    /// Who is told: exactly one kind.
    pub to: To,
    /// What is milder than this is not sent there: `debug`, `info`, `warning` or `critical`.
    #[serde(default)]
    pub min_severity: Severity,
    /// Which records of the journal are told there too, each once, in their order: a list of their kinds, or `[all]`. Default: none, and only
    /// notices that a playbook's `escalate` sends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<Which>,
    /// For how long delivery is tried. What is older then is dropped, which is recorded in the journal and counted; at
    /// least 1m.
    #[serde(default = "keep")]
    pub keep: Period,
}

const fn keep() -> Period {
    Period::secs(7 * 24 * 60 * 60)
}

/// A notifier that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its name.
    pub notifier: String,
    /// The key that is wrong, from the notifier on; empty for its name.
    pub keys: Vec<&'static str>,
    /// Why.
    pub why: String,
}

/// Everything that is wrong with the notifiers and that their types do not show.
#[must_use]
pub fn faults(options: &Options) -> Vec<Invalid> {
    let each = options.iter().map(|(name, notifier)| notifier.faults(name));
    each.flatten().collect()
}

impl Notifier {
    fn faults(&self, name: &str) -> Vec<Invalid> {
        let mut faults = Vec::new();
        let mut fault = |keys: &[&'static str], why: String| {
            faults.push(Invalid {
                notifier: name.to_owned(),
                keys: keys.to_vec(),
                why,
            });
        };
        if !is_name(name) {
            let why = format!(
                "the name of a notifier has up to {LONGEST} letters, digits, dots, dashes and underscores"
            );
            fault(&[], why);
        }
        if self.keep < SHORTEST {
            fault(&["keep"], format!("must be at least {SHORTEST}"));
        }
        if !self.records.is_empty() && !self.to.options().takes_records() {
            let why = format!(
                "{} is for people: send records to a syslog or a webhook",
                self.to.kind()
            );
            fault(&["records"], why);
        }
        for (key, why) in self.to.options().faults() {
            let below = key.split('.').filter(|key| !key.is_empty());
            let keys: Vec<_> = ["to", self.to.kind()].into_iter().chain(below).collect();
            fault(&keys, why);
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notifier(text: &str) -> Notifier {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_said_of_debug_is_not_told_unless_it_is_asked_for() {
        let some = notifier(r#"{"to": {"syslog": {"address": "local"}}}"#);
        assert_eq!(some.min_severity, Severity::Info);
        let all = notifier(r#"{"to": {"syslog": {"address": "local"}}, "min_severity": "debug"}"#);
        assert_eq!(all.min_severity, Severity::Debug);
    }

    #[test]
    fn faults_name_the_key_they_are_about() {
        let one = notifier(
            r#"{"to": {"syslog": {"address": "tls://siem", "facility": 13}}, "keep": "1s"}"#,
        );
        let options = Options::from([("a b".to_owned(), one)]);
        let faults = faults(&options);
        let keys: Vec<_> = faults.iter().map(|fault| fault.keys.join(".")).collect();
        assert_eq!(keys, ["", "keep", "to.syslog.address"]);
        assert!(faults[2].why.contains("needs a port"), "{faults:?}");
    }
}
