//! The incident machine: `(incident, event, now) -> (incident, effects)`, and nothing else.
//!
//! Pure: it reads no clock, asks nobody and touches nothing. Whoever drives it commits a step's records and the incident in
//! one transaction, and carries out the effects after that; then a crash at any point loses nothing and repeats nothing. Live running, observe
//! mode, `plan`, `rehearse` and the property tests all drive this same function. The states are drawn in [`super`].

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::evidence::{Occasion, Packet};
use super::guards::{Guard, Look, Standing};
use super::incident::{Acknowledged, Approval, Cause, Incident, MODE_OFF, State};
use super::plan::{Mode, Plan};
use crate::journal::Kind;
use crate::model::alert::{Episode, Status};
use crate::model::moment::{Deadline, Moment};
use crate::model::notice::What;
use crate::model::sight::Sight;

/// How long a look or a round of probes may stay unanswered before it is asked for again.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// An attempt whose driver said nothing this long after its timeout has an unknown outcome. Longer than a program may take to end
/// once it was told to.
pub const MARGIN: Duration = Duration::from_secs(30);
/// How often an escalated incident is probed for having got well by itself.
const RECOVERY: Duration = Duration::from_secs(30);

/// What happens to an incident.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An alert server or a check says so.
    Told(Episode, Status),
    /// Time has passed.
    Timer,
    /// Something that guards look at has changed, or the playbook.
    Changed,
    /// The world was looked at, as [`Effect::Look`] of this number asked.
    Looked(u32, Look),
    /// The action of the attempt of this number is under way: a job, a process.
    Started(u32, Value),
    /// The action of the attempt of this number is over, one way or the other.
    Done(u32, Outcome, Value),
    /// The node is out of the pool, as [`Effect::Isolate`] of this number asked, or that did not work out in time; what is known of it.
    Isolated(u32, bool, Value),
    /// Evidence was gathered, as [`Effect::Gather`] asked.
    Gathered(Packet),
    /// A round of probes, as [`Effect::Probe`] asked: its number, how all together look, what they saw.
    Probed(u32, Sight, Value),
    /// nodeward has started again, and this is what the witness of the open attempt says.
    Restarted(After),
    /// An operator approves the action of this hash.
    Approve(Approval),
    /// An operator says no.
    Reject(String),
    /// An operator has taken up what was escalated: who said so.
    Acknowledge(String, Acknowledged),
    /// An operator ends it; whether the pools it left are rejoined.
    Cancel(String, bool),
    /// An operator takes back its hold of a pool: which, and who.
    Rejoin(String, String),
}

/// How an action went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was asked.
    Done,
    /// It did not, and said so; it may have helped all the same.
    Failed,
    /// It may or may not have.
    Unknown,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// What is found after a restart about an attempt of which the intent is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// No attempt was open.
    Nothing,
    /// Its witness has changed: it happened.
    Happened,
    /// Its witness has not changed and nobody is at it: it did not happen.
    DidNot,
    /// Nothing tells.
    Unknown,
}

/// What is to be done in the world, once the step is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Run `confirm`, look at peers and the witness of this rung, and gather evidence of this occasion meanwhile, if it says one; answer
    /// with [`Event::Looked`] of this number.
    Look(u32, Option<Occasion>),
    /// Gather evidence; answer with [`Event::Gathered`]. Nothing waits for it.
    Gather(Occasion),
    /// Have the node leave the pool that the state names, and wait until it is out; answer with [`Event::Isolated`] of this number.
    Isolate(u32),
    /// Carry out this rung's action; answer with [`Event::Started`] and [`Event::Done`].
    Act,
    /// Run the probes of `verify`; answer with [`Event::Probed`] of this number.
    Probe(u32),
}

/// A line of the journal about this incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its kind.
    pub kind: Kind,
    /// The states of a change of state.
    pub change: Option<(&'static str, &'static str)>,
    /// The rest.
    pub data: Value,
}

/// What becomes of the hold that the incident has on a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// It is placed.
    Place {
        /// On which pool.
        pool: String,
        /// Why, for people.
        why: String,
        /// Gates at which somebody else had the node out before.
        foreign: BTreeSet<String>,
    },
    /// What it is for is on probation, or not any more.
    Ease {
        /// On which pool.
        pool: String,
        /// Whether it is.
        easing: bool,
    },
    /// It is lifted.
    Lift {
        /// On which pool.
        pool: String,
    },
}

