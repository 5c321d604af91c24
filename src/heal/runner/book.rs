//! All incidents, and what a turn changes of them until it is on record.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Rules;
use super::current::{self, Current};
use super::episodes::{Deliveries, Episodes};
use super::restore::Before;
use super::said::Said;
use super::summary::Tally;
use super::windows::Windows;
use crate::action::Stop;
use crate::heal::history::History;
use crate::heal::incident::{Incident, State};
use crate::heal::job::Job;
use crate::heal::machine::Effect;
use crate::heal::turn::{Map, Turn, Whole};
use crate::journal::{Commit, IncidentRow};
use crate::model::hold::Holds;
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;
use crate::model::target::Target;
use crate::model::trace::TraceContext;

/// An incident and what it goes by.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) incident: Incident,
    pub(super) current: Current,
    /// What became of its open attempt while nodeward was away is not known yet.
    pub(super) resuming: bool,
    /// The attempt of which the action was begun by this process and is not over yet, whatever became of the incident since.
    pub(super) running: Option<u32>,
}

impl Held {
    /// Whether no other attempt may begin on its target.
    pub(super) const fn holds_target(&self) -> bool {
        self.incident.state.holds_target() || self.running.is_some()
    }
}

impl Held {
    /// Whether it is for guards that the incident waits.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.incident.state, State::Waiting { .. })
    }
}

/// Name under which the journal keeps the holds.
pub(super) const HOLDS: &str = "holds";

/// What operators have set; kept over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Switches {
    pub(super) paused: Option<String>,
    pub(super) maintenance: Option<String>,
    /// When maintenance ends by itself.
    pub(super) until: Option<Timestamp>,
}

/// How new incidents are called.
#[derive(Debug, Default)]
pub(super) enum Names {
    /// As nothing else ever was.
    #[default]
    Unique,
    /// By this word and a number, for incidents of which nothing is kept.
    Counted(&'static str, u32),
}

impl Names {
    /// The next one.
    pub(super) fn next(&mut self) -> IncidentId {
        match self {
            Self::Unique => IncidentId::new(&ulid::Ulid::generate().to_string()),
            Self::Counted(word, count) => {
                *count = count.saturating_add(1);
                IncidentId::new(&format!("{word}{count:05}"))
            }
        }
    }
}

/// Everything healing knows.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) rules: Whole<Rules>,
    pub(super) current: Whole<BTreeMap<String, Current>>,
    pub(super) held: Map<IncidentId, Held>,
    pub(super) latest: Map<(String, Target), IncidentId>,
    pub(super) episodes: Episodes,
    pub(super) deliveries: Deliveries,
    pub(super) history: History,
    pub(super) switches: Whole<Switches>,
    /// The windows of maintenance.
    pub(super) windows: Whole<Windows>,
    pub(super) tally: Whole<Tally>,
    /// What this node is out of pools for.
    pub(super) holds: Whole<Holds>,
    /// What this turn wants to put on record.
    pub(super) commit: Commit,
    /// What it wants to do after that.
    pub(super) effects: Vec<(IncidentId, Effect)>,
    /// What the log says of it after that.
    pub(super) said: Vec<Said>,
    pub(super) names: Names,
    /// The request that what is being taken came with.
    pub(super) parent: Option<TraceContext>,
    /// The last one that was stepped when not all could be.
    pub(super) last: Option<IncidentId>,
    /// What became of the process before.
    pub(super) before: Before,
}

impl Book {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            current: Whole::new(current::all(&rules)),
            rules: Whole::new(rules),
            held: Map::default(),
            latest: Map::default(),
            episodes: Episodes::default(),
            deliveries: Deliveries::default(),
            history: History::default(),
            switches: Whole::default(),
            windows: Whole::default(),
            tally: Whole::default(),
            holds: Whole::default(),
            commit: Commit::default(),
            effects: Vec::new(),
            said: Vec::new(),
            names: Names::default(),
            parent: None,
            last: None,
            before: Before::Nothing,
        }
    }

    /// All that a turn changes: a field that is in neither list does not compile.
    fn parts(&mut self) -> [&mut dyn Turn; 11] {
        let Self {
            rules,
            current,
            held,
            latest,
            episodes,
            deliveries,
            history,
            switches,
            windows,
            tally,
            holds,
            // Made anew by each turn, or of no weight.
            commit: _,
            effects: _,
            said: _,
            names: _,
            parent: _,
            last: _,
            before: _,
        } = self;
        [
            rules, current, held, latest, episodes, deliveries, history, switches, windows, tally,
            holds,
        ]
    }

    /// What a turn wants to put on record, and what it wants to do after that.
    pub(super) fn take(&mut self) -> (Commit, Vec<(IncidentId, Effect)>) {
        for (before, held) in self.held.changed() {
            let incident = &held.incident;
            if before.is_some_and(|before| before.incident == *incident) {
                continue;
            }
            self.commit.incidents.push(IncidentRow {
                id: incident.id.clone(),
                open: incident.state.is_open() || incident.is_isolated(),
                revision: Some(incident.revision.clone()),
                body: serde_json::to_string(incident).unwrap_or_default(),
            });
            let Current { revision, text, .. } = &held.current;
            let mut playbooks = self.commit.playbooks.iter();
            if !playbooks.any(|(known, _)| known == revision) {
                let playbook = (revision.clone(), text.to_string());
                self.commit.playbooks.push(playbook);
            }
        }
        if self.holds.is_changed() {
            let holds = serde_json::to_string(&*self.holds).unwrap_or_default();
            self.commit.settings.push((HOLDS.to_owned(), Some(holds)));
        }
        (
            std::mem::take(&mut self.commit),
            std::mem::take(&mut self.effects),
        )
    }

    /// The turn is on record.
    pub(super) fn keep(&mut self) {
        self.parts().into_iter().for_each(Turn::keep);
        self.said.clear();
        self.episodes.bound();
        self.deliveries.bound();
    }

    /// The turn could not be put on record: it never was.
    pub(super) fn undo(&mut self) {
        self.parts().into_iter().for_each(Turn::undo);
        self.commit = Commit::default();
        self.effects = Vec::new();
        self.said = Vec::new();
    }

    /// An incident for the world to look at.
    pub(super) fn job(&self, id: &IncidentId) -> Option<Job> {
        let held = self.held.get(id)?;
        Some(Job {
            incident: held.incident.clone(),
            playbook: Arc::clone(&held.current.playbook),
            plan: Arc::clone(&held.current.plan),
            checks: Arc::clone(&held.current.checks),
            stop: Stop::never(),
        })
    }

    /// Those whose open attempt must be looked after first.
    pub(super) fn resuming(&self) -> Vec<IncidentId> {
        let resuming = self.held.values().filter(|h| h.resuming);
        resuming.map(|h| h.incident.id.clone()).collect()
    }
}
