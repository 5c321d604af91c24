//! Deleting files below a directory, by age and size, so that nobody who can write there can lead us out of it.
//!
//! Every step goes by descriptor: a directory is opened in its parent and nowhere else, no link is followed, no other file system
//! entered, and a file is deleted in the directory it was seen in. Directories stay, and so do sockets, pipes and devices.

use std::collections::BinaryHeap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, fstatvfs, openat,
    openat2, statat, unlinkat,
};

/// Files remembered in one pass when the oldest have to be found.
const REMEMBERED: usize = 4096;
/// Directories below directories that are gone into.
const DEEPEST: usize = 64;
/// Failures that are told; the rest is counted.
const TOLD: usize = 3;

/// Which files go.
#[derive(Debug, Clone, Default)]
pub struct Sweep {
    /// Only files whose content has not changed for so long.
    pub older_than: Option<Duration>,
    /// The oldest first, until what is left takes no more bytes on disk than this.
    pub max_size: Option<u64>,
    /// The oldest first, until so many bytes of the file system are free to us.
    pub until_free: Option<u64>,
}

/// What became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    /// Files deleted.
    pub files: u64,
    /// Bytes on disk they took; a file with another name elsewhere counts nothing.
    pub bytes: u64,
    /// Bytes on disk of what is left.
    pub left: u64,
    /// Bytes of the file system that are free to us.
    pub free: u64,
    /// Whether the time ran out before all was looked at.
    pub cut: bool,
    /// Whether sizes and free space are as asked.
    pub reached: bool,
    /// Files and directories that could not be dealt with.
    pub failed: u64,
    /// Why, for the first of them.
    pub failures: Vec<String>,
}

/// Deletes what `rule` says below `directory`, for as long as `go_on` says so.
///
/// # Errors
/// When the directory itself cannot be opened: a link on the way to it counts as that.
pub fn sweep(
    directory: &Path,
    rule: &Sweep,
    go_on: &(dyn Fn() -> bool + Sync),
) -> io::Result<Swept> {
    let root = open_without_links(directory)?;
    let device = fstat(&root)?.st_dev;
    let now = SystemTime::now();
    let before = rule.older_than.map_or(i64::MAX, |age| {
        let then = now.checked_sub(age).unwrap_or(UNIX_EPOCH);
        then.duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
    });
    let mut broom = Broom {
        root: &root,
        device,
        before,
        goal: rule.max_size.is_some() || rule.until_free.is_some(),
        go_on,
        swept: Swept::default(),
        oldest: BinaryHeap::new(),
        forgot: false,
    };
    loop {
        broom.swept.left = 0;
        broom.forgot = false;
        broom.oldest.clear();
        broom.walk(root.as_fd(), &mut Vec::new());
        broom.swept.reached = broom.reached(rule)?;
        let deleted = broom.swept.files;
        let oldest = std::mem::take(&mut broom.oldest).into_sorted_vec();
        for found in oldest {
            if broom.swept.reached || broom.swept.cut {
                break;
            }
            broom.delete_found(&found);
            broom.swept.reached = broom.reached(rule)?;
        }
        let more = broom.forgot && broom.swept.files > deleted;
        if broom.swept.reached || broom.swept.cut || !more {
            return Ok(broom.swept);
        }
    }
}

/// A file that may go: the newest is the greatest, and leaves the heap first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    changed: (i64, u64),
    inode: u64,
    /// Directories on the way, then the file.
    path: Vec<CString>,
}

struct Broom<'a> {
    root: &'a OwnedFd,
    device: u64,
    /// Files changed before this second of the epoch may go.
    before: i64,
    goal: bool,
    go_on: &'a (dyn Fn() -> bool + Sync),
    swept: Swept,
    oldest: BinaryHeap<Found>,
    /// Whether there were more files than are remembered.
    forgot: bool,
}

