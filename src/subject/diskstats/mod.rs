//! Disks: /proc/diskstats, udev's data of each device, a few attributes of sysfs.
//!
//! Owns what is counted of each block device. The device patterns concern Prometheus alone: batches tell partitions too, but no
//! device that did nothing yet, as hostmetrics does. What is known of a device beside its counters is read for pages and for keys
//! that ask for it.

#[doc(hidden)]
pub mod parse;
mod prometheus;
#[cfg(test)]
mod tests;
mod zabbix;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{label, lines, unsigned};
use crate::host::{Pass, Root};
use crate::model::pattern::Pattern;
use crate::subject::filter::{Filter, pattern};
use crate::subject::{
    Absent, Asker, Chosen, Flag, Invalid, Item, Machine, Past, Subject, Taken, Want as Wanted,
};

use parse::COLUMNS;

/// Bytes of a sector in all that the kernel counts, whatever the device.
const SECTOR: u64 = 512;
/// Devices that are left out of pages unless the options say otherwise.
const IGNORED: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// Columns that say whether a device did anything: those that every kernel has.
const BUSY: usize = 11;

/// The subject.
pub struct Diskstats {
    filter: Filter,
}

/// Options of disks.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Devices to tell Prometheus, all others left out; not together with `device_exclude`. Default: all that are not excluded.
    pub device_include: Option<Pattern>,
    /// Devices not to tell Prometheus; an empty text excludes none. Default:
    /// `^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$`, and none if `device_include` is set.
    pub device_exclude: Option<Pattern>,
    /// Instruments to tell over OTLP beside those that always are. Default: none.
    pub instruments: Chosen<Diskstats>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading(Vec<Device>);

/// One block device.
#[derive(Debug)]
struct Device {
    major: u32,
    minor: u32,
    name: Box<str>,
    /// Whether the device patterns let Prometheus see it.
    shown: bool,
    /// How many of the columns the kernel has.
    known: usize,
    columns: [u64; COLUMNS],
    /// Whether it has platters that turn.
    rotational: bool,
    /// Properties that udev knows, and those of its uevent; the names of its links.
    properties: Vec<(&'static str, Box<str>)>,
    links: Vec<Box<str>>,
    /// `size`, `queue/logical_block_size` and `queue/physical_block_size`, if they were asked for.
    sizes: [Option<u64>; 3],
}

impl Device {
    fn column(&self, at: usize) -> u64 {
        self.columns.get(at).copied().unwrap_or_default()
    }

    /// A property; empty if it has none.
    fn property(&self, name: &str) -> &str {
        let found = self.properties.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What to read beside the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// udev's properties, and whether it turns.
    udev: bool,
    /// The type of each device, as its uevent says.
    kinds: bool,
    /// Sizes.
    sizes: bool,
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        self.udev |= other.udev;
        self.kinds |= other.kinds;
        self.sizes |= other.sizes;
    }

    fn covers(&self, other: &Self) -> bool {
        self.udev >= other.udev && self.kinds >= other.kinds && self.sizes >= other.sizes
    }
}

/// Properties of udev's that are told.
const PROPERTIES: [&str; 20] = [
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "SCSI_IDENT_SERIAL",
];
/// Properties of a uevent that are told.
const UEVENT: [&str; 2] = ["DEVNAME", "DEVTYPE"];

impl Device {
    fn describe(&mut self, pass: &mut Pass<'_>, want: Want) {
        let number = format!("{}:{}", self.major, self.minor);
        if want.udev {
            if let Ok(text) = pass.once(Root::Udev, &format!("b{number}")) {
                for name in PROPERTIES {
                    if let Some(value) = parse::property(parse::udev(text, b"E:"), name) {
                        self.properties.push((name, label(value).into()));
                    }
                }
                self.links = parse::udev(text, b"S:")
                    .map(|link| label(link).into())
                    .collect();
            }
            let turns = pass.attribute(&format!("block/{}/queue/rotational", self.name));
            self.rotational = turns.is_ok_and(|text| text == b"1");
        }
        if want.kinds
            && let Ok(text) = pass.once(Root::Sys, &format!("dev/block/{number}/uevent"))
        {
            for name in UEVENT {
                if let Some(value) = parse::property(lines(text), name) {
                    self.properties.push((name, label(value).into()));
                }
            }
        }
        if want.sizes {
            let files = [
                "size",
                "queue/logical_block_size",
                "queue/physical_block_size",
            ];
            for (size, file) in self.sizes.iter_mut().zip(files) {
                let text = pass.attribute(&format!("dev/block/{number}/{file}"));
                *size = text.ok().and_then(|text| unsigned(&text));
            }
        }
    }
}

impl Subject for Diskstats {
    const NAME: &'static str = "diskstats";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.diskstats.device-exclude",
            "Devices not to tell, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        ),
        Flag::value(
            "collector.diskstats.device-include",
            "Devices to tell, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_include = p),
        ),
        Flag::value(
            "collector.diskstats.ignored-devices",
            "Old name of device-exclude",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        )
        .old_name_of("collector.diskstats.device-exclude"),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = &prometheus::DECLARED;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Want;
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let (include, exclude) = (&options.device_include, &options.device_exclude);
        let filter = Filter::new(
            Self::NAME,
            "device",
            include.as_ref(),
            exclude.as_ref(),
            Some(IGNORED),
        )?;
        Ok(Self { filter })
    }

