//! Checks: local probes of services, run on a schedule, and what became of them.
//!
//! Owns the kinds of probes (one room each), the schedule, the state of each check and its series. It heals nothing and
//! decides nothing: who listens to [`Checks::changes`] does. A probe changes nothing in the world that lasts and never follows a
//! redirect. What subjects read it reads through them, so that ten checks cost one reading.
//!
//! ```text
//!  options ─> Plan ─> Checks: one task ── due ──> probe (≤ timeout) ──> Track: rise, fall, for ──> Change
//!              └────> probe(name): now, beside the schedule, without a trace in the state
//! ```
//!
//! Adding a kind is one room and one line in [`list`]: the config key, its documentation and the schema follow.

mod certificate;
mod change;
pub mod command;
pub mod container;
pub mod directory;
pub mod file;
pub mod http;
mod list;
mod options;
mod plan;
pub mod process;
pub mod reading;
mod run;
mod schedule;
pub mod tcp;
mod told;
mod track;
pub mod unit;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::net::resolve::Resolver;
use crate::peer::container::Engine;
use crate::subject::Sampler;

pub use change::{Change, SOURCE};
pub use list::{KINDS, Probe};
pub use options::{Check, Invalid, Options, faults};
pub use plan::{Plan, Probed};
pub use run::Checks;
pub use told::{FAMILIES, INSTRUMENTS, KEYS};
pub use track::{Health, Last, State};

/// What probes reach the world through.
#[derive(Clone)]
pub struct World {
    /// Reads the machine.
    pub sampler: Arc<Sampler>,
    /// Looks up names.
    pub resolver: Resolver,
    /// Asks the container engine.
    pub container: Arc<Engine>,
}

/// The options of one kind of probe.
pub trait Kind: Send + Sync {
    /// What is wrong with them that their types do not show; the key each is about (empty: all of them; `a.b`: b within
    /// a), and why.
    fn faults(&self) -> Vec<(&'static str, String)>;
    /// What probes. Opens nothing; `timeout` is the check's own.
    ///
    /// # Errors
    /// What cannot work in this world, in words that name the setting to change.
    fn prober(&self, timeout: Duration, world: &World) -> Result<Box<dyn Prober>, String>;
    /// The TCP port that it asks at, if it asks at one.
    fn port(&self) -> Option<u16> {
        None
    }
}

/// Probes one thing. Never blocks the runtime thread; it may be dropped at any await once its deadline has passed.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Probes once.
    async fn probe(&self, ask: Ask) -> Outcome;
}

/// How a probe is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// When it has failed for being late.
    pub deadline: Instant,
    /// How old a reading of the machine may be; zero means anew, and on a connection of its own.
    pub age: Duration,
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Whether all is well.
    pub ok: bool,
    /// What was seen, or what is wrong; one line for people.
    pub why: String,
    /// What was seen, for programs; an object.
    pub facts: serde_json::Value,
    /// Nothing was seen that would tell: a failure of the check all the same, but no proof that what it looks at is ill.
    pub blind: bool,
    /// When the first of the certificates ends that were seen, in seconds of the epoch.
    pub certificate_end: Option<u64>,
}

impl Outcome {
    /// All is well.
    #[must_use]
    pub fn passed(why: impl Into<String>, facts: serde_json::Value) -> Self {
        let why = why.into();
        Self {
            ok: true,
            why,
            facts,
            blind: false,
            certificate_end: None,
        }
    }

    /// Something is wrong.
    #[must_use]
    pub fn failed(why: impl Into<String>, facts: serde_json::Value) -> Self {
        let why = why.into();
        Self {
            ok: false,
            why,
            facts,
            blind: false,
            certificate_end: None,
        }
    }

    /// What is probed did not answer, or not in time.
    #[must_use]
    pub fn silent(why: impl Into<String>) -> Self {
        Self::failed(why, serde_json::Value::Object(serde_json::Map::new()))
    }

    /// Who was to look did not do so in time.
    #[must_use]
    pub fn late(what: impl std::fmt::Display) -> Self {
        Self::blind(format!("timed out: {what}"))
    }

    /// There is nothing to judge by, which is a failure too.
    #[must_use]
    pub fn blind(why: impl Into<String>) -> Self {
        Self {
            blind: true,
            ..Self::silent(why)
        }
    }
}
