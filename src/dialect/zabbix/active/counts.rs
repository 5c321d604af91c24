//! What is counted of active checks, for each target.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::wire::Failure;
use crate::net::tally::Tally;

/// What is asked or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Which items there are.
    Checks,
    /// Values of them.
    Data,
    /// That this agent lives.
    Heartbeat,
    /// Values of nodeward's own.
    Sender,
}

impl Request {
    /// Every request, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Checks, Self::Data, Self::Heartbeat, Self::Sender];

    /// The word for it in labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Data => "data",
            Self::Heartbeat => "heartbeat",
            Self::Sender => "sender",
        }
    }
}

/// What became of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The server took it.
    Taken,
    /// The server did not want it: no such item, or it has it already.
    Rejected,
    /// Memory was full, and there was no spool or it did not take it.
    MemoryFull,
    /// The spool was full; its oldest file went.
    SpoolFull,
    /// Older than the spool keeps.
    Expired,
    /// Its file in the spool cannot be read.
    Damaged,
    /// nodeward ended before the server took it, and there was no spool.
    Shutdown,
}

impl Fate {
    /// Every fate, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Taken,
        Self::Rejected,
        Self::MemoryFull,
        Self::SpoolFull,
        Self::Expired,
        Self::Damaged,
        Self::Shutdown,
    ];

    /// The word for it in labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Rejected => "rejected",
            Self::MemoryFull => "memory_full",
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counters of one target since the start.
#[derive(Debug, Default)]
pub struct Counts {
    taken: [AtomicU64; Request::ALL.len()],
    failed: [[Tally; Failure::KINDS.len()]; Request::ALL.len()],
    fates: [AtomicU64; Fate::ALL.len()],
    items: AtomicU64,
    unsupported: AtomicU64,
    left_out: AtomicU64,
    /// When a request was last answered, in Unix seconds.
    heard: AtomicU64,
}

impl Counts {
    /// Requests that the server answered as it should.
    pub fn answered(&self, request: Request) -> u64 {
        self.taken
            .get(request as usize)
            .map_or(0, |count| count.load(Relaxed))
    }

    /// Requests that failed in one of [`Failure::KINDS`].
    pub fn failed(&self, request: Request, kind: usize) -> u64 {
        self.tally(request, kind).map_or(0, Tally::get)
    }

    /// Values by what became of them.
    pub fn values(&self, fate: Fate) -> u64 {
        self.fates
            .get(fate as usize)
            .map_or(0, |count| count.load(Relaxed))
    }

    /// Items that the server asks for, those without a value, and those that were too many.
    pub fn items(&self) -> [u64; 3] {
        [&self.items, &self.unsupported, &self.left_out].map(|count| count.load(Relaxed))
    }

    /// When the server last answered as it should, in Unix seconds; 0 if it never did.
    pub fn heard(&self) -> u64 {
        self.heard.load(Relaxed)
    }

    pub(super) fn well(&self, request: Request) {
        if let Some(count) = self.taken.get(request as usize) {
            count.fetch_add(1, Relaxed);
        }
        self.heard.store(super::clock::since().as_secs(), Relaxed);
    }

    pub(super) fn tally(&self, request: Request, kind: usize) -> Option<&Tally> {
        self.failed.get(request as usize)?.get(kind)
    }

    pub(super) fn fate(&self, fate: Fate, values: u64) {
        if let Some(count) = self.fates.get(fate as usize) {
            count.fetch_add(values, Relaxed);
        }
    }

    pub(super) fn set_items(&self, (items, unsupported): (usize, usize)) {
        self.items.store(items as u64, Relaxed);
        self.unsupported.store(unsupported as u64, Relaxed);
    }

    pub(super) fn set_left_out(&self, left_out: usize) {
        self.left_out.store(left_out as u64, Relaxed);
    }
}
