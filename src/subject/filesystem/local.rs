//! Where statfs comes back at once, and where it might not.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;

use super::mounts::Mount;
use super::parse::{decode, mountinfo};
use crate::host::CallKey;

/// Types whose statfs only reads memory. Not zfs, which waits for a pool that is suspended.
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
];

/// Of each path, whether only local mounts lie on the way to it, as far as the table of `mounts` says.
pub(super) fn local<'a>(mounts: impl Iterator<Item = &'a Mount>, paths: &[CallKey]) -> Vec<bool> {
    let remote: HashSet<&Path, RandomState> = mounts
        .filter(|m| !LOCAL.contains(&&*m.fstype))
        .map(|m| Path::new(&*m.path))
        .collect();
    let local = |path: &CallKey| !Path::new(&**path).ancestors().any(|p| remote.contains(p));
    paths.iter().map(local).collect()
}

/// Of each path, whether it is a mount of our own and only local ones lie on the way to it, as `own`, the mountinfo of this
/// very process, has it. Where the table that is told is of another process or a captured machine, only this says what statfs
/// will meet.
pub(super) fn prompt(own: &[u8], paths: &[CallKey]) -> Vec<bool> {
    let mut points: HashSet<PathBuf, RandomState> = HashSet::default();
    let mut remote: HashSet<PathBuf, RandomState> = HashSet::default();
    for (_, line) in mountinfo(own) {
        let Ok(line) = line else {
            // Who knows what it is, and where.
            return vec![false; paths.len()];
        };
        let point = PathBuf::from(OsStr::from_bytes(&decode(line.mount_point, |_| true)));
        if !LOCAL.iter().any(|l| l.as_bytes() == line.fstype) {
            remote.insert(point.clone());
        }
        points.insert(point);
    }
    let prompt = |path: &CallKey| {
        let path = Path::new(&**path);
        points.contains(path) && !path.ancestors().any(|p| remote.contains(p))
    };
    paths.iter().map(prompt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_prompt_if_it_is_our_own_mount_and_nothing_remote_lies_on_the_way() {
        let own = "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            2 1 0:5 / /run rw - tmpfs tmpfs rw\n\
            3 1 0:6 / /net rw - nfs4 server:/ rw\n\
            4 3 0:7 / /net/local rw - tmpfs tmpfs rw\n\
            5 1 8:2 / /over rw - ext4 /dev/sdb1 rw\n\
            6 5 0:8 / /over rw - fuse x rw\n\
            7 1 8:3 / /a\\040b rw - xfs /dev/sdc1 rw\n";
        let paths = [
            ("/", true),
            ("/run", true),
            ("/run/none", false),
            ("/net", false),
            ("/net/local", false),
            ("/over", false),
            ("/a b", true),
            ("/network", false),
        ];
        let keys = paths.map(|(path, _)| CallKey::from(OsStr::new(path)));
        assert_eq!(
            prompt(own.as_bytes(), &keys),
            paths.map(|(_, prompt)| prompt)
        );
        let unknown = format!("{own}what\n");
        assert!(!prompt(unknown.as_bytes(), &keys).contains(&true));
    }
}
