//! What the incident machine knows of a playbook: numbers and words, nothing that reaches into the world.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::incident::Incident;
use crate::action::Strength;

/// How far a playbook may go.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Alerts are recorded, nothing is decided.
    Off,
    /// Everything is decided and recorded, nothing is touched.
    #[default]
    Observe,
    /// Acts once a person has approved the very action.
    Approve,
    /// Acts.
    Auto,
}

impl Mode {
    /// The word in the config.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Approve => "approve",
            Self::Auto => "auto",
        }
    }
}

/// So many within so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Count {
    /// How many.
    pub most: u32,
    /// Within this time.
    pub within: Duration,
}

/// The lines that the guards hold; none: that guard is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time between two attempts on a target; doubled with each attempt of an incident, up to an hour.
    pub cooldown: Duration,
    /// Attempts on a target, and by a playbook.
    pub budget: Option<Count>,
    /// Heals of a target after which it counts as flapping.
    pub flap: Option<Count>,
    /// Age over which a firing alert is stale.
    pub max_age: Duration,
    /// How long after its end an incident takes in new episodes.
    pub quiet: Duration,
    /// How long an incident may wait for its guards.
    pub max_wait: Duration,
    /// Incidents opened on the node that make a storm.
    pub storm: Option<Count>,
    /// Attempts of all playbooks together on this node.
    pub rate: Option<Count>,
}

impl Default for Limits {
    fn default() -> Self {
        let count = |most, secs| {
            Some(Count {
                most,
                within: Duration::from_secs(secs),
            })
        };
        Self {
            cooldown: Duration::from_secs(120),
            budget: count(3, 3600),
            flap: count(3, 3600),
            max_age: Duration::from_secs(3600),
            quiet: Duration::from_secs(600),
            max_wait: Duration::from_secs(1800),
            storm: count(20, 60),
            rate: count(10, 60),
        }
    }
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// How long its action may take.
    pub timeout: Duration,
    /// What a crash leaves to be known.
    pub strength: Strength,
    /// Whether a person must approve it, whatever the playbook's mode.
    pub approve: bool,
    /// Whether the ladder ends here if it did not help.
    pub last: bool,
    /// The pool that this rung has the node leave, in place of an action.
    pub isolates: Option<String>,
}

/// How it is proven that an action helped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Passes in a row that are wanted.
    pub pass: u32,
    /// Time between two rounds.
    pub every: Duration,
    /// How long it may take.
    pub deadline: Duration,
    /// Whether probation goes on until no alert of it fires any more.
    pub resolved: bool,
}

/// A playbook as the machine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How far it may go.
    pub mode: Mode,
    /// How long a problem may heal by itself first.
    pub settle: Duration,
    /// The guards' lines.
    pub limits: Limits,
    /// The pool that the node leaves before the first rung.
    pub isolate: Option<String>,
    /// The ladder; at least one rung.
    pub rungs: Vec<Rung>,
    /// The proof.
    pub verify: Proof,
    /// How long it must stay well afterwards; doubled with each relapse, up to an hour.
    pub probation: Duration,
    /// How people are reminded of an escalation; none: not at all.
    pub remind: Option<Remind>,
}

/// Reminders of an escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remind {
    /// Time before the first, and between two.
    pub every: Duration,
    /// How many at most.
    pub times: u32,
}

impl Plan {
    /// Probation after so many relapses.
    #[must_use]
    pub fn probation_after(&self, relapses: u32) -> Duration {
        doubled(self.probation, relapses).max(self.probation)
    }

    /// The pool that the node is to leave before anything else is done for an incident.
    #[must_use]
    pub fn leaves(&self, incident: &Incident) -> Option<Leave<'_>> {
        let before = self.isolate.as_deref();
        if let Some(pool) = before.filter(|pool| !incident.pools.contains_key(*pool)) {
            return Some(Leave { pool, rung: false });
        }
        let pool = self.rungs.get(incident.rung)?.isolates.as_deref()?;
        Some(Leave { pool, rung: true })
    }
}

/// A pool to be left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave<'a> {
    /// Which.
    pub pool: &'a str,
    /// It is the rung itself; else it comes before the ladder.
    pub rung: bool,
}

/// The longest wait that doubling leads to.
const LONGEST: Duration = Duration::from_secs(3600);

/// `base` doubled so many times, up to an hour.
#[must_use]
pub fn doubled(base: Duration, times: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(times.min(31)))
        .min(LONGEST)
}
