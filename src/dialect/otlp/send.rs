//! The one sender of all signals.
//!
//! ```text
//!  send(metrics) ───┐            ┌─ lane of metrics ─ pack ─ HTTP or gRPC ─> receiver
//!  send(traces)  ───┼─> queue ──>│    newest first, once; the backlog beside it
//!  deliver(logs) <──┘   (bytes)  └─ lane of traces, lane of logs ── ...
//! ```
//!
//! Owns the queue, the counters and the life of the lanes. [`Sender::send`] returns at once and
//! never fails: what cannot be kept is counted. [`Sender::deliver`] is for who keeps a message himself until the receiver has it. Each signal has a lane and a connection of its own,
//! so that a slow receiver of one delays nothing of the other.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::counts::Counts;
use super::kept;
use super::lane::Lane;
use super::queue::{Depth, Parcel, Queue};
use super::reason::Reason;
use super::receipt::{Delivered, Receipt};
use super::settings::Settings;
use super::signal::Signal;
use super::wire::{Carry, Wire};
use crate::dialect::spool::{Loss, Losses, Spool};
use crate::net::resolve::Resolver;
use crate::telemetry::{Often, traces};

/// What a request should not exceed, in bytes of the encoded message: leaves room below what a
/// stock collector takes. Split a batch here.
pub const SPLIT_AT: usize = 3 << 20;

/// What a stock collector takes as one gRPC message (4 MiB); a larger message is dropped at once.
pub const REQUEST_MOST: usize = 4 << 20;

/// Below the state directory.
const SPOOL: &str = "spool";

/// Requests that are too large are logged this often.
const SAY: Duration = Duration::from_secs(3600);

/// Hands telemetry to the lanes. Cheap to clone.
#[derive(Clone)]
pub struct Sender(Arc<Shared>);

/// What sender and lanes share.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    pub(super) limit: usize,
    /// Of metrics; the others have the journal behind them, or are of no use later.
    spool: Option<Arc<Spool>>,
    wake: [Notify; Signal::ALL.len()],
    on: [bool; Signal::ALL.len()],
    closing: watch::Sender<Option<Instant>>,
    pub(super) counts: Arc<Counts>,
    overflowing: Mutex<bool>,
    too_large: Often,
    /// Takes what is left at the end.
    successor: Mutex<Option<Sender>>,
    /// Nothing is sent any more; changed only with the queue locked.
    ended: AtomicBool,
}

/// The lanes, to be run by a task. Without it nothing is sent, only queued.
pub struct Lanes<C = Wire> {
    shared: Arc<Shared>,
    lanes: [Option<Lane<C>>; Signal::ALL.len()],
}

impl Sender {
    /// A sender and its lanes, for the signals that have a route. Opens no connection yet.
    /// `state` is where metrics may be kept on the disk, in a directory of their own.
    pub fn new(settings: &Settings, resolver: &Resolver, state: Option<&Path>) -> (Self, Lanes) {
        let wires = wires(settings, resolver);
        let counts = Arc::default();
        let spool = spool(settings, state, &counts, None);
        let queue = Queue::new(settings.queue);
        Self::over(queue, settings.queue, counts, spool, wires)
    }

    /// A sender in the place of this one, with its counters. What this one still holds when its
    /// lanes end (after [`Sender::close`]) goes to the new one, and so does what it is given later:
    /// a reload loses nothing.
    pub fn succeed(
        &self,
        settings: &Settings,
        resolver: &Resolver,
        state: Option<&Path>,
    ) -> (Self, Lanes) {
        let before = self.0.spool.as_ref();
        let spool = spool(settings, state, &self.0.counts, before);
        self.succeed_over(settings.queue, spool, wires(settings, resolver))
    }

    pub(super) fn succeed_over<C: Carry>(
        &self,
        limit: usize,
        spool: Option<Arc<Spool>>,
        carriers: [Option<C>; Signal::ALL.len()],
    ) -> (Self, Lanes<C>) {
        let queue = Queue::after(&self.0.queue(), limit);
        let (sender, lanes) = Self::over(queue, limit, Arc::clone(&self.0.counts), spool, carriers);
        *lock(&self.0.successor) = Some(sender.clone());
        (sender, lanes)
    }

