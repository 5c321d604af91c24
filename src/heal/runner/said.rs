//! What the log says of incidents once it is on record: one line for an action that ended, a heal, and what people are told.

use serde_json::Value;

use crate::heal::incident::{Incident, State};
use crate::heal::machine::Record;
use crate::journal::Kind;
use crate::model::id::IncidentId;
use crate::model::notice::What;
use crate::model::target::Target;

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Said {
    incident: IncidentId,
    playbook: String,
    target: Target,
    /// The rung that its incident is at, from 0.
    rung: usize,
    outcome: String,
    text: String,
    notice: Option<What>,
}

impl Said {
    fn new(incident: &Incident, outcome: &str, text: String) -> Self {
        Self {
            incident: incident.id.clone(),
            playbook: incident.playbook.clone(),
            target: incident.target.clone(),
            rung: incident.rung,
            outcome: outcome.to_owned(),
            text,
            notice: None,
        }
    }

    /// Of a record, if it tells that an action ended or that something is healed.
    pub(super) fn record(incident: &Incident, record: &Record) -> Option<Self> {
        let text = |at: &str| record.data.pointer(at).and_then(Value::as_str);
        if record.kind == Kind::Result {
            let outcome = text("/outcome")?;
            let why = text("/detail/why").map_or_else(String::new, |why| format!(": {why}"));
            return Some(Self::new(
                incident,
                outcome,
                format!("an action has ended{why}"),
            ));
        }
        let heals = record
            .change
            .is_some_and(|(_, to)| to == State::Healed.as_str());
        let target = &incident.target;
        heals.then(|| Self::new(incident, "healed", format!("{target} is healed")))
    }

    /// Whether it tells of a heal.
    pub(super) fn heals(&self) -> bool {
        self.outcome == State::Healed.as_str()
    }

    /// Of what people are told.
    pub(super) fn notice(incident: &Incident, what: What, summary: String) -> Self {
        Self {
            notice: Some(what),
            ..Self::new(incident, what.as_str(), summary)
        }
    }

    /// Writes it.
    pub(super) fn log(&self) {
        let Self {
            incident,
            playbook,
            target,
            rung,
            outcome,
            text,
            notice,
        } = self;
        match notice {
            Some(What::Escalated) => {
                tracing::error!(%incident, playbook, %target, rung, outcome, "{text}");
            }
            Some(What::ApprovalWanted) => {
                tracing::warn!(%incident, playbook, %target, rung, outcome, "{text}");
            }
            Some(What::Recovered) | None => {
                tracing::info!(%incident, playbook, %target, rung, outcome, "{text}");
            }
        }
    }
}
