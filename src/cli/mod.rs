//! The command line: one file a subcommand.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage, 69 another program is not there, 78 bad config. Each command ends with one line, on standard error, saying what it did.

mod bodies;
mod check;
mod compare;
mod control;
mod demo;
mod doctor;
mod evidence;
mod exit;
mod flags;
mod generate;
#[doc(hidden)]
pub mod import;
mod journal;
pub mod names;
mod notify;
mod operate;
mod place;
mod plan;
mod rehearse;
mod run;
mod show;
mod status;
mod validate;
mod why;

use std::ffi::OsString;
use std::io::Write;

use clap::Command;

pub use exit::Exit;

use crate::app::BadSettings;
use crate::model::nearest::nearest;
use crate::model::terminal;

const EXAMPLES: &str = "Examples:
  nodeward                                              serve http://127.0.0.1:9100
  nodeward --web.listen-address=:9100                   in node_exporter's place
  nodeward --config nodeward.yml                        with a config file
  nodeward demo                                         see it heal a service of its own
  nodeward show --key 'vfs.fs.size[/,pused]'            one Zabbix key
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 nodeward";

fn command() -> Command {
    flags::add_parsers(flags::add(
        Command::new("nodeward")
            .version(env!("CARGO_PKG_VERSION"))
            .about("Tells the machine to Prometheus, OpenTelemetry and Zabbix, and heals it")
            .override_usage("nodeward [COMMAND] [FLAGS]")
            .after_help(EXAMPLES)
            .args_conflicts_with_subcommands(true)
            .subcommand(run::command())
            .subcommand(validate::command())
            .subcommand(show::command())
            .subcommand(check::command())
            .subcommand(compare::command())
            .subcommand(doctor::command())
            .subcommand(import::command())
            .subcommand(status::command())
            .subcommand(control::reload_command())
            .subcommand(control::health_command())
            .subcommands(operate::commands())
            .subcommand(notify::command())
            .subcommand(plan::command())
            .subcommand(rehearse::command())
            .subcommand(journal::command())
            .subcommand(why::command())
            .subcommand(evidence::command())
            .subcommand(demo::command())
            .subcommand(generate::command()),
    ))
}

/// Parses the arguments, runs the command, says how it ended.
#[must_use]
pub fn main() -> Exit {
    // The parts of the demo are nobody's to complete or to read about.
    let command = command().subcommands([demo::service_command(), demo::nodeward_command()]);
    let args = flags::foreign(led(&command, std::env::args_os().collect()));
    let in_place = flags::is_named_so(args.first());
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            // A closed terminal is no reason to panic.
            drop(error.print());
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Fine
            };
        }
    };
    match matches.subcommand() {
        Some(("run", matches)) => run::run(matches),
        Some(("validate", matches)) => validate::run(matches),
        Some(("show", matches)) => show::run(matches),
        Some(("check", matches)) => check::run(matches),
        Some(("compare", matches)) => compare::run(matches),
        Some(("doctor", matches)) => doctor::run(matches),
        Some(("import", matches)) => import::run(matches),
        Some(("status", matches)) => status::run(matches),
        Some(("reload", matches)) => control::reload(matches),
        Some(("health", matches)) => control::health(matches),
        Some((name, matches)) if operate::does(name) => operate::run(name, matches),
        Some(("notify", matches)) => notify::run(matches),
        Some(("plan", matches)) => plan::run(matches),
        Some(("rehearse", matches)) => rehearse::run(matches),
        Some(("journal", matches)) => journal::run(matches),
        Some(("why", matches)) => why::run(matches),
        Some(("evidence", matches)) => evidence::run(matches),
        Some(("demo", matches)) => demo::run(matches),
        Some(("demo-service", matches)) => demo::run_service(matches),
        Some(("demo-nodeward", matches)) => demo::run_nodeward(matches),
        Some(("generate", matches)) => generate::run(matches),
        _ => run::as_named(&matches, in_place),
    }
}

/// Flags that say where nodeward's things are, and may be written before a command: each has a value.
const PLACES: [&str; 4] = ["--config", "-c", "--state-dir", "--socket"];

/// The arguments with those flags behind the command that they are written before; whether it knows them is for it to say.
fn led(command: &Command, args: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(arg) = args.get(at).and_then(|arg| arg.to_str()) {
        let joined = |flag: &&str| match flag.starts_with("--") {
            true => arg
                .strip_prefix(*flag)
                .is_some_and(|rest| rest.starts_with('=')),
            false => arg.len() > flag.len() && arg.starts_with(*flag),
        };
        if PLACES.contains(&arg) {
            at += 2;
        } else if PLACES.iter().any(joined) {
            at += 1;
        } else {
            break;
        }
    }
    // Of commands of commands the last one has the flags.
    let (mut within, mut end) = (command, at);
    while let Some(next) = args.get(end).and_then(|name| within.find_subcommand(name)) {
        within = next;
        end += 1;
    }
    if end == at {
        return args;
    }
    let mut args = args;
    args.get_mut(1..end)
        .into_iter()
        .for_each(|lead| lead.rotate_left(at - 1));
    args
}

