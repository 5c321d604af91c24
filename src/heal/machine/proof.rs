//! The proof that it helped, and what follows without it.

use serde_json::{Value, json};

use super::{Effect, RECOVERY, Stepping};
use crate::action::Strength;
use crate::heal::incident::{Cause, State};
use crate::journal::Kind;
use crate::model::moment::Deadline;

impl Stepping<'_> {
    pub(super) fn probed(&mut self, asked: u32, passed: bool, data: Value) {
        if asked != self.incident.asked {
            return;
        }
        let now = self.now.clone();
        let proof = self.plan.verify;
        match &mut self.incident.state {
            State::Verifying {
                passes,
                next,
                failed,
                ..
            } => {
                *passes = if passed { *passes + 1 } else { 0 };
                let (passes, enough) = (*passes, *passes >= proof.pass);
                // What goes on failing is one record, not one a second.
                let news = passed || !*failed;
                *failed = !passed;
                *next = Deadline::new(now, proof.every);
                if news {
                    self.record(
                        Kind::Verify,
                        json!({"passed": passed, "passes": passes, "of": proof.pass, "probes": data}),
                    );
                }
                if enough {
                    self.enter_probation(false);
                }
            }
            State::Probation {
                until,
                fails,
                next,
                recovered,
            } => {
                *fails = if passed { 0 } else { *fails + 1 };
                let over = until.is_over(&now);
                let (ill, recovered) = (*fails >= proof.pass, *recovered);
                *next = Deadline::new(now, proof.every);
                if !passed {
                    self.record(Kind::Verify, json!({"passed": false, "probes": data}));
                }
                if ill && recovered {
                    self.enter_escalated_again(data);
                } else if ill {
                    self.incident.relapses += 1;
                    self.next_rung(json!({"why": "it was ill again in probation"}));
                } else if passed && over {
                    self.healed();
                }
            }
            State::Escalated { passes, next, .. } => {
                *passes = if passed { *passes + 1 } else { 0 };
                let enough = *passes >= proof.pass;
                let every = if passed { proof.every } else { RECOVERY };
                *next = Deadline::new(now, every.max(proof.every));
                if enough {
                    self.enter_probation(true);
                }
            }
            _ => {}
        }
    }

    /// Verification ended without proof.
    pub(super) fn not_helped(&mut self) {
        let State::Verifying { unknown, .. } = self.incident.state else {
            return;
        };
        let rung = self.plan.rungs.get(self.incident.rung);
        let weak = rung.is_none_or(|r| r.strength == Strength::Weak);
        if unknown && weak {
            self.escalate(Cause::UnknownOutcome, Value::Null);
        } else {
            self.next_rung(json!({"why": "it did not help"}));
        }
    }

    pub(super) fn next_rung(&mut self, why: Value) {
        let last = self
            .plan
            .rungs
            .get(self.incident.rung)
            .is_none_or(|r| r.last);
        let next = self.incident.rung + 1;
        if last || next >= self.plan.rungs.len() {
            self.escalate(Cause::Exhausted, why);
        } else {
            self.incident.rung = next;
            self.enter_waiting_because(why);
        }
    }

    pub(super) fn healed(&mut self) {
        let tell = self.incident.escalated;
        let took = self.now.since(&self.incident.opened);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.enter(State::Healed, json!({"took_ms": millis}));
        if tell {
            self.step.effects.push(Effect::TellRecovered);
        }
    }
}
