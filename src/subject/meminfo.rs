//! Memory: /proc/meminfo.
//!
//! The kernel's names are kept as they are; `(x)` becomes `_x` and lines with the unit kB are told in bytes. The
//! parser is ours, not `procfs`'s: that one refuses the whole file for one line it does not know how to read.

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Family, Kind, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{fields, lines, unsigned};
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Answer, Args, Asker, Flag, Invalid, Item, ItemError, Machine, Past, Said, Subject,
    Taken,
};

/// The subject.
pub struct Meminfo;

/// Options: none.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {}

/// Values of the file, in bytes where it says kB; a line that is not there is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    values: [Option<u64>; KEYS],
}

macro_rules! table {
    ($($key:literal $family:literal $help:literal;)*) => {
        const KEYS: usize = [$($key),*].len();
        /// The kernel's keys, in the order of the families.
        static NAMES: [&str; KEYS] = [$($key),*];
        static TOLD: [Family<Meminfo, 0>; KEYS] =
            [$(Family::new($family, Kind::Gauge, [], $help)),*];
    };
}

table! {
    "MemTotal" "node_memory_MemTotal_bytes" "Memory the kernel manages";
    "MemFree" "node_memory_MemFree_bytes" "Memory nobody uses";
    "MemAvailable" "node_memory_MemAvailable_bytes" "Memory a new program could have without swapping, as the kernel estimates it";
}

static FAMILIES: &[&dyn Declared] = &[&TOLD[0], &TOLD[1], &TOLD[2]];

crate::instruments! { Meminfo:
    USAGE updown int "system.memory.usage" "By" ["state"] "Memory by what it is used for";
}

impl Reading {
    fn parse(text: &[u8]) -> (Self, Vec<ItemError>) {
        let mut values = [None; KEYS];
        let mut errors = Vec::new();
        for line in lines(text) {
            let mut parts = fields(line);
            let (Some(key), value, unit) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let key = key.strip_suffix(b":").unwrap_or(key);
            let Some(at) = NAMES.iter().position(|n| n.as_bytes() == key) else {
                continue;
            };
            let scale = if unit == Some(b"kB") { 1024 } else { 1 };
            match value.and_then(unsigned).and_then(|v| v.checked_mul(scale)) {
                Some(value) => {
                    if let Some(place) = values.get_mut(at) {
                        *place = Some(value);
                    }
                }
                None => errors.push(ItemError {
                    kind: "line",
                    item: String::from_utf8_lossy(key).into_owned(),
                    why: "not a number of kB".into(),
                }),
            }
        }
        (Self { values }, errors)
    }

    fn get(&self, key: &str) -> Option<u64> {
        let at = NAMES.iter().position(|n| *n == key)?;
        self.values.get(at).copied().flatten()
    }
}

impl Subject for Meminfo {
    const NAME: &'static str = "meminfo";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[];
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "vm.memory.size",
        parameters: &["mode"],
        help: "Memory in bytes or percent",
        want: |_, args| match args.param(0) {
            "" | "total" | "free" | "available" => Ok(()),
            _ => Err(Unsupported::invalid_parameter(1)),
        },
        answer: Answer::Now(size),
    }];
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "meminfo")?;
        let (reading, errors) = Reading::parse(&text);
        Ok(Taken {
            reading,
            errors,
            complete: true,
        })
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        for (family, value) in TOLD.iter().zip(reading.values) {
            if let Some(value) = value {
                page.value(family, value);
            }
        }
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        let mut usage = batch.instrument(&USAGE);
        if let Some(free) = past.now.get("MemFree") {
            usage.push(["free"], free);
        }
    }
}

fn size(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let key = match args.param(0) {
        "free" => "MemFree",
        "available" => "MemAvailable",
        _ => "MemTotal",
    };
    reading
        .get(key)
        .map(Value::from)
        .ok_or_else(|| Unsupported::from("Cannot read it."))
}