/// What a step leads to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Step {
    /// To be committed together with the incident.
    pub records: Vec<Record>,
    /// What becomes of its holds; committed with it too.
    pub holds: Vec<Holding>,
    /// What people are to be told; committed with it too.
    pub notices: Vec<What>,
    /// Packets of evidence by their number; committed with it too.
    pub evidence: Vec<(u32, Arc<str>)>,
    /// To be carried out after that, in order.
    pub effects: Vec<Effect>,
}

/// One step under way.
struct Stepping<'a> {
    incident: &'a mut Incident,
    plan: &'a Plan,
    standing: &'a Standing,
    now: &'a Moment,
    step: Step,
}

/// Moves `incident` on by one event. An event that means nothing in its state changes nothing.
pub fn step(
    incident: &mut Incident,
    plan: &Plan,
    standing: &Standing,
    event: Event,
    now: &Moment,
) -> Step {
    let mut stepping = Stepping {
        incident,
        plan,
        standing,
        now,
        step: Step::default(),
    };
    stepping.take(event);
    stepping.step
}

/// The first step of a new incident, whose alerts were told to it before.
pub fn open(incident: &mut Incident, plan: &Plan, standing: &Standing, now: &Moment) -> Step {
    let mut stepping = Stepping {
        incident,
        plan,
        standing,
        now,
        step: Step::default(),
    };
    stepping.begin();
    stepping.step
}

