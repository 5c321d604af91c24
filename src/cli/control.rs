//! `nodeward status`, `reload` and `health`: clients of a running nodeward.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::Exit;
use crate::action;
use crate::app::{self, BadSettings, Flags, Settings};
use crate::config::{self, Config};
use crate::model::counted::counted;
use crate::model::terminal;
use crate::net;
use crate::net::client::{Client, Limits, Protocol, Request, Response};
use crate::net::endpoint::Endpoint;
use crate::net::resolve::Resolver;

/// A reload may wait for what is sent before it.
const PATIENCE: Duration = Duration::from_secs(30);
/// A health check answers at once or not at all.
const HEALTH: Duration = Duration::from_secs(3);

pub(super) fn with_place(command: Command) -> Command {
    let path = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    command
        .arg(path("socket", "Control socket"))
        .arg(path(
            "state-dir",
            "State directory: the socket lies there if nothing else says where",
        ))
        .arg(path("config", "Config file that says where it is").short('c'))
}

pub(super) fn status_command() -> Command {
    with_place(Command::new("status").about("Say what a running nodeward does")).arg(
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("Print the state as JSON"),
    )
}

pub(super) fn reload_command() -> Command {
    with_place(
        Command::new("reload")
            .about("Make a running nodeward read its config again, and say how that went"),
    )
}

pub(super) fn health_command() -> Command {
    with_place(
        Command::new("health")
            .about("Exit 0 if nodeward answers: for a container's health check")
            .arg(
                Arg::new("url")
                    .long("url")
                    .value_name("URL")
                    .help("What to ask [default: /-/healthy of the first http.listen]"),
            ),
    )
}

/// What the command line says of where the socket is.
fn place(matches: &ArgMatches) -> Flags {
    let get = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    Flags {
        config: get("config"),
        socket: get("socket"),
        state_dir: get("state-dir"),
        ..Flags::default()
    }
}

/// Asks the control socket.
pub(super) fn ask(matches: &ArgMatches, request: Request) -> Result<Response, Exit> {
    let flags = place(matches);
    let config = match config::locate(flags.config.clone()) {
        // Where the socket is named, a config that is broken just now is in nobody's way.
        Some(file) if flags.socket.is_none() => {
            let loaded = config::load(&file);
            let loaded =
                loaded.map_err(|e| super::bad_settings(&BadSettings::Config(e.to_string())));
            loaded?.config
        }
        _ => Config::default(),
    };
    ask_at(&flags, &config, request).map_err(|why| super::fail(&why))
}

/// The same with a given config; an error is what to tell the user.
fn ask_at(flags: &Flags, config: &Config, request: Request) -> Result<Response, String> {
    let variable = |name: &str| std::env::var(name).ok();
    let socket = app::socket(flags, config, &variable)
        .ok_or("there is no control socket: control is off, or no directory for it is known; name it with --socket")?;
    let endpoint: Endpoint = format!("unix:{}", socket.display())
        .parse()
        .map_err(|e| format!("control socket {}: {e}", socket.display()))?;
    exchange(endpoint, request.within(PATIENCE)).map_err(|(why, ours)| match ours {
        true => format!(
            "{why}: the control socket is for root and for the user that nodeward runs as; become one of them"
        ),
        false => format!(
            "{why}; is nodeward running, and is this its control socket (--socket, control)?"
        ),
    })
}

/// An error: what to tell the user, and whether it was for want of permission.
fn exchange(endpoint: Endpoint, request: Request) -> Result<Response, (String, bool)> {
    let runtime = super::runtime().map_err(|_| ("the runtime did not start".to_owned(), false))?;
    let client = Client::new(
        endpoint,
        Protocol::Http1,
        Limits::default(),
        Resolver::default(),
    );
    runtime
        .block_on(client.send(request))
        .map_err(|e| {
            let denied = matches!(&e, net::client::Error::Connect { source, .. } if source.kind() == ErrorKind::PermissionDenied);
            (e.told(), denied)
        })
}

