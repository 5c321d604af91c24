//! Saying a thing that happens often only now and then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Most kinds remembered; further ones are not said until an older kind is over.
const KINDS: usize = 256;

/// Decides when to log a thing again: at most once a period for each kind, with the count of what
/// was left out meanwhile.
///
/// Pure: it is told the time. Keep it in a `Mutex` where several threads log.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use nodeward::telemetry::Often;
/// let mut often = Often::new(Duration::from_secs(60));
/// let now = Instant::now();
/// assert_eq!(often.say("refused", now), Some(0));
/// assert_eq!(often.say("refused", now), None);
/// assert_eq!(often.say("refused", now + Duration::from_secs(60)), Some(1));
/// ```
#[derive(Debug)]
pub struct Often<K> {
    period: Duration,
    kinds: BTreeMap<K, Kind>,
}

#[derive(Debug)]
struct Kind {
    said: Instant,
    left_out: u64,
}

impl<K: Ord> Often<K> {
    /// At most one line of a kind in each `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            kinds: BTreeMap::new(),
        }
    }

    /// Whether to say `kind` at `now`: `Some` with how many were left out since it was last said.
    pub fn say(&mut self, kind: K, now: Instant) -> Option<u64> {
        let over = |seen: &Kind, period| now.saturating_duration_since(seen.said) >= period;
        if let Some(seen) = self.kinds.get_mut(&kind) {
            if over(seen, self.period) {
                seen.said = now;
                return Some(std::mem::take(&mut seen.left_out));
            }
            seen.left_out = seen.left_out.saturating_add(1);
            return None;
        }
        if self.kinds.len() >= KINDS {
            self.kinds.retain(|_, seen| !over(seen, self.period));
        }
        if self.kinds.len() >= KINDS {
            return None;
        }
        self.kinds.insert(
            kind,
            Kind {
                said: now,
                left_out: 0,
            },
        );
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(60);

    #[test]
    fn each_kind_is_said_once_a_period_with_what_was_left_out() {
        let mut often = Often::new(PERIOD);
        let start = Instant::now();
        assert_eq!(often.say("a", start), Some(0));
        assert_eq!(often.say("b", start), Some(0));
        for _ in 0..3 {
            assert_eq!(often.say("a", start + PERIOD / 2), None);
        }
        assert_eq!(often.say("a", start + PERIOD), Some(3));
        assert_eq!(often.say("b", start + PERIOD), Some(0));
        assert_eq!(often.say("a", start + PERIOD * 2), Some(0));
    }

    #[test]
    fn a_clock_that_seems_to_stand_still_or_go_back_says_nothing_twice() {
        let mut often = Often::new(PERIOD);
        let later = Instant::now() + PERIOD * 3;
        assert_eq!(often.say("a", later), Some(0));
        assert_eq!(often.say("a", later - PERIOD * 2), None);
    }

    #[test]
    fn endless_kinds_take_bounded_memory_and_make_way_once_they_are_over() {
        let mut often = Often::new(PERIOD);
        let start = Instant::now();
        let said = (0..10_000)
            .filter(|kind| often.say(*kind, start).is_some())
            .count();
        assert_eq!((said, often.kinds.len()), (KINDS, KINDS));
        assert_eq!(often.say(10_001, start + PERIOD), Some(0));
        assert_eq!(often.kinds.len(), 1);
    }
}
