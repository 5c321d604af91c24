//! `nodeward run`: serves until it is told to end.

use clap::{ArgMatches, Command};

use super::{Exit, flags};
use crate::app::{self, Failure, Settings};
use crate::net::passed::Passed;

pub(super) fn command() -> Command {
    flags::add(
        Command::new("run")
            .override_usage("nodeward run [FLAGS]")
            .about("Serve until SIGTERM (the default command)"),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    as_named(matches, false)
}

/// The same where the program may go by node_exporter's name, which says the same as a flag of it.
pub(super) fn as_named(matches: &ArgMatches, in_place: bool) -> Exit {
    let mut flags = flags::read(matches);
    flags.in_place |= in_place;
    let settings = match Settings::resolve(&flags) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    // Before any thread runs: taking them changes the environment.
    let passed = match settings.takes_passed() {
        true => Passed::take(),
        false => Ok(Passed::default()),
    };
    let passed = match passed {
        Ok(passed) => passed,
        Err(why) => return super::fail(&why),
    };
    let telemetry = match crate::telemetry::install(&settings.config.log) {
        Ok(telemetry) => telemetry,
        Err(error) => return super::fail(&error.to_string()),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let ended = runtime.block_on(app::run(settings, flags, telemetry, passed));
    // A call that hangs must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    match ended {
        Ok(()) => Exit::Fine,
        Err(Failure::Settings(bad)) => super::bad_settings(&bad),
        Err(Failure::Failed(why)) => super::fail(&why),
    }
}
