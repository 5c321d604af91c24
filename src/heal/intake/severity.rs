//! How bad an alert is, by what its source calls it.

use std::collections::BTreeMap;

use super::Kind;
use crate::model::alert::Labels;
use crate::model::severity::Severity;

/// Which words of a label mean which severity; any other word, or no label, is a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Severities {
    label: String,
    words: BTreeMap<String, Severity>,
}

impl Severities {
    /// The default of a kind: the label `severity`; critical and page are critical, and of Zabbix high and disaster (4 and
    /// 5); info, information, informational and none are mild.
    #[must_use]
    pub fn of(kind: Kind) -> Self {
        let more: &[&str] = match kind {
            Kind::Alertmanager | Kind::Grafana => &[],
            Kind::Zabbix => &["high", "disaster"],
        };
        let more = more.iter().map(|word| (*word, Severity::Critical));
        let words = Severity::words().chain(more);
        Self {
            label: "severity".into(),
            words: words
                .map(|(word, severity)| (word.to_owned(), severity))
                .collect(),
        }
    }

    /// The same words of another label.
    #[must_use]
    pub fn by_label(self, label: &str) -> Self {
        Self {
            label: label.to_owned(),
            ..self
        }
    }

    /// Other words of the same label, in any case.
    #[must_use]
    pub fn with_words(self, words: impl IntoIterator<Item = (String, Severity)>) -> Self {
        let words = words.into_iter();
        Self {
            words: words.map(|(w, s)| (w.to_lowercase(), s)).collect(),
            ..self
        }
    }

    /// The severity of an alert with these labels.
    #[must_use]
    pub fn find(&self, labels: &Labels) -> Severity {
        labels
            .get(&self.label)
            .and_then(|word| self.words.get(&word.trim().to_lowercase()))
            .copied()
            .unwrap_or(Severity::Warning)
    }
}
