//! The sending loop of one signal.
//!
//! ```text
//!             ┌──────────── nothing may be sent: wait for a parcel, the backoff, Retry-After
//!             v                                                        │
//!  ──> take: newest, never tried ─ in turn with ─ oldest, when the backoff is over ──> carry
//!             ^                                                        │
//!             ├── taken: backoff over, the backlog follows at once <───┤
//!             ├── later: back into the queue, backoff or Retry-After <─┤   away, or slow: onto the disk
//!             └── never: dropped and counted, the backlog follows <────┘
//! ```
//!
//! Owns when to send and what to log. The backoff (1 s to 60 s, with jitter) is the replay's alone:
//! each new parcel is tried once, outside a `Retry-After`, so that a receiver that is back sees
//! fresh points within two intervals. Newest and backlog take turns, so that neither waits for ever for a receiver
//! that takes longer than an interval. An answer that refuses a request for good proves that the
//! receiver lives, and never holds up what stands behind it. What is to outlive the process goes to the
//! [`keeper`](super::keeper): all that comes while the receiver is away, and what it has not answered for a second. The backlog
//! on the disk is sent one request at a time, at most twenty a second, and several batches in one if new ones come faster than
//! requests are answered. Lines are logged on changes only.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tracing::field::Empty;
use tracing::{Instrument, Span};

use super::answer::Answer;
use super::keeper::Keeper;
use super::queue::{Parcel, Way};
use super::reason::Reason;
use super::receipt::Delivered;
use super::send::Shared;
use super::signal::Signal;
use super::wire::Carry;
use crate::net::backoff::Backoff;
use crate::telemetry::traces;

/// A message larger than this is packed on a blocking thread: below, it takes about a millisecond.
const PACKED_HERE: usize = 128 << 10;
/// Pauses of the replay, before their jitter.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Between two batches from the disk: what else the receiver has to do goes on.
const PACE: Duration = Duration::from_millis(50);
/// What is not answered for so long is written to the disk meanwhile.
const SLOW: Duration = Duration::from_secs(1);

/// More than so many batches in memory are written to the disk.
const BEHIND: usize = 4;

/// One signal's loop.
pub(super) struct Lane<C> {
    signal: Signal,
    carrier: C,
    shared: Arc<Shared>,
    keeper: Keeper,
    standing: Standing,
    backoff: Backoff,
    /// The backlog is not sent before.
    replay_at: Option<Instant>,
    /// Nothing is sent before: the receiver said so.
    quiet_until: Option<Instant>,
    /// The last request that was taken was not taken whole.
    partial: bool,
    /// The newest was the last that the receiver answered: now it is the backlog's turn.
    owed: bool,
}

/// How the receiver stands, for the log.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Standing {
    Unknown,
    Up,
    Away { since: Instant },
    Refusing { since: Instant },
}

impl<C: Carry> Lane<C> {
    pub(super) fn new(signal: Signal, carrier: C, shared: Arc<Shared>) -> Self {
        Self {
            signal,
            carrier,
            keeper: Keeper::new(signal, Arc::clone(&shared)),
            shared,
            standing: Standing::Unknown,
            backoff: Backoff::new(FIRST, LONGEST),
            replay_at: None,
            quiet_until: None,
            partial: false,
            owed: false,
        }
    }

    /// Sends until the sender closes and nothing is left that can be sent.
    pub(super) async fn run(mut self) {
        self.keeper.open().await;
        loop {
            if self.is_away() || self.is_behind() {
                self.keeper.keep().await;
            }
            let closing = self.shared.is_closing();
            let now = Instant::now();
            let over = |at: Option<Instant>| at.is_none_or(|at| at <= now);
            let live = over(self.quiet_until);
            let replay = live && (closing || over(self.replay_at));
            match self.next(live, replay, closing).await {
                Some((way, parcel)) => {
                    let moved = self.attempt(way, parcel).await;
                    if self.shared.is_closing() && !moved {
                        return;
                    }
                }
                None if closing => return,
                None => self.wait().await,
            }
        }
    }

    /// Whether the receiver did not take the last request, or does not want any now.
    fn is_away(&self) -> bool {
        matches!(self.standing, Standing::Away { .. }) || self.quiet_until.is_some()
    }

    /// Whether more comes than the receiver takes.
    fn is_behind(&self) -> bool {
        self.keeper.is_on() && self.shared.queue().depth(self.signal).parcels > BEHIND
    }

