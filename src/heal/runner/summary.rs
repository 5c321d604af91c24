//! What everybody else sees of healing: one plain value, made anew after each turn.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::LOCAL;
use super::book::Book;
use crate::dialect::{Distribution, Exemplar};
use crate::heal::guards::{Guard, Verdict};
use crate::heal::incident::{Acknowledged, Incident, State};
use crate::heal::machine::Step;
use crate::heal::plan::Mode;
use crate::heal::playbook::Playbook;
use crate::journal::Kind;
use crate::model::hold::Owner;
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::severity::Severity;
use crate::model::trace::TraceContext;

/// Open incidents, and alerts, listed at most; all are counted.
const LISTED: usize = 100;

/// Upper bounds of the durations of stages, in seconds.
pub const STAGE_BOUNDS: [f64; 12] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1800.0,
];

/// How the node is, by precedence from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// An operator said so.
    Maintenance,
    /// A critical alert fires.
    Unhealthy,
    /// A warning fires, or an incident is open.
    Degraded,
    /// None of that.
    #[default]
    Healthy,
}

impl NodeState {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Healthy,
        Self::Degraded,
        Self::Unhealthy,
        Self::Maintenance,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Maintenance => "maintenance",
            Self::Unhealthy => "unhealthy",
            Self::Degraded => "degraded",
            Self::Healthy => "healthy",
        }
    }
}

/// An incident, for people.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Listed {
    /// Its name.
    #[schemars(with = "String")]
    pub id: IncidentId,
    /// Its playbook.
    pub playbook: String,
    /// What is healed.
    pub target: String,
    /// The worst severity its alerts had.
    pub severity: Severity,
    /// Its state.
    pub state: &'static str,
    /// When it was opened.
    #[serde(serialize_with = "Timestamp::rfc3339")]
    #[schemars(with = "String")]
    pub opened: Timestamp,
    /// When it last changed its state.
    #[serde(serialize_with = "Timestamp::rfc3339")]
    #[schemars(with = "String")]
    pub changed: Timestamp,
    /// Attempts so far.
    pub attempts: usize,
    /// What it waits for: the guards that refuse.
    pub refused_by: Vec<Verdict>,
    /// What a person is asked, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<Asked>,
    /// How often people were reminded of its escalation; none before that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reminders: Option<u32>,
    /// Who has taken up what was escalated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Acknowledged>,
}

impl Listed {
    /// An incident as it is.
    #[must_use]
    pub fn of(incident: &Incident) -> Self {
        let refused_by = match &incident.state {
            State::Waiting { verdicts, .. } => {
                verdicts.iter().filter(|v| !v.passes).cloned().collect()
            }
            _ => Vec::new(),
        };
        Self {
            id: incident.id.clone(),
            playbook: incident.playbook.clone(),
            target: incident.target.to_string(),
            severity: incident.severity,
            state: incident.state.as_str(),
            opened: incident.opened.wall,
            changed: incident.changed.wall,
            attempts: incident.attempts.len(),
            refused_by,
            question: incident.question.as_ref().map(|asked| Asked {
                id: incident.token(asked),
                action: asked.shown.clone(),
                hash: asked.action.clone(),
            }),
            reminders: incident.paging.as_ref().map(|paging| paging.reminders),
            acknowledged: incident
                .paging
                .as_ref()
                .and_then(|paging| paging.acknowledged.clone()),
        }
    }
}

fn rfc3339_each<S: Serializer>(
    times: &BTreeMap<String, Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(times.iter().map(|(name, at)| (name, at.to_string())))
}

/// A question to people.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Asked {
    /// Its name, for `approve` and `reject`.
    pub id: String,
    /// What would be done.
    pub action: serde_json::Value,
    /// Hash of that, as in the journal.
    pub hash: String,
}

/// An alert of this machine that fires.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Firing {
    /// Its `alertname`, or what its source has for one.
    pub name: String,
    /// The check that raised it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// When it was told here.
    #[serde(serialize_with = "Timestamp::rfc3339")]
    #[schemars(with = "String")]
    pub told: Timestamp,
    /// The incidents it belongs to; none if no playbook takes it.
    #[schemars(with = "Vec<String>")]
    pub incidents: Vec<IncidentId>,
}

