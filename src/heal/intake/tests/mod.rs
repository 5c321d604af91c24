//! Bodies as the sources send them, and as an enemy would.

mod hostile;
mod zabbix;

use super::*;
use crate::model::alert::Status;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

/// Recorded from Alertmanager 0.25: one member of a group is over while the other goes on.
pub(super) const PART: &str = r#"{"receiver":"part","status":"firing","alerts":[
 {"status":"firing","labels":{"alertname":"HighMem","case":"part","instance":"n0"},"annotations":{},"startsAt":"2026-11-22T16:43:32.533777Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/g","fingerprint":"cf98175fbd0f011b"},
 {"status":"resolved","labels":{"alertname":"HighMem","case":"part","instance":"n1"},"annotations":{},"startsAt":"2026-11-22T16:43:32.533777Z","endsAt":"2026-11-22T16:43:47.546558Z","generatorURL":"http://p/g","fingerprint":"cf9a175fbd0f83f2"}],
 "groupLabels":{"alertname":"HighMem"},"commonLabels":{"alertname":"HighMem","case":"part"},"commonAnnotations":{},
 "externalURL":"http://vm:19093","version":"4","groupKey":"{}:{alertname=\"HighMem\"}","truncatedAlerts":0}"#;

pub(super) fn read(kind: Kind, body: &[u8]) -> Result<Delivery, Unreadable> {
    kind.read("hook", body, &Severities::of(kind))
}

fn alertmanager(body: serde_json::Value) -> Result<Delivery, Unreadable> {
    read(Kind::Alertmanager, body.to_string().as_bytes())
}

#[test]
fn the_status_of_each_alert_counts_and_not_that_of_the_group() {
    let delivery = read(Kind::Alertmanager, PART.as_bytes()).unwrap();
    let [firing, resolved] = delivery.alerts.as_slice() else {
        panic!("{delivery:?}")
    };
    assert_eq!(
        (firing.status, resolved.status),
        (Status::Firing, Status::Resolved)
    );
    assert_eq!(firing.source, "hook");
    assert_eq!(firing.name(), "HighMem");
    assert_eq!(firing.fingerprint, "cf98175fbd0f011b");
    assert_eq!(
        firing.episode.as_str(),
        "hook/cf98175fbd0f011b/2026-11-22T16:43:32.533777Z"
    );
    assert_eq!(
        firing.starts_at,
        Timestamp::parse("2026-11-22T16:43:32.533777Z")
    );
    assert_eq!((delivery.truncated, delivery.ignored), (0, 0));
}

#[test]
fn the_key_is_that_of_the_hook_and_the_very_bytes() {
    let kind = Kind::Alertmanager;
    let key = |source: &str, body: &str| {
        let read = kind.read(source, body.as_bytes(), &Severities::of(kind));
        read.unwrap().key
    };
    assert_eq!(key("a", PART), key("a", PART));
    assert_ne!(key("a", PART), key("b", PART));
    assert_ne!(key("a", PART), key("a", &PART.replace("n0", "n2")));
}

#[test]
fn fields_that_do_not_matter_may_be_missing_unknown_or_of_any_type() {
    let delivery = alertmanager(serde_json::json!({
        "version": 5, "status": ["x"], "truncatedAlerts": "7", "notification_reason": "first notification",
        "alerts": [{"status": "firing", "startsAt": "2026-11-22T16:43:32Z", "labels": {"alertname": "A", "n": 1, "b": true, "none": null, "empty": ""},
            "annotations": ["x"], "endsAt": {}, "extra": [[{}]]}]
    }))
    .unwrap();
    let alert = &delivery.alerts[0];
    let labels: Vec<_> = alert
        .labels
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    assert_eq!(labels, ["alertname=A", "b=true", "n=1"]);
    assert_eq!(alert.fingerprint.len(), 16);
    assert_eq!(delivery.truncated, 7);
    assert!(
        alertmanager(serde_json::json!({"alerts": []}))
            .unwrap()
            .alerts
            .is_empty()
    );
}

#[test]
fn without_a_fingerprint_the_labels_make_one() {
    let of = |labels: serde_json::Value| {
        let alert = serde_json::json!({"status": "firing", "startsAt": "2026-11-22T16:43:32Z", "labels": labels});
        alertmanager(serde_json::json!({ "alerts": [alert] }))
            .unwrap()
            .alerts[0]
            .fingerprint
            .clone()
    };
    let ab = of(serde_json::json!({"a": "1", "b": "2"}));
    assert_eq!(ab, of(serde_json::json!({"b": "2", "a": "1"})));
    assert_ne!(ab, of(serde_json::json!({"a": "2", "b": "1"})));
    assert_ne!(ab, of(serde_json::json!({"a": "1b", "": "2"})));
}

