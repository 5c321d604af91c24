//! Forgetting: what is too old or too much is deleted, a little at a time, on the writer's thread.
//!
//! Records go oldest first, and the number and hash of the last one deleted stay behind, so that the rest of the chain still
//! proves itself. There is no timer: whatever grows is looked at after it grew, and at the start.

use rusqlite::{Connection, OptionalExtension, params};

use super::options::Options;
use crate::model::moment::Timestamp;

/// So many rows go in one transaction: a commit that arrives meanwhile waits a few milliseconds.
const STEP: i64 = 500;
/// How long the key of a delivery is of use: no alert server repeats one for longer.
const DELIVERIES: i64 = 7 * 24 * 60 * 60 * 1000;
/// How long a revision of a playbook may lie here before the first incident refers to it.
const REVISIONS: i64 = 60 * 60 * 1000;

/// From this size on the tables beside the records hold as many rows as they ever may; below, fewer in proportion, so that
/// they leave room for records.
const ROOMY: u64 = 512 << 20;
/// Packets of evidence at most.
const EVIDENCE: u64 = 2_000;
/// Those of fewer bytes only say why there is nothing in them. They are counted apart: a storm of them takes no others' places.
const SAYS_NOTHING: u64 = 2_048;
/// They hold so many at least.
const LEAST: i64 = 1_000;

/// How many rows a table keeps that may have `most`.
fn newest(most: u64, options: &Options) -> i64 {
    let size = options.max_size.bytes().min(ROOMY);
    let rows = u128::from(most) * u128::from(size) / u128::from(ROOMY);
    i64::try_from(rows).unwrap_or(i64::MAX).max(LEAST)
}

/// What was deleted in one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Deleted {
    pub records: u64,
    pub undelivered: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// What is used of the file, in bytes.
pub(super) fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
    let pages = pragma("page_count")?.saturating_sub(pragma("freelist_count")?);
    Ok(u64::from(pages) * u64::from(pragma("page_size")?))
}

/// Beyond this, records of open incidents go as well.
pub(super) fn hard(options: &Options) -> u64 {
    options.max_size.bytes().saturating_mul(3) / 2
}

/// Milliseconds on the wall clock before which nothing is kept.
fn horizon(options: &Options, now: Timestamp) -> i64 {
    let keep = i64::try_from(options.keep.get().as_millis()).unwrap_or(i64::MAX);
    now.0.saturating_sub(keep)
}

