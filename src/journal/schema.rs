//! The database: its tables, how it is opened, which version it is.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::{OpenError, ReadError};
use super::lock::failed;
use super::options::Options;
use crate::net::endpoint::percent_encoded;

/// Name of the database file in the state directory.
pub(super) const NAME: &str = "journal.db";
/// Version of the tables.
const VERSION: i64 = 1;
/// Marks the file as ours: "nwjl".
const APPLICATION: i64 = 0x6e77_6a6c;
/// Only a checkpoint of our own connection and readers that recover the log ever make a connection wait.
const PATIENCE: Duration = Duration::from_secs(5);

/// SQLite's own limit.
const MOST_PAGES: i64 = 0xffff_fffe;

const TABLES: &str = "
CREATE TABLE entries (
    seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, incident TEXT, line TEXT NOT NULL, hash TEXT NOT NULL);
CREATE INDEX entries_incident ON entries (incident, seq) WHERE incident IS NOT NULL;
CREATE INDEX entries_kind ON entries (kind, seq);
CREATE TABLE floor (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE incidents (
    id TEXT PRIMARY KEY, open INTEGER NOT NULL, revision TEXT, body TEXT NOT NULL, changed INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX incidents_open ON incidents (open, changed);
CREATE TABLE episodes (
    episode TEXT PRIMARY KEY, resolved INTEGER NOT NULL, body TEXT NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX episodes_seen ON episodes (resolved, seen);
CREATE TABLE deliveries (key BLOB PRIMARY KEY, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX deliveries_seen ON deliveries (seen);
CREATE TABLE playbooks (hash TEXT PRIMARY KEY, text TEXT NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
    row INTEGER PRIMARY KEY AUTOINCREMENT, sink TEXT NOT NULL, id TEXT NOT NULL, severity TEXT NOT NULL, body TEXT NOT NULL,
    made INTEGER NOT NULL, seq INTEGER NOT NULL, chain TEXT NOT NULL,
    done INTEGER NOT NULL DEFAULT 0, tries INTEGER NOT NULL DEFAULT 0, tried INTEGER, why TEXT,
    UNIQUE (sink, id));
CREATE INDEX outbox_waiting ON outbox (sink, row) WHERE done = 0;
CREATE INDEX outbox_made ON outbox (done, made);
";

/// Beside the others, and made where it is missing: whoever knows it not is not in its way, so that the version stays.
const EVIDENCE: &str = "
CREATE TABLE IF NOT EXISTS evidence (
    row INTEGER PRIMARY KEY, incident TEXT NOT NULL, number INTEGER NOT NULL, made INTEGER NOT NULL, bytes INTEGER NOT NULL,
    text TEXT NOT NULL, UNIQUE (incident, number));
";

/// Opens the database for the one who writes, and makes it if it is not there.
pub(super) fn open(directory: &Path, options: &Options) -> Result<Connection, OpenError> {
    let path = directory.join(NAME);
    let database = |source| OpenError::Database {
        path: path.clone(),
        source,
    };
    if !path.exists() {
        // SQLite would take the mode from the umask; its two companion files take the mode of this one.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|_| File::open(directory)?.sync_all())
            .map_err(|source| failed("make the journal", &path, source))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let gone = is_gone(&path);
    let connection = Connection::open_with_flags(&path, flags).map_err(database)?;
    connection.busy_timeout(PATIENCE).map_err(database)?;
    let found = version(&connection, &path)?;
    if gone && found == 0 {
        let path = path.display();
        tracing::error!(
            "the journal {path} holds nothing, and its write-ahead log {path}-wal is not beside it: what was recorded is gone, and it begins anew"
        );
    }
    prepare(&connection).map_err(database)?;
    if found == 0 {
        make(&connection).map_err(database)?;
    }
    connection.execute_batch(EVIDENCE).map_err(database)?;
    bound(&connection, options).map_err(database)?;
    Ok(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    // Must come before the first table is made.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // A burst leaves a long log behind; it is cut to this again.
    connection.pragma_update(None, "journal_size_limit", 4 << 20)?;
    // In KiB when negative: rows are written once and seldom read.
    connection.pragma_update(None, "cache_size", -512)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Whatever deleting old records does not keep up with, the file never grows beyond twice its size.
fn bound(connection: &Connection, options: &Options) -> rusqlite::Result<()> {
    let page: u32 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let most = options.max_size.bytes().saturating_mul(2) / u64::from(page).max(1);
    let most = i64::try_from(most).unwrap_or(i64::MAX).min(MOST_PAGES);
    connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))
}

fn make(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

/// The version of the tables; 0 for an empty file.
fn version(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables = "SELECT count(*) FROM sqlite_schema";
    let read = || -> rusqlite::Result<(i64, i64, i64)> {
        let tables = connection.query_row(tables, (), |row| row.get(0))?;
        Ok((pragma("application_id")?, pragma("user_version")?, tables))
    };
    let path = path.to_owned();
    match read() {
        Ok((0, 0, 0)) => Ok(0),
        Ok((APPLICATION, VERSION, _)) => Ok(VERSION),
        Ok((APPLICATION, found, _)) => Err(OpenError::Newer {
            path,
            found,
            known: VERSION,
        }),
        Ok(_) => Err(OpenError::Foreign { path }),
        Err(source) => Err(OpenError::Database { path, source }),
    }
}

/// Whether a database that holds nothing was begun, and its write-ahead log, where its first records are for long, is not there.
fn is_gone(path: &Path) -> bool {
    let is_empty = |path: &Path| path.metadata().map_or(true, |file| file.len() == 0);
    // Who reads it may have made an empty one.
    !is_empty(path) && is_empty(&log_of(path))
}

/// Whether a process has the database open, or one was killed that had.
pub(super) fn is_in_use(directory: &Path) -> bool {
    log_of(&directory.join(NAME)).exists()
}

/// Opens a database that nobody has open, and writes nothing at all: SQLite would else make a write-ahead log and its index to read
/// with. None where a path cannot be written as a URI.
pub(super) fn open_at_rest(directory: &Path) -> Option<Result<Connection, ReadError>> {
    let path = directory.join(NAME);
    let uri = format!("file:{}?immutable=1", percent_encoded(path.to_str()?));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(uri, flags)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(connection)
    };
    Some(opened(directory, &path, open()))
}

fn opened(
    directory: &Path,
    path: &Path,
    connection: rusqlite::Result<Connection>,
) -> Result<Connection, ReadError> {
    let connection = connection.map_err(|source| OpenError::Database {
        path: path.to_owned(),
        source,
    })?;
    match version(&connection, path)? {
        0 if is_gone(path) => Err(ReadError::Gone { path: path.into() }),
        0 => Err(ReadError::None {
            directory: directory.to_owned(),
        }),
        _ => Ok(connection),
    }
}

/// Why there is nothing to read in a directory.
pub(super) fn readable(directory: &Path) -> Result<(), ReadError> {
    let path = directory.join(NAME);
    // Not opened to see whether it may be: closing the file again would let go the locks that this process's own writer holds
    // on it (fcntl(2), F_SETLK).
    let readable = rustix::fs::access(&path, rustix::fs::Access::READ_OK);
    match readable.map_err(Into::into).and_then(|()| path.metadata()) {
        Ok(file) if file.len() > 0 || log_of(&path).exists() => {}
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("read the journal", &path, source).into());
        }
        _ => {
            return Err(ReadError::None {
                directory: directory.to_owned(),
            });
        }
    }
    Ok(())
}

/// Opens the database of another process, or of none, to read it.
pub(super) fn open_read_only(directory: &Path) -> Result<Connection, ReadError> {
    readable(directory)?;
    let path = directory.join(NAME);
    let connection = match read_only(&path, None) {
        // The index of the log cannot be made here, so nobody writes here either: it is made in memory, or, where there is no log,
        // not needed.
        Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error {
                code: rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly,
                ..
            },
            _,
        )) => {
            if !is_in_use(directory)
                && let Some(at_rest) = open_at_rest(directory)
            {
                return at_rest;
            }
            read_only(&path, Some("unix-none"))
        }
        shared => shared,
    };
    opened(directory, &path, connection)
}

/// The write-ahead log beside a database.
fn log_of(path: &Path) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A read-only connection that has read once. `alone`: a file system layer without locks, for a place where nobody writes.
pub(super) fn read_only(path: &Path, alone: Option<&str>) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match alone {
        None => Connection::open_with_flags(path, flags)?,
        Some(layer) => Connection::open_with_flags_and_vfs(path, flags, layer)?,
    };
    connection.busy_timeout(PATIENCE)?;
    if alone.is_some() {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    }
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
    Ok(connection)
}