#[test]
fn an_alert_that_cannot_be_used_costs_only_itself() {
    let good = serde_json::json!({"status": "firing", "startsAt": "2026-11-22T16:43:32Z", "labels": {"alertname": "A"}});
    let with = |key: &str, value: serde_json::Value| {
        let mut alert = good.clone();
        alert[key] = value;
        alert
    };
    let many: serde_json::Map<_, _> = (0..=MOST_LABELS)
        .map(|n| (n.to_string(), "x".into()))
        .collect();
    for (bad, why) in [
        (serde_json::json!("x"), "no map"),
        (serde_json::json!(null), "no map"),
        (with("status", "unknown".into()), "\"unknown\""),
        (
            with("status", serde_json::Value::Null),
            "neither firing nor resolved",
        ),
        (
            with("startsAt", "0001-01-01T00:00:00Z".into()),
            "no startsAt",
        ),
        (with("startsAt", serde_json::json!({})), "no startsAt"),
        (with("labels", serde_json::json!({})), "no labels"),
        (with("labels", serde_json::json!("x")), "neither text"),
        (with("labels", serde_json::json!({"a": []})), "neither text"),
        (
            with(
                "labels",
                serde_json::json!({"a": "x".repeat(LONGEST_LABEL + 1)}),
            ),
            "longer than",
        ),
        (
            with(
                "labels",
                serde_json::json!({"x".repeat(LONGEST_LABEL + 1): "a"}),
            ),
            "longer than",
        ),
        (with("labels", many.into()), "more than 128 labels"),
    ] {
        let delivery = alertmanager(serde_json::json!({"alerts": [bad, good]})).unwrap();
        assert_eq!(delivery.alerts.len(), 1, "{why}");
        let said = delivery.left_out[0].to_string();
        assert!(said.contains(why), "{said}");
        let alone = alertmanager(serde_json::json!({"alerts": [bad]})).unwrap_err();
        assert!(alone.to_string().contains(why), "{alone}");
    }
}

#[test]
fn annotations_are_cut_and_say_so() {
    let mut notes: serde_json::Map<_, _> =
        (0..200).map(|n| (format!("n{n:03}"), "x".into())).collect();
    notes.insert("a".into(), "\u{e9}".repeat(LONGEST_ANNOTATION).into());
    let delivery = alertmanager(serde_json::json!({"alerts": [
        {"status": "firing", "startsAt": "2026-11-22T16:43:32Z", "labels": {"a": "b"}, "annotations": notes}
    ]}));
    let annotations = &delivery.unwrap().alerts[0].annotations;
    assert_eq!(annotations.len(), MOST_ANNOTATIONS + 1);
    assert_eq!(annotations["nodeward_left_out"], "73");
    assert!(annotations["a"].ends_with("\u{e9}[cut]"));
    assert!(annotations["a"].len() <= LONGEST_ANNOTATION + 5);
}

#[test]
fn severity_is_a_word_of_a_label() {
    let of = |severities: &Severities, word: &str| {
        let labels = [("severity".to_owned(), word.to_owned())].into();
        severities.find(&labels)
    };
    let default = Severities::of(Kind::Alertmanager);
    for (word, severity) in [
        ("critical", Severity::Critical),
        ("Page", Severity::Critical),
        ("info", Severity::Info),
        ("None", Severity::Info),
        ("not_classified", Severity::Warning),
        ("disaster", Severity::Warning),
        ("", Severity::Warning),
    ] {
        assert_eq!(of(&default, word), severity, "{word}");
    }
    assert_eq!(default.find(&Default::default()), Severity::Warning);
    assert_eq!(
        of(&Severities::of(Kind::Zabbix), "disaster"),
        Severity::Critical
    );
    assert_eq!(
        of(&Severities::of(Kind::Zabbix), "information"),
        Severity::Info
    );
    let own = default
        .clone()
        .with_words([("P3".to_owned(), Severity::Info)]);
    assert_eq!(of(&own, "p3"), Severity::Info);
    assert_eq!(of(&own, "critical"), Severity::Warning);
}

#[test]
fn the_test_button_of_grafana_is_ignored_and_its_alerts_are_read() {
    let body = |name: &str| {
        let body = serde_json::json!({"receiver": "", "status": "firing", "orgId": 1, "state": "alerting", "version": "1",
            "title": "[FIRING:1]", "message": "m", "alerts": [{"status": "firing",
            "labels": {"alertname": name, "instance": "Grafana"}, "annotations": {"summary": "s"},
            "startsAt": "2026-11-22T16:43:32.5+01:00", "endsAt": "0001-01-01T00:00:00Z", "values": {"B": 22, "C": 1.5},
            "valueString": "[ metric='foo' ]", "fingerprint": "57c6d9296de2ad39", "silenceURL": "http://g/s", "orgId": 1}]});
        read(Kind::Grafana, body.to_string().as_bytes()).unwrap()
    };
    let test = body("TestAlert");
    assert_eq!((test.alerts.len(), test.ignored), (0, 1));
    let alert = &body("DiskFull").alerts[0];
    assert_eq!(alert.fingerprint, "57c6d9296de2ad39");
    assert_eq!(alert.annotations["summary"], "s");
    assert_eq!(alert.starts_at, Timestamp::parse("2026-11-22T15:43:32.5Z"));
}
