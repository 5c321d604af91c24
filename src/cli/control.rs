//! How a running nodeward is reached, and `nodeward reload` and `health`. What it does is said by [`status`](super::status).

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::Value;

use super::{Exit, place};
use crate::app::{self, Flags, Settings};
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
fn flags(matches: &ArgMatches) -> Flags {
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
    let socket = place::socket(&flags(matches))?;
    ask_at(socket, request).map_err(|why| super::fail(&why))
}

/// The same of a given one; an error is what to tell the user.
fn ask_at(socket: Option<PathBuf>, request: Request) -> Result<Response, String> {
    let socket = socket
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

/// The state in an answer to a question for it.
pub(super) fn state(response: &Response) -> Result<Value, String> {
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
/// named, as the process says itself. With a config that is broken just now, the control socket.
fn own_url(matches: &ArgMatches) -> Result<String, Exit> {
    let flags = flags(matches);
    let socket = match flags.socket {
        Some(_) => place::socket(&flags)?,
        None => {
            let Ok(Settings { config, files, .. }) = Settings::resolve(&flags) else {
                let why = "the config is broken, and it has no control socket to ask instead (control): name what to ask with --url";
                let socket = place::socket(&flags)?.ok_or_else(|| super::fail(why))?;
                return Ok(format!("unix:{}", socket.display()));
            };
            let Some(first) = config.http.listen.first() else {
                let why = "http.listen is empty: name what to ask with --url";
                return Err(super::fail(why));
            };
            let variable = |name: &str| std::env::var(name).ok();
            let socket = app::socket(&flags, &config, &variable);
            // No certificate is for 127.0.0.1, and a client may need one of its own, or a login.
            let guarded = config.http.tls.is_some() || config.http.web_config.is_some();
            // Without a config flags may have said anything of the listener.
            let by_flags = files.is_empty() && socket.as_ref().is_some_and(|path| path.exists());
            if guarded || by_flags {
                if let Some(socket) = socket {
                    return Ok(format!("unix:{}", socket.display()));
                }
                let why = "with http.tls or http.web_config the control socket is asked, and there is none (control); or name what to \
                           ask with --url";
                return Err(super::fail(why));
            }
            if let Some(url) = first.parse().ok().and_then(|at| app::own_url(&at, "http")) {
                return Ok(url);
            }
            socket
        }
    };
    let request = Request::get().at("/api/v1/state");
    let said = ask_at(socket, request).and_then(|response| state(&response));
    let state = said.map_err(|why| super::fail(&why))?;
    match state.pointer("/http/0").and_then(Value::as_str) {
        Some(url) => Ok(url.to_owned()),
        None => Err(super::fail(
            "the running nodeward serves no HTTP: name what to ask with --url",
        )),
    }
}
