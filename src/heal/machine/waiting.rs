//! Waiting: the guards are asked, and what they say is recorded.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, Stepping};
use crate::heal::guards::{self, Guard, Look, Rendered, Verdict};
use crate::heal::incident::{Cause, Question, State};
use crate::heal::plan::Mode;
use crate::journal::Kind;
use crate::model::moment::Deadline;
use crate::model::notice::What;
use crate::model::sight::Sight;

impl Stepping<'_> {
    /// Has the guards look again, if it is for them that the incident waits.
    pub(super) fn ask_again(&mut self) {
        if let State::Waiting { next, .. } = &mut self.incident.state {
            if self.plan.mode == Mode::Off {
                self.enter_off();
                return;
            }
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
        let plan = self.plan;
        let leave = plan.leaves(self.incident);
        let isolated = self.incident.is_isolated();
        let is_well = |guard: Guard| verdicts.iter().any(|v| v.guard == guard && !v.passes);
        let seen_well = look
            .confirm
            .iter()
            .any(|(_, sight, _)| *sight == Sight::Well);
        // An ill node leaves its pool, whether or not something may be tried on it now.
        let leaves = leave.is_some_and(|leave| !leave.rung);
        let minds = |guard: Guard| !leaves || !guard.bounds_attempts();
        let refusing = verdicts.iter().find(|v| !v.passes && minds(v.guard));
        if refusing.is_none() && self.held_back(&look) {
            if let State::Waiting { verdicts: last, .. } = &mut self.incident.state {
                last.clone_from(&verdicts);
            }
            self.ask_again();
            return;
        }
        if let (None, Some(packet)) = (refusing, &look.evidence) {
            self.keep(packet);
        }
        match refusing.map(|v| v.guard) {
            // The node is not left outside by a playbook that must not touch anything.
            None if self.plan.mode == Mode::Observe && isolated => {
                self.decide(&verdicts, Value::Null);
                self.escalate_refused(Guard::Mode);
            }
            None if self.plan.mode == Mode::Observe => {
                let action = look.action.map(|r| r.action).unwrap_or_default();
                let isolates = leave.filter(|leave| !leave.rung);
                let more = match isolates {
                    Some(leave) => json!({"would": action, "isolate": leave.pool}),
                    None => json!({"would": action}),
                };
                self.decide(&verdicts, more);
                self.enter(State::Observed, json!({"would": "act"}));
            }
            None => match leave {
                Some(leave) => self.isolate(leave, &look, &verdicts),
                None => self.intend(look, &verdicts),
            },
            Some(Guard::Mode) => {
                self.decide(&verdicts, Value::Null);
                self.enter_off();
            }
            Some(_) if isolated && (is_well(Guard::Episode) || seen_well) => {
                self.look_whether_it_is_well(verdicts, look);
            }
            Some(Guard::Flap) => {
                self.decide(&verdicts, Value::Null);
                self.escalate(Cause::Flapping, Value::Null);
            }
            Some(Guard::Budget | Guard::PlaybookBudget) if !self.incident.attempts.is_empty() => {
                self.decide(&verdicts, Value::Null);
                self.escalate(Cause::Exhausted, json!({"spent": "budget"}));
            }
            Some(Guard::Freshness) if self.incident.attempts.is_empty() && !isolated => {
                self.decide(&verdicts, Value::Null);
                self.enter_suppressed("its alert is older than max_age");
            }
            Some(_) => self.wait(verdicts, look),
        }
    }

    /// It may have got well by itself: that is looked at now and then, for as long as it may wait at all.
    fn look_whether_it_is_well(&mut self, verdicts: Vec<Verdict>, look: Look) {
        let over = match &self.incident.state {
            State::Waiting { until, .. } => until.is_over(self.now),
            _ => return,
        };
        if over {
            self.wait(verdicts, look);
            self.waited_too_long();
        } else {
            self.decide(&verdicts, Value::Null);
            self.verify_itself();
        }
    }

    /// Stays waiting; records what the guards said unless the same ones said so before.
    pub(super) fn wait(&mut self, new: Vec<Verdict>, look: Look) {
        let refusing = |verdicts: &[Verdict]| {
            let refusing = verdicts.iter().filter(|v| !v.passes);
            refusing.map(|v| v.guard).collect::<Vec<_>>()
        };
        let hint = new.iter().filter(|v| !v.passes).filter_map(|v| v.again);
        let hint = Duration::from_millis(hint.max().unwrap_or_default());
        let hint = hint.clamp(Duration::from_millis(500), Duration::from_secs(15));
        let names = refusing(&new);
        let asks = match look.action {
            Ok(rendered) if names.contains(&Guard::Approval) => self.ask(rendered),
            _ => false,
        };
        let State::Waiting { verdicts, next, .. } = &mut self.incident.state else {
            return;
        };
        let news = refusing(verdicts) != names;
        *next = Deadline::new(self.now.clone(), hint);
        verdicts.clone_from(&new);
        if news || asks {
            self.decide(&new, Value::Null);
        }
        if names == [Guard::Approval]
            && let Some(question) = &mut self.incident.question
            && !question.told
        {
            question.told = true;
            self.step.notices.push(What::ApprovalWanted);
        }
    }

    /// Puts a question to people, unless this very one stands already; whether it is a new one. A yes to the one before is void.
    fn ask(&mut self, rendered: Rendered) -> bool {
        let same = |question: &Question| question.action == rendered.hash;
        if self.incident.question.as_ref().is_some_and(same) {
            return false;
        }
        self.incident.approval = None;
        self.incident.questions = self.incident.questions.saturating_add(1);
        self.incident.question = Some(Question {
            number: self.incident.questions,
            action: rendered.hash,
            shown: rendered.action,
            told: false,
        });
        true
    }

    pub(super) fn decide(&mut self, verdicts: &[Verdict], more: Value) {
        let acts = verdicts.iter().all(|v| v.passes);
        let mut data = json!({"act": acts, "rung": self.incident.rung, "guards": verdicts});
        if let (Some(asked), Some(data)) = (&self.incident.question, data.as_object_mut()) {
            let question = json!({"id": self.incident.token(asked), "action": asked.shown, "hash": asked.action});
            data.insert("question".into(), question);
        }
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        self.record(Kind::Decision, data);
    }
}
