//! What a lane keeps on the disk while its receiver is away.
//!
//! Owns the way between queue and spool: when to write, what to say of a disk that does not take it, and what of it to send
//! next. Whatever the disk does, nothing is lost that memory can hold: what could not be written stays in the queue and is
//! tried again. A lane without a spool has an empty keeper.

use std::sync::Arc;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::options::{Compression, Protocol};
use super::queue::Parcel;
use super::reason::Reason;
use super::send::{SPLIT_AT, Shared};
use super::signal::Signal;
use super::split::apart;
use super::wire::Packing;
use crate::dialect::spool::{AGAIN, Record, Spool, Ticket};

/// A batch that was not taken so often while others were, goes behind the others.
const STUBBORN: u32 = 3;
/// The most batches that go with one request; their messages take no more than [`SPLIT_AT`] together.
const TOGETHER: usize = 256;
/// How what was never packed lies on the disk.
const SMALL: Packing = Packing {
    protocol: Protocol::HttpProtobuf,
    compression: Compression::Gzip,
};

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
    /// How often the oldest was not taken while others were.
    stubborn: u32,
    /// So many of the backlog go with one request.
    width: usize,
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
            stubborn: 0,
            width: 1,
        }
    }

    /// Whether there is a disk to write to now.
    pub(super) fn is_on(&self) -> bool {
        self.spool.is_some() && self.again.is_none_or(|at| at <= Instant::now())
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
        let opened = spawn_blocking(move || {
            let opened = spool.open();
            (opened, spool.depth())
        });
        match opened.await {
            Ok((Ok(()), depth)) if depth.records > 0 => tracing::info!(
                "{} batches of {} that no receiver took wait in the otlp spool from an earlier run",
                depth.records,
                self.signal.name()
            ),
            Ok((Ok(()), _)) => {}
            Ok((Err(error), _)) => self.failed(&error),
            Err(error) => self.failed(&std::io::Error::other(error)),
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
        let fresh = self
            .fresh
            .as_ref()
            .and_then(|fresh| fresh.tickets.first().copied());
        let (signal, most) = (self.signal, self.width);
        let counts = Arc::clone(&self.shared.counts);
        let found = spawn_blocking(move || {
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
        let (found, unread) = found.await.ok()?;
        if unread {
            self.again = Some(Instant::now() + AGAIN);
        }
        found
    }

    /// What was sent from the disk is delivered, or given up.
    pub(super) async fn settle(&mut self, tickets: Vec<Ticket>) {
        if let Some(spool) = self.spool.clone() {
            // One that panicked settles nothing: it is sent again.
            spawn_blocking(move || tickets.iter().for_each(|ticket| spool.settle(ticket)))
                .await
                .unwrap_or_default();
        }
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
        let mut parts: Vec<_> = parts.into_iter().map(|part| parcel.part(part)).collect();
        if parcel.is_spooled() {
            parts = self.write(parts).await.1;
            parts.iter_mut().for_each(|part| part.tickets.clear());
            self.settle(parcel.tickets.clone()).await;
        } else {
            self.shared.queue().done(parcel);
        }
        let dropped = self.shared.queue().inherit(parts);
        self.shared.overflowed(&dropped);
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
        let writing = spawn_blocking(move || write(&spool, parcels));
        let Ok((written, left, error)) = writing.await else {
            return (Vec::new(), Vec::new());
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

type Written = (Vec<Parcel>, Vec<Parcel>, Option<std::io::Error>);

/// Writes parcels until one cannot be written.
pub(super) fn write(spool: &Spool, parcels: Vec<Parcel>) -> Written {
    let (at, mut written, mut left, mut failed) = (Record::now(), Vec::new(), Vec::new(), None);
    for mut parcel in parcels {
        if failed.is_some() {
            left.push(parcel);
            continue;
        }
        match append(spool, &mut parcel, at) {
            Ok(()) => written.push(parcel),
            Err(error) => {
                failed = Some(error);
                left.push(parcel);
            }
        }
    }
    (written, left, failed)
}

fn append(spool: &Spool, parcel: &mut Parcel, at: u64) -> std::io::Result<()> {
    let packing = match parcel.packing {
        Some(packing) => packing,
        None => {
            parcel.body = SMALL.pack(&parcel.body)?;
            parcel.packing = Some(SMALL);
            SMALL
        }
    };
    let record = Record {
        // One that goes behind others gets no younger.
        at: parcel.tickets.first().map_or(at, |ticket| ticket.at),
        items: parcel.items,
        kind: pack(packing),
        body: parcel.body.clone(),
    };
    parcel.tickets = vec![spool.append(&record)?];
    Ok(())
}

/// Batches from the disk as one: what is encoded of two messages is, one behind the other, the message that has what both
/// have. Those that do not fit are left out.
fn joined(signal: Signal, batches: Vec<(Ticket, Record)>) -> Option<Parcel> {
    if batches.len() > 1 {
        let (mut tickets, mut message, mut items) = (Vec::new(), Vec::new(), 0_u64);
        for (ticket, record) in &batches {
            let Some(Ok(part)) = unpack(record.kind).map(|packing| packing.unpack(&record.body))
            else {
                break;
            };
            if message.len() + part.len() > SPLIT_AT {
                break;
            }
            message.extend_from_slice(&part);
            items = items.saturating_add(record.items);
            tickets.push(*ticket);
        }
        if tickets.len() > 1 {
            return Some(Parcel::spooled(
                signal,
                tickets,
                message.into(),
                None,
                items,
            ));
        }
    }
    let (ticket, record) = batches.into_iter().next()?;
    let packing = unpack(record.kind);
    let Record { body, items, .. } = record;
    Some(Parcel::spooled(signal, vec![ticket], body, packing, items))
}

const GRPC: u8 = 1;
const GZIP: u8 = 2;

/// The kind of a record whose body is packed so.
pub(super) fn pack(packing: Packing) -> u8 {
    let grpc = match packing.protocol {
        Protocol::Grpc => GRPC,
        Protocol::HttpProtobuf => 0,
    };
    let gzip = match packing.compression {
        Compression::Gzip => GZIP,
        Compression::None => 0,
    };
    grpc | gzip
}

fn unpack(kind: u8) -> Option<Packing> {
    (kind & !(GRPC | GZIP) == 0).then_some(Packing {
        protocol: match kind & GRPC {
            0 => Protocol::HttpProtobuf,
            _ => Protocol::Grpc,
        },
        compression: match kind & GZIP {
            0 => Compression::None,
            _ => Compression::Gzip,
        },
    })
}
