//! The journal, sent on over OTLP: its records as logs, the runs they tell of as traces.
//!
//! ```text
//!  journal grows ─> read after the cursor ─> make items ─> deliver, and wait for it ─┐
//!                         ^                                                          │
//!                         └──── cursor moves, on the disk ── taken, or given up <────┘
//! ```
//!
//! The journal is the spool: what is not delivered is read again, in this process or the next, so that a collector that is
//! away loses nothing, and nothing of it is kept in memory but one request. Each signal has a cursor of its own. It never holds up
//! healing: it reads what is written already, off the runtime. The surprising decision: a receiver that does not know the
//! credentials or the path is waited for instead of being counted out, since that is a mistake of the config, not of a record.

mod tellers;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::dialect::otlp::{Delivered, Reason, Sender, Signal};
use crate::journal::{Commit, Journal, Reader, Restored};
use crate::net::tally::Tally;
use tellers::{Item, Logs, Runs, Teller};

/// How long what comes after a record is waited for, so that it goes along.
const LINGER: Duration = Duration::from_millis(500);
/// How long a receiver that refuses everything is left alone.
const HOLD: Duration = Duration::from_secs(60);
/// How long is waited after a message had to go, or could not be read.
const AGAIN: Duration = Duration::from_secs(1);
/// So many that had to go one after the other tell more of the receiver than of themselves.
const ILL: u32 = 10;
/// How long the last requests may take once the end has come.
const LAST: Duration = Duration::from_secs(1);
/// Items of one request at most.
const MOST: usize = 512;

/// Where telemetry goes until the next reload.
#[derive(Debug, Clone)]
pub struct Aim {
    /// The sender.
    pub sender: Sender,
    /// Attributes of the resource.
    pub resource: Vec<(String, String)>,
}

/// One task a signal, as long as the journal is open.
pub struct Tails {
    aim: watch::Sender<Option<Aim>>,
    end: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Tails {
    /// Begins behind what was sent; where nothing ever was, behind what was written before this start.
    pub fn start(journal: &Journal, directory: &Path, restored: &Restored) -> Self {
        let (aim, aimed) = watch::channel(None);
        let (end, ended) = watch::channel(false);
        let tail = Tail {
            journal: journal.clone(),
            directory: directory.to_owned(),
            aim: aimed,
            end: ended,
            head: journal.head(),
            most: MOST,
            unread: Arc::default(),
        };
        let logs = tail.clone().run(Logs, Begin::of(restored, Logs::CURSOR));
        let runs = tail.run(Runs::default(), Begin::of(restored, Runs::CURSOR));
        let tasks = vec![tokio::spawn(logs), tokio::spawn(runs)];
        Self { aim, end, tasks }
    }

    /// Sends there from here on; nowhere for none.
    pub fn aim(&self, aim: Option<Aim>) {
        self.aim.send_replace(aim);
    }

    /// Sends what is written, if the receiver is there, until `deadline`; the rest is for the next start.
    pub async fn stop(self, deadline: tokio::time::Instant) {
        self.end.send_replace(true);
        for mut task in self.tasks {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
        }
    }
}

/// Where a cursor stands at the start, and whether it is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Begin {
    after: i64,
    known: bool,
}

impl Begin {
    fn of(restored: &Restored, cursor: &str) -> Self {
        let (kept, head) = (restored.settings.get(cursor), restored.head.seq);
        let kept: Option<i64> = kept.and_then(|text| text.parse().ok());
        Self {
            // A journal from a backup may be behind what was sent.
            after: kept.map_or(head, |after| after.min(head)),
            known: kept.is_some(),
        }
    }
}

/// What every task needs.
#[derive(Clone)]
struct Tail {
    journal: Journal,
    directory: PathBuf,
    aim: watch::Receiver<Option<Aim>>,
    end: watch::Receiver<bool>,
    head: watch::Receiver<i64>,
    /// Items of the next request at most.
    most: usize,
    unread: Arc<Tally>,
}

/// What a wait is over for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// To go on.
    On,
    /// For good.
    End,
}