/// What healing has done since the start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tally {
    /// Attempts begun, by playbook.
    pub attempts: BTreeMap<String, u64>,
    /// Incidents ended, by playbook and state.
    pub ended: BTreeMap<(String, &'static str), u64>,
    /// Escalations, by playbook and cause.
    pub escalated: BTreeMap<(String, &'static str), u64>,
    /// Relapses, by playbook.
    pub relapses: BTreeMap<String, u64>,
    /// Decisions that a guard refused, by guard.
    pub refusals: BTreeMap<String, u64>,
    /// Seconds spent in each stage, by playbook and state.
    pub stages: BTreeMap<(String, &'static str), Distribution<{ STAGE_BOUNDS.len() }>>,
}

impl Tally {
    /// Counts what a step has done; `told`: the span of the run, if it is told.
    pub(super) fn count(
        &mut self,
        before: &Incident,
        after: &Incident,
        step: &Step,
        told: Option<TraceContext>,
        now: &Moment,
    ) {
        let name = || after.playbook.clone();
        if after.attempts.len() > before.attempts.len() {
            *self.attempts.entry(name()).or_default() += 1;
        }
        if after.relapses > before.relapses {
            *self.relapses.entry(name()).or_default() += 1;
        }
        let (was, is) = (before.state.as_str(), after.state.as_str());
        if was != is {
            let stage = self.stages.entry((name(), was)).or_default();
            let value = now.since(&before.changed).as_secs_f64();
            match told {
                None => stage.add(&STAGE_BOUNDS, value),
                Some(span) => {
                    let at = now.wall;
                    stage.add_told(&STAGE_BOUNDS, Exemplar { value, at, span });
                }
            }
            if !after.state.is_open() {
                *self.ended.entry((name(), is)).or_default() += 1;
            }
            if let State::Escalated { cause, .. } = &after.state {
                let key = (name(), cause.as_str());
                *self.escalated.entry(key).or_default() += 1;
            }
        }
        let decided = step.records.iter().any(|r| r.kind == Kind::Decision);
        if let (true, State::Waiting { verdicts, .. }) = (decided, &after.state) {
            for verdict in verdicts.iter().filter(|v| !v.passes) {
                *self
                    .refusals
                    .entry(verdict.guard.as_str().into())
                    .or_default() += 1;
            }
        }
    }
}

/// A pool, as far as healing knows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Pool {
    /// What holds this node out of it.
    pub holds: Vec<HeldBy>,
    /// Gates at which somebody else has the node out.
    pub foreign: Vec<String>,
    /// Nothing holds the node any more, and not all of its gates have heard of that.
    pub returning: bool,
}

/// A hold, for people.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HeldBy {
    /// Whose it is.
    #[schemars(with = "String")]
    pub owner: Owner,
    /// Why.
    pub why: String,
    /// Since when.
    #[serde(serialize_with = "Timestamp::rfc3339")]
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Whether what it is for is well again, and on probation.
    pub easing: bool,
    /// Whether it is of an incident that is over: only a person lifts it.
    pub left: bool,
}

/// Everything that is shown of healing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct Summary {
    /// How the node is.
    pub node: NodeState,
    /// The kill switch: by whom and since when.
    pub paused: Option<String>,
    /// Maintenance: why, by whom and since when.
    pub maintenance: Option<String>,
    /// The windows of maintenance, each with when it opens next.
    #[serde(serialize_with = "rfc3339_each")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub windows: BTreeMap<String, Timestamp>,
    /// Whether any hold exists.
    pub isolated: bool,
    /// The pools that are configured, or that are held: what holds this node out of each.
    pub pools: BTreeMap<String, Pool>,
    /// More incidents came up than a storm has: what the guard said of one that waits for its end.
    pub storm: Option<String>,
    /// Open incidents by state, each state with its number.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub states: BTreeMap<&'static str, u64>,
    /// The oldest open incidents.
    pub open: Vec<Listed>,
    /// Alerts of this machine that fire, by severity.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub firing: BTreeMap<&'static str, u64>,
    /// The oldest of them.
    pub alerts: Vec<Firing>,
    /// The configured playbooks and how far each may go.
    pub playbooks: BTreeMap<String, Mode>,
    /// What was done since the start.
    #[serde(skip)]
    pub tally: Tally,
}

