//! What the journal counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

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
}

/// Counts since the start, as of one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
