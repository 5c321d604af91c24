//! Logins that failed: counted, said now and then, and held back by address.
//!
//! After ten wrong tokens within a minute an address is told to wait, whatever it sends: who may go on guessing while only
//! wrong guesses are refused has not been stopped. A request without any token guesses nothing and does not count.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::stream::Peer;
use crate::telemetry::Often;

/// Wrong tokens of one address within [`WINDOW`] after which it waits.
const MOST: usize = 10;
/// See above.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the one that failed longest ago goes first.
const ADDRESSES: usize = 1024;

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

/// Whose failures count together. An IPv6 network of 64 bits is one place: whoever has one of its addresses has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Ip(IpAddr),
    User(Option<u32>),
}

impl Place {
    fn of(peer: Peer) -> Self {
        match peer {
            Peer::Unix { uid, .. } => Self::User(uid),
            Peer::Tcp(address) => Self::Ip(match address.ip() {
                IpAddr::V6(ip) => {
                    let network = ip.to_bits() & !u128::from(u64::MAX);
                    Ipv6Addr::from_bits(network).into()
                }
                ip => ip,
            }),
        }
    }
}

/// What is known of failed logins; it outlives a reload.
#[derive(Debug, Default)]
pub struct Logins {
    /// When each of the latest of a place was, oldest first.
    failed: Mutex<BTreeMap<Place, VecDeque<Instant>>>,
    said: Often,
    missing: AtomicU64,
    wrong: AtomicU64,
    throttled: AtomicU64,
}

impl Logins {
    /// How long nothing of `peer` is looked at; none: it may try.
    pub(super) fn wait(&self, peer: Peer, now: Instant) -> Option<Duration> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failed.get(&Place::of(peer))?;
        let oldest = times.front().filter(|_| times.len() >= MOST)?;
        let left = WINDOW.saturating_sub(now.saturating_duration_since(*oldest));
        (!left.is_zero()).then_some(left)
    }

    /// Notes a login that failed.
    pub(super) fn note(&self, peer: Peer, failed: Failed, now: Instant) {
        match failed {
            Failed::Missing => &self.missing,
            Failed::Wrong => &self.wrong,
            Failed::Throttled => &self.throttled,
        }
        .fetch_add(1, Ordering::Relaxed);
        if failed == Failed::Wrong {
            self.remember(Place::of(peer), now);
        }
        if let Some(left_out) = self.said.say(now) {
            tracing::warn!(%peer, why = %failed, left_out, "refused a login to the API");
        }
    }

    fn remember(&self, place: Place, now: Instant) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() >= ADDRESSES && !failed.contains_key(&place) {
            let oldest = failed.iter().min_by_key(|(_, times)| times.back().copied());
            if let Some(oldest) = oldest.map(|(place, _)| *place) {
                failed.remove(&oldest);
            }
        }
        let times = failed.entry(place).or_default();
        if times.len() >= MOST {
            times.pop_front();
        }
        times.push_back(now);
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

    fn peer(ip: &str) -> Peer {
        Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn ten_wrong_tokens_within_a_minute_hold_back_their_address_alone() {
        let logins = Logins::default();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        for second in 0..10 {
            assert_eq!(logins.wait(peer("10.0.0.1"), at(second)), None);
            logins.note(peer("10.0.0.1"), Failed::Wrong, at(second));
        }
        let left = logins.wait(peer("10.0.0.1"), at(9));
        assert_eq!(left, Some(Duration::from_secs(51)));
        assert_eq!(logins.wait(peer("10.0.0.2"), at(9)), None);
        // The first is a minute old: one more try, and then until the second is.
        assert_eq!(logins.wait(peer("10.0.0.1"), at(60)), None);
        logins.note(peer("10.0.0.1"), Failed::Wrong, at(60));
        let left = logins.wait(peer("10.0.0.1"), at(60));
        assert_eq!(left, Some(Duration::from_secs(1)));
        assert_eq!(
            logins.counts(),
            [("missing", 0), ("throttled", 0), ("wrong", 11)]
        );
    }

    #[test]
    fn a_request_without_a_token_is_counted_and_held_against_nobody() {
        let logins = Logins::default();
        let now = Instant::now();
        for _ in 0..100 {
            logins.note(peer("10.0.0.1"), Failed::Missing, now);
        }
        assert_eq!(logins.wait(peer("10.0.0.1"), now), None);
        assert_eq!(logins.counts()[0], ("missing", 100));
    }

    #[test]
    fn all_addresses_of_a_network_and_all_connections_of_a_user_are_one_place() {
        let logins = Logins::default();
        let now = Instant::now();
        let unix = |pid| Peer::Unix {
            pid: Some(pid),
            uid: Some(7),
        };
        for n in 0..10 {
            logins.note(peer(&format!("2001:db8::{n}")), Failed::Wrong, now);
            logins.note(unix(n), Failed::Wrong, now);
        }
        assert!(logins.wait(peer("2001:db8::ffff:1"), now).is_some());
        assert!(logins.wait(peer("2001:db8:0:1::1"), now).is_none());
        assert!(logins.wait(unix(99), now).is_some());
    }

    #[test]
    fn addresses_without_end_take_no_room_without_end() {
        let logins = Logins::default();
        let start = Instant::now();
        let bad = peer("192.0.2.1");
        for _ in 0..10 {
            logins.note(bad, Failed::Wrong, start);
        }
        for n in 0..5_000u32 {
            let ip = std::net::Ipv4Addr::from_bits(n).to_string();
            let later = start + Duration::from_millis(u64::from(n / 100));
            logins.note(peer(&ip), Failed::Wrong, later);
            if n == 500 {
                assert!(logins.wait(bad, later).is_some());
            }
        }
        assert_eq!(logins.failed.lock().unwrap().len(), ADDRESSES);
    }
}
