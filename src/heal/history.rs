//! What was done lately on this node: what the guards count. Kept in memory, made anew from the incidents after a start.

use std::collections::VecDeque;
use std::time::Duration;

use super::guards::Standing;
use super::incident::{Incident, State};
use super::turn::{Map, Turn, Whole};
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::target::Target;

/// Moments kept of each list; no line of a guard is longer.
const KEPT: usize = 1000;
/// How long a moment counts at most.
pub const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Adds to moments that are kept for what is counted after a start: no more of them than are counted.
pub(super) fn note(moments: &mut Vec<Moment>, now: &Moment) {
    let over = (moments.len() + 1).saturating_sub(KEPT);
    moments.drain(..over);
    moments.push(now.clone());
}

/// Moments, oldest first.
#[derive(Debug, Clone, Default)]
struct Moments(VecDeque<Moment>);

impl Moments {
    fn add(&mut self, at: &Moment) {
        // Not by age: across a boot and a clock that was set, what is old to one moment is new to another.
        while self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(at.clone());
    }

    fn take_back(&mut self, at: &Moment) {
        if let Some(place) = self.0.iter().rposition(|m| m == at) {
            self.0.remove(place);
        }
    }

    fn ago(&self, now: &Moment) -> Vec<Duration> {
        self.0.iter().map(|m| now.since(m)).collect()
    }

    fn is_over(&self, now: &Moment) -> bool {
        self.0.back().is_none_or(|m| now.since(m) > LONGEST)
    }
}

/// Attempts, heals and openings of the last day, and who is at work on what.
#[derive(Debug, Default)]
pub struct History {
    target_attempts: Map<Target, Moments>,
    playbook_attempts: Map<String, Moments>,
    target_heals: Map<Target, Moments>,
    node_attempts: Whole<Moments>,
    opened: Whole<Moments>,
    holders: Map<Target, IncidentId>,
}

impl History {
    /// All of it is changed by turns; what is forgotten here does not compile.
    fn parts(&mut self) -> [&mut dyn Turn; 6] {
        let Self {
            target_attempts,
            playbook_attempts,
            target_heals,
            node_attempts,
            opened,
            holders,
        } = self;
        [
            target_attempts,
            playbook_attempts,
            target_heals,
            node_attempts,
            opened,
            holders,
        ]
    }
}

impl Turn for History {
    fn keep(&mut self) {
        self.parts().into_iter().for_each(Turn::keep);
    }

    fn undo(&mut self) {
        self.parts().into_iter().for_each(Turn::undo);
    }
}

/// What of an incident counts; taken before a step and compared after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    attempts: usize,
    /// When the last of them began.
    last: Option<Moment>,
    healed: bool,
}

impl Mark {
    /// Of an incident as it is.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        Self {
            attempts: incident.attempts.len(),
            last: incident.attempts.last().cloned(),
            healed: incident.state == State::Healed,
        }
    }
}

/// When an incident was healed. Journals of before had the last time alone, as the time of its state.
fn heals(incident: &Incident) -> impl Iterator<Item = (&Moment, &Target)> {
    let only = incident.heals.is_empty() && incident.state == State::Healed;
    let heals = incident
        .heals
        .iter()
        .chain(only.then_some(&incident.changed));
    heals.map(|at| (at, &incident.target))
}

