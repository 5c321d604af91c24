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

use super::local;
use super::parse::{Line, decode, has_option, mountinfo};
use crate::host::CallKey;
use crate::host::parse::label;
use crate::subject::ItemError;

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
    /// A directory of a device is mounted, neither the whole nor a subvolume of btrfs.
    pub bind: bool,
    /// What hostmetrics takes for the device: of what lies on none and is no whole, the directory.
    pub source: Box<str>,
    /// `rw`, `ro` or `unknown`, as hostmetrics puts the options of the mount and of the file system together.
    pub mode: &'static str,
    /// Whether the patterns let Prometheus see it.
    pub shown: bool,
    /// Path that Prometheus asks about.
    pub told_path: CallKey,
    /// Path of the mount.
    pub path: CallKey,
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

/// A mount on a device.
#[derive(Debug)]
pub(super) struct Device {
    /// Index of the mount among the entries.
    pub at: usize,
    /// Name of the device, links resolved.
    pub name: Box<str>,
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
    /// Of each path, whether that is known of our own mounts, so that statfs may be called in place.
    pub prompt: Vec<bool>,
    pub errors: Vec<ItemError>,
    /// The mounts on devices, once somebody wanted them.
    pub devices: OnceLock<Vec<Device>>,
}

impl Mounts {
    /// The table of `text`, on a machine where our own mounts are those of `own`; `known` is the table of before, whose
    /// mounts are kept where their lines are the same.
    pub fn new(
        text: &[u8],
        own: &[u8],
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
        table.local = local::local(mounts.iter().map(|m| &**m), &table.paths);
        table.prompt = local::prompt(own, &table.paths);
        table
    }

    /// The mounts that hostmetrics tells: of the given types, bind mounts left out, each once. A device has the name
    /// under which it was mounted first; `resolve` finds the device behind a name that is only a link.
    pub fn on_devices(
        &self,
        types: &[&[u8]],
        resolve: impl Fn(&str, &Mount) -> Box<str>,
    ) -> Vec<Device> {
        let mut names: HashMap<[&str; 2], &str, RandomState> = HashMap::default();
        let mut seen = HashSet::new();
        let mut devices = Vec::new();
        for (at, entry) in self.entries.iter().enumerate() {
            let mount = &*entry.mount;
            if !types.contains(&mount.fstype.as_bytes()) {
                continue;
            }
            let name = *names
                .entry([&mount.major, &mount.minor])
                .or_insert(&mount.source);
            if mount.bind {
                continue;
            }
            let name = resolve(name, mount);
            if seen.insert((&*mount.real_point, name.clone())) {
                devices.push(Device { at, name });
            }
        }
        devices
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
        let on_device = line.device.starts_with(b"/");
        let subvolume = split(line.super_options).find_map(|o| o.strip_prefix(b"subvol="));
        let lists = |options, option: &[u8]| split(options).any(|o| o == option);
        let mode = if lists(line.options, b"ro") || lists(line.super_options, b"ro") {
            "ro"
        } else if lists(line.options, b"rw") {
            "rw"
        } else {
            "unknown"
        };
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
            bind: on_device && line.root != b"/" && subvolume != Some(line.root),
            source: if on_device || line.root == b"/" {
                label(line.device).into()
            } else {
                label(line.root).into()
            },
            mode,
            mount_point,
            fstype,
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

fn split(options: &[u8]) -> impl Iterator<Item = &[u8]> {
    options.split(|b| *b == b',')
}

/// The options of a mount as /proc/mounts has them, where those of the mount stand among those of the file system.
fn options(line: &Line<'_>, read_only: bool) -> Box<str> {
    let rest = |options| split(options).filter(|o| *o != b"ro" && *o != b"rw");
    let mut own = rest(line.super_options).peekable();
    let mut out: Vec<&[u8]> = vec![if read_only { b"ro" } else { b"rw" }];
    while let Some(flag) =
        own.next_if(|o| matches!(*o, b"sync" | b"dirsync" | b"mand" | b"lazytime"))
    {
        out.push(flag);
    }
    out.extend(rest(line.options));
    out.extend(own);
    label(&out.join(&b',')).into()
}

/// A path as Zabbix asked for it.
pub(super) fn asked(rootfs: &Path, path: &str) -> CallKey {
    joined(rootfs.as_os_str().as_bytes(), OsStr::new(path).as_bytes())
}

#[cfg(test)]
mod tests;
