//! Webhooks of Alertmanager and Grafana: bounds hold, and the same bytes make the same delivery.

use nodeward::heal::intake::{
    Kind, LONGEST_LABEL, MOST_ALERTS, MOST_ANNOTATIONS, MOST_LABELS, Severities,
};

/// Takes the bytes as a body of either.
pub fn check(bytes: &[u8]) {
    for kind in [Kind::Alertmanager, Kind::Grafana] {
        let severities = Severities::of(kind);
        let read = kind.read("hook", bytes, &severities);
        assert_eq!(read, kind.read("hook", bytes, &severities));
        let Ok(delivery) = read else { continue };
        assert!(delivery.alerts.len() + delivery.left_out.len() <= MOST_ALERTS);
        for alert in &delivery.alerts {
            assert!(!alert.labels.is_empty() && alert.labels.len() <= MOST_LABELS);
            assert!(alert.annotations.len() <= MOST_ANNOTATIONS + 1);
            assert!(!alert.fingerprint.is_empty());
            for (name, value) in &alert.labels {
                assert!(name.len() <= LONGEST_LABEL && (1..=LONGEST_LABEL).contains(&value.len()));
            }
        }
    }
}
