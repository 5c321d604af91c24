//! Events of Zabbix.

use super::*;

fn event() -> serde_json::Value {
    serde_json::json!({"event_source": "0", "event_value": "1", "event_update_status": "0", "event_id": "64",
        "recovery_id": "{EVENT.RECOVERY.ID}", "event_name": "Unit nginx.service failed", "event_opdata": "1",
        "event_nseverity": "4", "event_date": "2026.11.22", "event_time": "16:59:53",
        "event_tags": [{"tag": "unit", "value": "nginx.service"}], "trigger_id": "23246",
        "trigger_expression": "last(/h/k)>0", "host": "h", "host_name": "Host H", "host_id": "10564",
        "host_ip": "192.0.2.7", "item_key": "k", "item_value": "1", "action_name": "nodeward", "subject": "S",
        "message": "M"})
}

fn with(key: &str, value: impl Into<serde_json::Value>) -> serde_json::Value {
    let mut event = event();
    event[key] = value.into();
    event
}

fn zabbix(body: &serde_json::Value) -> Result<Delivery, Unreadable> {
    read(Kind::Zabbix, body.to_string().as_bytes())
}

#[test]
fn an_event_becomes_an_alert_and_its_recovery_the_end_of_the_same_episode() {
    let problem = zabbix(&event()).unwrap().alerts.remove(0);
    let recovery = zabbix(&with("event_value", "0")).unwrap().alerts.remove(0);
    assert_eq!(
        (problem.status, recovery.status),
        (Status::Firing, Status::Resolved)
    );
    assert_eq!(problem.episode, recovery.episode);
    assert_eq!(problem.episode.as_str(), "hook/event/64");
    assert_eq!(problem.fingerprint, "23246");
    assert_eq!(problem.severity, Severity::Critical);
    assert_eq!(problem.starts_at, None);
    let labels: Vec<_> = problem
        .labels
        .iter()
        .map(|(n, v)| format!("{n}={v}"))
        .collect();
    assert_eq!(
        labels,
        [
            "alertname=Unit nginx.service failed",
            "host=h",
            "host_id=10564",
            "host_name=Host H",
            "ip=192.0.2.7",
            "item_key=k",
            "severity=high",
            "trigger_id=23246",
            "unit=nginx.service"
        ]
    );
    assert_eq!(problem.annotations["message"], "M");
    assert_eq!(problem.annotations["item_value"], "1");
}

#[test]
fn comments_and_events_of_other_sources_are_no_alerts() {
    for ignored in [
        with("event_update_status", "1"),
        with("event_source", "1"),
        with("event_source", "3"),
        with("event_source", "{EVENT.SOURCE}"),
    ] {
        let delivery = zabbix(&ignored).unwrap();
        assert_eq!(
            (delivery.alerts.len(), delivery.ignored),
            (0, 1),
            "{ignored}"
        );
    }
}

#[test]
fn macros_that_were_not_resolved_become_no_labels() {
    for text in [
        "{HOST.IP}",
        "{HOST.IP1}",
        "*UNKNOWN*",
        "{$ADDRESS}",
        "{{ITEM.VALUE}.regsub(a,b)}",
        "{?last(/h/k)}",
    ] {
        let alert = zabbix(&with("host_ip", text)).unwrap().alerts.remove(0);
        assert!(!alert.labels.contains_key("ip"), "{text}");
        let tags = serde_json::json!([{"tag": "unit", "value": text}]);
        let alert = zabbix(&with("event_tags", tags)).unwrap().alerts.remove(0);
        assert!(!alert.labels.contains_key("unit"), "{text}");
        let error = zabbix(&with("event_id", text)).unwrap_err();
        assert!(error.to_string().contains("event_id"), "{error}");
    }
    let nameless = zabbix(&with("trigger_id", "{TRIGGER.ID}")).unwrap();
    assert_eq!(nameless.alerts[0].fingerprint, "64");
    // What a template writes into a tag itself is no macro.
    let tags = serde_json::json!([{"tag": "json", "value": "{}"}, {"tag": "set", "value": "{a}"}]);
    let alert = zabbix(&with("event_tags", tags)).unwrap().alerts.remove(0);
    assert_eq!(
        (&*alert.labels["json"], &*alert.labels["set"]),
        ("{}", "{a}")
    );
}

#[test]
fn tags_are_a_list_or_its_text_repeated_ones_are_joined_and_none_says_which_host_it_is() {
    let tags = serde_json::json!([
        {"tag": "scope", "value": "a"}, {"tag": "scope", "value": "b"}, {"tag": "empty", "value": ""},
        {"tag": "host", "value": "other"}, {"tag": "instance", "value": "other"}, {"tag": "severity", "value": "page"}
    ]);
    for tags in [tags.clone(), tags.to_string().into()] {
        let labels = zabbix(&with("event_tags", tags))
            .unwrap()
            .alerts
            .remove(0)
            .labels;
        assert_eq!(labels["scope"], "a,b");
        assert_eq!((&*labels["host"], &*labels["tag_host"]), ("h", "other"));
        assert_eq!(labels["tag_instance"], "other");
        assert_eq!(
            (&*labels["severity"], &*labels["tag_severity"]),
            ("high", "page")
        );
        assert!(!labels.contains_key("instance") && !labels.contains_key("empty"));
    }
    for none in [
        serde_json::json!("{EVENT.TAGSJSON}"),
        serde_json::json!(""),
        serde_json::json!(null),
    ] {
        assert_eq!(zabbix(&with("event_tags", none)).unwrap().alerts.len(), 1);
    }
    for bad in [
        serde_json::json!("[{"),
        serde_json::json!({"a": 1}),
        serde_json::json!(["x"]),
    ] {
        assert!(zabbix(&with("event_tags", bad.clone())).is_err(), "{bad}");
    }
}

#[test]
fn what_says_neither_problem_nor_recovery_is_refused() {
    for value in ["2", "", "{EVENT.VALUE}"] {
        let error = zabbix(&with("event_value", value)).unwrap_err();
        assert!(
            error.to_string().contains("neither firing nor resolved"),
            "{error}"
        );
    }
    assert!(zabbix(&serde_json::json!([event()])).is_err());
}
