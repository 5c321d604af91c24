//! `nodeward check`: probes once and prints how it went.

use clap::{Arg, ArgAction, ArgMatches, Command};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Exit, flags};
use crate::app::{BadSettings, House, Settings};
use crate::check::Probed;
use crate::heal::words;
use crate::model::counted::counted;
use crate::model::duration::Period;

/// No probe may take longer, whatever its own timeout.
const PATIENCE: Period = Period::secs(3600);

pub(super) fn command() -> Command {
    flags::add(
        Command::new("check")
            .about("Probe once what the checks of the config probe, and print how it went")
            .long_about(
                "Probes once, all at the same time, and prints for each check whether it passed, how long that took and what \
                 was seen. Exit code 0 if all passed, 1 if one failed. A nodeward that runs takes no notice.",
            )
            .arg(
                Arg::new("name")
                    .value_name("NAME")
                    .action(ArgAction::Append)
                    .help("Checks to probe [default: all]"),
            ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let settings = match Settings::resolve(&flags::read(matches)) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let known = || settings.config.checks.keys().map(String::as_str);
    let asked = matches.get_many::<String>("name").into_iter().flatten();
    let mut names: Vec<String> = Vec::new();
    for name in asked {
        if !settings.config.checks.contains_key(name) {
            let meant = super::meant(name, known());
            return super::usage(&format!("check: no check is called {name:?}; {meant}"));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if names.is_empty() {
        names = known().map(str::to_owned).collect();
    }
    if names.is_empty() {
        super::say("0 checks: the config has none under `checks:`");
        return Exit::Fine;
    }
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let probed = runtime.block_on(probe(&settings, &names));
    runtime.shutdown_background();
    match probed {
        Ok(probed) => print(&probed),
        Err(bad) => super::bad_settings(&bad),
    }
}

/// Probes all at the same time; in the order of the names.
async fn probe(
    settings: &Settings,
    names: &[String],
) -> Result<Vec<(String, Probed)>, BadSettings> {
    let house = std::sync::Arc::new(House::build(settings)?);
    let deadline = Instant::now() + PATIENCE.get();
    let mut probes = JoinSet::new();
    for (at, name) in names.iter().cloned().enumerate() {
        let house = std::sync::Arc::clone(&house);
        probes.spawn(async move {
            let probed = house.checks.probe(&name, deadline).await;
            (at, name, probed)
        });
    }
    let mut all = probes.join_all().await;
    all.sort_by_key(|(at, ..)| *at);
    let all = all.into_iter();
    Ok(all
        .filter_map(|(_, name, probed)| Some((name, probed?)))
        .collect())
}

fn print(probed: &[(String, Probed)]) -> Exit {
    let width = probed.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, probed) in probed {
        let word = if probed.ok { "ok" } else { "FAILED" };
        let took = format!("{:.1} ms", probed.took.as_secs_f64() * 1000.0);
        let why = words::tame(&probed.why);
        text.push_str(&format!("{name:<width$}  {word:<6}  {took:>10}  {why}\n"));
    }
    if let Err(exit) = super::tell(&text) {
        return exit;
    }
    let failed = probed.iter().filter(|(_, probed)| !probed.ok).count();
    let probed = counted(probed.len(), "check");
    super::say(&format!("{probed} probed, {failed} failed"));
    if failed == 0 {
        Exit::Fine
    } else {
        Exit::Failed
    }
}
