//! `nodeward show`: reads once and prints, as one dialect would tell it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};

use super::{Exit, flags};
use crate::app::{self, Settings};
use crate::dialect::prometheus::Format;
use crate::dialect::zabbix::key::Key;
use crate::dialect::zabbix::passive;
use crate::subject::{Asker, TABLE};

/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Said of a key that only a running process can answer.
const RUNNING: &str = "told by a running nodeward";

pub(super) fn command() -> Command {
    flags::add(
        Command::new("show")
            .about("Read the machine once and print what one dialect would tell")
            .arg(
                Arg::new("format")
                    .long("format")
                    .value_name("FORMAT")
                    .value_parser(["prometheus", "openmetrics", "otlp", "zabbix", "json"])
                    .default_value("prometheus")
                    .help("What to print"),
            )
            .arg(
                Arg::new("key")
                    .long("key")
                    .value_name("KEY")
                    .help("Print the value of one Zabbix key, as zabbix_get would"),
            ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let flags = flags::read(matches);
    let settings = match Settings::resolve(&flags) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let format = matches
        .get_one::<String>("format")
        .map_or("prometheus", String::as_str);
    let key = matches.get_one::<String>("key").map(String::as_str);
    runtime.block_on(async {
        match (key, format) {
            (Some(key), _) => show_key(&settings, key).await,
            (None, "zabbix") => show_keys(&settings).await,
            (None, format) => {
                let variable = |name: &str| std::env::var(name).ok();
                let state = app::state_directory(&flags, &settings.config, &variable);
                show_page(&settings, format, state.as_deref()).await
            }
        }
    })
}

async fn show_page(settings: &Settings, format: &str, state: Option<&Path>) -> Exit {
    let house = match app::House::build(settings) {
        Ok(house) => house,
        Err(bad) => return super::bad_settings(&bad),
    };
    let deadline = Instant::now() + PATIENCE;
    let asker = if matches!(format, "otlp" | "json") {
        Asker::Otlp
    } else {
        Asker::Prometheus
    };
    let snapshot = house.view.sampler.snapshot(asker, |_| true, deadline).await;
    let text = match format {
        "openmetrics" => crate::serve::page(&house.view, &snapshot, Format::OpenMetrics),
        "otlp" | "json" => house.otlp_json(&snapshot, &settings.otlp, state),
        _ => crate::serve::page(&house.view, &snapshot, Format::Text),
    };
    let missing: Vec<String> = snapshot
        .parts
        .iter()
        .filter_map(|p| {
            p.held
                .as_ref()
                .err()
                .map(|why| format!("{}: {why}", p.subject))
        })
        .collect();
    if let Err(exit) = super::print(&text) {
        return exit;
    }
    let told = snapshot.parts.len() - missing.len();
    super::say(&format!("{told} of {} subjects read", snapshot.parts.len()));
    for line in &missing {
        super::say(line);
    }
    Exit::Fine
}

/// Who would answer a Zabbix server.
async fn passive(settings: &Settings) -> Result<passive::Server, Exit> {
    let house = app::House::build(settings).map_err(|bad| super::bad_settings(&bad))?;
    let house = Arc::new(house);
    let options = house.named(&settings.config.zabbix).await;
    let server = house.passive(&options, Arc::default());
    server.map_err(|why| super::bad_settings(&app::BadSettings::Config(why)))
}

async fn show_key(settings: &Settings, text: &str) -> Exit {
    let key = match Key::parse(text) {
        Ok(key) => key,
        Err(why) => return super::usage(&format!("--key {text}: {why}")),
    };
    let server = match passive(settings).await {
        Ok(server) => server,
        Err(exit) => return exit,
    };
    if app::told::keys().any(|item| item.name == key.name()) {
        return super::fail(&format!("{text}: {RUNNING}; zabbix_get asks it"));
    }
    match server.value(&key, Instant::now() + PATIENCE).await {
        Ok(value) => super::print(format!("{value}\n").as_bytes())
            .err()
            .unwrap_or(Exit::Fine),
        Err(why) => super::fail(&format!("{text}: ZBX_NOTSUPPORTED: {why}")),
    }
}

/// Every key, asked without parameters, as `zabbix_agentd -p` prints them; those of checks and healing by their names.
async fn show_keys(settings: &Settings) -> Exit {
    let server = match passive(settings).await {
        Ok(server) => server,
        Err(exit) => return exit,
    };
    let mut lines = String::new();
    let mut count = 0;
    let agent = crate::dialect::zabbix::agent::KEYS
        .iter()
        .map(|name| (*name, 0));
    let subjects = TABLE
        .iter()
        .flat_map(|e| (e.items)())
        .map(|i| (i.name, i.parameters.len()));
    // What becomes of checks and incidents, only a process that runs them knows.
    let running = app::told::keys_of(&settings.config, &settings.otlp);
    for (name, parameters) in agent.chain(subjects) {
        let Ok(key) = Key::parse(name) else { continue };
        let said = match server.value(&key, Instant::now() + PATIENCE).await {
            Ok(value) => format!("[{value}]"),
            Err(why) if parameters > 0 => format!("needs parameters: {why}"),
            Err(why) => format!("[ZBX_NOTSUPPORTED: {why}]"),
        };
        lines.push_str(&format!("{name:<42} {said}\n"));
        count += 1;
    }
    for item in running {
        lines.push_str(&format!("{:<42} {RUNNING}\n", item.name));
    }
    if let Err(exit) = super::print(lines.as_bytes()) {
        return exit;
    }
    super::say(&format!("{count} keys asked without parameters"));
    Exit::Fine
}
