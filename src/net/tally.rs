//! Counters of trouble that also keep the log quiet.
//!
//! Owns counting one kind of event. It never writes a line itself. The surprising decision: the
//! count and the quiet live together, so that nothing can be logged that is not counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::telemetry::Often;

/// How often one kind of thing happened since the start.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicU64,
    told: Often,
}

impl Tally {
    /// The count so far.
    pub fn get(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts one, silently.
    pub fn add(&self) {
        self.add_many(1);
    }

    /// Counts several, silently.
    pub fn add_many(&self, more: u64) {
        self.count.fetch_add(more, Ordering::Relaxed);
    }

    /// Counts one and calls `tell` if nothing of this kind was told for a minute, with how many
    /// were left out since.
    pub fn note(&self, tell: impl FnOnce(u64)) {
        self.add();
        if let Some(left_out) = self.told.say(Instant::now()) {
            tell(left_out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_everything_and_tells_once() {
        let tally = Tally::default();
        let mut told = Vec::new();
        (0..5).for_each(|_| tally.note(|left_out| told.push(left_out)));
        assert_eq!((tally.get(), told), (5, vec![0]));
    }
}
