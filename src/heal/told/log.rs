//! Records of the journal as events of a log.
//!
//! Owns the names of the events and what is an attribute. The record itself goes along as it is stored, so that whoever has the
//! log can prove the chain; a very long one is cut, and says so.

use serde_json::Value;

use crate::dialect::otlp::{Event, Severity};
use crate::heal::words;
use crate::journal::{Kind, Stored};
use crate::model::moment::Timestamp;
use crate::model::trace::{Attribute, Attributes, TraceContext};

/// Longest record that goes along whole, in bytes.
pub const RECORD_MOST: usize = 32 << 10;
/// Longest line for people, and longest text of any other attribute, in bytes.
pub const TEXT_MOST: usize = 1 << 10;

/// The name of the events of a kind of record.
#[must_use]
pub const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Alert => "nodeward.alert.received",
        Kind::Decision => "nodeward.heal.decided",
        Kind::Hold => "nodeward.hold.changed",
        Kind::Intent => "nodeward.heal.intended",
        Kind::Started => "nodeward.heal.started",
        Kind::Result => "nodeward.heal.finished",
        Kind::Verify => "nodeward.heal.verified",
        Kind::State => "nodeward.incident.changed",
        Kind::Operator => "nodeward.operator.acted",
        Kind::Config => "nodeward.config.changed",
        Kind::Notify => "nodeward.notice.changed",
        Kind::Start => "nodeward.process.started",
        Kind::Stop => "nodeward.process.stopped",
        Kind::Login => "nodeward.login.refused",
        Kind::Evidence => "nodeward.evidence.gathered",
    }
}

/// The members of a record that are attributes of spans and events alike.
const MEMBERS: [(&str, &str); 14] = [
    ("nodeward.incident", "/incident"),
    ("nodeward.playbook", "/playbook"),
    ("nodeward.target", "/target"),
    ("nodeward.attempt", "/attempt"),
    ("nodeward.state.from", "/from"),
    ("nodeward.state.to", "/to"),
    ("nodeward.outcome", "/data/outcome"),
    ("nodeward.cause", "/data/cause/why"),
    ("nodeward.alert.name", "/data/labels/alertname"),
    ("nodeward.alert.status", "/data/status"),
    ("nodeward.operator", "/data/by"),
    // Names of the semantic conventions: where a login came from, and the name that was tried.
    ("client.address", "/data/from"),
    ("user.name", "/data/tried/0/name"),
    ("nodeward.listener", "/data/tried/0/listener"),
];

/// A record as an event; none if it is no record of ours, which a damaged journal may hold.
#[must_use]
pub fn event(stored: &Stored) -> Option<Event> {
    let record: Value = serde_json::from_str(&stored.line).ok()?;
    let text = |at: &str| record.pointer(at).and_then(Value::as_str);
    let word = text("/kind")?;
    let kind = Kind::of(word)?;
    let mut attributes: Attributes = vec![
        ("log.record.uid", Attribute::Text(stored.hash.clone())),
        ("nodeward.journal.seq", stored.seq.into()),
        (
            "nodeward.journal.hash",
            Attribute::Text(stored.hash.clone()),
        ),
        ("nodeward.journal.kind", word.into()),
    ];
    let members = MEMBERS.iter();
    attributes
        .extend(members.filter_map(|(name, at)| Some((*name, cut(text(at)?, TEXT_MOST).into()))));
    if let Some(guard) = refusing(&record).first() {
        attributes.push(("nodeward.guard", cut(guard, TEXT_MOST).into()));
    }
    let whole = cut(&stored.line, RECORD_MOST);
    attributes.push(("nodeward.journal.record", whole.into()));
    if whole.len() < stored.line.len() {
        attributes.push(("nodeward.journal.cut", true.into()));
    }
    let body = words_of(&record, word);
    Some(Event {
        name: name(kind),
        time: text("/time").and_then(Timestamp::parse).unwrap_or_default(),
        severity: severity(kind, &record),
        body: cut(&body, TEXT_MOST).to_owned(),
        attributes,
        trace: text("/trace").and_then(TraceContext::parse),
    })
}

/// A record in words.
pub(super) fn words_of(record: &Value, kind: &str) -> String {
    words::plain(record).unwrap_or_else(|| bare(record, kind))
}

/// The guards that refused in a decision.
pub(super) fn refusing(record: &Value) -> Vec<&str> {
    let guards = record.pointer("/data/guards").and_then(Value::as_array);
    let refuses = |guard: &&Value| guard.pointer("/passes") == Some(&Value::Bool(false));
    let refusing = guards.into_iter().flatten().filter(refuses);
    refusing
        .filter_map(|guard| guard.pointer("/guard").and_then(Value::as_str))
        .collect()
}

/// What failed is an error, what is held back or given up a warning.
pub(super) fn severity(kind: Kind, record: &Value) -> Severity {
    let text = |at: &str| record.pointer(at).and_then(Value::as_str);
    match (kind, text("/to"), text("/data/outcome")) {
        (Kind::State, Some("escalated"), _) => Severity::Error,
        (Kind::Result, _, Some("failed" | "unknown")) => Severity::Error,
        (Kind::Notify, _, Some("dropped")) => Severity::Error,
        (Kind::State, Some("suppressed" | "cancelled"), _) => Severity::Warn,
        (Kind::Verify, ..) if record.pointer("/data/passed") == Some(&Value::Bool(false)) => {
            Severity::Warn
        }
        (Kind::Hold, ..) if record.pointer("/data/complete") == Some(&Value::Bool(false)) => {
            Severity::Warn
        }
        (Kind::Decision, ..) if !refusing(record).is_empty() => Severity::Warn,
        (Kind::Alert, ..) if text("/data/status") == Some("firing") => Severity::Warn,
        (Kind::Start, ..) if text("/data/before") == Some("died") => Severity::Warn,
        (Kind::Login, ..) => Severity::Warn,
        _ => Severity::Info,
    }
}

