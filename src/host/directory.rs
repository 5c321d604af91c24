//! What a directory's file system has left, and whether it takes a file. Everything here may block for as long as the file system does.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, StatVfsMountFlags, fstatvfs, fsync, openat, unlinkat,
};
use rustix::io::{Errno, write};

/// The file that is made where a file system makes none without a name. Always the same: what a crash left behind is taken away by the
/// next try.
const NAME: &str = ".nodeward-write-test";
/// What is written: a block of most file systems.
const BLOCK: [u8; 4096] = [0; 4096];

/// A directory, held but not opened for anything.
pub struct Directory(OwnedFd);

/// What is left in a file system (statvfs(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Bytes that users other than root can have in all: what is used, and what is free to them.
    pub size: u64,
    /// Bytes of it that are free.
    pub free: u64,
    /// Inodes in all; 0 where the file system does not count them (btrfs).
    pub inodes: u64,
    /// Inodes of it that are free.
    pub inodes_free: u64,
    /// Whether it, or the mount, takes no writes.
    pub read_only: bool,
}

impl Directory {
    /// Finds a directory; a link is followed.
    ///
    /// # Errors
    /// What the system says; `NotADirectory` for anything else.
    pub fn find(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    /// What its file system has left.
    ///
    /// # Errors
    /// What the system says.
    pub fn left(&self) -> io::Result<Left> {
        let told = fstatvfs(&self.0)?;
        let block = match told.f_frsize {
            0 => told.f_bsize,
            fragment => fragment,
        };
        let used = told.f_blocks.saturating_sub(told.f_bfree);
        Ok(Left {
            size: used.saturating_add(told.f_bavail).saturating_mul(block),
            free: told.f_bavail.saturating_mul(block),
            inodes: told.f_files,
            inodes_free: told.f_favail.min(told.f_ffree),
            read_only: told.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }

    /// Writes a block to a file of no name, or of a name that is taken away again, and waits until it is on the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_writing(&self) -> io::Result<()> {
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match openat(&self.0, ".", nameless, Mode::RUSR | Mode::WUSR) {
            Ok(file) => put(&file),
            // It knows no such files, or the kernel is older than they.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => self.try_named(),
            Err(error) => Err(error.into()),
        }
    }

    fn try_named(&self) -> io::Result<()> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let make = || openat(&self.0, NAME, flags, Mode::RUSR | Mode::WUSR);
        let file = match make() {
            Err(Errno::EXIST) => {
                self.take_away()?;
                make()
            }
            made => made,
        }?;
        let written = put(&file);
        drop(file);
        let gone = self.take_away();
        written.and(gone)
    }

    fn take_away(&self) -> io::Result<()> {
        match unlinkat(&self.0, NAME, AtFlags::empty()) {
            // Another who tries has done it.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn put(file: impl AsFd) -> io::Result<()> {
    let mut rest = BLOCK.as_slice();
    while !rest.is_empty() {
        match write(&file, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(fsync(&file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_leaves_nothing_behind_and_takes_away_what_a_crash_left() {
        let directory = tempfile::tempdir().unwrap();
        let found = Directory::find(directory.path()).unwrap();
        let entries = || std::fs::read_dir(directory.path()).unwrap().count();
        found.try_writing().unwrap();
        assert_eq!(entries(), 0);
        found.try_named().unwrap();
        assert_eq!(entries(), 0);
        std::fs::write(directory.path().join(NAME), "left").unwrap();
        found.try_named().unwrap();
        assert_eq!(entries(), 0);
        // Whoever may write there can lead nobody out of it.
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(outside.path(), "keep").unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join(NAME)).unwrap();
        found.try_named().unwrap();
        assert_eq!(entries(), 0);
        assert_eq!(std::fs::read(outside.path()).unwrap(), b"keep");
        std::fs::create_dir(directory.path().join(NAME)).unwrap();
        assert!(found.try_named().is_err());
    }

    #[test]
    fn what_is_left_is_what_df_says() {
        let directory = tempfile::tempdir().unwrap();
        let left = Directory::find(directory.path()).unwrap().left().unwrap();
        let df = |column: &str| {
            let out = std::process::Command::new("df")
                .args(["--block-size=1", &format!("--output={column}")])
                .arg(directory.path())
                .output()
                .unwrap();
            let text = String::from_utf8(out.stdout).unwrap();
            let number = text.lines().nth(1).unwrap().trim().trim_end_matches('%');
            number.parse::<u64>().unwrap()
        };
        // It rounds up, and others write there too.
        let share = (left.size - left.free) * 100 / left.size;
        assert!(share.abs_diff(df("pcent")) <= 1, "{left:?}");
        assert!(!left.read_only);
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Directory::find(&file).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    }
}
