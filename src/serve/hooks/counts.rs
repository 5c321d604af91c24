//! What came in by hooks, counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::telemetry::Often;

/// Most pairs of hook and sender whose log lines are held apart; further ones share one line.
const MOST_SENDERS: usize = 256;
/// How long a pair is remembered at least.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Counts by the names of configured hooks; they outlive a reload.
#[derive(Default)]
pub struct Counts {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    requests: BTreeMap<(String, u16), u64>,
    alerts: BTreeMap<(String, &'static str), u64>,
    refused_logins: BTreeMap<String, u64>,
    said: BTreeMap<(String, Trouble, Option<IpAddr>), Often>,
    said_of_others: Often,
    forgotten: Option<Instant>,
}

/// What can be wrong with a webhook. Each is said on its own: a wrong token is no reason to keep quiet about a wrong body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// It may not send.
    Login,
    /// Its body, or a part of it, cannot be used.
    Body,
    /// It cannot be taken now.
    NotTaken,
}

impl Counts {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer.
    pub(super) fn answered(&self, hook: &str, code: u16) {
        let key = (hook.to_owned(), code);
        *self.inner().requests.entry(key).or_default() += 1;
    }

    /// Counts alerts of one status.
    pub(super) fn alerts(&self, hook: &str, status: &'static str, count: u64) {
        if count > 0 {
            let key = (hook.to_owned(), status);
            *self.inner().alerts.entry(key).or_default() += count;
        }
    }

    /// Counts a login that was refused.
    pub(super) fn refused_login(&self, hook: &str) {
        let mut inner = self.inner();
        *inner.refused_logins.entry(hook.to_owned()).or_default() += 1;
    }

    /// Whether to log trouble of a hook and a sender at `now`: once a minute, with how much was left out.
    pub(super) fn may_say(
        &self,
        hook: &str,
        trouble: Trouble,
        peer: Option<IpAddr>,
        now: Instant,
    ) -> Option<u64> {
        let mut inner = self.inner();
        let key = (hook.to_owned(), trouble, peer);
        if inner.said.len() >= MOST_SENDERS && !inner.said.contains_key(&key) {
            let lately = |at| now.saturating_duration_since(at) < REMEMBERED;
            if inner.forgotten.is_some_and(lately) {
                return inner.said_of_others.say(now);
            }
            inner.said.clear();
            inner.forgotten = Some(now);
        }
        inner.said.entry(key).or_default().say(now)
    }

    /// Hook, code and count of answers, sorted.
    #[must_use]
    pub fn requests(&self) -> Vec<(String, u16, u64)> {
        let inner = self.inner();
        let all = inner.requests.iter();
        all.map(|((hook, code), n)| (hook.clone(), *code, *n))
            .collect()
    }

    /// Hook, status and count of alerts, sorted. Statuses are firing, resolved, left_out, ignored and truncated.
    #[must_use]
    pub fn of_alerts(&self) -> Vec<(String, &'static str, u64)> {
        let inner = self.inner();
        let all = inner.alerts.iter();
        all.map(|((hook, status), n)| (hook.clone(), *status, *n))
            .collect()
    }

    /// Hook and count of refused logins, sorted.
    #[must_use]
    pub fn refused_logins(&self) -> Vec<(String, u64)> {
        let inner = self.inner();
        let all = inner.refused_logins.iter();
        all.map(|(hook, n)| (hook.clone(), *n)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_without_end_make_no_lines_without_end() {
        let counts = Counts::default();
        let now = Instant::now();
        let said = (0..100_000u32)
            .filter(|n| {
                let peer = std::net::Ipv4Addr::from_bits(*n).into();
                counts
                    .may_say("a", Trouble::Login, Some(peer), now)
                    .is_some()
            })
            .count();
        assert_eq!(said, 2 * MOST_SENDERS + 1);
        assert_eq!(counts.inner().said.len(), MOST_SENDERS);
        let other = Some([10, 0, 0, 1].into());
        let later = now + REMEMBERED;
        assert_eq!(counts.may_say("a", Trouble::Login, other, later), Some(0));
        assert_eq!(counts.may_say("a", Trouble::Login, other, later), None);
        assert_eq!(counts.may_say("a", Trouble::Body, other, later), Some(0));
    }
}
