//! What comes in by webhook: the bytes that an alert server sends, as alerts of ours.
//!
//! Owns the formats of the sources, the bounds on what they may send, and which alerts are this machine's. It knows no
//! HTTP, no credentials and no playbook, and it keeps nothing: whoever has a [`Desk`] does.
//!
//! ```text
//!  body ─> Kind::read ─> Delivery { alerts, left out and why, key } ─> Desk::deliver ─> 2xx only once it is durable
//! ```
//!
//! The surprising decision: a field that does not matter may be missing or of any type, and an alert that cannot be
//! used costs itself, not the others of its body: an alert server sends a refused body again for ever, so one bad alert
//! would hide all that come with it. What is left out is counted in the delivery and answered to the sender.

mod alertmanager;
mod desk;
mod loose;
mod ours;
mod severity;
mod shape;
#[cfg(test)]
mod tests;
mod zabbix;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::alert::{Alert, Episode, Status};
use crate::model::moment::Timestamp;
use crate::model::trace::TraceContext;

pub(super) use alertmanager::of_labels;
pub use desk::{Accepted, Delivering, Desk, Refused};
pub use ours::{Matching, Ours};
pub use severity::Severities;
pub use shape::shape;

/// Most alerts in one body; one with more is refused whole.
pub const MOST_ALERTS: usize = 10_000;
/// Most labels of one alert; one with more is left out.
pub const MOST_LABELS: usize = 128;
/// Longest name and longest value of a label, in bytes; an alert with a longer one is left out.
pub const LONGEST_LABEL: usize = 8 << 10;
/// Most labels and annotations in one body; one with more is refused whole.
pub const MOST_PAIRS: usize = 128 << 10;
/// Longest annotation in bytes; a longer one is cut and ends with `[cut]`.
pub const LONGEST_ANNOTATION: usize = 8 << 10;
/// Most annotations of one alert; how many were left out is told in the annotation `nodeward_left_out`.
pub const MOST_ANNOTATIONS: usize = 128;

/// Whose format a hook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Webhooks of Prometheus Alertmanager, version 4.
    Alertmanager,
    /// Webhook contact points of Grafana.
    Grafana,
    /// The body that nodeward's media type makes in Zabbix.
    Zabbix,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alertmanager, Self::Grafana, Self::Zabbix];

    /// Its word in the config, which is also the name of the hook that needs not say it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alertmanager => "alertmanager",
            Self::Grafana => "grafana",
            Self::Zabbix => "zabbix",
        }
    }

    /// Reads a body that came to the hook `source`. Pure: the same bytes make the same delivery.
    ///
    /// # Errors
    /// [`Unreadable`]: nothing of it can be used.
    pub fn read(
        self,
        source: &str,
        body: &[u8],
        severities: &Severities,
    ) -> Result<Delivery, Unreadable> {
        let key = key(source, body);
        // A byte that is no UTF-8 in some message must not lose the alert.
        let text = String::from_utf8_lossy(body);
        let read = match self {
            Self::Alertmanager | Self::Grafana => {
                alertmanager::read(self, source, &text, severities)
            }
            Self::Zabbix => zabbix::read(source, &text, severities),
        }?;
        let Read {
            alerts,
            left_out,
            ignored,
            truncated,
        } = read;
        match left_out.first() {
            Some(first) if alerts.is_empty() && ignored == 0 => {
                let (why, alerts) = (first.clone(), left_out.len() as u64);
                Err(Unreadable::Nothing { why, alerts })
            }
            _ => Ok(Delivery {
                alerts,
                truncated,
                left_out,
                ignored,
                key,
                trace: None,
            }),
        }
    }
}

/// What a body holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its alerts, in the order of the body.
    pub alerts: Vec<Alert>,
    /// How many more the source says it did not send (`max_alerts` in Alertmanager).
    pub truncated: u64,
    /// Alerts that cannot be used, each with the reason.
    pub left_out: Vec<LeftOut>,
    /// What is no alert that could be acted on: tests of Grafana, comments and internal events of Zabbix.
    pub ignored: u64,
    /// SHA-256 of the hook's name and the body: the same for an exact repeat only.
    pub key: [u8; 32],
    /// The request that brought it, if that is traced. No part of the body; whoever read the head sets it.
    pub trace: Option<TraceContext>,
}

