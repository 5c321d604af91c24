//! `nodeward evidence INCIDENT`: how things were before its first action, and when people were told of it.

use std::ops::ControlFlow;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::{Exit, journal};
use crate::journal::{Evidence, Filter, Hash, Kind, Reader};
use crate::model::counted::counted;

pub(super) fn command() -> Command {
    journal::placed(
        Command::new("evidence")
            .about("Show what was gathered before the first action of an incident, and when people were told of it")
            .arg(
                Arg::new("id")
                    .value_name("INCIDENT")
                    .required(true)
                    .help("Its id, or the beginning or the end of it"),
            )
            .arg(
                Arg::new("number")
                    .long("number")
                    .value_name("NUMBER")
                    .value_parser(value_parser!(u32))
                    .help("Only this packet, as it is stored: JSON, of which the SHA-256 is on record"),
            ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    show(matches).err().unwrap_or(Exit::Fine)
}

fn show(matches: &ArgMatches) -> Result<(), Exit> {
    let reader = journal::open(matches)?;
    let start = matches.get_one::<String>("id").map_or("", String::as_str);
    let id = journal::whole_id(&reader, start)?;
    let number = matches.get_one::<u32>("number").copied();
    let on_record = on_record(&reader, &id)?;
    let (mut count, mut changed, mut told) = (0_usize, None, Ok(()));
    let mut each = |packet: Evidence| {
        count += 1;
        let hash = (packet.number, Hash::of(&packet.text).to_string());
        if changed.is_none() && !on_record.contains(&hash) {
            changed = Some(packet.number);
        }
        told = match number {
            Some(_) => super::print(packet.text.as_bytes()),
            None => super::tell(&shown(&packet)),
        };
        match told {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    match number {
        Some(number) => {
            let packet = reader.evidence(&id, number).map_err(failed)?;
            _ = packet.map(&mut each);
        }
        None => reader.packets(&id, 0, &mut each).map_err(failed)?,
    }
    told?;
    if count == 0 {
        return Err(super::fail(&format!(
            "there is no such evidence of incident {id}: none was gathered, or it was deleted by age or size (journal.keep, journal.evidence)"
        )));
    }
    match changed {
        Some(number) => Err(super::fail(&format!(
            "packet {number} of incident {id} is not what is on record: it was changed, or its record was deleted by age"
        ))),
        None => {
            let count = counted(count, "packet");
            super::say(&format!("incident {id}: {count}, as on record"));
            Ok(())
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Exit {
    super::fail(&error.to_string())
}

/// Number and hash of each packet that there is a record of.
fn on_record(reader: &Reader, id: &str) -> Result<Vec<(u32, String)>, Exit> {
    let filter = Filter {
        incident: Some(id.to_owned()),
        kind: Some(Kind::Evidence),
        ..Filter::default()
    };
    let mut found = Vec::new();
    let each = &mut |stored: &crate::journal::Stored| {
        let line: Value = serde_json::from_str(&stored.line).unwrap_or_default();
        let number = line.pointer("/data/number").and_then(Value::as_u64);
        let hash = line.pointer("/data/sha256").and_then(Value::as_str);
        if let (Some(number), Some(hash)) = (number, hash) {
            found.push((u32::try_from(number).unwrap_or_default(), hash.to_owned()));
        }
        std::ops::ControlFlow::Continue(())
    };
    reader.entries(&filter, each).map_err(failed)?;
    Ok(found)
}

/// A packet for people.
fn shown(packet: &Evidence) -> String {
    let whole: Value = serde_json::from_str(&packet.text).unwrap_or_default();
    let text = |value: &Value, name: &str| {
        let text = value.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let mut told = format!(
        "evidence {} of {}: {}, {}\n",
        packet.number,
        text(&whole, "target"),
        text(&whole, "occasion"),
        text(&whole, "time"),
    );
    let parts = whole.get("parts").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        let of = match text(part, "of") {
            none if none.is_empty() => none,
            of => format!(" ({of})"),
        };
        let said = match part.get("missing").and_then(Value::as_str) {
            Some(why) => format!("missing: {why}"),
            None => text(part, "text"),
        };
        told.push_str(&format!(
            "\n== {}{of}\n{}\n",
            text(part, "part"),
            said.trim_end()
        ));
    }
    told
}
