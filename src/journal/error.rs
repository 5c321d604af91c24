//! Why the journal cannot be opened, written or read.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

/// Why a commit is not durable. Nothing of it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The disk is full, or the file may not grow or be written. Later commits succeed again once there is room.
    #[error(
        "write to the journal: no room ({0}); free space where the state directory is, or raise journal.max_size if that is what it has reached"
    )]
    Full(String),
    /// As much as may wait is waiting already.
    #[error("write to the journal: too much is waiting already")]
    Busy,
    /// Anything else.
    #[error("write to the journal: {0}")]
    Broken(String),
}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        match is_full(&error) {
            true => Self::Full(error.to_string()),
            false => Self::Broken(error.to_string()),
        }
    }
}

/// Whether there is no room, or the file may not be written.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|code| {
        // SQLite tells a quota, a limit of the file's size and a full /dev/shm as failed writes.
        let grows = matches!(
            code.extended_code,
            ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMSIZE | ffi::SQLITE_IOERR_TRUNCATE
        );
        grows || matches!(code.code, ErrorCode::DiskFull | ErrorCode::ReadOnly)
    })
}

/// Why the journal cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the directory.
    #[error(
        "state directory {}: a running nodeward holds it{}; stop it, or name another directory with --state-dir or state",
        directory.display(), who(*pid, *held)
    )]
    Held {
        /// The directory.
        directory: PathBuf,
        /// Which process, if it said so.
        pid: Option<u32>,
        /// For how long, if that is known.
        held: Option<Duration>,
    },
    /// The directory or a file in it cannot be made, opened or locked.
    #[error("{what} {}: {source}; is it this user's, and the right directory (--state-dir, state)?", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// SQLite cannot open the database.
    #[error("open the journal {}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: rusqlite::Error,
    },
    /// The database is of a newer version.
    #[error(
        "open the journal {}: it was written by a newer nodeward (schema {found}, this one knows {known}); run that one, \
         or move the file away", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The file is something else.
    #[error("open the journal {}: it is no journal of nodeward", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

impl OpenError {
    /// Whether there is no room, or the directory or a file in it may not be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::File { source, .. } => matches!(
                source.kind(),
                ErrorKind::StorageFull
                    | ErrorKind::QuotaExceeded
                    | ErrorKind::FileTooLarge
                    | ErrorKind::ReadOnlyFilesystem
                    | ErrorKind::PermissionDenied
            ),
            Self::Database { source, .. } => is_full(source),
            _ => false,
        }
    }
}

fn who(pid: Option<u32>, held: Option<Duration>) -> String {
    let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid}"));
    let held = match held {
        Some(held) if !pid.is_empty() => format!(", for {} s", held.as_secs()),
        _ => String::new(),
    };
    let end = if pid.is_empty() { "" } else { ")" };
    format!("{pid}{held}{end}")
}

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error(
        "read the journal: there is none in {} yet; name the state directory of a nodeward that heals with --state-dir",
        directory.display()
    )]
    None {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// Its file holds nothing, and what was written is not beside it.
    #[error(
        "read the journal {}: nothing is in it, and its write-ahead log {}-wal is not beside it: with that, what was recorded is gone; \
         was it deleted, or left behind when the file was copied?", path.display(), path.display()
    )]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// It may not be read, is damaged, or of a newer version.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A query failed.
    #[error("read the journal: {0}")]
    Query(#[from] rusqlite::Error),
}