impl Broom<'_> {
    fn walk(&mut self, directory: BorrowedFd<'_>, path: &mut Vec<CString>) {
        let entries = match Dir::read_from(directory) {
            Ok(entries) => entries,
            Err(e) => return self.fail(path, None, e.into()),
        };
        for entry in entries {
            if !(self.go_on)() {
                self.swept.cut = true;
                return;
            }
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) => return self.fail(path, None, e.into()),
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Somebody else deleted it.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(e) => {
                    self.fail(path, Some(name), e.into());
                    continue;
                }
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => self.enter(directory, name, path),
                FileType::RegularFile | FileType::Symlink if stat.st_dev == self.device => {
                    self.file(directory, name, &stat, path);
                }
                _ => {}
            }
        }
    }

    fn enter(&mut self, parent: BorrowedFd<'_>, name: &CStr, path: &mut Vec<CString>) {
        if path.len() >= DEEPEST {
            let deep = io::Error::other("it lies too deep");
            return self.fail(path, Some(name), deep);
        }
        match open_below(parent, name, self.device) {
            Ok(Some(below)) => {
                path.push(name.to_owned());
                self.walk(below.as_fd(), path);
                path.pop();
            }
            Ok(None) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => self.fail(path, Some(name), e),
        }
    }

    fn file(&mut self, parent: BorrowedFd<'_>, name: &CStr, stat: &Stat, path: &[CString]) {
        self.swept.left += on_disk(stat);
        if stat.st_mtime >= self.before {
            return;
        }
        if !self.goal {
            return self.delete(parent, name, stat, path);
        }
        let mut whole = path.to_vec();
        whole.push(name.to_owned());
        self.oldest.push(Found {
            changed: changed(stat),
            inode: stat.st_ino,
            path: whole,
        });
        if self.oldest.len() > REMEMBERED {
            self.oldest.pop();
            self.forgot = true;
        }
    }

    /// Deletes a file found earlier, if it is still the same.
    fn delete_found(&mut self, found: &Found) {
        if !(self.go_on)() {
            self.swept.cut = true;
            return;
        }
        let Some((name, way)) = found.path.split_last() else {
            return;
        };
        let mut parent = None;
        for step in way {
            let from = parent.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            match open_below(from, step, self.device) {
                Ok(Some(below)) => parent = Some(below),
                // Moved away since.
                Ok(None) => return,
                Err(e) if e.kind() == io::ErrorKind::NotFound => return,
                Err(e) => return self.fail(way, Some(name), e),
            }
        }
        let parent = parent.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
        match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_ino == found.inode && changed(&stat) == found.changed => {
                self.delete(parent, name, &stat, way);
            }
            _ => {}
        }
    }

    fn delete(&mut self, parent: BorrowedFd<'_>, name: &CStr, stat: &Stat, path: &[CString]) {
        match unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) => {
                let size = on_disk(stat);
                self.swept.files += 1;
                self.swept.bytes += if stat.st_nlink > 1 { 0 } else { size };
                self.swept.left = self.swept.left.saturating_sub(size);
            }
            Err(rustix::io::Errno::NOENT) => {}
            Err(e) => self.fail(path, Some(name), e.into()),
        }
    }

    fn reached(&mut self, rule: &Sweep) -> io::Result<bool> {
        let space = fstatvfs(self.root)?;
        self.swept.free = space.f_bavail.saturating_mul(space.f_frsize);
        Ok(rule.max_size.is_none_or(|most| self.swept.left <= most)
            && rule.until_free.is_none_or(|least| self.swept.free >= least))
    }

    fn fail(&mut self, path: &[CString], name: Option<&CStr>, why: io::Error) {
        self.swept.failed += 1;
        if self.swept.failures.len() < TOLD {
            let parts = path.iter().map(CString::as_c_str).chain(name);
            let parts: Vec<_> = parts.map(CStr::to_string_lossy).collect();
            self.swept
                .failures
                .push(format!("{}: {why}", parts.join("/")));
        }
    }
}

fn changed(stat: &Stat) -> (i64, u64) {
    (stat.st_mtime, stat.st_mtime_nsec)
}

/// Bytes that a file takes on disk: blocks of 512 (stat(2)).
fn on_disk(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(512)
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a directory by its absolute path, no part of which may be a link.
fn open_without_links(path: &Path) -> io::Result<OwnedFd> {
    let mut at = openat(CWD, c"/", DIRECTORY, Mode::empty())?;
    for part in path.components() {
        match part {
            Component::RootDir => {}
            Component::Normal(name) => {
                at = openat(&at, name, DIRECTORY, Mode::empty()).map_err(|e| {
                    let what = match e {
                        // What O_NOFOLLOW with O_DIRECTORY says of a link.
                        rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP => {
                            "is no directory, or a link: write the path that the link leads to"
                                .to_owned()
                        }
                        e => format!("cannot be opened: {}", io::Error::from(e)),
                    };
                    io::Error::new(
                        io::Error::from(e).kind(),
                        format!("{} {what}", Path::new(name).display()),
                    )
                })?;
            }
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "it is no absolute path, or holds ..",
                ));
            }
        }
    }
    Ok(at)
}

/// Opens a directory in `parent`; nothing if it is a link by now, or another file system is mounted there.
fn open_below(parent: BorrowedFd<'_>, name: &CStr, device: u64) -> io::Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(parent, name, DIRECTORY, Mode::empty(), resolve) {
        Ok(below) => return Ok(Some(below)),
        Err(rustix::io::Errno::XDEV | rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            return Ok(None);
        }
        // Before Linux 5.6, or kept from us by a filter of system calls.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let below = match openat(parent, name, DIRECTORY, Mode::empty()) {
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => return Ok(None),
        below => below?,
    };
    Ok((fstat(&below)?.st_dev == device).then_some(below))
}

#[cfg(test)]
mod tests;
