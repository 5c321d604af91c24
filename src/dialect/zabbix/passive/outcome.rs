//! How requests ended: the counters, and the few log lines about trouble.
//!
//! Counters are plain atomics that others read and tell. A line is written at most once a minute
//! for each kind of trouble and says how many were left out: a port scanner fills no disk.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const QUIET: Duration = Duration::from_secs(60);

/// How a check or a connection ended. The first three count checks (a JSON request may hold
/// several), the others connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With a value.
    Answered,
    /// With an error text.
    Unsupported,
    /// A value was not there in time, or a request did not arrive in time.
    TimedOut,
    /// What arrived was no request.
    Malformed,
    /// The peer is not in the `server` list.
    Refused,
    /// Closed at once, because too many connections were open.
    TooMany,
    /// The answer could not be sent: the peer had gone or did not read.
    Unsent,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Answered,
        Self::Unsupported,
        Self::TimedOut,
        Self::Malformed,
        Self::Refused,
        Self::TooMany,
        Self::Unsent,
    ];

    /// The word for it in labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unsupported => "unsupported",
            Self::TimedOut => "timed_out",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::TooMany => "too_many",
            Self::Unsent => "unsent",
        }
    }
}

/// One count for each [`Outcome`], since the start.
#[derive(Debug, Default)]
pub struct Counters {
    answered: AtomicU64,
    unsupported: AtomicU64,
    timed_out: AtomicU64,
    malformed: AtomicU64,
    refused: AtomicU64,
    too_many: AtomicU64,
    unsent: AtomicU64,
}

impl Counters {
    const fn of(&self, outcome: Outcome) -> &AtomicU64 {
        match outcome {
            Outcome::Answered => &self.answered,
            Outcome::Unsupported => &self.unsupported,
            Outcome::TimedOut => &self.timed_out,
            Outcome::Malformed => &self.malformed,
            Outcome::Refused => &self.refused,
            Outcome::TooMany => &self.too_many,
            Outcome::Unsent => &self.unsent,
        }
    }

    /// The count of one outcome.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.of(outcome).load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, outcome: Outcome) {
        self.of(outcome).fetch_add(1, Ordering::Relaxed);
    }
}

/// A kind of trouble with a peer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trouble {
    Refused,
    Malformed,
    Late,
    TooMany,
    Accept,
}

/// When each kind of trouble was last written about.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    refused: Seldom,
    malformed: Seldom,
    late: Seldom,
    too_many: Seldom,
    accept: Seldom,
}

impl Troubles {
    /// Tells of trouble, with the peer it came from unless it is our own.
    pub(super) fn tell(&self, trouble: Trouble, peer: Option<IpAddr>, why: &dyn fmt::Display) {
        let (seldom, what) = match trouble {
            Trouble::Refused => (&self.refused, "refused a Zabbix peer"),
            Trouble::Malformed => (&self.malformed, "closed on a bad Zabbix request"),
            Trouble::Late => (&self.late, "gave up on a slow Zabbix peer"),
            Trouble::TooMany => (&self.too_many, "turned a Zabbix peer away"),
            Trouble::Accept => (&self.accept, "could not accept a Zabbix peer"),
        };
        if let Some(left_out) = seldom.due(Instant::now()) {
            let peer = peer.map(tracing::field::display);
            tracing::warn!(peer, left_out, "{what}: {why}");
        }
    }
}

/// Lets one through in a minute and counts the others.
#[derive(Debug, Default)]
struct Seldom(Mutex<(Option<Instant>, u64)>);

impl Seldom {
    /// How many were held back since the last one let through; None to hold this one back too.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < QUIET) {
            *left_out += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_minute_says_how_many_were_left_out() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        assert_eq!(seldom.due(start), Some(0));
        for _ in 0..5 {
            assert_eq!(seldom.due(start + QUIET / 2), None);
        }
        assert_eq!(seldom.due(start + QUIET), Some(5));
        assert_eq!(seldom.due(start + QUIET * 2), Some(0));
    }

    #[test]
    fn outcomes_are_counted_apart() {
        let counters = Counters::default();
        for (times, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.add(outcome));
        }
        let counts = Outcome::ALL.map(|outcome| counters.get(outcome));
        assert_eq!(counts, [0, 1, 2, 3, 4, 5, 6]);
    }
}
