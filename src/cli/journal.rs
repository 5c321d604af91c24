//! `nodeward journal`: reads the record of what was decided and done, also while nodeward runs.
//!
//! Standard output holds nothing but records, so that it can be piped; what the command did is said on standard error.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::{Exit, flags, place};
use crate::app::Flags;
use crate::config;
use crate::journal::{
    self, Anchors, Filter, Kind, LONGEST_LINE, Options, Reader, Stored, Verified,
};
use crate::model::counted::counted;
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::model::terminal;

/// So much is gathered before it is printed.
const BUFFER: usize = 64 << 10;
/// How many records `list` shows unless it is told otherwise.
const NEWEST: &str = "100";

pub(super) fn command() -> Command {
    let incident = |id: &'static str| Arg::new(id).value_name("ID");
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("journal")
        .about("Read the record of everything decided and done, also while nodeward runs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(placed(
            Command::new("list")
                .about("Print the newest records, one JSON text a line")
                .arg(incident("incident").long("incident").help("Only those of this incident; the beginning or the end of its id is enough"))
                .arg(
                    text("kind", "KIND", "Only those of this kind")
                        .value_parser(Kind::ALL.map(Kind::as_str)),
                )
                .arg(text("since", "TIME", "Only those since then: 1h for an hour ago, or 2026-11-22T16:38:47Z"))
                .arg(
                    text("limit", "COUNT", "The newest so many; 0 for all")
                        .value_parser(value_parser!(usize))
                        .default_value(NEWEST),
                ),
        ))
        .subcommand(placed(
            Command::new("show")
                .about("Tell the story of one incident")
                .arg(incident("id").required(true).help("Its id, or the beginning or the end of it")),
        ))
        .subcommand(placed(
            Command::new("verify")
                .about("Prove that no record was changed, removed, put in or moved")
                .long_about(
                    "Walks the hash chain from the oldest record to the newest and says which record is the first that does \
                     not fit; exit code 1. That the newest records are still there only hashes kept elsewhere can prove: \
                     --anchor.",
                )
                .arg(
                    text("anchor", "FILE", "A log of what nodeward sent to a SIEM or a webhook, an older export, or lines of a hash or a number and a hash")
                        .value_parser(value_parser!(PathBuf)),
                ),
        ))
        .subcommand(placed(
            Command::new("export").about("Print every record, one JSON text a line, with its hash"),
        ))
}

/// With the flags that say where the journal lies.
pub(super) fn placed(command: Command) -> Command {
    command.arg(flags::path("state-dir", flags::STATE_DIR)).arg(
        Arg::new("config")
            .long("config")
            .short('c')
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("Config file that says where the journal lies"),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let ended = match matches.subcommand() {
        Some(("list", matches)) => list(matches),
        Some(("show", matches)) => show(matches),
        Some(("verify", matches)) => verify(matches),
        Some(("export", matches)) => export(matches),
        _ => Err(super::usage("journal: list, show, verify or export?")),
    };
    ended.err().unwrap_or(Exit::Fine)
}

fn failed(error: impl std::fmt::Display) -> Exit {
    super::fail(&error.to_string())
}

/// The journal of the state directory that flag, config and variables name.
pub(super) fn open(matches: &ArgMatches) -> Result<Reader, Exit> {
    let get = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let flags = Flags {
        config: get("config"),
        state_dir: get("state-dir"),
        ..Flags::default()
    };
    let directory = place::state(&flags)?;
    let directory = directory.ok_or_else(|| {
        super::fail("no state directory is known: name it with --state-dir or state")
    })?;
    Reader::open(&directory).map_err(failed)
}

/// Prints lines in large pieces.
#[derive(Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    ended: Option<Exit>,
}

