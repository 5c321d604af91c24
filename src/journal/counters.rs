//! What the journal counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::CommitError;
use crate::model::moment::Timestamp;

/// Upper bounds of how long a transaction took, in seconds.
pub const COMMIT_BOUNDS: [f64; 10] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub commits: AtomicU64,
    pub transactions: AtomicU64,
    pub entries: AtomicU64,
    pub bytes: AtomicU64,
    pub full: AtomicU64,
    pub busy: AtomicU64,
    pub broken: AtomicU64,
    pub queued: AtomicU64,
    pub pruned: AtomicU64,
    pub undelivered: AtomicU64,
    pub size: AtomicU64,
    pub kept: AtomicU64,
    within: [AtomicU64; COMMIT_BOUNDS.len() + 1],
    /// Microseconds.
    took: AtomicU64,
    failing: Mutex<Option<Failing>>,
    proven: Mutex<Option<Proven>>,
}

/// Nothing can be put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// Since then.
    pub since: Timestamp,
    /// Why the last try failed.
    pub why: Arc<str>,
}

/// What came of the last walk along the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// When it was.
    pub at: Timestamp,
    /// The first thing that does not fit; none where the chain holds.
    pub broken: Option<Arc<str>>,
}

/// Counts since the start, as of one instant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Commits that are durable.
    pub commits: u64,
    /// Transactions they took: one sync of the disk each.
    pub transactions: u64,
    /// Records written.
    pub entries: u64,
    /// Bytes of their text.
    pub bytes: u64,
    /// Commits refused because the disk is full or the file may not grow.
    pub full: u64,
    /// Commits refused because too much waits.
    pub busy: u64,
    /// Commits that failed for any other reason.
    pub broken: u64,
    /// Commits that wait now.
    pub queued: u64,
    /// Records deleted because of their age or the size of the journal.
    pub pruned: u64,
    /// Notifications deleted undelivered, because of their number.
    pub undelivered: u64,
    /// Bytes in use in the database file.
    pub size: u64,
    /// Records that are there.
    pub kept: u64,
    /// Transactions by how long they took: up to each of [`COMMIT_BOUNDS`] and beyond the bound before it; the last without a bound.
    pub within: [u64; COMMIT_BOUNDS.len() + 1],
    /// Seconds that they took together.
    pub took: f64,
    /// Nothing can be put on record, as far as the last try tells.
    pub failing: Option<Failing>,
    /// What came of the last walk along the chain; none before the first is over.
    pub proven: Option<Proven>,
}

impl Counters {
    pub fn read(&self) -> Counts {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            commits: get(&self.commits),
            transactions: get(&self.transactions),
            entries: get(&self.entries),
            bytes: get(&self.bytes),
            full: get(&self.full),
            busy: get(&self.busy),
            broken: get(&self.broken),
            queued: get(&self.queued),
            pruned: get(&self.pruned),
            undelivered: get(&self.undelivered),
            size: get(&self.size),
            kept: get(&self.kept),
            within: std::array::from_fn(|place| self.within.get(place).map_or(0, get)),
            took: Duration::from_micros(get(&self.took)).as_secs_f64(),
            failing: self.failing().clone(),
            proven: self.proven().clone(),
        }
    }

    fn proven(&self) -> std::sync::MutexGuard<'_, Option<Proven>> {
        self.proven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what a walk along the chain came to.
    pub fn proves(&self, proven: Proven) {
        *self.proven() = Some(proven);
    }

    fn failing(&self) -> std::sync::MutexGuard<'_, Option<Failing>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the last try failed.
    pub fn fails(&self) -> bool {
        self.failing().is_some()
    }

    /// Takes note of a transaction that is on the disk.
    pub fn written(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = COMMIT_BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(count) = self.within.get(place.unwrap_or(COMMIT_BOUNDS.len())) {
            add(count, 1);
        }
        add(
            &self.took,
            u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        );
    }

    /// Takes note of whether anything could be put on record.
    pub fn tried(&self, failed: Option<&CommitError>, now: Timestamp) {
        let mut failing = self.failing();
        *failing = failed.map(|error| Failing {
            since: failing.as_ref().map_or(now, |before| before.since),
            why: error.to_string().into(),
        });
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
