//! Numbers kept once a second, for keys that tell a rate or an average.
//!
//! Only what was asked is kept, and what a subject says is kept from the start. A series nobody asks for during [`FORGET`] is dropped.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::dialect::zabbix::key::Key;

/// A series that was not asked for this long is dropped.
const FORGET: Duration = Duration::from_secs(24 * 60 * 60);
/// The least time between two samples of a series: half a tick.
const LEAST: Duration = Duration::from_millis(500);
/// The most series kept; the key of one more is unsupported.
pub(super) const SERIES: usize = 1024;

/// The kept numbers of one series, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Ring {
    samples: VecDeque<(Instant, Box<[u64]>)>,
}

impl Ring {
    /// The newest numbers and the newest that are at least `age` older, or the oldest if all are younger;
    /// none before two samples are there. With them the time between the two.
    #[must_use]
    pub fn over(&self, age: Duration) -> Option<(&[u64], &[u64], Duration)> {
        let (newest_at, newest) = self.samples.back()?;
        let (at, old) = self
            .samples
            .iter()
            .rev()
            .skip(1)
            .find(|(at, _)| newest_at.duration_since(*at) >= age)
            .or_else(|| self.samples.front())?;
        if self.samples.len() < 2 {
            return None;
        }
        Some((old, newest, newest_at.duration_since(*at)))
    }

    /// Adds a sample and drops what is older than `keep`. One that follows the last too soon is left out: a rate over
    /// a few milliseconds says nothing.
    pub fn push(&mut self, at: Instant, numbers: Box<[u64]>, keep: Duration) {
        if self
            .samples
            .back()
            .is_some_and(|(last, _)| at.duration_since(*last) < LEAST)
        {
            return;
        }
        self.samples.push_back((at, numbers));
        while self
            .samples
            .front()
            .is_some_and(|(old, _)| at.duration_since(*old) > keep + Duration::from_secs(1))
        {
            self.samples.pop_front();
        }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no sample yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// One series that is kept.
#[derive(Clone)]
pub struct Kept {
    /// Index of the subject.
    pub(super) subject: usize,
    /// Index of the key among the subject's keys.
    pub(super) item: usize,
    /// A key that names the series, with which its numbers are picked.
    pub(super) key: Key<'static>,
    pub(super) keep: Duration,
    pub(super) asked: Instant,
    pub(super) ring: Ring,
}

impl Kept {
    /// Asked for now, with no numbers yet.
    pub(super) fn new(subject: usize, item: usize, key: Key<'static>, keep: Duration) -> Self {
        Self {
            subject,
            item,
            key,
            keep,
            asked: Instant::now(),
            ring: Ring::default(),
        }
    }
}

/// All series that are kept.
#[derive(Default)]
pub struct History {
    pub(super) series: HashMap<(usize, String), Kept>,
}

impl History {
    /// Drops series nobody asks for any more.
    pub(super) fn forget(&mut self, now: Instant) {
        self.series
            .retain(|_, kept| now.duration_since(kept.asked) < FORGET);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_over_the_age_asked_or_what_there_is() {
        let mut ring = Ring::default();
        let start = Instant::now();
        assert!(ring.over(Duration::from_secs(60)).is_none());
        for second in 0..100u64 {
            let at = start + Duration::from_secs(second);
            ring.push(at, Box::new([second]), Duration::from_secs(70));
            assert_eq!(ring.over(Duration::from_secs(60)).is_some(), second > 0);
        }
        let (old, new, span) = ring.over(Duration::from_secs(60)).unwrap();
        assert_eq!(
            (old, new, span),
            (&[39][..], &[99][..], Duration::from_secs(60))
        );
        assert_eq!(ring.len(), 72);
    }
}
