//! What the log says of incidents once it is on record: one line for an action that ended, one that would be done in observe mode, a heal, and what people are told.

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

    /// Of a record, if it tells that an action ended, what would be done if that were allowed, or that something is healed.
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
        if let (Kind::Decision, Some(would)) = (record.kind, record.data.get("would")) {
            let left =
                text("/isolate").map_or_else(String::new, |pool| format!("leave {pool}, then "));
            let would = crate::action::plain(would);
            let text = format!("would {left}{would} (observe)");
            return Some(Self::new(incident, State::Observed.as_str(), text));
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
            Some(What::Escalated | What::Reminder) => {
                tracing::error!(%incident, playbook, healing = %target, rung, outcome, "{text}");
            }
            Some(What::ApprovalWanted) => {
                tracing::warn!(%incident, playbook, healing = %target, rung, outcome, "{text}");
            }
            Some(What::Recovered | What::Acknowledged) | None => {
                tracing::info!(%incident, playbook, healing = %target, rung, outcome, "{text}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::moment::{Moment, Timestamp};

    #[test]
    fn what_observe_mode_would_do_is_said() {
        let now = Moment {
            wall: Timestamp(0),
            boot: 0,
            boot_id: "a".into(),
        };
        let target = "unit:web.service".parse().unwrap();
        let incident = Incident::new(IncidentId::new("01J"), "web", target, &now);
        let record = |data| Record {
            kind: Kind::Decision,
            change: None,
            data,
        };
        let would = json!({"systemd": {"verb": "restart", "unit": "web.service"}});
        let said = Said::record(&incident, &record(json!({"would": would})));
        assert_eq!(
            said.unwrap().text,
            "would restart unit web.service (observe)"
        );
        let left = record(json!({"would": would, "isolate": "web"}));
        let said = Said::record(&incident, &left).unwrap();
        assert_eq!(
            said.text,
            "would leave web, then restart unit web.service (observe)"
        );
        assert!(Said::record(&incident, &record(json!({"act": true}))).is_none());
    }
}
