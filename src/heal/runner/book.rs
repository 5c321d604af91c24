//! All incidents, and what a turn changes of them until it is on record.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::Rules;
use super::summary::Tally;
use crate::heal::history::{History, Mark};
use crate::heal::incident::{Incident, State};
use crate::heal::job::Job;
use crate::heal::machine::{self, Effect, Event, Record, Step};
use crate::heal::plan::{Mode, Plan};
use crate::heal::playbook::Playbook;
use crate::journal::{Commit, Entry, EpisodeRow, IncidentRow, Kind};
use crate::model::alert::{Episode, Status};
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::notice::What;
use crate::model::severity::Severity;
use crate::model::target::Target;
use crate::model::trace::TraceContext;

/// The longest sleep: nothing is due, or so late that it may be looked at again before.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a closed incident is kept in memory beside its playbook's quiet time.
const KEPT: Duration = Duration::from_secs(600);

/// A playbook as it is now.
#[derive(Debug, Clone)]
pub(super) struct Current {
    pub(super) playbook: Arc<Playbook>,
    pub(super) plan: Arc<Plan>,
    pub(super) revision: String,
    /// Shared, like the rest: there may be thousands of incidents, and it lists every name that it takes.
    pub(super) text: Arc<str>,
}

impl Current {
    pub(super) fn new(playbook: Playbook) -> Self {
        let (revision, text) = playbook.revision();
        Self {
            plan: Arc::new(playbook.plan()),
            playbook: Arc::new(playbook),
            revision,
            text: text.into(),
        }
    }
}

/// An incident and what it goes by.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) incident: Incident,
    pub(super) current: Current,
    /// When its oldest alert began, as its source says.
    pub(super) since: Option<Timestamp>,
    /// What became of its open attempt while nodeward was away is not known yet.
    pub(super) resuming: bool,
}

impl Held {
    /// Whether it is for guards that the incident waits.
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.incident.state, State::Waiting { .. })
    }
}

/// An episode that was told.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) severity: Severity,
    pub(super) name: String,
    pub(super) incidents: Vec<IncidentId>,
    pub(super) at: Timestamp,
    /// Its end was found by asking, not told: if it is told to fire after all, it does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) inferred: bool,
}

/// What a turn has changed, to take it back.
#[derive(Debug, Default)]
struct Undo {
    held: HashMap<IncidentId, Option<Held>>,
    latest: Vec<((String, Target), Option<IncidentId>)>,
    episodes: HashMap<Episode, Option<Seen>>,
    deliveries: usize,
    switches: Option<Switches>,
    tally: Option<Tally>,
}

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
    pub(super) rules: Rules,
    pub(super) current: BTreeMap<String, Current>,
    pub(super) held: HashMap<IncidentId, Held>,
    pub(super) latest: HashMap<(String, Target), IncidentId>,
    pub(super) episodes: HashMap<Episode, Seen>,
    pub(super) order: VecDeque<Episode>,
    pub(super) known: HashSet<[u8; 32]>,
    pub(super) deliveries: VecDeque<[u8; 32]>,
    pub(super) history: History,
    pub(super) switches: Switches,
    pub(super) tally: Tally,
    pub(super) commit: Commit,
    pub(super) names: Names,
    /// The request that what is being taken came with.
    pub(super) parent: Option<TraceContext>,
    effects: Vec<(IncidentId, Effect)>,
    undo: Undo,
    /// The last one that was stepped when not all could be.
    last: Option<IncidentId>,
}

impl Book {
    pub(super) fn new(rules: Rules) -> Self {
        let current = rules.playbooks.iter();
        let current = current.map(|(name, p)| (name.clone(), Current::new(p.clone())));
        Self {
            current: current.collect(),
            rules,
            held: HashMap::new(),
            latest: HashMap::new(),
            episodes: HashMap::new(),
            order: VecDeque::new(),
            known: HashSet::new(),
            deliveries: VecDeque::new(),
            history: History::default(),
            switches: Switches::default(),
            tally: Tally::default(),
            commit: Commit::default(),
            names: Names::default(),
            parent: None,
            effects: Vec::new(),
            undo: Undo::default(),
            last: None,
        }
    }

    /// What a turn wants to put on record, and what it wants to do after that.
    pub(super) fn take(&mut self) -> (Commit, Vec<(IncidentId, Effect)>) {
        let changed: Vec<IncidentId> = self.undo.held.keys().cloned().collect();
        for id in changed {
            let Some(held) = self.held.get(&id) else {
                continue;
            };
            let row = IncidentRow {
                id: id.clone(),
                open: held.incident.state.is_open(),
                revision: Some(held.incident.revision.clone()),
                body: serde_json::to_string(&held.incident).unwrap_or_default(),
            };
            self.commit.incidents.push(row);
            let Current { revision, text, .. } = &held.current;
            let mut playbooks = self.commit.playbooks.iter();
            if !playbooks.any(|(known, _)| known == revision) {
                let playbook = (revision.clone(), text.to_string());
                self.commit.playbooks.push(playbook);
            }
        }
        (
            std::mem::take(&mut self.commit),
            std::mem::take(&mut self.effects),
        )
    }

