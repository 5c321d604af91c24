//! `nodeward plan`: what would happen if an alert came in now, and why; touches nothing.

mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::json;

use super::{Exit, bodies, flags};
use crate::app::{self, Flags, House, Settings, healing};
use crate::check::{Checks, SOURCE};
use crate::gate::Pools;
use crate::heal::intake::Delivery;
use crate::heal::runner::{Forecast, LOCAL, forecast};
use crate::heal::world::World;
use crate::host::Clock;
use crate::journal::{EpisodeRow, ReadError, Reader, Restored};
use crate::model::alert::Episode;
use crate::model::moment::Timestamp;

pub(super) fn command() -> Command {
    flags::add(
        Command::new("plan")
            .about("Say what would happen if an alert came in now, and why; touch nothing")
            .long_about(
                "Takes what a webhook sends (of Alertmanager, Grafana or Zabbix, known by its shape), one alert with its labels, or a \
                 list of alerts, and says which playbooks take it, what each guard says with its value, exactly what would be done, \
                 and what would prove that it helped. It decides as a running nodeward would: the journal is read, the checks of \
                 confirm are probed, the witness of the action is read. Nothing is written, done or told to people.",
            )
            .arg(
                Arg::new("file")
                    .value_name("ALERT.json")
                    .value_parser(value_parser!(PathBuf))
                    .required_unless_present("check")
                    .help("The alert; - for standard input"),
            )
            .arg(
                Arg::new("check")
                    .long("check")
                    .value_name("NAME")
                    .conflicts_with_all(["file", "hook"])
                    .help("The alert that this check of the config raises when it fails"),
            )
            .arg(
                Arg::new("hook")
                    .long("hook")
                    .value_name("NAME")
                    .help("The hook of the config it comes by [default: the one that takes such bodies]"),
            )
            .arg(
                Arg::new("as-new")
                    .long("as-new")
                    .action(ArgAction::SetTrue)
                    .help("As if it had begun now and was not told before"),
            )
            .arg(
                Arg::new("json")
                    .long("json")
                    .action(ArgAction::SetTrue)
                    .help("Print one JSON text"),
            ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    plan(matches).err().unwrap_or(Exit::Fine)
}

/// What is planned for, and with what.
struct Planned {
    hook: String,
    alerts: u64,
    forecast: Forecast,
    history: History,
    wants: String,
}

/// What is known of what was done before.
struct History {
    /// Where it was looked for.
    directory: Option<PathBuf>,
    /// Whether a journal was there.
    found: bool,
}

fn plan(matches: &ArgMatches) -> Result<(), Exit> {
    let flags = flags::read(matches);
    let settings = Settings::resolve(&flags).map_err(|bad| super::bad_settings(&bad))?;
    let now = Timestamp::now();
    let text = |name: &str| matches.get_one::<String>(name);
    let hook = bodies::known(&settings.config.hooks, text("hook"))?;
    let file = matches.get_one::<PathBuf>("file");
    let delivered = match file {
        Some(file) => {
            let delivered = bodies::read(file)
                .and_then(|body| app::plan::delivery(&body, &settings.config.hooks, hook, now));
            Some(delivered.map_err(|why| unreadable(file, &why))?)
        }
        None => None,
    };
    let (history, restored) = history(&settings, &flags)?;
    let runtime = super::runtime()?;
    let planned = runtime.block_on(async {
        let house = House::build(&settings).map_err(|bad| super::bad_settings(&bad))?;
        let check = text("check");
        let (hook, mut delivery) = match (delivered, check) {
            (Some(delivered), _) => delivered,
            (None, check) => {
                let stood = restored.as_ref().map(|restored| &*restored.episodes);
                (LOCAL.to_owned(), of_check(&house, check, stood)?)
            }
        };
        if matches.get_flag("as-new") {
            delivery.begin_anew(now);
        }
        let alerts = delivery.alerts.len() as u64;
        let checks = Arc::new(Checks::default());
        checks.change(&house.checks);
        // Probed when a guard asks, and only then.
        checks.stop();
        // Looked at, and never told anything.
        let pools = Pools::default();
        pools.change(&house.pools);
        let world = World::new(
            Clock::new(),
            healing::reach(&settings, &house, &checks, None, &pools),
        );
        let rules = healing::rules(&settings, &house);
        let local = check.is_some();
        Ok(Planned {
            forecast: forecast(rules, restored, &world, &hook, delivery, local).await,
            hook,
            alerts,
            history,
            wants: house.ours.wants(),
        })
    });
    runtime.shutdown_background();
    let planned = planned?;
    match matches.get_flag("json") {
        true => super::print(json_of(&planned, now).as_bytes())?,
        false => super::tell(&told::plan(&planned))?,
    }
    super::say(&told::end(&planned));
    Ok(())
}

fn unreadable(file: &Path, why: &str) -> Exit {
    super::fail(&format!("read the alert {}: {why}", file.display()))
}

/// What the journal holds, if there is one; it is not disturbed.
fn history(settings: &Settings, flags: &Flags) -> Result<(History, Option<Restored>), Exit> {
    let variable = |name: &str| std::env::var(name).ok();
    let directory = app::state_directory(flags, &settings.config, &variable);
    let restored = directory
        .as_deref()
        .map(|directory| Reader::undisturbed(directory, Reader::restored));
    let restored = match restored {
        None | Some(Err(ReadError::None { .. })) => None,
        Some(Ok(restored)) => Some(restored),
        Some(Err(error)) => {
            return Err(super::fail(&format!(
                "{error}; guards count what was done before: run this as a user who may read the journal, or name another \
                 directory with --state-dir"
            )));
        }
    };
    let found = restored.is_some();
    Ok((History { directory, found }, restored))
}

/// The alert of a check, as if it came from the check: the one that stands already, if it does.
fn of_check(
    house: &House,
    name: Option<&String>,
    stood: Option<&[EpisodeRow]>,
) -> Result<Delivery, Exit> {
    let name = name.map_or("", String::as_str);
    let Some(mut alert) = house.checks.alert(name) else {
        let meant = super::meant(name, house.checks.names());
        return Err(super::usage(&format!(
            "--check: no check is called {name:?}; {meant}"
        )));
    };
    let mut standing = stood.into_iter().flatten().filter(|row| !row.resolved);
    let of_check = |row: &EpisodeRow| {
        let episode = Episode::stored(&row.episode);
        let same = episode.is_of(SOURCE) && episode.fingerprint() == name;
        let start = episode.as_str().rsplit('/').next();
        let start = start.and_then(Timestamp::parse);
        same.then_some((episode, start))
    };
    if let Some((episode, start)) = standing.find_map(of_check) {
        alert.episode = episode;
        alert.starts_at = start;
    }
    Ok(Delivery::of(alert))
}

fn json_of(planned: &Planned, now: Timestamp) -> String {
    let directory = planned.history.directory.as_deref();
    let journal = directory.filter(|_| planned.history.found);
    let told = app::plan::told(&planned.forecast, &planned.hook, journal, now);
    format!("{}\n", json!(told))
}
