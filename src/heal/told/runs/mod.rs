//! Runs of healing as traces, made from the journal: one trace a run, one span a step.
//!
//! ```text
//!  POST /hooks/alertmanager ─┐ (if the sender traces, or nodeward's own span of the request)
//!                            └ heal web-unit-down          from the opening to the end, or to the first escalation
//!                              ├ settling
//!                              ├ waiting                   which guard refused
//!                              ├ attempt systemd           what was done, and how it went
//!                              ├ verifying                 how many passes
//!                              ├ probation
//!                              └ escalated                 told once it is over; it may be long after the run
//! ```
//!
//! A span is made when its step is over, with the times and the ids of the record; so a run that goes on after a crash is one
//! trace, and nothing of it is lost with a process. Each other request that told of the same trouble is a link of the run. What is known of a
//! run is kept while it is under way, and read again from the journal where it is not.

mod step;

use std::collections::HashMap;
use std::ops::ControlFlow;

use serde_json::Value;

use super::log::{TEXT_MOST, cut};
use crate::heal::incident::State;
use crate::heal::run;
use crate::journal::{Filter, Kind, ReadError, Reader, Stored};
use crate::model::moment::Timestamp;
use crate::model::trace::{Attributes, TraceContext};
use crate::telemetry::traces::{Parent, Past};
use step::Step;

/// Incidents whose run is kept in memory; more are read anew when something comes of them.
const KEPT: usize = 1_000;
/// Links of a run; what comes later is left out.
const LINKS: usize = 32;

/// The runs that are under way.
#[derive(Debug, Default)]
pub struct Runs {
    known: HashMap<String, Known>,
}

/// A record, read.
struct Record {
    seq: i64,
    time: Timestamp,
    kind: Kind,
    trace: Option<TraceContext>,
    all: Value,
}

impl Record {
    fn read(stored: &Stored) -> Option<Self> {
        let all: Value = serde_json::from_str(&stored.line).ok()?;
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        let word = text("kind")?;
        Some(Self {
            seq: stored.seq,
            time: Timestamp::parse(text("time")?)?,
            kind: Kind::of(word)?,
            trace: text("trace").and_then(TraceContext::parse),
            all,
        })
    }

    fn text(&self, at: &str) -> Option<&str> {
        let text = self.all.pointer(at).and_then(Value::as_str);
        text.map(|text| cut(text, TEXT_MOST))
    }

    /// The incidents that an alert belongs to.
    fn incidents(&self) -> impl Iterator<Item = &str> {
        let ids = self
            .all
            .pointer("/data/incidents")
            .and_then(Value::as_array);
        ids.into_iter().flatten().filter_map(Value::as_str)
    }
}

impl Runs {
    /// The spans that are over with a record. Records come in order; `reader` reads what came before.
    ///
    /// # Errors
    /// What came before could not be read.
    pub fn take(&mut self, stored: &Stored, reader: &Reader) -> Result<Vec<Past>, ReadError> {
        let Some(record) = Record::read(stored) else {
            return Ok(Vec::new());
        };
        if record.kind == Kind::Alert {
            if let Some(context) = record.trace {
                for id in record.incidents() {
                    let known = self.known(id, record.seq, reader)?;
                    known.link(context);
                    if known.is_over() {
                        self.known.remove(id);
                    }
                }
            }
            return Ok(Vec::new());
        }
        let Some(id) = record.text("/incident").map(str::to_owned) else {
            return Ok(Vec::new());
        };
        let known = self.known(&id, record.seq, reader)?;
        let spans = known.take(&record);
        if known.is_over() {
            self.known.remove(&id);
        }
        Ok(spans)
    }

    /// What is known of an incident before a record.
    fn known(&mut self, id: &str, before: i64, reader: &Reader) -> Result<&mut Known, ReadError> {
        if !self.known.contains_key(id) {
            if self.known.len() >= KEPT {
                self.known.clear();
            }
            self.known
                .insert(id.to_owned(), recall(id, before, reader)?);
        }
        Ok(self.known.entry(id.to_owned()).or_default())
    }
}

