//! Incidents on their way: each event is a step of the machine, with its records and its effects.

use std::sync::Arc;

use serde_json::json;

use super::book::{Book, Held};
use super::said::Said;
use crate::heal::history::Mark;
use crate::heal::incident::Incident;
use crate::heal::machine::{self, Effect, Event, Record, Step};
use crate::journal::{Entry, Evidence};
use crate::model::alert::Status;
use crate::model::id::IncidentId;
use crate::model::moment::Moment;
use crate::model::notice::What;
use crate::model::target::Target;

impl Book {
    /// Adds a new incident and takes its first step.
    pub(super) fn open(&mut self, held: Held, now: &Moment) {
        let id = held.incident.id.clone();
        let key = (held.incident.playbook.clone(), held.incident.target.clone());
        self.latest.set(key, id.clone());
        self.history.opened(&held.incident);
        self.held.set(id.clone(), held);
        self.move_on(&id, None, now);
    }

    /// Moves an incident on by one event.
    pub(super) fn step(&mut self, id: &IncidentId, event: Event, now: &Moment) {
        self.move_on(id, Some(event), now);
    }

    fn move_on(&mut self, id: &IncidentId, event: Option<Event>, now: &Moment) {
        let event = match (self.adopt(id), event) {
            // It was seen for the playbook before, which may ask other things and do others.
            (true, Some(Event::Looked(..) | Event::Probed(..))) => Some(Event::Changed),
            (_, event) => event,
        };
        let maintenance = self.maintenance();
        let Some(held) = self.held.change(id) else {
            return;
        };
        if matches!(event, Some(Event::Restarted(_))) {
            held.resuming = false;
        }
        let plan = Arc::clone(&held.current.plan);
        let told = match &event {
            Some(Event::Told(episode, Status::Firing)) => Some(episode),
            _ => None,
        };
        let mut standing = self.history.standing(
            &held.incident.target,
            &held.incident.playbook,
            self.episodes.since(&held.incident, told),
            now,
        );
        let since = told.and_then(|told| self.episodes.get(told)?.since);
        standing.told = since.map(|since| now.wall.since(since));
        standing.gathers = self.rules.evidence;
        standing.paused.clone_from(&self.switches.paused);
        standing.maintenance.clone_from(&maintenance);
        let held_target = held.holds_target();
        let over =
            matches!(&event, Some(Event::Done(attempt, ..)) if held.running == Some(*attempt));
        if over {
            held.running = None;
        }
        let mark = Mark::of(&held.incident);
        let before = held.incident.clone();
        if let Some(severity) = self.episodes.severity(&before, told) {
            held.incident.severity = severity;
        }
        let begins = event.is_none();
        let mut step = match event {
            Some(event) => machine::step(&mut held.incident, &plan, &standing, event, now),
            None => machine::open(&mut held.incident, &plan, &standing, now),
        };
        if begins || held.incident.run.number != before.run.number {
            held.incident.run.parent = self.parent;
            note_start(&mut step, &held.incident);
        }
        if step.effects.contains(&Effect::Act) {
            held.running = u32::try_from(held.incident.attempts.len()).ok();
        }
        let holds_target = held.holds_target();
        let after = held.incident.clone();
        if step == Step::default() && before == after && !over {
            return;
        }
        self.history.stepped(&after, mark);
        if holds_target {
            self.history.hold(&after);
        }
        if held_target && !holds_target {
            self.wake_waiting(&after.target, id, now);
        }
        let told = self.rules.traced.then(|| before.trace());
        self.tally.change().count(&before, &after, &step, told, now);
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
    pub(super) fn next_of(&mut self, most: usize, fits: impl Fn(&Held) -> bool) -> Vec<IncidentId> {
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
        let recovered = step.notices.contains(&What::Recovered);
        for record in step.records {
            let said = Said::record(incident, &record);
            // Else it is said twice that it is well.
            self.said
                .extend(said.filter(|said| !(recovered && said.heals())));
            self.commit.entries.push(entry(incident, record));
        }
        let packets = step.evidence.into_iter();
        self.commit
            .evidence
            .extend(packets.map(|(number, text)| Evidence {
                incident: incident.id.clone(),
                number,
                text,
            }));
        self.follow(incident, step.holds, now);
        for what in step.notices {
            self.tell(incident, what, now);
        }
        for effect in step.effects {
            self.effects.push((incident.id.clone(), effect));
        }
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
