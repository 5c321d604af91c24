//! Files and directories that others ask for by their path: what they are, where they lead, and what is in them.
//!
//! A path is looked at in two steps. [`Roots::leads`] follows its links, so that the caller can decide by where it ends; what is opened then
//! is that end, with no link on the way followed any more, so that nobody who can write there leads us elsewhere meanwhile. Everything
//! here may block for as long as the file system does.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, statat,
    statfs,
};
use rustix::io::Errno;

use super::regular::Regular;
use super::{Root, Roots};

/// Directories below directories that are gone into.
const DEEPEST: u32 = 64;
/// Entries of directories looked at in one walk.
const MOST: u64 = 1_000_000;
/// `SYSFS_MAGIC` of linux/magic.h: links there are the kernel's own.
const SYSFS: i64 = 0x6265_6572;

/// What kind of thing stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A socket.
    Socket,
    /// A block device.
    Block,
    /// A character device.
    Character,
    /// A pipe.
    Pipe,
}

/// What stat(2) says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// What it is; none of what has no known type.
    pub kind: Option<Kind>,
    /// Permissions, with set-id and sticky bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Bytes it takes on the disk.
    pub on_disk: u64,
    /// Names it has, device and inode.
    links: (u64, u64, u64),
    /// When it was last read, in seconds of the epoch.
    pub accessed: i64,
    /// When its content last changed.
    pub modified: i64,
    /// When anything of it last changed.
    pub changed: i64,
}

impl Status {
    fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Directory),
            FileType::Symlink => Some(Kind::Link),
            FileType::Socket => Some(Kind::Socket),
            FileType::BlockDevice => Some(Kind::Block),
            FileType::CharacterDevice => Some(Kind::Character),
            FileType::Fifo => Some(Kind::Pipe),
            FileType::Unknown => None,
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            on_disk: u64::try_from(stat.st_blocks)
                .unwrap_or_default()
                .saturating_mul(512),
            #[allow(clippy::useless_conversion, reason = "its width is the architecture's")]
            links: (stat.st_nlink.into(), stat.st_dev, stat.st_ino),
            accessed: stat.st_atime,
            modified: stat.st_mtime,
            changed: stat.st_ctime,
        }
    }
}

/// Where a path leads.
pub struct Led {
    /// Where that is for us: no part of it is a link.
    at: PathBuf,
    /// The path on the machine.
    pub path: String,
    /// Whether all of it lies in sysfs, where nobody but the kernel makes links.
    pub in_sysfs: bool,
}

impl Roots {
    /// Where a path of the machine lies for us.
    fn place(&self, path: &str) -> (PathBuf, PathBuf, &'static str) {
        for (root, prefix) in [(Root::Proc, "/proc"), (Root::Sys, "/sys")] {
            if let Some(below) = path.strip_prefix(prefix)
                && (below.is_empty() || below.starts_with('/'))
            {
                let dir = self.dir(root).to_owned();
                return (dir.join(below.trim_start_matches('/')), dir, prefix);
            }
        }
        let dir = self.dir(Root::Rootfs).to_owned();
        (dir.join(path.trim_start_matches('/')), dir, "")
    }

    /// What stands at a path of the machine; its own if it is a link, and not `follow`ed.
    ///
    /// # Errors
    /// What the system says.
    pub fn status(&self, path: &str, follow: bool) -> io::Result<Status> {
        let flags = match follow {
            true => AtFlags::empty(),
            false => AtFlags::SYMLINK_NOFOLLOW,
        };
        Ok(Status::of(&statat(CWD, &self.place(path).0, flags)?))
    }

    /// Where an absolute path leads, links followed; the last part is not, unless `follow`ed.
    ///
    /// # Errors
    /// What the system says; what leads out of the machine that is read counts as not found.
    pub fn leads(&self, path: &str, follow: bool) -> io::Result<Led> {
        let (full, root, prefix) = self.place(path);
        let at = match (follow, full.parent(), full.file_name()) {
            (false, Some(parent), Some(name)) => parent.canonicalize()?.join(name),
            _ => full.canonicalize()?,
        };
        let root = root.canonicalize()?;
        let below = at
            .strip_prefix(&root)
            .map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
        let path = Path::new("/")
            .join(prefix.trim_start_matches('/'))
            .join(below);
        #[allow(clippy::unnecessary_cast, reason = "its width is the architecture's")]
        let in_sysfs =
            prefix == "/sys" && statfs(&at).is_ok_and(|found| found.f_type as i64 == SYSFS);
        Ok(Led {
            path: path.to_string_lossy().into_owned(),
            at,
            in_sysfs,
        })
    }
}

