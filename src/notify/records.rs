//! Records of the journal for a notifier that wants them: which, and up to where it has them.
//!
//! ```text
//!   journal ──> after the cursor ──> of the kinds that are wanted, bad enough ──> Sink
//!                     ^                                                            │
//!                     └──────────── cursor, in the journal, now and then <─────────┘
//! ```
//!
//! The journal is the spool: what is not taken is read again, by this process or the next.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::Notifier;
use crate::journal::{Commit, CommitError, Hash, Journal, Kind, ReadError, Reader, Stored};
use crate::model::event::Event;

/// Records that are told at a time.
const PAGE: usize = 32;
/// Text of records that is read at a time, in bytes.
const BYTES: usize = 256 << 10;
/// How long the cursor is ahead of what is on the disk; so much comes twice after a crash.
const UNSAVED: Duration = Duration::from_secs(1);

/// Makes an event of a record; none of one that is none of ours.
pub type Telling = Arc<dyn Fn(&Stored) -> Option<Event> + Send + Sync>;

/// A kind of record that a notifier may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// Every kind.
    All,
    /// Alerts that were taken.
    Alert,
    /// What the guards said.
    Decision,
    /// Holds that were placed or lifted, and what became of the sessions.
    Hold,
    /// Actions that are about to be issued.
    Intent,
    /// Actions that are under way.
    Started,
    /// How actions ended.
    Result,
    /// What probes found.
    Verify,
    /// Incidents that went from one state to another.
    State,
    /// What operators did.
    Operator,
    /// Configs that came into force.
    Config,
    /// Notices that were made, delivered or given up.
    Notify,
}

impl Which {
    fn covers(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Alert => kind == Kind::Alert,
            Self::Decision => kind == Kind::Decision,
            Self::Hold => kind == Kind::Hold,
            Self::Intent => kind == Kind::Intent,
            Self::Started => kind == Kind::Started,
            Self::Result => kind == Kind::Result,
            Self::Verify => kind == Kind::Verify,
            Self::State => kind == Kind::State,
            Self::Operator => kind == Kind::Operator,
            Self::Config => kind == Kind::Config,
            Self::Notify => kind == Kind::Notify,
        }
    }
}

/// A record that waits.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub seq: i64,
    pub chain: Hash,
    pub event: Event,
}

/// What was read of the journal.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub records: Vec<Record>,
    /// The last one that was looked at.
    pub last: i64,
    /// Nothing is known of what is behind it.
    pub more: bool,
    /// So many were deleted before anybody looked at them.
    pub missed: u64,
}

