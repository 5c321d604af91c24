//! What is counted of one notifier.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::moment::Timestamp;
use crate::net::tally::Tally;

/// Counts of one notifier since the start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Notices it took.
    pub delivered: AtomicU64,
    /// Tries that failed.
    pub failed: Tally,
    /// Notices it took, but not for all who should get them.
    pub in_part: Tally,
    /// Notices given up.
    pub dropped: Tally,
    /// Says that records were.
    pub gave_up: Tally,
    /// Notices that wait; they may be more until they are counted again.
    pub waiting: AtomicU64,
    /// When the oldest of them was made, in milliseconds; 0 for none.
    pub oldest: AtomicI64,
}

impl Counts {
    /// The outcomes, by the words of the label `outcome`.
    pub fn outcomes(&self) -> [(&'static str, u64); 4] {
        [
            ("delivered", self.delivered.load(Ordering::Relaxed)),
            ("in_part", self.in_part.get()),
            ("failed", self.failed.get()),
            ("dropped", self.dropped.get()),
        ]
    }

    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How long the oldest has waited, in seconds.
    pub fn age(&self) -> f64 {
        match self.oldest.load(Ordering::Relaxed) {
            0 => 0.0,
            made => Timestamp::now().since(Timestamp(made)).as_secs_f64(),
        }
    }

    /// So many wait, and when the first of them was made.
    pub fn found(&self, waiting: u64, oldest: Option<Timestamp>) {
        self.waiting.store(waiting, Ordering::Relaxed);
        self.oldest
            .store(oldest.map_or(0, |made| made.0), Ordering::Relaxed);
    }

    /// One waits no longer.
    pub fn one_less(&self) {
        let waiting = self.waiting();
        self.waiting
            .store(waiting.saturating_sub(1), Ordering::Relaxed);
    }
}