    /// The turn is on record.
    pub(super) fn keep(&mut self) {
        self.undo = Undo::default();
    }

    /// The turn could not be put on record: it never was.
    pub(super) fn undo(&mut self) {
        let undo = std::mem::take(&mut self.undo);
        for (id, before) in undo.held {
            match before {
                Some(before) => drop(self.held.insert(id, before)),
                None => drop(self.held.remove(&id)),
            }
        }
        for (key, before) in undo.latest.into_iter().rev() {
            match before {
                Some(before) => drop(self.latest.insert(key, before)),
                None => drop(self.latest.remove(&key)),
            }
        }
        for (episode, before) in undo.episodes {
            match before {
                Some(before) => drop(self.episodes.insert(episode, before)),
                None => drop(self.episodes.remove(&episode)),
            }
        }
        for _ in 0..undo.deliveries {
            if let Some(key) = self.deliveries.pop_back() {
                self.known.remove(&key);
            }
        }
        if let Some(switches) = undo.switches {
            self.switches = switches;
        }
        if let Some(tally) = undo.tally {
            self.tally = tally;
        }
        self.history = History::of(self.held.values().map(|h| &h.incident));
    }

    /// Remembers how an incident was before this turn.
    fn touch(&mut self, id: &IncidentId) {
        if !self.undo.held.contains_key(id) {
            let before = self.held.get(id).cloned();
            self.undo.held.insert(id.clone(), before);
        }
    }

    pub(super) fn set_latest(&mut self, key: (String, Target), id: IncidentId) {
        let before = self.latest.insert(key.clone(), id);
        self.undo.latest.push((key, before));
    }

    fn set_episode(&mut self, episode: &Episode, seen: Seen) {
        let before = self.episodes.insert(episode.clone(), seen);
        if before.is_none() {
            self.order.push_back(episode.clone());
        }
        self.undo.episodes.entry(episode.clone()).or_insert(before);
    }

    pub(super) fn note_delivery(&mut self, key: [u8; 32]) {
        self.known.insert(key);
        self.deliveries.push_back(key);
        self.undo.deliveries += 1;
        self.commit.deliveries.push(key);
    }

    pub(super) fn set_switches(&mut self, switches: Switches) {
        let before = std::mem::replace(&mut self.switches, switches);
        self.undo.switches.get_or_insert(before);
    }

    /// Adds a new incident and takes its first step.
    pub(super) fn open(&mut self, held: Held, now: &Moment) {
        let id = held.incident.id.clone();
        let key = (held.incident.playbook.clone(), held.incident.target.clone());
        self.touch(&id);
        self.set_latest(key, id.clone());
        self.history.opened(&held.incident);
        self.held.insert(id.clone(), held);
        self.move_on(&id, None, now);
    }

    /// Moves an incident on by one event.
    pub(super) fn step(&mut self, id: &IncidentId, event: Event, now: &Moment) {
        self.move_on(id, Some(event), now);
    }

    fn move_on(&mut self, id: &IncidentId, event: Option<Event>, now: &Moment) {
        if !self.held.contains_key(id) {
            return;
        }
        self.touch(id);
        self.adopt(id);
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        if matches!(event, Some(Event::Restarted(_))) {
            held.resuming = false;
        }
        let plan = Arc::clone(&held.current.plan);
        let mut standing = self.history.standing(
            &held.incident.target,
            &held.incident.playbook,
            held.since,
            now,
        );
        standing.paused.clone_from(&self.switches.paused);
        standing.maintenance.clone_from(&self.switches.maintenance);
        let mark = Mark::of(&held.incident);
        let before = held.incident.clone();
        let begins = event.is_none();
        let mut step = match event {
            Some(event) => machine::step(&mut held.incident, &plan, &standing, event, now),
            None => machine::open(&mut held.incident, &plan, &standing, now),
        };
        if begins || held.incident.run.number != before.run.number {
            held.incident.run.parent = self.parent;
            note_start(&mut step, &held.incident);
        }
        let after = held.incident.clone();
        if step == Step::default() && before == after {
            // Nothing happened, so there is nothing to put on record.
            if let Some(Some(same)) = self.undo.held.get(id)
                && same.incident == after
            {
                self.undo.held.remove(id);
            }
            return;
        }
        self.history.stepped(&after, mark);
        if before.state.holds_target() && !after.state.holds_target() {
            self.wake_waiting(&after.target, id, now);
        }
        self.undo.tally.get_or_insert_with(|| self.tally.clone());
        let told = self.rules.traced.then(|| before.trace());
        self.tally.count(&before, &after, &step, told, now);
        self.note(&after, step, now);
    }

