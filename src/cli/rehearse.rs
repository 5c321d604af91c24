//! `nodeward rehearse`: what the config would have done with alerts that were recorded; touches nothing.

mod told;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::{Exit, bodies, flags, journal};
use crate::app::{self, House, Settings, healing};
use crate::heal::plan::Mode;
use crate::heal::runner::{Assume, Recorded, Replay, Rules};
use crate::journal::{Filter, Reader};
use crate::model::moment::Timestamp;
use told::Telling;

/// Modes that a playbook can be rehearsed in.
const MODES: [Mode; 3] = [Mode::Observe, Mode::Approve, Mode::Auto];
/// A body that does not say when it was sent comes so many milliseconds after the one before.
const LATER: i64 = 1_000;

pub(super) fn command() -> Command {
    flags::add(
        Command::new("rehearse")
            .about("Say what the config would have done with recorded alerts; touch nothing")
            .long_about(
                "Replays the alerts of a journal, or a directory of bodies of webhooks, against the config by a clock of its own, and \
                 prints for each incident what would have been done and when, and which guard stopped what; then a summary by \
                 playbook. The world is assumed (--assume), never looked at: confirm sees what the alert says, a witness can be \
                 read, an action ends well, a person who is asked approves at once. The same input prints the same.",
            )
            .arg(
                Arg::new("directory")
                    .value_name("DIRECTORY")
                    .value_parser(value_parser!(PathBuf))
                    .conflicts_with("state-dir")
                    .help("Bodies of webhooks (*.json), taken in order of name [default: the journal]"),
            )
            .arg(
                Arg::new("assume")
                    .long("assume")
                    .value_name("WHAT")
                    .value_parser(Assume::ALL.map(Assume::as_str))
                    .default_value(Assume::Help.as_str())
                    .help("help: the first action helps; resolve: well once the alert is recorded as resolved; fail: nothing helps"),
            )
            .arg(
                Arg::new("mode")
                    .long("mode")
                    .value_name("MODE")
                    .value_parser(MODES.map(Mode::as_str))
                    .help("As if all playbooks that are not off were in this mode"),
            )
            .arg(
                Arg::new("since")
                    .long("since")
                    .value_name("TIME")
                    .help("Only what came since then: 1h for an hour ago, or 2026-11-22T16:38:47Z"),
            )
            .arg(
                Arg::new("until")
                    .long("until")
                    .value_name("TIME")
                    .help("Only what came until then"),
            )
            .arg(
                Arg::new("hook")
                    .long("hook")
                    .value_name("NAME")
                    .requires("directory")
                    .help("The hook of the config the bodies come by [default: the one that takes such bodies]"),
            )
            .arg(
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("Print the records that the journal would hold, one JSON text a line"),
            ),
    )
    .mut_arg("state-dir", |arg| arg.visible_alias("journal"))
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    rehearse(matches).err().unwrap_or(Exit::Fine)
}

/// What was recorded.
#[derive(Default)]
struct Recording {
    /// In order, with when it came.
    all: Vec<(Timestamp, Recorded)>,
    /// Alerts of other machines, of which nothing more is known.
    others: u64,
    /// Files that could not be read.
    unread: u64,
}

/// Which part of it is wanted.
struct Span {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Span {
    fn holds(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && !self.is_past(at)
    }

    fn is_past(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| at > until)
    }
}

