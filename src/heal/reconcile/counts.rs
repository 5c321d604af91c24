//! How the comparisons went.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::moment::Timestamp;

/// Counts by hook; they outlive a reload.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, Count>>);

/// Counts of one hook since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Looks that told which alerts there are.
    pub looks: u64,
    /// Looks that told nothing.
    pub failures: u64,
    /// Alerts that were over although nobody had said so.
    pub over: u64,
    /// When Alertmanager last answered.
    pub last: Option<Timestamp>,
}

impl Counts {
    fn inner(&self) -> MutexGuard<'_, BTreeMap<String, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn looked(&self, hook: &str, now: Timestamp) {
        let mut inner = self.inner();
        let count = inner.entry(hook.to_owned()).or_default();
        count.looks += 1;
        count.last = Some(now);
    }

    pub(super) fn failed(&self, hook: &str) {
        let mut inner = self.inner();
        inner.entry(hook.to_owned()).or_default().failures += 1;
    }

    pub(super) fn over(&self, hook: &str, count: u64) {
        let mut inner = self.inner();
        inner.entry(hook.to_owned()).or_default().over += count;
    }

    /// All of them, by hook.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Count)> {
        let inner = self.inner();
        inner
            .iter()
            .map(|(hook, count)| (hook.clone(), *count))
            .collect()
    }
}
