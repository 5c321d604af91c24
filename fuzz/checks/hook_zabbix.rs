//! Events of Zabbix: at most one alert, its episode a number, and no label of a macro that was not resolved.

use nodeward::heal::intake::{Kind, MOST_LABELS, Severities};

/// Takes the bytes as a body of nodeward's media type.
pub fn check(bytes: &[u8]) {
    let Ok(delivery) = Kind::Zabbix.read("hook", bytes, &Severities::of(Kind::Zabbix)) else {
        return;
    };
    assert_eq!(delivery.alerts.len() as u64 + delivery.ignored, 1);
    for alert in &delivery.alerts {
        let event = alert.episode.as_str().strip_prefix("hook/event/");
        assert!(event.is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit())));
        assert!(alert.labels.len() <= MOST_LABELS);
        for name in ["host", "ip"] {
            let value = alert.labels.get(name).map_or("", String::as_str);
            assert!(value != "*UNKNOWN*" && !(value.starts_with("{HOST.") && value.ends_with('}')));
        }
    }
}
