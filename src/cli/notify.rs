//! `nodeward notify test`: sends one marked event to a notifier and says how that went.

use clap::{Arg, ArgMatches, Command};

use super::{Exit, flags};
use crate::app::{House, Settings};
use crate::notify::{self, Delivery, Lost};

pub(super) fn command() -> Command {
    Command::new("notify")
        .about("Try a notifier of the config out")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(flags::add(
            Command::new("test")
                .about("Send one event that is marked as a test, and say what the other side answered")
                .long_about(
                    "Sends one event, marked as a test, to the notifier NAME of the config (notify), once, and says what the other side \
                     answered. Exit code 0 if it was taken, 1 if not. Nothing is put on record, and a nodeward that runs takes no notice.",
                )
                .arg(
                    Arg::new("name")
                        .value_name("NAME")
                        .required(true)
                        .help("Its name in the config (notify)"),
                ),
        ))
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let Some(("test", matches)) = matches.subcommand() else {
        return super::usage("notify: say what to do: test NAME");
    };
    let settings = match Settings::resolve(&flags::read(matches)) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let known = || settings.config.notify.keys().map(String::as_str);
    let name = matches.get_one::<String>("name").map_or("", String::as_str);
    let Some(notifier) = settings.config.notify.get(name) else {
        let meant = super::meant(name, known());
        return super::usage(&format!(
            "notify test: no notifier is called {name:?}; {meant}"
        ));
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let sent = runtime.block_on(async {
        let house = House::build(&settings)?;
        let node = &house.identity.hostname;
        Ok(notify::test(notifier, &house.resolver, node).await)
    });
    runtime.shutdown_background();
    let kind = notifier.to.kind();
    match sent {
        Err(bad) => super::bad_settings(&bad),
        Ok(Delivery::Taken(said)) => {
            super::say(&format!("{name} ({kind}): taken: {said}"));
            Exit::Fine
        }
        Ok(Delivery::InPart(why)) => super::fail(&format!("{name} ({kind}): taken in part: {why}")),
        Ok(Delivery::Refused(why)) => super::fail(&format!("{name} ({kind}): refused: {why}")),
        Ok(Delivery::Failed { why, .. } | Delivery::Lost(Lost { why, .. })) => {
            super::fail(&format!("{name} ({kind}): not taken: {why}"))
        }
    }
}