    fn want(options: &Options, asker: Asker) -> Want {
        Want {
            udev: asker == Asker::Prometheus,
            sizes: asker == Asker::Otlp && options.instruments.has(&LIMIT),
            ..Want::default()
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "diskstats")?;
        let (rows, errors) = parse::devices(&text);
        let mut devices = Vec::with_capacity(rows.len());
        for row in rows {
            let name = label(row.name);
            let mut device = Device {
                major: row.major,
                minor: row.minor,
                shown: self.filter.passes(&name),
                name: name.into(),
                known: row.known,
                columns: row.columns,
                rotational: false,
                properties: Vec::new(),
                links: Vec::new(),
                sizes: [None; 3],
            };
            // A page alone looks at no more than it tells.
            let page_only = !want.kinds && !want.sizes;
            if device.shown || !page_only {
                device.describe(pass, *want);
            }
            devices.push(device);
        }
        Ok(Taken::lacking(Reading(devices), errors))
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(reading, page);
    }

    fn otlp(options: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        let devices = || {
            let busy = |d: &&Device| d.columns.iter().take(BUSY).any(|value| *value > 0);
            past.now.0.iter().filter(busy)
        };
        for (instrument, read, written, scale) in [
            (&IO, 2, 6, Scale::Times(SECTOR)),
            (&OPERATIONS, 0, 4, Scale::Times(1)),
            (&MERGED, 1, 5, Scale::Times(1)),
            (&OPERATION_TIME, 3, 7, Scale::Milli),
        ] {
            let mut points = batch.instrument(instrument);
            for device in devices() {
                for (direction, at) in [("read", read), ("write", written)] {
                    points.push([&device.name, direction], scale.of(device.column(at)));
                }
            }
        }
        for (instrument, at, scale) in [
            (&PENDING, 8, Scale::Times(1)),
            (&IO_TIME, 9, Scale::Milli),
            (&WEIGHTED, 10, Scale::Milli),
        ] {
            let mut points = batch.instrument(instrument);
            for device in devices() {
                points.push([&device.name], scale.of(device.column(at)));
            }
        }
        if options.instruments.has(&LIMIT) {
            let mut points = batch.instrument(&LIMIT);
            for device in devices() {
                if let [Some(sectors), ..] = device.sizes {
                    points.push([&device.name], sectors.saturating_mul(SECTOR));
                }
            }
        }
    }
}

/// What a column is told in.
#[derive(Debug, Clone, Copy)]
enum Scale {
    /// So many times.
    Times(u64),
    /// Seconds of milliseconds.
    Milli,
}

impl Scale {
    fn of(self, value: u64) -> crate::dialect::Number {
        let float = crate::dialect::Number::Unsigned(value).as_f64();
        match self {
            Self::Times(times) => match value.checked_mul(times) {
                Some(product) => product.into(),
                None => (float * crate::dialect::Number::Unsigned(times).as_f64()).into(),
            },
            // Multiplied, as the reference does: a division differs in the last digit.
            Self::Milli => (float * 0.001).into(),
        }
    }
}

crate::instruments! { Diskstats:
    IO counter int "system.disk.io" "By" ["device", "direction"] "Bytes read and written";
    OPERATIONS counter int "system.disk.operations" "{operations}" ["device", "direction"] "Reads and writes completed";
    MERGED counter int "system.disk.merged" "{operations}" ["device", "direction"] "Reads and writes merged into others";
    OPERATION_TIME counter double "system.disk.operation_time" "s" ["device", "direction"] "Time that all reads and writes took";
    PENDING updown int "system.disk.pending_operations" "{operations}" ["device"] "Operations in progress";
    IO_TIME counter double "system.disk.io_time" "s" ["device"] "Time in which an operation was in progress";
    WEIGHTED counter double "system.disk.weighted_io_time" "s" ["device"] "Time that all operations took, those in progress included";
    LIMIT updown int optional "system.disk.limit" "By" ["system.device"] "Size of a device";
}
