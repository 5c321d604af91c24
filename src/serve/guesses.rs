//! Wrong guesses at a secret, by whom: who makes too many is held back.
//!
//! After ten within a minute an address is told to wait, whatever it sends: who may go on guessing while only wrong guesses
//! are refused has not been stopped.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::stream::Peer;

/// Wrong guesses of one address within [`WINDOW`] after which it waits.
const MOST: usize = 10;
/// See above.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered; the one that failed longest ago goes first.
const ADDRESSES: usize = 1024;

/// Whose failures count together. An IPv6 network of 64 bits is one place: whoever has one of its addresses has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Ip(IpAddr),
    User(Option<u32>),
}

impl Place {
    pub(super) fn of(peer: Peer) -> Self {
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

/// An address as it is written; of IPv6 the first of its network.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::User(Some(uid)) => write!(f, "uid {uid}"),
            Self::User(None) => f.write_str("an unknown user"),
        }
    }
}

/// Who guessed wrong lately.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    /// When each of the latest of a place was, oldest first.
    failed: Mutex<BTreeMap<Place, VecDeque<Instant>>>,
}

impl Guesses {
    /// How long nothing of `peer` is looked at; none: it may try.
    pub(super) fn wait(&self, peer: Peer, now: Instant) -> Option<Duration> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failed.get(&Place::of(peer))?;
        let oldest = times.front().filter(|_| times.len() >= MOST)?;
        let left = WINDOW.saturating_sub(now.saturating_duration_since(*oldest));
        (!left.is_zero()).then_some(left)
    }

    /// Remembers a wrong guess.
    pub(super) fn remember(&self, peer: Peer, now: Instant) {
        let place = Place::of(peer);
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(ip: &str) -> Peer {
        Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[test]
    fn ten_wrong_guesses_within_a_minute_hold_back_their_address_alone() {
        let guesses = Guesses::default();
        let start = Instant::now();
        let at = |second| start + Duration::from_secs(second);
        for second in 0..10 {
            assert_eq!(guesses.wait(peer("10.0.0.1"), at(second)), None);
            guesses.remember(peer("10.0.0.1"), at(second));
        }
        let left = guesses.wait(peer("10.0.0.1"), at(9));
        assert_eq!(left, Some(Duration::from_secs(51)));
        assert_eq!(guesses.wait(peer("10.0.0.2"), at(9)), None);
        // The first is a minute old: one more try, and then until the second is.
        assert_eq!(guesses.wait(peer("10.0.0.1"), at(60)), None);
        guesses.remember(peer("10.0.0.1"), at(60));
        let left = guesses.wait(peer("10.0.0.1"), at(60));
        assert_eq!(left, Some(Duration::from_secs(1)));
    }

    #[test]
    fn all_addresses_of_a_network_and_all_connections_of_a_user_are_one_place() {
        let guesses = Guesses::default();
        let now = Instant::now();
        let unix = |pid| Peer::Unix {
            pid: Some(pid),
            uid: Some(7),
        };
        for n in 0..10 {
            guesses.remember(peer(&format!("2001:db8::{n}")), now);
            guesses.remember(unix(n), now);
        }
        assert!(guesses.wait(peer("2001:db8::ffff:1"), now).is_some());
        assert!(guesses.wait(peer("2001:db8:0:1::1"), now).is_none());
        assert!(guesses.wait(unix(99), now).is_some());
    }

    #[test]
    fn addresses_without_end_take_no_room_without_end() {
        let guesses = Guesses::default();
        let start = Instant::now();
        let bad = peer("192.0.2.1");
        for _ in 0..10 {
            guesses.remember(bad, start);
        }
        for n in 0..5_000u32 {
            let ip = std::net::Ipv4Addr::from_bits(n).to_string();
            let later = start + Duration::from_millis(u64::from(n / 100));
            guesses.remember(peer(&ip), later);
            if n == 500 {
                assert!(guesses.wait(bad, later).is_some());
            }
        }
        assert_eq!(guesses.failed.lock().unwrap().len(), ADDRESSES);
    }
}
