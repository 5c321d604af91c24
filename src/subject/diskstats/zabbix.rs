//! Disks under the keys of the Zabbix agents.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::{Device, Diskstats, Options, Reading, SECTOR, Want};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, Ring, Said};

const MINUTE: Duration = Duration::from_secs(60);
const NO_DISK: Unsupported = Unsupported::new("Cannot obtain disk information.");
const NO_NAME: Unsupported =
    Unsupported::new("Cannot obtain device name used internally by the kernel.");

/// Where sectors and operations stand among the columns.
const READ: [usize; 2] = [2, 0];
const WRITTEN: [usize; 2] = [6, 4];

pub(super) static KEYS: &[Item<Diskstats>] = &[
    Item {
        name: "vfs.dev.read",
        parameters: &["device", "type", "mode"],
        help: "Reads of a device, or of all together; types sps (default), ops, sectors, operations; modes avg1 (default), avg5, avg15",
        want,
        answer: Answer::Either {
            at_hand: is_count,
            now: |_, reading, args| count(reading, args, READ),
            keep: Duration::from_secs(15 * 60),
            series,
            pick: |reading, args| sums(reading, args, READ),
            say: rate,
        },
    },
    Item {
        name: "vfs.dev.write",
        parameters: &["device", "type", "mode"],
        help: "Writes of a device, or of all together; as vfs.dev.read",
        want,
        answer: Answer::Either {
            at_hand: is_count,
            now: |_, reading, args| count(reading, args, WRITTEN),
            keep: Duration::from_secs(15 * 60),
            series,
            pick: |reading, args| sums(reading, args, WRITTEN),
            say: rate,
        },
    },
    Item {
        name: "vfs.dev.discovery",
        parameters: &[],
        help: "Block devices and their types, for low-level discovery",
        want: |_, _| {
            Ok(Want {
                kinds: true,
                ..Want::default()
            })
        },
        answer: Answer::Now(discovery),
    },
    Item {
        name: "vfs.dev.get",
        parameters: &["mode", "regexp"],
        help: "Disks with their counters (disk_stats, default), what they are (disks), or their partitions (devices)",
        want: |_, args| {
            pattern(args)?;
            match args.param(0) {
                "" | "disk_stats" | "disks" | "devices" => Ok(Want {
                    udev: true,
                    kinds: true,
                    sizes: true,
                }),
                _ => Err(Unsupported::invalid_parameter(1)),
            }
        },
        answer: Answer::Now(get),
    },
];

fn is_count(args: &Args<'_>) -> bool {
    matches!(args.param(1), "sectors" | "operations")
}

/// What stands first among sectors and operations.
fn place(args: &Args<'_>) -> usize {
    usize::from(matches!(args.param(1), "operations" | "ops"))
}

fn span(args: &Args<'_>) -> Option<Duration> {
    match args.param(2) {
        "" | "avg1" => Some(MINUTE),
        "avg5" => Some(5 * MINUTE),
        "avg15" => Some(15 * MINUTE),
        _ => None,
    }
}

fn want(_: &Options, args: &Args<'_>) -> Result<Want, Unsupported> {
    if !is_count(args) && !matches!(args.param(1), "" | "sps" | "ops") {
        return Err(Unsupported::invalid_parameter(2));
    }
    if span(args).is_none() {
        return Err(Unsupported::invalid_parameter(3));
    }
    if is_count(args) && !args.param(2).is_empty() {
        return Err("Invalid number of parameters.".into());
    }
    Ok(Want {
        // A name with a slash may be that of a link.
        udev: name(args).contains('/'),
        ..Want::default()
    })
}

fn name<'a>(args: &'a Args<'_>) -> &'a str {
    let name = args.param(0);
    match name.strip_prefix("/dev/").unwrap_or(name) {
        "all" => "",
        name => name,
    }
}

fn series(args: &Args<'_>) -> String {
    name(args).to_owned()
}

/// Sectors and operations of the device, or of all; partitions count beside their disks, as with the agents.
fn sums(reading: &Reading, args: &Args<'_>, columns: [usize; 2]) -> Option<Box<[u64]>> {
    let wanted = name(args);
    let is = |device: &&Device| {
        wanted.is_empty()
            || *device.name == *wanted
            || device.links.iter().any(|link| **link == *wanted)
    };
    let mut devices = reading.0.iter().filter(is).peekable();
    devices.peek()?;
    let mut sums = [0u64; 2];
    for device in devices {
        for (sum, at) in sums.iter_mut().zip(columns) {
            *sum = sum.wrapping_add(device.column(at));
        }
    }
    Some(Box::new(sums))
}

