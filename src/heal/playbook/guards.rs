//! The lines of the guards, as people write them: `2m`, `3/1h`, `off`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::heal::history;
use crate::heal::plan::{Count, Limits};
use crate::model::duration::Period;

/// When not to act. Each can be `off`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guards {
    /// Time between two attempts on a target; doubled with each attempt of an incident, up to 1h.
    pub cooldown: Wait,
    /// So many attempts within so long, on a target and by this playbook.
    pub budget: Times,
    /// So many heals of a target within so long, and people are told instead.
    pub flap: Times,
    /// An alert that fires for longer is not acted upon.
    pub max_age: Wait,
    /// A new alert so soon after the end joins the old incident.
    pub quiet: Wait,
    /// An incident that waits for longer is escalated; from 1s to 1d.
    pub max_wait: Period,
    /// More incidents than that on this node are a storm: nothing is done until it is over.
    pub storm: Times,
    /// Attempts of all playbooks together on this node.
    pub rate: Times,
}

impl Default for Guards {
    fn default() -> Self {
        let limits = Limits::default();
        let wait = |span: Duration| Wait(Period::secs(span.as_secs()));
        Self {
            cooldown: wait(limits.cooldown),
            budget: Times(limits.budget),
            flap: Times(limits.flap),
            max_age: wait(limits.max_age),
            quiet: wait(limits.quiet),
            max_wait: Period::secs(limits.max_wait.as_secs()),
            storm: Times(limits.storm),
            rate: Times(limits.rate),
        }
    }
}

impl Guards {
    /// The same for the incident machine.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let (least, most) = (Duration::from_secs(1), history::LONGEST);
        Limits {
            cooldown: self.cooldown.0.get(),
            budget: self.budget.0,
            flap: self.flap.0,
            max_age: self.max_age.0.get(),
            quiet: self.quiet.0.get(),
            max_wait: self.max_wait.get().clamp(least, most),
            storm: self.storm.0,
            rate: self.rate.0,
        }
    }
}

/// A time, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait(pub Period);

/// A count within a time, such as `3/1h`, or `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times(pub Option<Count>);

const OFF: &str = "off";

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.get().is_zero() {
            return f.write_str(OFF);
        }
        self.0.fmt(f)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(OFF),
            Some(count) => {
                let within = Period::secs(count.within.as_secs());
                write!(f, "{}/{within}", count.most)
            }
        }
    }
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == OFF {
            return Ok(Self(Period::secs(0)));
        }
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == OFF {
            return Ok(Self(None));
        }
        let wrong = || {
            de::Error::custom(format_args!(
                "{text:?} is neither off nor a count within a time, such as 3/1h (at most 1000/24h)"
            ))
        };
        let (most, within) = text.split_once('/').ok_or_else(wrong)?;
        let most = most.parse().map_err(|_| wrong())?;
        let within: Period = within.parse().map_err(de::Error::custom)?;
        let within = within.get();
        if most == 0 || most > 1000 || within > history::LONGEST || within < Duration::from_secs(1)
        {
            return Err(wrong());
        }
        Ok(Self(Some(Count { most, within })))
    }
}

impl JsonSchema for Wait {
    fn schema_name() -> Cow<'static, str> {
        "Wait".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "x-nodeward-type": "duration or off" })
    }
}

impl JsonSchema for Times {
    fn schema_name() -> Cow<'static, str> {
        "Times".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^(off|[0-9]+/.+)$", "x-nodeward-type": "count or off" })
    }
}
