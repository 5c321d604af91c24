//! The task of one notifier: takes what waits for it from the outbox, in order, until each is delivered or given up.
//!
//! Holds a page of rows at a time, however many wait. It is alone in what it does: a receiver that hangs holds up nobody
//! else's.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

use super::counts::Counts;
use super::fate::Fate;
use super::marks::Marks;
use super::page::Waiting;
use super::records::{Cursor, Telling};
use super::{Delivery, Lost, Message, Notifier, Sink};
use crate::journal::Journal;
use crate::net::backoff::Backoff;
use crate::net::resolve::Resolver;
use crate::net::tally::Tally;

/// While nothing gets through, what waits is counted at most so often.
const COUNTED: Duration = Duration::from_secs(1);

/// How long is waited.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// After the first failure.
    pub first: Duration,
    /// After many.
    pub longest: Duration,
    /// Before what waits for a notifier that left the config is dropped.
    pub grace: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            grace: Duration::from_secs(60 * 60),
        }
    }
}

/// What all tasks share.
pub(super) struct Shared {
    pub journal: Journal,
    /// Where the journal is, to read it.
    pub directory: PathBuf,
    pub resolver: Resolver,
    pub pace: Pace,
    pub telling: Telling,
}

/// The task's own.
pub(super) struct Deliverer {
    pub name: String,
    pub shared: Arc<Shared>,
    /// None once it left the config.
    pub options: watch::Receiver<Option<Notifier>>,
    pub end: watch::Receiver<bool>,
    pub woken: Arc<Notify>,
    pub counts: Arc<Counts>,
    pub backoff: Backoff,
    /// When what was taken turned out to be lost last.
    shaky: Option<Instant>,
    /// Up to which record something was taken, and up to which it was lost.
    pub told: i64,
    pub doubted: i64,
    /// The last row that is dealt with.
    pub after: i64,
    pub marks: Marks,
    /// How long something that the receiver took may turn out to be lost.
    pub unsure: Duration,
    /// When several were delivered as one last.
    pub gathered: Option<Instant>,
    pub cursor: Cursor,
    /// Grows with the journal.
    pub head: watch::Receiver<i64>,
    /// Who was never told records is told those behind that one.
    pub from: i64,
    pub unread: Tally,
}

/// Why a wait is over, or what follows from a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    On,
    /// What was delivered before comes again first.
    Back,
    Changed,
    End,
}

impl Deliverer {
    pub fn new(
        name: String,
        shared: Arc<Shared>,
        options: watch::Receiver<Option<Notifier>>,
        end: watch::Receiver<bool>,
        woken: Arc<Notify>,
        counts: Arc<Counts>,
    ) -> Self {
        let Pace { first, longest, .. } = shared.pace;
        let head = shared.journal.head();
        let from = *head.borrow();
        Self {
            backoff: Backoff::new(first, longest),
            shaky: None,
            told: 0,
            doubted: 0,
            after: 0,
            marks: Marks::default(),
            unsure: Duration::ZERO,
            gathered: None,
            cursor: Cursor::of(&name),
            from,
            head,
            unread: Tally::default(),
            name,
            shared,
            options,
            end,
            woken,
            counts,
        }
    }

    /// Delivers until the end. What waits then is tried once more, up to the first failure.
    pub async fn run(mut self) {
        loop {
            let notifier = self.options.borrow_and_update().clone();
            let went = match notifier {
                Some(notifier) => self.serve(&notifier).await,
                None => self.gone().await,
            };
            match went {
                Went::On | Went::Back => {}
                // What may still be lost on the way there is lost to who is told from here on.
                Went::Changed if self.options.borrow().is_some() => self.rewind_by(self.unsure),
                Went::Changed => {}
                // No different from a crash: what may be lost is told by the next process.
                Went::End => {
                    self.save(self.unsure).await;
                    self.flush(self.unsure).await;
                }
            }
            self.backoff.reset();
            self.from = *self.head.borrow();
            if went == Went::End {
                return;
            }
        }
    }

