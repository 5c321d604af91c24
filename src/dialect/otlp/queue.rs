//! What is not delivered yet, in memory and bounded by bytes.
//!
//! Owns the order in which things are sent: the newest parcel of a signal once, as soon as it is
//! there; all others oldest first. Overflow drops the oldest parcel of all signals. Pure: no clock,
//! no lock, no socket; [`send`](super::send) holds the one lock around it.
//!
//! A parcel that is being sent is out of the queue but its bytes still count, until it is settled
//! by [`Queue::done`] or comes back by [`Queue::put_back`].

use std::collections::VecDeque;

use hyper::body::Bytes;

use super::batch::Payload;
use super::receipt::{Delivered, Receipt};
use super::signal::Signal;
use super::wire::Packing;
use crate::dialect::spool::Ticket;

/// What a parcel costs beyond its bytes: itself, its allocation, its share of the deque.
const OVERHEAD: usize = 128;

/// One request that waits for its delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// Of which signal.
    pub signal: Signal,
    /// The encoded message, packed as `packing` says.
    pub body: Bytes,
    /// How `body` goes over the wire; none for the bare message.
    pub packing: Option<Packing>,
    /// Data points, spans or log records inside.
    pub items: u64,
    /// Who keeps the message and waits for what becomes of it.
    pub receipt: Option<Receipt>,
    /// Where it lies in the spool, each batch of it; then the queue knows nothing of it.
    pub tickets: Vec<Ticket>,
    /// In the order of arrival, over all signals.
    number: u64,
    /// What it was counted with.
    cost: usize,
}

impl Parcel {
    /// What lies in the spool.
    pub(super) const fn spooled(
        signal: Signal,
        tickets: Vec<Ticket>,
        body: Bytes,
        packing: Option<Packing>,
        items: u64,
    ) -> Self {
        Self {
            signal,
            body,
            packing,
            items,
            receipt: None,
            tickets,
            number: 0,
            cost: 0,
        }
    }

    /// A part of this one, of the same age.
    pub(super) fn part(&self, Payload { body, items }: Payload) -> Self {
        Self {
            body: body.into(),
            packing: None,
            items,
            ..self.clone()
        }
    }

    /// Whether it lies in the spool.
    pub(super) const fn is_spooled(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Answers who waits for what becomes of it; whether somebody did.
    pub(super) fn answer(&self, delivered: Delivered) -> bool {
        if let Some(receipt) = &self.receipt {
            receipt.answer(delivered);
        }
        self.receipt.is_some()
    }
}

/// Why a parcel was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The newest, for the first time.
    Live,
    /// The oldest of the backlog.
    Replay,
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Parcels.
    pub parcels: usize,
    /// Bytes, as counted against the bound.
    pub bytes: usize,
    /// Data points, spans or log records.
    pub items: u64,
}

/// The queue of all signals.
#[derive(Debug)]
pub struct Queue {
    signals: [Waiting; Signal::ALL.len()],
    bytes: usize,
    limit: usize,
    next: u64,
}

/// What waits of one signal.
#[derive(Debug, Default)]
struct Waiting {
    /// By number, the oldest in front.
    parcels: VecDeque<Parcel>,
    /// The number of the newest until it was taken; 0, which is no parcel's, after that.
    fresh: u64,
    /// What is being sent, at most one.
    flying: Option<Parcel>,
}

impl Waiting {
    fn is_fresh(&self, parcel: &Parcel) -> bool {
        parcel.number == self.fresh
    }
}

