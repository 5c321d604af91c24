//! What the sender counts about itself; [`app`](crate::app) tells it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::reason::Reason;
use super::signal::Signal;

/// Counters since the start of the process, for each signal.
#[derive(Debug, Default)]
pub struct Counts([OfSignal; Signal::ALL.len()]);

#[derive(Debug, Default)]
struct OfSignal {
    requests: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    failures: [AtomicU64; Reason::ALL.len()],
    dropped: [AtomicU64; Reason::ALL.len()],
}

impl Counts {
    /// Requests that the receiver took.
    pub fn requests(&self, signal: Signal) -> u64 {
        self.read(signal, |of| Some(&of.requests))
    }

    /// Data points or spans that the receiver took.
    pub fn items(&self, signal: Signal) -> u64 {
        self.read(signal, |of| Some(&of.items))
    }

    /// Bytes of the requests that the receiver took, compressed if they were; without HTTP's own.
    pub fn bytes(&self, signal: Signal) -> u64 {
        self.read(signal, |of| Some(&of.bytes))
    }

    /// Requests that failed for `reason`, whether they are sent again or not.
    pub fn failures(&self, signal: Signal, reason: Reason) -> u64 {
        self.read(signal, |of| of.failures.get(reason as usize))
    }

    /// Data points or spans that are lost for `reason`.
    pub fn dropped(&self, signal: Signal, reason: Reason) -> u64 {
        self.read(signal, |of| of.dropped.get(reason as usize))
    }

    /// A request was taken, less `rejected` items of it.
    pub(super) fn took(&self, signal: Signal, items: u64, rejected: u64, bytes: usize) {
        let rejected = rejected.min(items);
        self.add(signal, |of| Some(&of.requests), 1);
        self.add(signal, |of| Some(&of.items), items - rejected);
        self.add(signal, |of| Some(&of.bytes), bytes as u64);
        if rejected > 0 {
            self.lost(signal, Reason::PartialSuccess, rejected);
        }
    }

    pub(super) fn failed(&self, signal: Signal, reason: Reason) {
        self.add(signal, |of| of.failures.get(reason as usize), 1);
    }

    pub(super) fn lost(&self, signal: Signal, reason: Reason, items: u64) {
        self.add(signal, |of| of.dropped.get(reason as usize), items);
    }

    fn read(&self, signal: Signal, which: impl Fn(&OfSignal) -> Option<&AtomicU64>) -> u64 {
        let counter = self.0.get(signal.index()).and_then(which);
        counter.map_or(0, |counter| counter.load(Relaxed))
    }

    fn add(&self, signal: Signal, which: impl Fn(&OfSignal) -> Option<&AtomicU64>, by: u64) {
        if let Some(counter) = self.0.get(signal.index()).and_then(which) {
            counter.fetch_add(by, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        let counts = Counts::default();
        for (number, reason) in (1..).zip(Reason::ALL) {
            counts.lost(Signal::Traces, reason, number);
        }
        for (number, reason) in (1..).zip(Reason::ALL) {
            assert_eq!(
                counts.dropped(Signal::Traces, reason),
                number,
                "{}",
                reason.name()
            );
            assert_eq!(counts.dropped(Signal::Metrics, reason), 0);
        }
    }

    #[test]
    fn a_receiver_cannot_reject_more_than_was_sent() {
        let counts = Counts::default();
        counts.took(Signal::Metrics, 5, u64::MAX, 100);
        assert_eq!(counts.items(Signal::Metrics), 0);
        assert_eq!(counts.dropped(Signal::Metrics, Reason::PartialSuccess), 5);
    }
}
