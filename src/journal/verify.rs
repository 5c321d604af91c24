//! Proving the chain.
//!
//! What the file alone can prove: no record was changed, removed from the middle, put in or moved. That its newest
//! records are still there, and that not all of it was written anew, only hashes kept elsewhere can prove: the anchors.

use std::collections::HashMap;

use rusqlite::Row;

use super::chain::{Hash, Head};
use super::error::ReadError;
use super::reader::Reader;
use super::restore;
use crate::model::moment::Timestamp;

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
    /// How many anchors are of records that were deleted by age or size.
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
}

/// Hashes kept elsewhere, from any text: each word of 64 hex digits, `chain="..."` included, with its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anchors(Vec<(usize, Hash)>);

impl Anchors {
    /// Takes those of one line, counted from 1.
    pub fn add(&mut self, line: usize, text: &str) {
        let words = text.split(|c: char| !c.is_alphanumeric());
        let hashes = words.filter_map(|word| word.parse().ok());
        self.0.extend(hashes.map(|hash| (line, hash)));
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
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

/// Walks the chain from the oldest record to the newest, as it is at one instant.
///
/// # Errors
/// The journal cannot be read. That it is broken is no error but the inner result.
pub fn verify(reader: &Reader, anchors: &Anchors) -> Result<Result<Verified, Broken>, ReadError> {
    let transaction = reader.connection.unchecked_transaction()?;
    let floor = restore::floor(&transaction)?;
    // In the order of the file, so that what was deleted by age comes before what was found.
    let mut wanted: HashMap<Hash, bool> = anchors.0.iter().map(|(_, h)| (*h, false)).collect();
    let mut note = |head: Head| {
        if let Some(found) = wanted.get_mut(&head.hash) {
            *found = true;
        }
    };
    note(floor);
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
        note(head);
        records += 1;
    }
    let found = |hash: &Hash| wanted.get(hash).copied().unwrap_or(false);
    let first = anchors.0.iter().position(|(_, hash)| found(hash));
    let mut pruned = 0;
    for (at, (line, hash)) in anchors.0.iter().enumerate() {
        if found(hash) {
            continue;
        }
        if floor.seq == 0 || first.is_none_or(|first| at > first) {
            let (line, hash) = (*line, *hash);
            return Ok(Err(Broken::Anchor { line, hash }));
        }
        pruned += 1;
    }
    let anchored = anchors.count() as u64 - pruned;
    Ok(Ok(Verified {
        records,
        floor,
        head,
        anchored,
        pruned,
    }))
}
