//! What /proc/stat counts beside CPUs: interrupts, context switches, forks, tasks that run and wait
//! (Documentation/filesystems/proc.rst, 1.7).
//!
//! A line that is not there is told as 0, as the reference tells it; one that cannot be read is left out.

use crate::dialect::prometheus::{Declared, Family, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{LONGEST_TEXT, cut, fields, lines, unsigned};
use crate::host::{Pass, Root};
use crate::subject::{
    Absent, Answer, Asker, Flag, Invalid, Item, ItemError, Machine, Subject, Taken,
};

/// The subject.
pub struct Stat;

/// Options of what /proc/stat counts.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Tell Prometheus software interrupts by their kind. Default: false.
    pub softirq: bool,
}

crate::families! { Stat:
    INTERRUPTS counter "node_intr_total" [] "Interrupts served";
    SWITCHES counter "node_context_switches_total" [] "Context switches";
    FORKS counter "node_forks_total" [] "Processes and threads begun";
    BOOT gauge "node_boot_time_seconds" [] "When the machine was started, in Unix time";
    RUNNING gauge "node_procs_running" [] "Tasks that run or could";
    BLOCKED gauge "node_procs_blocked" [] "Tasks that wait for a disk";
    SOFTIRQS counter "node_softirqs_total" ["vector"] "Software interrupts";
}

/// First word of a line, and the family that tells its number.
static LINES: [(&str, &Family<Stat, 0>); 6] = [
    ("intr", &INTERRUPTS),
    ("ctxt", &SWITCHES),
    ("processes", &FORKS),
    ("btime", &BOOT),
    ("procs_running", &RUNNING),
    ("procs_blocked", &BLOCKED),
];
const BTIME: usize = 3;

/// Software interrupts in the kernel's order.
const VECTORS: [&str; 10] = [
    "hi",
    "timer",
    "net_tx",
    "net_rx",
    "block",
    "block_iopoll",
    "tasklet",
    "sched",
    "hrtimer",
    "rcu",
];

/// What was counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Counted {
    /// The number of each line; none if it cannot be read.
    numbers: [Option<u64>; LINES.len()],
    /// Whether the boot time is on a line of the file.
    booted: bool,
    softirqs: Option<[u64; VECTORS.len()]>,
}

/// Parses /proc/stat without the lines of CPUs; what cannot be read joins `errors`.
pub fn counted(text: &[u8], errors: &mut Vec<ItemError>) -> Counted {
    let mut counted = Counted {
        numbers: [Some(0); LINES.len()],
        booted: false,
        softirqs: Some([0; VECTORS.len()]),
    };
    for line in lines(cut(text, LONGEST_TEXT)) {
        if line.starts_with(b"cpu") {
            continue;
        }
        let mut parts = fields(line);
        let (Some(word), Some(first)) = (parts.next(), parts.next()) else {
            continue;
        };
        if word == b"softirq" {
            let mut kinds = [0; VECTORS.len()];
            let mut whole = unsigned(first).is_some();
            for kind in &mut kinds {
                let number = parts.next().and_then(unsigned);
                whole &= number.is_some();
                *kind = number.unwrap_or_default();
            }
            counted.softirqs = whole.then_some(kinds);
            if !whole {
                errors.push(ItemError::new("line", word, "not eleven whole numbers"));
            }
            continue;
        }
        let Some(at) = LINES.iter().position(|(known, _)| known.as_bytes() == word) else {
            continue;
        };
        let number = unsigned(first);
        if number.is_none() {
            errors.push(ItemError::new("line", word, "not a whole number"));
        }
        counted.booted |= at == BTIME && number.is_some();
        if let Some(place) = counted.numbers.get_mut(at) {
            *place = number;
        }
    }
    counted
}

impl Subject for Stat {
    const NAME: &'static str = "stat";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[Flag::switch(
        "collector.stat.softirq",
        "Tell software interrupts by their kind",
        |o: &mut Options, v| {
            o.softirq = v == "true";
            Ok(())
        },
    )];
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "system.boottime",
        parameters: &[],
        help: "When the machine was started, in Unix time",
        want: |_, _| Ok(()),
        answer: Answer::Now(|_, reading: &Counted, _| {
            let boot = reading.numbers.get(BTIME).copied().flatten();
            let boot = boot.filter(|_| reading.booted).map(Value::from);
            boot.ok_or(Unsupported::new(
                "Cannot find a line with \"btime\" in /proc/stat.",
            ))
        }),
    }];
    type Options = Options;
    type Want = ();
    type Reading = Counted;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Counted>, Absent> {
        let text = pass.file(Root::Proc, "stat")?;
        let mut errors = Vec::new();
        let counted = counted(&text, &mut errors);
        Ok(Taken::lacking(counted, errors))
    }

    fn prometheus(options: &Options, reading: &Counted, page: &mut Page<'_, Self>) {
        for ((_, family), number) in LINES.iter().zip(reading.numbers) {
            if let Some(number) = number {
                page.value(family, number);
            }
        }
        if let Some(kinds) = reading.softirqs.filter(|_| options.softirq) {
            let mut samples = page.family(&SOFTIRQS);
            for (vector, number) in VECTORS.iter().zip(kinds) {
                samples.push([vector], number);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Counted, usize) {
        let mut errors = Vec::new();
        let counted = counted(text.as_bytes(), &mut errors);
        (counted, errors.len())
    }

    #[test]
    fn a_line_that_is_missing_is_zero_and_a_bad_one_is_nothing() {
        let (read, errors) = parsed(
            "cpu0 x\nintr 5 6 y\nintr 7\nctxt\n btime 9 z\nprocs_running +3\nprocs_blocked 18446744073709551615\n",
        );
        let most = u64::MAX;
        assert_eq!(
            read.numbers,
            [Some(7), Some(0), Some(0), Some(9), None, Some(most)]
        );
        assert!(read.booted && errors == 1);
        assert!(!parsed("intr 1").0.booted && !parsed("btime soon").0.booted);
    }

    #[test]
    fn software_interrupts_are_ten_numbers_behind_their_sum() {
        let (read, _) = parsed("softirq 1 2 3 4 5 6 7 8 9 10 11 12\n");
        assert_eq!(read.softirqs, Some([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
        for bad in ["softirq 1 2 3", "softirq x 2 3 4 5 6 7 8 9 10 11"] {
            let (read, errors) = parsed(bad);
            assert_eq!((read.softirqs, errors), (None, 1), "{bad}");
        }
    }
}
