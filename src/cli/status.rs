//! `nodeward status`: what a running nodeward does, in lines for people.

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::Exit;
use super::control::{ask, state, with_place};
use crate::action;
use crate::model::counted::counted;
use crate::model::terminal;
use crate::net::client::Request;

pub(super) fn command() -> Command {
    with_place(Command::new("status").about("Say what a running nodeward does")).arg(
        Arg::new("json")
            .long("json")
            .action(ArgAction::SetTrue)
            .help("Print the state as JSON"),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
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
    if let Some(why) = state
        .pointer("/journal/chain/broken")
        .and_then(Value::as_str)
    {
        lines.push(format!("the chain of the journal is broken: {why}"));
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
    let open = list(state, "open");
    let unshown = sum(state, "states") > open.len() as u64;
    let is_open = |id: &Value| open.iter().any(|incident| incident.get("id") == Some(id));
    for alert in &alerts {
        let incidents = list(alert, "incidents");
        let taken = match incidents.last().and_then(Value::as_str) {
            None => ", no playbook takes it".into(),
            Some(last) if !unshown && !incidents.iter().any(is_open) => {
                format!(", fires still: nodeward why {last} says how that ended")
            }
            Some(_) => String::new(),
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
        if let Some(has) = incident.get("acknowledged") {
            let who = match (text(has, "for"), text(has, "by")) {
                (who, by) if who.is_empty() => by,
                (who, by) => format!("{who} ({by})"),
            };
            let reason = match text(has, "reason") {
                none if none.is_empty() => none,
                reason => format!(": {reason}"),
            };
            lines.push(format!("  {who} has it since {}{reason}", text(has, "at")));
        } else if incident.get("reminders").is_some() {
            let id = text(incident, "id");
            lines.push(format!("  nobody has acknowledged it: nodeward ack {id}"));
        }
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

/// The lines about pools that this node is to be out of or comes back to: each hold with how to lift it, then how far that is.
fn pools(state: &Value) -> Vec<String> {
    let pools = state.get("pools").and_then(Value::as_object);
    let mut lines = Vec::new();
    for (name, pool) in pools.into_iter().flatten() {
        let holds = pool.get("holds").and_then(Value::as_array);
        let holds = holds.map(Vec::as_slice).unwrap_or_default();
        let returns = pool.get("returning") == Some(&Value::Bool(true));
        if returns {
            lines.push(format!("rejoins {name}"));
        }
        for hold in holds {
            let text = |at: &str| hold.get(at).and_then(Value::as_str).unwrap_or("?");
            let is = |at: &str| hold.get(at) == Some(&Value::Bool(true));
            let eases = if is("easing") { ", on probation" } else { "" };
            let (owner, why, since) = (text("owner"), text("why"), text("since"));
            lines.push(format!(
                "held out of {name} since {since}: {why} ({owner}{eases})"
            ));
            if is("left") || owner.starts_with("operator:") {
                lines.push(format!("  nodeward rejoin {name} --hold {owner} lifts it"));
            }
        }
        if let (true, Some(standing)) = (returns || !holds.is_empty(), pool.get("standing")) {
            lines.extend(stands(standing));
        }
    }
    lines
}

/// How far a pool is: what it is told, who has not heard, and what became of sessions.
fn stands(standing: &Value) -> Vec<String> {
    let many = |at: &str| standing.pointer(at).and_then(Value::as_u64);
    let text = |at: &Value, name: &str| at.get(name).and_then(Value::as_str).map(str::to_owned);
    let gates = standing.get("gates").and_then(Value::as_array);
    let gates = gates.map(Vec::as_slice).unwrap_or_default();
    let waits = gates.iter().filter_map(|gate| {
        let (name, why) = (text(gate, "name")?, text(gate, "why")?);
        Some(format!("  {name}: {why}"))
    });
    let waits: Vec<String> = waits.collect();
    let traffic = text(standing, "traffic").unwrap_or_default();
    let (is, wanted) = match traffic.as_str() {
        "in" => ("takes all traffic", "take all traffic"),
        "ramping" => ("takes a share of the traffic", "take a share"),
        "draining" => ("takes no new sessions", "drain"),
        _ => ("takes no traffic", "take no traffic"),
    };
    let mut now = match waits.is_empty() {
        true => is.to_owned(),
        false => format!("is to {wanted}, and not every gate has heard"),
    };
    if let Some(sessions) = many("/sessions") {
        now += &format!("; it has {}", counted(sessions, "session"));
    }
    if let Some(others) = many("/healthy_others") {
        now += &format!("; traffic goes to {}", counted(others, "other server"));
    }
    let mut lines = vec![format!("  {now}")];
    if let Some(active) = many("/ledger/active") {
        let of = |at: &str| many(&format!("/ledger/{at}")).unwrap_or_default();
        let active = counted(active, "session");
        let (finished, moved, cut, open) = (of("finished"), of("moved"), of("cut"), of("open"));
        lines.push(format!(
            "  of {active} {finished} finished, {moved} moved, {cut} were cut, {open} are open"
        ));
    }
    lines.extend(waits);
    lines
}