    /// The same over anything that carries.
    pub(super) fn over<C: Carry>(
        queue: Queue,
        limit: usize,
        counts: Arc<Counts>,
        spool: Option<Arc<Spool>>,
        carriers: [Option<C>; Signal::ALL.len()],
    ) -> (Self, Lanes<C>) {
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            limit,
            spool,
            wake: Default::default(),
            on: carriers.each_ref().map(Option::is_some),
            closing: watch::Sender::new(None),
            counts,
            overflowing: Mutex::new(false),
            too_large: Often::new(SAY),
            successor: Mutex::new(None),
            ended: AtomicBool::new(false),
        });
        let mut signals = Signal::ALL.into_iter();
        let lanes = carriers.map(|carrier| {
            let signal = signals.next()?;
            carrier.map(|carrier| Lane::new(signal, carrier, Arc::clone(&shared)))
        });
        (Self(Arc::clone(&shared)), Lanes { shared, lanes })
    }

    /// Whether `signal` has a receiver; if not, there is no need to encode anything.
    pub fn sends(&self, signal: Signal) -> bool {
        self.0.on.get(signal.index()).is_some_and(|on| *on)
    }

    /// Queues an encoded `Export...ServiceRequest` with so many `items` (data points, spans, log records).
    ///
    /// Returns at once. A message of a signal without a receiver is ignored; one that is larger
    /// than [`REQUEST_MOST`] is dropped and counted. After [`Sender::close`] it
    /// goes to the successor, if there is one.
    pub fn send(&self, signal: Signal, message: Bytes, items: u64) {
        self.put(signal, message, items, None);
    }

    /// Queues it as [`Sender::send`] does, and waits for what becomes of it: however long the receiver is away. What is not
    /// delivered in the end is not counted as dropped; [`Sender::skipped`] is for that.
    pub async fn deliver(&self, signal: Signal, message: Bytes, items: u64) -> Delivered {
        let (receipt, answered) = Receipt::new();
        self.put(signal, message, items, Some(receipt));
        answered.await.unwrap_or(Delivered::Not)
    }

    /// Counts items that their keeper gives up.
    pub fn skipped(&self, signal: Signal, reason: Reason, items: u64) {
        self.0.counts.lost(signal, reason, items);
    }

    fn put(&self, signal: Signal, message: Bytes, items: u64, receipt: Option<Receipt>) {
        if self.0.closing.borrow().is_some() {
            let successor = lock(&self.0.successor).clone();
            match successor {
                Some(successor) => successor.put(signal, message, items, receipt),
                None if receipt.is_none() => self.0.counts.lost(signal, Reason::Shutdown, items),
                None => {}
            }
            return;
        }
        if !self.sends(signal) {
            return;
        }
        if message.len() > REQUEST_MOST {
            match receipt {
                Some(receipt) => receipt.answer(Delivered::Refused(Reason::TooLarge)),
                None => self.0.too_large(signal, message.len(), items),
            }
            return;
        }
        let dropped = self.0.queue().push(signal, message, items, receipt);
        self.0.overflowed(&dropped);
        self.0.wake(signal);
    }

    /// Ends the lanes: they send what they can until `deadline`, but do not wait for a receiver
    /// that is away. Then [`Lanes::run`] returns.
    pub fn close(&self, deadline: Instant) {
        self.0.closing.send_replace(Some(deadline));
        Signal::ALL
            .into_iter()
            .for_each(|signal| self.0.wake(signal));
    }

    /// What is not delivered of one signal, what is being sent included.
    pub fn depth(&self, signal: Signal) -> Depth {
        self.0.queue().depth(signal)
    }

    /// What waits on the disk, of the signals that may.
    pub fn spool(&self, signal: Signal) -> Option<Arc<Spool>> {
        self.0.spool(signal)
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }
}

/// The spool of the settings; that of `before`, if it lies there already.
fn spool(
    settings: &Settings,
    state: Option<&Path>,
    counts: &Arc<Counts>,
    before: Option<&Arc<Spool>>,
) -> Option<Arc<Spool>> {
    settings.route(Signal::Metrics)?;
    let (bounds, directory) = (settings.spool?, state?.join(SPOOL));
    if let Some(same) = before.filter(|before| before.directory() == directory) {
        same.bound(bounds);
        return Some(Arc::clone(same));
    }
    let losses = Arc::new(Lost(Arc::clone(counts)));
    Some(Arc::new(Spool::new(directory, "otlp", bounds, losses)))
}

/// What its spool loses, as metrics that are lost.
pub(super) struct Lost(pub(super) Arc<Counts>);

impl Losses for Lost {
    fn lost(&self, why: Loss, items: u64) {
        let reason = match why {
            Loss::Full => Reason::SpoolFull,
            Loss::Expired => Reason::Expired,
            Loss::Damaged => Reason::Damaged,
        };
        self.0.lost(Signal::Metrics, reason, items);
    }
}

