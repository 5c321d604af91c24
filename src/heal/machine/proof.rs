//! The proof that it helped, and what follows without it.

use serde_json::{Value, json};

use super::{RECOVERY, Stepping};
use crate::action::Strength;
use crate::heal::history;
use crate::heal::incident::{Cause, State, Verified};
use crate::heal::plan::Mode;
use crate::journal::Kind;
use crate::model::moment::Deadline;
use crate::model::notice::What;
use crate::model::sight::Sight;

/// Why a probation that is over proves nothing, where that is asked for.
const FIRES: &str = "its alert still fires";

impl Stepping<'_> {
    pub(super) fn probed(&mut self, asked: u32, sight: Sight, data: Value) {
        if asked != self.incident.asked {
            return;
        }
        let (passed, sightless) = (sight == Sight::Well, sight == Sight::Blind);
        let now = self.now.clone();
        let proof = self.plan.verify;
        let unresolved = self.plan.verify.resolved && self.incident.is_firing();
        match &mut self.incident.state {
            State::Verifying {
                passes,
                next,
                of,
                failed,
                blind,
                ..
            } => {
                *passes = if passed { *passes + 1 } else { 0 };
                let (passes, enough) = (*passes, *passes >= proof.pass);
                let alone = *of == Verified::Itself;
                // What goes on failing is one record, not one a second.
                let news = passed || !*failed || *blind != sightless;
                (*failed, *blind) = (!passed, sightless);
                *next = Deadline::new(now, proof.every);
                if news {
                    let mut data = json!({"passed": passed, "passes": passes, "of": proof.pass, "probes": data});
                    if let (true, Some(data)) = (sightless, data.as_object_mut()) {
                        data.insert("blind".into(), true.into());
                    }
                    self.record(Kind::Verify, data);
                }
                if enough {
                    self.enter_probation(false, alone);
                }
            }
            State::Probation {
                until,
                fails,
                next,
                recovered,
                alone,
            } => {
                *fails = match sight {
                    Sight::Well => 0,
                    Sight::Ill => *fails + 1,
                    Sight::Blind => *fails,
                };
                let over = until.is_over(&now);
                let (ill, recovered, alone) = (*fails >= proof.pass, *recovered, *alone);
                let longest = until.span().saturating_add(self.plan.limits.max_wait);
                *next = Deadline::new(now, proof.every);
                if sight == Sight::Ill {
                    self.record(Kind::Verify, json!({"passed": false, "probes": data}));
                }
                let fires = over && passed && unresolved;
                let fires_on = fires && self.now.since(&self.incident.changed) > longest;
                if recovered && (ill || sightless && over || fires_on) {
                    self.enter_escalated_again(data);
                } else if fires_on && alone {
                    self.escalate(Cause::Unproven, json!({"why": FIRES}));
                } else if fires_on {
                    self.next_rung(json!({"why": FIRES}));
                } else if sightless && over {
                    self.escalate(Cause::Unproven, json!({"probes": data}));
                } else if ill {
                    self.ill_again(json!({"why": "it was ill again in probation"}));
                } else if passed && over && self.incident.anew && self.incident.is_firing() {
                    self.ill_again(
                        json!({"why": "an alert of it began after the attempt, and fires"}),
                    );
                } else if passed && over && !fires {
                    self.well(alone);
                }
            }
            // Neither a playbook nor anything that it could be seen by.
            State::Escalated { .. } if sightless && self.plan.mode == Mode::Off => {
                self.enter_off();
            }
            State::Escalated { passes, next, .. } => {
                *passes = if passed { *passes + 1 } else { 0 };
                let enough = *passes >= proof.pass && !unresolved;
                let every = if passed { proof.every } else { RECOVERY };
                *next = Deadline::new(now, every.max(proof.every));
                if enough {
                    self.enter_probation(true, false);
                }
            }
            _ => {}
        }
    }

    /// What was well is not.
    pub(super) fn ill_again(&mut self, why: Value) {
        let State::Probation {
            recovered, alone, ..
        } = self.incident.state
        else {
            return;
        };
        if recovered {
            self.enter_escalated_again(why);
            return;
        }
        self.incident.relapses += 1;
        if alone {
            // Nothing was tried that could have failed.
            self.enter_waiting_because(why);
        } else {
            self.next_rung(why);
        }
    }

    /// Verification ended without proof.
    pub(super) fn not_helped(&mut self) {
        let State::Verifying {
            unknown, blind, of, ..
        } = self.incident.state
        else {
            return;
        };
        if of == Verified::Itself {
            self.enter_waiting_because(json!({"why": "it has not got well by itself"}));
            return;
        }
        let rung = self.plan.rungs.get(self.incident.rung);
        let weak = rung.is_none_or(|r| r.strength == Strength::Weak);
        if unknown && weak {
            self.escalate(Cause::UnknownOutcome, Value::Null);
        } else if blind {
            // It may be well: the next rung would act on what works.
            self.escalate(Cause::Unproven, Value::Null);
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

    /// It is well, and that is proven.
    pub(super) fn well(&mut self, alone: bool) {
        if alone {
            self.enter(State::ResolvedAlone, Value::Null);
            return;
        }
        let tell = self.incident.escalated;
        let took = self.now.since(&self.incident.opened);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.enter(State::Healed, json!({"took_ms": millis}));
        history::note(&mut self.incident.heals, self.now);
        if tell {
            self.step.notices.push(What::Recovered);
        }
    }
}