impl Book {
    /// What there is to see now.
    pub(super) fn summary(&self) -> Summary {
        let mut states: BTreeMap<&'static str, u64> =
            State::OPEN.iter().map(|state| (*state, 0)).collect();
        let mut open: Vec<&Incident> = self
            .held
            .values()
            .map(|h| &h.incident)
            .filter(|i| i.state.is_open())
            .collect();
        for incident in &open {
            *states.entry(incident.state.as_str()).or_default() += 1;
        }
        let is_open = !open.is_empty();
        // There may be thousands, each turn; only the oldest are listed.
        if open.len() > LISTED {
            open.select_nth_unstable_by(LISTED, |a, b| a.id.cmp(&b.id));
            open.truncate(LISTED);
        }
        open.sort_by(|a, b| a.id.cmp(&b.id));
        let firing = self.episodes.severities().iter();
        let firing: BTreeMap<&'static str, u64> = firing
            .map(|(severity, many)| (severity.as_str(), *many))
            .collect();
        let fires = |severity: Severity| firing.contains_key(severity.as_str());
        let maintenance = self.maintenance();
        let node = match (&maintenance, fires(Severity::Critical)) {
            (Some(_), _) => NodeState::Maintenance,
            (None, true) => NodeState::Unhealthy,
            // What is milder says that nothing is wrong: an alert that always fires is no state.
            (None, false) if fires(Severity::Warning) || is_open => NodeState::Degraded,
            _ => NodeState::Healthy,
        };
        let open: Vec<Listed> = open.into_iter().map(Listed::of).collect();
        // It holds back whatever waits, so the oldest too.
        let mut refusals = open.iter().flat_map(|incident| &incident.refused_by);
        let storm = refusals.find(|verdict| verdict.guard == Guard::Storm);
        let storm = storm.map(|verdict| verdict.value.clone());
        Summary {
            node,
            paused: self.switches.paused.clone(),
            maintenance,
            windows: self.windows.coming().clone(),
            isolated: self.holds.is_isolated(),
            pools: self.pools(),
            storm,
            states,
            open,
            firing,
            alerts: self.firing(),
            playbooks: self.rules.playbooks.iter().map(mode).collect(),
            tally: self.tally.clone(),
        }
    }
}

impl Book {
    fn pools(&self) -> BTreeMap<String, Pool> {
        let known = self.rules.pools.iter().cloned();
        let mut pools: BTreeMap<String, Pool> = known.map(|name| (name, Pool::default())).collect();
        let over = |owner: &Owner| match owner {
            Owner::Incident(id) => {
                let incident = self.held.get(id).map(|held| &held.incident);
                incident.is_none_or(|incident| !incident.state.is_open())
            }
            _ => false,
        };
        for (name, held) in self.holds.iter() {
            let holds = held.holds.iter().map(|(owner, hold)| HeldBy {
                owner: owner.clone(),
                why: hold.why.clone(),
                since: hold.since,
                easing: hold.easing,
                left: over(owner),
            });
            let pool = Pool {
                holds: holds.collect(),
                foreign: held.foreign.iter().cloned().collect(),
                returning: !held.is_held(),
            };
            pools.insert(name.to_owned(), pool);
        }
        pools
    }

    /// The alerts that have fired longest.
    fn firing(&self) -> Vec<Firing> {
        let fires = self.episodes.firing();
        fires
            .take(LISTED)
            .map(|(episode, seen)| Firing {
                name: seen.name.clone(),
                check: episode
                    .is_of(LOCAL)
                    .then(|| episode.fingerprint().to_owned()),
                severity: seen.severity,
                told: seen.at,
                incidents: seen.incidents.clone(),
            })
            .collect()
    }
}

fn mode((name, playbook): (&String, &Playbook)) -> (String, Mode) {
    (name.clone(), playbook.mode)
}
