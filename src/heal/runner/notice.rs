//! What people are told of an incident, put into the outbox with what it tells of.

use serde_json::json;

use super::book::Book;
use super::said::Said;
use super::step::entry;
use crate::heal::incident::{Acknowledged, Cause, Incident, State};
use crate::heal::machine::Record;
use crate::journal::{Kind, Outgoing};
use crate::model::counted::counted;
use crate::model::moment::Moment;
use crate::model::notice::{Evidence, Notice, What};
use crate::model::severity::Severity;

/// Characters of an action that a line shows.
const LONGEST: usize = 300;

impl Book {
    /// Puts a notice into the outbox of each notifier that wants it.
    pub(super) fn tell(&mut self, incident: &Incident, what: What, now: &Moment) {
        let cause = match &incident.state {
            State::Escalated { cause, .. } => Some(cause),
            _ => None,
        };
        let severity = match what {
            What::Escalated | What::Reminder => incident.severity.max(Severity::Warning),
            What::ApprovalWanted => Severity::Warning,
            What::Recovered | What::Acknowledged => Severity::Info,
        };
        let times = match what {
            What::ApprovalWanted => incident.questions.to_string(),
            What::Escalated | What::Recovered | What::Acknowledged => {
                format!("{}.{}", incident.run.number, incident.relapses)
            }
            What::Reminder => {
                let made = incident
                    .paging
                    .as_ref()
                    .map_or(0, |paging| paging.reminders);
                format!("{}.{}.{made}", incident.run.number, incident.relapses)
            }
        };
        let notice = Notice {
            id: format!("{}/{}/{times}", incident.id, what.as_str()),
            time: now.wall,
            what,
            severity,
            node: self.rules.node.clone(),
            incident: incident.id.clone(),
            playbook: incident.playbook.clone(),
            target: incident.target.clone(),
            state: incident.state.as_str().to_owned(),
            attempt: incident.attempt(),
            trace: Some(incident.trace()),
            cause: cause.map_or("", Cause::as_str).to_owned(),
            summary: summary(incident, what, cause),
            labels: incident.labels.clone(),
            evidence: gathered(incident),
        };
        let body = serde_json::to_string(&notice).unwrap_or_default();
        let sinks: Vec<String> = self
            .held
            .get(&incident.id)
            .and_then(|held| held.current.playbook.escalate.clone())
            .unwrap_or_default();
        let wants = |sink: &String| {
            self.rules
                .notifiers
                .get(sink)
                .is_some_and(|least| severity >= *least)
        };
        let sinks: Vec<String> = sinks.into_iter().filter(wants).collect();
        let data = json!({"id": notice.id, "what": what, "to": sinks, "summary": notice.summary});
        let record = Record {
            kind: Kind::Notify,
            change: None,
            data,
        };
        self.commit.entries.push(entry(incident, record));
        let at = self.commit.entries.len().checked_sub(1);
        for sink in sinks {
            self.commit.outbox.push(Outgoing {
                sink,
                id: notice.id.clone(),
                severity,
                body: body.clone(),
                entry: at,
            });
        }
        self.said.push(Said::notice(incident, what, notice.summary));
    }
}

/// What was gathered of the run that an incident is at.
fn gathered(incident: &Incident) -> Vec<Evidence> {
    let of_run = incident
        .evidence
        .iter()
        .filter(|kept| kept.run == incident.run.number);
    let evidence = of_run.map(|kept| Evidence {
        number: kept.number,
        occasion: kept.occasion.as_str().to_owned(),
        sha256: kept.sha256.clone(),
        bytes: kept.bytes,
    });
    evidence.collect()
}

/// One line for people.
fn summary(incident: &Incident, what: What, cause: Option<&Cause>) -> String {
    let (target, playbook) = (&incident.target, &incident.playbook);
    match what {
        What::Escalated => {
            let why = cause.map(in_words).unwrap_or_default();
            let tries = counted(incident.attempts.len(), "attempt");
            let pools: Vec<&str> = incident.held().collect();
            let out = match pools.is_empty() {
                true => String::new(),
                false => format!("; this node stays out of {}", pools.join(", ")),
            };
            format!("{target} could not be healed by {playbook}: {why} ({tries}){out}")
        }
        What::ApprovalWanted => {
            let asked = incident.question.as_ref();
            let token = asked.map(|asked| incident.token(asked)).unwrap_or_default();
            let action = asked.map(|asked| short(&asked.shown)).unwrap_or_default();
            format!(
                "{playbook} wants to act on {target}: nodeward approve {token} or nodeward reject {token}; it would {action}"
            )
        }
        What::Recovered => format!("{target} is well again ({playbook})"),
        What::Reminder => {
            let why = cause.map(in_words).unwrap_or_default();
            let id = &incident.id;
            let made = incident
                .paging
                .as_ref()
                .map_or(0, |paging| paging.reminders);
            format!(
                "{target} is still not well ({playbook}: {why}), and nobody has acknowledged it: nodeward ack {id} (reminder {made})"
            )
        }
        What::Acknowledged => {
            let paging = incident.paging.as_ref();
            let has = paging.and_then(|paging| paging.acknowledged.as_ref());
            let who = has.map(Acknowledged::who).unwrap_or_default();
            let reason = has.and_then(|has| has.reason.as_deref());
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{who} has taken up {target} ({playbook}){reason}")
        }
    }
}

/// An action in one line that is not too long.
pub(super) fn short(action: &serde_json::Value) -> String {
    let text = crate::action::plain(action);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn in_words(cause: &Cause) -> String {
    match cause {
        Cause::Exhausted => "what was tried did not help".into(),
        Cause::Flapping => "it heals and breaks again".into(),
        Cause::Refused { guard } => format!("the guard {guard} refused for too long"),
        Cause::UnknownOutcome => {
            "nobody knows whether the action happened, and it must not happen twice".into()
        }
        Cause::NotApproved { by: Some(by) } => format!("{by} said no to the action"),
        Cause::NotApproved { by: None } => "nobody approved the action in time".into(),
        Cause::Unproven => "nothing can be seen that tells whether the action helped".into(),
    }
}