    async fn serve(&mut self, notifier: &Notifier) -> Went {
        let sink = notifier.to.options().sink(&self.shared.resolver);
        let mut sink = sink.unwrap_or_else(|why| Box::new(Unusable(why)));
        self.unsure = sink.unsure();
        if notifier.records.is_empty() {
            self.forget().await;
        }
        let went = self.serve_by(sink.as_mut(), notifier).await;
        // A connection that is dead by now took nothing. What the kernel has heard of it is known to the runtime only after it has looked.
        tokio::task::yield_now().await;
        if let Some(lost) = lost_by_now(sink.as_mut()).await {
            self.rewind(lost.since);
        }
        went
    }

    /// Goes back where something is lost by now.
    async fn look(&mut self, sink: &mut dyn Sink) -> Went {
        match lost_by_now(sink).await {
            Some(lost) => self.back(&lost).await,
            None => Went::On,
        }
    }

    async fn serve_by(&mut self, sink: &mut dyn Sink, notifier: &Notifier) -> Went {
        'pages: loop {
            // What is lost by now is not proven.
            match self.look(sink).await {
                Went::On | Went::Back => {}
                other => return other,
            }
            self.flush(self.unsure).await;
            let due = self.cursor.due(self.unsure);
            if due.is_some_and(|due| due <= Instant::now()) {
                self.save(self.unsure).await;
            }
            let Some(page) = self.page(notifier).await else {
                match self.pause(None).await {
                    Went::On => continue,
                    other => return other,
                }
            };
            if let Some(within) = sink.gathers() {
                let waiting = &page.waiting;
                let went = self.deliver_together(sink, notifier, waiting, within).await;
                match went {
                    Went::On if waiting.is_empty() => {}
                    Went::On | Went::Back => continue,
                    other => return other,
                }
            }
            for waiting in &page.waiting {
                let went = match waiting {
                    // What may still be lost is not forgotten for what follows.
                    Waiting::Notice(_) if self.marks.are_full() && !self.unsure.is_zero() => {
                        match self.idle(sink, false).await {
                            Went::On => Went::Back,
                            other => other,
                        }
                    }
                    Waiting::Notice(row) => self.deliver(sink, notifier, row).await,
                    Waiting::Record(record) => self.pass_on(sink, notifier, record).await,
                };
                match went {
                    Went::On => {}
                    Went::Back => continue 'pages,
                    other => return other,
                }
            }
            if !notifier.records.is_empty() {
                self.cursor.moved(page.looked);
            }
            if page.waiting.is_empty() && !page.more {
                match self.idle(sink, !notifier.records.is_empty()).await {
                    Went::On | Went::Back => {}
                    other => return other,
                }
            }
        }
    }

    /// Its notifier left the config.
    async fn gone(&mut self) -> Went {
        self.count().await;
        // As long as what it took may be lost, it can come back.
        let (left, unsure) = (Instant::now(), self.unsure);
        tokio::select! {
            () = sleep_until(left + unsure) => {}
            went = turned(&mut self.options, &mut self.end) => {
                if went == Went::Changed {
                    self.rewind_by(unsure + left.elapsed());
                }
                return went;
            }
        }
        self.unsure = Duration::ZERO;
        self.save(Duration::ZERO).await;
        self.flush(Duration::ZERO).await;
        let until = Instant::now() + self.shared.pace.grace;
        tokio::select! {
            () = sleep_until(until) => {}
            went = turned(&mut self.options, &mut self.end) => return went,
        }
        self.forget().await;
        loop {
            let page = self.rows().await.unwrap_or_default();
            for row in &page {
                let notice = serde_json::from_str(&row.body).ok();
                let why = "its notifier is no longer in the config".to_owned();
                self.settle(row, notice.as_ref(), row.tries, Fate::Dropped(why))
                    .await;
            }
            if page.is_empty() {
                match self.idle(&mut Nobody, false).await {
                    Went::On | Went::Back => {}
                    other => return other,
                }
            }
        }
    }

    /// Nothing waits.
    async fn idle(&mut self, sink: &mut dyn Sink, records: bool) -> Went {
        let save = self.cursor.due(self.unsure);
        let mark = self.marks.due(self.unsure).map(|due| match due {
            // It was tried before.
            due if due <= Instant::now() => Instant::now() + self.shared.pace.longest,
            due => due,
        });
        tokio::select! {
            biased;
            lost = sink.lost() => return self.back(&lost).await,
            // What came before the end is looked at before it.
            () = self.woken.notified() => {}
            Ok(()) = self.head.changed(), if records => {}
            went = turned(&mut self.options, &mut self.end) => return went,
            () = sleep_until(mark.unwrap_or_else(Instant::now)), if mark.is_some() => {
                self.flush(self.unsure).await;
            }
            () = sleep_until(save.unwrap_or_else(Instant::now)), if save.is_some() => {
                self.save(self.unsure).await;
            }
        }
        Went::On
    }

    /// What may be lost is told again, after a while.
    pub(super) async fn back(&mut self, lost: &Lost) -> Went {
        self.rewind(lost.since);
        self.doubted = self.told;
        self.shaky = Some(Instant::now());
        self.failed(&lost.why);
        match self.pause(None).await {
            Went::On => Went::Back,
            other => other,
        }
    }

    /// Something was taken. Where it was so before, and was lost, the pauses grow on.
    pub(super) fn got_through(&mut self, seq: i64) {
        self.told = self.told.max(seq);
        let steady = self.unsure.saturating_mul(3);
        if self.shaky.is_none_or(|shaky| shaky.elapsed() >= steady) {
            self.backoff.reset();
        }
    }

    fn rewind_by(&mut self, unsure: Duration) {
        if let Some(since) = Instant::now().checked_sub(unsure) {
            self.rewind(since);
        }
    }

    /// What was taken since then may be lost: it is told again.
    pub(super) fn rewind(&mut self, since: Instant) {
        self.cursor.rewind(since);
        if let Some(row) = self.marks.rewind(since) {
            self.after = row - 1;
        }
    }

    /// Marks what was taken so long ago.
    pub(super) async fn flush(&mut self, unsure: Duration) {
        // The journal says itself what is wrong with it; the marks wait here.
        if let Err(error) = self.marks.write(unsure, &self.shared.journal).await {
            tracing::debug!(%error, notifier = self.name, "not marked as delivered yet");
        }
    }

    /// Waits before the next try; what wakes it meanwhile is counted.
    pub(super) async fn pause(&mut self, asked: Option<Duration>) -> Went {
        let pause = self.backoff.pause().max(asked.unwrap_or_default());
        let now = Instant::now();
        let (until, mut counted) = (now + pause, now);
        loop {
            let count = counted.max(Instant::now());
            tokio::select! {
                () = sleep_until(until) => return Went::On,
                went = turned(&mut self.options, &mut self.end) => return went,
                () = async { self.woken.notified().await; sleep_until(count).await } => {}
            }
            self.count().await;
            counted = Instant::now() + COUNTED;
        }
    }
}

/// What is lost, if it is known already.
async fn lost_by_now(sink: &mut dyn Sink) -> Option<Lost> {
    tokio::select! {
        biased;
        lost = sink.lost() => Some(lost),
        () = std::future::ready(()) => None,
    }
}

/// Waits until the options are others, or it is the end.
pub(super) async fn turned(
    options: &mut watch::Receiver<Option<Notifier>>,
    end: &mut watch::Receiver<bool>,
) -> Went {
    tokio::select! {
        biased;
        ended = end.wait_for(|end| *end) => {
            // An error: whoever could say so is gone.
            drop(ended);
            Went::End
        }
        changed = options.changed() => match changed {
            Ok(()) => Went::Changed,
            Err(_) => Went::End,
        },
    }
}

/// Options that cannot work; they are refused before, but for a fault of ours.
struct Unusable(String);

#[async_trait]
impl Sink for Unusable {
    async fn deliver(&mut self, _: &Message<'_>) -> Delivery {
        Delivery::failed(self.0.clone())
    }
}

/// Where nothing is delivered.
struct Nobody;

#[async_trait]
impl Sink for Nobody {
    async fn deliver(&mut self, _: &Message<'_>) -> Delivery {
        Delivery::Refused(String::new())
    }
}