fn count(reading: &Reading, args: &Args<'_>, columns: [usize; 2]) -> Said {
    let sums = sums(reading, args, columns).ok_or(NO_DISK)?;
    sums.get(place(args))
        .copied()
        .map(Value::from)
        .ok_or(NO_DISK)
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn rate(ring: &Ring, args: &Args<'_>) -> Said {
    let (old, new, passed) = span(args).and_then(|span| ring.over(span)).ok_or(NO_NAME)?;
    let of = |sums: &[u64]| sums.get(place(args)).copied().unwrap_or_default();
    let grown = of(new).saturating_sub(of(old));
    Ok(Value::from(grown as f64 / passed.as_secs_f64()))
}

fn discovery(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    let told = |device: &Device| {
        let kind = device.property("DEVTYPE");
        let name = device.property("DEVNAME");
        (!kind.is_empty()).then(|| json!({"{#DEVNAME}": name, "{#DEVTYPE}": kind}))
    };
    let all: Vec<Json> = reading.0.iter().filter_map(told).collect();
    Ok(Json::from(all).to_string().into())
}

fn pattern(args: &Args<'_>) -> Result<Option<Pattern>, Unsupported> {
    match args.param(1) {
        "" => Ok(None),
        text => Pattern::new(text)
            .map(Some)
            .map_err(|_| Unsupported::invalid_parameter(2)),
    }
}

/// The shape that the template of Zabbix 8.0 takes apart; what is not known is left out.
fn get(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let pattern = pattern(args)?;
    let passes = |d: &&Device| pattern.as_ref().is_none_or(|p| p.matches(&d.name));
    let is_disk = |d: &&Device| d.property("DEVTYPE") == "disk";
    let disks: Vec<&Device> = reading.0.iter().filter(is_disk).filter(passes).collect();
    let mode = args.param(0);
    let config = |disk: &&Device| {
        let mut row = Map::new();
        row.insert("name".into(), (*disk.name).into());
        let by_id = |link: &str| link.strip_prefix("disk/by-id/").map(Json::from);
        let mut put = |name: &str, value: Option<Json>| {
            row.extend(value.map(|value| (name.to_owned(), value)));
        };
        let text = |name: &str| {
            Some(disk.property(name))
                .filter(|v| !v.is_empty())
                .map(Json::from)
        };
        let [_, logical, physical] = disk.sizes;
        let size = |sectors: Option<u64>| sectors.map(|s| s.saturating_mul(SECTOR).into());
        put("devid", disk.links.iter().find_map(|link| by_id(link)));
        put("type", Some("disk".into()));
        match mode {
            "disks" => {
                put("path", Some(format!("/dev/{}", disk.name).into()));
                put("model", text("ID_MODEL"));
                put(
                    "serial",
                    text("ID_SERIAL_SHORT").or_else(|| text("ID_SERIAL")),
                );
                put("wwn", text("ID_WWN"));
                put("size_bytes", size(sectors(disk)));
                put("logical_block_size", logical.map(Json::from));
                put("physical_block_size", physical.map(Json::from));
            }
            "devices" => put("partitions", Some(partitions(reading, disk))),
            _ => put("size_bytes", size(sectors(disk))),
        }
        Json::from(row)
    };
    let config: Vec<Json> = disks.iter().map(config).collect();
    if matches!(mode, "disks" | "devices") {
        return Ok(json!({ "config": config }).to_string().into());
    }
    let bytes = |sectors: u64| sectors.saturating_mul(SECTOR);
    let values: Vec<Json> = disks
        .iter()
        .map(|disk| {
            json!({"name": *disk.name, "stats": {
                "reads_completed": disk.column(0),
                "writes_completed": disk.column(4),
                "bytes_read": bytes(disk.column(2)),
                "bytes_written": bytes(disk.column(6)),
                "io_time_ms": disk.column(9),
            }})
        })
        .collect();
    Ok(json!({"config": config, "values": values})
        .to_string()
        .into())
}

fn sectors(device: &Device) -> Option<u64> {
    let [size, ..] = device.sizes;
    size
}

/// The partitions of a disk and their sizes: those named after it, as the kernel does (`sda1`, `nvme0n1p1`).
fn partitions(reading: &Reading, disk: &Device) -> Json {
    let is_part = |d: &&Device| {
        let rest = d.name.strip_prefix(&*disk.name);
        let number = rest.map(|rest| rest.strip_prefix('p').unwrap_or(rest));
        d.property("DEVTYPE") == "partition"
            && number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let row = |d: &Device| {
        let size = sectors(d).map(|s| s.saturating_mul(SECTOR));
        ((*d.name).to_owned(), Json::from(size))
    };
    let parts = reading.0.iter().filter(is_part).map(row);
    parts.collect::<Map<String, Json>>().into()
}