impl Stepping<'_> {
    fn begin(&mut self) {
        let line = self.plan.limits.max_age;
        if self.plan.mode == Mode::Off {
            self.enter_suppressed(MODE_OFF);
        } else if !line.is_zero() && self.standing.age.is_some_and(|age| age > line) {
            self.enter_suppressed("its alert is older than max_age");
        } else if self.plan.settle.is_zero() {
            self.enter_waiting();
        } else {
            let until = Deadline::new(self.now.clone(), self.plan.settle);
            self.enter(State::Settling { until }, Value::Null);
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Told(episode, status) => self.told(&episode, status),
            Event::Timer => self.timer(),
            // Its playbook may go further than when it ended.
            Event::Changed if self.incident.is_raised_by(self.plan.mode) => {
                self.begin_anew();
                self.begin();
            }
            Event::Changed => self.ask_again(),
            Event::Looked(asked, look) => self.looked(asked, look),
            Event::Isolated(asked, complete, data) if asked == self.incident.asked => {
                self.isolated(complete, &data);
            }
            Event::Isolated(..) => {}
            Event::Started(attempt, data) => self.started(attempt, data),
            Event::Done(attempt, outcome, data) if self.is_attempt(attempt) => {
                self.ended(outcome, data);
            }
            Event::Done(..) => {}
            Event::Gathered(packet) => self.keep(&packet),
            Event::Probed(round, sight, data) => self.probed(round, sight, data),
            Event::Restarted(after) => self.restarted(after),
            Event::Approve(approval) => self.approve(approval),
            Event::Reject(by) => self.reject(&by),
            Event::Acknowledge(by, acknowledged) => self.acknowledge(&by, acknowledged),
            Event::Cancel(by, release) => self.cancel(by, release),
            Event::Rejoin(pool, by) => self.rejoin(&pool, &by),
        }
    }

    fn told(&mut self, episode: &Episode, status: Status) {
        let news = self.incident.note(episode, status);
        if !news {
            return;
        }
        match &self.incident.state {
            State::Settling { .. } | State::Waiting { .. } if !self.incident.is_firing() => {
                self.resolved();
            }
            state if !state.is_open() && status == Status::Firing => self.reopen(),
            State::Acting { .. } | State::Verifying { .. } if status == Status::Firing => {
                self.incident.anew |= self.began_since();
            }
            State::Probation { .. } if status == Status::Firing && self.began_since() => {
                self.ill_again(json!({"why": "it fires again in probation"}));
            }
            _ => {}
        }
    }

    /// Whether the alert that is told of began after the last attempt, as far as its source says when.
    fn began_since(&self) -> bool {
        let acted = self
            .incident
            .acted
            .as_ref()
            .or(self.incident.attempts.last());
        let since = acted.map(|acted| self.now.since(acted));
        match (self.standing.told, since) {
            (Some(age), Some(since)) => age <= since,
            _ => true,
        }
    }

    /// None of its alerts fires any more, and nothing is under way.
    fn resolved(&mut self) {
        if self.incident.is_isolated() {
            self.verify_itself();
        } else {
            self.enter(State::ResolvedAlone, Value::Null);
        }
    }

    /// Another run, of which nobody was told yet.
    fn begin_anew(&mut self) {
        self.incident.run = self.incident.run.next();
        self.incident.escalated = false;
        self.incident.paging = None;
    }

    /// A new episode within the quiet time: the same trouble again.
    fn reopen(&mut self) {
        if self.incident.state.reopens() {
            self.begin_anew();
        }
        match self.incident.state {
            State::Healed => {
                self.incident.relapses += 1;
                // What healed it did not last: the next rung has its turn, if there is one. Budget and flap
                // bound how often the last one is tried again.
                self.incident.rung =
                    (self.incident.rung + 1).min(self.plan.rungs.len().saturating_sub(1));
                self.enter_waiting_because(json!({"why": "it fires again"}));
            }
            State::ResolvedAlone | State::Observed => self.begin(),
            // Cancelled by a person, or never ours: it stays.
            _ => {}
        }
    }

    /// A yes to something else than was asked is none.
    fn approve(&mut self, approval: Approval) {
        let asked = self.incident.question.as_ref();
        if asked.is_none_or(|asked| asked.action != approval.action) {
            return;
        }
        self.record(
            Kind::Operator,
            json!({"did": "approve", "by": approval.by, "action": approval.action}),
        );
        self.incident.approval = Some(approval);
        self.ask_again();
    }

    fn reject(&mut self, by: &str) {
        if matches!(self.incident.state, State::Waiting { .. }) {
            self.record(Kind::Operator, json!({"did": "reject", "by": by}));
            self.escalate(
                Cause::NotApproved {
                    by: Some(by.to_owned()),
                },
                Value::Null,
            );
        }
    }

    fn cancel(&mut self, by: String, release: bool) {
        if self.incident.state.is_open() {
            let mut data = json!({"did": "cancel", "by": by});
            if let (true, Some(data)) = (release, data.as_object_mut()) {
                data.insert("release".into(), true.into());
            }
            self.record(Kind::Operator, data);
            self.enter(State::Cancelled { by }, Value::Null);
            if release {
                self.lift_all();
            }
        }
    }

    fn timer(&mut self) {
        self.remind();
        let now = self.now.clone();
        match &mut self.incident.state {
            State::Settling { until } if until.is_over(&now) => self.enter_waiting(),
            State::Waiting { until, next, .. } => {
                if until.is_over(&now) {
                    self.waited_too_long();
                } else if next.is_over(&now) {
                    self.ask_again();
                }
            }
            State::Isolating { limit, .. } if limit.is_over(&now) => {
                self.isolated(
                    false,
                    &json!({"why": "nothing was heard of it within its time"}),
                );
            }
            State::Intent { limit, .. } | State::Acting { limit, .. } if limit.is_over(&now) => {
                self.done(
                    Outcome::Unknown,
                    json!({"why": "nothing was heard of it within its timeout"}),
                );
            }
            State::Verifying { until, .. } if until.is_over(&now) => self.not_helped(),
            State::Verifying { next, .. }
            | State::Probation { next, .. }
            | State::Escalated { next, .. }
                if next.is_over(&now) =>
            {
                *next = Deadline::new(now, PATIENCE);
                self.probe();
            }
            _ => {}
        }
    }

    fn waited_too_long(&mut self) {
        let State::Waiting { verdicts, .. } = &self.incident.state else {
            return;
        };
        let refusing = verdicts.iter().find(|v| !v.passes);
        let silent = match self.incident.is_firing() {
            true => Guard::Confirm,
            false => Guard::Episode,
        };
        match refusing.map_or(silent, |v| v.guard) {
            Guard::Approval => self.escalate(Cause::NotApproved { by: None }, Value::Null),
            guard => {
                let guard = guard.as_str().to_owned();
                self.escalate(Cause::Refused { guard }, Value::Null);
            }
        }
    }
}

mod attempt;
mod change;
mod evidence;
mod isolation;
mod paging;
mod proof;
mod waiting;

#[cfg(test)]
mod tests;
