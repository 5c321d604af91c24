//! The keys that tell more of processes than how many there are: `proc.mem`, `proc.cpu.util`, `proc.get`.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::detail::{
    DATA, Detail, EXE, HWM, LCK, LIB, PEAK, PIN, PTE, Process, RSS, STK, SWAP, Table, VSIZE,
};
use super::query::Query;
use super::zabbix::command;
use super::{Options, Processes, Reading, Wanted};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::USER_HZ;
use crate::subject::{Answer, Args, Item, Ring, Said};

const MINUTE: Duration = Duration::from_secs(60);
/// What the agents call the size of a process.
const SIZE: &[usize] = &[DATA, STK, EXE];

pub(super) const MEM: Item<Processes> = Item {
    name: "proc.mem",
    parameters: &["name", "user", "mode", "cmdline", "memtype"],
    help: "Memory of processes in bytes, pmem in percent; modes sum (default), avg, max, min; vsize (default), rss, pmem, size, data, exe, hwm, lck, lib, peak, pin, pte, stk, swap",
    want: |_, args| {
        if !matches!(args.param(2), "" | "sum" | "avg" | "max" | "min") {
            return Err(Unsupported::invalid_parameter(3));
        }
        kind(args).ok_or(Unsupported::invalid_parameter(5))?;
        Ok(Wanted::listing(query(args, 3)?, Detail::Memory))
    },
    answer: Answer::Now(memory),
};

pub(super) const UTIL: Item<Processes> = Item {
    name: "proc.cpu.util",
    parameters: &["name", "user", "type", "cmdline", "mode"],
    help: "CPU time of processes in percent of one CPU; types total (default), user, system; modes avg1 (default), avg5, avg15",
    want: |_, args| {
        if !matches!(args.param(2), "" | "total" | "user" | "system") {
            return Err(Unsupported::invalid_parameter(3));
        }
        span(args).ok_or(Unsupported::invalid_parameter(5))?;
        Ok(Wanted::listing(query(args, 3)?, Detail::Times))
    },
    answer: Answer::Over {
        keep: Duration::from_secs(15 * 60),
        series: |args| {
            let filters = [args.param(0), args.param(1), args.param(3)];
            filters
                .map(|text| format!("{}:{text}", text.len()))
                .concat()
        },
        pick: |reading, args| {
            let query = query(args, 3).ok()?;
            let spent = reading.table.spent.iter().find(|(q, _)| *q == query);
            spent.map(|(_, spent)| Box::from(&spent[..]))
        },
        say: utilisation,
    },
};

pub(super) const GET: Item<Processes> = Item {
    name: "proc.get",
    parameters: &["name", "user", "cmdline", "mode"],
    help: "Processes with memory, CPU time and more; modes process (default), thread, summary (by name)",
    want: |_, args| {
        let detail = mode(args)?;
        Ok(Wanted::listing(in_full(args)?, detail))
    },
    answer: Answer::Now(get),
};

/// Which processes are meant; the command line stands at `at`.
fn query(args: &Args<'_>, at: usize) -> Result<Query, Unsupported> {
    Ok(Query {
        name: args.param(0).to_owned(),
        full: false,
        user: args.param(1).to_owned(),
        state: None,
        living: false,
        command: command(args, at)?,
    })
}

/// The same for `proc.get`, which goes by the name that it tells.
fn in_full(args: &Args<'_>) -> Result<Query, Unsupported> {
    Ok(Query {
        full: true,
        ..query(args, 2)?
    })
}

