//! Reminders: people are told again of what was escalated, until one of them acknowledges it, it recovers, or they were told often enough.

use serde_json::{Value, json};

use super::Stepping;
use crate::heal::incident::{Acknowledged, Paging, State};
use crate::journal::Kind;
use crate::model::moment::Deadline;
use crate::model::notice::What;

impl Stepping<'_> {
    /// People are told of an escalation.
    pub(super) fn page(&mut self) {
        self.incident.paging = Some(Paging {
            reminders: 0,
            next: self.reminder_after(0),
            acknowledged: None,
        });
        self.step.notices.push(What::Escalated);
    }

    /// Tells them again, if it is time to.
    pub(super) fn remind(&mut self) {
        if !matches!(self.incident.state, State::Escalated { .. }) {
            return;
        }
        let Some(paging) = &self.incident.paging else {
            return;
        };
        if paging.acknowledged.is_some() {
            return;
        }
        let due = paging.next.as_ref().is_some_and(|at| at.is_over(self.now));
        let (armed, made) = (paging.next.is_some(), paging.reminders);
        // A reload may have brought them, or taken them away.
        let next = match (armed, self.reminder_after(made).is_some()) {
            (true, true) if due => self.reminder_after(made + 1),
            (true, true) => return,
            (false, _) | (true, false) => self.reminder_after(made),
        };
        let tells = due && self.reminder_after(made).is_some();
        if let Some(paging) = &mut self.incident.paging {
            paging.next = next;
            if tells {
                paging.reminders += 1;
                self.step.notices.push(What::Reminder);
            }
        }
    }

    /// When people are reminded who were so often before.
    fn reminder_after(&self, made: u32) -> Option<Deadline> {
        let remind = self.plan.remind.filter(|remind| made < remind.times)?;
        Some(Deadline::new(self.now.clone(), remind.every))
    }

    /// A person has it: nobody else is reminded of it any more.
    pub(super) fn acknowledge(&mut self, by: &str, acknowledged: Acknowledged) {
        if !self.incident.is_paged() {
            return;
        }
        let mut data = json!({"did": "acknowledge", "by": by});
        if let Some(data) = data.as_object_mut() {
            let more = [("for", &acknowledged.who), ("reason", &acknowledged.reason)];
            let more = more.into_iter();
            data.extend(
                more.filter_map(|(key, said)| Some((key.to_owned(), Value::from(said.clone()?)))),
            );
        }
        self.record(Kind::Operator, data);
        if let Some(paging) = &mut self.incident.paging {
            paging.next = None;
            paging.acknowledged = Some(acknowledged);
        }
        self.step.notices.push(What::Acknowledged);
    }
}