impl Lines {
    pub(super) fn line(&mut self, text: &str) -> ControlFlow<()> {
        self.buffer.extend_from_slice(text.as_bytes());
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER {
            self.flush();
        }
        match self.ended {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }

    fn flush(&mut self) {
        self.ended = self.ended.or(super::print(&self.buffer).err());
        self.buffer.clear();
    }

    /// Prints what is left.
    pub(super) fn end(mut self) -> Result<(), Exit> {
        self.flush();
        self.ended.map_or(Ok(()), Err)
    }
}

fn print(reader: &Reader, filter: &Filter, form: fn(&Stored) -> String) -> Result<u64, Exit> {
    let mut lines = Lines::default();
    let count = reader
        .entries(filter, &mut |stored| lines.line(&form(stored)))
        .map_err(failed)?;
    lines.end()?;
    Ok(count)
}

fn list(matches: &ArgMatches) -> Result<(), Exit> {
    let text = |name: &str| matches.get_one::<String>(name);
    let since = moment_of(matches, "since")?;
    let reader = open(matches)?;
    let incident = match text("incident") {
        Some(start) => Some(whole_id(&reader, start)?),
        None => None,
    };
    let kind = text("kind").and_then(|word| Kind::of(word));
    let limit = matches.get_one::<usize>("limit").copied().unwrap_or(0);
    let filter = Filter {
        incident,
        kind,
        since,
        newest: (limit > 0).then_some(limit),
        ..Filter::default()
    };
    let count = print(&reader, &filter, Stored::exported)?;
    let more = if limit > 0 && count == limit as u64 {
        "; older ones with --limit 0"
    } else {
        ""
    };
    super::say(&format!("{}{more}", counted(count, "record")));
    Ok(())
}

/// The time that a flag gives.
pub(super) fn moment_of(matches: &ArgMatches, flag: &str) -> Result<Option<Timestamp>, Exit> {
    let Some(text) = matches.get_one::<String>(flag) else {
        return Ok(None);
    };
    let wrong = "neither a duration such as 1h nor a time such as 2026-11-22T16:38:47Z";
    let at = moment(text).ok_or_else(|| super::usage(&format!("--{flag} {text}: {wrong}")));
    at.map(Some)
}

/// A time, or how long ago.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(ago) = text.parse::<Period>() {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let then = now.unwrap_or_default().saturating_sub(ago.get());
        return Some(Timestamp(i64::try_from(then.as_millis()).ok()?));
    }
    Timestamp::parse(text)
}

/// The id of which `start` is the beginning, or else the end.
pub(super) fn whole_id(reader: &Reader, start: &str) -> Result<String, Exit> {
    let some = reader.incidents_like(start, 5).map_err(failed)?;
    match some.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(super::fail(&format!(
            "the journal has no incident {start}; nodeward journal list --kind state shows which there are"
        ))),
        several => Err(super::fail(&format!(
            "{start} is part of several ids: {}",
            several.join(", ")
        ))),
    }
}

fn show(matches: &ArgMatches) -> Result<(), Exit> {
    let reader = open(matches)?;
    let start = matches.get_one::<String>("id").map_or("", String::as_str);
    let id = whole_id(&reader, start)?;
    let row = reader.incident(&id).map_err(failed)?;
    let filter = Filter {
        incident: Some(id.clone()),
        ..Filter::default()
    };
    let count = print(&reader, &filter, |stored| {
        terminal::line(&told(&stored.line)).into_owned()
    })?;
    let open = match row {
        Some(row) if row.open => "open",
        Some(_) => "closed",
        None => "closed long ago",
    };
    let count = counted(count, "record");
    super::say(&format!("incident {id}: {open}, {count}"));
    Ok(())
}