/// The one runtime: a current-thread one, with a few threads for what takes long.
fn runtime() -> Result<tokio::runtime::Runtime, Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2)
        .thread_keep_alive(std::time::Duration::from_secs(60))
        .build()
        .map_err(|e| fail(&format!("start the runtime: {e}")))
}

/// One line on standard error; nobody there to read it is no failure.
fn say(line: &str) {
    drop(writeln!(
        std::io::stderr().lock(),
        "{}",
        terminal::shown(line)
    ));
}

/// Prints text for people, who may read it on a terminal, to standard output.
fn tell(text: &str) -> Result<(), Exit> {
    print(terminal::shown(text).as_bytes())
}

/// Prints to standard output; a reader that went away (`| head`) is no failure.
fn print(text: &[u8]) -> Result<(), Exit> {
    match std::io::stdout().lock().write_all(text) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Err(Exit::Fine),
        Err(e) => Err(fail(&format!("write to standard output: {e}"))),
        Ok(()) => Ok(()),
    }
}

/// Which name of the config was meant, or else which there are, for whoever gave another.
fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None if known.is_empty() => "the config has none".to_owned(),
        None => format!("there are {}", known.join(", ")),
    }
}

fn fail(why: &str) -> Exit {
    say(&format!("nodeward: {why}"));
    Exit::Failed
}

fn usage(why: &str) -> Exit {
    say(&format!("nodeward: {why}"));
    Exit::Usage
}

fn bad_settings(bad: &BadSettings) -> Exit {
    say(&format!("{bad}"));
    match bad {
        BadSettings::Flags(_) => Exit::Usage,
        BadSettings::Config(_) => Exit::BadConfig,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command below one, with the words that lead to it.
    fn below<'a>(command: &'a Command, words: &[String]) -> Vec<(Vec<String>, &'a Command)> {
        let mut all = Vec::new();
        for next in command.get_subcommands() {
            let words = [words, &[next.get_name().to_owned()]].concat();
            all.extend(below(next, &words));
            all.push((words, next));
        }
        all
    }

    #[test]
    fn a_flag_of_places_may_stand_before_every_command_that_knows_it() {
        let all = command();
        let mut known = 0;
        for (words, one) in below(&all, &[]) {
            for flag in ["config", "state-dir", "socket"] {
                let long = format!("--{flag}");
                let knows = |arg: &clap::Arg| arg.get_long() == Some(flag);
                if !one.get_arguments().any(knows) {
                    continue;
                }
                known += 1;
                let joined = vec![format!("{long}=place")];
                for lead in [vec![long.clone(), "place".to_owned()], joined] {
                    let start = ["nodeward".to_owned()];
                    let args = [&start[..], &lead, &words].concat();
                    let args = args.into_iter().map(OsString::from).collect();
                    let parsed = command().try_get_matches_from(led(&all, args));
                    match parsed {
                        Ok(matches) => {
                            let mut matches = &matches;
                            while let Some((_, next)) = matches.subcommand() {
                                matches = next;
                            }
                            let place = matches.get_one::<std::path::PathBuf>(flag);
                            assert_eq!(place.unwrap(), std::path::Path::new("place"));
                        }
                        // What else it needs is not given here.
                        Err(error) => assert_eq!(
                            error.kind(),
                            clap::error::ErrorKind::MissingRequiredArgument,
                            "{lead:?} {words:?}: {error}"
                        ),
                    }
                }
            }
        }
        assert!(known > 20, "{known}");
    }

    #[test]
    fn other_arguments_stay_where_they_are() {
        let stays = |args: &[&str]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            assert_eq!(led(&command(), args.clone()), args);
        };
        stays(&["nodeward"]);
        stays(&["nodeward", "-c", "n.yml"]);
        stays(&["nodeward", "--config"]);
        stays(&["nodeward", "--config", "status"]);
        stays(&["nodeward", "--web.listen-address=:1", "--config", "n.yml"]);
        stays(&["nodeward", "status", "--config", "n.yml"]);
        let words = ["nodeward", "-cn.yml", "journal", "list", "--limit", "1"];
        let moved = led(&command(), words.iter().map(OsString::from).collect());
        assert_eq!(
            moved,
            ["nodeward", "journal", "list", "-cn.yml", "--limit", "1"]
        );
    }
}
