//! One thing to tell, and the record that proves it.

use serde::{Deserialize, Serialize};

use crate::journal::{Hash, Undelivered};
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

/// What is told; its JSON text is the body in the journal's outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Event {
    /// What happened, in one word: `escalated`, `healed`, `isolated`.
    pub event: String,
    /// One sentence for people. May hold text of an alert: hostile.
    pub message: String,
    /// The incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Its playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub playbook: Option<String>,
    /// What is healed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The state that the incident is in now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}

/// An event with what the journal knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What is told.
    pub event: Event,
    /// Stable id: the same each time it is sent.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it was decided.
    pub at: Timestamp,
    /// Number of the record it tells of; 0 for none.
    pub seq: i64,
    /// Hash of that record: the anchor for `nodeward journal verify`.
    pub chain: Hash,
}

impl Told {
    /// Of a notification in the outbox.
    ///
    /// # Errors
    /// Its body is no event.
    pub fn of(row: &Undelivered) -> serde_json::Result<Self> {
        Ok(Self {
            event: serde_json::from_str(&row.body)?,
            id: row.id.clone(),
            severity: row.severity,
            at: row.made,
            seq: row.seq,
            chain: row.chain,
        })
    }
}