fn wires(settings: &Settings, resolver: &Resolver) -> [Option<Wire>; Signal::ALL.len()] {
    let wire = |route| Wire::new(route, resolver);
    Signal::ALL.map(|signal| settings.route(signal).map(wire))
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Traces of nodeward's own work, as opentelemetry-otlp encoded them.
impl traces::Carry for Sender {
    fn carry(&self, body: Bytes) -> traces::Carried<'_> {
        let items = spans(&body);
        self.send(Signal::Traces, body, items);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Spans in an encoded `ExportTraceServiceRequest`.
fn spans(body: &Bytes) -> u64 {
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap_or_default();
    let resources = request.resource_spans.iter();
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

impl<C: Carry> Lanes<C> {
    /// Sends until [`Sender::close`]. What is left then is dropped and counted.
    pub async fn run(self) {
        let Self {
            shared,
            lanes: [metrics, traces, logs],
        } = self;
        let run = async |lane: Option<Lane<C>>| {
            if let Some(lane) = lane {
                lane.run().await;
            }
        };
        tokio::select! {
            () = async { _ = tokio::join!(run(metrics), run(traces), run(logs)) } => {}
            () = shared.past_deadline() => {}
        }
        // It may write to the disk.
        let ended = tokio::task::spawn_blocking(move || shared.abandon()).await;
        if let Err(error) = ended {
            tracing::error!(%error, "what was left of otlp telemetry is lost");
        }
    }
}

impl Shared {
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }

    /// Where this signal is kept on the disk, if it is.
    pub(super) fn spool(&self, signal: Signal) -> Option<Arc<Spool>> {
        self.spool.clone().filter(|_| signal == Signal::Metrics)
    }

    /// When the lanes must end, if they must.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.borrow().is_some()
    }

    /// Waits for the next parcel of `signal`, or for the end.
    pub(super) async fn woken(&self, signal: Signal) {
        match self.wake.get(signal.index()) {
            Some(wake) => wake.notified().await,
            None => std::future::pending().await,
        }
    }

    fn wake(&self, signal: Signal) {
        if let Some(wake) = self.wake.get(signal.index()) {
            wake.notify_one();
        }
    }

    async fn past_deadline(&self) {
        let mut closing = self.closing.subscribe();
        let deadline = closing
            .wait_for(Option::is_some)
            .await
            .map(|deadline| *deadline);
        match deadline {
            Ok(Some(deadline)) => tokio::time::sleep_until(deadline).await,
            // The sender lives in `self`, so this does not happen.
            _ => std::future::pending().await,
        }
    }

    /// Counts what had to go for newer telemetry, and says so once until the queue was empty.
    pub(super) fn overflowed(&self, dropped: &[Parcel]) {
        let dropped: Vec<_> = dropped
            .iter()
            .filter(|parcel| !parcel.answer(Delivered::Not))
            .collect();
        for parcel in &dropped {
            self.counts
                .lost(parcel.signal, Reason::QueueFull, parcel.items);
        }
        let mut overflowing = self
            .overflowing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !dropped.is_empty() && !*overflowing {
            *overflowing = true;
            tracing::warn!(
                "the otlp queue holds {} bytes and is full: the oldest telemetry is dropped from \
                 now on; otlp.queue makes it larger",
                self.limit,
            );
        }
    }

    /// Called when a receiver takes telemetry.
    pub(super) fn flows(&self) {
        let queue = self.queue();
        if Signal::ALL.into_iter().all(|signal| queue.is_empty(signal)) {
            *lock(&self.overflowing) = false;
        }
    }

    fn too_large(&self, signal: Signal, bytes: usize, items: u64) {
        self.counts.lost(signal, Reason::TooLarge, items);
        if let Some(left_out) = self.too_large.say(std::time::Instant::now()) {
            tracing::warn!(
                left_out,
                "an otlp request of {} with {bytes} bytes was dropped: receivers take at most \
                 {REQUEST_MOST}",
                signal.name(),
            );
        }
    }

    /// The end: what is left goes to the successor, or is dropped and counted.
    fn abandon(&self) {
        let left: Vec<Parcel> = {
            let mut queue = self.queue();
            self.ended.store(true, Ordering::Relaxed);
            let signals = Signal::ALL.into_iter();
            signals.flat_map(|signal| queue.clear(signal)).collect()
        };
        let lost = self.pass_on(left);
        if lost > 0 {
            tracing::warn!("stopped with {lost} otlp items that no receiver took");
        }
    }

    /// Gives parcels to the successor; tells how many items none took.
    fn pass_on(&self, mut parcels: Vec<Parcel>) -> u64 {
        let successor = lock(&self.successor).clone();
        let mut lost = 0;
        parcels.retain(|parcel| {
            let wanted = successor
                .as_ref()
                .is_some_and(|sender| sender.sends(parcel.signal));
            let kept = !wanted && self.keep(parcel);
            if !wanted && !kept && !parcel.answer(Delivered::Not) {
                self.counts
                    .lost(parcel.signal, Reason::Shutdown, parcel.items);
                lost += parcel.items;
            }
            wanted
        });
        let inherited = successor.map_or(0, |successor| successor.0.inherit(parcels));
        lost + inherited
    }

    /// Writes what is left at the end to the disk.
    fn keep(&self, parcel: &Parcel) -> bool {
        let spool = self
            .spool(parcel.signal)
            .filter(|_| parcel.receipt.is_none());
        spool.is_some_and(|spool| kept::write(&spool, vec![parcel.clone()]).2.is_none())
    }

    fn inherit(&self, parcels: Vec<Parcel>) -> u64 {
        let dropped = {
            let mut queue = self.queue();
            if self.ended.load(Ordering::Relaxed) {
                drop(queue);
                return self.pass_on(parcels);
            }
            queue.inherit(parcels)
        };
        self.overflowed(&dropped);
        Signal::ALL.into_iter().for_each(|signal| self.wake(signal));
        0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
