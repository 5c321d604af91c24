//! What a lane keeps on the disk while its receiver is away.
//!
//! Owns the way between queue and spool: when to write, what to say of a disk that does not take it, and what of it to send
//! next. Whatever the disk does, nothing is lost that memory can hold: what could not be written stays in the queue and is
//! tried again. A disk that does not answer is waited for once, [`PATIENCE`] long, and then not asked until it has: telemetry goes on without
//! it. What it was asked may be done all the same, and then comes twice. A lane without a spool has an empty keeper.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout};

use super::kept::{joined, unpack, write};
use super::queue::Parcel;
use super::reason::Reason;
use super::send::{SPLIT_AT, Shared};
use super::signal::Signal;
use super::split::apart;
use crate::dialect::spool::{AGAIN, Record, Spool, Ticket};

/// A batch that was not taken so often while others were, goes behind the others.
const STUBBORN: u32 = 3;
/// The most batches that go with one request; their messages take no more than [`SPLIT_AT`] together.
const TOGETHER: usize = 256;
/// How long the disk may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of one lane.
pub(super) struct Keeper {
    signal: Signal,
    shared: Arc<Shared>,
    spool: Option<Arc<Spool>>,
    /// The newest, which was written before it could be tried.
    fresh: Option<Parcel>,
    /// The disk is not asked before.
    again: Option<Instant>,
    failing: bool,
    /// The disk does what it was asked last, and takes longer than that is waited for.
    hangs: Option<JoinHandle<()>>,
    /// Over, which the disk has still to hear.
    over: Vec<Ticket>,
    /// What of the oldest is still to be sent, where it goes in parts.
    parts: Option<Parts>,
    /// How often the oldest was not taken while others were.
    stubborn: u32,
    /// So many of the backlog go with one request.
    width: usize,
}

/// A batch on the disk that goes in parts: it stays there until the last of them is over.
struct Parts {
    tickets: Vec<Ticket>,
    left: VecDeque<Parcel>,
}

impl Keeper {
    pub(super) fn new(signal: Signal, shared: Arc<Shared>) -> Self {
        let spool = shared.spool(signal);
        Self {
            signal,
            shared,
            spool,
            fresh: None,
            again: None,
            failing: false,
            hangs: None,
            over: Vec::new(),
            parts: None,
            stubborn: 0,
            width: 1,
        }
    }

    /// Whether there is a disk to write to now.
    pub(super) fn is_on(&self) -> bool {
        let hangs = self
            .hangs
            .as_ref()
            .is_some_and(|asked| !asked.is_finished());
        self.spool.is_some() && !hangs && self.again.is_none_or(|at| at <= Instant::now())
    }