    /// The newest in turn with the backlog.
    async fn next(&mut self, live: bool, replay: bool, closing: bool) -> Option<(Way, Parcel)> {
        if replay
            && self.owed
            && let Some(oldest) = self.oldest(closing).await
        {
            return Some((Way::Replay, oldest));
        }
        if live && let Some(newest) = self.newest() {
            return Some((Way::Live, newest));
        }
        if !replay {
            return None;
        }
        let oldest = self.oldest(closing).await;
        oldest.map(|parcel| (Way::Replay, parcel))
    }

    fn newest(&mut self) -> Option<Parcel> {
        let kept = self.keeper.take_fresh();
        kept.or_else(|| self.shared.queue().take(self.signal, Way::Live))
    }

    /// What waits on the disk, else what waits in memory, which is younger. At the end the disk is left to the next start.
    async fn oldest(&mut self, closing: bool) -> Option<Parcel> {
        if !closing && let Some(kept) = self.keeper.oldest().await {
            return Some(kept);
        }
        self.shared.queue().take(self.signal, Way::Replay)
    }

    /// Sends one parcel once; false if the receiver was not there for it.
    async fn attempt(&mut self, way: Way, mut parcel: Parcel) -> bool {
        let span = self.span(way, &parcel);
        let packed = self.packed(&mut parcel).instrument(span.clone()).await;
        let away = self.is_away();
        let answer = match packed {
            Ok(()) => self.carried(&mut parcel).instrument(span.clone()).await,
            Err(told) => Answer::Never {
                reason: Reason::TooLarge,
                told,
            },
        };
        if let Answer::Later { reason, .. } | Answer::Never { reason, .. } = &answer {
            span.record("error.type", reason.name());
            span.record("otel.status_code", "ERROR");
        }
        drop(span);
        let together = parcel.tickets.len() > 1;
        let apart = together && matches!(answer, Answer::Never { .. });
        match answer {
            Answer::Taken { rejected, told } => self.taken(&parcel, rejected, &told).await,
            // Which of them is to blame shows when each goes alone.
            Answer::Never { reason, .. } if together => {
                self.shared.counts.failed(self.signal, reason);
                self.keeper.alone();
            }
            Answer::Never { reason, told } => self.refused(&parcel, reason, &told).await,
            Answer::Later { reason, wait, told } => {
                self.shared.counts.failed(self.signal, reason);
                if !parcel.is_spooled() {
                    let dropped = self.shared.queue().put_back(parcel);
                    self.shared.overflowed(&dropped);
                } else if together {
                    self.keeper.alone();
                } else if way == Way::Replay && !away {
                    self.keeper.not_taken(parcel).await;
                }
                let now = Instant::now();
                self.quiet_until = wait.filter(|wait| !wait.is_zero()).map(|wait| now + wait);
                if self.quiet_until.is_some() {
                    self.replay_at = self.quiet_until;
                } else if way == Way::Replay || self.replay_at.is_none() {
                    self.replay_at = Some(now + self.backoff.pause());
                }
                self.away(&told);
                self.owed = false;
                return false;
            }
        }
        let paced = way == Way::Replay && parcel.is_spooled();
        if paced && !apart {
            let newer = self.keeper.has_fresh() || self.shared.queue().has_fresh(self.signal);
            self.keeper.moved_on(newer);
        }
        self.owed = way == Way::Live;
        self.backoff.reset();
        self.replay_at = paced.then(|| Instant::now() + PACE);
        self.quiet_until = None;
        true
    }

    /// Carries a parcel, and keeps it and what comes meanwhile if that takes long.
    async fn carried(&mut self, parcel: &mut Parcel) -> Answer {
        let mut keeping = self.is_away();
        let Self {
            carrier,
            keeper,
            shared,
            signal,
            ..
        } = self;
        let mut carrying = pin!(carrier.carry(parcel.body.clone()));
        loop {
            if keeping {
                keeper.keep_flying(parcel).await;
                keeper.keep().await;
            }
            tokio::select! {
                biased;
                answer = &mut carrying => return answer,
                () = sleep(SLOW), if !keeping && keeper.is_on() => keeping = true,
                () = shared.woken(*signal), if keeping => {}
            }
        }
    }

    /// What a request was about is over.
    async fn settled(&mut self, parcel: &Parcel) {
        match parcel.is_spooled() {
            true => self.keeper.settle(parcel.tickets.clone()).await,
            false => self.shared.queue().done(parcel),
        }
    }