/// Reads what became of an incident before a record.
fn recall(id: &str, before: i64, reader: &Reader) -> Result<Known, ReadError> {
    let mut known = Known::default();
    let of_incident = Filter {
        incident: Some(id.to_owned()),
        ..Filter::default()
    };
    reader.entries(&of_incident, &mut |stored| {
        if stored.seq >= before {
            return ControlFlow::Break(());
        }
        if let Some(record) = Record::read(stored) {
            match record.trace.filter(|_| record.kind == Kind::Alert) {
                Some(context) => known.link(context),
                // Told already.
                None => drop(known.take(&record)),
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(known)
}

/// What is known of an incident.
#[derive(Debug, Default)]
struct Known {
    run: Option<Run>,
    /// What was meant to be done, until its state says that it is being done.
    intent: Attributes,
    /// Its action's kind.
    action: String,
}

/// A run under way, or over.
#[derive(Debug)]
struct Run {
    /// Its own span.
    root: TraceContext,
    /// The request that began it.
    parent: Option<TraceContext>,
    /// When it began.
    start: Timestamp,
    attributes: Attributes,
    links: Vec<TraceContext>,
    steps: u32,
    attempts: i64,
    step: Option<Step>,
    /// Its span was told.
    told: bool,
    over: bool,
}

impl Known {
    fn is_over(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.over)
    }

    /// Another request told of the same trouble.
    fn link(&mut self, context: TraceContext) {
        let Some(run) = self.run.as_mut().filter(|run| !run.told) else {
            return;
        };
        let known = run.parent == Some(context) || run.root == context;
        if !known && !run.links.contains(&context) && run.links.len() < LINKS {
            run.links.push(context);
        }
    }

    fn take(&mut self, record: &Record) -> Vec<Past> {
        let Some(root) = record.trace else {
            return Vec::new();
        };
        let mut spans = Vec::new();
        let begins = self.run.as_ref().is_none_or(|run| run.root != root);
        if begins {
            self.run = Some(Run::begin(root, record));
        }
        let Some(run) = &mut self.run else {
            return spans;
        };
        let (from, to) = (record.text("/from"), record.text("/to"));
        match (record.kind, to) {
            (Kind::State, Some(to)) => {
                let goes_on = from == Some("intent") && to == "acting";
                if goes_on && !begins {
                    return spans;
                }
                if let Some(step) = run.step.take() {
                    spans.push(run.told(step, to, record.time));
                }
                let open = State::OPEN.contains(&to);
                if open {
                    run.steps = run.steps.saturating_add(1);
                    let mut step = Step::begin(to, run.steps, record);
                    if to == "intent" {
                        run.attempts += 1;
                        step.intended(&self.action, std::mem::take(&mut self.intent));
                    }
                    run.step = Some(step);
                }
                run.over = !open;
                if (run.over || to == "escalated") && !run.told {
                    run.told = true;
                    spans.push(run.whole(to, record));
                }
            }
            (Kind::Intent, _) => {
                self.action = step::action(record);
                self.intent = step::intent(record);
            }
            _ => {
                if let Some(step) = &mut run.step {
                    step.note(record);
                }
            }
        }
        spans
    }
}

impl Run {
    fn begin(root: TraceContext, record: &Record) -> Self {
        let parent = record.text("/data/parent").and_then(TraceContext::parse);
        let named = [
            ("nodeward.incident", "/incident"),
            ("nodeward.playbook", "/playbook"),
            ("nodeward.target", "/target"),
            ("nodeward.alert.name", "/data/alert"),
        ];
        let named = named.into_iter();
        let attributes = named.filter_map(|(name, at)| Some((name, record.text(at)?.into())));
        Self {
            root,
            parent,
            start: record.time,
            attributes: attributes.collect(),
            links: Vec::new(),
            steps: 0,
            attempts: 0,
            step: None,
            told: false,
            over: false,
        }
    }

    /// A step that is over.
    fn told(&self, step: Step, to: &str, end: Timestamp) -> Past {
        let context = TraceContext {
            trace: self.root.trace,
            span: run::step(&self.root, step.number()),
        };
        let parent = Parent {
            span: self.root.span,
            remote: false,
        };
        let mut past = step.over(context, parent, to, end);
        let mut attributes = self.attributes.clone();
        attributes.append(&mut past.attributes);
        Past { attributes, ..past }
    }

    /// The whole run, which ends with `to`.
    fn whole(&self, to: &str, record: &Record) -> Past {
        let mut attributes = self.attributes.clone();
        attributes.push(("nodeward.outcome", to.into()));
        attributes.push(("nodeward.attempts", self.attempts.into()));
        let cause = record.text("/data/cause/why");
        attributes.extend(cause.map(|cause| ("nodeward.cause", cause.into())));
        let error = (to == "escalated").then(|| {
            let cause = cause.unwrap_or("nobody knows why");
            format!("it could not be healed: {cause}")
        });
        if error.is_some() {
            attributes.push(("error.type", cause.unwrap_or(to).into()));
        }
        let playbook = record.text("/playbook").unwrap_or("?");
        Past {
            context: self.root,
            parent: self.parent.map(|parent| Parent {
                span: parent.span,
                remote: true,
            }),
            name: format!("heal {playbook}"),
            calls: false,
            start: self.start,
            end: record.time,
            attributes,
            events: Vec::new(),
            links: self.links.clone(),
            error,
        }
    }
}

#[cfg(test)]
mod tests;
