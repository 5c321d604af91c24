//! One running process a state directory.
//!
//! The lock is the kernel's (flock), so that a process that dies leaves none behind; the file only says who has it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::error::OpenError;

const NAME: &str = "lock";

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Makes the directory if it is not there, for this user alone, and takes it.
    pub fn take(directory: &Path) -> Result<Self, OpenError> {
        if !directory.exists() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|source| failed("make the state directory", directory, source))?;
        }
        let path = directory.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("open the lock", &path, source))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(held(directory, &mut file)),
            Err(source) => return Err(failed("lock", &path, source.into())),
        }
        // Only for people; a full disk must not keep nodeward from starting.
        let told = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        if let Err(error) = told {
            tracing::debug!(%error, "cannot write the pid into the lock");
        }
        Ok(Self { _file: file })
    }
}

pub(super) fn failed(what: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

fn held(directory: &Path, file: &mut File) -> OpenError {
    let mut text = String::new();
    let pid = match file.read_to_string(&mut text) {
        Ok(_) => text.trim().parse().ok(),
        Err(_) => None,
    };
    let since = file.metadata().and_then(|meta| meta.modified()).ok();
    OpenError::Held {
        directory: directory.to_owned(),
        pid,
        held: since.and_then(|since| SystemTime::now().duration_since(since).ok()),
    }
}
