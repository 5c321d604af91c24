//! What one transaction writes, and what comes back.

use std::sync::Arc;

use super::chain::Hash;
use super::entry::Entry;
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

/// What one transaction writes: all of it or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// Records, chained in this order.
    pub entries: Vec<Entry>,
    /// Incidents as they are now; each takes the place of what was kept under its id.
    pub incidents: Vec<IncidentRow>,
    /// Episodes as they are now; each takes the place of what was kept of it.
    pub episodes: Vec<EpisodeRow>,
    /// Keys of deliveries that are answered 2xx once this is durable.
    pub deliveries: Vec<[u8; 32]>,
    /// Revisions of playbooks: hash and JSON text. One that is known already stays as it is.
    pub playbooks: Vec<(String, String)>,
    /// Small named facts, such as the kill switch; `None` forgets one.
    pub settings: Vec<(String, Option<String>)>,
    /// Notifications to deliver.
    pub outbox: Vec<Outgoing>,
    /// Packets of evidence; one that is there already stays as it is.
    pub evidence: Vec<Evidence>,
    /// What became of notifications, by their row.
    pub sent: Vec<(i64, Sent)>,
}

impl Commit {
    /// A commit of one record.
    #[must_use]
    pub fn of(entry: Entry) -> Self {
        Self {
            entries: vec![entry],
            ..Self::default()
        }
    }

    /// How many rows it writes beside records.
    pub(super) fn rows(&self) -> usize {
        let evidence = self.evidence.iter().map(|e| 1 + e.text.len() / 4096);
        let rows = self.incidents.len() + self.episodes.len() + self.deliveries.len();
        rows + self.outbox.len() + evidence.sum::<usize>()
    }

    /// About how many bytes it takes; what the queue is bounded by.
    pub(super) fn weight(&self) -> usize {
        let entries = self.entries.iter().map(|e| 256 + weight(&e.data));
        let incidents = self.incidents.iter().map(|i| i.body.len() + 64);
        let episodes = self
            .episodes
            .iter()
            .map(|e| e.body.len() + e.episode.len() + 64);
        let playbooks = self.playbooks.iter().map(|(_, text)| text.len() + 64);
        let outbox = self.outbox.iter().map(|o| o.body.len() + 128);
        let all = entries
            .chain(incidents)
            .chain(episodes)
            .chain(playbooks)
            .chain(outbox)
            .chain(self.evidence.iter().map(|e| e.text.len() + 64));
        all.sum::<usize>() + 64 * (self.deliveries.len() + self.settings.len() + self.sent.len())
    }
}

/// About how many bytes a JSON value takes.
fn weight(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 16,
        Value::String(text) => text.len() + 16,
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + 16,
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| name.len() + 16 + weight(value))
            .sum(),
    }
}

/// A packet of evidence as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The incident.
    pub incident: IncidentId,
    /// Its number within that.
    pub number: u32,
    /// All of it, a text of whoever gathered it.
    pub text: Arc<str>,
}

/// An incident as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentRow {
    /// Its name.
    pub id: IncidentId,
    /// Whether it is open: open ones are restored and their records are kept.
    pub open: bool,
    /// Hash of the revision of its playbook, as in [`Commit::playbooks`]: kept and restored as long as the incident is.
    pub revision: Option<String>,
    /// Its state, a JSON text of whoever wrote it.
    pub body: String,
}

/// An episode as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeRow {
    /// Text of the episode.
    pub episode: String,
    /// Whether it was seen resolved: only such are forgotten.
    pub resolved: bool,
    /// A JSON text of whoever wrote it.
    pub body: String,
    /// When it was last heard of.
    pub seen: Timestamp,
}

/// A notification to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Name of the notifier.
    pub sink: String,
    /// Stable id of the event: a second notification of the same sink and id is the first one.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// The event, a JSON text.
    pub body: String,
    /// The record it tells of: an index into the entries of the same commit, the last one if none is named. Its number
    /// and hash come with [`Undelivered`].
    pub entry: Option<usize>,
}

/// What became of a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Delivered,
    /// It will not be tried again, and why.
    Dropped(String),
    /// It was not taken at this time, and why; it will be tried again.
    Failed(Timestamp, String),
}

/// A notification that was not delivered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// Its row, growing: a sink's notifications are delivered in this order.
    pub row: i64,
    /// Name of the notifier.
    pub sink: String,
    /// Stable id of the event.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// The event, a JSON text.
    pub body: String,
    /// When it was written.
    pub made: Timestamp,
    /// How often it was tried without success.
    pub tries: u32,
    /// Number of the record it tells of; 0 for none.
    pub seq: i64,
    /// Hash of that record.
    pub chain: Hash,
}

/// What was written; it is on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Number of the last record; where the commit had none, that of the record before.
    pub seq: i64,
    /// Hash of that record.
    pub hash: Hash,
    /// Rows of the notifications, in their order.
    pub outbox: Vec<i64>,
}
