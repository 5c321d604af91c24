//! The directory of the spool: one process at a time, and the files that are the spool's.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::segment::Segment;

const LOCK: &str = "lock";

/// Makes the directory for this user alone, and takes it: one process at a time writes there.
pub fn take(directory: &Path) -> io::Result<File> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(LOCK))?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
        rustix::io::Errno::WOULDBLOCK => {
            io::Error::other("another process has it; each needs a state directory of its own")
        }
        other => other.into(),
    })?;
    Ok(lock)
}

/// The files of the spool, oldest first; others are left alone.
pub fn files(directory: &Path, suffix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(id) = Segment::named(&path, suffix) {
            files.push((id, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}
