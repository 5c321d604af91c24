//! Reads the journal while another process writes it, or a copy of it.

use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::chain::Head;
use super::commit::{Evidence, IncidentRow, Undelivered};
use super::entry::Kind;
use super::error::ReadError;
use super::restore::Restored;
use super::{restore, schema};
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;

/// Records are read so many at a time, so that whoever reads slowly does not keep the writer from clearing its log.
const AT_ONCE: usize = 1_000;
/// See above: the text of these together in bytes, since one alert with all its labels can have megabytes.
const BYTES: usize = 1 << 20;

/// An alert names its incidents in a list, and no text that an alert brought can look like an element of one: its quotes are escaped, as a
/// label's value an id stands behind a colon, and as a label's name before one. The first of its alerts is the one right before its first
/// record; 256 from there on are looked at, so that an incident amid a storm costs no walk through all of it.
const OF_INCIDENT: &str = "seq IN (SELECT seq FROM entries WHERE incident = ? UNION ALL SELECT seq FROM \
    (SELECT seq, line FROM entries WHERE kind = 'alert' \
    AND seq >= (SELECT ifnull(max(seq), 0) FROM entries WHERE kind = 'alert' AND seq < (SELECT min(seq) FROM entries WHERE incident = ?)) \
    AND seq < (SELECT max(seq) FROM entries WHERE incident = ?) ORDER BY seq LIMIT 256) \
    WHERE instr(line, '[\"' || ? || '\"') OR instr(line, ',\"' || ? || '\"]') OR instr(line, ',\"' || ? || '\",'))";

/// A read-only connection. Every call may block for the disk: it belongs on a blocking thread.
pub struct Reader {
    pub(super) connection: Connection,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its number, from 1.
    pub seq: i64,
    /// Its JSON text without the hash.
    pub line: String,
    /// Its hash, 64 hex digits if nobody damaged it.
    pub hash: String,
}

impl Stored {
    /// The text with the hash as its last member, as it is exported.
    #[must_use]
    pub fn exported(&self) -> String {
        super::chain::exported(&self.line, &self.hash)
    }
}

/// How far records were followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// The last record that was handed over, or deleted before that.
    pub last: i64,
    /// So many were deleted before anybody looked at them.
    pub missed: u64,
}

/// Which records to read; all where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this incident, and the alerts that told of it among the 256 from its beginning on.
    pub incident: Option<String>,
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Not written before this.
    pub since: Option<Timestamp>,
    /// After this number.
    pub after: i64,
    /// Only the newest so many.
    pub newest: Option<usize>,
}

impl Filter {
    /// The condition and its values.
    fn condition(&self) -> (String, Vec<Value>) {
        let mut text = "seq > ?1".to_owned();
        let mut values = vec![Value::Integer(self.after)];
        let conditions = [
            (OF_INCIDENT, self.incident.clone().map(Value::Text)),
            (
                "kind = ?",
                self.kind.map(|k| Value::Text(k.as_str().into())),
            ),
            ("time >= ?", self.since.map(|at| Value::Integer(at.0))),
        ];
        for (condition, value) in conditions {
            if let Some(value) = value {
                values.push(value);
                let condition = condition.replace('?', &format!("?{}", values.len()));
                text.push_str(&format!(" AND {condition}"));
            }
        }
        (text, values)
    }
}

impl Reader {
    /// Opens the journal in a state directory. Neither a lock nor, for a copy that nobody writes, a right to write is
    /// needed.
    ///
    /// # Errors
    /// There is no journal, or it cannot be read.
    pub fn open(directory: &Path) -> Result<Self, ReadError> {
        let connection = schema::open_read_only(directory)?;
        Ok(Self { connection })
    }

    /// Reads a journal and writes nothing at all, not even what SQLite puts beside a database to read it, unless a process
    /// has it open. `read` is called again if one opened it meanwhile, so it begins anew.
    ///
    /// # Errors
    /// As [`Reader::open`], and what `read` fails with.
    pub fn undisturbed<T>(
        directory: &Path,
        mut read: impl FnMut(&Self) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        schema::readable(directory)?;
        if !schema::is_in_use(directory)
            && let Some(connection) = schema::open_at_rest(directory)
        {
            let found = connection.and_then(|connection| read(&Self { connection }));
            if !schema::is_in_use(directory) {
                return found;
            }
        }
        read(&Self::open(directory)?)
    }