pub(super) fn status(matches: &ArgMatches) -> Exit {
    let response = match ask(matches, Request::get().at("/api/v1/state")) {
        Ok(response) => response,
        Err(exit) => return exit,
    };
    let state = match state(&response) {
        Ok(state) => state,
        Err(why) => return super::fail(&why),
    };
    if matches.get_flag("json") {
        return super::print(format!("{state:#}\n").as_bytes())
            .err()
            .unwrap_or(Exit::Fine);
    }
    let text = |at: &str| match state.pointer(at) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "unknown".into(),
    };
    let list = |at: &str| -> Vec<String> {
        let items = state.pointer(at).and_then(Value::as_array);
        items
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect()
    };
    let mut lines = vec![format!(
        "nodeward {} (pid {}), up {} s",
        text("/version"),
        text("/pid"),
        text("/uptime_seconds")
    )];
    lines.extend(list("/serving"));
    let files = list("/config/files");
    lines.push(if files.is_empty() {
        "no config file: defaults and flags".into()
    } else {
        format!("config {}", files.join(", "))
    });
    if state.pointer("/config/last_reload_successful") == Some(&Value::Bool(false)) {
        lines.push("the last reload was refused: see the log, or nodeward validate".into());
    }
    if state
        .pointer("/journal/failing")
        .is_some_and(Value::is_object)
    {
        let (since, why) = (text("/journal/failing/since"), text("/journal/failing/why"));
        lines.push(format!(
            "nothing can be put on record since {since}, so nothing is healed and webhooks are answered 503: {why}"
        ));
    }
    lines.push(format!("node is {}", text("/state")));
    lines.extend(down(&state));
    if let Some(healing) = state.get("healing").filter(|h| h.is_object()) {
        lines.extend(healed(healing));
    }
    // What others wrote is not to write lines of its own.
    let lines = lines.iter().map(|line| terminal::line(line) + "\n");
    super::tell(&lines.collect::<String>())
        .err()
        .unwrap_or(Exit::Fine)
}

/// How many lines of a kind are shown at most.
const SHOWN: usize = 20;

/// The lines about checks that are down for so long that their alert stands.
fn down(state: &Value) -> Vec<String> {
    let checks = state.get("checks_down").and_then(Value::as_array);
    let checks = checks.map(Vec::as_slice).unwrap_or_default();
    let line = |check: &Value| {
        let text = |at: &str| check.get(at).and_then(Value::as_str).unwrap_or("?");
        let critical = match check.get("critical") {
            Some(Value::Bool(true)) => ", which is critical,",
            _ => "",
        };
        let (name, since, why) = (text("check"), text("since"), text("why"));
        format!("check {name}{critical} is down since {since}: {why}")
    };
    let mut lines: Vec<String> = checks.iter().take(SHOWN).map(line).collect();
    lines.extend(more(lines.len(), checks.len() as u64, "check"));
    lines
}

/// What is said of those that are not shown.
fn more(shown: usize, all: u64, what: &str) -> Option<String> {
    let left = all.saturating_sub(shown as u64);
    (left > 0).then(|| format!("{} more, not shown", counted(left, what)))
}

/// How many there are of all kinds that `at` counts.
fn sum(state: &Value, at: &str) -> u64 {
    let counts = state.get(at).and_then(Value::as_object);
    let counts = counts.into_iter().flatten();
    counts.filter_map(|(_, many)| many.as_u64()).sum()
}

/// The lines about healing.
fn healed(state: &Value) -> Vec<String> {
    let text = |at: &Value, name: &str| match at.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let list = |at: &Value, name: &str| -> Vec<Value> {
        let items = at.get(name).and_then(Value::as_array);
        items.cloned().unwrap_or_default()
    };
    let mut lines = Vec::new();
    for (name, words) in [
        ("paused", "healing is paused"),
        ("maintenance", "maintenance"),
        ("storm", "storm"),
    ] {
        let why = text(state, name);
        if !why.is_empty() {
            lines.push(format!("{words}: {why}"));
        }
    }
    let windows = state.get("windows").and_then(Value::as_object);
    for (name, next) in windows.into_iter().flatten() {
        let next = next.as_str().unwrap_or_default();
        lines.push(format!("window {name} opens next at {next}"));
    }
    lines.extend(pools(state));
    let alerts = list(state, "alerts");
    for alert in &alerts {
        let taken = match list(alert, "incidents").is_empty() {
            true => ", no playbook takes it",
            false => "",
        };
        let told = text(alert, "told");
        let (severity, name) = (text(alert, "severity"), text(alert, "name"));
        let of = match text(alert, "check") {
            check if check.is_empty() => check,
            check => format!(" of the check {check}"),
        };
        lines.push(format!("alert {name}{of} ({severity}) since {told}{taken}"));
    }
    lines.extend(more(alerts.len(), sum(state, "firing"), "alert"));
    let open = list(state, "open");
    if open.is_empty() {
        lines.push("no open incidents".into());
    }
    for incident in &open {
        lines.push(format!(
            "incident {}: {} by {}, {}, {}",
            text(incident, "id"),
            text(incident, "target"),
            text(incident, "playbook"),
            text(incident, "state"),
            counted(text(incident, "attempts"), "attempt"),
        ));
        for verdict in list(incident, "refused_by") {
            let (guard, value) = (text(&verdict, "guard"), text(&verdict, "value"));
            lines.push(format!("  waits for {guard}: {value}"));
        }
        if let Some(asked) = incident.get("question") {
            let action = asked.get("action").map(action::plain);
            lines.push(format!(
                "  nodeward approve {} has it {}",
                text(asked, "id"),
                action.unwrap_or_default()
            ));
        }
    }
    lines.extend(more(open.len(), sum(state, "states"), "incident"));
    lines
}

