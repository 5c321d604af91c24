//! Proving the chain.
//!
//! What the file alone can prove: no record was changed, removed from the middle, put in or moved. That its newest
//! records are still there, and that not all of it was written anew, only hashes kept elsewhere can prove: the anchors.

use std::collections::HashMap;

use rusqlite::Row;

use super::anchor::Anchor;
use super::chain::{Hash, Head};
use super::commit::Evidence;
use super::entry::Kind;
use super::error::ReadError;
use super::options::Options;
use super::reader::Reader;
use super::{restore, retain};
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::model::size::Size;

/// A chain that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many records were looked at.
    pub records: u64,
    /// The last record that was deleted by age or size; number 0 if none was.
    pub floor: Head,
    /// The last record.
    pub head: Head,
    /// How many anchors were found.
    pub anchored: u64,
    /// How many anchors are of records that are said to have been deleted.
    pub pruned: u64,
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Records are not there.
    #[error("records {from} to {to} are missing")]
    Missing {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// A record's text is not the one that was hashed, or stands elsewhere than it did.
    #[error("record {seq}: {what}")]
    Altered {
        /// Its number.
        seq: i64,
        /// What differs.
        what: &'static str,
    },
    /// A packet of evidence is not the one of which the hash is on record.
    #[error(
        "evidence {number} of incident {incident} is not what record {seq} has the hash of: it was changed"
    )]
    Evidence {
        /// The record's number.
        seq: i64,
        /// The incident.
        incident: String,
        /// The packet's number.
        number: u32,
    },
    /// A hash kept elsewhere is of no record here.
    #[error(
        "no record has the hash {hash} of line {line} of the anchor file: the newest records were cut off, or written anew"
    )]
    Anchor {
        /// The line, from 1.
        line: usize,
        /// The hash.
        hash: Hash,
    },
    /// A hash kept elsewhere is not that of its record.
    #[error(
        "record {seq} has not the hash {hash} of line {line} of the anchor file: it was written anew"
    )]
    Differs {
        /// The line, from 1.
        line: usize,
        /// The record's number.
        seq: i64,
        /// The hash.
        hash: Hash,
    },
    /// A record of which the hash is kept elsewhere comes after the last one.
    #[error(
        "record {seq} of line {line} of the anchor file is not there, the last one is {last}: the newest records were cut off"
    )]
    Cut {
        /// The line, from 1.
        line: usize,
        /// The record's number.
        seq: i64,
        /// The last record's.
        last: i64,
    },
    /// A record of which the hash is kept elsewhere is said to have been deleted, and neither its age nor the size can be why.
    #[error(
        "record {seq} of line {line} of the anchor file is gone, and all up to {floor} are said to have been deleted by age or size; but it is of {time}, younger than journal.keep ({keep}), and {size} of max_size ({max_size}) are in use: the oldest records were cut off, unless one of the two settings was less when they went"
    )]
    Young {
        /// The line, from 1.
        line: usize,
        /// The record's number.
        seq: i64,
        /// When it was.
        time: Timestamp,
        /// The last record that is said to have been deleted.
        floor: i64,
        /// How long records are kept.
        keep: Period,
        /// What the journal takes.
        size: Size,
        /// What it may take.
        max_size: Size,
    },
    /// Every record of which a hash is kept elsewhere was deleted by age or size, or so the journal says.
    #[error(
        "the records of all anchors are said to have been deleted by age or size, with all up to {floor}: nothing proves it; give it newer lines"
    )]
    Unproven {
        /// The last record that was deleted.
        floor: i64,
    },
}

/// Hashes kept elsewhere, from the lines of a text, with the line each is of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors {
    found: Vec<(usize, Anchor)>,
    lines: usize,
    kept: Option<(Options, Timestamp)>,
}

impl Anchors {
    /// Tells what the journal keeps, and what time it is: what is younger, and was deleted while there was room, was cut off.
    #[must_use]
    pub fn kept(self, options: Options, now: Timestamp) -> Self {
        let kept = Some((options, now));
        Self { kept, ..self }
    }

