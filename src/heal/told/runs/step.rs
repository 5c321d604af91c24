//! One step of a run: the time an incident spends in a state, intent and acting together as the attempt.

use serde_json::Value;

use super::Record;
use crate::heal::told::log::{TEXT_MOST, cut, refusing};
use crate::journal::Kind;
use crate::model::moment::Timestamp;
use crate::model::trace::{Attribute, Attributes, TraceContext};
use crate::telemetry::traces::{Happened, Parent, Past};

/// Events of a step; what comes later is left out.
const EVENTS: usize = 64;

/// A step under way.
#[derive(Debug)]
pub(super) struct Step {
    state: String,
    /// Its number within the run, from 1.
    number: u32,
    name: String,
    start: Timestamp,
    attributes: Attributes,
    events: Vec<Happened>,
    guard: Option<String>,
    outcome: Option<String>,
    passes: Option<(i64, i64)>,
}

/// What is to be done, in few words: `systemd`, `http`.
pub(super) fn action(record: &Record) -> String {
    let action = record.all.pointer("/data/action");
    let kind = match action {
        Some(Value::Object(members)) => members.keys().next().map(String::as_str),
        Some(Value::String(text)) => text.split(' ').next(),
        _ => None,
    };
    kind.unwrap_or("?").to_owned()
}

/// What is known of an attempt before it is made.
pub(super) fn intent(record: &Record) -> Attributes {
    let mut attributes: Attributes = Vec::new();
    let attempt = record.text("/attempt");
    attributes.extend(attempt.map(|it| ("nodeward.attempt", it.into())));
    let rung = record.all.pointer("/data/rung").and_then(Value::as_i64);
    attributes.extend(rung.map(|it| ("nodeward.rung", it.into())));
    let action = record.all.pointer("/data/action").map(Value::to_string);
    let action = action.as_deref().map(|text| cut(text, TEXT_MOST));
    attributes.extend(action.map(|it| ("nodeward.action", it.into())));
    attributes
}

impl Step {
    pub fn begin(state: &str, number: u32, record: &Record) -> Self {
        let cause = record.text("/data/cause/why");
        let cause = cause.map(|cause| ("nodeward.cause", cause.into()));
        Self {
            state: state.to_owned(),
            number,
            name: state.to_owned(),
            start: record.time,
            attributes: cause.into_iter().collect(),
            events: Vec::new(),
            guard: None,
            outcome: None,
            passes: None,
        }
    }

    pub const fn number(&self) -> u32 {
        self.number
    }

    /// It is an attempt.
    pub fn intended(&mut self, action: &str, mut intent: Attributes) {
        self.name = format!("attempt {action}");
        self.attributes.append(&mut intent);
    }

    /// Something that is on record while it lasts.
    pub fn note(&mut self, record: &Record) {
        let number = |at: &str| record.all.pointer(at).and_then(Value::as_i64);
        let mut attributes: Attributes = Vec::new();
        let name = match record.kind {
            Kind::Decision => {
                let refusing = refusing(&record.all);
                let Some(first) = refusing.first() else {
                    return;
                };
                self.guard = Some((*first).to_owned());
                attributes.push(("nodeward.guards", refusing.join(" ").as_str().into()));
                "refused"
            }
            Kind::Started => "started",
            Kind::Result => {
                self.outcome = record.text("/data/outcome").map(str::to_owned);
                return;
            }
            Kind::Verify => {
                let passed = record.all.pointer("/data/passed") == Some(&Value::Bool(true));
                if let (Some(passes), Some(of)) = (number("/data/passes"), number("/data/of")) {
                    self.passes = Some((passes, of));
                }
                attributes.push(("nodeward.passed", passed.into()));
                "probed"
            }
            Kind::Operator => {
                for (name, at) in [
                    ("nodeward.did", "/data/did"),
                    ("nodeward.operator", "/data/by"),
                ] {
                    attributes.extend(record.text(at).map(|text| (name, text.into())));
                }
                "operator"
            }
            Kind::Notify => {
                for (name, at) in [
                    ("nodeward.notice", "/data/id"),
                    ("nodeward.notifier", "/data/notifier"),
                    ("nodeward.outcome", "/data/outcome"),
                ] {
                    attributes.extend(record.text(at).map(|text| (name, text.into())));
                }
                "notice"
            }
            Kind::Hold => {
                for (name, at) in [
                    ("nodeward.did", "/data/did"),
                    ("nodeward.pool", "/data/pool"),
                ] {
                    attributes.extend(record.text(at).map(|text| (name, text.into())));
                }
                "hold"
            }
            // The state stays, and why is told.
            Kind::State => {
                let why = record.text("/data/why");
                attributes.extend(why.map(|why| ("nodeward.why", why.into())));
                "resumed"
            }
            Kind::Evidence => {
                let occasion = record.text("/data/occasion");
                attributes.extend(occasion.map(|text| ("nodeward.occasion", text.into())));
                "evidence"
            }
            Kind::Alert | Kind::Intent | Kind::Config | Kind::Start | Kind::Stop | Kind::Login => {
                return;
            }
        };
        if self.events.len() < EVENTS {
            self.events.push(Happened {
                name,
                at: record.time,
                attributes,
            });
        }
    }

    /// Its span, now that the incident's state is `to`.
    pub fn over(self, context: TraceContext, parent: Parent, to: &str, end: Timestamp) -> Past {
        let (outcome, error) = self.became(to);
        let mut attributes = self.attributes;
        attributes.push(("nodeward.state.to", to.into()));
        attributes.extend(
            self.guard
                .map(|guard| ("nodeward.guard", Attribute::Text(guard))),
        );
        attributes.extend(outcome.map(|outcome| ("nodeward.outcome", Attribute::Text(outcome))));
        if let Some((passes, of)) = self.passes {
            attributes.push(("nodeward.passes", passes.into()));
            attributes.push(("nodeward.passes.wanted", of.into()));
        }
        if let Some((kind, _)) = &error {
            attributes.push(("error.type", kind.as_str().into()));
        }
        Past {
            context,
            parent: Some(parent),
            name: self.name,
            calls: self.state == "intent",
            start: self.start,
            end,
            attributes,
            events: self.events,
            links: Vec::new(),
            error: error.map(|(_, why)| why),
        }
    }

    /// Its outcome, and what kind of failure it is and why, if it failed.
    fn became(&self, to: &str) -> (Option<String>, Option<(String, String)>) {
        let failed = |kind: &str, why: String| Some((kind.to_owned(), why));
        let word = |word: &str| Some(word.to_owned());
        match (self.state.as_str(), to) {
            ("intent" | "acting", _) => match self.outcome.as_deref() {
                Some(outcome @ ("failed" | "unknown")) => {
                    let why = format!("the action's outcome: {outcome}");
                    (word(outcome), failed(outcome, why))
                }
                outcome => (outcome.map(str::to_owned), None),
            },
            ("verifying", "probation" | "healed") | ("probation", "healed") => {
                (word("passed"), None)
            }
            // Begun anew after a restart.
            ("verifying", "verifying") | ("probation", "probation") => (word("interrupted"), None),
            ("verifying", "waiting" | "escalated") => {
                (word("failed"), failed("failed", "it did not help".into()))
            }
            ("probation", "waiting" | "escalated") => {
                (word("failed"), failed("failed", "it was ill again".into()))
            }
            ("waiting", "escalated") => {
                let guard = self.guard.as_deref().unwrap_or("confirm");
                (
                    word("refused"),
                    failed("refused", format!("refused by {guard}")),
                )
            }
            ("escalated", "probation") => (word("recovered"), None),
            _ => (None, None),
        }
    }
}
