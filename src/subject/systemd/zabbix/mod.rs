//! Units under the keys of agent 2, and their figures under keys of our own.
//!
//! A key that names a unit is answered whatever the patterns say: they choose what is told unasked.

mod agent2;
mod own;

use super::want::{Part, Single};
use super::{Reading, Systemd, Want, json};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::peer::systemd::Error;
use crate::subject::{Answer, Args, Item, Said};

use agent2::{discovered, discovery, get, info};
use own::{figures, one, units};

/// A key that tells one figure of a unit.
macro_rules! figure {
    ($name:literal $help:literal $pick:expr) => {
        Item {
            name: $name,
            parameters: &["unit"],
            help: $help,
            want: |_, args| {
                Ok(Want {
                    named: [unit(args)?.to_owned()].into(),
                    ..Want::default()
                })
            },
            answer: Answer::Now(|_, reading, args| one(reading, args, $pick)),
        }
    };
}

pub(super) const KEYS: &[Item<Systemd>] = &[
    Item {
        name: "systemd.unit.discovery",
        parameters: &["type"],
        help: "Units in memory, and disabled ones on disk, for low-level discovery",
        want: |_, args| {
            Ok(Want {
                discovery: [discovered(args)?].into(),
                ..Want::default()
            })
        },
        answer: Answer::Now(discovery),
    },
    Item {
        name: "systemd.unit.get",
        parameters: &["unit", "interface"],
        help: "All properties of an interface of a unit",
        want: |_, args| {
            Ok(Want {
                whole: [(unit(args)?.to_owned(), or(args.param(1), "Unit"))].into(),
                ..Want::default()
            })
        },
        answer: Answer::Now(get),
    },
    Item {
        name: "systemd.unit.info",
        parameters: &["unit", "property", "interface"],
        help: "A property of a unit: of its ActiveState if none is named",
        want: |_, args| {
            Ok(Want {
                single: [info_of(args)?].into(),
                ..Want::default()
            })
        },
        answer: Answer::Now(info),
    },
    Item {
        name: "nodeward.systemd.units",
        parameters: &["state"],
        help: "Units in memory, all or those in an active state",
        want: |_, _| Ok(Want::parts(&[Part::Units])),
        answer: Answer::Now(units),
    },
    Item {
        name: "nodeward.systemd.unit.get",
        parameters: &["unit"],
        help: "State and figures of a unit, or of all that the patterns let in",
        want: |_, args| match args.param(0) {
            "" => Ok(Want::parts(&[Part::Units, Part::Figures])),
            unit => {
                let single = ["LoadState", "ActiveState", "SubState"].map(|n| of(unit, "Unit", n));
                Ok(Want {
                    single: single.into_iter().chain([restarts_of(unit)]).collect(),
                    named: [unit.to_owned()].into(),
                    ..Want::default()
                })
            }
        },
        answer: Answer::Now(figures),
    },
    figure!("nodeward.systemd.unit.cpu.time" "CPU time of a unit, in seconds" |figures| figures.cpu_seconds().map(Value::from)),
    figure!("nodeward.systemd.unit.memory.usage" "Memory of a unit, page cache included, in bytes" |figures| figures.memory.map(Value::from)),
    figure!("nodeward.systemd.unit.memory.limit" "Most memory a unit may use, in bytes" |figures| figures.memory_limit.map(Value::from)),
    figure!("nodeward.systemd.unit.tasks" "Processes and threads of a unit" |figures| figures.tasks.map(Value::from)),
    figure!("nodeward.systemd.unit.tasks.limit" "Most processes and threads a unit may have" |figures| figures.tasks_limit.map(Value::from)),
    figure!("nodeward.systemd.unit.cpu.throttled" "Time a unit was held back by its limit of CPU time, in seconds" |figures| figures.throttled_seconds().map(Value::from)),
    figure!("nodeward.systemd.unit.oom_kills" "Processes of a unit that the kernel ended for want of memory" |figures| figures.oom_kills.map(Value::from)),
    figure!("nodeward.systemd.unit.io.read" "Bytes a unit read from block devices" |figures| figures.io.map(|(read, _)| read.into())),
    figure!("nodeward.systemd.unit.io.write" "Bytes a unit wrote to block devices" |figures| figures.io.map(|(_, written)| written.into())),
    Item {
        name: "nodeward.systemd.unit.restarts",
        parameters: &["unit"],
        help: "How often systemd restarted a service",
        want: |_, args| {
            Ok(Want {
                single: [restarts_of(unit(args)?)].into(),
                ..Want::default()
            })
        },
        answer: Answer::Now(|_, reading, args| property(reading, &restarts_of(unit(args)?))),
    },
];

/// The unit that a key names.
fn unit<'a>(args: &'a Args<'_>) -> Result<&'a str, Unsupported> {
    match args.param(0) {
        "" => Err(Unsupported::invalid_parameter(1)),
        unit => Ok(unit),
    }
}

fn or(text: &str, default: &str) -> String {
    if text.is_empty() { default } else { text }.to_owned()
}

fn of(unit: &str, interface: &str, property: &str) -> Single {
    (unit.to_owned(), interface.to_owned(), property.to_owned())
}

fn restarts_of(unit: &str) -> Single {
    of(unit, "Service", "NRestarts")
}

fn info_of(args: &Args<'_>) -> Result<Single, Unsupported> {
    let property = or(args.param(1), "ActiveState");
    Ok((unit(args)?.to_owned(), or(args.param(2), "Unit"), property))
}

/// The text of a failure, as agent 2 says it.
fn why(what: &str, error: &Error) -> Unsupported {
    match error {
        Error::Refused { name, text, .. } => {
            let text = if text.is_empty() { name } else { text };
            format!("{what}: {text}").into()
        }
        Error::Late { .. } => Unsupported::TIMED_OUT,
        error if error.is_of_connection() => {
            format!("Cannot establish connection to any available bus: {error}").into()
        }
        error => format!("{what}: {error}").into(),
    }
}

const NO_PROPERTY: &str = "Cannot get unit property";

fn property(reading: &Reading, asked: &Single) -> Said {
    match reading.single.get(asked) {
        Some(Ok(value)) => Ok(json::plain(value).into()),
        Some(Err(error)) => Err(why(NO_PROPERTY, error)),
        None => Err(Unsupported::UNSUPPORTED_KEY),
    }
}

#[cfg(test)]
mod tests;
