//! Waiting: the guards are asked, and what they say is recorded.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Effect, PATIENCE, Stepping};
use crate::heal::guards::{self, Look, Verdict};
use crate::heal::incident::{Cause, State};
use crate::heal::plan::Mode;
use crate::journal::Kind;
use crate::model::moment::Deadline;

impl Stepping<'_> {
    /// Has the guards look again, if it is for them that the incident waits.
    pub(super) fn ask_again(&mut self) {
        if let State::Waiting { next, .. } = &mut self.incident.state {
            *next = Deadline::new(self.now.clone(), PATIENCE);
            self.look();
        }
    }

    pub(super) fn looked(&mut self, asked: u32, look: Look) {
        if asked != self.incident.asked {
            return;
        }
        let State::Waiting { .. } = &self.incident.state else {
            return;
        };
        let verdicts = guards::evaluate(self.incident, self.plan, self.standing, &look, self.now);
        let refusing = verdicts.iter().find(|v| !v.passes);
        match refusing.map(|v| v.guard.clone()).as_deref() {
            None if self.plan.mode == Mode::Observe => {
                let action = look.action.map(|r| r.action).unwrap_or_default();
                self.decide(&verdicts, json!({"would": action}));
                self.enter(State::Observed, json!({"would": "act"}));
            }
            None => self.intend(look, &verdicts),
            Some("flap") => {
                self.decide(&verdicts, Value::Null);
                self.escalate(Cause::Flapping, Value::Null);
            }
            Some("budget" | "playbook_budget") if !self.incident.attempts.is_empty() => {
                self.decide(&verdicts, Value::Null);
                self.escalate(Cause::Exhausted, json!({"spent": "budget"}));
            }
            Some("freshness") if self.incident.attempts.is_empty() => {
                self.decide(&verdicts, Value::Null);
                self.enter_suppressed("its alert is older than max_age");
            }
            Some(_) => self.wait(verdicts, look),
        }
    }

    /// Stays waiting; records what the guards said unless the same ones said so before.
    pub(super) fn wait(&mut self, new: Vec<Verdict>, look: Look) {
        let names = |verdicts: &[Verdict]| {
            let refusing = verdicts.iter().filter(|v| !v.passes);
            refusing.map(|v| v.guard.clone()).collect::<Vec<_>>()
        };
        let hint = new.iter().filter(|v| !v.passes).filter_map(|v| v.again);
        let hint = Duration::from_millis(hint.max().unwrap_or_default());
        let hint = hint.clamp(Duration::from_millis(500), Duration::from_secs(15));
        let hash = look.action.ok().map(|rendered| rendered.hash);
        let State::Waiting {
            verdicts,
            next,
            action,
            ..
        } = &mut self.incident.state
        else {
            return;
        };
        let news = names(verdicts) != names(&new);
        *next = Deadline::new(self.now.clone(), hint);
        *action = hash;
        verdicts.clone_from(&new);
        if news {
            self.decide(&new, Value::Null);
            if names(&new) == ["approval"] {
                self.step.effects.push(Effect::AskApproval);
            }
        }
    }

    pub(super) fn decide(&mut self, verdicts: &[Verdict], more: Value) {
        let acts = verdicts.iter().all(|v| v.passes);
        let mut data = json!({"act": acts, "rung": self.incident.rung, "guards": verdicts});
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        self.record(Kind::Decision, data);
    }
}