    /// Moves each incident on by `event` that `fits` before any of them is moved.
    pub(super) fn step_each(&mut self, fits: impl Fn(&Held) -> bool, event: &Event, now: &Moment) {
        for id in self.next_of(usize::MAX, fits) {
            self.step(&id, event.clone(), now);
        }
    }

    /// At most so many of those that fit. Whoever waits longer comes first, and the same alerts lead to the same every time; where there
    /// are more, it is the turn of those behind the last one.
    fn next_of(&mut self, most: usize, fits: impl Fn(&Held) -> bool) -> Vec<IncidentId> {
        let held = self.held.values().filter(|held| fits(held));
        let mut ids: Vec<&IncidentId> = held.map(|held| &held.incident.id).collect();
        ids.sort_unstable();
        if ids.len() > most {
            let behind = ids.partition_point(|id| self.last.as_ref() >= Some(*id));
            ids.rotate_left(behind);
            ids.truncate(most);
            self.last = ids.last().map(|id| (*id).clone());
        }
        ids.into_iter().cloned().collect()
    }

    /// Has those who wait for a target look again, now that it is free.
    fn wake_waiting(&mut self, target: &Target, but: &IncidentId, now: &Moment) {
        let waits =
            |h: &Held| h.is_waiting() && h.incident.target == *target && h.incident.id != *but;
        self.step_each(waits, &Event::Changed, now);
    }

    /// Puts the records of a step into the commit, and its effects beside it.
    fn note(&mut self, incident: &Incident, step: Step, now: &Moment) {
        for record in step.records {
            self.commit.entries.push(entry(incident, record));
        }
        for effect in step.effects {
            let told = match &effect {
                Effect::Escalate(cause) => Some((What::Escalated, Some(cause))),
                Effect::AskApproval => Some((What::ApprovalWanted, None)),
                Effect::TellRecovered => Some((What::Recovered, None)),
                Effect::Look(_) | Effect::Act | Effect::Probe(_) => None,
            };
            if let Some((what, cause)) = told {
                self.tell(incident, what, cause, now);
            }
            self.effects.push((incident.id.clone(), effect));
        }
    }

