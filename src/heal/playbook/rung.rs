//! What is healed, and one step of how.

use serde::{Deserialize, Serialize};

use crate::action::{Do, Strength, Word};
use crate::model::duration::Period;

/// What is healed: a kind, and a name that is fixed or a label's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Whom {
    /// A systemd unit.
    Unit(Word),
    /// A container.
    Container(Word),
    /// Anything with a name.
    Service(Word),
    /// A pool of `pools`.
    Pool(Word),
    /// This machine.
    Node,
}

impl Whom {
    /// The kind of target.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unit(_) => "unit",
            Self::Container(_) => "container",
            Self::Service(_) => "service",
            Self::Pool(_) => "pool",
            Self::Node => "node",
        }
    }

    pub(super) const fn word(&self) -> Option<&Word> {
        match self {
            Self::Unit(word) | Self::Container(word) | Self::Service(word) | Self::Pool(word) => {
                Some(word)
            }
            Self::Node => None,
        }
    }
}

/// One rung of the ladder: exactly one of do and isolate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The action.
    #[serde(rename = "do", default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Do>,
    /// The pool that this node leaves: no attempt, but what is left to do where nothing else helps, or where it helps by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolate: Option<String>,
    /// How long it may take. Default: 1m.
    #[serde(default = "one_minute")]
    pub timeout: Period,
    /// Whether a person must approve it, whatever the mode. Default: false.
    #[serde(default)]
    pub approve: bool,
    /// What follows if it did not help: the next rung, or people. Default: next.
    #[serde(default)]
    pub on_fail: OnFail,
}

const fn one_minute() -> Period {
    Period::secs(60)
}

impl Step {
    /// What a crash leaves to be known of it. Leaving a pool twice is leaving it.
    #[must_use]
    pub fn strength(&self) -> Strength {
        let action = self.action.as_ref();
        action.map_or(Strength::Idempotent, Do::strength)
    }
}

/// What follows a rung that did not help.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnFail {
    /// The next rung, if there is one.
    #[default]
    Next,
    /// People are told.
    Stop,
}
