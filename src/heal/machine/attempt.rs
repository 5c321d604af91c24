//! The attempt: its intent, its result, and what a restart finds of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{After, Effect, MARGIN, Outcome, Stepping};
use crate::heal::guards::{Look, Verdict};
use crate::heal::incident::{Cause, State};
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
        self.incident.approval = None;
        self.incident.attempts.push(self.now.clone());
        let data = json!({
            "action": rendered.action,
            "hash": rendered.hash,
            "rung": self.incident.rung,
            "repeatable": rung.strength,
            "timeout_ms": u64::try_from(rung.timeout.as_millis()).unwrap_or(u64::MAX),
            "witness": witness,
        });
        let limit = Deadline::new(self.now.clone(), rung.timeout + MARGIN);
        self.record(Kind::Intent, data);
        self.enter(State::Intent { limit, witness }, Value::Null);
        self.step.effects.push(Effect::Act);
    }

    /// Whether it is of the last attempt that something is heard.
    pub(super) fn is_attempt(&self, number: u32) -> bool {
        usize::try_from(number).is_ok_and(|number| number == self.incident.attempts.len())
    }

    pub(super) fn started(&mut self, attempt: u32, data: Value) {
        if let State::Intent { limit, witness } = &self.incident.state
            && self.is_attempt(attempt)
        {
            let (limit, witness) = (limit.clone(), witness.clone());
            self.record(Kind::Started, data);
            self.enter(State::Acting { limit, witness }, Value::Null);
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
        self.enter_verifying(outcome == Outcome::Unknown);
    }

    pub(super) fn restarted(&mut self, after: After) {
        self.incident.rebase(self.now);
        match (&self.incident.state, after) {
            (State::Settling { .. }, _) => self.timer(),
            (State::Waiting { .. }, _) => self.ask_again(),
            (State::Intent { .. }, After::DidNot) if self.is_held() => {
                self.record(
                    Kind::Result,
                    json!({"outcome": "not_done", "detail": {"why": "nodeward ended before it, and now something holds"}}),
                );
                self.enter_waiting();
            }
            (State::Intent { .. }, After::DidNot) => {
                let rung = self.plan.rungs.get(self.incident.rung);
                let timeout = rung.map(|r| r.timeout).unwrap_or_default();
                self.record(
                    Kind::State,
                    json!({"why": "its witness has not changed: it did not happen, it is made now"}),
                );
                if let State::Intent { limit, .. } = &mut self.incident.state {
                    *limit = Deadline::new(self.now.clone(), timeout + MARGIN);
                }
                self.step.effects.push(Effect::Act);
            }
            (State::Intent { .. } | State::Acting { .. }, After::Happened) => self.done(
                Outcome::Done,
                json!({"why": "its witness has changed while nodeward was away"}),
            ),
            (State::Intent { .. } | State::Acting { .. }, _) => self.done(
                Outcome::Unknown,
                json!({"why": "nodeward ended before its outcome was on record"}),
            ),
            (State::Verifying { unknown, .. }, _) => self.enter_verifying(*unknown),
            (State::Probation { recovered, .. }, _) => self.enter_probation(*recovered),
            (State::Escalated { .. }, _) => {
                if let State::Escalated { next, .. } = &mut self.incident.state {
                    *next = Deadline::new(self.now.clone(), Duration::ZERO);
                }
                self.timer();
            }
            _ => {}
        }
    }

    /// Whether nothing disruptive may start, whatever else the guards say.
    pub(super) fn is_held(&self) -> bool {
        self.standing.paused.is_some() || self.standing.maintenance.is_some()
    }
}
