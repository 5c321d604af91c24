//! Records of the journal in plain words, for `demo`, `why`, `rehearse` and log records.

use serde_json::Value;

use crate::action::plain as plain_action;
use crate::heal::guards::{Guard, Verdict};
use crate::model::counted::counted;
use crate::model::terminal;

/// Each guard with what it said, in lines that begin with `indent`.
#[must_use]
pub fn guards(guards: &[Verdict], indent: &str) -> Vec<String> {
    let line = |verdict: &Verdict| {
        let said = if verdict.passes { "passes " } else { "REFUSES" };
        format!("{indent}{said} {:<16} {}", verdict.guard, verdict.value)
    };
    guards.iter().map(line).collect()
}

/// One line of what others wrote: it is not to write on the terminal as it likes.
#[must_use]
pub fn tame(text: &str) -> String {
    terminal::shown(&text.replace(['\n', '\t'], " ")).into_owned()
}

/// What a record says; nothing where the record beside it says the same.
#[must_use]
pub fn plain(record: &Value) -> Option<String> {
    let text = |at: &str| record.pointer(at).and_then(Value::as_str);
    let target = text("/target").unwrap_or("the node");
    Some(match text("/kind")? {
        "config" => format!(
            "the config {} is in force",
            text("/data/config").unwrap_or("?")
        ),
        "alert" => alert(record),
        "decision" => decision(record),
        "intent" => format!(
            "intent, on record before anything happens: {}",
            action(record)
        ),
        "started" => "the action is under way".to_owned(),
        "result" => format!(
            "the action ended: {}{}; {}",
            text("/data/outcome").unwrap_or("unknown"),
            text("/data/detail/why").map_or_else(String::new, |why| format!(", {why}")),
            match record.pointer("/data/late") {
                Some(Value::Bool(true)) => "nothing waited for that any more",
                _ => "whether it helped is for the probes to say",
            }
        ),
        "verify" => verify(record),
        "state" => match text("/to")? {
            "waiting" => match text("/data/why") {
                Some(why) => format!("{why}: the guards are asked again"),
                None => format!("an incident is open for {target}: the guards are asked"),
            },
            "probation" => format!("{target} works again; now it must stay so for a while"),
            "healed" => format!("{target} is healed"),
            "isolating" | "intent" | "acting" | "verifying" => return None,
            other => match text("/data/cause/why").or_else(|| text("/data/why")) {
                Some(why) => format!("the incident of {target} is {other}: {why}"),
                None => format!("the incident of {target} is {other}"),
            },
        },
        "operator" if text("/data/did") == Some("acknowledge") => {
            let by = text("/data/by").unwrap_or("somebody");
            let who =
                text("/data/for").map_or_else(|| by.to_owned(), |who| format!("{who} ({by})"));
            let reason = text("/data/reason").map_or_else(String::new, |why| format!(": {why}"));
            format!("{who} has acknowledged the escalation{reason}")
        }
        "operator" => format!(
            "{} did this: {}",
            text("/data/by").unwrap_or("somebody"),
            text("/data/did").unwrap_or("?")
        ),
        "start" => format!(
            "nodeward {} started{}",
            text("/data/version").unwrap_or("?"),
            match text("/data/before") {
                Some("died") => "; the process before did not end in order",
                _ => "",
            }
        ),
        "stop" => format!("nodeward ended: {}", text("/data/why").unwrap_or("?")),
        "login" => login(record),
        "evidence" => evidence(record),
        "notify" => notice(record),
        "hold" => hold(record),
        other => other.to_owned(),
    })
}

fn evidence(record: &Value) -> String {
    let number = |at: &str| {
        record
            .pointer(at)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    };
    let missing = record.pointer("/data/missing").and_then(Value::as_array);
    let missing: Vec<&str> = missing
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let without = match missing.is_empty() {
        true => String::new(),
        false => format!(", without {}", missing.join(", ")),
    };
    format!(
        "evidence {} is kept: {} bytes, SHA-256 {}{without}",
        number("/data/number"),
        number("/data/bytes"),
        record
            .pointer("/data/sha256")
            .and_then(Value::as_str)
            .unwrap_or("?")
    )
}