    /// Asks the disk, and waits for it in bounded time: none where it did not answer, or what was asked panicked.
    async fn ask<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // Whom the keeper before a reload asked; one thread is enough to wait for it.
        if self.spool.as_ref().is_some_and(|spool| spool.is_held()) {
            self.failed(&std::io::Error::other(
                "the disk has still to answer what it was asked before",
            ));
            return None;
        }
        let (tell, told) = oneshot::channel();
        let asked = spawn_blocking(move || drop(tell.send(work())));
        match timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(_)) => {
                self.failed(&std::io::Error::other("what was at work on it panicked"));
                None
            }
            Err(_) => {
                self.failed(&std::io::Error::other(format!(
                    "the disk has not answered within {PATIENCE:?}"
                )));
                self.hangs = Some(asked);
                None
            }
        }
    }

    /// When the disk may be asked again, if it is left alone now.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again.filter(|at| *at > Instant::now())
    }

    /// Whether something lies there to be sent.
    pub(super) fn has_backlog(&self) -> bool {
        let spool = self.spool.as_ref();
        spool.is_some_and(|spool| spool.depth().records > 0) && self.is_on()
    }

    /// Whether the newest was never tried.
    pub(super) const fn has_fresh(&self) -> bool {
        self.fresh.is_some()
    }

    /// The newest, for its first try.
    pub(super) fn take_fresh(&mut self) -> Option<Parcel> {
        self.fresh.take()
    }

    /// Finds what an earlier process left.
    pub(super) async fn open(&mut self) {
        let Some(spool) = self.spool.clone() else {
            return;
        };
        let opened = self.ask(move || {
            let opened = spool.open();
            (opened, spool.depth())
        });
        match opened.await {
            Some((Ok(()), depth)) if depth.records > 0 => tracing::info!(
                "{} batches of {} that no receiver took wait in the otlp spool from an earlier run",
                depth.records,
                self.signal.name()
            ),
            Some((Err(error), _)) => self.failed(&error),
            Some((Ok(()), _)) | None => {}
        }
    }

    /// Writes what waits in the queue. What cannot be written stays there.
    pub(super) async fn keep(&mut self) {
        if !self.is_on() {
            return;
        }
        let (parcels, fresh) = self.shared.queue().drain(self.signal);
        if parcels.is_empty() {
            return;
        }
        let (written, left) = self.write(parcels).await;
        if left.is_empty() {
            // It is the newest even if it was tried: an older one is the backlog's by now.
            self.fresh = written.into_iter().next_back().filter(|_| fresh);
        } else {
            let dropped = self.shared.queue().inherit(left);
            self.shared.overflowed(&dropped);
        }
    }

    /// Writes a parcel that is being sent, so that it outlives the process whatever comes of it.
    pub(super) async fn keep_flying(&mut self, parcel: &mut Parcel) {
        if parcel.is_spooled() || parcel.receipt.is_some() || !self.is_on() {
            return;
        }
        let (written, _) = self.write(vec![parcel.clone()]).await;
        if let Some(Parcel { tickets, .. }) = written.into_iter().next() {
            self.shared.queue().done(parcel);
            parcel.tickets = tickets;
        }
    }

    /// What is oldest on the disk, the newest left out as long as it was not tried.
    pub(super) async fn oldest(&mut self) -> Option<Parcel> {
        let spool = self.spool.clone().filter(|_| self.has_backlog())?;
        if let Some(part) = self.parts.as_ref().and_then(|parts| parts.left.front()) {
            return Some(part.clone());
        }
        self.settle(Vec::new()).await;
        let fresh = self
            .fresh
            .as_ref()
            .and_then(|fresh| fresh.tickets.first().copied());
        let (signal, most) = (self.signal, self.width);
        let counts = Arc::clone(&self.shared.counts);
        let found = self.ask(move || {
            let now = Record::now();
            let (ticket, record) = loop {
                let Some((ticket, record)) = spool.oldest(now) else {
                    return (None, spool.depth().records > 0);
                };
                if unpack(record.kind).is_some() {
                    break (ticket, record);
                }
                // Of a later version.
                counts.lost(signal, Reason::Damaged, record.items);
                spool.settle(&ticket);
            };
            let room = (SPLIT_AT as u64).saturating_sub(record.size());
            let more = spool.following(&ticket, now, most.saturating_sub(1), room);
            let mut all = vec![(ticket, record)];
            all.extend(more);
            all.retain(|(ticket, _)| Some(*ticket) != fresh);
            (joined(signal, all), false)
        });
        let (found, unread) = found.await?;
        if unread {
            self.again = Some(Instant::now() + AGAIN);
        }
        found
    }

    /// What was sent from the disk is delivered, or given up. Where the disk does not answer, it hears of it later: before it is asked for more.
    pub(super) async fn settle(&mut self, tickets: Vec<Ticket>) {
        if let Some(parts) = &mut self.parts
            && parts.tickets == tickets
        {
            parts.left.pop_front();
            if !parts.left.is_empty() {
                return;
            }
            self.parts = None;
        }
        self.over.extend(tickets);
        let Some(spool) = self.spool.clone().filter(|_| self.is_on()) else {
            return;
        };
        if self.over.is_empty() {
            return;
        }
        let over = std::mem::take(&mut self.over);
        // One that panicked settles nothing: it is sent again.
        self.ask(move || over.iter().for_each(|ticket| spool.settle(ticket)))
            .await
            .unwrap_or_default();
    }

    /// The oldest was not taken by a receiver that takes others: in the end it goes behind them.
    pub(super) async fn not_taken(&mut self, parcel: Parcel) {
        self.stubborn += 1;
        if self.stubborn < STUBBORN {
            return;
        }
        let tickets = parcel.tickets.clone();
        let (written, _) = self.write(vec![parcel]).await;
        if !written.is_empty() {
            self.stubborn = 0;
            self.settle(tickets).await;
        }
    }

    /// What the receiver found too large goes on in parts, if it has some; whether it does.
    pub(super) async fn in_parts(&mut self, parcel: &Parcel) -> bool {
        let Some(packing) = parcel.packing.filter(|_| self.signal == Signal::Metrics) else {
            return false;
        };
        if parcel.receipt.is_some() {
            return false;
        }
        let body = parcel.body.clone();
        let parts = spawn_blocking(move || apart(&packing.unpack(&body).ok()?)).await;
        let Some(parts) = parts.ok().flatten() else {
            return false;
        };
        let parts = parts.into_iter().map(|part| parcel.part(part));
        if !parcel.is_spooled() {
            self.shared.queue().done(parcel);
            let dropped = self.shared.queue().inherit(parts.collect());
            self.shared.overflowed(&dropped);
            return true;
        }
        // It lies on the disk until they are over: they are not written beside it, where there may be no room.
        let mut left: VecDeque<_> = parts.collect();
        match &mut self.parts {
            // A part that is too large itself.
            Some(parts) if parts.tickets == parcel.tickets => {
                parts.left.pop_front();
                left.append(&mut parts.left);
                parts.left = left;
            }
            // Another one is on its way: this one's turn comes once it is the oldest.
            Some(_) => {}
            none => {
                *none = Some(Parts {
                    tickets: parcel.tickets.clone(),
                    left,
                });
            }
        }
        true
    }

    /// The oldest is over with. Where a newer batch came before it was, the receiver takes longer than an interval: then
    /// more and more go with one request, or the backlog would never end.
    pub(super) fn moved_on(&mut self, outpaced: bool) {
        self.stubborn = 0;
        self.width = match outpaced {
            true => (self.width * 2).min(TOGETHER),
            false => 1,
        };
    }

    /// From here on each goes alone again: of some that went together one may be to blame.
    pub(super) const fn alone(&mut self) {
        self.width = 1;
    }

    /// Writes parcels, oldest first; gives back those that are on the disk, and the others.
    async fn write(&mut self, parcels: Vec<Parcel>) -> (Vec<Parcel>, Vec<Parcel>) {
        let Some(spool) = self.spool.clone() else {
            return (Vec::new(), parcels);
        };
        // Whatever becomes of what is asked, they are not lost.
        let kept = parcels.clone();
        let Some((written, left, error)) = self.ask(move || write(&spool, parcels)).await else {
            return (Vec::new(), kept);
        };
        match error {
            Some(error) => self.failed(&error),
            None => self.works(),
        }
        (written, left)
    }

    fn failed(&mut self, error: &std::io::Error) {
        self.again = Some(Instant::now() + AGAIN);
        if let Some(spool) = self.spool.as_ref().filter(|_| !self.failing) {
            tracing::warn!(
                "the otlp spool in {} cannot be used, {} wait in memory and are lost if nodeward ends: {error}; another state \
                 directory (state, --state-dir) or otlp.spool.max_size: 0B ends this",
                spool.directory().display(),
                self.signal.name(),
            );
        }
        self.failing = true;
    }

    fn works(&mut self) {
        self.again = None;
        if std::mem::take(&mut self.failing)
            && let Some(spool) = &self.spool
        {
            tracing::info!(
                "the otlp spool in {} is used again",
                spool.directory().display()
            );
        }
    }
}
