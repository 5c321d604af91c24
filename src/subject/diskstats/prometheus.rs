//! Disks as node_exporter names them.

use super::{Diskstats, Reading, SECTOR, Scale};
use crate::dialect::prometheus::{Declared, Family, Kind, Page, joined, listed};
use crate::host::parse::float;

macro_rules! columns {
    ($($kind:ident $name:literal $scale:expr, $help:literal;)*) => {
        /// One family a column.
        static COUNTED: [Family<Diskstats, 1>; super::COLUMNS] =
            [$(Family::new(concat!("node_disk_", $name), Kind::$kind, ["device"], $help)),*];
        static SCALES: [Scale; super::COLUMNS] = [$($scale),*];
    };
}

columns! {
    Counter "reads_completed_total" Scale::Times(1), "Reads completed";
    Counter "reads_merged_total" Scale::Times(1), "Reads merged into others";
    Counter "read_bytes_total" Scale::Times(SECTOR), "Bytes read";
    Counter "read_time_seconds_total" Scale::Milli, "Seconds all reads took";
    Counter "writes_completed_total" Scale::Times(1), "Writes completed";
    Counter "writes_merged_total" Scale::Times(1), "Writes merged into others";
    Counter "written_bytes_total" Scale::Times(SECTOR), "Bytes written";
    Counter "write_time_seconds_total" Scale::Milli, "Seconds all writes took";
    Gauge "io_now" Scale::Times(1), "Operations in progress";
    Counter "io_time_seconds_total" Scale::Milli, "Seconds in which an operation was in progress";
    Counter "io_time_weighted_seconds_total" Scale::Milli, "Seconds all operations took, those in progress included";
    Counter "discards_completed_total" Scale::Times(1), "Discards completed, from Linux 4.18";
    Counter "discards_merged_total" Scale::Times(1), "Discards merged into others, from Linux 4.18";
    Counter "discarded_sectors_total" Scale::Times(1), "Sectors of 512 bytes discarded, from Linux 4.18";
    Counter "discard_time_seconds_total" Scale::Milli, "Seconds all discards took, from Linux 4.18";
    Counter "flush_requests_total" Scale::Times(1), "Flushes completed, from Linux 5.5";
    Counter "flush_requests_time_seconds_total" Scale::Milli, "Seconds all flushes took, from Linux 5.5";
}

crate::families! { Diskstats:
    INFO gauge "node_disk_info" ["device", "major", "minor", "path", "wwn", "model", "serial", "revision", "rotational"] "What udev knows of a disk";
    FILESYSTEM gauge "node_disk_filesystem_info" ["device", "type", "usage", "uuid", "version"] "File system on a device, as udev knows it";
    MAPPER gauge "node_disk_device_mapper_info" ["device", "name", "uuid", "vg_name", "lv_name", "lv_layer"] "What a device of the device mapper is";
    WRITE_CACHE gauge "node_disk_ata_write_cache" ["device"] "Whether an ATA disk has a write cache";
    WRITE_CACHE_ENABLED gauge "node_disk_ata_write_cache_enabled" ["device"] "Whether an ATA disk has its write cache on";
    ROTATION gauge "node_disk_ata_rotation_rate_rpm" ["device"] "Rotations a minute of an ATA disk, 0 if it does not turn";
}

pub(super) static DECLARED: [&dyn Declared; super::COLUMNS + 6] =
    joined(&[&listed(&COUNTED), FAMILIES]);

pub(super) fn tell(reading: &Reading, page: &mut Page<'_, Diskstats>) {
    let shown = || reading.0.iter().filter(|device| device.shown);
    for (at, (family, scale)) in COUNTED.iter().zip(SCALES).enumerate() {
        let mut samples = page.family(family);
        for device in shown().filter(|device| at < device.known) {
            samples.push([&device.name], scale.of(device.column(at)));
        }
    }
    let mut samples = page.family(&INFO);
    for device in shown() {
        let property = |name| device.property(name);
        let serials = ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"].map(property);
        let serial = serials.into_iter().find(|serial| !serial.is_empty());
        let (major, minor) = (device.major.to_string(), device.minor.to_string());
        let labels: [&str; 9] = [
            &device.name,
            &major,
            &minor,
            property("ID_PATH"),
            property("ID_WWN"),
            property("ID_MODEL"),
            serial.unwrap_or_default(),
            property("ID_REVISION"),
            if device.rotational { "1" } else { "0" },
        ];
        samples.push(labels, 1u64);
    }
    let mut samples = page.family(&FILESYSTEM);
    for device in shown().filter(|device| !device.property("ID_FS_TYPE").is_empty()) {
        let [kind, usage, uuid, version] =
            ["ID_FS_TYPE", "ID_FS_USAGE", "ID_FS_UUID", "ID_FS_VERSION"]
                .map(|name| device.property(name));
        samples.push([&device.name, kind, usage, uuid, version], 1u64);
    }
    let mut samples = page.family(&MAPPER);
    for device in shown().filter(|device| !device.property("DM_NAME").is_empty()) {
        let [name, uuid, group, volume, layer] = [
            "DM_NAME",
            "DM_UUID",
            "DM_VG_NAME",
            "DM_LV_NAME",
            "DM_LV_LAYER",
        ]
        .map(|name| device.property(name));
        samples.push([&device.name, name, uuid, group, volume, layer], 1u64);
    }
    for (family, name) in [
        (&WRITE_CACHE, "ID_ATA_WRITE_CACHE"),
        (&WRITE_CACHE_ENABLED, "ID_ATA_WRITE_CACHE_ENABLED"),
        (&ROTATION, "ID_ATA_ROTATION_RATE_RPM"),
    ] {
        let mut samples = page.family(family);
        for device in shown().filter(|device| !device.property("ID_ATA").is_empty()) {
            if let Some(value) = float(device.property(name).as_bytes()) {
                samples.push([&device.name], value);
            }
        }
    }
}