fn rehearse(matches: &ArgMatches) -> Result<(), Exit> {
    let flags = flags::read(matches);
    let settings = Settings::resolve(&flags).map_err(|bad| super::bad_settings(&bad))?;
    let text = |name: &str| matches.get_one::<String>(name);
    let hook = bodies::known(&settings.config.hooks, text("hook"))?;
    let span = Span {
        since: journal::moment_of(matches, "since")?,
        until: journal::moment_of(matches, "until")?,
    };
    let recording = match matches.get_one::<PathBuf>("directory") {
        Some(directory) => of_directory(directory, &settings, hook, &span)?,
        None => {
            let variable = |name: &str| std::env::var(name).ok();
            let directory = app::state_directory(&flags, &settings.config, &variable).ok_or_else(|| {
                super::fail("no state directory is known: name it with --journal or state, or name a directory of bodies")
            })?;
            of_journal(&directory, &span)?
        }
    };
    let word = text("assume").map_or("", String::as_str);
    let assume = Assume::ALL.into_iter().find(|a| a.as_str() == word);
    let assume = assume.unwrap_or(Assume::Help);
    let mut rules = rules(&settings)?;
    if let Some(mode) = MODES
        .into_iter()
        .find(|m| text("mode").is_some_and(|word| word == m.as_str()))
    {
        let all = rules.playbooks.values_mut();
        all.filter(|playbook| playbook.mode != Mode::Off)
            .for_each(|playbook| playbook.mode = mode);
    }
    let mut telling = Telling::new(&rules, matches.get_flag("json"));
    telling.begin(assume);
    let Recording {
        all,
        others,
        unread,
    } = recording;
    telling.others(others);
    let ends = all.first().zip(all.last());
    let ends = ends.map(|((first, _), (last, _))| (*first, *last));
    let mut tell = |told: crate::heal::runner::Told<'_>| telling.take(told);
    let mut replay = Replay::new(rules, assume, &mut tell);
    for (at, recorded) in all {
        replay.take(at, recorded);
    }
    replay.end();
    let said = telling.end(ends)?;
    super::say(&said);
    match unread {
        0 => Ok(()),
        _ => Err(super::fail(&format!("{unread} files could not be used"))),
    }
}

/// What healing goes by.
fn rules(settings: &Settings) -> Result<Rules, Exit> {
    let runtime = super::runtime()?;
    let rules = runtime.block_on(async {
        let house = House::build(settings).map_err(|bad| super::bad_settings(&bad))?;
        Ok(healing::rules(settings, &house))
    });
    runtime.shutdown_background();
    rules
}

fn of_journal(directory: &Path, span: &Span) -> Result<Recording, Exit> {
    let filter = Filter {
        since: span.since,
        ..Filter::default()
    };
    let read = |reader: &Reader| {
        let mut recording = Recording::default();
        reader.entries(&filter, &mut |stored| {
            let Ok(record) = serde_json::from_str::<Value>(&stored.line) else {
                return ControlFlow::Continue(());
            };
            if let Some((at, recorded)) = Recorded::of(&record) {
                if span.is_past(at) {
                    return ControlFlow::Break(());
                }
                recording.all.push((at, recorded));
            } else if record.pointer("/data/ours") == Some(&Value::Bool(false)) {
                let count = record.pointer("/data/count").and_then(Value::as_u64);
                recording.others += count.unwrap_or(0);
            }
            ControlFlow::Continue(())
        })?;
        Ok(recording)
    };
    Reader::undisturbed(directory, read).map_err(|error| super::fail(&error.to_string()))
}

fn of_directory(
    directory: &Path,
    settings: &Settings,
    hook: Option<&str>,
    span: &Span,
) -> Result<Recording, Exit> {
    let mut recording = Recording::default();
    let mut last = Timestamp(0);
    for file in bodies::files(directory)? {
        let read = bodies::read(&file).and_then(|body| {
            let sent = bodies::sent_at(&body);
            let at = sent.unwrap_or(Timestamp(last.0 + LATER)).max(last);
            let hooks = &settings.config.hooks;
            Ok((at, bodies::delivery(&body, hooks, hook, at)?))
        });
        match read {
            Ok((at, (hook, delivery))) => {
                last = at;
                if span.holds(at) {
                    let local = false;
                    let alerts = Recorded::Alerts {
                        hook,
                        delivery,
                        local,
                    };
                    recording.all.push((at, alerts));
                }
            }
            Err(why) => {
                super::say(&format!("nodeward: read {}: {why}", file.display()));
                recording.unread += 1;
            }
        }
    }
    Ok(recording)
}
