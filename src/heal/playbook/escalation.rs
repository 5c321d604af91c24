//! Who is told of what could not be healed, and how they are reminded until one of them acknowledges it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, Names, Playbook, unknown};
use crate::heal::plan;
use crate::model::duration::Period;

/// The shortest time between two reminders, and the longest.
const EVERY: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(24 * 60 * 60));
/// The most reminders of one escalation.
const TIMES: u32 = 100;

/// What holds for playbooks that do not say it themselves (`escalation:`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Escalation {
    /// The notifiers that playbooks without an `escalate` of their own tell. Default: none.
    pub to: Vec<String>,
    /// How people are reminded of what playbooks without a `remind` of their own escalated. Default: not at all.
    pub remind: Option<Remind>,
}

/// How people are told again of an escalation that nobody has acknowledged and that has not recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remind {
    /// How long after the escalation, and after each reminder; `1m` to `24h`.
    pub every: Period,
    /// How many reminders at most; 0 to 100. With 0 nobody is reminded.
    #[serde(default = "ten")]
    pub times: u32,
}

const fn ten() -> u32 {
    10
}

impl Remind {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let (least, most) = EVERY;
        if self.every.get() < least || self.every.get() > most {
            faults.push(("every", "must be from 1m to 24h".into()));
        }
        if self.times > TIMES {
            faults.push(("times", format!("must be from 0 to {TIMES}")));
        }
        faults
    }

    /// The same for the incident machine.
    pub(super) const fn plan(&self) -> plan::Remind {
        plan::Remind {
            every: self.every.get(),
            times: self.times,
        }
    }
}

/// What is wrong with both keys, below what holds them.
pub(super) fn faults(
    key: &str,
    to: &[String],
    remind: Option<&Remind>,
    names: &Names<'_>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for name in to {
        if !names.notifiers.contains(&name.as_str()) {
            let why = unknown("notifier", name, &names.notifiers);
            faults.push((vec![key.to_owned()], why));
        }
    }
    for (key, why) in remind.map(Remind::faults).unwrap_or_default() {
        faults.push((vec!["remind".to_owned(), key.to_owned()], why));
    }
    faults
}

impl Escalation {
    /// What is wrong with it: what its types do not show.
    #[must_use]
    pub fn faults(&self, names: &Names<'_>) -> Vec<Fault> {
        faults("to", &self.to, self.remind.as_ref(), names)
    }
}

impl Playbook {
    /// The same, with what it does not say itself taken from there.
    #[must_use]
    pub fn with(mut self, default: &Escalation) -> Self {
        self.escalate.get_or_insert_with(|| default.to.clone());
        self.remind = self.remind.or(default.remind);
        self
    }
}
