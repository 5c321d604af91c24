//! A body as a JSON object of the Elastic Common Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::line::{CUT, NAME, deceives, severity};
use crate::model::event::Event;
use crate::notify::Message;

/// The version of the schema whose names these are.
const VERSION: &str = "8.17.0";
/// Longest text of a field that an alert may have written, in bytes, before it is quoted.
const TEXT: usize = 512;

/// The body. Of what does not fit, the whole record goes first, then evidence, then the labels, then the end of the message: `nodeward.cut` names them.
pub(super) fn body(message: &Message<'_>, most: usize) -> String {
    let mut whole = object(message);
    let mut cut = Vec::new();
    let mut text = written(&whole);
    for part in ["record", "evidence", "labels"] {
        if text.len() <= most {
            return text;
        }
        let held = match part {
            "record" | "evidence" => whole.pointer_mut("/nodeward"),
            _ => Some(&mut whole),
        };
        let taken = held.and_then(Value::as_object_mut);
        if taken.and_then(|held| held.remove(part)).is_some() {
            cut.push(part);
            mark(&mut whole, &cut);
            text = written(&whole);
        }
    }
    if text.len() > most {
        cut.push("message");
        mark(&mut whole, &cut);
        let without = |whole: &mut Value, text: String| {
            if let Some(message) = whole.get_mut("message") {
                *message = text.into();
            }
            written(whole)
        };
        let bare = without(&mut whole, String::new()).len();
        // A letter may take six bytes once it is quoted.
        let room = most.saturating_sub(bare + CUT.len()) / 6;
        let summary = &message.event.summary;
        let end = summary.floor_char_boundary(room);
        let short = format!("{}{CUT}", summary.get(..end).unwrap_or_default());
        text = without(&mut whole, short);
    }
    text
}

/// JSON text in which whatever breaks a line or turns text around is an escape. Such letters stand in strings alone, so who reads it
/// gets the very same text: also of a record, which is hashed as it was before.
fn written(whole: &Value) -> String {
    let plain = whole.to_string();
    if !plain.contains(deceives) {
        return plain;
    }
    let mut text = String::with_capacity(plain.len() + 64);
    for letter in plain.chars() {
        match deceives(letter) {
            // All of them fit in four digits; writing to a String does not fail.
            true => drop(write!(text, "\\u{:04x}", u32::from(letter))),
            false => text.push(letter),
        }
    }
    text
}

fn mark(whole: &mut Value, cut: &[&str]) {
    if let Some(Value::Object(ours)) = whole.get_mut("nodeward") {
        ours.insert("cut".into(), json!(cut));
    }
}

fn object(message: &Message<'_>) -> Value {
    let event = message.event;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            object.insert(name.to_owned(), value);
        }
    };
    let text = |text: &str| match short(text) {
        text if text.is_empty() => Value::Null,
        text => text.into(),
    };
    put("@timestamp", event.time.to_string().into());
    put("ecs", json!({"version": VERSION}));
    put("message", (&*event.summary).into());
    put("log", json!({"level": event.severity.as_str()}));
    put("host", json!({"name": short(&event.node)}));
    put("service", json!({"type": NAME}));
    put("event", of_event(message));
    if !event.by.is_empty() {
        put("user", json!({"name": short(&event.by)}));
    }
    if event.from.parse::<std::net::IpAddr>().is_ok() {
        put("source", json!({"ip": event.from}));
    }
    if let Some(trace) = &event.trace {
        put("trace", json!({"id": trace.trace_id()}));
    }
    if !event.labels.is_empty() {
        let labels = event.labels.iter();
        // A dot in a name would make an object of it.
        let labels = labels.map(|(name, text)| (name.replace('.', "_"), text.as_str().into()));
        put("labels", Value::Object(labels.collect()));
    }
    let ours = [
        ("incident", text(&event.incident)),
        ("playbook", text(&event.playbook)),
        ("target", text(&event.target)),
        ("state", text(&event.state)),
        ("attempt", text(&event.attempt)),
        ("cause", text(&event.cause)),
        ("evidence", gathered(event)),
        ("record", record(event.record.as_deref())),
    ];
    let ours = ours.into_iter().filter(|(_, value)| !value.is_null());
    let ours: Map<_, _> = ours.map(|(name, value)| (name.to_owned(), value)).collect();
    put("nodeward", ours.into());
    Value::Object(object)
}

/// Where evidence is, and the packets that are known.
fn gathered(event: &Event) -> Value {
    match event.evidence.as_slice() {
        [] => Value::Null,
        packets => json!({"path": event.evidence_path(), "packets": packets}),
    }
}

/// A record is text here: its members differ by its kind, and an index has one type a name.
fn record(record: Option<&str>) -> Value {
    record.map_or(Value::Null, Value::from)
}

/// The fields `event.*`, of the words that the schema allows.
fn of_event(message: &Message<'_>) -> Value {
    let event = message.event;
    let (kind, kinds): (_, &[&str]) = match &*event.what {
        "alert" | "escalated" | "reminder" | "approval_wanted" => ("alert", &["info"]),
        "intent" | "started" | "start" | "login" => ("event", &["start"]),
        "result" if event.outcome == "failed" => ("event", &["end", "error"]),
        "result" | "recovered" | "stop" => ("event", &["end"]),
        "state" | "hold" | "config" | "operator" => ("event", &["change"]),
        _ => ("event", &["info"]),
    };
    let category = match &*event.what {
        "config" | "operator" => "configuration",
        "intent" | "started" | "result" | "verify" | "start" | "stop" => "process",
        "login" => "authentication",
        _ => "host",
    };
    let outcome = match &*event.outcome {
        "done" | "delivered" | "passed" => "success",
        "failed" | "dropped" | "refused" => "failure",
        _ => "unknown",
    };
    let mut fields = json!({
        "kind": kind,
        "category": [category],
        "type": kinds,
        "outcome": outcome,
        "module": NAME,
        "dataset": "nodeward.audit",
        "action": short(&event.what),
        "id": short(&event.id),
        "sequence": message.seq,
        "hash": message.chain.to_string(),
        "severity": severity(event.severity),
    });
    if let (false, Some(fields)) = (event.cause.is_empty(), fields.as_object_mut()) {
        fields.insert("reason".into(), short(&event.cause).into());
    }
    fields
}

