//! How checks and connections ended: the counters.

use std::sync::Arc;

use crate::net::accept;
use crate::net::tally::Tally;

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
    /// TLS did not come about as `tls` asks, or a connection was in plain where that is not accepted.
    Tls,
    /// The answer could not be sent: the peer had gone or did not read.
    Unsent,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Unsupported,
        Self::TimedOut,
        Self::Malformed,
        Self::Refused,
        Self::TooMany,
        Self::Tls,
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
            Self::Tls => "tls",
            Self::Unsent => "unsent",
        }
    }
}

/// One count for each [`Outcome`], since the start; others read them and tell them.
#[derive(Debug, Default)]
pub struct Counters {
    answered: Tally,
    unsupported: Tally,
    timed_out: Tally,
    malformed: Tally,
    refused: Tally,
    too_many: Tally,
    tls: Tally,
    unsent: Tally,
    connections: Arc<accept::Counters>,
}

impl Counters {
    /// The count of one outcome.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.of(outcome).get()
    }

    /// What the acceptor counts: connections open, and accept(2) that failed.
    pub fn connections(&self) -> &Arc<accept::Counters> {
        &self.connections
    }

    pub(super) const fn of(&self, outcome: Outcome) -> &Tally {
        match outcome {
            Outcome::Answered => &self.answered,
            Outcome::Unsupported => &self.unsupported,
            Outcome::TimedOut => &self.timed_out,
            Outcome::Malformed => &self.malformed,
            Outcome::Refused => &self.refused,
            Outcome::TooMany => &self.too_many,
            Outcome::Tls => &self.tls,
            Outcome::Unsent => &self.unsent,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_counted_apart() {
        let counters = Counters::default();
        for (times, outcome) in Outcome::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| counters.of(outcome).add());
        }
        let counts = Outcome::ALL.map(|outcome| counters.get(outcome));
        assert_eq!(counts, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
