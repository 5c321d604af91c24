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
use super::marks::Marks;
use super::{Delivery, Message, Notifier, Sink};
use crate::journal::{Commit, Entry, Journal, Kind, ReadError, Reader, Sent, Undelivered};
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;
use crate::net::backoff::Backoff;
use crate::net::resolve::Resolver;
use crate::net::tally::Tally;

/// Rows that are held at a time.
const PAGE: usize = 32;
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
    /// The last row that is dealt with.
    after: i64,
    marks: Marks,
    unread: Tally,
}

/// Why a wait is over, or what follows from a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Went {
    On,
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
            name,
            shared,
            options,
            end,
            woken,
            counts,
            backoff: Backoff::new(first, longest),
            after: 0,
            marks: Marks::default(),
            unread: Tally::default(),
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
            self.backoff.reset();
            if went == Went::End {
                break;
            }
        }
        self.flush().await;
    }

    async fn serve(&mut self, notifier: &Notifier) -> Went {
        let sink = notifier.to.options().sink(&self.shared.resolver);
        let mut sink = sink.unwrap_or_else(|why| Box::new(Unusable(why)));
        loop {
            let Some(page) = self.page().await else {
                match self.pause(None).await {
                    Went::On => continue,
                    other => return other,
                }
            };
            if page.is_empty() {
                match self.idle(sink.as_mut()).await {
                    Went::On => continue,
                    other => return other,
                }
            }
            for row in &page {
                match self.deliver(sink.as_mut(), notifier, row).await {
                    Went::On => {}
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
        loop {
            let page = self.page().await.unwrap_or_default();
            for row in &page {
                let notice = serde_json::from_str(&row.body).ok();
                let why = "its notifier is no longer in the config".to_owned();
                self.settle(row, notice.as_ref(), row.tries, Sent::Dropped(why))
                    .await;
            }
            if page.is_empty() {
                match self.idle(&mut Nobody).await {
                    Went::On => {}
                    other => return other,
                }
            }
        }
    }

    /// Nothing waits.
    async fn idle(&mut self, sink: &mut dyn Sink) -> Went {
        tokio::select! {
            // What came before the end is looked at before it.
            biased;
            () = self.woken.notified() => return Went::On,
            went = turned(&mut self.options, &mut self.end) => return went,
            () = sleep(self.shared.pace.longest), if !self.marks.is_empty() => {
                self.flush().await;
                return Went::On;
            }
            () = sink.lost() => {}
        }
        match sink.again().await {
            Ok(()) => {
                self.backoff.reset();
                Went::On
            }
            Err(why) => {
                self.failed(&why);
                self.pause(None).await
            }
        }
    }

    async fn deliver(
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
                self.settle(row, None, row.tries, Sent::Dropped(why)).await;
                return Went::On;
            }
        };
        let message = Message {
            notice: &notice,
            seq: row.seq,
            chain: row.chain,
        };
        let mut tries = row.tries;
        loop {
            let (why, wait) = match sink.deliver(&message).await {
                Delivery::Taken => {
                    self.settle(row, Some(&notice), tries, Sent::Delivered)
                        .await;
                    self.backoff.reset();
                    return Went::On;
                }
                Delivery::Refused(why) => {
                    self.settle(row, Some(&notice), tries, Sent::Dropped(why))
                        .await;
                    self.backoff.reset();
                    return Went::On;
                }
                Delivery::Failed { why, wait } => (why, wait),
            };
            tries += 1;
            self.failed(&why);
            // Tried first and looked at for its age then: a clock that was set right makes nothing old that was never tried.
            let over = Timestamp::now().since(row.made) > notifier.keep.get();
            if over {
                let why = format!("not delivered within {}: {why}", notifier.keep);
                self.settle(row, Some(&notice), tries, Sent::Dropped(why))
                    .await;
            } else {
                self.note(row.row, why).await;
            }
            match self.pause(wait).await {
                Went::On if over => return Went::On,
                Went::On => {}
                other => return other,
            }
        }
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
    async fn note(&self, row: i64, why: String) {
        let failed = Commit {
            sent: vec![(row, Sent::Failed(Timestamp::now(), why))],
            ..Commit::default()
        };
        if let Err(error) = self.shared.journal.commit(failed).await {
            tracing::debug!(%error, "a failed try is not in the journal");
        }
    }

    /// A row is dealt with.
    async fn settle(&mut self, row: &Undelivered, notice: Option<&Notice>, tries: u32, sent: Sent) {
        self.after = row.row;
        self.counts.one_less();
        self.counts.oldest.store(0, Ordering::Relaxed);
        let mut data = json!({"notifier": self.name, "id": row.id, "failed": tries});
        let (outcome, why) = match &sent {
            Sent::Dropped(why) => ("dropped", Some(why)),
            Sent::Delivered | Sent::Failed(..) => ("delivered", None),
        };
        if let Some(data) = data.as_object_mut() {
            data.insert("outcome".into(), outcome.into());
            data.extend(why.map(|why| ("why".to_owned(), why.as_str().into())));
        }
        match why {
            Some(why) => {
                let (notifier, id) = (&self.name, &row.id);
                self.counts.dropped.note(|left_out| {
                    tracing::error!(
                        notifier,
                        id,
                        why,
                        left_out,
                        "a notification is dropped undelivered"
                    );
                });
            }
            None => {
                self.counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut entry = Entry::new(Kind::Notify).data(data);
        if let Some(notice) = notice {
            entry = entry
                .incident(&notice.incident)
                .playbook(&notice.playbook)
                .target(&notice.target);
            entry.attempt.clone_from(&notice.attempt);
            entry.trace = notice.trace;
        }
        self.marks.add(row.row, sent, entry);
        self.flush().await;
        while self.marks.are_full() && !*self.end.borrow() {
            sleep(self.shared.pace.longest).await;
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        // The journal says itself what is wrong with it; the marks wait here.
        if let Err(error) = self.marks.write(&self.shared.journal).await {
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

    /// Reads what comes next; none if that failed.
    async fn page(&mut self) -> Option<Vec<Undelivered>> {
        let (name, after) = (self.name.clone(), self.after);
        let page = self
            .read(move |reader| reader.undelivered(&name, after, PAGE))
            .await?;
        if page.len() < PAGE {
            self.counts
                .found(page.len() as u64, page.first().map(|row| row.made));
        } else {
            self.count().await;
        }
        Some(page)
    }

    /// Counts what waits.
    async fn count(&self) {
        let Some(waiting) = self.read(Reader::waiting).await else {
            return;
        };
        // What is not marked yet only seems to wait.
        let waiting = waiting.get(&self.name).copied().unwrap_or_default();
        let waiting = waiting.saturating_sub(self.marks.len() as u64);
        self.counts.waiting.store(waiting, Ordering::Relaxed);
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, ReadError> + Send + 'static,
    ) -> Option<T> {
        let directory = self.shared.directory.clone();
        let read = tokio::task::spawn_blocking(move || read(&Reader::open(&directory)?));
        let why = match read.await {
            Ok(Ok(read)) => return Some(read),
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        let notifier = &self.name;
        self.unread.note(|left_out| {
            tracing::error!(
                notifier,
                why,
                left_out,
                "cannot read which notifications wait"
            );
        });
        None
    }
}

/// Waits until the options are others, or it is the end.
async fn turned(
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
