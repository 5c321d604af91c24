//! Playbooks as they are now, and which of them an incident goes by.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::Rules;
use super::book::{Book, Held};
use crate::check;
use crate::heal::incident::State;
use crate::heal::machine::Event;
use crate::heal::plan::{Mode, Plan};
use crate::heal::playbook::Playbook;
use crate::journal::{Entry, Kind};
use crate::model::id::IncidentId;
use crate::model::moment::Moment;
use crate::model::target::Target;

/// A playbook as it is now.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) playbook: Arc<Playbook>,
    pub(super) plan: Arc<Plan>,
    /// The checks that it names, as they were when it was taken.
    pub(super) checks: Arc<check::Options>,
    pub(super) revision: String,
    /// Shared, like the rest: there may be thousands of incidents, and it lists every name that it takes.
    pub(super) text: Arc<str>,
}

impl Current {
    /// With those of these checks that it names.
    pub(super) fn new(playbook: Playbook, checks: &check::Options) -> Self {
        let checks = playbook.own_checks(checks);
        let (revision, text) = playbook.revision(&checks);
        Self {
            checks: Arc::new(checks),
            plan: Arc::new(playbook.plan()),
            playbook: Arc::new(playbook),
            revision,
            text: text.into(),
        }
    }
}

/// The playbooks of `rules`, by name.
pub(super) fn all(rules: &Rules) -> BTreeMap<String, Current> {
    let playbooks = rules.playbooks.iter();
    playbooks
        .map(|(name, p)| (name.clone(), Current::new(p.clone(), &rules.checks)))
        .collect()
}

impl Book {
    /// Lets an incident go by the playbook as it is now, unless an attempt is under way; whether that is another one.
    pub(super) fn adopt(&mut self, id: &IncidentId) -> bool {
        let Some(held) = self.held.change(id) else {
            return false;
        };
        let state = &held.incident.state;
        if state.holds_target() || matches!(state, State::Probation { .. }) || held.resuming {
            return false;
        }
        match self.current.get(&held.incident.playbook) {
            // Not by its revision: that leaves secrets out, and they change as well.
            Some(now) if !Arc::ptr_eq(&now.playbook, &held.current.playbook) => {
                held.incident.revision.clone_from(&now.revision);
                held.current = now.clone();
                true
            }
            Some(_) => false,
            // Its playbook is gone: nothing may be done any more.
            None if held.current.plan.mode != Mode::Off => {
                let plan = Plan {
                    mode: Mode::Off,
                    ..(*held.current.plan).clone()
                };
                held.current.plan = Arc::new(plan);
                true
            }
            None => false,
        }
    }

    /// Takes other playbooks; what is open goes on by its own until it may change.
    pub(super) fn change_rules(&mut self, rules: Rules, now: &Moment) {
        if rules.config != self.rules.config {
            let data = json!({"config": rules.config, "playbooks": rules.playbooks.keys().collect::<Vec<_>>()});
            self.commit
                .entries
                .push(Entry::new(Kind::Config).data(data));
        }
        *self.current.change() = all(&rules);
        *self.rules.change() = rules;
        self.windows.change().forget();
        self.turn_windows(now);
        self.step_each(Held::is_waiting, &Event::Changed, now);
        self.raise(now);
    }

    /// Takes up anew what ended because its playbook might not go as far as it may now.
    pub(super) fn raise(&mut self, now: &Moment) {
        let raised = |(key, id): (&(String, Target), &IncidentId)| {
            let mode = self.current.get(&key.0)?.plan.mode;
            let incident = &self.held.get(id)?.incident;
            incident.is_raised_by(mode).then(|| id.clone())
        };
        let mut raised: Vec<IncidentId> = self.latest.iter().filter_map(raised).collect();
        raised.sort_unstable();
        for id in raised {
            self.step(&id, Event::Changed, now);
        }
    }
}
