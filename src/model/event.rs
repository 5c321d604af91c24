//! What receivers are told: a notice for people, or a record of the journal.

use std::borrow::Cow;

use super::alert::Labels;
use super::moment::Timestamp;
use super::notice::{Evidence, Notice};
use super::severity::Severity;
use super::trace::TraceContext;

/// One thing that receivers are told, the same for every kind of them. A text is empty where there is nothing to say; all of them may
/// hold what an alert wrote.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// Name of this event: the same however often it is sent.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// What it is, in one word: of a notice `escalated`, `approval_wanted`, `recovered`, `reminder`, `acknowledged` or `test`; of a record its kind.
    pub what: Cow<'static, str>,
    /// How bad it is.
    pub severity: Severity,
    /// This machine.
    pub node: String,
    /// The incident.
    pub incident: String,
    /// Its playbook.
    pub playbook: String,
    /// What is ill.
    pub target: String,
    /// The incident's state.
    pub state: String,
    /// The last attempt.
    pub attempt: String,
    /// How it went: `done`, `failed`, `unknown` and the like.
    pub outcome: String,
    /// Why, in one word.
    pub cause: String,
    /// The operator; of a login that was refused, the name that was tried.
    pub by: String,
    /// The address that a login came from.
    pub from: String,
    /// One line for people.
    pub summary: String,
    /// Labels of the alert.
    pub labels: Labels,
    /// Packets of evidence: of a notice those that were on record, of a record the one that it puts there.
    pub evidence: Vec<Evidence>,
    /// The span that tells of the run.
    pub trace: Option<TraceContext>,
    /// Of a record: all of it, as the journal exports it.
    pub record: Option<String>,
}

impl Event {
    /// Below the API of this machine: all packets of evidence of the incident.
    #[must_use]
    pub fn evidence_path(&self) -> String {
        format!("/api/v1/incidents/{}/evidence", self.incident)
    }

    /// Where evidence is, and number and SHA-256 of each packet that is known, as in `/api/v1/incidents/ID/evidence 1:9f2c...`; empty where
    /// there is none.
    #[must_use]
    pub fn gathered(&self) -> String {
        if self.evidence.is_empty() {
            return String::new();
        }
        let mut gathered = self.evidence_path();
        for packet in &self.evidence {
            gathered.push_str(&format!(" {}:{}", packet.number, packet.sha256));
        }
        gathered
    }
}

impl From<Notice> for Event {
    fn from(notice: Notice) -> Self {
        let attempt = notice.attempt.map(|attempt| attempt.to_string());
        Self {
            id: notice.id,
            time: notice.time,
            what: notice.what.as_str().into(),
            severity: notice.severity,
            node: notice.node,
            incident: notice.incident.to_string(),
            playbook: notice.playbook,
            target: notice.target.to_string(),
            state: notice.state,
            attempt: attempt.unwrap_or_default(),
            cause: notice.cause,
            summary: notice.summary,
            labels: notice.labels,
            evidence: notice.evidence,
            trace: notice.trace,
            ..Self::default()
        }
    }
}
