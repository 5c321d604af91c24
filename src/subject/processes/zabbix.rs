//! Zabbix keys of the processes.

use super::query::{Command, Query};
use super::table;
use super::{Options, Processes, Reading, Wanted};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, Said};

pub(super) static KEYS: &[Item<Processes>] = &[
    Item {
        name: "proc.num",
        parameters: &["name", "user", "state", "cmdline"],
        help: "Processes; by name, user, state (all, disk, run, sleep, trace, zomb) and a regular expression of the command line",
        want: |_, args| Ok(Wanted::counting(query(args)?)),
        answer: Answer::Now(count),
    },
    Item {
        name: "kernel.maxproc",
        parameters: &[],
        help: "Highest process id there may be",
        want: |_, _| {
            Ok(Wanted {
                limits: true,
                ..Wanted::default()
            })
        },
        answer: Answer::Now(most),
    },
    table::MEM,
    table::UTIL,
    table::GET,
];

/// What is counted.
fn query(args: &Args<'_>) -> Result<Query, Unsupported> {
    Ok(Query {
        name: args.param(0).to_owned(),
        full: false,
        user: args.param(1).to_owned(),
        state: match args.param(2) {
            "" | "all" => None,
            "run" => Some(b'R'),
            "sleep" => Some(b'S'),
            "zomb" => Some(b'Z'),
            "disk" => Some(b'D'),
            "trace" => Some(b'T'),
            _ => return Err(Unsupported::invalid_parameter(3)),
        },
        living: false,
        command: command(args, 3)?,
    })
}

/// An expression of command lines, the third or the fourth parameter; the agents let ^ and $ match at each line. To those of 6.0 what is
/// none matches nothing; to those of 7.0 it is an error.
pub(super) fn command(args: &Args<'_>, at: usize) -> Result<Command, Unsupported> {
    let text = args.param(at);
    if text.is_empty() {
        return Ok(Command::Any);
    }
    let pattern = Pattern::new(&format!("(?m){text}"));
    pattern.map(Command::Matching).map_err(|flagged| {
        // Its own text, not the one with the flag, is what an error is to show.
        let why = Pattern::new(text).err().unwrap_or(flagged);
        let ordinal = if at == 2 { "third" } else { "fourth" };
        Unsupported::bad_expression(ordinal, &why)
    })
}

fn count(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let count = reading.count(&query(args)?).ok_or(Unsupported::TIMED_OUT)?;
    Ok(count.into())
}

fn most(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("Cannot obtain data from /proc/sys/kernel/pid_max.");
    reading.max_pids.map(Value::from).ok_or(NONE)
}
