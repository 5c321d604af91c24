//! The keys `system.sw.packages` and `system.sw.packages.get`.

use serde_json::json;

use super::{Packages, Reading};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::local_zone;
use crate::model::pattern::Pattern;
use crate::subject::{Answer, Args, Item, NoOptions, Said};

const NONE: Unsupported = Unsupported::new("Cannot obtain package information.");

pub(super) const KEYS: &[Item<Packages>] = &[
    Item {
        name: "system.sw.packages",
        parameters: &["regexp", "manager", "format"],
        help: "Packages that are installed, by name; managers all (default), dpkg, rpm, pacman; formats full (default: the manager in front), short",
        want: |_, args| match args.param(2) {
            "" | "full" | "short" => Ok(true),
            _ => Err(Unsupported::invalid_parameter(3)),
        },
        answer: Answer::Now(names),
    },
    Item {
        name: "system.sw.packages.get",
        parameters: &["regexp", "manager"],
        help: "Packages that are installed, with version, size and architecture",
        want: |_, _| Ok(true),
        answer: Answer::Now(details),
    },
];

/// What names must match: what is no regular expression matches none, and is no error to the classic agent.
fn pattern(args: &Args<'_>) -> impl Fn(&str) -> bool {
    let pattern = match args.param(0) {
        "" | "all" => Some(None),
        text => Pattern::new(text).ok().map(Some),
    };
    move |name: &str| match &pattern {
        None => false,
        Some(None) => true,
        Some(Some(pattern)) => pattern.matches(name),
    }
}

fn asked(args: &Args<'_>, manager: &str) -> bool {
    matches!(args.param(1), "" | "all") || args.param(1) == manager
}

fn names(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    let matches = pattern(args);
    let mut out = Vec::new();
    for (manager, packages) in reading.0.iter().filter(|list| asked(args, list.0)) {
        let there = packages.iter().filter(|p| p.selected);
        let mut names: Vec<&str> = there
            .map(|p| p.full_name.as_str())
            .filter(|name| matches(name))
            .collect();
        names.sort_unstable();
        names.dedup();
        let names = names.join(", ");
        out.push(match args.param(2) {
            "short" => names,
            _ => format!("[{manager}] {names}").trim_end().to_owned(),
        });
    }
    match out.is_empty() {
        true => Err(NONE),
        false => Ok(out.join("\n").into()),
    }
}

/// The shape that Zabbix 7.0 has.
fn details(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    let matches = pattern(args);
    let zone = local_zone();
    let moment = |seconds: i64| {
        let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        let text = zone.to_datetime(at).strftime("%a %b %e %H:%M:%S %Y");
        let value = if seconds == 0 {
            String::new()
        } else {
            text.to_string()
        };
        json!({"timestamp": seconds, "value": value})
    };
    let lists: Vec<_> = reading
        .0
        .iter()
        .filter(|list| asked(args, list.0))
        .collect();
    if lists.is_empty() {
        return Err(NONE);
    }
    let mut out = Vec::new();
    for (manager, packages) in lists {
        for package in packages.iter().filter(|p| p.complete && matches(&p.name)) {
            out.push(json!({
                "name": package.name,
                "manager": manager,
                "version": package.version,
                "size": package.size,
                "arch": package.architecture,
                "buildtime": moment(package.built),
                "installtime": moment(package.installed),
            }));
        }
    }
    Ok(Value::from(json!(out).to_string()))
}