    /// What a start would resume from.
    ///
    /// # Errors
    /// A query failed.
    pub fn restored(&self) -> Result<Restored, ReadError> {
        Ok(restore::read(&self.connection)?)
    }

    /// The last record.
    ///
    /// # Errors
    /// The query failed.
    pub fn head(&self) -> Result<Head, ReadError> {
        Ok(restore::head(&self.connection)?)
    }

    /// The last record that was deleted by age or size; number 0 if none was.
    ///
    /// # Errors
    /// The query failed.
    pub fn floor(&self) -> Result<Head, ReadError> {
        Ok(restore::floor(&self.connection)?)
    }

    /// Has `read` see the journal as it was at one instant, whatever is written meanwhile. To be short: until it is over the writer
    /// cannot clear its log.
    ///
    /// # Errors
    /// What `read` fails with, or beginning failed.
    pub fn at_once<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        // Ended when it is dropped; there is nothing to commit.
        let _instant = self.connection.unchecked_transaction()?;
        read(self)
    }

    /// Hands over records in order until `each` has enough, and says how many it handed over.
    ///
    /// # Errors
    /// A query failed.
    pub fn entries(
        &self,
        filter: &Filter,
        each: &mut dyn FnMut(&Stored) -> ControlFlow<()>,
    ) -> Result<u64, ReadError> {
        let mut filter = filter.clone();
        if let Some(newest) = filter.newest.take() {
            filter.after = self.before_newest(&filter, newest)?;
        }
        let mut count = 0;
        loop {
            let (some, all) = self.some(&filter)?;
            for stored in &some {
                filter.after = stored.seq;
                count += 1;
                if each(stored).is_break() {
                    return Ok(count);
                }
            }
            if all {
                return Ok(count);
            }
        }
    }

    /// Hands over the records behind one, in order, until `each` has enough. To be called within [`Reader::at_once`]: what is deleted in
    /// between would be neither handed over nor counted.
    ///
    /// # Errors
    /// A query failed.
    pub fn follow(
        &self,
        after: i64,
        each: &mut dyn FnMut(&Stored) -> ControlFlow<()>,
    ) -> Result<Followed, ReadError> {
        let filter = Filter {
            after,
            ..Filter::default()
        };
        let mut last = after;
        self.entries(&filter, &mut |stored| {
            last = stored.seq;
            each(stored)
        })?;
        let floor = self.floor()?.seq;
        Ok(Followed {
            last: last.max(floor),
            missed: u64::try_from(floor - after).unwrap_or(0),
        })
    }

    /// The first records that fit, and whether these are all.
    fn some(&self, filter: &Filter) -> Result<(Vec<Stored>, bool), ReadError> {
        let (condition, values) = filter.condition();
        let sql = format!(
            "SELECT seq, line, hash FROM entries WHERE {condition} ORDER BY seq LIMIT {AT_ONCE}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let (mut some, mut bytes) = (Vec::new(), 0);
        while bytes < BYTES
            && let Some(row) = rows.next()?
        {
            let stored = Stored {
                seq: row.get(0)?,
                line: row.get(1)?,
                hash: row.get(2)?,
            };
            bytes += stored.line.len();
            some.push(stored);
        }
        let all = some.len() < AT_ONCE && bytes < BYTES;
        Ok((some, all))
    }

    /// The number of the record before the newest so many.
    fn before_newest(&self, filter: &Filter, newest: usize) -> Result<i64, ReadError> {
        let (condition, values) = filter.condition();
        let sql = format!(
            "SELECT seq FROM entries WHERE {condition} ORDER BY seq DESC LIMIT 1 OFFSET {newest}"
        );
        let before = self
            .connection
            .query_row(&sql, params_from_iter(values), |row| row.get(0));
        Ok(before.optional()?.unwrap_or(filter.after))
    }

    /// An incident as it is kept.
    ///
    /// # Errors
    /// The query failed.
    pub fn incident(&self, id: &str) -> Result<Option<IncidentRow>, ReadError> {
        let sql = "SELECT id, open, revision, body FROM incidents WHERE id = ?1";
        let row = self.connection.query_row(sql, [id], restore::incident);
        Ok(row.optional()?)
    }

    /// Incidents, the one that changed last first; at most `most`.
    ///
    /// # Errors
    /// The query failed.
    pub fn incidents(&self, open: bool, most: usize) -> Result<Vec<IncidentRow>, ReadError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        Ok(restore::incidents(&self.connection, open, most)?)
    }

    /// Ids of incidents that begin with `part`, or, if none does, that end with it; of at most `most`. Upper and lower case are the same.
    ///
    /// # Errors
    /// The query failed.
    pub fn incidents_like(&self, part: &str, most: usize) -> Result<Vec<String>, ReadError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let with = |place: &str| {
            // Records may be there after the row of their incident was forgotten.
            let sql = format!(
                "SELECT id FROM (SELECT id FROM incidents UNION SELECT incident FROM entries WHERE incident IS NOT NULL) \
                 WHERE lower({place}) = lower(?1) ORDER BY id LIMIT ?2"
            );
            restore::list(&self.connection, &sql, (part, most), |row| row.get(0))
        };
        let begin: Vec<String> = with("substr(id, 1, length(?1))")?;
        if !begin.is_empty() || part.is_empty() {
            return Ok(begin);
        }
        Ok(with("substr(id, -length(?1))")?)
    }

    /// A packet of evidence of an incident, if it is there.
    ///
    /// # Errors
    /// The query failed.
    pub fn evidence(&self, id: &str, number: u32) -> Result<Option<Evidence>, ReadError> {
        let mut found = None;
        let Some(before) = number.checked_sub(1) else {
            return Ok(None);
        };
        self.packets(id, before, &mut |packet| {
            found = Some(packet).filter(|packet| packet.number == number);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Hands over the packets of evidence of an incident that are there, by their numbers behind one, until `each` has enough: one may
    /// have a quarter of a MiB.
    ///
    /// # Errors
    /// The query failed.
    pub fn packets(
        &self,
        id: &str,
        after: u32,
        each: &mut dyn FnMut(Evidence) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        if !restore::keeps_evidence(&self.connection)? {
            return Ok(());
        }
        let sql =
            "SELECT number, text FROM evidence WHERE incident = ?1 AND number > ?2 ORDER BY number";
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query((id, after))?;
        while let Some(row) = rows.next()? {
            let text: String = row.get(1)?;
            let packet = Evidence {
                incident: IncidentId::new(id),
                number: row.get(0)?,
                text: text.into(),
            };
            if each(packet).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// A revision of a playbook, as JSON text.
    ///
    /// # Errors
    /// The query failed.
    pub fn playbook(&self, hash: &str) -> Result<Option<String>, ReadError> {
        let sql = "SELECT text FROM playbooks WHERE hash = ?1";
        let row = self.connection.query_row(sql, [hash], |row| row.get(0));
        Ok(row.optional()?)
    }

    /// The small named facts.
    ///
    /// # Errors
    /// The query failed.
    pub fn settings(&self) -> Result<std::collections::BTreeMap<String, String>, ReadError> {
        Ok(restore::settings(&self.connection)?)
    }

    /// How many notifications wait, by their sink.
    ///
    /// # Errors
    /// The query failed.
    pub fn waiting(&self) -> Result<std::collections::BTreeMap<String, u64>, ReadError> {
        let sql = "SELECT sink, count(*) FROM outbox WHERE done = 0 GROUP BY sink";
        let all = restore::list(&self.connection, sql, (), |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        Ok(all.into_iter().collect())
    }

    /// Notifications of a sink that are not delivered yet, after a row, in order.
    ///
    /// # Errors
    /// The query failed.
    pub fn undelivered(
        &self,
        sink: &str,
        after: i64,
        most: usize,
    ) -> Result<Vec<Undelivered>, ReadError> {
        Ok(restore::undelivered(
            &self.connection,
            Some(sink),
            after,
            most,
        )?)
    }
}
