//! The table of mounts, made from mountinfo and kept while mountinfo does not change.
//!
//! One mount has several names. node_exporter decodes two escapes of the kernel's and asks statfs about what that
//! gives, which is no path at all for a mount whose name holds a newline, a backslash or bad UTF-8; the others ask
//! about the real path. Both are told what they would have found themselves.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::parse::{Line, decode, has_option, mountinfo};
use crate::host::CallKey;
use crate::host::parse::label;
use crate::subject::ItemError;

/// Types whose statfs only reads memory, or a disk of this machine at worst.
const LOCAL: &[&str] = &[
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "proc",
    "pstore",
    "ramfs",
    "rootfs",
    "securityfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "vfat",
    "xfs",
    "zfs",
];

/// One mount, under all its names.
#[derive(Debug)]
pub(super) struct Mount {
    line: Box<[u8]>,
    pub device: Box<str>,
    pub fstype: Box<str>,
    /// Mount point as Prometheus sees it.
    pub mount_point: Box<str>,
    /// Mount point with every escape decoded, for OTLP.
    pub real_point: Box<str>,
    /// Mount point as it stands in /proc/mounts, for Zabbix.
    pub raw_point: Box<str>,
    pub major: Box<str>,
    pub minor: Box<str>,
    /// Mounted or served read-only.
    pub readonly: bool,
    /// Options as /proc/mounts tells them.
    pub options: Box<str>,
    /// A directory of the file system is mounted, not the whole.
    pub bind: bool,
    /// Whether the patterns let Prometheus see it.
    pub shown: bool,
    /// Path that Prometheus asks about.
    pub told_path: CallKey,
    /// Path of the mount.
    pub path: CallKey,
    /// Device with its links resolved, for OTLP.
    pub resolved: OnceLock<Box<str>>,
}

/// A mount and its place in the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub mount: Arc<Mount>,
    /// The same mount was told before: Prometheus is told it once.
    pub repeated: bool,
    /// A mount that differs in its device number alone was told before: Prometheus is told that number only.
    pub covered: bool,
    /// Index of [`Mount::told_path`] among the table's paths.
    pub told_at: usize,
    /// Index of [`Mount::path`] among the table's paths.
    pub at: usize,
}

/// All mounts.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    text: Vec<u8>,
    pub entries: Vec<Entry>,
    /// Every path statfs may be asked about, once.
    pub paths: Vec<CallKey>,
    /// Of each path, whether only memory and local disks lie on the way: there statfs comes back.
    pub local: Vec<bool>,
    pub errors: Vec<ItemError>,
}

impl Mounts {
    /// The table of `text`; `known` is the table of before, whose mounts are kept where their lines are the same.
    pub fn new(
        text: &[u8],
        rootfs: &Path,
        shows: impl Fn(&str, &str) -> bool,
        known: &Self,
    ) -> Self {
        let known: HashMap<&[u8], &Arc<Mount>, RandomState> = known
            .entries
            .iter()
            .map(|e| (&*e.mount.line, &e.mount))
            .collect();
        let mut table = Self {
            text: text.to_vec(),
            ..Self::default()
        };
        let mut places: HashMap<CallKey, usize, RandomState> = HashMap::default();
        let mut mounts = Vec::new();
        for (line, parsed) in mountinfo(text) {
            match (known.get(line), parsed) {
                (Some(mount), _) => mounts.push(Arc::clone(mount)),
                (None, Ok(parsed)) => {
                    mounts.push(Arc::new(Mount::new(line, &parsed, rootfs, &shows)));
                }
                (None, Err(why)) => table.errors.push(ItemError {
                    kind: "line",
                    item: label(line.get(..80).unwrap_or(line)).into_owned(),
                    why: format!("line of mountinfo with {why}"),
                }),
            }
        }
        let mut seen: HashSet<[&str; 5], RandomState> = HashSet::default();
        let mut labels: HashSet<[&str; 3], RandomState> = HashSet::default();
        for mount in &mounts {
            let mut place = |path: &CallKey| {
                *places.entry(Arc::clone(path)).or_insert_with(|| {
                    table.paths.push(Arc::clone(path));
                    table.paths.len() - 1
                })
            };
            let m = &**mount;
            table.entries.push(Entry {
                covered: !labels.insert([&m.device, &m.mount_point, &m.fstype]),
                repeated: !seen.insert([&m.device, &m.mount_point, &m.fstype, &m.major, &m.minor]),
                told_at: place(&m.told_path),
                at: place(&m.path),
                mount: Arc::clone(mount),
            });
        }
        let remote: HashSet<&Path, RandomState> = mounts
            .iter()
            .filter(|m| !LOCAL.contains(&&*m.fstype))
            .map(|m| Path::new(&*m.path))
            .collect();
        let local = |path: &CallKey| !Path::new(&**path).ancestors().any(|p| remote.contains(p));
        table.local = table.paths.iter().map(local).collect();
        table
    }

