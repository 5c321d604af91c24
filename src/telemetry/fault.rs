//! Points at which a test lets the process die.
//!
//! They are there only with the cargo feature `faults`, which no release has: without it a point is nothing at all.

/// Kills this process by SIGKILL if `NODEWARD_FAULT` names this point: `journal.before_commit`, or
/// `journal.before_commit:3` for the third time that it is passed.
#[cfg(feature = "faults")]
pub fn fault(name: &'static str) {
    use std::collections::BTreeMap;
    use std::sync::{Mutex, PoisonError};

    static PASSED: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

    let Ok(wanted) = std::env::var("NODEWARD_FAULT") else {
        return;
    };
    let (point, time) = match wanted.rsplit_once(':') {
        Some((point, time)) => (point, time.parse().unwrap_or(1)),
        None => (wanted.as_str(), 1),
    };
    if point != name {
        return;
    }
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = passed.entry(name).or_default();
    *count += 1;
    if *count == time {
        // As the kernel would: nothing is flushed, nothing is cleaned up.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
            .unwrap_or_else(|_| std::process::abort());
    }
}

/// Nothing: this build has no faults.
#[cfg(not(feature = "faults"))]
#[inline]
pub const fn fault(_name: &'static str) {}
