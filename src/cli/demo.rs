//! `nodeward demo`: breaks a service of its own and heals it, before your eyes.
//!
//! ```text
//!  demo ──starts──> demo-service (answers 200)     <── probes, repair ──┐
//!   ├────starts──> demo-nodeward (the real program, a config of its own) ┘
//!   ├─ POST /break ─> demo-service answers 500
//!   ├─ POST /hooks/alertmanager, as Alertmanager would
//!   └─ reads the journal while it is written, and tells it in plain words
//! ```
//!
//! It needs no privilege, no other program and no network but loopback; both processes end with it.

mod part;
mod shop;

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::{Exit, flags, journal as records};
use crate::heal::words;
use crate::journal::{Filter, Reader};
use crate::model::moment::Timestamp;
use crate::net::client::{Client, Limits, Protocol, Request};
use crate::net::resolve::Resolver;
use part::Part;

pub(super) use shop::{command as service_command, run as run_service};

/// The subcommand that is `run` for the demo.
const NODEWARD: &str = "demo-nodeward";
/// How long healing may take; on an idle machine it is five seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the journal is read for what is new.
const LOOK: Duration = Duration::from_millis(50);
/// Where to read on.
const READ_ON: &str = "docs/HEALING.md";

pub(super) fn command() -> Command {
    Command::new("demo")
        .about("Break a service of the demo's own and watch nodeward heal it")
        .long_about(
            "Starts a small HTTP service and a nodeward with a config for it, breaks the service, sends the alert as \
             Alertmanager would, and tells what the journal says meanwhile. Takes some seconds; needs no root and no network \
             but loopback, changes nothing on the machine and removes what it made.",
        )
        .arg(
            Arg::new("keep")
                .long("keep")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Leave config, logs and journal in this new or empty directory"),
        )
}

/// `run` once more, under a name that says why it is there and that it ends with the demo.
pub(super) fn nodeward_command() -> Command {
    flags::add(
        Command::new(NODEWARD)
            .about("The nodeward of nodeward demo")
            .hide(true),
    )
}

pub(super) fn run_nodeward(matches: &ArgMatches) -> Exit {
    part::end_with_parent();
    super::run::run(matches)
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let place = match Place::make(matches.get_one::<PathBuf>("keep")) {
        Ok(place) => place,
        Err(why) => return super::fail(&why),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = story(&place) => ended,
            why = interrupted() => Err(why),
        }
    });
    let kept = match (&ended, place.keep) {
        (_, false) => String::new(),
        (_, true) => format!("; all of it is in {}", place.path.display()),
    };
    match ended {
        Ok(took) => {
            super::say(&format!(
                "healed in {:.1} s{kept}; read on in {READ_ON}",
                took.as_secs_f64()
            ));
            Exit::Fine
        }
        Err(why) => super::fail(&format!("demo: {why}{kept}")),
    }
}

/// The directory of the demo, for its owner alone.
struct Place {
    path: PathBuf,
    keep: bool,
}

impl Place {
    fn make(keep: Option<&PathBuf>) -> Result<Self, String> {
        let path = match keep {
            Some(path) => path.clone(),
            None => std::env::temp_dir().join(format!("nodeward-demo-{}", ulid::Ulid::generate())),
        };
        let cannot = |e| format!("demo: make the directory {}: {e}", path.display());
        let path = std::path::absolute(&path).map_err(cannot)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if keep.is_some() && e.kind() == std::io::ErrorKind::AlreadyExists => {
                if std::fs::read_dir(&path).map_err(cannot)?.next().is_some() {
                    let path = path.display();
                    return Err(format!(
                        "demo: --keep {path}: it is not empty; name a new directory"
                    ));
                }
            }
            made => made.map_err(cannot)?,
        }
        let keep = keep.is_some();
        Ok(Self { path, keep })
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf, String> {
        let path = self.path.join(name);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&path);
        opened
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|e| format!("write {}: {e}", path.display()))?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            // In the temporary directory; what cannot be removed goes with it.
            drop(std::fs::remove_dir_all(&self.path));
        }
    }
}

