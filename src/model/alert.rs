//! One alert, as every source tells it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::moment::Timestamp;
use super::severity::Severity;

/// Labels or annotations: names and values, as sent. Values are hostile input.
pub type Labels = BTreeMap<String, String>;

/// Whether an alert is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The problem is there.
    Firing,
    /// The alert server says that the problem is over; a hint, no proof.
    Resolved,
}

/// One stretch of an alert from firing to resolved: source, fingerprint and start. Repeats of a delivery have the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Episode(Arc<str>);

impl Episode {
    /// The episode of an alert of `source` that began at `start`, in the source's own words: they are only compared.
    #[must_use]
    pub fn new(source: &str, fingerprint: &str, start: &str) -> Self {
        Self(format!("{source}/{fingerprint}/{start}").into())
    }

    /// Whether it is one of `source`.
    #[must_use]
    pub fn is_of(&self, source: &str) -> bool {
        self.0
            .strip_prefix(source)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The source's name for its alert, if that has no slash.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        self.0.split('/').nth(1).unwrap_or_default()
    }

    /// An episode as [`Episode::as_str`] gave it.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Episode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One alert, normalised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Who sent it: the name of the hook, or `check`.
    pub source: String,
    /// The source's name for this alert: Alertmanager's fingerprint, Zabbix's trigger, a check's name.
    pub fingerprint: String,
    /// Which stretch of it.
    pub episode: Episode,
    /// Firing or resolved.
    pub status: Status,
    /// How bad it is, by the label `severity` or what the source has for it.
    pub severity: Severity,
    /// When the source saw it begin, if it says so.
    pub starts_at: Option<Timestamp>,
    /// Its labels; playbooks match on them.
    #[serde(default)]
    pub labels: Labels,
    /// Its annotations: only for people.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub annotations: Labels,
}

impl Alert {
    /// The label `alertname`; empty if it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("", String::as_str)
    }
}
