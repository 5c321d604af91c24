//! Records of the journal for a notifier that wants them: which, and up to where it has them.
//!
//! ```text
//!   journal ──> after the cursor ──> of the kinds that are wanted, bad enough ──> Sink
//!                     ^                                                            │
//!                     └──────────── cursor, in the journal, now and then <─────────┘
//! ```
//!
//! The journal is the spool: what is not taken is read again, by this process or the next.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

/// Records that a notifier may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those of every kind.
    All,
    /// Those of one.
    Of(Kind),
}

const ALL: &str = "all";

impl Which {
    fn covers(self, kind: Kind) -> bool {
        match self {
            Self::All => true,
            Self::Of(wanted) => wanted == kind,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::All => ALL,
            Self::Of(kind) => kind.as_str(),
        }
    }
}

impl Serialize for Which {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        match word.as_str() {
            ALL => Ok(Self::All),
            word => Kind::of(word).map(Self::Of).ok_or_else(|| {
                let kinds = Kind::ALL.map(Kind::as_str).join(", ");
                D::Error::custom(format!("{word:?} is neither {ALL} nor one of {kinds}"))
            }),
        }
    }
}

impl JsonSchema for Which {
    fn schema_name() -> Cow<'static, str> {
        "Which".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let words: Vec<_> = std::iter::once(ALL)
            .chain(Kind::ALL.map(Kind::as_str))
            .collect();
        json_schema!({ "type": "string", "enum": words })
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
        let kind = Kind::of(&event.what)?;
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
    /// Where it began, as long as that is not on the disk.
    found: Option<i64>,
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
            found: None,
            saved: None,
            unsaved: VecDeque::new(),
        }
    }

    /// Where it stands, and whether that is on the disk; what was never told begins there. Blocks for the disk.
    pub fn find(setting: &str, from: i64, reader: &Reader) -> Result<(i64, bool), ReadError> {
        let settings = reader.settings()?;
        let kept = settings.get(setting).and_then(|text| text.parse().ok());
        let head = reader.head()?.seq;
        // A journal from a backup may be behind what was told.
        Ok(kept.map_or((from.min(head), false), |at: i64| (at.min(head), true)))
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
        (self.at, self.found) = (Some(at), Some(at));
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

    /// What was taken since then may be lost: it is to be told again.
    pub fn rewind(&mut self, since: Instant) {
        if self.at.is_none() {
            return;
        }
        let sure = self.unsaved.partition_point(|step| step.ended < since);
        self.unsaved.truncate(sure);
        self.at = self.unsaved.back().map(|step| step.at);
        self.at = self.at.or(self.saved).or(self.found);
    }

    /// It is told no records any more.
    pub async fn forget(&mut self, journal: &Journal) -> Result<(), CommitError> {
        self.unsaved.clear();
        (self.at, self.found) = (None, None);
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
