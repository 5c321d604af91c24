//! The command line: one file a subcommand.
//!
//! Exit codes: 0 fine, 1 failed, 2 usage, 78 bad config. Each command ends with one line, on standard error, saying what it did.

mod bodies;
mod check;
mod control;
mod demo;
mod exit;
mod flags;
mod generate;
mod journal;
pub mod names;
mod operate;
mod plan;
mod rehearse;
mod run;
mod show;
mod validate;
mod why;

use std::io::Write;

use clap::Command;

pub use exit::Exit;

use crate::app::BadSettings;
use crate::model::terminal;

const EXAMPLES: &str = "Examples:
  nodeward                                              serve http://127.0.0.1:9100
  nodeward --web.listen-address=:9100                   in node_exporter's place
  nodeward --config nodeward.yml                        with a config file
  nodeward demo                                         see it heal a service of its own
  nodeward show --key 'vfs.fs.size[/,pused]'            one Zabbix key
  OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 nodeward";

fn command() -> Command {
    flags::add(
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
            .subcommand(control::status_command())
            .subcommand(control::reload_command())
            .subcommand(control::health_command())
            .subcommands(operate::commands())
            .subcommand(plan::command())
            .subcommand(rehearse::command())
            .subcommand(journal::command())
            .subcommand(why::command())
            .subcommand(demo::command())
            .subcommand(generate::command()),
    )
}

/// Parses the arguments, runs the command, says how it ended.
#[must_use]
pub fn main() -> Exit {
    // The parts of the demo are nobody's to complete or to read about.
    let command = command().subcommands([demo::service_command(), demo::nodeward_command()]);
    let matches = match command.try_get_matches() {
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
        Some(("status", matches)) => control::status(matches),
        Some(("reload", matches)) => control::reload(matches),
        Some(("health", matches)) => control::health(matches),
        Some((name, matches)) if operate::does(name) => operate::run(name, matches),
        Some(("plan", matches)) => plan::run(matches),
        Some(("rehearse", matches)) => rehearse::run(matches),
        Some(("journal", matches)) => journal::run(matches),
        Some(("why", matches)) => why::run(matches),
        Some(("demo", matches)) => demo::run(matches),
        Some(("demo-service", _)) => demo::run_service(),
        Some(("demo-nodeward", matches)) => demo::run_nodeward(matches),
        Some(("generate", matches)) => generate::run(matches),
        _ => run::run(&matches),
    }
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