    /// The span of an export. Traces get none, or each export of traces would cause the next; logs get none, since the
    /// journal is what a run's own trace tells; the backlog gets none, or an outage would end in a flood of them.
    fn span(&self, way: Way, parcel: &Parcel) -> Span {
        match (self.signal, way) {
            (Signal::Traces | Signal::Logs, _) | (_, Way::Replay) => Span::none(),
            (Signal::Metrics, Way::Live) => tracing::info_span!(
                target: traces::TARGET,
                parent: None,
                "otlp export",
                otel.kind = "client",
                otel.status_code = Empty,
                error.type = Empty,
                nodeward.otlp.receiver = self.carrier.peer(),
                // An i64, or it is exported as a text.
                nodeward.otlp.items = i64::try_from(parcel.items).unwrap_or(i64::MAX),
            ),
        }
    }

    async fn packed(&self, parcel: &mut Parcel) -> Result<(), String> {
        let packing = self.carrier.packing();
        if parcel.packing == Some(packing) {
            return Ok(());
        }
        let (body, before) = (parcel.body.clone(), parcel.packing);
        let pack = move || {
            let message = before.map_or(Ok(body.clone()), |before| before.unpack(&body))?;
            packing.pack(&message)
        };
        let packed = if parcel.body.len() <= PACKED_HERE {
            pack()
        } else {
            let packed = tokio::task::spawn_blocking(pack).await;
            packed.unwrap_or_else(|error| Err(std::io::Error::other(error)))
        };
        parcel.body = packed.map_err(|error| format!("could not be packed: {error}"))?;
        parcel.packing = Some(packing);
        Ok(())
    }

    async fn wait(&self) {
        let at = {
            let queue = self.shared.queue();
            if queue.has_fresh(self.signal) || self.keeper.has_fresh() {
                self.quiet_until
            } else if !queue.is_empty(self.signal) || self.keeper.has_backlog() {
                self.replay_at.max(self.quiet_until)
            } else {
                None
            }
        };
        let again = self.keeper.again();
        let at = at.into_iter().chain(again).min();
        let due = async {
            match at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.woken(self.signal) => {}
            () = due => {}
        }
    }

    async fn taken(&mut self, parcel: &Parcel, rejected: u64, told: &str) {
        self.settled(parcel).await;
        parcel.answer(Delivered::Taken);
        self.shared
            .counts
            .took(self.signal, parcel.items, rejected, parcel.body.len());
        self.shared.flows();
        let (signal, peer) = (self.signal.name(), self.carrier.peer());
        match self.standing {
            Standing::Up => {}
            Standing::Unknown => tracing::debug!("{peer} takes {signal} over otlp"),
            Standing::Away { since } | Standing::Refusing { since } => {
                let seconds = since.elapsed().as_secs();
                tracing::info!("{peer} takes {signal} over otlp again after {seconds} s");
            }
        }
        self.standing = Standing::Up;
        let partial = rejected > 0 || !told.is_empty();
        if partial && !self.partial {
            tracing::warn!(
                "{peer} took {signal} over otlp but for {rejected} of {} items; it says: {told}",
                parcel.items,
            );
        }
        self.partial = partial;
    }

    async fn refused(&mut self, parcel: &Parcel, reason: Reason, told: &str) {
        self.shared.counts.failed(self.signal, reason);
        if reason == Reason::TooLarge && self.keeper.in_parts(parcel).await {
            return;
        }
        self.settled(parcel).await;
        let kept = parcel.answer(Delivered::Refused(reason));
        if !kept {
            self.shared.counts.lost(self.signal, reason, parcel.items);
        }
        if !matches!(self.standing, Standing::Refusing { .. }) {
            let (signal, peer) = (self.signal.name(), self.carrier.peer());
            let items = parcel.items;
            let remedy = reason.remedy(signal).unwrap_or_default();
            let become_of = match kept {
                true => "stay in the journal",
                false => "are dropped",
            };
            tracing::warn!(
                "{peer} refuses {signal} over otlp, {items} items {become_of} ({}): {told}{remedy}",
                reason.name(),
            );
            self.standing = Standing::Refusing {
                since: Instant::now(),
            };
        }
    }

    fn away(&mut self, told: &str) {
        if !matches!(self.standing, Standing::Away { .. }) {
            let (signal, peer) = (self.signal.name(), self.carrier.peer());
            let place = match self.keeper.is_on() {
                true => "on the disk".to_owned(),
                false => format!("at most {} bytes", self.shared.limit),
            };
            tracing::warn!(
                "{peer} does not take {signal} over otlp now, they are kept ({place}) and sent again: {told}",
            );
            self.standing = Standing::Away {
                since: Instant::now(),
            };
        }
    }
}