    /// The first of a record that is said to have been deleted and is too young for that, in a journal that takes so many bytes.
    fn young(&self, floor: Head, size: u64) -> Result<(), Broken> {
        // Records go for want of room while all of it is in use; what else may go after that, such as notifications, is less than half.
        let roomy = |(options, _): &&(Options, _)| size < options.max_size.bytes() / 2;
        let Some((options, now)) = self.kept.as_ref().filter(roomy) else {
            return Ok(());
        };
        for (line, anchor) in &self.found {
            if let (Some(seq), Some(time)) = (anchor.seq, anchor.time)
                && seq <= floor.seq
                && now.since(time) < options.keep.get()
            {
                return Err(Broken::Young {
                    line: *line,
                    seq,
                    time,
                    floor: floor.seq,
                    keep: options.keep,
                    size: Size::new(size),
                    max_size: options.max_size,
                });
            }
        }
        Ok(())
    }

    /// Takes that of one line, counted from 1, if it is one.
    pub fn add(&mut self, line: usize, text: &str) {
        self.lines = self.lines.max(line);
        self.found
            .extend(Anchor::read(text).map(|anchor| (line, anchor)));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// How many lines were looked at.
    #[must_use]
    pub const fn lines(&self) -> usize {
        self.lines
    }
}

/// What the chain has of what anchors name.
struct Wanted {
    hashes: HashMap<Hash, bool>,
    records: HashMap<i64, Option<Hash>>,
}

impl Wanted {
    fn of(anchors: &Anchors) -> Self {
        let mut wanted = Self {
            hashes: HashMap::new(),
            records: HashMap::new(),
        };
        for (_, anchor) in &anchors.found {
            match anchor.seq {
                Some(seq) => drop(wanted.records.insert(seq, None)),
                None => drop(wanted.hashes.insert(anchor.hash, false)),
            }
        }
        wanted
    }

    fn note(&mut self, head: Head) {
        if let Some(found) = self.hashes.get_mut(&head.hash) {
            *found = true;
        }
        if let Some(found) = self.records.get_mut(&head.seq) {
            *found = Some(head.hash);
        }
    }

    fn has(&self, anchor: &Anchor) -> bool {
        match anchor.seq {
            Some(seq) => self.records.get(&seq) == Some(&Some(anchor.hash)),
            None => self.hashes.get(&anchor.hash) == Some(&true),
        }
    }

    /// How many anchors are found, and how many are of records that were deleted by age or size.
    fn compare(&self, anchors: &Anchors, floor: Head, head: Head) -> Result<(u64, u64), Broken> {
        let first = anchors
            .found
            .iter()
            .position(|(_, anchor)| self.has(anchor));
        let (mut found, mut pruned) = (0, 0);
        for (at, (line, anchor)) in anchors.found.iter().enumerate() {
            let (line, hash) = (*line, anchor.hash);
            match anchor.seq {
                _ if self.has(anchor) => found += 1,
                Some(seq) if seq < floor.seq => pruned += 1,
                Some(seq) if seq > head.seq => {
                    let last = head.seq;
                    return Err(Broken::Cut { line, seq, last });
                }
                Some(seq) => return Err(Broken::Differs { line, seq, hash }),
                // In the order of the file: what was deleted by age comes before what was found.
                None if floor.seq > 0 && first.is_some_and(|first| at < first) => pruned += 1,
                None => return Err(Broken::Anchor { line, hash }),
            }
        }
        if found == 0 && pruned > 0 {
            // Else a journal that claims to have deleted enough would fit any anchors.
            return Err(Broken::Unproven { floor: floor.seq });
        }
        Ok((found, pruned))
    }
}

struct Record {
    seq: i64,
    time: i64,
    kind: String,
    incident: Option<String>,
    line: String,
    hash: String,
}

impl Record {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            time: row.get(1)?,
            kind: row.get(2)?,
            incident: row.get(3)?,
            line: row.get(4)?,
            hash: row.get(5)?,
        })
    }

    /// What does not fit the record before, or the columns by which it is found.
    fn fault(&self, before: Head) -> Option<&'static str> {
        if before.hash.next(&self.line).to_string() != self.hash {
            let own = serde_json::from_str::<serde_json::Value>(&self.line).ok();
            let own = own.as_ref().and_then(|line| line.get("seq")?.as_i64());
            return Some(match own {
                Some(seq) if seq != self.seq => {
                    "its text is that of another number: it was moved or put in"
                }
                _ => "its text and the hash before it do not give its hash: it was changed",
            });
        }
        let Ok(line) = serde_json::from_str::<serde_json::Value>(&self.line) else {
            return Some("its text is no JSON");
        };
        let text = |name: &str| line.get(name).and_then(serde_json::Value::as_str);
        let time = text("time").and_then(Timestamp::parse);
        if line.get("seq").and_then(serde_json::Value::as_i64) != Some(self.seq) {
            Some("its text is that of another number")
        } else if text("kind") != Some(&self.kind) {
            Some("the column kind differs from its text")
        } else if text("incident") != self.incident.as_deref() {
            Some("the column incident differs from its text")
        } else if time != Some(Timestamp(self.time)) {
            Some("the column time differs from its text")
        } else {
            None
        }
    }
}

