//! `nodeward run`: serves until it is told to end.

use clap::{ArgMatches, Command};

use super::{Exit, flags};
use crate::app::{self, Failure, Settings};

pub(super) fn command() -> Command {
    flags::add(
        Command::new("run")
            .override_usage("nodeward run [FLAGS]")
            .about("Serve until SIGTERM (the default command)"),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let flags = flags::read(matches);
    let settings = match Settings::resolve(&flags) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let telemetry = match crate::telemetry::install(&settings.config.log) {
        Ok(telemetry) => telemetry,
        Err(error) => return super::fail(&error.to_string()),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let ended = runtime.block_on(app::run(settings, flags, telemetry));
    // A call that hangs must not hold up the end.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    match ended {
        Ok(()) => Exit::Fine,
        Err(Failure::Settings(bad)) => super::bad_settings(&bad),
        Err(Failure::Failed(why)) => super::fail(&why),
    }
}