/// A line for what has no words of its own.
fn bare(record: &Value, kind: &str) -> String {
    let text = |at: &str| record.pointer(at).and_then(Value::as_str);
    let target = text("/target").unwrap_or("the node");
    match (text("/from"), text("/to")) {
        (Some(from), Some(to)) => format!("{target}: {from} to {to}"),
        _ => format!("{target}: {kind}"),
    }
}

/// So many bytes of a text at most.
pub(super) fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stored(record: &Value) -> Stored {
        Stored {
            seq: 7,
            line: record.to_string(),
            hash: "ab".repeat(32),
        }
    }

    fn of(event: &Event, name: &str) -> Option<Attribute> {
        let mut found = event.attributes.iter().filter(|(key, _)| *key == name);
        let first = found.next().map(|(_, value)| value.clone());
        assert!(found.next().is_none(), "{name} twice");
        first
    }

    #[test]
    fn a_record_becomes_an_event_with_its_members_its_span_and_itself() {
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let record = json!({
            "seq": 7, "time": "2026-11-22T16:38:47.198Z", "kind": "result", "incident": "01J", "playbook": "web",
            "target": "unit:web.service", "attempt": "01J-1", "trace": trace, "data": {"outcome": "failed"},
        });
        let event = event(&stored(&record)).unwrap();
        assert_eq!(event.name, "nodeward.heal.finished");
        assert_eq!(event.time, Timestamp(1_795_365_527_198));
        assert_eq!(event.severity, Severity::Error);
        assert_eq!(event.trace, TraceContext::parse(trace));
        assert!(
            event.body.starts_with("the action ended: failed"),
            "{}",
            event.body
        );
        for (name, value) in [
            ("nodeward.incident", "01J".into()),
            ("nodeward.attempt", "01J-1".into()),
            ("nodeward.target", "unit:web.service".into()),
            ("nodeward.outcome", "failed".into()),
            ("nodeward.journal.seq", Attribute::Number(7)),
            (
                "nodeward.journal.record",
                Attribute::Text(record.to_string()),
            ),
            ("log.record.uid", Attribute::Text("ab".repeat(32))),
        ] {
            assert_eq!(of(&event, name), Some(value), "{name}");
        }
        assert_eq!(of(&event, "nodeward.journal.cut"), None);
    }

    #[test]
    fn how_bad_it_is_follows_from_what_became_of_it() {
        use Severity::{Error, Info, Warn};
        for (record, severity) in [
            (json!({"kind": "state", "to": "healed"}), Info),
            (json!({"kind": "state", "to": "escalated"}), Error),
            (json!({"kind": "state", "to": "suppressed"}), Warn),
            (json!({"kind": "result", "data": {"outcome": "done"}}), Info),
            (
                json!({"kind": "result", "data": {"outcome": "unknown"}}),
                Error,
            ),
            (json!({"kind": "verify", "data": {"passed": true}}), Info),
            (json!({"kind": "verify", "data": {"passed": false}}), Warn),
            (json!({"kind": "alert", "data": {"status": "firing"}}), Warn),
            (
                json!({"kind": "alert", "data": {"status": "resolved"}}),
                Info,
            ),
            (
                json!({"kind": "notify", "data": {"outcome": "dropped"}}),
                Error,
            ),
            (json!({"kind": "config"}), Info),
            (
                json!({"kind": "start", "data": {"before": "stopped"}}),
                Info,
            ),
            (json!({"kind": "start", "data": {"before": "died"}}), Warn),
            (json!({"kind": "stop"}), Info),
            (json!({"kind": "login"}), Warn),
        ] {
            assert_eq!(
                event(&stored(&record)).unwrap().severity,
                severity,
                "{record}"
            );
        }
        let guards =
            json!([{"guard": "budget", "passes": true}, {"guard": "cooldown", "passes": false}]);
        let decision = json!({"kind": "decision", "data": {"act": false, "guards": guards}});
        let event = event(&stored(&decision)).unwrap();
        assert_eq!(event.severity, Warn);
        assert_eq!(of(&event, "nodeward.guard"), Some("cooldown".into()));
    }

    #[test]
    fn a_long_record_is_cut_between_two_characters_and_says_so() {
        let record = json!({"kind": "alert", "data": {"labels": {"alertname": "é".repeat(RECORD_MOST)}, "status": "firing"}});
        let event = event(&stored(&record)).unwrap();
        let Some(Attribute::Text(whole)) = of(&event, "nodeward.journal.record") else {
            panic!("no record");
        };
        assert!(whole.len() <= RECORD_MOST && whole.len() > RECORD_MOST - 4);
        assert_eq!(of(&event, "nodeward.journal.cut"), Some(true.into()));
        assert!(event.body.len() <= TEXT_MOST);
        for (name, value) in &event.attributes {
            if let (Attribute::Text(text), false) = (value, name.ends_with("record")) {
                assert!(text.len() <= TEXT_MOST, "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_record_is_no_event() {
        for line in ["", "{", "[]", "{\"kind\":\"other\"}", "{\"kind\":7}"] {
            let stored = Stored {
                seq: 1,
                line: line.into(),
                hash: String::new(),
            };
            assert_eq!(event(&stored), None, "{line}");
        }
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Kind::ALL.map(name).into();
        assert_eq!(names.len(), Kind::ALL.len());
        assert!(names.iter().all(|name| name.starts_with("nodeward.")));
    }
}
