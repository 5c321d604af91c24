//! Regular files that others keep, opened and hashed without being led astray.
//!
//! Links are followed. What is no regular file is never opened for reading: a pipe would wait for a writer, and opening alone moves some
//! devices (a tape, a watchdog). Everything here may block for as long as the file system does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat, stat};
use sha2::{Digest, Sha256};

/// Bytes read at a time.
const PIECE: usize = 64 << 10;
/// A file that changed so shortly before it was read may change again without a trace: file systems count time in steps, FAT of 2 s.
const STEP: i64 = 2;

/// What shows that a file is another one now, or another inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Device and inode.
    pub file: (u64, u64),
    /// Bytes.
    pub size: u64,
    /// When its content changed last, in seconds and nanoseconds of the epoch; anybody who may write can set it.
    pub modified: (i64, i64),
    /// When anything of it changed last; nobody can set it but by the clock.
    pub changed: (i64, i64),
}

impl Stamp {
    #[expect(clippy::cast_possible_wrap, reason = "nanoseconds of a second")]
    fn of(stat: &Stat) -> Self {
        Self {
            file: (stat.st_dev, stat.st_ino),
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    /// Whether a file that has this stamp later is sure to be as it was at `now`, in seconds of the epoch.
    #[must_use]
    pub const fn has_settled(&self, now: i64) -> bool {
        now.saturating_sub(self.changed.0) > STEP
    }
}

/// What shows whether what stands at a path, links followed, is as it was; none of what cannot be looked at.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    stat(path).ok().as_ref().map(Stamp::of)
}

/// What stands at a path.
pub enum Found {
    /// A regular file.
    Regular(Regular),
    /// Something else: its name.
    Other(&'static str),
}

/// A regular file, open.
pub struct Regular {
    file: File,
    /// How it was when it was opened.
    pub stamp: Stamp,
}

/// What came of hashing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashed {
    /// SHA-256 of all of it.
    Whole([u8; 32]),
    /// It has more bytes than were to be read.
    TooLarge,
    /// It changed meanwhile, so that no hash would be that of anything.
    Changed,
    /// Nobody wants to know any more.
    Unwanted,
}

/// Opens what stands at `path`, if it is a regular file.
///
/// # Errors
/// What the system says.
pub fn open_regular(path: &Path) -> io::Result<Found> {
    // Opened as a mere place first, which touches nothing, so that what is looked at is what is opened.
    let place = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let seen = fstat(&place)?;
    let other = match FileType::from_raw_mode(seen.st_mode) {
        FileType::RegularFile => return Regular::again(&place, &seen).map(Found::Regular),
        FileType::Directory => "a directory",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        FileType::Symlink | FileType::Unknown => "of no known type",
    };
    Ok(Found::Other(other))
}

impl Regular {
    /// Opens a file that is held as a mere place.
    fn again(place: &OwnedFd, seen: &Stat) -> io::Result<Self> {
        let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?;
        let stamp = Stamp::of(seen);
        Ok(Self { file, stamp })
    }

    /// As [`open_regular`], of a place that is held already; none if it is no regular file.
    pub(super) fn at(place: OwnedFd) -> io::Result<Option<Self>> {
        let seen = fstat(&place)?;
        match FileType::from_raw_mode(seen.st_mode) {
            FileType::RegularFile => Self::again(&place, &seen).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads all of it piece by piece, for as long as `wanted`; false if it was not to the end.
    ///
    /// # Errors
    /// What the system says.
    pub fn through(
        &mut self,
        wanted: &dyn Fn() -> bool,
        each: &mut dyn FnMut(&[u8]),
    ) -> io::Result<bool> {
        let mut piece = vec![0; PIECE];
        while wanted() {
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(got) => each(piece.get(..got).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// All of its bytes, if they are at most so many.
    ///
    /// # Errors
    /// What the system says, and that it is larger.
    pub fn bytes(self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.take(most + 1).read_to_end(&mut bytes)?;
        match bytes.len() as u64 > most {
            true => Err(io::Error::other(format!("it is larger than {most} bytes"))),
            false => Ok(bytes),
        }
    }

    /// Hashes it, for as long as `wanted`, up to `most` bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn sha256(mut self, most: u64, wanted: &dyn Fn() -> bool) -> io::Result<Hashed> {
        let (mut hash, read) = (Sha256::new(), std::cell::Cell::new(0));
        let size = self.stamp.size;
        let fits = || read.get() <= most && size <= most;
        let whole = self.through(&|| wanted() && fits(), &mut |piece| {
            hash.update(piece);
            read.set(read.get() + piece.len() as u64);
        })?;
        match (whole, fits()) {
            (_, false) => return Ok(Hashed::TooLarge),
            (false, true) => return Ok(Hashed::Unwanted),
            (true, true) => {}
        }
        if Stamp::of(&fstat(&self.file)?) != self.stamp {
            return Ok(Hashed::Changed);
        }
        Ok(Hashed::Whole(hash.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn found(path: &Path) -> String {
        match open_regular(path) {
            Ok(Found::Regular(_)) => "regular".to_owned(),
            Ok(Found::Other(what)) => what.to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        }
    }

    #[test]
    fn only_regular_files_are_opened_and_nothing_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        std::os::unix::fs::symlink("loop", at("loop")).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let pipe = rustix::fs::mknodat(CWD, at("pipe"), FileType::Fifo, Mode::RUSR, 0);
        pipe.unwrap();
        for (path, what) in [
            (at("file"), "regular"),
            (at("link"), "regular"),
            (at("loop"), "FilesystemLoop"),
            (at("gone"), "NotFound"),
            (at("file/below"), "NotADirectory"),
            (at("socket"), "a socket"),
            (at("pipe"), "a pipe"),
            ("/dev/zero".into(), "a device"),
            ("/".into(), "a directory"),
        ] {
            assert_eq!(found(&path), what, "{}", path.display());
        }
    }

    fn hash(path: &Path, most: u64, wanted: &dyn Fn() -> bool) -> Hashed {
        match open_regular(path).unwrap() {
            Found::Regular(file) => file.sha256(most, wanted).unwrap(),
            Found::Other(what) => panic!("{what}"),
        }
    }

    #[test]
    fn a_hash_is_that_of_the_whole_file_or_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let Hashed::Whole(bytes) = hash(&path, 3, &|| true) else {
            panic!("no hash")
        };
        assert_eq!(
            crate::model::hex::written(&bytes),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hash(&path, 2, &|| true), Hashed::TooLarge);
        assert_eq!(hash(&path, 3, &|| false), Hashed::Unwanted);
        let once = std::cell::Cell::new(true);
        let grows = || {
            if once.take() {
                let mut file = File::options().append(true).open(&path).unwrap();
                std::io::Write::write_all(&mut file, b"d").unwrap();
            }
            true
        };
        assert_eq!(hash(&path, 100, &grows), Hashed::Changed);
        // The kernel says that they are empty, and they are not.
        let status = Path::new("/proc/self/status");
        assert_eq!(hash(status, 3, &|| true), Hashed::TooLarge);
    }

    #[test]
    fn what_has_just_changed_is_not_believed_to_be_settled() {
        let stamp = Stamp {
            file: (1, 2),
            size: 3,
            modified: (0, 0),
            changed: (100, 0),
        };
        assert!(!stamp.has_settled(100) && !stamp.has_settled(102) && !stamp.has_settled(50));
        assert!(stamp.has_settled(103));
    }
}