    /// Lets an incident go by the playbook as it is now, unless an attempt is under way.
    fn adopt(&mut self, id: &IncidentId) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        let state = &held.incident.state;
        if state.holds_target() || matches!(state, State::Probation { .. }) || held.resuming {
            return;
        }
        match self.current.get(&held.incident.playbook) {
            Some(now) if now.revision != held.incident.revision => {
                held.incident.revision.clone_from(&now.revision);
                held.current = now.clone();
            }
            Some(_) => {}
            // Its playbook is gone: nothing may be done any more.
            None if held.current.plan.mode != Mode::Off => {
                let plan = Plan {
                    mode: Mode::Off,
                    ..(*held.current.plan).clone()
                };
                held.current.plan = Arc::new(plan);
            }
            None => {}
        }
    }

    /// Steps incidents whose time has come; if they are many, the rest are due in the next turn.
    pub(super) fn timers(&mut self, now: &Moment) {
        self.timers_of(|_| true, now);
    }

    /// The same of those that `minds` is true for; the others sleep on.
    pub(super) fn timers_of(&mut self, minds: impl Fn(&Incident) -> bool, now: &Moment) {
        let due = |held: &Held| {
            let left = held.incident.wake(now);
            !held.resuming && minds(&held.incident) && left.is_some_and(|left| left.is_zero())
        };
        for id in self.next_of(super::BATCH, due) {
            self.step(&id, Event::Timer, now);
        }
        if self.switches.until.is_some_and(|until| until <= now.wall) {
            self.end_of_maintenance(now);
        }
    }

    /// How long nothing is due.
    pub(super) fn wake(&self, now: &Moment) -> Duration {
        let next = self.next_due(|_| true, now).unwrap_or(LONGEST);
        next.min(LONGEST)
    }

    /// How long it is until something is due for those that `minds` is true for, or for the switches; none if nothing ever is.
    pub(super) fn next_due(
        &self,
        minds: impl Fn(&Incident) -> bool,
        now: &Moment,
    ) -> Option<Duration> {
        let waits = self.held.values();
        let waits = waits.filter(|h| !h.resuming && minds(&h.incident));
        let switch = self.switches.until.map(|until| until.since(now.wall));
        let next = waits.filter_map(|h| h.incident.wake(now));
        next.chain(switch).min()
    }

    /// An incident for the world to look at.
    pub(super) fn job(&self, id: &IncidentId) -> Option<Job> {
        let held = self.held.get(id)?;
        Some(Job {
            incident: held.incident.clone(),
            playbook: Arc::clone(&held.current.playbook),
        })
    }

    /// Takes other playbooks; what is open goes on by its own until it may change.
    pub(super) fn change_rules(&mut self, rules: Rules, now: &Moment) {
        if rules.config != self.rules.config {
            let data = json!({"config": rules.config, "playbooks": rules.playbooks.keys().collect::<Vec<_>>()});
            self.commit
                .entries
                .push(Entry::new(Kind::Config).data(data));
            // What no playbook took may be taken now, even by an exact repeat.
            self.known.clear();
            self.deliveries.clear();
        }
        let current = rules.playbooks.iter();
        self.current = current
            .map(|(name, p)| (name.clone(), Current::new(p.clone())))
            .collect();
        self.rules = rules;
        self.step_each(Held::is_waiting, &Event::Changed, now);
    }

    /// Puts it on record that healing begins. What checks found before is forgotten: they will say so again.
    pub(super) fn begin(&mut self, now: &Moment) {
        let data = json!({
            "did": "start",
            "version": env!("CARGO_PKG_VERSION"),
            "config": self.rules.config,
            "open": self.held.values().filter(|h| h.incident.state.is_open()).count(),
        });
        self.commit
            .entries
            .push(Entry::new(Kind::Config).data(data));
        let stale = |(episode, seen): &(&Episode, &Seen)| {
            seen.status == Status::Firing && episode.is_of(super::LOCAL)
        };
        let stale = self.episodes.iter().filter(stale);
        let mut stale: Vec<_> = stale.map(|(e, s)| (e.clone(), s.clone())).collect();
        stale.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        for (episode, seen) in stale {
            self.resolve(&episode, seen, now);
        }
    }

    /// Takes an episode for over.
    pub(super) fn resolve(&mut self, episode: &Episode, seen: Seen, now: &Moment) {
        for id in &seen.incidents {
            let told = Event::Told(episode.clone(), Status::Resolved);
            self.step(id, told, now);
        }
        let seen = Seen {
            status: Status::Resolved,
            ..seen
        };
        self.put_episode(episode, seen, now);
    }

    /// Puts an episode as it is now on record.
    pub(super) fn put_episode(&mut self, episode: &Episode, seen: Seen, now: &Moment) {
        self.commit.episodes.push(EpisodeRow {
            episode: episode.as_str().to_owned(),
            resolved: seen.status == Status::Resolved,
            body: serde_json::to_string(&seen).unwrap_or_default(),
            seen: now.wall,
        });
        self.set_episode(episode, seen);
    }

    /// Those whose open attempt must be looked after first.
    pub(super) fn resuming(&self) -> Vec<IncidentId> {
        let resuming = self.held.values().filter(|h| h.resuming);
        resuming.map(|h| h.incident.id.clone()).collect()
    }

    /// Forgets what is long over.
    pub(super) fn forget(&mut self, now: &Moment) {
        self.history.forget(now);
        let over = |h: &Held| {
            let kept = h.current.plan.limits.quiet.max(KEPT);
            !h.incident.state.is_open() && now.since(&h.incident.changed) > kept
        };
        self.held.retain(|_, held| !over(held));
        let held = &self.held;
        self.latest.retain(|_, id| held.contains_key(id));
        self.bound();
    }
}

/// Puts what began a run on record with its first change of state.
fn note_start(step: &mut Step, incident: &Incident) {
    let mut records = step.records.iter_mut();
    let Some(record) = records.find(|r| r.change.is_some()) else {
        return;
    };
    let mut data = match record.data.take() {
        serde_json::Value::Object(data) => data,
        _ => serde_json::Map::new(),
    };
    let alert = incident.labels.get("alertname");
    data.extend(alert.map(|alert| ("alert".to_owned(), json!(alert))));
    let parent = incident.run.parent;
    data.extend(parent.map(|parent| ("parent".to_owned(), json!(parent))));
    if !data.is_empty() {
        record.data = data.into();
    }
}

/// A record of a step as an entry of the journal.
pub(super) fn entry(incident: &Incident, record: Record) -> Entry {
    let mut entry = Entry::new(record.kind)
        .incident(&incident.id)
        .playbook(&incident.playbook)
        .target(&incident.target)
        .trace(incident.trace())
        .data(record.data);
    if let Some(attempt) = incident.attempt() {
        entry = entry.attempt(&attempt);
    }
    if let Some((from, to)) = record.change {
        entry = entry.from(from).to(to);
    }
    entry
}
