//! Locks of files that are held: /proc/locks (proc_locks(5)), by device, kind and mode.
//!
//! A line that begins a wait (`->`) is no lock yet. A process that only locks through another one's file system, as with NFS, is
//! counted where its kernel has the lock.

use std::collections::BTreeMap;

use super::Mounts;
use crate::host::parse::{LONGEST_TEXT, cut, fields, label, lines};

/// The columns that tell locks apart: mechanism (`POSIX`), mode (`ADVISORY`), type (`READ`) and device (`fe:00`).
type Kind = [Box<str>; 4];

/// How many there are of each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Locks(BTreeMap<Kind, u64>);

impl Locks {
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut locks = BTreeMap::new();
        for line in lines(cut(text, LONGEST_TEXT)) {
            let mut columns = fields(line).skip(1);
            let (Some(mechanism), Some(mode), Some(kind)) =
                (columns.next(), columns.next(), columns.next())
            else {
                continue;
            };
            // The process, and then device and inode: MAJOR:MINOR:INODE, or `<none>:0`.
            let Some(file) = columns.nth(1).filter(|_| mechanism != b"->") else {
                continue;
            };
            let device = file.rsplitn(2, |b| *b == b':').nth(1).unwrap_or_default();
            let kind = [mechanism, mode, kind, device].map(|column| label(column).into());
            *locks.entry(kind).or_default() += 1;
        }
        Self(locks)
    }

    /// Device, type, mechanism, mode and number of each; a device by the name that its mount has.
    pub(super) fn told<'a>(&'a self, mounts: &'a Mounts) -> BTreeMap<[&'a str; 4], u64> {
        let mut told = BTreeMap::new();
        for ([mechanism, mode, kind, device], count) in &self.0 {
            let kind = match &**kind {
                "READ" => "read",
                "WRITE" => "write",
                _ => "",
            };
            let device = name(device, mounts).unwrap_or(device);
            *told.entry([device, kind, mechanism, mode]).or_default() += count;
        }
        told
    }
}

/// What mounts of this number are called: by their device if they lie on one.
fn name<'a>(device: &str, mounts: &'a Mounts) -> Option<&'a str> {
    let (major, minor) = device.split_once(':')?;
    let number = |hex| u32::from_str_radix(hex, 16).ok().map(|n| n.to_string());
    let (major, minor) = (number(major)?, number(minor)?);
    let here = |at: &usize| {
        let entry = mounts.entries.get(*at);
        entry.is_some_and(|e| *e.mount.major == *major && *e.mount.minor == *minor)
    };
    let devices = mounts.devices.get().into_iter().flatten();
    let on_device = devices.filter(|d| here(&d.at)).map(|d| &*d.name).next();
    on_device.or_else(|| {
        let at = (0..mounts.entries.len()).find(here)?;
        Some(&*mounts.entries.get(at)?.mount.source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_that_are_held_are_counted_and_those_that_wait_are_not() {
        let text = b"1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF\n\
            1: -> POSIX  ADVISORY  WRITE 4000 fd:00:2531452 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 3517 fd:00:2531448 0 EOF\n\
            3: POSIX  ADVISORY  WRITE 3568 fd:00:2531442 0 EOF\n\
            4: DELEG  ACTIVE    READ  77 00:2b:12 0 EOF\n\
            5: LEASE  BREAKING  UNLCK 77 <none>:0 0 EOF\n\
            6: POSIX\n\n";
        let locks = Locks::parse(text);
        let mounts = Mounts::default();
        let told: Vec<_> = locks.told(&mounts).into_iter().collect();
        let expected = [
            (["00:2b", "read", "DELEG", "ACTIVE"], 1),
            (["<none>", "", "LEASE", "BREAKING"], 1),
            (["fd:00", "write", "FLOCK", "ADVISORY"], 1),
            (["fd:00", "write", "POSIX", "ADVISORY"], 2),
        ];
        assert_eq!(told, expected);
        assert_eq!(Locks::parse(b""), Locks::default());
    }
}
