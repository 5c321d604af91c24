//! Records of the journal as events for notifiers: what a SIEM gets of all that was decided and done.

use serde_json::Value;

use super::log::{self, TEXT_MOST, cut};
use crate::dialect::otlp;
use crate::journal::{Kind, Stored};
use crate::model::alert::Labels;
use crate::model::event::Event;
use crate::model::moment::Timestamp;
use crate::model::notice::Evidence;
use crate::model::severity::Severity;
use crate::model::trace::TraceContext;

/// A record as an event of this node; none if it is no record of ours, which a damaged journal may hold. Its id is the record's hash.
#[must_use]
pub fn event(stored: &Stored, node: &str) -> Option<Event> {
    let record: Value = serde_json::from_str(&stored.line).ok()?;
    let text = |at: &str| {
        let text = record.pointer(at).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let word = record.pointer("/kind").and_then(Value::as_str)?;
    let kind = Kind::of(word)?;
    let labels = record.pointer("/data/labels").cloned();
    let labels = labels.and_then(|labels| serde_json::from_value::<Labels>(labels).ok());
    let cause = match text("/data/cause/why") {
        none if none.is_empty() => refusing(&record),
        cause => cause,
    };
    let state = match text("/to") {
        none if none.is_empty() => text("/data/status"),
        state => state,
    };
    Some(Event {
        evidence: gathered(kind, &record),
        id: stored.hash.clone(),
        time: Timestamp::parse(&text("/time")).unwrap_or_default(),
        what: kind.as_str().into(),
        severity: severity(kind, &record),
        node: node.to_owned(),
        incident: text("/incident"),
        playbook: text("/playbook"),
        target: text("/target"),
        state,
        attempt: text("/attempt"),
        outcome: outcome(kind, &record),
        cause,
        by: match kind {
            Kind::Login => text("/data/tried/0/name"),
            _ => text("/data/by"),
        },
        from: text("/data/from"),
        summary: cut(&log::words_of(&record, word), TEXT_MOST).to_owned(),
        labels: labels.unwrap_or_default(),
        trace: TraceContext::parse(&text("/trace")),
        record: Some(stored.exported()),
    })
}

/// The packet that a record of evidence puts on record.
fn gathered(kind: Kind, record: &Value) -> Vec<Evidence> {
    let packet = record
        .get("data")
        .filter(|_| matches!(kind, Kind::Evidence))
        .and_then(|data| serde_json::from_value(data.clone()).ok());
    packet.into_iter().collect()
}

/// The guard that refused first, of a decision that refused.
fn refusing(record: &Value) -> String {
    let guards = log::refusing(record);
    guards.first().copied().unwrap_or_default().to_owned()
}

fn outcome(kind: Kind, record: &Value) -> String {
    let said = record.pointer("/data/outcome").and_then(Value::as_str);
    let passed = record.pointer("/data/passed").and_then(Value::as_bool);
    let word = match (kind, said, passed) {
        (_, Some(word), _) => word,
        (Kind::Verify, None, Some(true)) => "passed",
        (Kind::Verify, None, Some(false)) => "failed",
        (Kind::Login, ..) => "refused",
        (Kind::Decision, ..) if !log::refusing(record).is_empty() => "refused",
        _ => "",
    };
    word.to_owned()
}

/// An escalation wants people, what failed or is held back their attention.
fn severity(kind: Kind, record: &Value) -> Severity {
    let escalated = record.pointer("/to").and_then(Value::as_str) == Some("escalated");
    match log::severity(kind, record) {
        _ if escalated => Severity::Critical,
        otlp::Severity::Error | otlp::Severity::Warn => Severity::Warning,
        _ => Severity::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_login_that_was_refused_has_the_name_and_where_it_came_from() {
        let told = told(
            &json!({"kind": "login", "data": {"from": "192.0.2.7", "count": 12, "tried": [
                {"listener": "http", "at": "web_config", "name": "ann", "why": "the name or the password is wrong", "count": 11},
                {"listener": "api", "at": "/api/v1", "why": "the token is wrong", "count": 1},
            ]}}),
        );
        assert_eq!((&*told.from, &*told.by), ("192.0.2.7", "ann"));
        assert_eq!(
            (&*told.outcome, told.severity),
            ("refused", Severity::Warning)
        );
        assert_eq!(
            told.summary,
            "refused 12 logins from 192.0.2.7: web_config as ann: the name or the password is wrong; /api/v1: the token is wrong"
        );
    }

    #[test]
    fn a_start_after_a_crash_wants_attention_and_an_end_in_order_does_not() {
        let start = |before: &str| {
            let data = json!({"version": "1.2.3", "before": before});
            told(&json!({"kind": "start", "data": data}))
        };
        assert_eq!(start("died").severity, Severity::Warning);
        assert_eq!(
            (start("stopped").severity, &*start("stopped").summary),
            (Severity::Info, "nodeward 1.2.3 started")
        );
        let stop = told(&json!({"kind": "stop", "data": {"why": "it was told to"}}));
        assert_eq!(
            (stop.severity, &*stop.summary),
            (Severity::Info, "nodeward ended: it was told to")
        );
    }

    fn told(record: &Value) -> Event {
        let stored = Stored {
            seq: 7,
            line: record.to_string(),
            hash: "ab".repeat(32),
        };
        event(&stored, "db-01").unwrap()
    }

    #[test]
    fn a_record_is_an_event_with_its_hash_for_an_id_and_all_of_it_along() {
        let told = told(&json!({
            "seq": 7, "time": "2026-11-25T22:51:11.198Z", "kind": "result", "incident": "01JD", "playbook": "web",
            "target": "unit:web.service", "attempt": "01JD-1", "data": {"outcome": "failed", "detail": {"why": "timeout"}},
        }));
        assert_eq!(
            (&*told.id, &*told.what, &*told.node),
            (&*"ab".repeat(32), "result", "db-01")
        );
        assert_eq!(
            (&*told.outcome, told.severity),
            ("failed", Severity::Warning)
        );
        assert_eq!(
            (&*told.attempt, &*told.target),
            ("01JD-1", "unit:web.service")
        );
        assert_eq!(told.time.to_string(), "2026-11-25T22:51:11.198Z");
        let whole: Value = serde_json::from_str(&told.record.unwrap()).unwrap();
        assert_eq!(whole.pointer("/hash"), Some(&json!("ab".repeat(32))));
        assert_eq!(whole.pointer("/data/outcome"), Some(&json!("failed")));
    }

    #[test]
    fn a_record_of_evidence_says_where_it_is_and_its_hash() {
        let told = told(&json!({"kind": "evidence", "incident": "01JD", "data": {
            "number": 2, "occasion": "escalated", "sha256": "9f".repeat(32), "bytes": 7, "missing": []}}));
        let hash = "9f".repeat(32);
        assert_eq!(
            told.gathered(),
            format!("/api/v1/incidents/01JD/evidence 2:{hash}")
        );
    }

    #[test]
    fn an_escalation_is_critical_and_what_is_held_back_names_the_guard() {
        let escalated = told(
            &json!({"kind": "state", "to": "escalated", "data": {"cause": {"why": "flapping"}}}),
        );
        assert_eq!(escalated.severity, Severity::Critical);
        assert_eq!(
            (&*escalated.state, &*escalated.cause),
            ("escalated", "flapping")
        );
        let guards = json!([{"guard": "mode", "passes": true}, {"guard": "storm", "passes": false, "value": "40 alerts"}]);
        let refused = told(&json!({"kind": "decision", "data": {"guards": guards}}));
        assert_eq!((&*refused.outcome, &*refused.cause), ("refused", "storm"));
        let alert =
            json!({"kind": "alert", "data": {"status": "firing", "labels": {"alertname": "Down"}}});
        let alert = told(&alert);
        assert_eq!(
            (alert.severity, &*alert.state),
            (Severity::Warning, "firing")
        );
        assert_eq!(
            alert.labels.get("alertname").map(String::as_str),
            Some("Down")
        );
    }

    #[test]
    fn what_is_no_record_of_ours_is_none() {
        for line in ["", "{", "{}", r#"{"kind": "other"}"#, r#"{"kind": 7}"#] {
            let stored = Stored {
                seq: 1,
                line: line.into(),
                hash: String::new(),
            };
            assert_eq!(event(&stored, "x"), None, "{line}");
        }
    }
}
