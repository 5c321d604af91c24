//! When each check is probed next.
//!
//! Checks that start together are spread over their first second (or their `every`, if that is shorter), so that 300 of
//! them do not probe at one instant. A check keeps its place in time; what comes due while its probe still runs is left
//! out. Neighbours in time are probed together, each a little early: waking once for many costs a fraction of waking for
//! each, and their probes share readings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

/// Checks that start together are spread over this at most.
const SPREAD: Duration = Duration::from_secs(1);
/// A probe may be early by this part of the shortest interval,
const EARLY: u32 = 6;
/// and by this at most.
const EARLIEST: Duration = Duration::from_millis(50);

/// Indices of checks by the time they are due; each is in it, or being probed.
pub(super) struct Schedule {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    each: Vec<(Duration, Instant)>,
    early: Duration,
}

impl Schedule {
    /// Checks of these intervals, none of them zero, that start now.
    pub(super) fn new(every: impl ExactSizeIterator<Item = Duration>, now: Instant) -> Self {
        let count = u32::try_from(every.len()).unwrap_or(u32::MAX).max(1);
        let place = |(at, every): (u32, Duration)| (every, now + every.min(SPREAD) / count * at);
        let each: Vec<_> = (0..).zip(every).map(place).collect();
        let shortest = each.iter().map(|(every, _)| *every).min();
        let heap = each.iter().enumerate();
        let heap = heap.map(|(at, (_, due))| Reverse((*due, at))).collect();
        Self {
            heap,
            early: (shortest.unwrap_or_default() / EARLY).min(EARLIEST),
            each,
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes one that is due, or so soon that it is worth no wake-up of its own.
    pub(super) fn due(&mut self, now: Instant) -> Option<usize> {
        if self.next()? > now + self.early {
            return None;
        }
        self.heap.pop().map(|Reverse((_, at))| at)
    }

    /// Puts one back whose probe has ended.
    pub(super) fn again(&mut self, at: usize, now: Instant) {
        let Some((every, due)) = self.each.get_mut(at) else {
            return;
        };
        let late = now.saturating_duration_since(*due).as_nanos();
        let missed = late / every.as_nanos().max(1);
        let skip = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        *due += every.saturating_mul(skip);
        self.heap.push(Reverse((*due, at)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn a_start_is_spread_and_never_longer_than_a_second() {
        let now = Instant::now();
        let schedule = Schedule::new([250 * MILLI; 300].into_iter(), now);
        let mut all: Vec<_> = schedule.each.iter().map(|(_, due)| *due - now).collect();
        assert!(all.iter().all(|due| *due < 250 * MILLI));
        all.dedup();
        assert_eq!(all.len(), 300);
        let slow = Schedule::new([3_600_000 * MILLI; 2].into_iter(), now);
        assert_eq!(slow.each[1].1 - now, 500 * MILLI);
        assert_eq!(Schedule::new([].into_iter(), now).next(), None);
    }

    #[test]
    fn neighbours_in_time_are_probed_together_and_keep_their_places() {
        let now = Instant::now();
        let mut schedule = Schedule::new([250 * MILLI; 300].into_iter(), now);
        let mut times = BTreeMap::<usize, Vec<Instant>>::new();
        let mut wakes = 0;
        while let Some(at) = schedule.next().filter(|at| *at < now + 1000 * MILLI) {
            wakes += 1;
            while let Some(check) = schedule.due(at) {
                times.entry(check).or_default().push(at);
                schedule.again(check, at);
            }
        }
        assert!(wakes <= 30, "{wakes}");
        for (check, times) in times {
            assert!((4..=5).contains(&times.len()), "{check}");
            for (nth, at) in (0..).zip(&times) {
                let place =
                    now + 250 * MILLI / 300 * u32::try_from(check).unwrap() + nth * 250 * MILLI;
                assert!(place >= *at && place - *at <= 42 * MILLI, "{check}");
            }
        }
    }

    #[test]
    fn what_comes_due_during_a_probe_is_left_out() {
        let now = Instant::now();
        let mut schedule = Schedule::new([100 * MILLI].into_iter(), now);
        assert_eq!(schedule.due(now), Some(0));
        assert_eq!(schedule.next(), None);
        schedule.again(0, now + 30 * MILLI);
        assert_eq!(schedule.next(), Some(now + 100 * MILLI));
        assert_eq!(schedule.due(now + 80 * MILLI), None);
        assert_eq!(schedule.due(now + 100 * MILLI), Some(0));
        schedule.again(0, now + 450 * MILLI);
        assert_eq!(schedule.next(), Some(now + 500 * MILLI));
    }
}
