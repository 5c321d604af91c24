//! The task of one notifier: takes what waits for it from the outbox, in order, until each is delivered or given up.
//!
//! Holds a page of rows at a time, however many wait. It is alone in what it does: a receiver that hangs holds up nobody
//! else's.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::counts::Counts;
use super::fate::Fate;
use super::marks::Marks;
use super::page::Waiting;
use super::records::{Cursor, Record, Telling};
use super::{Delivery, Message, Notifier, Sink};
use crate::journal::{Commit, Entry, Journal, Kind, Sent, Undelivered};
use crate::model::event::Event;
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
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
    backoff: Backoff,
    began: Instant,
    /// The last row that is dealt with.
    pub after: i64,
    pub marks: Marks,
    /// How long something that the receiver took may turn out to be lost.
    unsure: Duration,
    /// When several were delivered as one last.
    pub gathered: Option<Instant>,
    pub cursor: Cursor,
    /// Grows with the journal.
    pub head: watch::Receiver<i64>,
    pub unread: Tally,
}

/// How the tries of one event ended.
pub(super) enum Tried {
    /// And for whom not, and why.
    Taken(Option<String>),
    /// And whether only for its age.
    Dropped(String, bool),
    Turned(Went),
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
        Self {
            backoff: Backoff::new(first, longest),
            began: Instant::now(),
            after: 0,
            marks: Marks::default(),
            unsure: Duration::ZERO,
            gathered: None,
            cursor: Cursor::of(&name),
            head: shared.journal.head(),
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
            // What may still be lost on the way there is lost to who is told from here on.
            if went == Went::Changed && self.options.borrow().is_some() {
                let since = Instant::now().checked_sub(self.unsure);
                self.rewind(since.unwrap_or(self.began));
            }
            self.unsure = Duration::ZERO;
            self.backoff.reset();
            self.save(Duration::ZERO).await;
            self.flush(Duration::ZERO).await;
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
        tokio::select! {
            biased;
            since = sink.lost() => self.rewind(since),
            () = std::future::ready(()) => {}
        }
        went
    }

    async fn serve_by(&mut self, sink: &mut dyn Sink, notifier: &Notifier) -> Went {
        'pages: loop {
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
            let due = self.cursor.due(self.unsure);
            if due.is_some_and(|due| due <= Instant::now()) {
                self.save(self.unsure).await;
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
            // What came before the end is looked at before it.
            biased;
            () = self.woken.notified() => {}
            Ok(()) = self.head.changed(), if records => {}
            went = turned(&mut self.options, &mut self.end) => return went,
            () = sleep_until(mark.unwrap_or_else(Instant::now)), if mark.is_some() => {
                self.flush(self.unsure).await;
            }
            () = sleep_until(save.unwrap_or_else(Instant::now)), if save.is_some() => {
                self.save(self.unsure).await;
            }
            since = sink.lost() => self.rewind(since),
        }
        Went::On
    }

    pub(super) async fn deliver(
        &mut self,
        sink: &mut dyn Sink,
        notifier: &Notifier,
        row: &Undelivered,
    ) -> Went {
        self.counts.oldest.store(row.made.0, Ordering::Relaxed);
        let notice: Notice = match serde_json::from_str(&row.body) {
            Ok(notice) => notice,
            Err(error) => {
                let why = format!("what the outbox holds of it cannot be read: {error}");
                self.settle(row, None, row.tries, Fate::Dropped(why)).await;
                return Went::On;
            }
        };
        let event = Event::from(notice.clone());
        let message = Message {
            event: &event,
            seq: row.seq,
            chain: row.chain,
        };
        let mut tries = row.tries;
        let tried = self
            .attempt(
                sink,
                notifier,
                &[message],
                (row.made, &[row.row]),
                &mut tries,
            )
            .await;
        let (fate, rest) = match tried {
            Tried::Taken(but) => (Fate::taken(but), false),
            Tried::Dropped(why, rest) => (Fate::Dropped(why), rest),
            Tried::Turned(went) => return went,
        };
        self.settle(row, Some(&notice), tries, fate).await;
        self.rest(rest).await
    }

    /// Delivers a record of the journal. That one is given up is no record itself: it would be one to tell, and who counts `seq` sees it.
    async fn pass_on(&mut self, sink: &mut dyn Sink, notifier: &Notifier, record: &Record) -> Went {
        self.counts
            .oldest
            .store(record.event.time.0, Ordering::Relaxed);
        let message = Message {
            event: &record.event,
            seq: record.seq,
            chain: record.chain,
        };
        let made = (record.event.time, &[][..]);
        let rest = match self.attempt(sink, notifier, &[message], made, &mut 0).await {
            // Records are for no mail, which alone has several who should get it.
            Tried::Taken(_) => {
                self.counts.delivered.fetch_add(1, Ordering::Relaxed);
                false
            }
            Tried::Dropped(why, rest) => {
                self.lost(1, &why);
                rest
            }
            Tried::Turned(went) => return went,
        };
        self.counts.oldest.store(0, Ordering::Relaxed);
        self.cursor.moved(record.seq);
        self.rest(rest).await
    }

