//! `nodeward pause`, `resume`, `maintenance`, `approve`, `reject`, `ack`, `cancel`, `isolate` and `rejoin`: what operators tell a running nodeward.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::{Exit, control};
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::net::client::Request;

const NAMES: [&str; 9] = [
    "pause",
    "resume",
    "maintenance",
    "approve",
    "reject",
    "ack",
    "cancel",
    "isolate",
    "rejoin",
];

pub(super) fn commands() -> [Command; 9] {
    let reason = || Arg::new("reason").long("reason").value_name("TEXT");
    let pool = || {
        Arg::new("pool")
            .value_name("POOL")
            .required(true)
            .help("Its name in the config (pools)")
    };
    let about = |name: &'static str, help: &'static str| {
        let id = Arg::new("incident")
            .value_name("ID")
            .required(true)
            .help(match name {
                "approve" | "reject" => {
                    "What it asks, as status and the notice show it: ID-1. An incident that asked once is enough"
                }
                _ => "Its id as status shows it, or at least 4 characters of its beginning or end",
            });
        control::with_place(Command::new(name).about(help)).arg(id)
    };
    [
        control::with_place(
            Command::new("pause")
                .about("Stop healing: no new attempt starts until resume, over restarts too"),
        )
        .arg(reason().help("Why, for the record and for status")),
        control::with_place(Command::new("resume").about("Let healing go on after pause")),
        Command::new("maintenance")
            .about(
                "Say that this node is worked on: nothing is healed meanwhile, over restarts too",
            )
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                control::with_place(Command::new("on").about("Begin maintenance"))
                    .arg(
                        reason()
                            .required(true)
                            .help("Why, for the record and for status"),
                    )
                    .arg(
                        Arg::new("until")
                            .long("until")
                            .value_name("TIME")
                            .visible_alias("for")
                            .help("When it ends by itself: 2h from now, or 2026-11-22T16:38:47Z"),
                    )
                    .arg(
                        Arg::new("isolate")
                            .long("isolate")
                            .value_name("POOL")
                            .action(ArgAction::Append)
                            .help("Leave this pool meanwhile, or all of them: all. Can be given several times"),
                    ),
            )
            .subcommand(control::with_place(
                Command::new("off").about("End maintenance"),
            )),
        about("approve", "Let an incident do the very action it asks for"),
        about("reject", "Say no to that action; people are told"),
        about(
            "ack",
            "Say that somebody has taken up what was escalated: nobody is reminded of it any more",
        )
        .arg(
            Arg::new("by")
                .long("by")
                .value_name("NAME")
                .help("Who has it [default: who runs this]"),
        )
        .arg(reason().help("What is done about it, for the record and for who else was told")),
        about("cancel", "End an incident without healing it").arg(
            Arg::new("release")
                .long("release")
                .action(ArgAction::SetTrue)
                .help("Rejoin the pools that it has this node out of; else they stay left"),
        ),
        control::with_place(
            Command::new("isolate")
                .about("Have this node leave a pool until rejoin, over restarts too"),
        )
        .arg(pool())
        .arg(
            reason()
                .required(true)
                .help("Why, for the record and for status"),
        ),
        control::with_place(
            Command::new("rejoin").about("Take back a hold that keeps this node out of a pool"),
        )
        .arg(pool())
        .arg(
            Arg::new("hold")
                .long("hold")
                .value_name("OWNER")
                .help("Whose, as status shows it: incident:ID, operator:NAME or window:NAME [default: your own]"),
        ),
    ]
}

pub(super) fn does(name: &str) -> bool {
    NAMES.contains(&name)
}

pub(super) fn run(name: &str, matches: &ArgMatches) -> Exit {
    let (matches, body) = match body(name, matches) {
        Ok(both) => both,
        Err(exit) => return exit,
    };
    let path = match matches.try_get_one::<String>("pool") {
        Ok(Some(pool)) => format!("/api/v1/pools/{}/{name}", percent(pool)),
        _ => format!("/api/v1/{name}"),
    };
    let request = Request::post(body.to_string())
        .header("content-type", "application/json")
        .at(&path)
        .at_most_once();
    let response = match control::ask(matches, request) {
        Ok(response) => response,
        Err(exit) => return exit,
    };
    let said: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |key: &str| said.get(key).and_then(Value::as_str);
    match (text("done"), text("error")) {
        (Some(done), _) if response.status.is_success() => {
            super::say(done);
            Exit::Fine
        }
        (_, Some(error)) => super::fail(error),
        _ => super::fail("the answer is not nodeward's: another program holds this socket"),
    }
}

/// The flags that say where the socket is, and what is sent to it.
fn body<'a>(name: &str, matches: &'a ArgMatches) -> Result<(&'a ArgMatches, Value), Exit> {
    match (name, matches.subcommand()) {
        ("maintenance", Some(("on", matches))) => {
            let until = matches.get_one::<String>("until");
            let until = until.map(|text| ends(text)).transpose()?;
            let reason = matches.get_one::<String>("reason");
            Ok((
                matches,
                json!({"on": true, "reason": reason, "until": until, "isolate": many(matches, "isolate")}),
            ))
        }
        ("maintenance", Some((_, matches))) => Ok((matches, json!({"on": false}))),
        ("pause", _) => {
            let reason = matches.get_one::<String>("reason");
            Ok((matches, json!({"reason": reason})))
        }
        ("resume", _) => Ok((matches, json!({}))),
        ("isolate", _) => {
            let reason = matches.get_one::<String>("reason");
            Ok((matches, json!({"reason": reason})))
        }
        ("rejoin", _) => {
            let hold = matches.get_one::<String>("hold");
            Ok((matches, json!({"hold": hold})))
        }
        ("ack", _) => {
            let incident = matches.get_one::<String>("incident");
            let (by, reason) = (
                matches.get_one::<String>("by"),
                matches.get_one::<String>("reason"),
            );
            Ok((
                matches,
                json!({"incident": incident, "for": by, "reason": reason}),
            ))
        }
        ("cancel", _) => {
            let incident = matches.get_one::<String>("incident");
            let release = matches.get_flag("release");
            Ok((matches, json!({"incident": incident, "release": release})))
        }
        _ => {
            let incident = matches.get_one::<String>("incident");
            Ok((matches, json!({"incident": incident})))
        }
    }
}

/// All values of a flag.
fn many<'a>(matches: &'a ArgMatches, name: &str) -> Vec<&'a String> {
    let values = matches.get_many::<String>(name);
    values.into_iter().flatten().collect()
}

/// A name as one part of a path.
fn percent(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let part = |b: u8| match plain(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    };
    name.bytes().map(part).collect()
}

/// When maintenance ends: a time, or how long from now.
fn ends(text: &str) -> Result<String, Exit> {
    let at = match text.parse::<Period>() {
        Ok(span) => {
            let span = i64::try_from(span.get().as_millis()).unwrap_or(i64::MAX);
            Some(Timestamp(Timestamp::now().0.saturating_add(span)))
        }
        Err(_) => Timestamp::parse(text),
    };
    at.map(|at| at.to_string()).ok_or_else(|| {
        super::usage(&format!(
            "--until {text}: neither a duration such as 2h nor a time such as 2026-11-22T16:38:47Z"
        ))
    })
}