/// What makes up a kind of memory.
enum Memory {
    Bytes(&'static [usize]),
    /// Percent of the machine's memory.
    Share,
}

fn kind(args: &Args<'_>) -> Option<Memory> {
    Some(Memory::Bytes(match args.param(4) {
        "" | "vsize" => &[VSIZE],
        "rss" => &[RSS],
        "size" => SIZE,
        "data" => &[DATA],
        "exe" => &[EXE],
        "hwm" => &[HWM],
        "lck" => &[LCK],
        "lib" => &[LIB],
        "peak" => &[PEAK],
        "pin" => &[PIN],
        "pte" => &[PTE],
        "stk" => &[STK],
        "swap" => &[SWAP],
        "pmem" => return Some(Memory::Share),
        _ => return None,
    }))
}

#[expect(clippy::cast_precision_loss, reason = "an average and a percentage")]
fn memory(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let list = reading.table.list(&query(args, 3)?, Detail::Memory);
    // Threads of the kernel have no memory of their own.
    let list = list.ok_or(Unsupported::TIMED_OUT)?.iter();
    match kind(args).ok_or(Unsupported::invalid_parameter(5))? {
        Memory::Bytes(parts) => {
            let all: Vec<u64> = list.filter_map(|process| process.bytes(parts)).collect();
            let sum: u64 = all.iter().fold(0, |a, b| a.saturating_add(*b));
            Ok(match args.param(2) {
                "avg" if all.is_empty() => 0.0.into(),
                "avg" => (sum as f64 / all.len() as f64).into(),
                "max" => all.into_iter().max().unwrap_or_default().into(),
                "min" => all.into_iter().min().unwrap_or_default().into(),
                _ => sum.into(),
            })
        }
        Memory::Share => {
            const NONE: Unsupported = Unsupported::new("Cannot obtain amount of total memory.");
            let total = reading.table.total.filter(|total| *total > 0).ok_or(NONE)?;
            let all: Vec<f64> = list.filter_map(|process| share(process, total)).collect();
            let sum: f64 = all.iter().sum();
            Ok(Value::from(match args.param(2) {
                "avg" if all.is_empty() => 0.0,
                "avg" => sum / all.len() as f64,
                "max" => all.into_iter().fold(0.0, f64::max),
                "min" => all.into_iter().reduce(f64::min).unwrap_or_default(),
                _ => sum,
            }))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a percentage")]
fn share(process: &Process, total: u64) -> Option<f64> {
    Some(100.0 * process.bytes(&[RSS])? as f64 / total as f64)
}

fn span(args: &Args<'_>) -> Option<Duration> {
    match args.param(4) {
        "" | "avg1" => Some(MINUTE),
        "avg5" => Some(5 * MINUTE),
        "avg15" => Some(15 * MINUTE),
        _ => None,
    }
}

fn utilisation(ring: &Ring, args: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("Cannot obtain CPU utilization of processes.");
    let span = span(args).ok_or(Unsupported::invalid_parameter(5))?;
    let (old, new, took) = ring.over(span).ok_or(NONE)?;
    let spent = |at: usize| {
        let of = |numbers: &[u64]| numbers.get(at).copied().unwrap_or_default();
        of(new).saturating_sub(of(old))
    };
    let ticks = match args.param(2) {
        "user" => spent(0),
        "system" => spent(1),
        _ => spent(0).saturating_add(spent(1)),
    };
    Ok((100.0 * seconds(ticks) / took.as_secs_f64()).into())
}

fn mode(args: &Args<'_>) -> Result<Detail, Unsupported> {
    match args.param(3) {
        "" | "process" => Ok(Detail::Whole),
        "thread" => Ok(Detail::Threads),
        // A sum of those of a name would not be one of all of them.
        "summary" if args.param(2).is_empty() => Ok(Detail::Whole),
        _ => Err(Unsupported::invalid_parameter(4)),
    }
}

fn get(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let table = &reading.table;
    let list = table.list(&in_full(args)?, mode(args)?);
    let list = list.ok_or(Unsupported::TIMED_OUT)?;
    let told = match args.param(3) {
        "summary" => summary(table, list),
        "thread" => list
            .iter()
            .map(|thread| one_thread(table, thread))
            .collect(),
        _ => list.iter().map(|process| one(table, process)).collect(),
    };
    Ok(Value::from(Json::Array(told).to_string()))
}

#[expect(clippy::cast_precision_loss, reason = "seconds")]
fn seconds(ticks: u64) -> f64 {
    ticks as f64 / USER_HZ as f64
}

fn state(letter: u8) -> &'static str {
    match letter {
        b'R' => "running",
        b'S' => "sleeping",
        b'D' => "disk sleep",
        b'Z' => "zombie",
        b'T' => "stopped",
        b't' => "tracing stop",
        b'I' => "idle",
        b'X' | b'x' => "dead",
        b'P' => "parked",
        _ => "unknown",
    }
}

fn percent(table: &Table, process: &Process) -> Option<f64> {
    share(process, table.total.filter(|total| *total > 0)?)
}

/// A number; -1, as the agents have it, where there is none.
fn or_none(number: Option<impl Into<Json>>) -> Json {
    number.map_or(json!(-1), Into::into)
}

fn one(table: &Table, process: &Process) -> Json {
    let bytes = |kinds: &[usize]| or_none(process.bytes(kinds));
    json!({
        "pid": process.pid, "ppid": process.ppid, "name": process.name, "cmdline": process.command,
        "user": table.accounts.user(process.uid), "group": table.accounts.group(process.gid),
        "uid": process.uid, "gid": process.gid,
        "vsize": bytes(&[VSIZE]), "pmem": or_none(percent(table, process)), "rss": bytes(&[RSS]),
        "data": bytes(&[DATA]), "exe": bytes(&[EXE]), "hwm": bytes(&[HWM]), "lck": bytes(&[LCK]),
        "lib": bytes(&[LIB]), "peak": bytes(&[PEAK]), "pin": bytes(&[PIN]), "pte": bytes(&[PTE]),
        "size": bytes(SIZE), "stk": bytes(&[STK]), "swap": bytes(&[SWAP]),
        "cputime_user": seconds(process.user), "cputime_system": seconds(process.system),
        "state": state(process.state), "ctx_switches": process.switches,
        "threads": process.threads, "page_faults": process.faults, "pss": process.pss,
    })
}

fn one_thread(table: &Table, thread: &Process) -> Json {
    json!({
        "pid": thread.pid, "ppid": thread.ppid, "name": thread.name,
        "user": table.accounts.user(thread.uid), "group": table.accounts.group(thread.gid),
        "uid": thread.uid, "gid": thread.gid, "tid": thread.tid, "tname": thread.thread_name,
        "cputime_user": seconds(thread.user), "cputime_system": seconds(thread.system),
        "state": state(thread.state), "ctx_switches": thread.switches,
        "page_faults": thread.faults,
    })
}

/// Sums by name, in the order in which the names come first. Of memory that one of them lacks there is none.
fn summary(table: &Table, list: &[Process]) -> Vec<Json> {
    let mut names: Vec<(&str, Vec<&Process>)> = Vec::new();
    let mut places = HashMap::new();
    for process in list {
        let place = *places.entry(process.name.as_str()).or_insert(names.len());
        match names.get_mut(place) {
            Some((_, processes)) => processes.push(process),
            None => names.push((&process.name, vec![process])),
        }
    }
    let sums = names.into_iter().map(|(name, processes)| {
        let sum = |of: &dyn Fn(&Process) -> u64| processes.iter().map(|p| of(p)).sum::<u64>();
        let bytes = |kinds: &[usize]| {
            let sum: Option<u64> = processes.iter().map(|p| p.bytes(kinds)).sum();
            or_none(sum)
        };
        let share: Option<f64> = processes.iter().map(|p| percent(table, p)).sum();
        json!({
            "name": name, "processes": processes.len(),
            "vsize": bytes(&[VSIZE]), "pmem": or_none(share),
            "rss": bytes(&[RSS]), "data": bytes(&[DATA]), "exe": bytes(&[EXE]), "lck": bytes(&[LCK]),
            "lib": bytes(&[LIB]), "pin": bytes(&[PIN]), "pte": bytes(&[PTE]),
            "size": bytes(SIZE), "stk": bytes(&[STK]), "swap": bytes(&[SWAP]),
            "cputime_user": seconds(sum(&|p| p.user)), "cputime_system": seconds(sum(&|p| p.system)),
            "ctx_switches": sum(&|p| p.switches), "threads": sum(&|p| p.threads),
            "page_faults": sum(&|p| p.faults), "pss": sum(&|p| p.pss),
        })
    });
    sums.collect()
}