impl Led {
    fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match openat2(CWD, &self.at, flags, Mode::empty(), resolve) {
            // Before Linux 5.6 the last part alone can be held.
            Err(Errno::NOSYS) => Ok(openat(
                CWD,
                &self.at,
                flags | OFlags::NOFOLLOW,
                Mode::empty(),
            )?),
            opened => Ok(opened?),
        }
    }

    /// What stands there.
    ///
    /// # Errors
    /// What the system says.
    pub fn status(&self) -> io::Result<Status> {
        let place = self.open(OFlags::PATH | OFlags::NOFOLLOW)?;
        Ok(Status::of(&fstat(&place)?))
    }

    /// Opens it to be read; none if it is no regular file.
    ///
    /// # Errors
    /// What the system says.
    pub fn regular(&self) -> io::Result<Option<Regular>> {
        Regular::at(self.open(OFlags::PATH | OFlags::NOFOLLOW)?)
    }

    /// Walks a directory, for as long as `wanted`; false if that was not to the end. `enter` says which
    /// directories are seen, by name, and it goes at most `deepest` of them deep; what cannot be looked at is passed over. A file with several
    /// names is seen once.
    ///
    /// # Errors
    /// What the system says of the directory itself; `NotADirectory` for anything else.
    pub fn walk(
        &self,
        wanted: &dyn Fn() -> bool,
        deepest: Option<u32>,
        enter: &dyn Fn(&str) -> bool,
        each: &mut dyn FnMut(&str, &Status),
    ) -> io::Result<bool> {
        if self.status()?.kind != Some(Kind::Directory) {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let root = self.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut walk = Walk {
            wanted,
            deepest: deepest.map_or(DEEPEST, |depth| depth.min(DEEPEST)),
            enter,
            each,
            seen: HashSet::new(),
            left: MOST,
        };
        Ok(walk.through(root.as_fd(), 0).is_some())
    }
}

struct Walk<'a> {
    wanted: &'a dyn Fn() -> bool,
    deepest: u32,
    enter: &'a dyn Fn(&str) -> bool,
    each: &'a mut dyn FnMut(&str, &Status),
    seen: HashSet<(u64, u64)>,
    left: u64,
}

impl Walk<'_> {
    fn through(&mut self, dir: BorrowedFd<'_>, depth: u32) -> Option<()> {
        let Ok(entries) = Dir::read_from(dir) else {
            return Some(());
        };
        let mut below: Vec<CString> = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            self.left = self.left.checked_sub(1)?;
            if !(self.wanted)() {
                return None;
            }
            let Ok(stat) = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let status = Status::of(&stat);
            let text = name.to_string_lossy();
            if status.kind == Some(Kind::Directory) {
                if !(self.enter)(&text) {
                    continue;
                }
                below.push(name.to_owned());
            } else if status.links.0 > 1 && !self.seen.insert((status.links.1, status.links.2)) {
                continue;
            }
            (self.each)(&text, &status);
        }
        if depth >= self.deepest {
            return Some(());
        }
        for name in below {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if let Ok(dir) = openat(dir, name, flags, Mode::empty()) {
                self.through(dir.as_fd(), depth + 1)?;
            }
        }
        Some(())
    }
}

/// What the C library says of an error, with its number in front, as the Zabbix agents tell it.
#[must_use]
pub fn numbered(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("[{}] {text}", error.raw_os_error().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::host::Roots;

    #[test]
    fn a_path_ends_where_its_links_lead_and_never_outside_of_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("root/a/d")).unwrap();
        fs::write(at("root/a/f"), "x").unwrap();
        fs::write(at("outside"), "x").unwrap();
        symlink("../outside", at("root/out")).unwrap();
        symlink("a/f", at("root/in")).unwrap();
        symlink("d", at("root/a/to-d")).unwrap();
        let roots = Roots {
            rootfs: at("root"),
            ..Roots::default()
        };
        let leads = |path, follow| roots.leads(path, follow).map(|led| led.path).ok();
        assert_eq!(leads("/in", true).as_deref(), Some("/a/f"));
        assert_eq!(leads("/in", false).as_deref(), Some("/in"));
        assert_eq!(leads("/out", true), None);
        assert_eq!(leads("/../outside", true), None);
        let led = roots.leads("/in", false).unwrap();
        assert_eq!(led.status().unwrap().kind, Some(Kind::Link));
        assert!(led.regular().unwrap().is_none());

        // What was a directory when it was looked at, and is a link now.
        let led = roots.leads("/a/d", true).unwrap();
        fs::remove_dir(at("root/a/d")).unwrap();
        symlink("../..", at("root/a/d")).unwrap();
        assert!(led.regular().is_ok_and(|found| found.is_none()));
        let walked = led.walk(&|| true, None, &|_| true, &mut |_, _| {});
        assert!(walked.is_err_and(|e| e.kind() == io::ErrorKind::NotADirectory));
    }

    #[test]
    fn a_walk_sees_a_file_once_and_goes_where_it_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b/c")).unwrap();
        fs::write(at("a/f"), "xyz").unwrap();
        fs::hard_link(at("a/f"), at("a/b/g")).unwrap();
        symlink("..", at("a/b/c/up")).unwrap();
        let roots = Roots {
            rootfs: dir.path().into(),
            ..Roots::default()
        };
        let seen = |deepest, enter: &dyn Fn(&str) -> bool| {
            let mut seen = Vec::new();
            let led = roots.leads("/a", true).unwrap();
            led.walk(&|| true, deepest, enter, &mut |name, _| {
                seen.push(name.to_owned())
            })
            .unwrap();
            seen.sort();
            seen
        };
        assert_eq!(seen(None, &|_| true), ["b", "c", "f", "up"]);
        assert_eq!(seen(None, &|name| name != "c"), ["b", "f"]);
        assert_eq!(seen(Some(0), &|_| true), ["b", "f"]);
        let led = roots.leads("/a", true).unwrap();
        let cut = led.walk(&|| false, None, &|_| true, &mut |_, _| {});
        assert!(!cut.unwrap());
    }
}
