//! What people and their systems are told of an incident.

use serde::{Deserialize, Serialize};

use super::alert::Labels;
use super::id::{AttemptId, IncidentId};
use super::moment::Timestamp;
use super::severity::Severity;
use super::target::Target;
use super::trace::TraceContext;

/// What has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It could not be healed.
    Escalated,
    /// A person must approve the action before anything is done.
    ApprovalWanted,
    /// What was escalated is well again.
    Recovered,
    /// What was escalated is still not well, and nobody has acknowledged that.
    Reminder,
    /// A person has taken up what was escalated.
    Acknowledged,
}

impl What {
    /// The word in messages: `escalated`, `approval_wanted`, `recovered`, `reminder`, `acknowledged`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Escalated => "escalated",
            Self::ApprovalWanted => "approval_wanted",
            Self::Recovered => "recovered",
            Self::Reminder => "reminder",
            Self::Acknowledged => "acknowledged",
        }
    }
}

/// That there is a packet of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// Its number within the incident.
    pub number: u32,
    /// Of what: `before_action` or `escalated`.
    pub occasion: String,
    /// SHA-256 of it, in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: usize,
}

/// One thing that people are told, the same for every notifier. Stored as JSON until it is delivered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Name of this event: the same however often it is sent.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// What it is.
    pub what: What,
    /// How bad it is.
    pub severity: Severity,
    /// This machine.
    pub node: String,
    /// The incident.
    pub incident: IncidentId,
    /// Its playbook.
    pub playbook: String,
    /// What is ill.
    pub target: Target,
    /// The incident's state.
    pub state: String,
    /// The last attempt, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptId>,
    /// The span that tells of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
    /// Why, in one word, such as `exhausted`; empty if the event says all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// One line for people.
    pub summary: String,
    /// What was gathered of this run so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// Labels of the alert that opened the incident; hostile input.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}