fn short(text: &str) -> String {
    match text.len() > TEXT {
        true => {
            let end = text.floor_char_boundary(TEXT - CUT.len());
            format!("{}{CUT}", text.get(..end).unwrap_or_default())
        }
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Hash;
    use crate::notify::syslog::line::LONGEST;
    use crate::notify::tests::{evidence, notice};

    fn read(event: &Event) -> Value {
        let message = Message {
            event,
            seq: 7,
            chain: Hash::ZERO,
        };
        let text = body(&message, LONGEST);
        assert!(
            text.len() <= LONGEST && !text.contains('\n'),
            "{}",
            text.len()
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_notice_is_one_object_of_the_schema() {
        assert_eq!(
            read(&notice("e1").into()),
            json!({
                "@timestamp": "2026-11-25T22:51:11.198Z", "ecs": {"version": "8.17.0"}, "message": "web.service is not healed",
                "log": {"level": "critical"}, "host": {"name": "db-01"}, "service": {"type": "nodeward"},
                "event": {
                    "kind": "alert", "category": ["host"], "type": ["info"], "outcome": "unknown", "module": "nodeward",
                    "dataset": "nodeward.audit", "action": "escalated", "id": "e1", "sequence": 7, "hash": "0".repeat(64),
                    "severity": 2, "reason": "exhausted",
                },
                "labels": {"alertname": "UnitDown"},
                "nodeward": {
                    "incident": "01JD", "playbook": "web-down", "target": "unit:web.service", "state": "escalated",
                    "attempt": "01JD-3", "cause": "exhausted",
                },
            })
        );
    }

    #[test]
    fn what_does_not_fit_goes_the_record_first_and_is_named() {
        let mut event = Event::from(notice("e1"));
        event.record = Some(format!("{{\"a\": \"{}\"}}", "x".repeat(3_000)));
        assert!(read(&event)["nodeward"]["record"].is_string());
        event.evidence = evidence();
        assert_eq!(
            read(&event)["nodeward"]["evidence"],
            json!({"path": "/api/v1/incidents/01JD/evidence", "packets": [
                {"number": 1, "occasion": "before_action", "sha256": "9f".repeat(32), "bytes": 48_213}]})
        );
        event.record = Some("x".repeat(9_000));
        assert_eq!(read(&event)["nodeward"]["cut"], json!(["record"]));
        event.labels.insert("a".into(), "\n".repeat(9_000));
        let cut = read(&event);
        assert_eq!(
            cut["nodeward"]["cut"],
            json!(["record", "evidence", "labels"])
        );
        assert_eq!(cut["message"], "web.service is not healed");
        for letter in ["x", "\0", "\u{10fffd}"] {
            event.summary = letter.repeat(20_000);
            event.playbook = letter.repeat(20_000);
            event.node = letter.repeat(20_000);
            let cut = read(&event);
            assert_eq!(
                cut["nodeward"]["cut"],
                json!(["record", "evidence", "labels", "message"])
            );
            assert!(cut["message"].as_str().unwrap().ends_with(CUT));
        }
    }

    #[test]
    fn a_login_that_was_refused_is_an_authentication_that_failed() {
        let mut event = Event::from(notice("e1"));
        (event.what, event.outcome) = ("login".into(), "refused".into());
        (event.by, event.from) = ("ann".into(), "192.0.2.7".into());
        let object = read(&event);
        assert_eq!(object["event"]["category"], json!(["authentication"]));
        assert_eq!(object["event"]["outcome"], "failure");
        assert_eq!(object["source"], json!({"ip": "192.0.2.7"}));
        assert_eq!(object["user"], json!({"name": "ann"}));
    }

    #[test]
    fn nothing_breaks_its_line_or_turns_it_around_and_a_record_is_read_as_it_is_hashed() {
        let hostile = "a\u{85}b\u{2028}c\u{2029}d\u{202e}e\u{2066}f\u{feff}g\u{7f}h\u{200f}";
        let mut event = Event::from(notice("e1"));
        event.labels.insert("a".into(), hostile.into());
        event.playbook = hostile.into();
        event.record = Some(format!("{{\"data\":\"{hostile}\"}}"));
        let message = Message {
            event: &event,
            seq: 7,
            chain: Hash::ZERO,
        };
        let text = body(&message, LONGEST);
        assert!(!text.contains(deceives), "{text}");
        assert!(text.contains(r"a\u0085b\u2028c\u2029d\u202ee"), "{text}");
        let object = read(&event);
        assert_eq!(object["labels"]["a"], hostile);
        let record = object["nodeward"]["record"].as_str();
        assert_eq!(record, event.record.as_deref());
        event.labels.insert("b".into(), "\u{2028}".repeat(3_000));
        assert_eq!(read(&event)["nodeward"]["cut"], json!(["record", "labels"]));
    }

    #[test]
    fn hostile_labels_make_no_fields() {
        let mut event = Event::from(notice("e1"));
        event
            .labels
            .insert("event.kind".into(), "\"},\n\"forged\":1".into());
        let object = read(&event);
        assert_eq!(object["labels"]["event_kind"], "\"},\n\"forged\":1");
        assert_eq!(object["event"]["kind"], "alert");
    }
}
