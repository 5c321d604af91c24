//! One record, before it has a number.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::id::{AttemptId, IncidentId};
use crate::model::moment::Timestamp;
use crate::model::target::Target;
use crate::model::trace::TraceContext;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An alert was taken.
    Alert,
    /// What the guards said.
    Decision,
    /// A hold was placed or lifted, or what became of the sessions.
    Hold,
    /// An action is about to be issued, with its witness before.
    Intent,
    /// It was issued.
    Started,
    /// How it ended, with its witness after.
    Result,
    /// What a probe found.
    Verify,
    /// An incident went from one state to another.
    State,
    /// An operator did something.
    Operator,
    /// Another config is in force.
    Config,
    /// A notification was made, delivered or given up.
    Notify,
    /// nodeward began to heal.
    Start,
    /// It ended in order.
    Stop,
    /// Logins from an address were refused.
    Login,
    /// Evidence was gathered.
    Evidence,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Alert,
        Self::Decision,
        Self::Hold,
        Self::Intent,
        Self::Started,
        Self::Result,
        Self::Verify,
        Self::State,
        Self::Operator,
        Self::Config,
        Self::Notify,
        Self::Start,
        Self::Stop,
        Self::Login,
        Self::Evidence,
    ];

    /// The word that stands in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Decision => "decision",
            Self::Hold => "hold",
            Self::Intent => "intent",
            Self::Started => "started",
            Self::Result => "result",
            Self::Verify => "verify",
            Self::State => "state",
            Self::Operator => "operator",
            Self::Config => "config",
            Self::Notify => "notify",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Login => "login",
            Self::Evidence => "evidence",
        }
    }

    /// The kind of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One record. Members that are `None`, and data that is null, do not appear in its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it is about.
    pub kind: Kind,
    /// The incident it belongs to.
    pub incident: Option<IncidentId>,
    /// The playbook of that incident.
    pub playbook: Option<String>,
    /// What is healed.
    pub target: Option<Target>,
    /// The attempt.
    pub attempt: Option<AttemptId>,
    /// The state before.
    pub from: Option<String>,
    /// The state after.
    pub to: Option<String>,
    /// The span that tells of the run it belongs to; of an alert, the span of the request that brought it.
    pub trace: Option<TraceContext>,
    /// Everything else; an object whose members depend on the kind.
    pub data: Value,
}

impl Entry {
    /// An empty record of a kind.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            incident: None,
            playbook: None,
            target: None,
            attempt: None,
            from: None,
            to: None,
            trace: None,
            data: Value::Null,
        }
    }

    /// Of this incident.
    #[must_use]
    pub fn incident(mut self, incident: &IncidentId) -> Self {
        self.incident = Some(incident.clone());
        self
    }

    /// Of this playbook.
    #[must_use]
    pub fn playbook(mut self, playbook: &str) -> Self {
        self.playbook = Some(playbook.to_owned());
        self
    }

    /// About this target.
    #[must_use]
    pub fn target(mut self, target: &Target) -> Self {
        self.target = Some(target.clone());
        self
    }

    /// Of this attempt.
    #[must_use]
    pub fn attempt(mut self, attempt: &AttemptId) -> Self {
        self.attempt = Some(attempt.clone());
        self
    }

    /// Out of this state.
    #[must_use]
    pub fn from(mut self, state: &str) -> Self {
        self.from = Some(state.to_owned());
        self
    }

    /// Into this state.
    #[must_use]
    pub fn to(mut self, state: &str) -> Self {
        self.to = Some(state.to_owned());
        self
    }

    /// Told of by this span.
    #[must_use]
    pub const fn trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// With this data.
    #[must_use]
    pub fn data(mut self, data: Value) -> Self {
        self.data = data;
        self
    }

    /// The JSON text that is stored, hashed and exported: one line, its members always in this order.
    ///
    /// # Errors
    /// The data cannot be written as JSON.
    pub fn line(&self, seq: i64, time: Timestamp) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Line<'a> {
            seq: i64,
            time: String,
            kind: Kind,
            #[serde(skip_serializing_if = "Option::is_none")]
            incident: Option<&'a IncidentId>,
            #[serde(skip_serializing_if = "Option::is_none")]
            playbook: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            target: Option<&'a Target>,
            #[serde(skip_serializing_if = "Option::is_none")]
            attempt: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            from: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            trace: Option<TraceContext>,
            #[serde(skip_serializing_if = "Value::is_null")]
            data: &'a Value,
        }
        serde_json::to_string(&Line {
            seq,
            time: time.to_string(),
            kind: self.kind,
            incident: self.incident.as_ref(),
            playbook: self.playbook.as_deref(),
            target: self.target.as_ref(),
            attempt: self.attempt.as_ref().map(ToString::to_string),
            from: self.from.as_deref(),
            to: self.to.as_deref(),
            trace: self.trace,
            data: &self.data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_members_in_order_and_no_line_break() {
        let incident = IncidentId::new("01J");
        let entry = Entry::new(Kind::State)
            .incident(&incident)
            .playbook("web")
            .target(&"unit:web.service".parse().unwrap())
            .attempt(&AttemptId {
                incident: incident.clone(),
                number: 2,
            })
            .from("waiting")
            .to("intent")
            .trace(TraceContext {
                trace: [0x4b; 16],
                span: [7; 8],
            })
            .data(serde_json::json!({"why": "a\nb"}));
        assert_eq!(
            entry.line(7, Timestamp(1_795_647_071_198)).unwrap(),
            "{\"seq\":7,\"time\":\"2026-11-25T22:51:11.198Z\",\"kind\":\"state\",\"incident\":\"01J\",\
             \"playbook\":\"web\",\"target\":\"unit:web.service\",\"attempt\":\"01J-2\",\
             \"from\":\"waiting\",\"to\":\"intent\",\
             \"trace\":\"00-4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b-0707070707070707-01\",\"data\":{\"why\":\"a\\nb\"}}"
        );
        assert_eq!(
            Entry::new(Kind::Config).line(1, Timestamp(0)).unwrap(),
            "{\"seq\":1,\"time\":\"1970-01-01T00:00:00.000Z\",\"kind\":\"config\"}"
        );
    }

    #[test]
    fn every_kind_is_written_as_its_word() {
        for kind in Kind::ALL {
            let text = serde_json::to_string(&kind).unwrap();
            assert_eq!(text, format!("\"{}\"", kind.as_str()));
        }
    }
}
