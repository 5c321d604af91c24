//! What happened to connections, for others to read and tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Place;
use crate::net::tally::Tally;

/// Counts since the start; plain numbers that the app tells as series.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections open now.
    pub(super) open: AtomicUsize,
    /// Connections taken and served.
    pub accepted: Tally,
    /// Connections closed at once because [`Limits::connections`](super::Limits::connections) were open.
    pub refused: Tally,
    /// Calls of accept(2) that failed.
    pub accept_errors: Tally,
    /// Connections closed because a peer was too slow to send a request or to read an answer.
    pub timed_out: Tally,
    /// Requests that are not the protocol: not HTTP, too large, cut short.
    pub bad_requests: Tally,
    /// Connections cut because they outlived the drain.
    pub cut: Tally,
    /// Connections whose task panicked.
    pub panicked: Tally,
}

impl Counters {
    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Counts a connection in if fewer than `limit` are open; it is counted out on drop.
    pub(super) fn enter(counters: &Arc<Self>, limit: usize) -> Option<Place> {
        let more = |open: usize| (open < limit).then_some(open + 1);
        counters
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        counters.accepted.add();
        Some(Place(Arc::clone(counters)))
    }
}