impl History {
    /// The history that incidents of the last day make, in whatever order.
    #[must_use]
    pub fn of<'a>(incidents: impl IntoIterator<Item = &'a Incident>) -> Self {
        let mut incidents: Vec<&Incident> = incidents.into_iter().collect();
        incidents.sort_by_key(|i| i.opened.wall);
        let mut history = Self::default();
        for incident in &incidents {
            history.opened(incident);
            history.held_by_state(incident);
        }
        let attempts = |i: &&Incident| {
            let target = i.target.clone();
            let playbook = i.playbook.clone();
            i.attempts
                .iter()
                .map(move |at| (at.clone(), target.clone(), playbook.clone()))
                .collect::<Vec<_>>()
        };
        let mut attempts: Vec<_> = incidents.iter().flat_map(attempts).collect();
        attempts.sort_by_key(|(at, ..)| at.wall);
        for (at, target, playbook) in attempts {
            history.attempted(target, playbook, &at);
        }
        let mut heals: Vec<_> = incidents.iter().flat_map(|i| heals(i)).collect();
        heals.sort_by_key(|(at, _)| at.wall);
        for (at, target) in heals {
            history.healed(target, at);
        }
        history.keep();
        history
    }

    fn attempted(&mut self, target: Target, playbook: String, at: &Moment) {
        self.target_attempts.change_or_make(target).add(at);
        self.playbook_attempts.change_or_make(playbook).add(at);
        self.node_attempts.change().add(at);
    }

    fn healed(&mut self, target: &Target, at: &Moment) {
        self.target_heals.change_or_make(target.clone()).add(at);
    }

    /// The last attempt is made once more, under its name: it is one, and counts from when it is made.
    fn repeated(&mut self, incident: &Incident, before: &Moment) {
        self.target_attempts
            .change_or_make(incident.target.clone())
            .take_back(before);
        self.playbook_attempts
            .change_or_make(incident.playbook.clone())
            .take_back(before);
        self.node_attempts.change().take_back(before);
    }

    /// Notes a new incident.
    pub fn opened(&mut self, incident: &Incident) {
        self.opened.change().add(&incident.opened);
    }

    /// Notes what a step made of an incident that was at `before`.
    pub fn stepped(&mut self, incident: &Incident, before: Mark) {
        let now = Mark::of(incident);
        let again = now.attempts == before.attempts && now.last != before.last;
        let known = before.attempts.saturating_sub(usize::from(again));
        if let (true, Some(last)) = (again, &before.last) {
            self.repeated(incident, last);
        }
        for at in incident.attempts.iter().skip(known) {
            self.attempted(incident.target.clone(), incident.playbook.clone(), at);
        }
        if incident.state == State::Healed && !before.healed {
            self.healed(&incident.target, &incident.changed);
        }
        self.held_by_state(incident);
    }

    /// Notes that an incident is at work on its target, whatever its state.
    pub(super) fn hold(&mut self, incident: &Incident) {
        self.holders
            .set(incident.target.clone(), incident.id.clone());
    }

    fn held_by_state(&mut self, incident: &Incident) {
        if incident.state.holds_target() {
            self.hold(incident);
        } else if self.holders.get(&incident.target) == Some(&incident.id) {
            self.holders.remove(&incident.target);
        }
    }

    /// Who is at work on a target.
    #[must_use]
    pub fn holder(&self, target: &Target) -> Option<&IncidentId> {
        self.holders.get(target)
    }

    /// How things stand for an incident. `since` is when its oldest firing alert began, as its source says.
    #[must_use]
    pub fn standing(
        &self,
        target: &Target,
        playbook: &str,
        since: Option<Timestamp>,
        now: &Moment,
    ) -> Standing {
        let ago = |moments: Option<&Moments>| moments.map(|m| m.ago(now)).unwrap_or_default();
        Standing {
            gathers: false,
            paused: None,
            maintenance: None,
            holder: self.holders.get(target).cloned(),
            target_attempts: ago(self.target_attempts.get(target)),
            playbook_attempts: ago(self.playbook_attempts.get(playbook)),
            target_heals: ago(self.target_heals.get(target)),
            node_attempts: self.node_attempts.ago(now),
            node_incidents: self.opened.ago(now),
            age: since.map(|at| now.wall.since(at)),
            told: None,
        }
    }

    /// Forgets targets and playbooks of which nothing happened for a day.
    pub fn forget(&mut self, now: &Moment) {
        self.target_attempts.prune(|_, m| !m.is_over(now));
        self.playbook_attempts.prune(|_, m| !m.is_over(now));
        self.target_heals.prune(|_, m| !m.is_over(now));
    }
}