/// Whether the packet of a record, where it is still there, is the one of which the hash is on record.
fn packet(reader: &Reader, record: &Record) -> Result<Result<(), Broken>, ReadError> {
    let line: serde_json::Value = serde_json::from_str(&record.line).unwrap_or_default();
    let number = line
        .pointer("/data/number")
        .and_then(serde_json::Value::as_u64);
    let number = number.and_then(|number| u32::try_from(number).ok());
    let (Some(number), Some(incident)) = (number, &record.incident) else {
        return Ok(Ok(()));
    };
    let hash = line
        .pointer("/data/sha256")
        .and_then(serde_json::Value::as_str);
    let kept = reader.evidence(incident, number)?;
    let fits = |packet: &Evidence| Some(Hash::of(&packet.text).to_string()).as_deref() == hash;
    Ok(match kept.iter().all(fits) {
        true => Ok(()),
        false => Err(Broken::Evidence {
            seq: record.seq,
            incident: incident.clone(),
            number,
        }),
    })
}

/// Walks the chain from the oldest record to the newest, as it is at one instant.
///
/// # Errors
/// The journal cannot be read. That it is broken is no error but the inner result.
pub fn verify(reader: &Reader, anchors: &Anchors) -> Result<Result<Verified, Broken>, ReadError> {
    let transaction = reader.connection.unchecked_transaction()?;
    let floor = restore::floor(&transaction)?;
    let mut wanted = Wanted::of(anchors);
    wanted.note(floor);
    let mut head = floor;
    let mut records = 0;
    let sql = "SELECT seq, time, kind, incident, line, hash FROM entries ORDER BY seq";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        // A value of another type than ours was put there by somebody else.
        let Ok(record) = Record::of(row) else {
            let seq = row.get(0).unwrap_or(head.seq + 1);
            let what = "a column is not of its type: it was changed";
            return Ok(Err(Broken::Altered { seq, what }));
        };
        if record.seq != head.seq + 1 {
            let (from, to) = (head.seq + 1, record.seq - 1);
            return Ok(Err(if from > to {
                let what = "it stands among records that were deleted by age: it was put in";
                let seq = record.seq;
                Broken::Altered { seq, what }
            } else {
                Broken::Missing { from, to }
            }));
        }
        if let Some(what) = record.fault(head) {
            let seq = record.seq;
            return Ok(Err(Broken::Altered { seq, what }));
        }
        head = Head {
            seq: record.seq,
            hash: head.hash.next(&record.line),
        };
        wanted.note(head);
        records += 1;
        if record.kind == Kind::Evidence.as_str()
            && let Err(broken) = packet(reader, &record)?
        {
            return Ok(Err(broken));
        }
    }
    if let Err(broken) = anchors.young(floor, retain::size(&transaction)?) {
        return Ok(Err(broken));
    }
    let (anchored, pruned) = match wanted.compare(anchors, floor, head) {
        Ok(counts) => counts,
        Err(broken) => return Ok(Err(broken)),
    };
    Ok(Ok(Verified {
        records,
        floor,
        head,
        anchored,
        pruned,
    }))
}
