//! Virtual memory: /proc/vmstat (mm/vmstat.c has the names).

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Family, Kind, Page, Rule};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{LONGEST_TEXT, cut, fields, lines, unsigned};
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

fn swapped(reading: &Reading, at: usize) -> Said {
    let pages = reading.paging.get(at).copied().flatten();
    pages.map(Value::from).ok_or(NO_SWAP)
}

fn pages(_: &Options, args: &Args<'_>) -> Result<(), Unsupported> {
    match (args.param(0), args.param(1)) {
        ("" | "all", "" | "pages") => Ok(()),
        ("" | "all", _) => Err(Unsupported::invalid_parameter(2)),
        // Only /proc/diskstats says what one device moved.
        _ => Err(NO_SWAP),
    }
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
            help: "Pages brought back from swap since boot; device all (default), type pages (default)",
            want: pages,
            answer: Answer::Now(|_, reading, _| swapped(reading, 0)),
        },
        Item {
            name: "system.swap.out",
            parameters: &["device", "type"],
            help: "Pages moved to swap since boot; device all (default), type pages (default)",
            want: pages,
            answer: Answer::Now(|_, reading, _| swapped(reading, 1)),
        },
    ];
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let fields = Fields::new(Self::NAME, &NAMES, options.fields.as_ref(), DEFAULT)?;
        Ok(Self { fields })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
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
        Ok(Taken::lacking(Reading { told, paging }, errors))
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
