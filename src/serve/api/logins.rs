//! Logins that failed: counted, said now and then, and held back by address. A request without any token guesses nothing and does
//! not count.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::net::stream::Peer;
use crate::serve::guesses::Guesses;
use crate::serve::{FailedLogins, Refused};
use crate::telemetry::Often;

/// Why a login failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    /// No token was sent.
    #[error("no token was sent")]
    Missing,
    /// It is nobody's.
    #[error("the token is wrong")]
    Wrong,
    /// It was not looked at.
    #[error("too many wrong tokens came from this address within a minute")]
    Throttled,
}

/// What is known of failed logins; it outlives a reload.
#[derive(Debug, Default)]
pub struct Logins {
    guesses: Guesses,
    failed: Arc<FailedLogins>,
    said: Often,
    missing: AtomicU64,
    wrong: AtomicU64,
    throttled: AtomicU64,
}

impl Logins {
    /// Those of which records are made of `failed`.
    pub(super) fn on_record(failed: Arc<FailedLogins>) -> Self {
        Self {
            failed,
            ..Self::default()
        }
    }

    /// How long nothing of `peer` is looked at; none: it may try.
    pub(super) fn wait(&self, peer: Peer, now: Instant) -> Option<Duration> {
        self.guesses.wait(peer, now)
    }

    /// Notes a login that failed at a listener of this section of the config.
    pub(super) fn note(&self, peer: Peer, failed: Failed, listener: &'static str, now: Instant) {
        match failed {
            Failed::Missing => &self.missing,
            Failed::Wrong => &self.wrong,
            Failed::Throttled => &self.throttled,
        }
        .fetch_add(1, Ordering::Relaxed);
        if failed == Failed::Wrong {
            self.guesses.remember(peer, now);
        }
        if failed != Failed::Missing {
            self.failed.note(Refused {
                peer,
                listener,
                at: "/api/v1",
                // There are no names here: whatever is sent in the place of one may be a token.
                name: None,
                why: &failed.to_string(),
            });
        }
        if let Some(left_out) = self.said.say(now) {
            tracing::warn!(%peer, why = %failed, left_out, "refused a login to the API");
        }
    }

    /// How many failed, by why, sorted.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 3] {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        [
            ("missing", count(&self.missing)),
            ("throttled", count(&self.throttled)),
            ("wrong", count(&self.wrong)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_token_is_counted_and_held_against_nobody() {
        let logins = Logins::default();
        let now = Instant::now();
        let peer = Peer::Tcp(([10, 0, 0, 1], 1).into());
        for _ in 0..100 {
            logins.note(peer, Failed::Missing, "api", now);
        }
        assert_eq!(logins.wait(peer, now), None);
        for _ in 0..10 {
            logins.note(peer, Failed::Wrong, "api", now);
        }
        assert!(logins.wait(peer, now).is_some());
        let counts = [("missing", 100), ("throttled", 0), ("wrong", 10)];
        assert_eq!(logins.counts(), counts);
        let records = logins.failed.rest();
        assert_eq!((records.len(), &records[0].data["count"]), (1, &10.into()));
    }
}