    /// Whether this is the table of `text`.
    pub fn is_of(&self, text: &[u8]) -> bool {
        self.text == text
    }
}

impl Mount {
    fn new(raw: &[u8], line: &Line<'_>, rootfs: &Path, shows: impl Fn(&str, &str) -> bool) -> Self {
        let rootfs = rootfs.as_os_str().as_bytes();
        let blank = |b: u8| b == b' ' || b == b'\t';
        let told = decode(line.mount_point, blank);
        let mount_point: Box<str> = label(stripped(&told, rootfs)).into();
        let real = decode(line.mount_point, |_| true);
        let real = stripped(&real, rootfs);
        let fstype: Box<str> = label(line.fstype).into();
        let read_only = [line.options, line.super_options]
            .iter()
            .any(|o| has_option(o, b"ro"));
        Self {
            shown: shows(&mount_point, &fstype),
            line: raw.into(),
            device: label(line.device).into(),
            told_path: joined(rootfs, mount_point.as_bytes()),
            path: joined(rootfs, real),
            real_point: label(real).into(),
            raw_point: label(stripped(line.mount_point, rootfs)).into(),
            major: line.major.to_string().into(),
            minor: line.minor.to_string().into(),
            readonly: read_only || has_option(line.super_options, b"emergency_ro"),
            options: options(line, read_only),
            bind: line.root != b"/",
            mount_point,
            fstype,
            resolved: OnceLock::new(),
        }
    }
}

/// A mount point without the path of the root file system, which is cut off as text, wherever it ends.
fn stripped<'a>(mount_point: &'a [u8], rootfs: &[u8]) -> &'a [u8] {
    if rootfs == b"/" {
        return mount_point;
    }
    match mount_point.strip_prefix(rootfs).unwrap_or(mount_point) {
        b"" => b"/",
        rest => rest,
    }
}

