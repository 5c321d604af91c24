//! A unit of systemd: its properties, and the last lines of its log.

use std::time::Duration;

use tokio::time::Instant;

use super::redact::{setting, value_of};
use super::{Found, Part};
use crate::heal::world::Reach;
use crate::host::program::{Ended, Ran, Run};
use crate::host::{Host, Root, apart, command_line};
use crate::model::moment::Timestamp;
use crate::peer::systemd::{Property, Systemd, Value, unit_path};

/// What of `systemctl show` tells why a unit is as it is (org.freedesktop.systemd1(5)).
const OF_UNIT: &[&str] = &[
    "Id",
    "Description",
    "LoadState",
    "LoadError",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "ConditionResult",
    "AssertResult",
    "Job",
    "InvocationID",
    "StateChangeTimestamp",
    "ActiveEnterTimestamp",
    "ActiveExitTimestamp",
    "StartLimitBurst",
    "StartLimitIntervalUSec",
    "Requires",
    "BindsTo",
    "After",
];

const OF_SERVICE: &[&str] = &[
    "Type",
    "Result",
    "Restart",
    "RestartUSec",
    "NRestarts",
    "MainPID",
    "ExecMainStartTimestamp",
    "ExecMainExitTimestamp",
    "ExecMainCode",
    "ExecMainStatus",
    "StatusText",
    "StatusErrno",
    "TimeoutStartUSec",
    "TimeoutStopUSec",
    "WatchdogUSec",
    "User",
    "ControlGroup",
    "MemoryCurrent",
    "MemoryPeak",
    "MemoryMax",
    "TasksCurrent",
    "TasksMax",
    "CPUUsageNSec",
    "LimitNOFILE",
    "OOMPolicy",
    "ExecStart",
    "EnvironmentFiles",
    "Environment",
];

pub(super) const STATUS: usize = 24 << 10;
pub(super) const LOG: usize = 88 << 10;
/// Lines of a log.
const LINES: usize = 300;
/// Where journalctl lies, the likelier one first.
const JOURNALCTL: [&str; 2] = ["/usr/bin/journalctl", "/bin/journalctl"];
/// What is left of the time for what has to be written once a call was given up.
const REST: Duration = Duration::from_millis(100);

pub(super) async fn status(reach: &Reach, unit: &str, until: Instant) -> Part {
    let mut part = Part::new("unit", unit, STATUS);
    part.commands = true;
    let (world, unit) = (reach.action.clone(), unit.to_owned());
    part.by(until, async move {
        let systemd = world.systemd.ok_or("there is no systemd to ask")?;
        let by = (until - REST).into_std();
        apart("evidence", move |_| shown(&systemd, &world.host, &unit, by)).await?
    })
    .await
}

/// The properties of a unit, one a line.
fn shown(
    systemd: &Systemd,
    host: &Host,
    unit: &str,
    by: std::time::Instant,
) -> Result<Found, String> {
    let path = unit_path(unit);
    let of = |interface, names: &'static [&'static str]| {
        names.iter().map(move |name| (interface, *name))
    };
    let names: Vec<_> = of("Unit", OF_UNIT)
        .chain(of("Service", OF_SERVICE))
        .collect();
    let wanted: Vec<_> = names
        .iter()
        .map(|(interface, name)| Property {
            path: &path,
            interface,
            name,
        })
        .collect();
    let mut found = Found::default();
    let mut why = None;
    for ((_, name), value) in names.iter().zip(systemd.properties(&wanted, by)) {
        match value {
            // A unit of another kind has not all of them, an older systemd neither.
            Err(error) if error.is_of_connection() || why.is_none() => {
                why = Some(error.to_string())
            }
            Err(_) => {}
            Ok(value) => {
                let text = property(name, &value, &mut found.secrets);
                found.text.push_str(&format!("{name}={text}\n"));
                if let ("MainPID", Some(pid @ 1..)) = (*name, value.as_u64()) {
                    match host.environment(pid, by) {
                        Ok(settings) => found
                            .secrets
                            .extend(settings.iter().filter_map(|s| value_of(s))),
                        // What is not known is not taken out of its log either: whoever reads it should know.
                        Err(why) => found
                            .text
                            .push_str(&format!("its environment is not known: {why}\n")),
                    }
                }
            }
        }
    }
    match why {
        Some(why) if found.text.is_empty() => Err(format!("systemd does not tell of it: {why}")),
        _ => Ok(found),
    }
}

/// A value as text; of an environment the names alone.
fn property(name: &str, value: &Value, secrets: &mut Vec<String>) -> String {
    if name == "Environment" {
        let settings = value.as_strs().unwrap_or_default();
        secrets.extend(settings.iter().filter_map(|s| value_of(s)));
        let named: Vec<String> = settings.iter().map(|s| setting(s)).collect();
        return named.join(" ");
    }
    match value.as_u64() {
        Some(u64::MAX) => "infinity".into(),
        Some(0) if name.ends_with("Timestamp") => String::new(),
        Some(micros) if name.ends_with("Timestamp") => {
            let millis = i64::try_from(micros / 1000).unwrap_or(i64::MAX);
            Timestamp(millis).to_string()
        }
        _ => text(value),
    }
}