/// The lines about pools that this node is out of, each hold with how to lift it.
fn pools(state: &Value) -> Vec<String> {
    let pools = state.get("pools").and_then(Value::as_object);
    let mut lines = Vec::new();
    for (name, pool) in pools.into_iter().flatten() {
        let holds = pool.get("holds").and_then(Value::as_array);
        let holds = holds.map(Vec::as_slice).unwrap_or_default();
        if pool.get("returning") == Some(&Value::Bool(true)) {
            lines.push(format!("rejoins {name}: not all of its gates have heard"));
        }
        for hold in holds {
            let text = |at: &str| hold.get(at).and_then(Value::as_str).unwrap_or("?");
            let is = |at: &str| hold.get(at) == Some(&Value::Bool(true));
            let eases = if is("easing") { ", on probation" } else { "" };
            let (owner, why, since) = (text("owner"), text("why"), text("since"));
            lines.push(format!(
                "out of {name} since {since}: {why} ({owner}{eases})"
            ));
            if is("left") || owner.starts_with("operator:") {
                lines.push(format!("  nodeward rejoin {name} --hold {owner} lifts it"));
            }
        }
    }
    lines
}

/// The state in an answer to a question for it.
fn state(response: &Response) -> Result<Value, String> {
    serde_json::from_slice(&response.body)
        .map_err(|_| "the answer is no JSON: another program holds this socket".into())
}

pub(super) fn reload(matches: &ArgMatches) -> Exit {
    match ask(
        matches,
        Request::post("").at("/api/v1/reload").at_most_once(),
    ) {
        Ok(response) => {
            let said = String::from_utf8_lossy(&response.body).into_owned();
            if response.status.is_success() {
                super::say(&said);
                Exit::Fine
            } else {
                super::say(&said);
                super::say("not reloaded: the config before stays in force");
                Exit::BadConfig
            }
        }
        Err(exit) => exit,
    }
}

pub(super) fn health(matches: &ArgMatches) -> Exit {
    let (url, named) = match matches.get_one::<String>("url") {
        Some(url) => (url.clone(), true),
        None => match own_url(matches) {
            Ok(url) => (url, false),
            Err(exit) => return exit,
        },
    };
    let endpoint: Endpoint = match url.parse() {
        Ok(endpoint) => endpoint,
        Err(error) => return super::usage(&format!("--url {url}: {error}")),
    };
    let mut request = Request::get().within(HEALTH);
    if !named {
        request = request.at("/-/healthy");
    }
    match exchange(endpoint, request) {
        Ok(response) if response.status.is_success() => {
            super::say(&format!("{url}: healthy"));
            Exit::Fine
        }
        Ok(response) => super::fail(&format!("{url}: answered {}", response.status)),
        Err((why, _)) => super::fail(&why),
    }
}

/// Where the running nodeward serves HTTP: as the config says, or, where that leaves it open or the control socket is
/// named, as the process says itself.
fn own_url(matches: &ArgMatches) -> Result<String, Exit> {
    let flags = place(matches);
    let config = match flags.socket {
        Some(_) => Config::default(),
        None => {
            let config = match Settings::resolve(&flags) {
                Ok(settings) => settings.config,
                Err(bad) => return Err(super::bad_settings(&bad)),
            };
            let Some(first) = config.http.listen.first() else {
                let why = "http.listen is empty: name what to ask with --url";
                return Err(super::fail(why));
            };
            if config.http.tls.is_some() {
                // No certificate is for 127.0.0.1, and a client may need one of its own.
                let variable = |name: &str| std::env::var(name).ok();
                if let Some(socket) = app::socket(&flags, &config, &variable) {
                    return Ok(format!("unix:{}", socket.display()));
                }
                let why = "with http.tls the control socket is asked, and there is none (control); or name what to ask with --url";
                return Err(super::fail(why));
            }
            if let Some(url) = first.parse().ok().and_then(|at| app::own_url(&at, "http")) {
                return Ok(url);
            }
            config
        }
    };
    let request = Request::get().at("/api/v1/state");
    let said = ask_at(&flags, &config, request).and_then(|response| state(&response));
    let state = said.map_err(|why| super::fail(&why))?;
    match state.pointer("/http/0").and_then(Value::as_str) {
        Some(url) => Ok(url.to_owned()),
        None => Err(super::fail(
            "the running nodeward serves no HTTP: name what to ask with --url",
        )),
    }
}
