//! Changes of state, each with its record.

use serde_json::{Value, json};

use super::{Effect, PATIENCE, RECOVERY, Record, Stepping};
use crate::heal::evidence::Occasion;
use crate::heal::guards::Guard;
use crate::heal::incident::{Cause, OFF, State, Verified};
use crate::heal::plan::Mode;
use crate::journal::Kind;
use crate::model::moment::Deadline;

impl Stepping<'_> {
    pub(super) fn enter_suppressed(&mut self, reason: &str) {
        let reason = reason.to_owned();
        let data = json!({"why": reason});
        self.enter(State::Suppressed { reason }, data);
    }

    /// Its playbook is off, or is no more. An incident that holds the node out of a pool is no end: whoever sees to that now is a person.
    pub(super) fn enter_off(&mut self) {
        if !self.incident.is_isolated() {
            self.enter_suppressed(OFF);
        } else if !matches!(self.incident.state, State::Escalated { .. }) {
            self.escalate_refused(Guard::Mode);
        }
    }

    pub(super) fn escalate_refused(&mut self, guard: Guard) {
        let guard = guard.as_str().to_owned();
        self.escalate(Cause::Refused { guard }, Value::Null);
    }

    pub(super) fn enter_waiting(&mut self) {
        self.enter_waiting_because(Value::Null);
    }

    pub(super) fn enter_waiting_because(&mut self, why: Value) {
        if self.plan.mode == Mode::Off {
            self.enter_off();
            return;
        }
        let fresh = || Deadline::new(self.now.clone(), self.plan.limits.max_wait);
        let state = State::Waiting {
            until: self.incident.patience.clone().unwrap_or_else(fresh),
            verdicts: Vec::new(),
            next: Deadline::new(self.now.clone(), PATIENCE),
        };
        self.enter(state, why);
        self.look();
    }

    pub(super) fn enter_verifying(&mut self, unknown: bool, of: Verified) {
        let state = State::Verifying {
            until: Deadline::new(self.now.clone(), self.plan.verify.deadline),
            passes: 0,
            next: Deadline::new(self.now.clone(), PATIENCE),
            of,
            unknown,
            failed: false,
            blind: false,
        };
        self.enter(state, Value::Null);
        self.probe();
    }

    pub(super) fn enter_probation(&mut self, recovered: bool, alone: bool) {
        let span = self.plan.probation_after(self.incident.relapses);
        let state = State::Probation {
            until: Deadline::new(self.now.clone(), span),
            fails: 0,
            next: Deadline::new(self.now.clone(), self.plan.verify.every),
            recovered,
            alone,
        };
        if span.is_zero() {
            self.well(alone);
        } else {
            self.enter(state, Value::Null);
        }
    }

    /// Has the world look at what the guards want to know.
    pub(super) fn look(&mut self) {
        self.incident.asked = self.incident.asked.wrapping_add(1);
        let gathers = self.before_action();
        let look = Effect::Look(self.incident.asked, gathers);
        self.step.effects.push(look);
    }

    /// Has the probes of `verify` run.
    pub(super) fn probe(&mut self) {
        self.incident.asked = self.incident.asked.wrapping_add(1);
        self.step.effects.push(Effect::Probe(self.incident.asked));
    }

    pub(super) fn escalate(&mut self, cause: Cause, more: Value) {
        let touched = !self.incident.attempts.is_empty() || self.incident.is_isolated();
        if self.plan.mode == Mode::Observe && !touched {
            self.enter(
                State::Observed,
                json!({"would": "escalate", "cause": cause}),
            );
            self.gather(Occasion::WouldEscalate);
            return;
        }
        self.enter_escalated(cause, more);
        self.incident.escalated = true;
        self.page();
        self.gather(Occasion::Escalated);
    }

    /// Ill again before its recovery was proven. Who has not taken it up knows already, and is reminded as before; who had, has seen it get
    /// well: people are told anew, and somebody has to take it up anew.
    pub(super) fn enter_escalated_again(&mut self, data: Value) {
        let paging = self.incident.paging.as_ref();
        let taken_up = paging.is_some_and(|paging| paging.acknowledged.is_some());
        self.enter_escalated(Cause::Flapping, json!({"probes": data}));
        if taken_up {
            // What is told anew has ids of its own by that, and the next probation is longer.
            self.incident.relapses = self.incident.relapses.saturating_add(1);
            self.page();
            self.gather(Occasion::Escalated);
        }
    }

    pub(super) fn enter_escalated(&mut self, cause: Cause, more: Value) {
        let mut data = json!({"cause": cause});
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        let state = State::Escalated {
            cause,
            passes: 0,
            next: Deadline::new(self.now.clone(), RECOVERY),
        };
        self.enter(state, data);
    }

    pub(super) fn enter(&mut self, state: State, data: Value) {
        let change = (self.incident.state.as_str(), state.as_str());
        if !matches!(
            state,
            State::Waiting { .. } | State::Isolating { rung: false, .. }
        ) {
            // A yes is to what was asked while it waited, and to nothing after that.
            self.incident.approval = None;
            self.incident.question = None;
            self.incident.again = None;
        }
        self.incident.patience = match &state {
            State::Waiting { until, .. } => Some(until.clone()),
            State::Verifying {
                of: Verified::Itself,
                ..
            }
            | State::Probation { alone: true, .. } => self.incident.patience.take(),
            _ => None,
        };
        let eased = matches!(self.incident.state, State::Probation { .. });
        let eases = matches!(state, State::Probation { .. });
        let proven = matches!(state, State::Healed | State::ResolvedAlone);
        self.incident.state = state;
        self.incident.changed = self.now.clone();
        self.step.records.push(Record {
            kind: Kind::State,
            change: Some(change),
            data,
        });
        if proven {
            self.lift_all();
            self.incident.pools.clear();
        } else if eased != eases {
            self.ease(eases);
        }
    }

    pub(super) fn record(&mut self, kind: Kind, data: Value) {
        self.step.records.push(Record {
            kind,
            change: None,
            data,
        });
    }
}
