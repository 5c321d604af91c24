//! Virtual memory: /proc/vmstat (mm/vmstat.c has the names).

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Family, Kind, Page, Rule};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{LONGEST_TEXT, cut, fields, label, lines, unsigned};
use crate::host::{Pass, Root};
use crate::model::pattern::Pattern;
use crate::subject::fields::{Fields, Names, Told, count, tell};
use crate::subject::{
    Absent, Answer, Args, Asker, Flag, Invalid, Item, ItemError, Machine, Past, Said, Subject,
    Taken,
};

/// The subject.
pub struct Vmstat {
    fields: Fields<Self>,
}

/// Options of /proc/vmstat.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Lines to tell Prometheus, a regular expression of their names. Default: `^(oom_kill|pgpg|pswp|pg.*fault).*`.
    pub fields: Option<Pattern>,
}

const DEFAULT: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";

crate::families! { Vmstat:
    OOM untyped "node_vmstat_oom_kill" [] "Tasks ended, since there was no memory left";
    PGPGIN untyped "node_vmstat_pgpgin" [] "KiB read from disks";
    PGPGOUT untyped "node_vmstat_pgpgout" [] "KiB written to disks";
    PSWPIN untyped "node_vmstat_pswpin" [] "Pages brought back from swap";
    PSWPOUT untyped "node_vmstat_pswpout" [] "Pages moved to swap";
    PGFAULT untyped "node_vmstat_pgfault" [] "Page faults";
    PGMAJFAULT untyped "node_vmstat_pgmajfault" [] "Page faults that had to wait for a disk";
}
static OTHERS: Rule<Vmstat, 0> = Rule::new(
    "node_vmstat_*",
    Kind::Untyped,
    [],
    "A line of /proc/vmstat, with `fields`",
);
static KNOWN: [&Family<Vmstat, 0>; 7] = [
    &OOM,
    &PGPGIN,
    &PGPGOUT,
    &PSWPIN,
    &PSWPOUT,
    &PGFAULT,
    &PGMAJFAULT,
];
static NAMES: Names<Vmstat> = Names {
    prefix: "node_vmstat_",
    known: &KNOWN,
    rule: &OTHERS,
};
static DECLARED: [&dyn Declared; 8] = crate::dialect::prometheus::joined(&[FAMILIES, &[&OTHERS]]);

crate::instruments! { Vmstat:
    OPERATIONS counter int "system.paging.operations" "{operations}" ["direction", "type"] "Pages moved from and to swap (major), KiB read from and written to disks (minor)";
    FAULTS counter int "system.paging.faults" "{faults}" ["type"] "Page faults";
}

/// Lines that batches and keys are made of, whatever pages tell.
const PAGING: [&[u8]; 6] = [
    b"pswpin",
    b"pswpout",
    b"pgpgin",
    b"pgpgout",
    b"pgfault",
    b"pgmajfault",
];

/// What was read.
pub struct Reading {
    told: Vec<(Told<Vmstat>, f64)>,
    paging: [Option<u64>; PAGING.len()],
    /// Swap devices, if they are wanted.
    devices: Vec<(String, Moved)>,
}

/// The names and numbers of a text, one a line; a line that has no number behind its name joins `errors`.
pub fn counts<'a>(
    text: &'a [u8],
    errors: &mut Vec<ItemError>,
    mut each: impl FnMut(usize, &'a [u8], &'a [u8]) -> bool,
) {
    for (at, line) in lines(cut(text, LONGEST_TEXT)).enumerate() {
        let mut parts = fields(line);
        let Some(name) = parts.next() else { continue };
        if !parts.next().is_some_and(|value| each(at, name, value)) {
            errors.push(ItemError::new("line", name, "no number"));
        }
    }
}

const NO_SWAP: Unsupported = Unsupported::new("Cannot obtain swap information.");

/// What a swap device has moved: reads, sectors read, writes, sectors written.
type Moved = [u64; 4];

/// Swap devices, as far as the kernel tells of them.
fn devices(pass: &mut Pass<'_>) -> Vec<(String, Moved)> {
    let mut text = |name| pass.file(Root::Proc, name).ok();
    match (text("swaps"), text("diskstats")) {
        (Some(swaps), Some(disks)) => apart(&swaps, &disks),
        _ => Vec::new(),
    }
}

