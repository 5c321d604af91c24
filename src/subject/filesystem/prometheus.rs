//! Mounts as node_exporter names them.

use super::space::{Stat, go_text};
use super::{Filesystem, Reading};
use crate::dialect::Number;
use crate::dialect::prometheus::{Family, Page};

crate::families! { Filesystem:
    AVAIL gauge "node_filesystem_avail_bytes" ["device", "device_error", "fstype", "mountpoint"] "Bytes free to users other than root";
    DEVICE_ERROR gauge "node_filesystem_device_error" ["device", "device_error", "fstype", "mountpoint"] "Whether the file system could not be asked";
    FILES gauge "node_filesystem_files" ["device", "device_error", "fstype", "mountpoint"] "Inodes";
    FILES_FREE gauge "node_filesystem_files_free" ["device", "device_error", "fstype", "mountpoint"] "Inodes free";
    FREE gauge "node_filesystem_free_bytes" ["device", "device_error", "fstype", "mountpoint"] "Bytes free";
    MOUNT_INFO gauge "node_filesystem_mount_info" ["device", "major", "minor", "mountpoint"] "Device number of a mount";
    PURGEABLE gauge "node_filesystem_purgeable_bytes" ["device", "device_error", "fstype", "mountpoint"] "Always 0 on Linux, where nothing is purgeable";
    READONLY gauge "node_filesystem_readonly" ["device", "device_error", "fstype", "mountpoint"] "Whether the file system is read-only";
    SIZE gauge "node_filesystem_size_bytes" ["device", "device_error", "fstype", "mountpoint"] "Size in bytes";
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the reference multiplies as doubles too"
)]
fn bytes(blocks: u64, block: u64) -> Number {
    Number::Float(blocks as f64 * block as f64)
}

pub(super) fn tell(reading: &Reading, page: &mut Page<'_, Filesystem>) {
    let mut told = Vec::new();
    for entry in reading.mounts.entries.iter() {
        let stat = reading.stats.get(entry.told_at).copied().flatten();
        if let Some(stat) = stat
            && entry.mount.shown
            && !entry.repeated
        {
            let error = match stat {
                Stat::Told(_) => String::new(),
                Stat::Failed(errno) => go_text(errno),
                Stat::Stuck => "mountpoint timeout".into(),
            };
            told.push((&*entry.mount, stat, error, entry.covered));
        }
    }
    let mut write = |family: &'static Family<Filesystem, 4>,
                     value: &dyn Fn(bool, Stat) -> Option<Number>| {
        let mut samples = page.family(family);
        for (mount, stat, error, _) in told.iter().filter(|(.., covered)| !covered) {
            if let Some(value) = value(mount.readonly, *stat) {
                let labels = [
                    &mount.device,
                    error.as_str(),
                    &mount.fstype,
                    &mount.mount_point,
                ];
                samples.push(labels, value);
            }
        }
    };
    let space = |stat| match stat {
        Stat::Told(space) => Some(space),
        Stat::Failed(_) | Stat::Stuck => None,
    };
    write(&AVAIL, &|_, s| {
        space(s).map(|s| bytes(s.available, s.block))
    });
    write(&DEVICE_ERROR, &|_, s| Some(space(s).is_none().into()));
    write(&FILES, &|_, s| space(s).map(|s| s.files.into()));
    write(&FILES_FREE, &|_, s| space(s).map(|s| s.files_free.into()));
    write(&FREE, &|_, s| space(s).map(|s| bytes(s.free, s.block)));
    write(&PURGEABLE, &|_, s| space(s).map(|_| 0u64.into()));
    // The reference forgets the options of a mount that is stuck.
    write(&READONLY, &|readonly, s| {
        Some((readonly && s != Stat::Stuck).into())
    });
    write(&SIZE, &|_, s| space(s).map(|s| bytes(s.blocks, s.block)));
    let mut samples = page.family(&MOUNT_INFO);
    for (mount, stat, ..) in &told {
        if space(*stat).is_some() {
            let labels = [
                &*mount.device,
                &mount.major,
                &mount.minor,
                &mount.mount_point,
            ];
            samples.push(labels, 1u64);
        }
    }
}