    /// Tries until it is taken, or all of it, given up, or something else is to be done. `made`: when, and the rows in the outbox.
    pub(super) async fn attempt(
        &mut self,
        sink: &mut dyn Sink,
        notifier: &Notifier,
        messages: &[Message<'_>],
        (made, rows): (Timestamp, &[i64]),
        tries: &mut u32,
    ) -> Tried {
        loop {
            let delivered = match messages {
                [one] => sink.deliver(one).await,
                several => sink.deliver_together(several).await,
            };
            let (why, wait) = match delivered {
                Delivery::Taken(_) => {
                    self.backoff.reset();
                    return Tried::Taken(None);
                }
                Delivery::InPart(why) => {
                    self.backoff.reset();
                    return Tried::Taken(Some(why));
                }
                Delivery::Refused(why) => {
                    self.backoff.reset();
                    return Tried::Dropped(why, false);
                }
                Delivery::Lost(since) => {
                    self.rewind(since);
                    return Tried::Turned(Went::Back);
                }
                Delivery::Failed { why, wait } => (why, wait),
            };
            *tries += 1;
            self.failed(&why);
            // Tried first and looked at for its age then: a clock that was set right makes nothing old that was never tried.
            if Timestamp::now().since(made) > notifier.keep.get() {
                let why = format!("not delivered within {}: {why}", notifier.keep);
                return Tried::Dropped(why, true);
            }
            if !rows.is_empty() {
                self.note(rows, &why).await;
            }
            match self.pause(wait).await {
                Went::On => {}
                other => return Tried::Turned(other),
            }
        }
    }

    /// After one was given up for its age, the receiver is still away.
    pub(super) async fn rest(&mut self, rest: bool) -> Went {
        match rest {
            true => self.pause(None).await,
            false => Went::On,
        }
    }

    /// Records that are given up.
    pub fn lost(&self, records: u64, why: &str) {
        let notifier = &self.name;
        self.counts.dropped.add_many(records);
        self.counts.gave_up.note(|left_out| {
            tracing::error!(
                notifier,
                why,
                records,
                left_out,
                "records of the journal are dropped undelivered"
            );
        });
    }

    fn failed(&self, why: &str) {
        let notifier = &self.name;
        self.counts.failed.note(|left_out| {
            tracing::warn!(
                notifier,
                why,
                left_out,
                "a notification is not delivered yet; it is tried again"
            );
        });
    }

    /// Writes down that a try failed; for who looks into the journal, so that it may fail.
    async fn note(&self, rows: &[i64], why: &str) {
        let failed = |row: &i64| (*row, Sent::Failed(Timestamp::now(), why.to_owned()));
        let failed = Commit {
            sent: rows.iter().map(failed).collect(),
            ..Commit::default()
        };
        if let Err(error) = self.shared.journal.commit(failed).await {
            tracing::debug!(%error, "a failed try is not in the journal");
        }
    }

    /// What was taken since then may be lost: it is told again.
    fn rewind(&mut self, since: Instant) {
        self.cursor.rewind(since);
        if let Some(row) = self.marks.rewind(since) {
            self.after = row - 1;
        }
    }

    /// A row is dealt with.
    pub(super) async fn settle(
        &mut self,
        row: &Undelivered,
        notice: Option<&Notice>,
        tries: u32,
        fate: Fate,
    ) {
        self.after = row.row;
        self.counts.one_less();
        self.counts.oldest.store(0, Ordering::Relaxed);
        let mut data = json!({"notifier": self.name, "id": row.id, "failed": tries});
        let (outcome, why) = fate.told();
        if let Some(data) = data.as_object_mut() {
            data.insert("outcome".into(), outcome.into());
            data.extend(why.map(|why| ("why".to_owned(), why.as_str().into())));
        }
        fate.count(&self.counts, &self.name, &row.id);
        let mut entry = Entry::new(Kind::Notify).data(data);
        if let Some(notice) = notice {
            entry = entry
                .incident(&notice.incident)
                .playbook(&notice.playbook)
                .target(&notice.target);
            entry.attempt.clone_from(&notice.attempt);
            entry.trace = notice.trace;
        }
        self.marks.add(row.row, fate.mark(), entry);
        self.flush(self.unsure).await;
        while self.marks.are_full() && !*self.end.borrow() {
            self.flush(Duration::ZERO).await;
            if self.marks.are_full() {
                sleep(self.shared.pace.longest).await;
            }
        }
    }

    async fn flush(&mut self, unsure: Duration) {
        // The journal says itself what is wrong with it; the marks wait here.
        if let Err(error) = self.marks.write(unsure, &self.shared.journal).await {
            tracing::debug!(%error, notifier = self.name, "not marked as delivered yet");
        }
    }

    /// Waits before the next try; what wakes it meanwhile is counted.
    async fn pause(&mut self, asked: Option<Duration>) -> Went {
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