/// `path` below the root file system, `.` and `..` resolved as text.
pub(super) fn joined(rootfs: &[u8], path: &[u8]) -> CallKey {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in rootfs
        .split(|b| *b == b'/')
        .chain(path.split(|b| *b == b'/'))
    {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let mut out = Vec::with_capacity(rootfs.len() + path.len() + 1);
    for part in parts {
        out.push(b'/');
        out.extend_from_slice(part);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    let out: OsString = OsString::from_vec(out);
    CallKey::from(out.as_os_str())
}

/// The options of a mount as /proc/mounts has them, where those of the mount stand among those of the file system.
fn options(line: &Line<'_>, read_only: bool) -> Box<str> {
    let rest = |o: &'static [u8]| move |p: &&[u8]| *p != o;
    let of = |text: &'static [u8]| text;
    let mut own = line
        .super_options
        .split(|b| *b == b',')
        .filter(rest(of(b"ro")))
        .filter(rest(of(b"rw")))
        .peekable();
    let mut out: Vec<&[u8]> = vec![if read_only { b"ro" } else { b"rw" }];
    while let Some(flag) =
        own.next_if(|o| matches!(*o, b"sync" | b"dirsync" | b"mand" | b"lazytime"))
    {
        out.push(flag);
    }
    out.extend(
        line.options
            .split(|b| *b == b',')
            .filter(rest(of(b"ro")))
            .filter(rest(of(b"rw"))),
    );
    out.extend(own);
    label(&out.join(&b',')).into()
}

/// A path as Zabbix asked for it.
pub(super) fn asked(rootfs: &Path, path: &str) -> CallKey {
    joined(rootfs.as_os_str().as_bytes(), OsStr::new(path).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str, rootfs: &str) -> Mounts {
        let known = Mounts::default();
        Mounts::new(text.as_bytes(), Path::new(rootfs), |_, _| true, &known)
    }

    #[test]
    fn the_root_is_stripped_as_text_and_joined_as_a_path() {
        for (rootfs, mount, told, path) in [
            ("/", "/a/b", "/a/b", "/a/b"),
            ("/", "/a/../b/.", "/a/../b/.", "/b"),
            ("/r", "/r/a", "/a", "/r/a"),
            ("/r", "/r", "/", "/r"),
            ("/r", "/rx", "x", "/r/x"),
            ("/r", "/other", "/other", "/r/other"),
            ("/r", "/../../..", "/../../..", "/"),
            ("/r", "a", "a", "/r/a"),
            ("/r", "", "/", "/r"),
        ] {
            let table = table(&format!("1 1 8:1 / {mount} rw - ext4 d rw\n"), rootfs);
            let entry = &table.entries[0];
            assert_eq!(&*entry.mount.mount_point, told, "{rootfs} {mount}");
            assert_eq!(&*entry.mount.told_path, path, "{rootfs} {mount}");
        }
    }

    #[test]
    fn a_name_that_is_told_undecoded_has_two_paths() {
        let text = "1 1 8:1 / /a\\134b rw - ext4 d rw\n1 1 8:1 / /a\\040b rw - ext4 d rw\n";
        let table = table(text, "/");
        let [first, second] = &table.entries[..] else {
            panic!("two mounts");
        };
        assert_eq!(&*first.mount.mount_point, "/a\\134b");
        assert_eq!(&*first.mount.path, "/a\\b");
        assert_ne!(first.told_at, first.at);
        assert_eq!(&*second.mount.mount_point, "/a b");
        assert_eq!(&*second.mount.raw_point, "/a\\040b");
        assert_eq!(second.told_at, second.at);
    }

    #[test]
    fn the_same_mount_is_marked_as_repeated_whatever_its_options() {
        let text = "1 1 8:1 / /a rw - ext4 d rw\n2 1 8:1 / /a ro - ext4 d rw\n3 1 8:2 / /a rw - ext4 d rw\n";
        let table = table(text, "/");
        let marks: Vec<_> = table
            .entries
            .iter()
            .map(|e| (e.repeated, e.covered))
            .collect();
        assert_eq!(marks, [(false, false), (true, true), (false, true)]);
        assert_eq!(table.paths.len(), 1);
    }

    #[test]
    fn mounts_whose_lines_are_the_same_are_kept() {
        let first = table("1 1 8:1 / /a rw - ext4 d rw\n", "/");
        let text = b"1 1 8:1 / /a rw - ext4 d rw\nbad\n2 1 8:1 / /b rw - ext4 d rw\n";
        let asked = std::cell::Cell::new(0);
        let shows = |_: &str, _: &str| {
            asked.set(asked.get() + 1);
            true
        };
        let second = Mounts::new(text, Path::new("/"), shows, &first);
        assert_eq!((second.entries.len(), second.errors.len()), (2, 1));
        assert_eq!(asked.get(), 1);
        assert!(second.is_of(text));
    }

    #[test]
    fn a_path_is_local_if_nothing_on_the_way_is_remote() {
        let lines = [
            "1 1 8:1 / / rw - ext4 d rw",
            "1 1 0:1 / /net rw - nfs4 server:/ rw",
            "1 1 0:2 / /net/tmp rw - tmpfs t rw",
            "1 1 0:3 / /network rw - tmpfs t rw",
            "1 1 0:4 / /fuse rw - fuse.sshfs s rw",
        ];
        let table = table(&lines.join("\n"), "/");
        let local: Vec<_> = table.paths.iter().zip(&table.local).collect();
        let found: Vec<_> = local
            .iter()
            .filter(|(_, l)| **l)
            .map(|(p, _)| &***p)
            .collect();
        assert_eq!(found, ["/", "/network"]);
    }

    #[test]
    fn options_are_those_of_proc_mounts() {
        for (mount, own, expected) in [
            ("rw,relatime", "rw,discard", "rw,relatime,discard"),
            ("rw,nosuid", "ro", "ro,nosuid"),
            ("ro,nosuid", "rw,sync,size=4k", "ro,sync,nosuid,size=4k"),
            ("rw", "rw", "rw"),
        ] {
            let table = table(&format!("1 1 8:1 / /a {mount} - ext4 d {own}\n"), "/");
            assert_eq!(&*table.entries[0].mount.options, expected);
        }
    }
}