/// Ends when somebody wants the demo to.
async fn interrupted() -> String {
    let wait = |kind| async move {
        match signal(kind) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
    "interrupted before anything was healed".to_owned()
}

/// The whole of it; how long healing took.
async fn story(place: &Place) -> Result<Duration, String> {
    let shop = Part::start(shop::NAME, &[], &place.path.join("service.log")).await?;
    let token = format!("{}{}", ulid::Ulid::generate(), ulid::Ulid::generate());
    place.write("hook.token", &token)?;
    let config = place.write("nodeward.yml", &config(&shop.address))?;
    let state = place.path.join("state");
    let words = [config.to_string_lossy(), state.to_string_lossy()];
    let args = ["--config", &words[0], "--state-dir", &words[1]];
    let nodeward = Part::start(NODEWARD, &args, &place.path.join("nodeward.log")).await?;
    tell(
        None,
        &format!(
            "a service at http://{}/ answers 200, and a nodeward looks after it",
            shop.address
        ),
    )?;

    send(&shop.address, Request::post("").at("/break")).await?;
    tell(None, "the service is broken on purpose: it answers 500")?;
    let alert = Request::post(alert(&Timestamp::now().to_string()).to_string())
        .at("/hooks/alertmanager")
        .header("content-type", "application/json")
        .header("authorization", &format!("Bearer {token}"));
    let what = "its alert is posted to the webhook, as Alertmanager would; from here on the journal speaks";
    tell(None, what)?;
    send(&nodeward.address, alert).await?;

    let took = follow(&state).await?;
    send(&shop.address, Request::get().at("/")).await?;
    tell(None, "the service answers 200 again")?;
    nodeward.end().await?;
    tell(
        None,
        &format!("journal verify: {}", records::proven(&state)?),
    )?;
    Ok(took)
}

/// The playbook of the demo, as a user would write it.
fn config(shop: &str) -> String {
    format!(
        "# Made by nodeward demo.\n\
         node: {{name: demo, match: {{instance: [\"demo:80\"]}}}}\n\
         http: {{listen: [\"127.0.0.1:0\"]}}\n\
         control: off\n\
         hooks:\n  \
           alertmanager: {{bearer_token_file: hook.token, playbooks: [shop-broken]}}\n\
         checks:\n  \
           shop: {{probe: {{http: {{url: \"http://{shop}/\"}}}}, every: 500ms, rise: 1, fall: 2, critical: true}}\n\
         playbooks:\n  \
           shop-broken:\n    \
             mode: auto\n    \
             match: {{alertname: ShopBroken, service: {{in: [shop]}}}}\n    \
             target: {{service: {{from: service}}}}\n    \
             confirm: [{{check: shop}}]\n    \
             ladder:\n      \
               - do: {{http: {{url: \"http://{shop}/repair\", allow_loopback: true, idempotent: true}}}}\n    \
             verify: {{all: [{{check: shop}}], pass: 3, every: 500ms, deadline: 10s}}\n    \
             probation: 3s\n"
    )
}

/// What Alertmanager sends (webhook, version 4).
fn alert(starts: &str) -> Value {
    let labels = json!({
        "alertname": "ShopBroken", "instance": "demo:80", "service": "shop", "severity": "critical",
    });
    let annotations = json!({"summary": "The shop answers 500"});
    json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"ShopBroken\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "nodeward",
        "groupLabels": {"alertname": "ShopBroken"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager:9093",
        "alerts": [{
            "status": "firing",
            "labels": labels,
            "annotations": annotations,
            "startsAt": starts,
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "5ca1ab1edeadbea7",
        }],
    })
}

/// Sends one request and wants a 2xx.
async fn send(address: &str, request: Request) -> Result<(), String> {
    let url = format!("http://{address}/");
    let endpoint = url.parse().map_err(|e| format!("{url}: {e}"))?;
    let client = Client::new(
        endpoint,
        Protocol::Http1,
        Limits::default(),
        Resolver::default(),
    );
    let answer = client.send(request).await.map_err(|e| e.to_string())?;
    if answer.status.is_success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    Err(format!("{url} answered {}: {}", answer.status, said.trim()))
}

/// Tells records as they are written, until the incident is over; how long healing took. The runtime has nothing else to do while
/// the disk is read but to hear of a signal.
async fn follow(state: &Path) -> Result<Duration, String> {
    let reader = Reader::open(state).map_err(|e| e.to_string())?;
    let until = Instant::now() + PATIENCE;
    let mut filter = Filter::default();
    while Instant::now() < until {
        let mut new = Vec::new();
        let read = reader.entries(&filter, &mut |stored| {
            new.push(stored.clone());
            ControlFlow::Continue(())
        });
        read.map_err(|e| e.to_string())?;
        for stored in new {
            filter.after = stored.seq;
            let record: Value = serde_json::from_str(&stored.line)
                .map_err(|e| format!("record {} of the journal: {e}", stored.seq))?;
            // That it is on duty was told before.
            let begins = record.get("kind").and_then(Value::as_str) == Some("start");
            if let Some(said) = words::plain(&record).filter(|_| !begins) {
                tell(Some(&record), &said)?;
            }
            match record.pointer("/to").and_then(Value::as_str) {
                Some("healed") => {
                    let took = record.pointer("/data/took_ms").and_then(Value::as_u64);
                    return Ok(Duration::from_millis(took.unwrap_or_default()));
                }
                Some("escalated" | "suppressed" | "observed" | "resolved_alone" | "cancelled") => {
                    return Err("the service was not healed".to_owned());
                }
                _ => {}
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("nothing was healed within {PATIENCE:?}"))
}

/// One line of the timeline: the time of day in UTC, the number of the record that says so, if one does, and what.
fn tell(record: Option<&Value>, what: &str) -> Result<(), String> {
    let time = match record
        .and_then(|r| r.pointer("/time"))
        .and_then(Value::as_str)
    {
        Some(time) => time.to_owned(),
        None => Timestamp::now().to_string(),
    };
    let time = time.split(['T', 'Z']).nth(1).unwrap_or_default();
    let number = record
        .and_then(|r| r.pointer("/seq"))
        .map(|seq| format!("#{seq}"));
    let line = format!("{time}  {:<4} {what}\n", number.unwrap_or_default());
    match super::tell(&line) {
        Ok(()) | Err(Exit::Fine) => Ok(()),
        Err(_) => Err("standard output cannot be written".to_owned()),
    }
}
