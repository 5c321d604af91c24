//! One event on its way: tried until it is taken or given up, and what became of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::deliver::{Deliverer, Went};
use super::fate::Fate;
use super::records::Record;
use super::{Delivery, Message, Notifier, Sink};
use crate::journal::{Commit, Entry, Kind, Sent, Undelivered};
use crate::model::event::Event;
use crate::model::moment::Timestamp;
use crate::model::notice::Notice;

/// How the tries of one event ended.
pub(super) enum Tried {
    /// And for whom not, and why.
    Taken(Option<String>),
    /// And whether only for its age.
    Dropped(String, bool),
    Turned(Went),
}

impl Deliverer {
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
    pub(super) async fn pass_on(
        &mut self,
        sink: &mut dyn Sink,
        notifier: &Notifier,
        record: &Record,
    ) -> Went {
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
                self.counts.oldest.store(0, Ordering::Relaxed);
                false
            }
            Tried::Dropped(why, rest) => {
                self.give_up(1, &why);
                rest
            }
            Tried::Turned(went) => return went,
        };
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
        let last = messages.last().map_or(0, |message| message.seq);
        if last <= self.doubted && Timestamp::now().since(made) > notifier.keep.get() {
            let why = format!(
                "not delivered within {}: whatever took it broke off",
                notifier.keep
            );
            return Tried::Dropped(why, false);
        }
        loop {
            let delivered = match messages {
                [one] => sink.deliver(one).await,
                several => sink.deliver_together(several).await,
            };
            let (why, wait) = match delivered {
                Delivery::Taken(_) => {
                    self.got_through(last);
                    return Tried::Taken(None);
                }
                Delivery::InPart(why) => {
                    self.got_through(last);
                    return Tried::Taken(Some(why));
                }
                Delivery::Refused(why) => {
                    self.backoff.reset();
                    return Tried::Dropped(why, false);
                }
                Delivery::Lost(lost) => return Tried::Turned(self.back(&lost).await),
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
    pub fn give_up(&self, records: u64, why: &str) {
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

    pub(super) fn failed(&self, why: &str) {
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
        // Behind one that was given up, others wait as long.
        if !matches!(fate, Fate::Dropped(_)) {
            self.counts.oldest.store(0, Ordering::Relaxed);
        }
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
        // Where what was taken may be lost, that is waited for before the next.
        while self.marks.are_full() && self.unsure.is_zero() && !*self.end.borrow() {
            sleep(self.shared.pace.longest).await;
            self.flush(Duration::ZERO).await;
        }
    }
}