impl Tail {
    async fn run<T: Teller>(mut self, mut teller: T, begin: Begin) {
        let mut cursor = begin.after;
        let mut known = begin.known;
        // Read, and not delivered yet.
        let mut waiting: Vec<Item<T::Told>> = Vec::new();
        let mut read = cursor;
        // So many in a row had to go.
        let mut given_up = 0_u32;
        loop {
            let Some(aim) = self.aimed(T::SIGNAL).await else {
                return;
            };
            if !known {
                // Whatever comes after this, a start that follows a crash sends it.
                known = self.keep(T::CURSOR, cursor).await;
            }
            if waiting.is_empty() {
                if *self.head.borrow_and_update() <= read {
                    match self.grown().await {
                        Woken::On => continue,
                        Woken::End => return,
                    }
                }
                let (back, part) = self.read(teller, read).await;
                teller = back;
                let Some(part) = part else {
                    match self.pause(AGAIN).await {
                        Woken::On => continue,
                        Woken::End => return,
                    }
                };
                aim.sender
                    .skipped(T::SIGNAL, Reason::QueueFull, part.missed);
                read = part.last;
                waiting = part.items;
                if waiting.is_empty() {
                    cursor = read;
                    continue;
                }
            }
            let some: Vec<_> = waiting.iter().take(self.most).cloned().collect();
            let count = some.len();
            let delivered = match T::encode(some, &aim.resource).await {
                Ok(payload) => {
                    let body = payload.body.into();
                    let delivery = aim.sender.deliver(T::SIGNAL, body, payload.items);
                    tokio::select! {
                        delivered = delivery => delivered,
                        () = past_end(self.end.clone()) => return,
                    }
                }
                Err(why) => {
                    tracing::error!(why, "records of the journal cannot be encoded for OTLP");
                    Delivered::Refused(Reason::Malformed)
                }
            };
            let (over, wait) = match delivered {
                Delivered::Taken => {
                    (self.most, given_up) = (MOST, 0);
                    (true, None)
                }
                Delivered::Refused(Reason::Unauthorized | Reason::NotFound) => (false, Some(HOLD)),
                // One of them may be to blame: the others go without it.
                Delivered::Refused(_) if count > 1 => {
                    self.most = count / 2;
                    continue;
                }
                Delivered::Refused(reason) => {
                    aim.sender.skipped(T::SIGNAL, reason, 1);
                    given_up += 1;
                    // Where nothing is taken at all, it is the receiver that is wrong, and the records are worth waiting for.
                    (true, Some(if given_up < ILL { AGAIN } else { HOLD }))
                }
                Delivered::Not => (false, Some(AGAIN)),
            };
            if over {
                waiting.drain(..count);
                // Items of one record may go in two requests.
                cursor = waiting.first().map_or(read, |next| next.seq - 1);
                self.keep(T::CURSOR, cursor).await;
            }
            if let Some(wait) = wait
                && self.pause(wait).await == Woken::End
            {
                return;
            }
        }
    }

    /// Waits for where to send; none at the end.
    async fn aimed(&mut self, signal: Signal) -> Option<Aim> {
        loop {
            let aim = self.aim.borrow_and_update().clone();
            if let Some(aim) = aim.filter(|aim| aim.sender.sends(signal)) {
                return Some(aim);
            }
            tokio::select! {
                biased;
                _ = self.end.wait_for(|end| *end) => return None,
                changed = self.aim.changed() => changed.ok()?,
            }
        }
    }

    /// Waits for the journal to grow, and then for what comes at once after that.
    async fn grown(&mut self) -> Woken {
        if *self.end.borrow() {
            return Woken::End;
        }
        tokio::select! {
            biased;
            // What is written is sent before the end.
            _ = self.end.wait_for(|end| *end) => return Woken::On,
            changed = self.aim.changed() => return changed.map_or(Woken::End, |()| Woken::On),
            grown = self.head.changed() => if grown.is_err() {
                return Woken::End;
            },
        }
        tokio::select! {
            _ = self.end.wait_for(|end| *end) => {}
            () = sleep(LINGER) => {}
        }
        Woken::On
    }

    /// Waits, but not for another aim's sake, nor at the end.
    async fn pause(&mut self, long: Duration) -> Woken {
        tokio::select! {
            biased;
            _ = self.end.wait_for(|end| *end) => Woken::End,
            changed = self.aim.changed() => changed.map_or(Woken::End, |()| Woken::On),
            () = sleep(long) => Woken::On,
        }
    }

    /// Reads what comes next; nothing if that failed.
    async fn read<T: Teller>(
        &self,
        mut teller: T,
        after: i64,
    ) -> (T, Option<tellers::Part<T::Told>>) {
        let directory = self.directory.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let part = Reader::open(&directory).and_then(|reader| teller.read(&reader, after));
            (teller, part)
        });
        let why = match reading.await {
            Ok((teller, Ok(part))) => return (teller, Some(part)),
            Ok((_, Err(error))) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.unread.note(|left_out| {
            let signal = T::SIGNAL.name();
            tracing::error!(
                why,
                left_out,
                signal,
                "cannot read the journal to send it on"
            );
        });
        // It keeps nothing that it cannot read again, and may have taken a part.
        (T::default(), None)
    }

    /// Puts the cursor on the disk; whether that was done. If not, a crash makes what follows come twice.
    async fn keep(&self, cursor: &str, at: i64) -> bool {
        let commit = Commit {
            settings: vec![(cursor.to_owned(), Some(at.to_string()))],
            ..Commit::default()
        };
        let kept = self.journal.commit_waiting(commit).await;
        if let Err(error) = &kept {
            tracing::debug!(%error, cursor, "how far the journal was sent on is not in it");
        }
        kept.is_ok()
    }
}

/// Some time after the end: a receiver that is there has taken what was on its way.
async fn past_end(mut end: watch::Receiver<bool>) {
    // An error: whoever could say so is gone.
    drop(end.wait_for(|end| *end).await);
    sleep(LAST).await;
}