impl Queue {
    /// An empty queue of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            signals: Default::default(),
            bytes: 0,
            limit,
            next: 0,
        }
    }

    /// An empty queue whose parcels are all newer than those of `other`.
    pub fn after(other: &Self, limit: usize) -> Self {
        Self {
            next: other.next,
            ..Self::new(limit)
        }
    }

    /// Adds a message; gives back what had to go for it, oldest first. A message larger than the
    /// whole queue comes back itself.
    pub fn push(
        &mut self,
        signal: Signal,
        body: Bytes,
        items: u64,
        receipt: Option<Receipt>,
    ) -> Vec<Parcel> {
        let cost = body.len().saturating_add(OVERHEAD);
        self.next += 1;
        let number = self.next;
        let parcel = Parcel {
            signal,
            body,
            packing: None,
            items,
            receipt,
            tickets: Vec::new(),
            number,
            cost,
        };
        if cost > self.limit {
            return vec![parcel];
        }
        self.bytes += cost;
        if let Some(waiting) = self.of(signal) {
            waiting.fresh = number;
            waiting.parcels.push_back(parcel);
        }
        self.shrink()
    }

    /// Takes the newest if it was never tried ([`Way::Live`]), or the oldest of the others ([`Way::Replay`]).
    pub fn take(&mut self, signal: Signal, way: Way) -> Option<Parcel> {
        let waiting = self.of(signal)?;
        let fresh = waiting
            .parcels
            .back()
            .is_some_and(|newest| waiting.is_fresh(newest));
        let taken = match way {
            Way::Live if fresh => {
                waiting.fresh = 0;
                waiting.parcels.pop_back()?
            }
            Way::Replay if waiting.parcels.len() > usize::from(fresh) => {
                waiting.parcels.pop_front()?
            }
            Way::Live | Way::Replay => return None,
        };
        waiting.flying = Some(taken.clone());
        Some(taken)
    }

    /// Returns a parcel that was not taken by the receiver to its place; gives back what had to go.
    pub fn put_back(&mut self, parcel: Parcel) -> Vec<Parcel> {
        self.done(&parcel);
        self.insert(parcel);
        self.shrink()
    }

    /// Adds what is left of another queue, at the places of its age; gives back what had to go.
    pub fn inherit(&mut self, parcels: Vec<Parcel>) -> Vec<Parcel> {
        parcels.into_iter().for_each(|parcel| self.insert(parcel));
        self.shrink()
    }

    fn insert(&mut self, mut parcel: Parcel) {
        parcel.cost = parcel.body.len().saturating_add(OVERHEAD);
        self.bytes = self.bytes.saturating_add(parcel.cost);
        if let Some(waiting) = self.of(parcel.signal) {
            let older = |other: &Parcel| other.number < parcel.number;
            let place = waiting.parcels.partition_point(older);
            waiting.parcels.insert(place, parcel);
        }
    }

    /// Settles a parcel that was taken and will not come back.
    pub fn done(&mut self, parcel: &Parcel) {
        self.bytes = self.bytes.saturating_sub(parcel.cost);
        if let Some(waiting) = self.of(parcel.signal) {
            waiting.flying = None;
        }
    }

    /// Takes out what waits and is nobody else's to keep, oldest first, and whether the last of them was never tried.
    /// [`Queue::inherit`] puts it back.
    pub fn drain(&mut self, signal: Signal) -> (Vec<Parcel>, bool) {
        let Some(waiting) = self.of(signal) else {
            return (Vec::new(), false);
        };
        let (taken, left) = std::mem::take(&mut waiting.parcels)
            .into_iter()
            .partition::<VecDeque<_>, _>(|parcel| parcel.receipt.is_none());
        waiting.parcels = left;
        let fresh = taken.back().is_some_and(|last| waiting.is_fresh(last));
        self.bytes = taken.iter().fold(self.bytes, |bytes, parcel| {
            bytes.saturating_sub(parcel.cost)
        });
        (taken.into(), fresh)
    }

    /// Takes everything out, also what is being sent: whether the receiver got that is not known.
    pub fn clear(&mut self, signal: Signal) -> Vec<Parcel> {
        let Some(waiting) = self.of(signal) else {
            return Vec::new();
        };
        let mut parcels: Vec<_> = waiting.flying.take().into_iter().collect();
        parcels.extend(std::mem::take(&mut waiting.parcels));
        self.bytes = parcels.iter().fold(self.bytes, |bytes, parcel| {
            bytes.saturating_sub(parcel.cost)
        });
        parcels
    }

    /// Whether nothing of the signal waits.
    pub fn is_empty(&self, signal: Signal) -> bool {
        let waiting = self.signals.get(signal.index());
        waiting.is_none_or(|waiting| waiting.parcels.is_empty())
    }

    /// Whether the signal's newest parcel was never taken.
    pub fn has_fresh(&self, signal: Signal) -> bool {
        let Some(waiting) = self.signals.get(signal.index()) else {
            return false;
        };
        let newest = waiting.parcels.back();
        newest.is_some_and(|newest| waiting.is_fresh(newest))
    }

    /// What is not delivered of one signal, what is being sent included.
    pub fn depth(&self, signal: Signal) -> Depth {
        let mut depth = Depth::default();
        let waiting = self.signals.get(signal.index());
        let parcels = waiting
            .iter()
            .flat_map(|of| of.parcels.iter().chain(&of.flying));
        for parcel in parcels {
            depth.parcels += 1;
            depth.bytes += parcel.cost;
            depth.items = depth.items.saturating_add(parcel.items);
        }
        depth
    }

    /// Drops the oldest until the bound holds. What is being sent cannot be dropped; it is at most
    /// one request a signal.
    fn shrink(&mut self) -> Vec<Parcel> {
        let mut dropped = Vec::new();
        while self.bytes > self.limit {
            let oldest = self
                .signals
                .iter_mut()
                .filter(|waiting| !waiting.parcels.is_empty())
                .min_by_key(|waiting| waiting.parcels.front().map(|front| front.number));
            let Some(parcel) = oldest.and_then(|waiting| waiting.parcels.pop_front()) else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(parcel.cost);
            dropped.push(parcel);
        }
        dropped
    }

    fn of(&mut self, signal: Signal) -> Option<&mut Waiting> {
        self.signals.get_mut(signal.index())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    use Signal::{Metrics, Traces};

    fn body(length: usize) -> Bytes {
        vec![0; length - OVERHEAD].into()
    }

    fn numbers(parcels: &[Parcel]) -> Vec<u64> {
        parcels.iter().map(|parcel| parcel.number).collect()
    }

    /// The newest if it was never tried, else the oldest.
    fn next(queue: &mut Queue, signal: Signal) -> Option<(Way, Parcel)> {
        [Way::Live, Way::Replay]
            .into_iter()
            .find_map(|way| Some((way, queue.take(signal, way)?)))
    }

    #[test]
    fn the_newest_goes_first_once_and_the_rest_oldest_first() {
        let mut queue = Queue::new(10_000);
        for items in 1..=3 {
            assert!(queue.push(Metrics, body(200), items, None).is_empty());
        }
        let (way, newest) = next(&mut queue, Metrics).unwrap();
        assert_eq!((way, newest.items), (Way::Live, 3));
        assert!(queue.put_back(newest).is_empty());
        let mut order = Vec::new();
        queue.push(Metrics, body(200), 4, None);
        while let Some((way, parcel)) = next(&mut queue, Metrics) {
            order.push((way, parcel.items));
            queue.done(&parcel);
        }
        let expected = [
            (Way::Live, 4),
            (Way::Replay, 1),
            (Way::Replay, 2),
            (Way::Replay, 3),
        ];
        assert_eq!(order, expected);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn takes_the_newest_or_the_oldest_as_it_is_told() {
        let mut queue = Queue::new(10_000);
        queue.push(Metrics, body(200), 1, None);
        assert!(queue.take(Traces, Way::Live).is_none());
        assert!(
            queue.take(Metrics, Way::Replay).is_none(),
            "it is the newest"
        );
        assert!(queue.has_fresh(Metrics));
        let parcel = queue.take(Metrics, Way::Live).unwrap();
        queue.put_back(parcel);
        assert!(!queue.has_fresh(Metrics));
        assert!(queue.take(Metrics, Way::Live).is_none());
        assert!(queue.take(Metrics, Way::Replay).is_some());
    }

    #[test]
    fn overflow_drops_the_oldest_of_all_signals() {
        let mut queue = Queue::new(1000);
        queue.push(Traces, body(400), 1, None);
        queue.push(Metrics, body(400), 2, None);
        let dropped = queue.push(Metrics, body(400), 3, None);
        assert_eq!(
            (dropped[0].signal, dropped[0].items, dropped.len()),
            (Traces, 1, 1)
        );
        let dropped = queue.push(Metrics, body(1000), 4, None);
        assert_eq!(numbers(&dropped), [2, 3]);
        let dropped = queue.push(Metrics, body(1001), 5, None);
        assert_eq!(dropped[0].items, 5, "larger than the whole queue");
        assert_eq!(
            queue.depth(Metrics),
            Depth {
                parcels: 1,
                bytes: 1000,
                items: 4
            }
        );
        assert_eq!(numbers(&queue.clear(Metrics)), [4]);
        assert_eq!(queue.bytes, 0);
    }

    #[test]
    fn what_is_being_sent_counts_and_may_be_dropped_when_it_comes_back() {
        let mut queue = Queue::new(1000);
        queue.push(Metrics, body(600), 1, None);
        let parcel = queue.take(Metrics, Way::Live).unwrap();
        queue.push(Metrics, body(400), 2, None);
        assert_eq!(numbers(&queue.push(Metrics, body(400), 3, None)), [2]);
        assert!(queue.put_back(parcel.clone()).is_empty());
        let again = queue.take(Metrics, Way::Replay).unwrap();
        assert_eq!(again.number, 1);
        queue.push(Metrics, body(300), 4, None);
        let smaller = Parcel {
            body: body(200),
            ..again
        };
        assert!(queue.put_back(smaller).is_empty(), "packing made room");
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_nothing_is_lost_or_doubled(
            steps in proptest::collection::vec((0_u8..4, 1_usize..600, any::<bool>()), 0..200)
        ) {
            let mut queue = Queue::new(2000);
            let mut flying: Vec<Parcel> = Vec::new();
            let mut ended = Vec::new();
            let mut pushed = 0;
            for (step, length, traces) in steps {
                let signal = if traces { Traces } else { Metrics };
                match step {
                    0 => {
                        pushed += 1;
                        ended.extend(numbers(&queue.push(signal, body(OVERHEAD + length), 1, None)));
                    }
                    1 if flying.iter().all(|parcel| parcel.signal != signal) => {
                        let way = if length % 2 == 0 { Way::Live } else { Way::Replay };
                        flying.extend(queue.take(signal, way));
                    }
                    2 => if let Some(parcel) = flying.pop() {
                        ended.extend(numbers(&queue.put_back(parcel)));
                    }
                    _ => if let Some(parcel) = flying.pop() {
                        queue.done(&parcel);
                        ended.push(parcel.number);
                    }
                }
                let all = queue.depth(Metrics).bytes + queue.depth(Traces).bytes;
                let sending: usize = flying.iter().map(|parcel| parcel.cost).sum();
                prop_assert_eq!(queue.bytes, all);
                prop_assert!(all == sending || all <= 2000);
            }
            ended.extend(numbers(&queue.clear(Metrics)));
            ended.extend(numbers(&queue.clear(Traces)));
            ended.sort_unstable();
            prop_assert_eq!(ended, (1..=pushed).collect::<Vec<u64>>());
        }
    }
}
