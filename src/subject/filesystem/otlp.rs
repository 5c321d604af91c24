//! Mounts as hostmetrics names them.

use super::space::Stat;
use super::{Filesystem, Options, Reading};
use crate::dialect::Number;
use crate::dialect::otlp::Batch;

crate::instruments! { Filesystem:
    USAGE updown int "system.filesystem.usage" "By" ["device", "mode", "mountpoint", "state", "type"] "Bytes by what they are used for";
    INODES updown int "system.filesystem.inodes.usage" "{inodes}" ["device", "mode", "mountpoint", "state", "type"] "Inodes used and free";
    UTILIZATION gauge double optional "system.filesystem.utilization" "1" ["device", "mode", "mountpoint", "type"] "Share used of what those who are not root can use";
    LIMIT updown int optional "system.filesystem.limit" "By" ["system.device", "system.filesystem.mode", "system.filesystem.mountpoint", "system.filesystem.type"] "Size of a file system";
    LOCKS updown int optional "system.filesystem.lock.count" "{lock}" ["system.device", "file.lock.type", "file.lock.mechanism", "file.lock.mode"] "Locks of files that are held, as /proc/locks has them";
}

/// Whether locks are told.
pub(super) fn wants_locks(options: &Options) -> bool {
    options.instruments.has(&LOCKS)
}

pub(super) fn tell(options: &Options, reading: &Reading, batch: &mut Batch<'_, '_, Filesystem>) {
    let told = || {
        let devices = reading.mounts.devices.get().into_iter().flatten();
        devices.filter_map(|device| {
            let entry = reading.mounts.entries.get(device.at)?;
            match reading.stats.get(entry.at).copied().flatten()? {
                Stat::Told(space) => Some((&*device.name, &*entry.mount, space)),
                Stat::Failed(_) | Stat::Stuck => None,
            }
        })
    };
    let mut points = batch.instrument(&USAGE);
    for (device, mount, space) in told() {
        let size = space.blocks.wrapping_mul(space.block);
        let used = space
            .blocks
            .wrapping_sub(space.free)
            .wrapping_mul(space.block);
        let free = space.available.wrapping_mul(space.block);
        let reserved = size.wrapping_sub(used).wrapping_sub(free);
        for (state, value) in [("used", used), ("free", free), ("reserved", reserved)] {
            points.push(
                [device, mount.mode, &mount.real_point, state, &mount.fstype],
                value.cast_signed(),
            );
        }
    }
    drop(points);
    let mut points = batch.instrument(&INODES);
    for (device, mount, space) in told() {
        let used = space.files.wrapping_sub(space.files_free);
        for (state, value) in [("used", used), ("free", space.files_free)] {
            points.push(
                [device, mount.mode, &mount.real_point, state, &mount.fstype],
                value.cast_signed(),
            );
        }
    }
    drop(points);
    if options.instruments.has(&UTILIZATION) {
        let mut points = batch.instrument(&UTILIZATION);
        for (device, mount, space) in told() {
            let used = Number::from(space.blocks.wrapping_sub(space.free)).as_f64();
            let whole = used + Number::from(space.available).as_f64();
            let share = if whole > 0.0 { used / whole } else { 0.0 };
            points.push(
                [device, mount.mode, &mount.real_point, &mount.fstype],
                share,
            );
        }
    }
    if options.instruments.has(&LIMIT) {
        let mut points = batch.instrument(&LIMIT);
        for (device, mount, space) in told() {
            let size = space.blocks.wrapping_mul(space.block);
            points.push(
                [device, mount.mode, &mount.real_point, &mount.fstype],
                size.cast_signed(),
            );
        }
    }
    if let Some(locks) = reading.locks.as_ref().filter(|_| wants_locks(options)) {
        let mut points = batch.instrument(&LOCKS);
        for (values, count) in locks.told(&reading.mounts) {
            points.push(values, count);
        }
    }
}