fn text(value: &Value) -> String {
    let all = |values: &[Value]| values.iter().map(text).collect::<Vec<_>>().join(" ");
    match value {
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::U64(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::Str(text) => text.clone(),
        Value::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        // A program is its path, its words, and times of its last run, which are told elsewhere.
        Value::Struct(fields) => match fields.as_slice() {
            [Value::Str(_), words @ Value::Array(_), ..] => match words.as_strs() {
                Some(words) => command_line(words),
                None => text(words),
            },
            fields => all(fields),
        },
        Value::Array(values) => all(values),
        Value::Dict(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(key, value)| format!("{}:{}", text(key), text(value)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        Value::Descriptor => String::new(),
    }
}

/// The last lines of a unit's log.
pub(super) async fn log(reach: &Reach, unit: &str, until: Instant) -> Part {
    let mut part = Part::new("log", unit, LOG);
    part.newest_last = true;
    let of = format!("--unit={unit}");
    part.by(until, journal(reach, of, until)).await
}

/// The last warnings of the whole machine.
pub(super) async fn warnings(reach: &Reach, until: Instant) -> Part {
    let mut part = Part::new("log", "warnings of this machine", LOG);
    part.newest_last = true;
    let of = "--priority=warning".to_owned();
    part.by(until, journal(reach, of, until)).await
}

/// Asks journalctl, which alone reads every version of its files.
async fn journal(reach: &Reach, of: String, until: Instant) -> Result<Found, String> {
    let host = &reach.action.host;
    let there = |program: &&&str| host.has(std::path::Path::new(program)).unwrap_or(false);
    let program = JOURNALCTL
        .iter()
        .find(there)
        .ok_or("there is no journalctl")?;
    let mut argv = vec![
        (*program).to_owned(),
        "--no-pager".into(),
        "--quiet".into(),
        "--all".into(),
        "--output=short-iso-precise".into(),
        format!("--lines={LINES}"),
        of,
    ];
    let root = host.roots().dir(Root::Rootfs);
    if root != std::path::Path::new("/") {
        argv.push(format!("--root={}", root.display()));
    }
    // No colours, and letters beyond ASCII as they are.
    let environment = vec![
        ("LC_ALL", "C.UTF-8".to_owned()),
        ("SYSTEMD_COLORS", "0".to_owned()),
    ];
    let run = Run::new(argv, environment);
    let ran = Ran::of(run, until - REST, std::future::pending(), |_| {}).await;
    let ran = ran.map_err(|e| e.told(program, super::WITHIN))?;
    match ran.ended {
        Ended::Exit(0) => {}
        ended => return Err(ran.output.behind(&ended.told(program, "took too long"))),
    }
    let text = whole_lines(&ran.output.text(), ran.output.dropped());
    match text.trim().is_empty() {
        true => {
            Err("it has no line, or none that nodeward may read (group systemd-journal)".into())
        }
        false => Ok(text.into()),
    }
}

/// Without the halves of lines beside what was left out: one may be the half behind a secret's name.
fn whole_lines(text: &str, dropped: u64) -> String {
    let mark = format!("\n[{dropped} bytes left out]\n");
    match text.split_once(&mark).filter(|_| dropped > 0) {
        Some((before, after)) => {
            let before = before.rsplit_once('\n').map_or("", |(lines, _)| lines);
            let after = after.split_once('\n').map_or("", |(_, lines)| lines);
            format!("{before}{mark}{after}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_is_its_names_and_times_are_times() {
        let mut secrets = Vec::new();
        let strings =
            |all: &[&str]| Value::Array(all.iter().map(|s| Value::Str((*s).into())).collect());
        let environment = strings(&["A=s3cret", "B"]);
        assert_eq!(
            property("Environment", &environment, &mut secrets),
            "A=[redacted] [redacted]"
        );
        assert_eq!(secrets, ["s3cret"]);
        let mut of = |name, value| property(name, &value, &mut secrets);
        assert_eq!(
            of("StateChangeTimestamp", Value::U64(1_795_647_071_198_322)),
            "2026-11-25T22:51:11.198Z"
        );
        assert_eq!(of("StateChangeTimestamp", Value::U64(0)), "");
        assert_eq!(of("MemoryMax", Value::U64(u64::MAX)), "infinity");
        assert_eq!(of("InvocationID", Value::Bytes(vec![1, 0xab])), "01ab");
        let program = Value::Struct(vec![
            Value::Str("/bin/a".into()),
            strings(&["/bin/a", "-x", "--password", "correct horse"]),
            Value::Bool(false),
        ]);
        assert_eq!(
            of("ExecStart", Value::Array(vec![program])),
            "/bin/a -x --password \"correct horse\""
        );
    }

    #[test]
    fn no_half_of_a_line_is_left_beside_what_was_left_out() {
        let text = "a\nb password=\n[7 bytes left out]\nhunter2\nc";
        assert_eq!(whole_lines(text, 7), "a\n[7 bytes left out]\nc");
        assert_eq!(whole_lines(text, 0), text);
    }
}
