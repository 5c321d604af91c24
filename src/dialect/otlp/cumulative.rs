//! What is remembered of cumulative streams from batch to batch, so that a reset gets a new start
//! (OTLP data model, "Resets and gaps").
//!
//! Owns the start times. The surprising decision: a stream without a point is not forgotten, since a
//! device may come back with less than it had; only of more than 4096 such are those forgotten that
//! have been gone longest.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::fast::{FixedState, RandomState};

/// Streams remembered without a point of theirs: a few hundred kilobytes.
const ABSENT_MOST: usize = 4096;

/// The streams of one process; it outlives batches and reloads.
pub struct Cumulative {
    began: u64,
    streams: HashMap<u64, Stream, FixedState>,
    hash: RandomState,
    batch: u64,
}

struct Stream {
    last: f64,
    last_at: u64,
    start: u64,
    batch: u64,
}

impl Default for Cumulative {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_nanos();
        Self {
            began: u64::try_from(now).unwrap_or(u64::MAX),
            streams: HashMap::default(),
            hash: RandomState::default(),
            batch: 0,
        }
    }
}

impl Cumulative {
    /// When this was made, which is when the process began to count, in Unix nanoseconds.
    pub(super) const fn began(&self) -> u64 {
        self.began
    }

    /// What stands for a stream.
    pub(super) fn key(&self, name: &str, values: &[&str]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        hasher.write(name.as_bytes());
        for value in values {
            hasher.write_u8(0xff);
            hasher.write(value.as_bytes());
        }
        hasher.finish()
    }

    /// A new batch begins.
    pub(super) fn begin(&mut self) {
        self.batch += 1;
    }

    /// The start of a stream whose value is `value` now: `first` until it falls.
    pub(super) fn start(&mut self, key: u64, value: f64, first: u64, now: u64) -> u64 {
        let batch = self.batch;
        let stream = self.streams.entry(key).or_insert(Stream {
            last: value,
            last_at: now,
            start: first,
            batch,
        });
        if value < stream.last {
            stream.start = stream.last_at;
        }
        stream.last = value;
        stream.last_at = now;
        stream.batch = batch;
        stream.start
    }

    /// The batch has all its points.
    pub(super) fn end(&mut self) {
        let absent = self.streams.values().map(|stream| stream.batch);
        let mut absent: Vec<_> = absent.filter(|batch| *batch < self.batch).collect();
        if let Some(many) = absent.len().checked_sub(ABSENT_MOST + 1) {
            let (_, cut, _) = absent.select_nth_unstable(many);
            let cut = *cut;
            self.streams.retain(|_, stream| stream.batch > cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: u64 = 10;

    /// The start of one stream in a batch of its own at `now`.
    fn start(cumulative: &mut Cumulative, now: u64, device: &str, value: f64) -> u64 {
        cumulative.begin();
        let key = cumulative.key("t.time", &[device]);
        let start = cumulative.start(key, value, BOOT, now);
        cumulative.end();
        start
    }

    #[test]
    fn a_stream_that_was_away_keeps_its_start_and_is_known_to_have_fallen() {
        let mut cumulative = Cumulative::default();
        assert_eq!(start(&mut cumulative, 100, "eth0", 5.0), BOOT);
        assert_eq!(start(&mut cumulative, 200, "eth0", 1.0), 100);
        for now in 3..10 {
            assert_eq!(start(&mut cumulative, now * 100, "eth1", 2.0), BOOT);
        }
        assert_eq!(start(&mut cumulative, 1000, "eth0", 1.0), 100);
        for now in 11..20 {
            assert_eq!(start(&mut cumulative, now * 100, "eth1", 2.0), BOOT);
        }
        assert_eq!(start(&mut cumulative, 2000, "eth0", 0.5), 1000);
    }

    #[test]
    fn endless_streams_take_bounded_memory_and_the_newest_are_remembered() {
        let mut cumulative = Cumulative::default();
        for round in 0..12 {
            cumulative.begin();
            for device in 0..ABSENT_MOST / 4 {
                let key = cumulative.key("t.time", &[&format!("{round}:{device}")]);
                cumulative.start(key, 5.0, BOOT, 100 + round);
            }
            cumulative.end();
            assert!(cumulative.streams.len() <= ABSENT_MOST * 5 / 4);
        }
        assert_eq!(start(&mut cumulative, 200, "10:7", 1.0), 110);
    }
}
