//! What `nodeward status` and `/api/v1/state` show.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::told::Reload;
use crate::check::Change;
use crate::heal::runner::{NodeState, Summary};
use crate::journal::Counts;
use crate::serve::api::shown::{Chain, Config, Down, Failing, Kept, State};

/// The state of the running process.
#[derive(Debug)]
pub struct Status {
    started: Instant,
    reload: Arc<Reload>,
    now: Mutex<Now>,
}

/// What the last config brought.
#[derive(Debug, Default)]
struct Now {
    name: String,
    said: Vec<String>,
    urls: Vec<String>,
    files: Vec<PathBuf>,
}

impl Status {
    /// Of a process that starts now.
    #[must_use]
    pub fn new(reload: Arc<Reload>) -> Self {
        Self {
            started: Instant::now(),
            reload,
            now: Mutex::default(),
        }
    }

    /// Takes note of what the node is called, what is served, where HTTP is asked, and from which files the config came.
    pub fn tell(&self, name: &str, said: Vec<String>, urls: Vec<String>, files: Vec<PathBuf>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Now {
            name: name.to_owned(),
            said,
            urls,
            files,
        };
    }

    /// The state as JSON: how the node is, and what there is to see of healing and of its journal, if it is on.
    #[must_use]
    pub fn json(
        &self,
        node: NodeState,
        healing: Option<&Summary>,
        journal: Option<&Counts>,
        down: &[Change],
    ) -> serde_json::Value {
        let last = self.reload.last();
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let state = State {
            version: env!("CARGO_PKG_VERSION"),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            node: now.name.clone(),
            state: node,
            serving: now.said.clone(),
            http: now.urls.clone(),
            config: Config {
                files: now.files.clone(),
                fingerprint: format!("{:016x}", last.fingerprint),
                last_reload_successful: last.successful,
                last_reload_success_timestamp_seconds: seconds(last.succeeded_at),
            },
            checks_down: down.iter().map(failed).collect(),
            healing: healing.map(|healing| json!(healing)),
            journal: journal.map(kept),
        };
        json!(state)
    }
}

/// A check whose alert stands, for people.
fn failed(change: &Change) -> Down {
    Down {
        check: change.name.to_string(),
        critical: change.critical,
        since: change.since.to_string(),
        why: change.why.to_string(),
    }
}

/// The journal, for people.
fn kept(counts: &Counts) -> Kept {
    let failing = counts.failing.as_ref();
    Kept {
        records: counts.kept,
        size_bytes: counts.size,
        failing: failing.map(|failing| Failing {
            since: failing.since.to_string(),
            why: failing.why.to_string(),
        }),
        chain: counts.proven.as_ref().map(|proven| Chain {
            verified: proven.at.to_string(),
            broken: proven.broken.as_deref().map(str::to_owned),
        }),
    }
}