/// A record as people read it: time, number, kind, what it is about, from and to, data.
fn told(line: &str) -> String {
    let Ok(Value::Object(record)) = serde_json::from_str(line) else {
        return line.to_owned();
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let number = record.get("seq").map(ToString::to_string);
    let mut words = vec![
        text("time").unwrap_or("-").to_owned(),
        format!("#{}", number.unwrap_or_default()),
        format!("{:<8}", text("kind").unwrap_or("-")),
    ];
    words.extend(text("target").map(str::to_owned));
    words.extend(text("attempt").map(|attempt| format!("attempt {attempt}")));
    match (text("from"), text("to")) {
        (Some(from), Some(to)) => words.push(format!("{from} -> {to}")),
        (None, Some(to)) => words.push(format!("-> {to}")),
        _ => {}
    }
    words.extend(record.get("data").map(ToString::to_string));
    words.join(" ")
}

fn export(matches: &ArgMatches) -> Result<(), Exit> {
    let reader = open(matches)?;
    let count = print(&reader, &Filter::default(), Stored::exported)?;
    super::say(&format!("{} exported", counted(count, "record")));
    Ok(())
}

fn verify(matches: &ArgMatches) -> Result<(), Exit> {
    let reader = open(matches)?;
    let anchors = match matches.get_one::<PathBuf>("anchor") {
        Some(file) => read_anchors(file)?.kept(kept(matches), Timestamp::now()),
        None => Anchors::default(),
    };
    super::say(&chain(&reader, &anchors).map_err(failed)?);
    Ok(())
}

/// What the journal keeps, as the config says that names the state directory, or that is named; elsewhere, as of a copy, no more is known than the
/// least that any config keeps.
fn kept(matches: &ArgMatches) -> Options {
    let get = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let flag = get("config");
    let asks = flag.is_some() || get("state-dir").is_none();
    let file = asks.then(|| config::locate(flag)).flatten();
    let options = file.as_ref().and_then(|file| config::journal(file));
    options.unwrap_or_else(|| {
        let least = Options::least();
        if let Some(file) = file {
            super::say(&format!(
                "nodeward: {} cannot be read, or is wrong in journal (nodeward validate says how): whether the oldest records were cut off is judged \
                 by the least that may be set, journal.keep {} and journal.max_size {}",
                file.display(),
                least.keep,
                least.max_size
            ));
        }
        least
    })
}

/// What `verify` says of the journal in a state directory, or what is wrong with it.
pub(super) fn proven(directory: &Path) -> Result<String, String> {
    let reader = Reader::open(directory).map_err(|e| e.to_string())?;
    chain(&reader, &Anchors::default())
}

fn chain(reader: &Reader, anchors: &Anchors) -> Result<String, String> {
    match journal::verify(reader, anchors).map_err(|e| e.to_string())? {
        Ok(verified) => Ok(said(&verified, anchors)),
        Err(broken) => Err(format!("the journal is broken: {broken}")),
    }
}

fn read_anchors(file: &Path) -> Result<Anchors, Exit> {
    let cannot = |e| super::fail(&format!("read the anchor file {}: {e}", file.display()));
    let mut reader = BufReader::new(File::open(file).map_err(cannot)?);
    let mut anchors = Anchors::default();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut most = (&mut reader).take(LONGEST_LINE as u64 + 1);
        if most.read_until(b'\n', &mut line).map_err(cannot)? == 0 {
            break;
        }
        // Of a line that is too long nothing counts.
        if line.len() > LONGEST_LINE {
            reader.skip_until(b'\n').map_err(cannot)?;
            line.clear();
        }
        anchors.add(number, &String::from_utf8_lossy(&line));
    }
    if anchors.count() == 0 {
        let none = "holds no anchor: an event that nodeward sent, a line of its export, a hash, or a number and a hash";
        let lines = counted(anchors.lines(), "line");
        return Err(super::fail(&format!(
            "the anchor file {} of {lines} {none}",
            file.display()
        )));
    }
    Ok(anchors)
}

fn said(verified: &Verified, anchors: &Anchors) -> String {
    let Verified {
        records,
        floor,
        head,
        anchored,
        pruned,
    } = verified;
    let mut said = match records {
        0 => "no records".to_owned(),
        _ => {
            let records = counted(records, "record");
            format!("{records}, {} to {}", floor.seq + 1, head.seq)
        }
    };
    said += &format!(": the chain holds; the last hash is {}", head.hash);
    if floor.seq > 0 {
        // Of that an anchor is the proof.
        said += &format!(
            "; {} older records are said to have been deleted by age or size",
            floor.seq
        );
    }
    if anchors.lines() > 0 {
        let (found, lines) = (
            counted(anchored, "anchor"),
            counted(anchors.lines(), "line"),
        );
        said += &format!("; {found} of {lines} found");
    }
    if *pruned > 0 {
        said += &format!(", {pruned} of records that were deleted");
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_in_one_line() {
        let line = "{\"seq\":7,\"time\":\"2026-11-25T22:51:11.198Z\",\"kind\":\"state\",\"incident\":\"01J\",\
                    \"target\":\"unit:web.service\",\"attempt\":\"01J-2\",\"from\":\"waiting\",\"to\":\"intent\",\"data\":{\"a\":1}}";
        assert_eq!(
            told(line),
            "2026-11-25T22:51:11.198Z #7 state    unit:web.service attempt 01J-2 waiting -> intent {\"a\":1}"
        );
        assert_eq!(told("no JSON"), "no JSON");
    }

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Some(Timestamp(1_000)));
        let hour = moment("1h").unwrap();
        let now = moment("0s").unwrap();
        assert!(now.since(hour).as_secs() >= 3_600);
        assert_eq!(moment("yesterday"), None);
    }
}
