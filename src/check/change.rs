//! A check that began or ceased to raise its alert.

use std::sync::Arc;

use super::Check;
use crate::model::alert::{Alert, Episode, Labels, Status};
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

/// The source of alerts that checks raise.
pub const SOURCE: &str = "check";

/// An alert of a check was raised, or is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The check.
    pub name: Arc<str>,
    /// Whether it is over.
    pub up: bool,
    /// Whether the check is critical to the node.
    pub critical: bool,
    /// When the check began to fail; the same for the end as for the beginning.
    pub since: Timestamp,
    /// When this was found out.
    pub at: Timestamp,
    /// What the last probe saw, or why there is none any more.
    pub why: String,
    labels: Labels,
    description: Option<String>,
}

impl Change {
    pub(super) fn new(
        name: &Arc<str>,
        check: &Check,
        up: bool,
        since: Timestamp,
        why: String,
    ) -> Self {
        Self {
            name: Arc::clone(name),
            up,
            critical: check.critical,
            since,
            at: Timestamp::now(),
            why,
            labels: check.alert.clone(),
            description: check.description.clone(),
        }
    }

    /// The end of what this began, found out now by other means than a probe.
    #[must_use]
    pub fn over(&self) -> Self {
        Self {
            up: true,
            at: Timestamp::now(),
            why: "it no longer stands".to_owned(),
            ..self.clone()
        }
    }

    /// As the alert that playbooks match: `alertname` CheckFailed, `check` the name, `severity` critical or warning, unless
    /// the check's own labels say otherwise.
    #[must_use]
    pub fn alert(&self) -> Alert {
        let severity = if self.critical {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let mut labels = Labels::from([
            ("alertname".to_owned(), "CheckFailed".to_owned()),
            ("severity".to_owned(), severity.to_string()),
        ]);
        labels.extend(self.labels.clone());
        labels.insert("check".to_owned(), self.name.to_string());
        let mut annotations = Labels::from([("summary".to_owned(), self.why.clone())]);
        annotations.extend(
            self.description
                .clone()
                .map(|text| ("description".to_owned(), text)),
        );
        let start = self.since.to_string();
        Alert {
            source: SOURCE.to_owned(),
            fingerprint: self.name.to_string(),
            episode: Episode::new(SOURCE, &self.name, &start),
            status: if self.up {
                Status::Resolved
            } else {
                Status::Firing
            },
            severity: Severity::of_word(labels.get("severity").map(String::as_str)),
            starts_at: Some(self.since),
            labels,
            annotations,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_word_of_its_label_means_what_it_means_from_an_alert_server() {
        for (word, severity) in [
            (None, Severity::Critical),
            (Some("page"), Severity::Critical),
            (Some("none"), Severity::Info),
            (Some("ticket"), Severity::Warning),
        ] {
            let mut check = json!({"probe": {"tcp": {"address": "x:1"}}, "critical": true});
            if let Some(word) = word {
                check["alert"] = json!({"severity": word});
            }
            let check: Check = serde_json::from_value(check).unwrap();
            let (since, why) = (Timestamp::now(), String::new());
            let change = Change::new(&"web".into(), &check, false, since, why);
            assert_eq!(change.alert().severity, severity, "{word:?}");
        }
    }
}
