//! What is seen and counted of a pool from outside its task.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::teller::Known;
use super::{Ledger, Traffic, View};
use crate::model::moment::Timestamp;

/// How this node stands in a pool.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// Where it is.
    pub traffic: Traffic,
    /// Since when.
    #[serde(serialize_with = "Timestamp::rfc3339")]
    pub since: Timestamp,
    /// Something holds it out, or lets it have a share only.
    pub held: bool,
    /// There may be something of nodeward's at the gates.
    pub busy: bool,
    /// Its gates.
    pub gates: Vec<GateStanding>,
    /// What became of the sessions it had; none where nobody counts them, or nothing holds it.
    pub ledger: Option<Ledger>,
    /// Sessions it has; none where nobody counts them.
    pub sessions: Option<u64>,
    /// Other servers of the pool that take traffic; none where no gate sees them, or none could.
    pub healthy_others: Option<u32>,
}

/// How a gate stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateStanding {
    /// Its name.
    pub name: String,
    /// Whether it could be told the last time.
    pub ok: bool,
    /// Somebody else has the node out there.
    pub foreign: bool,
    /// What is wrong, or what is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What is seen of a pool from outside its task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sight {
    /// The goal that it pursues.
    pub(super) goal: u64,
    pub(super) held: bool,
    pub(super) traffic: Traffic,
    pub(super) since: Timestamp,
    pub(super) out: bool,
    pub(super) busy: bool,
    /// Every gate took the present word, or knows what to say when asked.
    pub(super) told: bool,
    pub(super) known: Vec<Known>,
    pub(super) gates: Vec<GateStanding>,
    pub(super) ledger: Option<Ledger>,
    pub(super) sessions: Option<u64>,
    pub(super) view: Option<Result<View, String>>,
}

/// What happened to sessions and gates of a pool since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) finished: AtomicU64,
    pub(super) moved: AtomicU64,
    pub(super) cut: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    pub(super) fn error(&self, gate: &str) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        *errors.entry(gate.to_owned()).or_default() += 1;
    }

    pub(super) fn errors(&self, gate: &str) -> u64 {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.get(gate).copied().unwrap_or_default()
    }

    pub(super) fn ended(&self, ledger: &Ledger) {
        self.finished.fetch_add(ledger.finished, Ordering::Relaxed);
        self.moved.fetch_add(ledger.moved, Ordering::Relaxed);
        self.cut.fetch_add(ledger.cut, Ordering::Relaxed);
    }
}

impl Sight {
    pub(super) fn unseen() -> Self {
        Self {
            goal: 0,
            held: false,
            traffic: Traffic::In,
            since: Timestamp::now(),
            out: false,
            busy: false,
            told: false,
            known: Vec::new(),
            gates: Vec::new(),
            ledger: None,
            sessions: None,
            view: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_read_them() {
        let since = "2026-11-25T22:51:09.198Z";
        let standing = Standing {
            traffic: Traffic::Out,
            since: Timestamp::parse(since).unwrap(),
            held: true,
            busy: false,
            gates: Vec::new(),
            ledger: None,
            sessions: None,
            healthy_others: None,
        };
        assert_eq!(serde_json::to_value(standing).unwrap()["since"], since);
    }
}
