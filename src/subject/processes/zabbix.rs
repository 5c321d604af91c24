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
        want: |_, args| {
            let query = query(args).ok_or(Unsupported::invalid_parameter(3))?;
            Ok(Wanted::counting(query))
        },
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

/// What is counted; none if the state is no state.
fn query(args: &Args<'_>) -> Option<Query> {
    Some(Query {
        name: args.param(0).to_owned(),
        user: args.param(1).to_owned(),
        state: match args.param(2) {
            "" | "all" => None,
            "run" => Some(b'R'),
            "sleep" => Some(b'S'),
            "zomb" => Some(b'Z'),
            "disk" => Some(b'D'),
            "trace" => Some(b'T'),
            _ => return None,
        },
        living: false,
        command: match args.param(3) {
            "" => Command::Any,
            text => command(text),
        },
    })
}

/// An expression of command lines; the agents let ^ and $ match at each line.
pub(super) fn command(text: &str) -> Command {
    Pattern::new(&format!("(?m){text}")).map_or(Command::Never, Command::Matching)
}

fn count(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let query = query(args).ok_or(Unsupported::invalid_parameter(3))?;
    let count = reading.count(&query).ok_or(Unsupported::TIMED_OUT)?;
    Ok(count.into())
}

fn most(_: &Options, reading: &Reading, _: &Args<'_>) -> Said {
    const NONE: Unsupported = Unsupported::new("Cannot obtain data from /proc/sys/kernel/pid_max.");
    reading.max_pids.map(Value::from).ok_or(NONE)
}
