//! The keys of agent 2, answered as it answers them, text by text.

use super::{NO_PROPERTY, info_of, or, property, unit, why};
use crate::dialect::zabbix::answer::Unsupported;
use crate::peer::systemd as peer;
use crate::subject::systemd::discovery::{Found, ending};
use crate::subject::systemd::{Options, Reading, json};
use crate::subject::{Args, Said};

/// The ending of the names of the units to discover; empty for all.
pub(super) fn discovered(args: &Args<'_>) -> Result<&'static str, Unsupported> {
    const ENDINGS: [&str; 12] = [
        ".service",
        ".target",
        ".automount",
        ".device",
        ".mount",
        ".path",
        ".scope",
        ".slice",
        ".snapshot",
        ".socket",
        ".swap",
        ".timer",
    ];
    match args.param(0) {
        "" => Ok(".service"),
        "all" => Ok(""),
        kind => ENDINGS
            .into_iter()
            .find(|ending| ending.strip_prefix('.') == Some(kind))
            .ok_or(Unsupported::invalid_parameter(1)),
    }
}

pub(super) fn discovery(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let wanted = discovered(args)?;
    let found = match &reading.found {
        Some(Ok(found)) => found,
        Some(Err(error)) => return Err(why("Cannot retrieve list of units", error)),
        None => return Err(Unsupported::UNSUPPORTED_KEY),
    };
    let found = found.iter();
    let found: Vec<_> = found
        .filter(|f| wanted.is_empty() || ending(&f.unit.name) == wanted)
        .collect();
    if found.is_empty() {
        // What agent 2 says where it finds none.
        return Ok("null".into());
    }
    let mut out = String::with_capacity(512 * found.len());
    json::list(
        &mut out,
        ['[', ']'],
        found,
        |out, Found { unit, file_state }| {
            let job = peer::Value::U64(unit.job_id.into());
            let row = [
                ("{#UNIT.NAME}", &unit.name),
                ("{#UNIT.DESCRIPTION}", &unit.description),
                ("{#UNIT.LOADSTATE}", &unit.load_state),
                ("{#UNIT.ACTIVESTATE}", &unit.active_state),
                ("{#UNIT.SUBSTATE}", &unit.sub_state),
                ("{#UNIT.FOLLOWED}", &unit.followed),
                ("{#UNIT.PATH}", &unit.path),
                ("{#UNIT.JOBID}", &json::plain(&job)),
                ("{#UNIT.JOBTYPE}", &unit.job_type),
                ("{#UNIT.JOBPATH}", &unit.job_path),
                ("{#UNIT.UNITFILESTATE}", file_state),
            ];
            json::list(out, ['{', '}'], row, |out, (name, value)| {
                json::text(out, name);
                out.push(':');
                match name {
                    "{#UNIT.JOBID}" => out.push_str(value),
                    _ => json::text(out, value),
                }
            });
        },
    );
    Ok(out.into())
}

/// States that agent 2 numbers, from 1; another one is 0.
const NUMBERED: [(&str, &[&str]); 3] = [
    ("LoadState", &["loaded", "error", "masked"]),
    (
        "ActiveState",
        &[
            "active",
            "reloading",
            "inactive",
            "failed",
            "activating",
            "deactivating",
        ],
    ),
    (
        "UnitFileState",
        &[
            "enabled",
            "enabled-runtime",
            "linked",
            "linked-runtime",
            "masked",
            "masked-runtime",
            "static",
            "disabled",
            "invalid",
        ],
    ),
];

pub(super) fn get(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let whole = (unit(args)?.to_owned(), or(args.param(1), "Unit"));
    let properties = match reading.whole.get(&whole) {
        Some(Ok(properties)) => properties,
        Some(Err(error)) => return Err(why(NO_PROPERTY, error)),
        None => return Err(Unsupported::UNSUPPORTED_KEY),
    };
    let mut out = String::new();
    json::list(&mut out, ['{', '}'], properties, |out, (name, value)| {
        json::text(out, name);
        out.push(':');
        let numbered = NUMBERED
            .iter()
            .find(|(n, _)| n == name && whole.1 == "Unit");
        match (numbered, value.as_str()) {
            (Some((_, states)), Some(state)) => {
                let number = states
                    .iter()
                    .position(|s| *s == state)
                    .map_or(0, |at| at + 1);
                out.push_str(&format!("{{\"state\":{number},\"text\":"));
                json::text(out, state);
                out.push('}');
            }
            _ => json::value(out, value),
        }
    });
    Ok(out.into())
}

pub(super) fn info(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    property(reading, &info_of(args)?)
}