/// Deletes the oldest records, if any has to go.
pub(super) fn records(
    connection: &Connection,
    options: &Options,
    now: Timestamp,
) -> rusqlite::Result<Deleted> {
    let size = size(connection)?;
    let horizon = horizon(options, now);
    let oldest = "SELECT seq, time FROM entries ORDER BY seq LIMIT 1";
    let oldest: Option<(i64, i64)> = connection
        .query_row(oldest, (), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((first, time)) = oldest else {
        return Ok(Deleted::default());
    };
    let excess = size.saturating_sub(options.max_size.bytes());
    let too_much = excess > 0;
    if !too_much && time >= horizon {
        return Ok(Deleted::default());
    }
    let most = if too_much {
        // Records are about of one size; what this misses by, the next step mends.
        let last: i64 = connection.query_row("SELECT max(seq) FROM entries", (), |r| r.get(0))?;
        let records = u128::from((last - first + 1).unsigned_abs());
        let needed = records * u128::from(excess) / u128::from(size.max(1));
        i64::try_from(needed + 1).unwrap_or(STEP).min(STEP)
    } else {
        STEP
    };
    let open: Option<i64> = connection.query_row(
        "SELECT min((SELECT min(seq) FROM entries WHERE incident = incidents.id)) FROM incidents WHERE open = 1",
        (),
        |row| row.get(0),
    )?;
    let stop = match open {
        // As long as there are others, these stay.
        Some(seq) if size <= hard(options) || first < seq => seq,
        _ => i64::MAX,
    };
    // A clock that was set back leaves younger times behind older ones: the first that is young ends it.
    let last: Option<(i64, String)> = connection
        .query_row(
            "SELECT seq, hash FROM (SELECT seq, hash, min(keep) OVER (ORDER BY seq) AS all_before FROM \
             (SELECT seq, hash, seq < ?1 AND (?2 OR time < ?3) AS keep FROM entries ORDER BY seq LIMIT ?4)) \
             WHERE all_before ORDER BY seq DESC LIMIT 1",
            params![stop, too_much, horizon, most],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((seq, hash)) = last else {
        return Ok(Deleted::default());
    };
    let records = transact(connection, |connection| {
        let records = connection.execute("DELETE FROM entries WHERE seq <= ?1", [seq])?;
        connection.execute(
            "INSERT INTO floor (one, seq, hash) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET seq = ?1, hash = ?2",
            (seq, hash),
        )?;
        Ok(records as u64)
    })?;
    if too_much {
        // Reading its rows is what makes it work.
        connection.pragma(None, "incremental_vacuum", STEP, |_| Ok(()))?;
    }
    Ok(Deleted {
        records,
        more: true,
        ..Deleted::default()
    })
}

/// Deletes of everything else what is over: closed incidents, resolved episodes, keys of deliveries, notifications,
/// revisions that no incident refers to.
pub(super) fn rest(
    connection: &Connection,
    options: &Options,
    now: Timestamp,
) -> rusqlite::Result<Deleted> {
    let horizon = horizon(options, now);
    transact(connection, |connection| {
        let mut deleted = 0;
        let mut delete = |table: &str, key: &str, of: &str, at: &str, before: i64, most: u64| {
            // Those that are too old, or more than the newest so many.
            let sql = format!(
                "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {of} AND {at} < ?1 ORDER BY {at} LIMIT ?2) \
                 OR {key} IN (SELECT {key} FROM {table} WHERE {of} ORDER BY {at} DESC LIMIT ?2 OFFSET ?3)"
            );
            let rows = connection.execute(&sql, [before, STEP, newest(most, options)])?;
            deleted = deleted.max(rows);
            Ok::<_, rusqlite::Error>(rows)
        };
        delete("incidents", "id", "open = 0", "changed", horizon, 20_000)?;
        delete(
            "episodes",
            "episode",
            "resolved = 1",
            "seen",
            horizon,
            50_000,
        )?;
        // One whose end never comes is in nobody's way until there are very many.
        delete(
            "episodes",
            "episode",
            "resolved = 0",
            "seen",
            i64::MIN,
            100_000,
        )?;
        let recent = now.0.saturating_sub(DELIVERIES);
        delete("deliveries", "key", "1", "seen", recent, 100_000)?;
        delete("outbox", "row", "done <> 0", "made", horizon, 20_000)?;
        // How long one is tried is for its notifier to say, which puts it on record when it gives up.
        let undelivered = delete("outbox", "row", "done = 0", "made", i64::MIN, 100_000)?;
        for size in ["bytes < ", "bytes >= "] {
            let of = format!("{size}{SAYS_NOTHING}");
            delete("evidence", "row", &of, "made", horizon, EVIDENCE)?;
        }
        deleted = deleted.max(evidence(connection, options)?);
        connection.execute(
            "DELETE FROM playbooks WHERE seen < ?1 AND hash NOT IN (SELECT revision FROM incidents WHERE revision IS NOT NULL)",
            [now.0.saturating_sub(REVISIONS)],
        )?;
        Ok(Deleted {
            records: 0,
            undelivered: undelivered as u64,
            more: deleted >= STEP.unsigned_abs() as usize,
        })
    })
}

/// Deletes the oldest packets of evidence, as long as all of them take too much.
fn evidence(connection: &Connection, options: &Options) -> rusqlite::Result<usize> {
    let most = i64::try_from(options.evidence_bytes()).unwrap_or(i64::MAX);
    connection.execute(
        "DELETE FROM evidence WHERE row <= (SELECT max(row) FROM \
         (SELECT row, sum(bytes) OVER (ORDER BY row DESC) AS together FROM evidence) WHERE together > ?1)",
        [most],
    )
}

fn transact<T>(
    connection: &Connection,
    within: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // Undone when it is dropped before it is committed.
    let transaction = connection.unchecked_transaction()?;
    let done = within(&transaction)?;
    transaction.commit()?;
    Ok(done)
}
