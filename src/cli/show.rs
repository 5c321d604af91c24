//! `nodeward show`: reads once and prints, as one dialect would tell it.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command};

use super::{Exit, flags};
use crate::app::{self, Settings};
use crate::dialect::prometheus::Format;
use crate::dialect::zabbix::answer::Unsupported;
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
                    .help("Print the value of one Zabbix key, as zabbix_get would; with --format zabbix as zabbix_agentd -t would"),
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
            (Some(key), format) => show_key(&settings, key, format == "zabbix").await,
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

/// A line as `zabbix_agentd -p` and `-t` print it: the type in front of the value, s(tring), t(ext), u(nsigned), d(ouble), or m(essage).
fn line(key: &str, said: &Result<Cow<'_, str>, Unsupported>) -> String {
    match said {
        Ok(text) => {
            let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
            let kind = match text.split_once('.') {
                None if text == "0" => 'u',
                // Permissions begin with a zero, and are no number.
                None if !text.is_empty() && number(text) && !text.starts_with('0') => 'u',
                Some((whole, part)) if part.len() == 6 && number(whole) && number(part) => 'd',
                _ if text.contains('\n') => 't',
                _ if TEXTS.contains(&key.split('[').next().unwrap_or_default()) => 't',
                _ => 's',
            };
            format!("{key:<45} [{kind}|{text}]\n")
        }
        Err(why) => format!("{key:<45} [m|ZBX_NOTSUPPORTED] [{why}]\n"),
    }
}

/// Keys whose values may have several lines.
const TEXTS: [&str; 3] = ["system.hw.cpu", "system.sw.packages", "vfs.file.contents"];

/// Keys that need parameters, with some that most machines have an answer for.
const EXAMPLES: &[(&str, &str)] = &[
    ("net.if.collisions", "[lo]"),
    ("net.if.in", "[lo,bytes]"),
    ("net.if.out", "[lo,bytes]"),
    ("net.if.total", "[lo,bytes]"),
    ("net.tcp.listen", "[80]"),
    ("net.tcp.port", "[,80]"),
    ("net.tcp.service", "[ssh,127.0.0.1,22]"),
    ("net.tcp.service.perf", "[ssh,127.0.0.1,22]"),
    ("net.udp.listen", "[68]"),
    ("nodeward.pressure", "[cpu]"),
    ("nodeward.systemd.unit.cpu.throttled", "[ssh.service]"),
    ("nodeward.systemd.unit.cpu.time", "[ssh.service]"),
    ("nodeward.systemd.unit.io.read", "[ssh.service]"),
    ("nodeward.systemd.unit.io.write", "[ssh.service]"),
    ("nodeward.systemd.unit.memory.limit", "[ssh.service]"),
    ("nodeward.systemd.unit.memory.usage", "[ssh.service]"),
    ("nodeward.systemd.unit.oom_kills", "[ssh.service]"),
    ("nodeward.systemd.unit.restarts", "[ssh.service]"),
    ("nodeward.systemd.unit.tasks", "[ssh.service]"),
    ("nodeward.systemd.unit.tasks.limit", "[ssh.service]"),
    ("nodeward.tcpstat.accept_queue", "[22]"),
    ("nodeward.tcpstat.accept_queue.limit", "[22]"),
    ("sensor", "[coretemp-isa-0000,temp1]"),
    ("systemd.unit.get", "[ssh.service]"),
    ("systemd.unit.info", "[ssh.service]"),
    ("vfs.dir.count", "[/var/log]"),
    ("vfs.dir.size", "[/var/log]"),
    ("vfs.file.cksum", "[/etc/passwd]"),
    ("vfs.file.contents", "[/proc/pressure/cpu]"),
    ("vfs.file.exists", "[/etc/passwd]"),
    ("vfs.file.get", "[/etc/passwd]"),
    ("vfs.file.md5sum", "[/etc/passwd]"),
    ("vfs.file.owner", "[/etc/passwd,user,name]"),
    ("vfs.file.permissions", "[/etc/passwd]"),
    ("vfs.file.size", "[/etc/passwd]"),
    ("vfs.file.time", "[/etc/passwd,modify]"),
    ("vfs.fs.inode", "[/,free]"),
    ("vfs.fs.size", "[/,free]"),
];

async fn show_key(settings: &Settings, text: &str, whole: bool) -> Exit {
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
    let said = server.value(&key, Instant::now() + PATIENCE).await;
    if whole {
        let printed = super::print(line(text, &said).as_bytes());
        return printed.err().unwrap_or(Exit::Fine);
    }
    match said {
        Ok(value) => super::print(format!("{value}\n").as_bytes())
            .err()
            .unwrap_or(Exit::Fine),
        Err(why) => super::fail(&format!("{text}: ZBX_NOTSUPPORTED: {why}")),
    }
}

/// Every key, as `zabbix_agentd -p` prints them, those that need parameters with some; those of checks and healing by their names.
async fn show_keys(settings: &Settings) -> Exit {
    let server = match passive(settings).await {
        Ok(server) => server,
        Err(exit) => return exit,
    };
    let mut lines = String::new();
    let mut count = 0;
    let agent = crate::dialect::zabbix::agent::KEYS.into_iter();
    let subjects = TABLE.iter().flat_map(|e| (e.items)()).map(|i| i.name);
    // What becomes of checks and incidents, only a process that runs them knows.
    let running = app::told::keys_of(&settings.config, &settings.otlp);
    for name in agent.chain(subjects) {
        let example = EXAMPLES.iter().find(|(known, _)| *known == name);
        let text = format!("{name}{}", example.map_or("", |(_, parameters)| parameters));
        let Ok(key) = Key::parse(&text) else { continue };
        let said = server.value(&key, Instant::now() + PATIENCE).await;
        lines.push_str(&line(&text, &said));
        count += 1;
    }
    for item in running {
        lines.push_str(&format!(
            "{:<45} [m|ZBX_NOTSUPPORTED] [{RUNNING}]\n",
            item.name
        ));
    }
    if let Err(exit) = super::print(lines.as_bytes()) {
        return exit;
    }
    super::say(&format!("{count} keys asked"));
    Exit::Fine
}
