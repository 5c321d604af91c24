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
use crate::model::counted::counted;
use crate::model::moment::Timestamp;
use told::Telling;

/// Modes that a playbook can be rehearsed in.
const MODES: [Mode; 3] = [Mode::Observe, Mode::Approve, Mode::Auto];
/// A part of a journal is about so long, in bytes of its text.
const AT_ONCE: usize = 4 << 20;
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

/// A part of a journal, so that one of any size takes a bounded memory.
#[derive(Default)]
struct Part {
    /// In order, with when it came.
    all: Vec<(Timestamp, Recorded)>,
    /// Alerts of other machines, of which nothing more is known.
    others: u64,
    /// The last record that was looked at, if there may be more behind it.
    next: Option<i64>,
}

/// Where a recording comes from, as far as it was looked at before anything is said.
enum From {
    Files(Vec<PathBuf>),
    Journal(PathBuf, Part),
}

/// Takes what was recorded, and when it came.
type Play<'a> = dyn FnMut(Timestamp, Recorded) + 'a;

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
    let from = match matches.get_one::<PathBuf>("directory") {
        Some(directory) => From::Files(bodies::files(directory)?),
        None => {
            let variable = |name: &str| std::env::var(name).ok();
            let directory = app::state_directory(&flags, &settings.config, &variable).ok_or_else(|| {
                super::fail("no state directory is known: name it with --journal or state, or name a directory of bodies")
            })?;
            let first = part(&directory, &span, 0, AT_ONCE)?;
            From::Journal(directory, first)
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
    let mut ends: Option<(Timestamp, Timestamp)> = None;
    let mut tell = |told: crate::heal::runner::Told<'_>| telling.take(told);
    let mut replay = Replay::new(rules, assume, &mut tell);
    let mut play = |at: Timestamp, recorded: Recorded| {
        ends = Some((ends.map_or(at, |(first, _)| first), at));
        replay.take(at, recorded);
    };
    let (others, unread) = match from {
        From::Files(files) => (0, of_files(&files, &settings, hook, &span, &mut play)),
        From::Journal(directory, first) => (of_journal(&directory, first, &span, &mut play)?, 0),
    };
    replay.end();
    telling.others(others);
    let said = telling.end(ends)?;
    super::say(&said);
    match unread {
        0 => Ok(()),
        _ => Err(super::fail(&format!(
            "{} could not be used",
            counted(unread, "file")
        ))),
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

/// Plays a journal part by part; how many alerts were of other machines.
fn of_journal(
    directory: &Path,
    first: Part,
    span: &Span,
    play: &mut Play<'_>,
) -> Result<u64, Exit> {
    let (mut now, mut others) = (first, 0);
    loop {
        others += now.others;
        for (at, recorded) in now.all {
            play(at, recorded);
        }
        match now.next {
            Some(next) => now = part(directory, span, next, AT_ONCE)?,
            None => return Ok(others),
        }
    }
}

/// Reads what comes after a record, until its text is about so long.
fn part(directory: &Path, span: &Span, after: i64, at_once: usize) -> Result<Part, Exit> {
    let filter = Filter {
        since: span.since,
        after,
        ..Filter::default()
    };
    let read = |reader: &Reader| {
        let (mut part, mut bytes) = (Part::default(), 0);
        reader.entries(&filter, &mut |stored| {
            bytes += stored.line.len();
            let full = bytes >= at_once;
            let on = match full {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            part.next = full.then_some(stored.seq);
            let Ok(record) = serde_json::from_str::<Value>(&stored.line) else {
                return on;
            };
            if let Some((at, recorded)) = Recorded::of(&record) {
                if span.is_past(at) {
                    part.next = None;
                    return ControlFlow::Break(());
                }
                part.all.push((at, recorded));
            } else if record.pointer("/data/ours") == Some(&Value::Bool(false)) {
                let count = record.pointer("/data/count").and_then(Value::as_u64);
                part.others += count.unwrap_or(0);
            }
            on
        })?;
        Ok(part)
    };
    Reader::undisturbed(directory, read).map_err(|error| super::fail(&error.to_string()))
}

/// Plays bodies file by file; how many could not be used.
fn of_files(
    files: &[PathBuf],
    settings: &Settings,
    hook: Option<&str>,
    span: &Span,
    play: &mut Play<'_>,
) -> u64 {
    let mut unread = 0;
    let mut last = Timestamp(0);
    for file in files {
        let read = bodies::read(file).and_then(|body| {
            let sent = bodies::sent_at(&body);
            let at = sent.unwrap_or(Timestamp(last.0 + LATER)).max(last);
            let hooks = &settings.config.hooks;
            Ok((at, crate::app::plan::delivery(&body, hooks, hook, at)?))
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
                    play(at, alerts);
                }
            }
            Err(why) => {
                super::say(&format!("nodeward: read {}: {why}", file.display()));
                unread += 1;
            }
        }
    }
    unread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Commit, Entry, Journal, Kind, Options};
    use serde_json::json;

    #[tokio::test]
    async fn a_journal_is_read_part_by_part_and_nothing_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(directory.path(), &Options::default()).unwrap();
        let alert = |number: u32| {
            let episode = format!("am/f/{number}");
            Entry::new(Kind::Alert).data(json!({
                "ours": true, "hook": "am", "episode": episode, "status": "firing", "severity": "warning", "labels": {},
            }))
        };
        let others = Entry::new(Kind::Alert).data(json!({"ours": false, "hook": "am", "count": 2}));
        for number in 0..20 {
            let entries = vec![alert(number), Entry::new(Kind::State), others.clone()];
            let commit = Commit {
                entries,
                ..Commit::default()
            };
            journal.commit(commit).await.unwrap();
        }
        let all = |at_once: usize| {
            let span = Span {
                since: None,
                until: None,
            };
            let (mut parts, mut played, mut others, mut after) = (0, Vec::new(), 0, Some(0));
            while let Some(from) = after {
                let Ok(part) = part(directory.path(), &span, from, at_once) else {
                    panic!("it cannot be read");
                };
                parts += 1;
                assert!(part.all.len() <= at_once.div_ceil(100), "{at_once}");
                played.extend(part.all);
                others += part.others;
                after = part.next;
            }
            (parts, played, others)
        };
        let (one, whole, others) = all(AT_ONCE);
        assert_eq!((one, whole.len(), others), (1, 20, 40));
        for at_once in [1, 500, 2_000] {
            let (many, played, others) = all(at_once);
            assert!(many > 1);
            assert_eq!((&played, others), (&whole, 40));
        }
    }
}
