//! Pauses between attempts that fail: 1 s, doubled each time up to 60 s, with jitter.
//!
//! The jitter takes up to half of a pause away, so that a fleet whose receiver comes back does not
//! return to it in one wave.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

/// The pauses of one receiver.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// Seeded at random by the standard library: good enough to spread, and no dependency.
    random: RandomState,
}

impl Backoff {
    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let random = self.random.hash_one(self.failures) % 1024;
        let away = whole / 2 * u32::try_from(random).unwrap_or(0) / 1024;
        whole - away
    }

    /// Begins anew, after a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_a_minute_and_begins_anew() {
        let mut backoff = Backoff::default();
        for whole in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let pause = backoff.next();
            let whole = Duration::from_secs(whole);
            assert!(
                whole / 2 <= pause && pause <= whole,
                "{pause:?} of {whole:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
