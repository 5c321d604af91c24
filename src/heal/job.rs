//! One incident to look at or to act upon, and the action that it is at.

use std::sync::Arc;
use std::time::Duration;

use super::guards::{Rendered, Unseen};
use super::incident::Incident;
use super::plan::Plan;
use super::playbook::{Playbook, Step};
use crate::action::{Do, Order, Stop};
use crate::check;
use crate::journal::Hash;
use crate::model::id::AttemptId;

/// One incident to look at or to act upon, as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    /// The incident.
    pub incident: Incident,
    /// The playbook it goes by.
    pub playbook: Arc<Playbook>,
    /// The same as the machine sees it.
    pub plan: Arc<Plan>,
    /// The checks that the playbook names, as they were when it was taken.
    pub checks: Arc<check::Options>,
    /// Says that its action is to end.
    pub stop: Stop,
}

impl Job {
    /// The rung it is at, if its playbook has it.
    #[must_use]
    pub fn rung(&self) -> Option<&Step> {
        self.playbook.ladder.get(self.incident.rung)
    }

    /// Whether the action that it is at runs here, and can be told to end.
    #[must_use]
    pub fn runs_here(&self) -> bool {
        let action = self.rung().and_then(|rung| rung.action.as_ref());
        action.is_some_and(Do::runs_here)
    }

    /// The attempt that is open, or the one that would be next.
    #[must_use]
    pub fn attempt(&self) -> AttemptId {
        let made = u32::try_from(self.incident.attempts.len()).unwrap_or(u32::MAX);
        let open = self.incident.state.holds_target() || self.incident.repeats();
        AttemptId {
            incident: self.incident.id.clone(),
            number: if open { made } else { made.saturating_add(1) },
        }
    }

    /// What an action of it is told, or a program that looks.
    #[must_use]
    pub fn order<'a>(&'a self, timeout: Duration, attempt: &'a AttemptId) -> Order<'a> {
        Order {
            attempt,
            playbook: &self.incident.playbook,
            target: &self.incident.target,
            labels: &self.incident.labels,
            timeout,
            stop: &self.stop,
        }
    }

    /// Whether every value that its playbook takes from an alert is there and allowed.
    #[must_use]
    pub fn has_its_values(&self) -> bool {
        let rungs = self.playbook.ladder.iter();
        let labels = &self.incident.labels;
        rungs.clone().all(|step| self.rendered(step).is_ok())
            && self
                .playbook
                .words()
                .all(|word| word.resolve(labels).is_ok())
    }

    /// The action of a rung with all its values in place. The hash is over the whole of it without the name
    /// of the attempt, also over what is not shown.
    ///
    /// # Errors
    /// A value is missing or not allowed.
    pub fn rendered(&self, step: &Step) -> Result<Rendered, Unseen> {
        let attempt = self.attempt();
        let order = self.order(step.timeout.get(), &attempt);
        let Some(does) = &step.action else {
            let action = serde_json::json!({"isolate": step.isolate});
            let hash = Hash::of(&action.to_string()).to_string();
            return Ok(Rendered { action, hash });
        };
        let action = does.render(&order).map_err(Unseen)?;
        let stable = AttemptId {
            incident: attempt.incident.clone(),
            number: 0,
        };
        let same = does.whole(&Order {
            attempt: &stable,
            ..order
        });
        let text = same.unwrap_or_default().to_string();
        Ok(Rendered {
            action,
            hash: Hash::of(&text).to_string(),
        })
    }
}