impl Notifier {
    /// Reads what comes after a record, of what it wants; a bounded part. Blocks for the disk. As [`Reader::follow`], at one
    /// instant.
    pub(super) fn read(
        &self,
        name: &str,
        telling: &Telling,
        reader: &Reader,
        after: i64,
    ) -> Result<Part, ReadError> {
        let mut part = Part::default();
        let mut bytes = 0;
        let followed = reader.follow(after, &mut |stored| {
            bytes += stored.line.len();
            part.records.extend(self.told(name, telling, stored));
            part.more = part.records.len() >= PAGE || bytes >= BYTES;
            match part.more {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        (part.last, part.missed) = (followed.last, followed.missed);
        Ok(part)
    }

    fn told(&self, name: &str, telling: &Telling, stored: &Stored) -> Option<Record> {
        let event = telling(stored)?;
        let kind = Kind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == event.what)?;
        let wanted = self.records.iter().any(|which| which.covers(kind));
        let wanted = wanted && event.severity >= self.min_severity;
        (wanted && !(kind == Kind::Notify && is_for(name, &stored.line))).then(|| Record {
            seq: stored.seq,
            chain: stored.hash.parse().unwrap_or(Hash::ZERO),
            event,
        })
    }
}

/// Whether a record tells of a notice that this notifier gets itself: it is not told twice.
fn is_for(name: &str, line: &str) -> bool {
    let record: Value = serde_json::from_str(line).unwrap_or_default();
    let to = record.pointer("/data/to").and_then(Value::as_array);
    to.is_some_and(|to| to.iter().any(|to| to == name))
}

/// Up to where a notifier was told, and up to where that is on the disk.
#[derive(Debug)]
pub(super) struct Cursor {
    setting: String,
    at: Option<i64>,
    saved: Option<i64>,
    /// What is not on the disk yet, the oldest first.
    unsaved: VecDeque<Step>,
}

/// Records that were told within a short time.
#[derive(Debug)]
struct Step {
    began: Instant,
    ended: Instant,
    at: i64,
}

impl Cursor {
    pub fn of(name: &str) -> Self {
        Self {
            setting: format!("notify_records:{name}"),
            at: None,
            saved: None,
            unsaved: VecDeque::new(),
        }
    }

    /// Where it stands, and whether that is on the disk; what was never told begins behind the last record. Blocks for the disk.
    pub fn find(setting: &str, reader: &Reader) -> Result<(i64, bool), ReadError> {
        let settings = reader.settings()?;
        let kept = settings.get(setting).and_then(|text| text.parse().ok());
        let head = reader.head()?.seq;
        // A journal from a backup may be behind what was told.
        Ok(kept.map_or((head, false), |at: i64| (at.min(head), true)))
    }

    pub fn setting(&self) -> String {
        self.setting.clone()
    }

    pub const fn at(&self) -> Option<i64> {
        self.at
    }

    /// It was found there. Where it was not on the disk, it is to be at once: a start that follows a crash goes on from there.
    pub async fn found(
        &mut self,
        (at, on_disk): (i64, bool),
        journal: &Journal,
    ) -> Result<(), CommitError> {
        self.at = Some(at);
        match on_disk {
            true => self.saved = Some(at),
            false => self.write(Some(at), journal).await?,
        }
        Ok(())
    }

    pub fn moved(&mut self, at: i64) {
        if self.at.is_some_and(|before| before >= at) {
            return;
        }
        self.at = Some(at);
        let now = Instant::now();
        match self.unsaved.back_mut() {
            Some(step) if now < step.began + UNSAVED => (step.ended, step.at) = (now, at),
            _ => self.unsaved.push_back(Step {
                began: now,
                ended: now,
                at,
            }),
        }
    }

    /// When there is something to save, where what was taken so long ago is not lost any more.
    pub fn due(&self, unsure: Duration) -> Option<Instant> {
        let first = self.unsaved.front();
        first.map(|step| step.ended + unsure.max(UNSAVED))
    }

    /// Puts on the disk what was taken so long ago. An error: what follows may come twice after a crash.
    pub async fn save(&mut self, unsure: Duration, journal: &Journal) -> Result<(), CommitError> {
        let (sure, Some(at)) = self.sure(unsure) else {
            return Ok(());
        };
        let saved = self.write(Some(at), journal).await;
        match saved {
            Ok(()) => drop(self.unsaved.drain(..sure)),
            // Tried again after a while.
            Err(_) => {
                let now = Instant::now();
                self.unsaved.iter_mut().for_each(|step| step.ended = now);
            }
        }
        saved
    }

    /// How many steps are so old that what was taken then is not lost any more, and up to where that was.
    fn sure(&self, unsure: Duration) -> (usize, Option<i64>) {
        let now = Instant::now();
        let sure = self
            .unsaved
            .partition_point(|step| step.ended + unsure <= now);
        let last = sure.checked_sub(1).and_then(|last| self.unsaved.get(last));
        (sure, last.map(|step| step.at))
    }

    /// What was taken within the last while may be lost: it is to be told again.
    pub fn rewind(&mut self, unsure: Duration) {
        let (sure, last) = self.sure(unsure);
        self.at = last.or(self.saved);
        self.unsaved.truncate(sure);
    }

    /// It is told no records any more.
    pub async fn forget(&mut self, journal: &Journal) -> Result<(), CommitError> {
        self.unsaved.clear();
        self.at = None;
        match self.saved {
            Some(_) => self.write(None, journal).await,
            None => Ok(()),
        }
    }

    async fn write(&mut self, at: Option<i64>, journal: &Journal) -> Result<(), CommitError> {
        let commit = Commit {
            settings: vec![(self.setting.clone(), at.map(|at| at.to_string()))],
            ..Commit::default()
        };
        journal.commit_waiting(commit).await?;
        self.saved = at;
        Ok(())
    }
}
