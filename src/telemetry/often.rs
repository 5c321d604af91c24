//! Saying a thing that happens often only now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Decides when to log a thing again: at most once a period, with the count of what was left out
/// meanwhile.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use nodeward::telemetry::Often;
/// let often = Often::new(Duration::from_secs(60));
/// let now = Instant::now();
/// assert_eq!(often.say(now), Some(0));
/// assert_eq!(often.say(now), None);
/// assert_eq!(often.say(now + Duration::from_secs(60)), Some(1));
/// ```
#[derive(Debug)]
pub struct Often {
    period: Duration,
    said: Mutex<Said>,
}

#[derive(Debug)]
struct Said {
    at: Option<Instant>,
    left_out: u64,
}

impl Default for Often {
    /// Once a minute.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl Often {
    /// At most one line in each `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Self {
        let said = Said {
            at: None,
            left_out: 0,
        };
        Self {
            period,
            said: Mutex::new(said),
        }
    }

    /// Whether to say it at `now`: `Some` with how many were left out since it was last said.
    pub fn say(&self, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = |at| now.saturating_duration_since(at) < self.period;
        if said.at.is_some_and(lately) {
            said.left_out = said.left_out.saturating_add(1);
            return None;
        }
        said.at = Some(now);
        Some(std::mem::take(&mut said.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(60);

    #[test]
    fn it_is_said_once_a_period_with_what_was_left_out() {
        let often = Often::new(PERIOD);
        let start = Instant::now();
        assert_eq!(often.say(start), Some(0));
        for _ in 0..3 {
            assert_eq!(often.say(start + PERIOD / 2), None);
        }
        assert_eq!(often.say(start + PERIOD), Some(3));
        assert_eq!(often.say(start + PERIOD * 2), Some(0));
    }

    #[test]
    fn a_clock_that_seems_to_stand_still_or_go_back_says_nothing_twice() {
        let often = Often::new(PERIOD);
        let later = Instant::now() + PERIOD * 3;
        assert_eq!(often.say(later), Some(0));
        assert_eq!(often.say(later - PERIOD * 2), None);
    }
}
