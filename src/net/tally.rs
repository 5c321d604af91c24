//! Counters of trouble that also keep the log quiet.
//!
//! Owns counting one kind of event and deciding when it is worth a line. It never writes the line
//! itself. The surprising decision: the count and the quiet live together, so that nothing can be
//! logged that is not counted.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A kind of trouble is told at most once in this time.
const EVERY: Duration = Duration::from_secs(60);

/// How often one kind of thing happened since the start.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    left_out: u64,
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
        if let Some(left_out) = self.may_tell(Instant::now()) {
            tell(left_out);
        }
    }

    fn may_tell(&self, now: Instant) -> Option<u64> {
        let mut told = self
            .told
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if told
            .at
            .is_some_and(|at| now.saturating_duration_since(at) < EVERY)
        {
            told.left_out += 1;
            return None;
        }
        told.at = Some(now);
        Some(std::mem::take(&mut told.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_everything_and_tells_once_a_minute_with_what_was_left_out() {
        let tally = Tally::default();
        let mut told = Vec::new();
        (0..5).for_each(|_| tally.note(|left_out| told.push(left_out)));
        assert_eq!((tally.get(), told), (5, vec![0]));
        let later = Instant::now() + EVERY;
        assert_eq!(tally.may_tell(later), Some(4));
        assert_eq!(tally.may_tell(later), None);
        assert_eq!(tally.may_tell(later + EVERY), Some(1));
    }
}
