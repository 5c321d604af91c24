//! What `nodeward status` shows.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::told::Reload;
use crate::heal::runner::Summary;

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

    /// Takes note of what is served, where HTTP is asked, and from which files the config came.
    pub fn tell(&self, said: Vec<String>, urls: Vec<String>, files: Vec<PathBuf>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Now { said, urls, files };
    }

    /// The state as JSON, with what there is to see of healing, if it is on.
    #[must_use]
    pub fn json(&self, healing: Option<&Summary>) -> serde_json::Value {
        let last = self.reload.last();
        let Now { said, urls, files } = &*self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "serving": said,
            "http": urls,
            "config": {
                "files": files,
                "fingerprint": format!("{:016x}", last.fingerprint),
                "last_reload_successful": last.successful,
                "last_reload_success_timestamp_seconds": seconds(last.succeeded_at),
            },
            "healing": healing,
        })
    }
}
