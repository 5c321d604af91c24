//! The attempt: its intent, its result, and what a restart finds of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{After, Effect, MARGIN, Outcome, Stepping};
use crate::action::Strength;
use crate::heal::guards::{Look, Verdict};
use crate::heal::incident::{Cause, State, Verified};
use crate::journal::Kind;
use crate::model::moment::Deadline;

impl Stepping<'_> {
    pub(super) fn intend(&mut self, look: Look, verdicts: &[Verdict]) {
        let Some(rung) = self.plan.rungs.get(self.incident.rung) else {
            self.escalate(Cause::Exhausted, Value::Null);
            return;
        };
        let (Ok(rendered), Ok(witness)) = (look.action, look.witness) else {
            return;
        };
        self.decide(verdicts, Value::Null);
        let again = self.incident.repeats();
        let now = self.now.clone();
        match self.incident.attempts.last_mut() {
            Some(last) if again => *last = now,
            _ => self.incident.attempts.push(now),
        }
        let data = json!({
            "action": rendered.action,
            "hash": rendered.hash,
            "rung": self.incident.rung,
            "repeatable": rung.strength,
            "timeout_ms": u64::try_from(rung.timeout.as_millis()).unwrap_or(u64::MAX),
            "witness": witness,
        });
        let limit = self.limit();
        self.incident.anew = false;
        self.record(Kind::Intent, data);
        self.enter(State::Intent { limit, witness }, Value::Null);
        self.step.effects.push(Effect::Act);
    }

    /// When the outcome of an attempt that begins now is unknown.
    fn limit(&self) -> Deadline {
        let rung = self.plan.rungs.get(self.incident.rung);
        let timeout = rung.map(|rung| rung.timeout).unwrap_or_default();
        Deadline::new(self.now.clone(), timeout + MARGIN)
    }

    /// Whether it is of the last attempt that something is heard.
    pub(super) fn is_attempt(&self, number: u32) -> bool {
        usize::try_from(number).is_ok_and(|number| number == self.incident.attempts.len())
    }

    pub(super) fn started(&mut self, attempt: u32, data: Value) {
        if let State::Intent { witness, .. } = &self.incident.state
            && self.is_attempt(attempt)
        {
            // From here on: what the record of the intent took is not the action's.
            let (limit, witness) = (self.limit(), witness.clone());
            self.record(Kind::Started, data);
            self.enter(State::Acting { limit, witness }, Value::Null);
        }
    }

    /// What is heard of an attempt's end; on record also if it was given up before, or its incident is over.
    pub(super) fn ended(&mut self, outcome: Outcome, data: Value) {
        match &mut self.incident.state {
            State::Intent { .. } | State::Acting { .. } => self.done(outcome, data),
            state => {
                if let State::Verifying { unknown, .. } = state {
                    *unknown &= outcome == Outcome::Unknown;
                }
                self.record(
                    Kind::Result,
                    json!({"outcome": outcome.as_str(), "late": true, "detail": data}),
                );
            }
        }
    }

    pub(super) fn done(&mut self, outcome: Outcome, data: Value) {
        if !matches!(
            self.incident.state,
            State::Intent { .. } | State::Acting { .. }
        ) {
            return;
        }
        self.record(
            Kind::Result,
            json!({"outcome": outcome.as_str(), "detail": data}),
        );
        self.incident.acted = Some(self.now.clone());
        self.enter_verifying(outcome == Outcome::Unknown, Verified::Attempt);
    }

    pub(super) fn restarted(&mut self, after: After) {
        self.incident.rebase(self.now);
        match (&self.incident.state, after) {
            (State::Settling { .. }, _) => self.timer(),
            (State::Waiting { .. }, _) => self.ask_again(),
            (State::Intent { .. }, After::DidNot) => self.not_done(),
            (State::Intent { .. } | State::Acting { .. }, After::Happened) => self.done(
                Outcome::Done,
                json!({"why": "its witness has changed while nodeward was away"}),
            ),
            (State::Intent { .. } | State::Acting { .. }, _) => self.done(
                Outcome::Unknown,
                json!({"why": "nodeward ended before its outcome was on record"}),
            ),
            (State::Isolating { .. }, _) => self.isolate_again(),
            (State::Verifying { unknown, of, .. }, _) => self.enter_verifying(*unknown, *of),
            (
                State::Probation {
                    recovered, alone, ..
                },
                _,
            ) => self.enter_probation(*recovered, *alone),
            (State::Escalated { .. }, _) => {
                if let State::Escalated { next, .. } = &mut self.incident.state {
                    *next = Deadline::new(self.now.clone(), Duration::ZERO);
                }
                self.timer();
            }
            _ => {}
        }
    }

    /// Nothing happened of what was intended. Hours may have passed: the guards are asked as for any attempt.
    fn not_done(&mut self) {
        let rung = self.plan.rungs.get(self.incident.rung);
        let why = match rung.map(|rung| rung.strength) {
            Some(Strength::Idempotent) => "nodeward ended before it; it may be done again",
            _ => "nodeward ended before it, and its witness has not changed",
        };
        self.record(
            Kind::Result,
            json!({"outcome": "not_done", "detail": {"why": why}}),
        );
        if self.incident.is_firing() {
            self.incident.again = Some(self.incident.revision.clone());
            self.enter_waiting();
        } else {
            self.resolved();
        }
    }
}
