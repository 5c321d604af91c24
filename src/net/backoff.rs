//! How long to wait before trying again: doubling, with jitter.
//!
//! Owns the arithmetic and a small random source; it never sleeps and knows no deadline, which
//! belong to callers. The surprising decision: every pause is at least `min`, where "full jitter"
//! in its plain form may be nothing at all and so hammer a peer that is already down.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// A sequence of pauses. The n-th lies between `min` and `min * 2^n`, never above `max`, spread
/// evenly so that many nodes that lost one peer do not return together.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    ceiling: Duration,
    random: Random,
}

impl Backoff {
    /// Pauses from `min` to `max`; a `max` below `min` is taken as `min`.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self::seeded(min, max, RandomState::new().hash_one("backoff"))
    }

    fn seeded(min: Duration, max: Duration, seed: u64) -> Self {
        Self {
            min,
            max: max.max(min),
            ceiling: min,
            random: Random::seeded(seed),
        }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        self.ceiling = self.ceiling.saturating_mul(2).clamp(self.min, self.max);
        let spread = self.ceiling.saturating_sub(self.min);
        let part = spread.as_secs_f64() * self.random.fraction();
        let part = Duration::try_from_secs_f64(part).unwrap_or(spread);
        self.min.saturating_add(part).min(self.ceiling)
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.ceiling = self.min;
    }
}

/// Marsaglia's xorshift64* ("Xorshift RNGs", 2003; Vigna 2016): good enough to spread retries,
/// never for secrets.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn seeded(seed: u64) -> Self {
        // Zero is the one state it never leaves.
        Self(seed.max(1))
    }

    /// Evenly from 0 up to but not including 1.
    fn fraction(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);

    #[test]
    fn every_pause_lies_between_min_and_a_doubling_ceiling() {
        for seed in 0..200 {
            let mut backoff = Backoff::seeded(MIN, MAX, seed);
            for n in 1..20 {
                let pause = backoff.pause();
                let ceiling = (MIN * 2_u32.pow(n.min(10))).min(MAX);
                assert!(MIN <= pause && pause <= ceiling, "{seed} {n} {pause:?}");
            }
        }
    }

    #[test]
    fn pauses_of_many_nodes_are_spread_over_the_whole_range() {
        let fifth = |seed| {
            let mut backoff = Backoff::seeded(MIN, MAX, seed);
            (0..9).map(|_| backoff.pause()).last().unwrap()
        };
        let pauses: Vec<_> = (1..=1000_u64)
            .map(|seed| fifth(seed << 32 | seed))
            .collect();
        let low = pauses.iter().filter(|pause| **pause < MAX / 2).count();
        assert!((400..600).contains(&low), "{low}");
    }

    #[test]
    fn starts_over_after_a_success() {
        let mut backoff = Backoff::new(MIN, MAX);
        (0..10).for_each(|_| assert!(backoff.pause() <= MAX));
        backoff.reset();
        assert!(backoff.pause() <= MIN * 2);
    }

    #[test]
    fn survives_absurd_bounds() {
        let mut backoff = Backoff::new(Duration::from_secs(9), Duration::ZERO);
        assert_eq!(backoff.pause(), Duration::from_secs(9));
        let mut backoff = Backoff::new(Duration::ZERO, Duration::MAX);
        assert_eq!(backoff.pause(), Duration::ZERO);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(u64::MAX / 4));
        (0..100).for_each(|_| assert!(backoff.pause() >= Duration::from_secs(1)));
    }
}
