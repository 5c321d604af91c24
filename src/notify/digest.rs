//! Several notices as one: what comes soon after a delivery is gathered, and goes together when that time is over.
//!
//! Each has its own row in the outbox, which is dealt with once the receiver has taken all of them: what one delivery holds is as sure as a
//! delivery of each.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::attempt::Tried;
use super::deliver::{Deliverer, Went, turned};
use super::fate::Fate;
use super::page::Waiting;
use super::{Message, Notifier, Sink};
use crate::journal::Undelivered;
use crate::model::event::Event;
use crate::model::notice::Notice;

/// A row of the outbox, read.
struct Told<'a> {
    row: &'a Undelivered,
    notice: Notice,
    event: Event,
}

impl Deliverer {
    /// Delivers what waits, together, or waits until it is time to.
    pub(super) async fn deliver_together(
        &mut self,
        sink: &mut dyn Sink,
        notifier: &Notifier,
        waiting: &[Waiting],
        within: Duration,
    ) -> Went {
        let until = self.gathered.map(|last| last + within);
        let ends = *self.end.borrow();
        let waits = |until: &Instant| *until > Instant::now() && !waiting.is_empty() && !ends;
        if let Some(until) = until.filter(waits) {
            self.count().await;
            tokio::select! {
                // There may be more by now.
                () = sleep_until(until) => return Went::On,
                went = turned(&mut self.options, &mut self.end) => match went {
                    // Not kept for the next start, and there may be more as well.
                    Went::End => return Went::On,
                    other => return other,
                },
            }
        }
        let mut told = Vec::new();
        for row in waiting.iter().filter_map(Waiting::row) {
            match serde_json::from_str::<Notice>(&row.body) {
                Ok(notice) => told.push(Told {
                    row,
                    event: Event::from(notice.clone()),
                    notice,
                }),
                Err(error) => {
                    let why = format!("what the outbox holds of it cannot be read: {error}");
                    self.settle(row, None, row.tries, Fate::Dropped(why)).await;
                }
            }
        }
        match told.as_slice() {
            [] => Went::On,
            all => self.deliver_all(sink, notifier, all).await,
        }
    }

    async fn deliver_all(
        &mut self,
        sink: &mut dyn Sink,
        notifier: &Notifier,
        all: &[Told<'_>],
    ) -> Went {
        let oldest = all.first().map_or(0, |told| told.row.made.0);
        self.counts.oldest.store(oldest, Ordering::Relaxed);
        let messages: Vec<_> = all.iter().map(Told::message).collect();
        let rows: Vec<i64> = all.iter().map(|told| told.row.row).collect();
        // The youngest says how old they are: none is given up before its time.
        let made = all.last().map(|told| told.row.made).unwrap_or_default();
        let mut tries = 0;
        let tried = self
            .attempt(sink, notifier, &messages, (made, &rows), &mut tries)
            .await;
        self.gathered = Some(Instant::now());
        match tried {
            Tried::Turned(went) => return went,
            // One of them may be what it does not take.
            Tried::Dropped(_, false) if all.len() > 1 => {
                for told in all {
                    match self.deliver(sink, notifier, told.row).await {
                        Went::On => {}
                        other => return other,
                    }
                }
            }
            Tried::Dropped(why, rest) => {
                for told in all {
                    let (row, notice) = (told.row, Some(&told.notice));
                    let fate = Fate::Dropped(why.clone());
                    self.settle(row, notice, row.tries + tries, fate).await;
                }
                return self.rest(rest).await;
            }
            Tried::Taken(but) => {
                let fate = Fate::taken(but);
                for told in all {
                    let (row, notice) = (told.row, Some(&told.notice));
                    self.settle(row, notice, row.tries + tries, fate.clone())
                        .await;
                }
            }
        }
        Went::On
    }
}

impl Told<'_> {
    fn message(&self) -> Message<'_> {
        Message {
            event: &self.event,
            seq: self.row.seq,
            chain: self.row.chain,
        }
    }
}
