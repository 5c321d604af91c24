//! What a start resumes from.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};

use super::chain::{Hash, Head};
use super::commit::{EpisodeRow, IncidentRow, Undelivered};
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

/// At most so many closed incidents come back: enough for cooldowns and budgets.
const CLOSED: usize = 1_000;
/// At most so many episodes come back: those not resolved first, then the newest.
const EPISODES: usize = 20_000;
/// At most so many keys of deliveries come back, the newest first.
const DELIVERIES: usize = 10_000;
/// At most so many notifications come back; the rest is read as these are delivered.
const OUTBOX: usize = 1_000;

/// What a start resumes from. Bounded, so that a journal of any size costs a bounded memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// The last record.
    pub head: Head,
    /// Open incidents, all of them.
    pub incidents: Vec<IncidentRow>,
    /// The 1,000 incidents that were closed last, the latest first.
    pub closed: Vec<IncidentRow>,
    /// Episodes: at most 20,000, those that are not resolved first, then the latest.
    pub episodes: Vec<EpisodeRow>,
    /// Keys of the latest 10,000 deliveries.
    pub deliveries: Vec<[u8; 32]>,
    /// Revisions of playbooks that open incidents run under: hash and JSON text.
    pub playbooks: BTreeMap<String, String>,
    /// Small named facts.
    pub settings: BTreeMap<String, String>,
    /// The first 1,000 undelivered notifications, in order; more come by [`super::Reader::undelivered`].
    pub outbox: Vec<Undelivered>,
}

/// Whether there is a place for evidence: a journal that was written by an older version has none until it is opened to be written.
pub(super) fn keeps_evidence(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'evidence'";
    connection.query_row(sql, (), |row| Ok(row.get::<_, i64>(0)? > 0))
}

pub(super) fn read(connection: &Connection) -> rusqlite::Result<Restored> {
    Ok(Restored {
        head: head(connection)?,
        incidents: incidents(connection, true, -1)?,
        closed: incidents(connection, false, limit(CLOSED))?,
        episodes: list(
            connection,
            "SELECT episode, resolved, body, seen FROM episodes ORDER BY resolved, seen DESC LIMIT ?1",
            [limit(EPISODES)],
            |row| {
                Ok(EpisodeRow {
                    episode: row.get(0)?,
                    resolved: row.get(1)?,
                    body: row.get(2)?,
                    seen: Timestamp(row.get(3)?),
                })
            },
        )?,
        deliveries: list(
            connection,
            "SELECT key FROM deliveries ORDER BY seen DESC LIMIT ?1",
            [limit(DELIVERIES)],
            |row| row.get(0),
        )?,
        playbooks: list(
            connection,
            "SELECT hash, text FROM playbooks WHERE hash IN (SELECT revision FROM incidents WHERE open = 1)",
            (),
            pair,
        )?
        .into_iter()
        .collect(),
        settings: settings(connection)?,
        outbox: undelivered(connection, None, 0, OUTBOX)?,
    })
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

fn pair(row: &Row<'_>) -> rusqlite::Result<(String, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

/// All rows of a query.
pub(super) fn list<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection
        .prepare(sql)?
        .query_map(parameters, row)?
        .collect()
}

/// How many records there are: there are no gaps.
pub(super) fn records(connection: &Connection) -> rusqlite::Result<u64> {
    let sql =
        "SELECT coalesce((SELECT max(seq) FROM entries) - (SELECT min(seq) FROM entries) + 1, 0)";
    connection.query_row(sql, (), |row| row.get::<_, i64>(0).map(i64::unsigned_abs))
}

pub(super) fn settings(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let all = list(
        connection,
        "SELECT name, value FROM settings WHERE name NOT LIKE 'journal.%'",
        (),
        pair,
    )?;
    Ok(all.into_iter().collect())
}

/// Incidents, the one that changed last first; all of them below a limit of 0.
pub(super) fn incidents(
    connection: &Connection,
    open: bool,
    limit: i64,
) -> rusqlite::Result<Vec<IncidentRow>> {
    let sql = "SELECT id, open, revision, body FROM incidents WHERE open = ?1 ORDER BY changed DESC LIMIT ?2";
    list(connection, sql, (open, limit), incident)
}

pub(super) fn incident(row: &Row<'_>) -> rusqlite::Result<IncidentRow> {
    Ok(IncidentRow {
        id: IncidentId::new(&row.get::<_, String>(0)?),
        open: row.get(1)?,
        revision: row.get(2)?,
        body: row.get(3)?,
    })
}

/// Undelivered notifications after a row, of one sink or of all.
pub(super) fn undelivered(
    connection: &Connection,
    sink: Option<&str>,
    after: i64,
    most: usize,
) -> rusqlite::Result<Vec<Undelivered>> {
    let columns = "SELECT row, sink, id, severity, body, made, tries, seq, chain FROM outbox";
    let of = |row: &Row<'_>| {
        let severity: String = row.get(3)?;
        Ok(Undelivered {
            row: row.get(0)?,
            sink: row.get(1)?,
            id: row.get(2)?,
            severity: severity_of(&severity),
            body: row.get(4)?,
            made: Timestamp(row.get(5)?),
            tries: row.get(6)?,
            seq: row.get(7)?,
            chain: hash(row, 8)?,
        })
    };
    match sink {
        Some(sink) => list(
            connection,
            &format!("{columns} WHERE done = 0 AND sink = ?1 AND row > ?2 ORDER BY row LIMIT ?3"),
            (sink, after, limit(most)),
            of,
        ),
        None => list(
            connection,
            &format!("{columns} WHERE done = 0 AND row > ?1 ORDER BY row LIMIT ?2"),
            (after, limit(most)),
            of,
        ),
    }
}

fn severity_of(word: &str) -> Severity {
    // Words come from `Severity::as_str`; a damaged one must not keep nodeward from starting.
    serde_json::from_value(serde_json::Value::String(word.to_owned())).unwrap_or_default()
}

/// A hash in a column.
pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<Hash> {
    let text: String = row.get(column)?;
    text.parse().map_err(|why| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::<super::chain::NotAHash>::new(why),
        )
    })
}

/// The last record; where all are deleted, the last that was.
pub(super) fn head(connection: &Connection) -> rusqlite::Result<Head> {
    let of = |row: &Row<'_>| {
        Ok(Head {
            seq: row.get(0)?,
            hash: hash(row, 1)?,
        })
    };
    let last = "SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1";
    match connection.query_row(last, (), of).optional()? {
        Some(head) => Ok(head),
        None => floor(connection),
    }
}

/// The last record that was deleted by age.
pub(super) fn floor(connection: &Connection) -> rusqlite::Result<Head> {
    let floor = connection.query_row("SELECT seq, hash FROM floor", (), |row| {
        Ok(Head {
            seq: row.get(0)?,
            hash: hash(row, 1)?,
        })
    });
    Ok(floor.optional()?.unwrap_or(Head::START))
}