/// The devices of /proc/swaps by their names below /dev (proc(5)), and what /proc/diskstats tells of them. A swap file is none.
fn apart(swaps: &[u8], disks: &[u8]) -> Vec<(String, Moved)> {
    let moved = |device: &[u8]| -> Option<Moved> {
        lines(cut(disks, LONGEST_TEXT)).find_map(|line| {
            let columns: Vec<&[u8]> = fields(line).collect();
            let number = |at: usize| columns.get(at).copied().and_then(unsigned);
            (columns.get(2) == Some(&device)).then_some(())?;
            Some([number(3)?, number(5)?, number(7)?, number(9)?])
        })
    };
    let named = lines(cut(swaps, LONGEST_TEXT)).filter_map(|line| {
        let device = fields(line).next()?.strip_prefix(b"/dev/")?;
        Some((label(device).into_owned(), moved(device)?))
    });
    named.collect()
}

/// What came from swap, or went there if `out`.
fn swapped(reading: &Reading, args: &Args<'_>, out: usize) -> Said {
    let (device, kind) = (args.param(0), args.param(1));
    let column = 2 * out + usize::from(kind == "sectors");
    let all = matches!(device, "" | "all");
    match kind {
        "" | "pages" if all => {
            let pages = reading.paging.get(out).copied().flatten();
            return pages.map(Value::from).ok_or(NO_SWAP);
        }
        "" | "pages" | "count" | "sectors" => {}
        _ if all => return Err(Unsupported::invalid_parameter(2)),
        _ => {}
    }
    let wanted = device.strip_prefix("/dev/").unwrap_or(device);
    let devices = reading.devices.iter();
    let found: Vec<u64> = devices
        .filter(|(name, _)| all || name == wanted)
        .filter_map(|(_, moved)| moved.get(column).copied())
        .collect();
    match kind {
        _ if found.is_empty() && !all => Err(NO_SWAP),
        "count" | "sectors" => Ok(found.into_iter().fold(0, u64::saturating_add).into()),
        // Pages of one device are told nowhere.
        _ => Err(Unsupported::invalid_parameter(2)),
    }
}

/// Only pages of all devices are told without a look at devices.
fn looks(_: &Options, args: &Args<'_>) -> Result<bool, Unsupported> {
    Ok(!matches!(
        (args.param(0), args.param(1)),
        ("" | "all", "" | "pages")
    ))
}

