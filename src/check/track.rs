//! What is known of one check: a pure function of its probes.
//!
//! ```text
//!            rise passes in a row                    fall failures in a row
//!  unknown ────────────────────────> up <─────────────────────────────────> down ── for ──> alert
//!     └─ fall failures in a row ─────────────────────────────────────────────^   rise passes end both
//! ```

use std::time::Duration;

use tokio::time::Instant;

use super::Check;
use crate::model::moment::Timestamp;

/// Whether a check holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Too few probes have been made to say.
    Unknown,
    /// It holds.
    Up,
    /// It does not.
    Down,
}

impl Health {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The state of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Whether it holds.
    pub health: Health,
    /// Since when it is as it is.
    pub since: Timestamp,
    /// Probes in a row that passed, up to the last one.
    pub passes: u32,
    /// Probes in a row that failed, up to the last one.
    pub fails: u32,
    /// When it began to fail: the first failed probe of the row that is not over.
    pub failing_since: Option<Timestamp>,
    /// Whether its alert stands: it is down, and has been failing for its `for`.
    pub alerting: bool,
    /// When the first of the certificates ends that were shown last, in seconds of the epoch. It stays while a service shows none: one
    /// whose certificate has ended, too.
    pub certificate_end: Option<u64>,
    /// The last probe.
    pub last: Option<Last>,
}

impl State {
    /// What the last probe saw. One that passes is not yet the end of trouble.
    pub(super) fn said(&self, check: &Check) -> String {
        let why = self.last.as_ref().map(|last| last.why.clone());
        let why = why.unwrap_or_default();
        match (self.health, self.passes) {
            (Health::Down, passes @ 1..) => {
                format!("{why}, and so {passes} of {} times in a row", check.rise)
            }
            _ => why,
        }
    }
}

/// The last probe of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// When it ended.
    pub at: Timestamp,
    /// Whether it passed.
    pub ok: bool,
    /// What it saw.
    pub why: String,
    /// How long it took.
    pub took: Duration,
    /// When the first of the certificates ends that it was shown, in seconds of the epoch.
    pub certificate_end: Option<u64>,
}

/// The state, and what only the schedule needs.
#[derive(Debug, Clone)]
pub(super) struct Track {
    pub(super) state: State,
    /// `failing_since`, by a clock that nobody sets.
    failing: Option<Instant>,
}

/// What a probe changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turn {
    /// The new health, if it is another one.
    pub(super) health: Option<Health>,
    /// The alert was raised (`false`: the check is not up) or is over (`true`), and since when it failed.
    pub(super) alert: Option<(bool, Timestamp)>,
}

impl Track {
    pub(super) fn new(since: Timestamp) -> Self {
        Self {
            state: State {
                health: Health::Unknown,
                since,
                passes: 0,
                fails: 0,
                failing_since: None,
                alerting: false,
                certificate_end: None,
                last: None,
            },
            failing: None,
        }
    }

    /// Takes a probe that ended now into account.
    pub(super) fn record(&mut self, check: &Check, last: Last, now: Instant) -> Turn {
        let state = &mut self.state;
        let before = state.health;
        let (at, ok) = (last.at, last.ok);
        let mut turn = Turn::default();
        state.certificate_end = last.certificate_end.or(state.certificate_end);
        state.last = Some(last);
        if ok {
            state.fails = 0;
            state.passes = state.passes.saturating_add(1);
            if state.passes >= u32::from(check.rise) {
                state.health = Health::Up;
            }
            if state.health != Health::Down {
                let since = state.failing_since.take().unwrap_or(at);
                self.failing = None;
                if std::mem::take(&mut state.alerting) {
                    turn.alert = Some((true, since));
                }
            }
        } else {
            state.passes = 0;
            state.fails = state.fails.saturating_add(1);
            let since = *state.failing_since.get_or_insert(at);
            let failing = *self.failing.get_or_insert(now);
            if state.fails >= u32::from(check.fall) {
                state.health = Health::Down;
            }
            let long = now.duration_since(failing) >= check.hold.get();
            if state.health == Health::Down && long && !state.alerting {
                state.alerting = true;
                turn.alert = Some((false, since));
            }
        }
        if state.health != before {
            state.since = at;
            turn.health = Some(state.health);
        }
        turn
    }

    /// When what the alert tells of began, if it stands.
    pub(super) fn alerting_since(&self) -> Option<Timestamp> {
        self.state.failing_since.filter(|_| self.state.alerting)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(rise: u16, fall: u16, hold: u64) -> Check {
        serde_json::from_value(serde_json::json!({
            "probe": {"tcp": {"address": "x:1"}}, "rise": rise, "fall": fall, "for": format!("{hold}s"),
        }))
        .unwrap()
    }

    /// Runs probes a second apart and says after each what changed: health, and the alert.
    fn run(check: &Check, probes: &str) -> Vec<Turn> {
        let (mut track, start) = (Track::new(Timestamp(0)), Instant::now());
        let each = probes.chars().zip(1u32..).map(|(probe, second)| {
            let last = Last {
                certificate_end: None,
                at: Timestamp(i64::from(second) * 1000),
                ok: probe == '.',
                why: String::new(),
                took: Duration::ZERO,
            };
            track.record(check, last, start + Duration::from_secs(second.into()))
        });
        each.collect()
    }

    fn healths(turns: &[Turn]) -> String {
        let letter = |turn: &Turn| match turn.health {
            None => '-',
            Some(Health::Up) => 'u',
            Some(Health::Down) => 'd',
            Some(Health::Unknown) => '?',
        };
        turns.iter().map(letter).collect()
    }

    fn alerts(turns: &[Turn]) -> Vec<(usize, bool, i64)> {
        let alert =
            |(at, turn): (usize, &Turn)| turn.alert.map(|(up, since)| (at + 1, up, since.0));
        turns.iter().enumerate().filter_map(alert).collect()
    }

    #[test]
    fn rise_and_fall_count_probes_in_a_row() {
        let check = check(2, 3, 0);
        let turns = run(&check, ".x..xx.xxx.x.x..");
        assert_eq!(healths(&turns), "---u-----d-----u");
        assert_eq!(alerts(&turns), [(10, false, 8000), (16, true, 8000)]);
    }

    #[test]
    fn an_alert_waits_for_its_time_and_begins_with_the_first_failure() {
        let check = check(1, 2, 4);
        let turns = run(&check, ".xxxxxxx.");
        assert_eq!(healths(&turns), "u-d-----u");
        assert_eq!(alerts(&turns), [(6, false, 2000), (9, true, 2000)]);
        let short = run(&check, ".xxx.xxx.");
        assert_eq!(healths(&short), "u-d-u-d-u");
        assert!(alerts(&short).is_empty());
    }

    #[test]
    fn a_check_that_never_worked_is_down_all_the_same() {
        assert_eq!(alerts(&run(&check(2, 3, 0), "xxx")), [(3, false, 1000)]);
    }

    proptest! {
        #[test]
        fn an_alert_is_raised_and_ended_in_turns(probes in "[.x]{0,60}", rise in 1u16..4, fall in 1u16..4, hold in 0u64..5) {
            let turns = run(&check(rise, fall, hold), &probes);
            let alerts = alerts(&turns);
            for (nth, (_, up, _)) in alerts.iter().enumerate() {
                prop_assert_eq!(*up, nth % 2 == 1);
            }
            for pair in alerts.chunks(2) {
                if let [begin, end] = pair {
                    prop_assert_eq!(begin.2, end.2);
                }
            }
        }
    }
}