fn login(record: &Value) -> String {
    let number = |at: &str| record.pointer(at).and_then(Value::as_u64);
    let number = |at: &str| number(at).unwrap_or_default();
    let from = record.pointer("/data/from").and_then(Value::as_str);
    let from = match from {
        Some(from) => from.to_owned(),
        None => "other addresses".to_owned(),
    };
    let tried = record.pointer("/data/tried").and_then(Value::as_array);
    let tried = tried.into_iter().flatten().map(|tried| {
        let text = |name: &str| tried.get(name).and_then(Value::as_str);
        let name = text("name").map(|name| format!(" as {name}"));
        format!(
            "{}{}: {}",
            text("at").or_else(|| text("listener")).unwrap_or("?"),
            name.unwrap_or_default(),
            text("why").unwrap_or("?")
        )
    });
    let tried: Vec<_> = tried.collect();
    let logins = counted(number("/data/count"), "login");
    format!("refused {logins} from {from}: {}", tried.join("; "))
}

fn hold(record: &Value) -> String {
    let text = |at: &str| record.pointer(at).and_then(Value::as_str).unwrap_or("?");
    let is = |at: &str| record.pointer(at) == Some(&Value::Bool(true));
    let (pool, owner) = (text("/data/pool"), text("/data/owner"));
    match text("/data/did") {
        "place" => format!("this node leaves {pool}: {} ({owner})", text("/data/why")),
        "out" if is("/data/complete") => match record.pointer("/data/detail/ledger") {
            Some(Value::Object(ledger)) => {
                let counts = ledger.iter().map(|(what, many)| format!("{many} {what}"));
                let counts: Vec<String> = counts.collect();
                format!(
                    "this node is out of {pool}; sessions: {}",
                    counts.join(", ")
                )
            }
            _ => format!("this node is out of {pool}"),
        },
        "out" => format!(
            "this node did not get out of {pool} in time, and what is ill is healed all the same: {}",
            text("/data/detail/why")
        ),
        "ease" if is("/data/easing") => {
            format!("what this node left {pool} for is well, and on probation")
        }
        "ease" => format!("what this node left {pool} for is ill again"),
        "lift" => format!("{owner} no longer holds this node out of {pool}"),
        "heard" => format!("the gates of {pool} know that nothing holds this node out any more"),
        "tell" => format!(
            "{} is told to take this node out of {pool}",
            text("/data/gate")
        ),
        "foreign" => format!(
            "somebody else has this node out of {pool} at {}: that is left as it is",
            text("/data/gate")
        ),
        other => format!("{pool}: {other}"),
    }
}

fn notice(record: &Value) -> String {
    let text = |at: &str| record.pointer(at).and_then(Value::as_str).unwrap_or("?");
    let whom = text("/data/notifier");
    match text("/data/outcome") {
        "delivered" => format!("{whom} was told"),
        "dropped" => format!("{whom} was not told: {}", text("/data/why")),
        _ => text("/data/summary").to_owned(),
    }
}

fn alert(record: &Value) -> String {
    let found = |at: &str| record.pointer(at).and_then(Value::as_str);
    let text = |at: &str| found(at).unwrap_or("?");
    // One that is over without a word of its source has no labels there.
    let name = found("/data/labels/alertname").unwrap_or_else(|| text("/data/alertname"));
    let from = match text("/data/hook") {
        "check" => "a check of our own".to_owned(),
        hook => format!("the hook {hook}"),
    };
    format!("alert {name} is {} (from {from})", text("/data/status"))
}

fn decision(record: &Value) -> String {
    let guards = record.pointer("/data/guards").and_then(Value::as_array);
    let guards = guards.map(Vec::as_slice).unwrap_or_default();
    let passes = |guard: &&Value| guard.pointer("/passes") == Some(&Value::Bool(true));
    let said = |guard: &Value, at: &str| {
        let text = guard.pointer(at).and_then(Value::as_str);
        text.unwrap_or("?").to_owned()
    };
    let question = |name: &str| record.pointer("/data/question").and_then(|q| q.get(name));
    match guards.iter().find(|guard| !passes(guard)) {
        Some(guard) if said(guard, "/guard") == Guard::Approval.as_str() => format!(
            "the guard approval refuses: {}; nodeward approve {} has it {}",
            said(guard, "/value"),
            question("id").and_then(Value::as_str).unwrap_or("ID"),
            question("action").map(plain_action).unwrap_or_default(),
        ),
        Some(guard) => format!(
            "the guard {} refuses: {}",
            said(guard, "/guard"),
            said(guard, "/value")
        ),
        None => {
            let confirm = guards
                .iter()
                .find(|g| said(g, "/guard") == Guard::Confirm.as_str())
                .map_or_else(String::new, |g| format!("; confirm: {}", said(g, "/value")));
            let would = record.pointer("/data/would");
            let would = would.map_or_else(String::new, |would| {
                format!("; would be done: {}", plain_action(would))
            });
            let left = record.pointer("/data/isolate").and_then(Value::as_str);
            let left = left.map_or_else(String::new, |pool| format!("; {pool} is left first"));
            format!(
                "all {} guards let it pass{confirm}{left}{would}",
                guards.len()
            )
        }
    }
}