impl Subject for Vmstat {
    const NAME: &'static str = "vmstat";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[Flag::value(
        "collector.vmstat.fields",
        "Lines of /proc/vmstat to tell, a regular expression",
        |o: &mut Options, v| {
            o.fields = Some(Pattern::new(v).map_err(|e| e.to_string())?);
            Ok(())
        },
    )];
    const FAMILIES: &'static [&'static dyn Declared] = &DECLARED;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = &[
        Item {
            name: "system.swap.in",
            parameters: &["device", "type"],
            help: "What was brought back from swap since boot; device all (default) or one, type pages (default, of all alone), count or sectors of swap devices",
            want: looks,
            answer: Answer::Now(|_, reading, args| swapped(reading, args, 0)),
        },
        Item {
            name: "system.swap.out",
            parameters: &["device", "type"],
            help: "What was moved to swap since boot, in the same way",
            want: looks,
            answer: Answer::Now(|_, reading, args| swapped(reading, args, 1)),
        },
    ];
    type Options = Options;
    /// Whether what swap devices have moved is wanted.
    type Want = bool;
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let fields = Fields::new(Self::NAME, &NAMES, options.fields.as_ref(), DEFAULT)?;
        Ok(Self { fields })
    }

    fn want(_: &Options, _: Asker) -> bool {
        false
    }

    fn read(&mut self, pass: &mut Pass<'_>, devices: &bool) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "vmstat")?;
        let mut told = Vec::new();
        let mut paging = [None; PAGING.len()];
        let mut errors = Vec::new();
        counts(&text, &mut errors, |at, name, value| {
            let known = PAGING.iter().position(|known| *known == name);
            if let Some(place) = known.and_then(|known| paging.get_mut(known)) {
                *place = unsigned(value);
            }
            match self.fields.told(at, b"", name) {
                None => true,
                Some(family) => count(value)
                    .map(|value| told.push((family, value)))
                    .is_some(),
            }
        });
        let devices = match devices {
            true => self::devices(pass),
            false => Vec::new(),
        };
        let reading = Reading {
            told,
            paging,
            devices,
        };
        Ok(Taken::lacking(reading, errors))
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        tell(&NAMES, &reading.told, page);
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        let [swapped_in, swapped_out, read, written, all, major] = past.now.paging;
        let mut operations = batch.instrument(&OPERATIONS);
        for (direction, kind, value) in [
            ("page_in", "major", swapped_in),
            ("page_out", "major", swapped_out),
            ("page_in", "minor", read),
            ("page_out", "minor", written),
        ] {
            if let Some(value) = value {
                operations.push([direction, kind], value);
            }
        }
        drop(operations);
        let mut faults = batch.instrument(&FAULTS);
        if let (Some(all), Some(major)) = (all, major) {
            faults.push(["major"], major);
            faults.push(["minor"], all.saturating_sub(major));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::zabbix::key::Key;

    /// What the classic agents of 6.0 said of these texts.
    #[test]
    fn swap_devices_are_told_as_the_agents_do() {
        let swaps = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n/dev/loop0                              partition\t65532\t\t0\t\t-2\n/var/swap file\t100\t0\t-3\n";
        let disks = b"   7       0 loop0 50 0 2608 8 2 0 8 0 0 4 10 0 0 0 0 1 0\n   7       1 loop1 7 0 7 7 7 0 7 7 0 7 7 0 0 0 0 0 0\n";
        let mut paging = [None; PAGING.len()];
        paging[0] = Some(3);
        let mut reading = Reading {
            told: Vec::new(),
            paging,
            devices: apart(swaps, disks),
        };
        let second = Err("Invalid second parameter.");
        let none = Err("Cannot obtain swap information.");
        for (key, out, expected) in [
            ("k", 0, Ok("3")),
            ("k[all,pages]", 0, Ok("3")),
            ("k[,count]", 0, Ok("50")),
            ("k[all,sectors]", 0, Ok("2608")),
            ("k[/dev/loop0,count]", 0, Ok("50")),
            ("k[loop0,sectors]", 0, Ok("2608")),
            ("k[,count]", 1, Ok("2")),
            ("k[loop0,sectors]", 1, Ok("8")),
            ("k[loop0]", 0, second),
            ("k[/dev/loop0,pages]", 0, second),
            ("k[loop0,x]", 0, second),
            ("k[,x]", 0, second),
            ("k[x,count]", 0, none),
            ("k[x,x]", 0, none),
            ("k[loop1,count]", 0, none),
        ] {
            let key = Key::parse(key).unwrap();
            let said = swapped(&reading, &key, out);
            let said = said
                .as_ref()
                .map(Value::as_str)
                .map_err(Unsupported::as_str);
            assert_eq!(said, expected, "{key} {out}");
        }
        // Where nothing is swapped to, nothing was moved.
        reading.devices.clear();
        let said = swapped(&reading, &Key::parse("k[,count]").unwrap(), 0);
        assert_eq!(said.unwrap().as_str(), "0");
    }

    #[test]
    fn a_line_without_a_number_is_told_and_the_others_count() {
        let mut errors = Vec::new();
        let mut read = Vec::new();
        counts(
            b"a 1\n\nb\n c x\nd 4 5\r\n",
            &mut errors,
            |at, name, value| {
                let number = count(value);
                read.push((at, name.to_vec(), number));
                number.is_some()
            },
        );
        let names = [
            (0, b"a".to_vec(), Some(1.0)),
            (3, b"c".to_vec(), None),
            (4, b"d".to_vec(), Some(4.0)),
        ];
        assert_eq!(read, names);
        assert_eq!(errors.len(), 2);
    }
}
