//! Zabbix keys of the CPUs.
//!
//! Utilisation is told over the kernel's own counters, taken once a second and kept for fifteen minutes, as the agent
//! does; guest time, which the kernel counts as user time as well, is told alone.

use std::fmt::Write as _;
use std::time::Duration;

use super::stat::COLUMNS;
use super::{Cpu, Options, Reading, Ticks, Wanted};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::unsigned;
use crate::subject::{Answer, Args, Item, Ring, Said};

const MINUTE: Duration = Duration::from_secs(60);
const KEEP: Duration = Duration::from_secs(15 * 60);
pub(super) const NO_CPU: Unsupported = Unsupported::new("Cannot obtain CPU information.");

/// Types of utilisation in the order of the columns.
const TYPES: [&str; COLUMNS] = [
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "interrupt",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
];

const STAT_ALONE: Wanted = Wanted {
    info: false,
    topology: false,
    lists: false,
    cores: false,
    clocks: false,
};
const LISTS: Wanted = Wanted {
    lists: true,
    ..STAT_ALONE
};

pub(super) static KEYS: &[Item<Cpu>] = &[
    Item {
        name: "system.cpu.util",
        parameters: &["cpu", "type", "mode"],
        help: "CPU utilisation in percent; cpu all (default) or a number; types user (default), nice, system, idle, iowait, interrupt, softirq, steal, guest, guest_nice; modes avg1 (default), avg5, avg15",
        want: |_, args| {
            if cpu(args).is_err() {
                return Err(Unsupported::invalid_parameter(1));
            }
            if kind(args).is_none() {
                return Err(Unsupported::invalid_parameter(2));
            }
            if span(args).is_none() {
                return Err(Unsupported::invalid_parameter(3));
            }
            Ok(STAT_ALONE)
        },
        answer: Answer::Over {
            keep: KEEP,
            series: |args| match cpu(args) {
                Ok(Some(number)) => number.to_string(),
                _ => "all".into(),
            },
            pick,
            say: utilisation,
        },
    },
    Item {
        name: "system.cpu.num",
        parameters: &["type"],
        help: "CPUs; types online (default), max",
        want: |_, args| match args.param(0) {
            "" | "online" | "max" => Ok(LISTS),
            _ => Err(Unsupported::invalid_parameter(1)),
        },
        answer: Answer::Now(count),
    },
    Item {
        name: "system.cpu.switches",
        parameters: &[],
        help: "Context switches since boot",
        want: |_, _| Ok(STAT_ALONE),
        answer: Answer::Now(switches),
    },
    Item {
        name: "system.cpu.intr",
        parameters: &[],
        help: "Interrupts since boot",
        want: |_, _| Ok(STAT_ALONE),
        answer: Answer::Now(interrupts),
    },
    Item {
        name: "system.cpu.discovery",
        parameters: &[],
        help: "CPUs and whether they are online, for discovery rules",
        want: |_, _| Ok(LISTS),
        answer: Answer::Now(discovery),
    },
    super::hardware::KEY,
];

/// The CPU asked for; none for all of them.
fn cpu(args: &Args<'_>) -> Result<Option<u64>, ()> {
    match args.param(0) {
        "" | "all" => Ok(None),
        text => unsigned(text.as_bytes()).map(Some).ok_or(()),
    }
}

fn kind(args: &Args<'_>) -> Option<usize> {
    match args.param(1) {
        "" => Some(0),
        text => TYPES.iter().position(|t| *t == text),
    }
}

fn span(args: &Args<'_>) -> Option<Duration> {
    match args.param(2) {
        "" | "avg1" => Some(MINUTE),
        "avg5" => Some(5 * MINUTE),
        "avg15" => Some(15 * MINUTE),
        _ => None,
    }
}

fn pick(reading: &Reading, args: &Args<'_>) -> Option<Box<[u64]>> {
    let ticks = match cpu(args) {
        Ok(None) => reading.stat.total?,
        Ok(Some(number)) => {
            let number = i64::try_from(number).ok()?;
            let core = reading.stat.cores.iter().find(|c| c.number == number)?;
            core.ticks
        }
        Err(()) => return None,
    };
    Some(Box::new(apart(&ticks)))
}

/// Whole ticks, with guest time taken out of user and nice time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts from float saturate, and absurd ticks may be absurd here too"
)]
fn apart(ticks: &Ticks) -> [u64; COLUMNS] {
    let mut whole = ticks.map(|t| t as u64);
    let [user, nice, .., guest, guest_nice] = &mut whole;
    *user = user.saturating_sub(*guest);
    *nice = nice.saturating_sub(*guest_nice);
    whole
}

fn utilisation(ring: &Ring, args: &Args<'_>) -> Said {
    let (Some(kind), Some(span)) = (kind(args), span(args)) else {
        return Err(NO_CPU);
    };
    let (old, new, _) = ring.over(span).ok_or(NO_CPU)?;
    let spent = |at: usize| -> u64 {
        let of = |ticks: &[u64]| ticks.get(at).copied().unwrap_or(0);
        of(new).saturating_sub(of(old))
    };
    let total: u64 = (0..COLUMNS).map(spent).fold(0, u64::saturating_add);
    Ok(percent(spent(kind), total).into())
}

#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn percent(part: u64, total: u64) -> f64 {
    if total == 0 {
        return 0.0;
    }
    100.0 * part as f64 / total as f64
}

fn switches(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("Cannot find a line with \"ctxt\" in /proc/stat.");
    reading.stat.switches.map(Value::from).ok_or(NONE)
}

fn interrupts(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("Cannot find a line with \"intr\" in /proc/stat.");
    reading.stat.interrupts.map(Value::from).ok_or(NONE)
}

fn count(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let list = match args.param(0) {
        "max" => &reading.possible,
        _ => &reading.online,
    };
    let listed = list.as_ref().map(Vec::len).filter(|count| *count > 0);
    // What a machine without these lists has is what /proc/stat tells of.
    let count = listed.unwrap_or(reading.stat.cores.len());
    Ok((count as u64).into())
}

fn discovery(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    let mut numbers: Vec<i64> = reading.stat.cores.iter().map(|c| c.number).collect();
    let possible = reading.possible.iter().flatten();
    numbers.extend(possible.map(|number| i64::from(*number)));
    numbers.sort_unstable();
    numbers.dedup();
    let mut json = String::from("[");
    for number in numbers {
        let online = reading.stat.cores.iter().any(|c| c.number == number);
        let status = if online { "online" } else { "offline" };
        let comma = if json.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        let _written = write!(
            json,
            "{comma}{{\"{{#CPU.NUMBER}}\":{number},\"{{#CPU.STATUS}}\":\"{status}\"}}"
        );
    }
    json.push(']');
    Ok(json.into())
}
