//! What comes next for a notifier: notices from the outbox and records of the journal, merged in the order of the journal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Notifier;
use super::deliver::Deliverer;
use super::records::{Cursor, Part, Record};
use crate::journal::{CommitError, ReadError, Reader, Undelivered};

/// Rows that are held at a time.
const PAGE: usize = 32;

/// What waits for a notifier.
pub(super) enum Waiting {
    Notice(Undelivered),
    Record(Box<Record>),
}

impl Waiting {
    /// The row of a notice.
    pub(super) const fn row(&self) -> Option<&Undelivered> {
        match self {
            Self::Notice(row) => Some(row),
            Self::Record(_) => None,
        }
    }
}

/// What comes next, in the order of the journal.
#[derive(Default)]
pub(super) struct Page {
    pub waiting: Vec<Waiting>,
    /// All records up to here were looked at.
    pub looked: i64,
    /// There may be more.
    pub more: bool,
}

impl Deliverer {
    /// Reads what comes next; none if that failed.
    pub(super) async fn page(&mut self, notifier: &Notifier) -> Option<Page> {
        let wants = !notifier.records.is_empty();
        if wants && self.cursor.at().is_none() {
            self.find().await?;
        }
        // Seen before it is read: what comes meanwhile wakes.
        self.head.borrow_and_update();
        let from = self.cursor.at().filter(|_| wants);
        let (telling, name) = (Arc::clone(&self.shared.telling), self.name.clone());
        let (notifier, after) = (notifier.clone(), self.after);
        // At one instant: a notice that came in between would stand behind records that are later.
        let both = move |reader: &Reader| {
            reader.at_once(|reader| {
                let rows = reader.undelivered(&name, after, PAGE)?;
                let part = from.map(|from| notifier.read(&name, &telling, reader, from));
                Ok((rows, part.transpose()?.unwrap_or_default()))
            })
        };
        let (rows, part) = self.read(both).await?;
        self.found(&rows).await;
        if part.missed > 0 {
            let why = "the journal forgot them before they were delivered (journal.keep, journal.max_size)";
            self.give_up(part.missed, why);
        }
        Some(Page::of(rows, part))
    }

    /// Reads up to where records were told; none if that failed.
    async fn find(&mut self) -> Option<()> {
        let (setting, from) = (self.cursor.setting(), self.from);
        let found = self
            .read(move |reader| Cursor::find(&setting, from, reader))
            .await?;
        let kept = self.cursor.found(found, &self.shared.journal).await;
        self.unkept(kept);
        Some(())
    }

    /// It is told no records any more: where it wants them again, it begins with those of then.
    pub(super) async fn forget(&mut self) {
        if self.cursor.at().is_some() || self.find().await.is_some() {
            let forgotten = self.cursor.forget(&self.shared.journal).await;
            self.unkept(forgotten);
        }
    }

    /// Puts on the disk up to where records were told, but for those of the last while, which may be lost.
    pub(super) async fn save(&mut self, unsure: Duration) {
        let saved = self.cursor.save(unsure, &self.shared.journal).await;
        self.unkept(saved);
    }

    fn unkept(&self, kept: Result<(), CommitError>) {
        if let Err(error) = kept {
            let notifier = &self.name;
            tracing::debug!(%error, notifier, "up to where records were told is not in the journal");
        }
    }

    /// Reads which notices come next; none if that failed.
    pub(super) async fn rows(&mut self) -> Option<Vec<Undelivered>> {
        let (name, after) = (self.name.clone(), self.after);
        let page = self
            .read(move |reader| reader.undelivered(&name, after, PAGE))
            .await?;
        self.found(&page).await;
        Some(page)
    }

    /// Counts what waits, now that this was found.
    async fn found(&self, page: &[Undelivered]) {
        if page.len() < PAGE {
            self.counts
                .found(page.len() as u64, page.first().map(|row| row.made));
        } else {
            self.count().await;
        }
    }

    /// Counts what waits.
    pub(super) async fn count(&self) {
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

impl Page {
    /// Merges both in the order of the journal, as far as both are known.
    fn of(rows: Vec<Undelivered>, part: Part) -> Self {
        let of_rows = match rows.last() {
            Some(last) if rows.len() >= PAGE => last.seq,
            _ => i64::MAX,
        };
        let of_records = if part.more { part.last } else { i64::MAX };
        let known = of_rows.min(of_records);
        let more = known < i64::MAX;
        let notices = rows.into_iter().map(|row| (row.seq, Waiting::Notice(row)));
        let records = part.records.into_iter();
        let records = records.map(|record| (record.seq, Waiting::Record(Box::new(record))));
        let mut waiting: Vec<_> = notices
            .chain(records)
            .filter(|(seq, _)| *seq <= known)
            .collect();
        waiting.sort_by_key(|(seq, _)| *seq);
        Self {
            waiting: waiting.into_iter().map(|(_, waiting)| waiting).collect(),
            looked: part.last.min(known),
            more,
        }
    }
}
