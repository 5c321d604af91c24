//! How long to wait before trying again: doubling, with jitter.
//!
//! Owns the arithmetic; it never sleeps and knows no deadline, which belong to callers. The
//! surprising decision: a pause depends on nothing but its bounds, a seed and its number, so that
//! whoever plans one (and must plan the same one again) needs no state but the seed.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The least and the most that jitter makes of a pause: many that lost one peer do not return to
/// it together.
const JITTER: (f64, f64) = (0.8, 1.2);

/// A sequence of pauses: `first`, doubled each time up to `longest`, each times an even random
/// number from 0.8 to 1.2.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    seed: u64,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `longest`, with a seed of its own.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self::seeded(first, longest, RandomState::new().hash_one("backoff"))
    }

    /// The same with a given seed: the same pauses each time, on every machine.
    #[must_use]
    pub const fn seeded(first: Duration, longest: Duration, seed: u64) -> Self {
        Self {
            first,
            longest,
            seed,
            failures: 0,
        }
    }

    /// The pause after so many failures before it, from 0.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(31));
        let whole = doubled.min(self.longest);
        let (least, most) = JITTER;
        let factor = least + (most - least) * fraction(self.seed, failures);
        Duration::try_from_secs_f64(whole.as_secs_f64() * factor).unwrap_or(whole)
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Evenly from 0 up to but not including 1: `SplitMix64` (Steele, Lea and Flood, 2014), good enough to
/// spread retries, never for secrets.
fn fraction(seed: u64, number: u32) -> f64 {
    let mut mixed =
        seed.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(u64::from(number) + 1));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    #[test]
    fn pauses_double_to_the_longest_within_their_jitter_and_begin_anew() {
        for seed in 0..200 {
            let mut backoff = Backoff::seeded(FIRST, LONGEST, seed);
            for whole in [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
                let (pause, whole) = (backoff.pause(), Duration::from_millis(whole));
                let most = whole * 12 / 10;
                assert!(whole * 8 / 10 <= pause && pause <= most, "{seed} {pause:?}");
            }
            backoff.reset();
            assert!(backoff.pause() <= FIRST * 12 / 10);
        }
    }

    #[test]
    fn pauses_of_many_nodes_are_spread_over_the_whole_range() {
        let tenth = |seed| Backoff::seeded(FIRST, LONGEST, seed).after(9);
        let pauses: Vec<_> = (0..1000).map(tenth).collect();
        for (from, to) in [(8, 9), (9, 10), (10, 11), (11, 12)] {
            let (from, to) = (LONGEST * from / 10, LONGEST * to / 10);
            let within = pauses.iter().filter(|p| from <= **p && **p < to).count();
            assert!((200..300).contains(&within), "{within}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_pauses_for_ever() {
        let pauses = (0..3).map(|n| Backoff::seeded(FIRST, LONGEST, 7).after(n).as_micros());
        assert_eq!(pauses.collect::<Vec<_>>(), [95_593, 161_343, 464_121]);
    }

    #[test]
    fn survives_absurd_bounds() {
        let mut backoff = Backoff::new(Duration::from_secs(9), Duration::ZERO);
        assert_eq!(backoff.pause(), Duration::ZERO);
        let backoff = Backoff::new(Duration::from_secs(1), Duration::MAX);
        assert!(backoff.after(u32::MAX) >= Duration::from_secs(1 << 30));
        let backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(backoff.after(0) >= Duration::from_secs(1 << 62));
    }
}
