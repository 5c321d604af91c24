//! Pressure stall information: /proc/pressure/{cpu,io,memory,irq} (Documentation/accounting/psi.rst).
//!
//! Of each resource the kernel tells how long some task waited for it and how long all did. Where one broken file costs
//! the reference those behind it too, here it costs its own lines.

use crate::dialect::prometheus::{Declared, Family, Page};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::parse::lines;
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, ItemError, Machine, NoOptions, Said, Subject, Taken,
};

/// The subject.
pub struct Pressure;

crate::families! { Pressure:
    CPU_SOME counter "node_pressure_cpu_waiting_seconds_total" [] "Time in which some task waited for a CPU";
    IO_SOME counter "node_pressure_io_waiting_seconds_total" [] "Time in which some task waited for input or output";
    IO_FULL counter "node_pressure_io_stalled_seconds_total" [] "Time in which all tasks waited for input or output";
    MEMORY_SOME counter "node_pressure_memory_waiting_seconds_total" [] "Time in which some task waited for memory";
    MEMORY_FULL counter "node_pressure_memory_stalled_seconds_total" [] "Time in which all tasks waited for memory";
    IRQ_FULL counter "node_pressure_irq_stalled_seconds_total" [] "Time in which all tasks waited for interrupts";
}

/// File, first word of its line, and the family that tells it.
static LINES: [(&str, &str, &Family<Pressure, 0>); 6] = [
    ("cpu", "some", &CPU_SOME),
    ("io", "some", &IO_SOME),
    ("io", "full", &IO_FULL),
    ("memory", "some", &MEMORY_SOME),
    ("memory", "full", &MEMORY_FULL),
    ("irq", "full", &IRQ_FULL),
];

/// Microseconds of each line; of a file that is not there, none.
pub struct Reading([Option<u64>; LINES.len()]);

/// The total of the last line that begins with `word`, in microseconds.
///
/// # Errors
/// What is wrong with the text.
pub fn total(text: &[u8], word: &str) -> Result<u64, &'static str> {
    let line = lines(text)
        .filter(|line| line.split(|b| *b == b' ').next() == Some(word.as_bytes()))
        .last()
        .ok_or("no such line")?;
    let line = String::from_utf8_lossy(line);
    let (_, total) = line.rsplit_once("total=").ok_or("no total")?;
    let digits = total.find(|c: char| !c.is_ascii_digit());
    let digits = total.get(..digits.unwrap_or(total.len()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or("its total is no number of 64 bits")
}

/// Which line a key asks for.
fn line(args: &Args<'_>) -> Result<usize, Unsupported> {
    let (resource, tasks) = (args.param(0), args.param(1));
    if !LINES.iter().any(|(file, ..)| *file == resource) {
        return Err(Unsupported::invalid_parameter(1));
    }
    let tasks = if tasks.is_empty() { "some" } else { tasks };
    let at = LINES
        .iter()
        .position(|(file, word, _)| (*file, *word) == (resource, tasks));
    at.ok_or(Unsupported::invalid_parameter(2))
}

#[expect(clippy::cast_precision_loss, reason = "seconds in a double")]
fn waited(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("This kernel does not tell it.");
    let micros = reading.0.get(line(args)?).copied().flatten().ok_or(NONE)?;
    Ok((micros as f64 / 1e6).into())
}

impl Subject for Pressure {
    const NAME: &'static str = "pressure";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "nodeward.pressure",
        parameters: &["resource", "tasks"],
        help: "Seconds since boot in which tasks waited for a resource: cpu, io, memory, irq; tasks some (default) or full: all of them",
        want: |_, args| line(args).map(drop),
        answer: Answer::Now(waited),
    }];
    type Options = NoOptions;
    type Want = ();
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let mut here = false;
        let values = LINES.map(|(file, word, _)| {
            let text = match pass.file(Root::Proc, &format!("pressure/{file}")) {
                Ok(text) => text,
                // Kernels before 6.1 know no irq; with psi=0 the files are there and cannot be opened.
                Err(e) if e.is_not_found() || e.is_unsupported() => return None,
                Err(e) => {
                    here = true;
                    errors.push(ItemError::new("resource", file.as_bytes(), e.to_string()));
                    return None;
                }
            };
            here = true;
            let total = total(&text, word).map_err(|why| {
                let item = format!("{file} {word}");
                errors.push(ItemError::new("resource", item.as_bytes(), why));
            });
            total.ok()
        });
        if !here {
            let why = "no /proc/pressure: it needs Linux 4.20 with CONFIG_PSI, and psi=1 on the kernel's command line";
            return Err(Absent::NotHere(why.into()));
        }
        Ok(Taken::lacking(Reading(values), errors))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds in a double, as the reference tells them"
    )]
    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        for ((_, _, family), value) in LINES.iter().zip(reading.0) {
            if let Some(micros) = value {
                page.value(family, micros as f64 / 1000.0 / 1000.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_kind_counts_up_to_what_is_no_digit() {
        let text = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=5\nsome  x total=7 more\nfuture y\nfull total=1_000\r\n";
        assert_eq!(total(text, "some"), Ok(7));
        assert_eq!(total(text, "full"), Ok(1));
        assert_eq!(
            total(b"full total=18446744073709551615", "full"),
            Ok(u64::MAX)
        );
        for bad in [
            "",
            "some",
            "some avg10=1",
            "some total=",
            "some total=x",
            "some total=18446744073709551616",
            " some total=1",
        ] {
            assert!(total(bad.as_bytes(), "some").is_err(), "{bad}");
        }
    }
}
