//! Requests counted by path and code.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How many requests were answered, by path and code. Paths are a closed set, since anybody can ask for any path.
#[derive(Debug, Default)]
pub struct Requests {
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
}

impl Requests {
    /// Counts one answer.
    pub fn count(&self, path: &'static str, code: u16) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((path, code)).or_default() += 1;
    }

    /// Path, code and count, sorted.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, u16, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((path, code), n)| (*path, *code, *n))
            .collect()
    }
}