impl Delivery {
    /// Of one alert that came in no body.
    #[must_use]
    pub fn of(alert: Alert) -> Self {
        let text = format!("{} {:?}", alert.episode, alert.status);
        Self {
            alerts: vec![alert],
            truncated: 0,
            left_out: Vec::new(),
            ignored: 0,
            key: Sha256::digest(text.as_bytes()).into(),
            trace: None,
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        let pair = |(name, value): (&String, &String)| name.len() + value.len() + 64;
        let alert = |alert: &Alert| {
            let pairs = alert.labels.iter().chain(&alert.annotations);
            256 + pairs.map(pair).sum::<usize>()
        };
        self.alerts.iter().map(alert).sum()
    }

    /// The same alerts as if each that fires had begun at `now`, so that none was told before.
    pub fn begin_anew(&mut self, now: Timestamp) {
        // No hash of a body is this.
        self.key = [0; 32];
        let firing = self.alerts.iter_mut();
        for alert in firing.filter(|alert| alert.status == Status::Firing) {
            alert.starts_at = Some(now);
            alert.episode = Episode::new(&alert.source, &alert.fingerprint, &now.to_string());
        }
    }
}

/// What a format's reader found.
#[derive(Debug, Default)]
struct Read {
    alerts: Vec<Alert>,
    left_out: Vec<LeftOut>,
    ignored: u64,
    truncated: u64,
}

/// Why nothing of a body can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No JSON, or not of the source's shape.
    #[error("the body is not what {kind} sends: {why}")]
    Form {
        /// Whose format was expected.
        kind: &'static str,
        /// What is wrong, and where.
        why: String,
    },
    /// More than [`MOST_ALERTS`].
    #[error("more than {MOST_ALERTS} alerts in one body; set max_alerts, or group by more labels")]
    TooMany,
    /// More than [`MOST_PAIRS`].
    #[error("more than {MOST_PAIRS} labels and annotations in one body; group by more labels")]
    TooMuch,
    /// Every alert in it was left out.
    #[error("no alert in it can be used: {why}")]
    Nothing {
        /// Why the first was.
        why: LeftOut,
        /// How many there are.
        alerts: u64,
    },
}

/// Why one alert is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeftOut {
    /// It is no map.
    #[error("an alert is no map of names to values")]
    NoMap,
    /// Neither firing nor resolved.
    #[error("the status of an alert is {0:?}, neither firing nor resolved")]
    Status(String),
    /// No start: without it a second problem could not be told from the first.
    #[error("an alert has no startsAt")]
    NoStart,
    /// No labels.
    #[error("an alert has no labels")]
    NoLabels,
    /// More than [`MOST_LABELS`].
    #[error("an alert has more than {MOST_LABELS} labels")]
    ManyLabels,
    /// A name or value longer than [`LONGEST_LABEL`].
    #[error("a label of an alert is longer than {LONGEST_LABEL} bytes")]
    LongLabel,
    /// A list or map where a text belongs.
    #[error("a label of an alert is neither text, number nor boolean")]
    LabelType,
}

fn key(source: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(source.as_bytes());
    // No name of a hook holds it, so no two pairs of name and body run together.
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

fn form(kind: Kind, why: impl std::fmt::Display) -> Unreadable {
    Unreadable::Form {
        kind: kind.as_str(),
        why: why.to_string(),
    }
}

/// Text of a person's message, cut to [`LONGEST_ANNOTATION`].
fn for_people(text: String) -> String {
    if text.len() <= LONGEST_ANNOTATION {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST_ANNOTATION);
    let mut text: Cow<'_, str> = text.get(..end).unwrap_or_default().into();
    text.to_mut().push_str("[cut]");
    text.into_owned()
}