fn action(record: &Value) -> String {
    record
        .pointer("/data/action")
        .map(plain_action)
        .unwrap_or_default()
}

fn verify(record: &Value) -> String {
    let data = |name: &str| record.pointer(&format!("/data/{name}"));
    let number = |name: &str| data(name).and_then(Value::as_u64);
    let probes = data("probes").and_then(Value::as_array);
    let text = |probe: &Value, name: &str| {
        let text = probe.get(name).and_then(Value::as_str);
        text.unwrap_or("?").to_owned()
    };
    let probes: Vec<String> = probes
        .into_iter()
        .flatten()
        .map(|probe| format!("{}: {}", probed(probe), text(probe, "why")))
        .collect();
    let probes = probes.join(", ");
    match (data("passed"), number("passes"), number("of")) {
        (Some(Value::Bool(true)), Some(passes), Some(of)) => {
            format!("probe {passes} of {of} in a row passes ({probes})")
        }
        _ if data("blind").is_some() => format!("nothing can be seen that tells ({probes})"),
        _ => format!("the probe fails ({probes})"),
    }
}

/// What a probe was: the name of a check, or what had to be stable.
fn probed(probe: &Value) -> String {
    let members = probe.as_object().into_iter().flatten();
    let mut kinds = members.filter(|(name, _)| !["passed", "why"].contains(&name.as_str()));
    match kinds.next() {
        Some((kind, Value::String(name))) if kind == "check" => name.clone(),
        Some((kind, _)) => kind.clone(),
        None => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_decision_names_the_guard_that_refuses() {
        let guards = json!([
            {"guard": "kill_switch", "passes": true, "value": "off"},
            {"guard": "confirm", "passes": false, "value": "shop does not see it"}
        ]);
        let record = json!({"kind": "decision", "data": {"guards": guards}});
        assert_eq!(
            plain(&record).unwrap(),
            "the guard confirm refuses: shop does not see it"
        );
    }

    #[test]
    fn an_alert_has_its_name_whoever_says_that_it_is_over() {
        for data in [
            json!({"hook": "am", "status": "resolved", "labels": {"alertname": "Down"}}),
            json!({"hook": "am", "status": "resolved", "alertname": "Down", "by": "time"}),
        ] {
            let record = json!({"kind": "alert", "data": data});
            let said = plain(&record).unwrap();
            assert_eq!(said, "alert Down is resolved (from the hook am)");
        }
    }

    #[test]
    fn who_was_told_and_who_wanted_what_is_said() {
        let notice = |data| plain(&json!({"kind": "notify", "data": data})).unwrap();
        let told = json!({"notifier": "oncall", "outcome": "delivered"});
        assert_eq!(notice(told), "oncall was told");
        let dropped = json!({"notifier": "oncall", "outcome": "dropped", "why": "refused: 404"});
        assert_eq!(notice(dropped), "oncall was not told: refused: 404");
        let made = json!({"to": ["oncall"], "summary": "web could not be healed"});
        assert_eq!(notice(made), "web could not be healed");
        let pause = json!({"kind": "operator", "data": {"did": "pause", "by": "uid 0"}});
        assert_eq!(plain(&pause).unwrap(), "uid 0 did this: pause");
    }

    #[test]
    fn an_action_that_failed_says_why() {
        let why = "systemd would not restart web.service: start-limit-hit";
        let data = json!({"outcome": "failed", "detail": {"why": why}});
        assert_eq!(
            plain(&json!({"kind": "result", "data": data})).unwrap(),
            format!("the action ended: failed, {why}; whether it helped is for the probes to say")
        );
        let data = json!({"action": {"systemd": {"verb": "restart", "unit": "web.service"}}});
        assert_eq!(
            plain(&json!({"kind": "intent", "data": data})).unwrap(),
            "intent, on record before anything happens: restart unit web.service"
        );
    }

    #[test]
    fn a_state_that_another_record_tells_is_left_out() {
        let state = |to: &str| plain(&json!({"kind": "state", "target": "service:shop", "to": to}));
        assert_eq!(state("acting"), None);
        assert_eq!(state("healed").unwrap(), "service:shop is healed");
        assert_eq!(
            state("escalated").unwrap(),
            "the incident of service:shop is escalated"
        );
    }
}
