//! What was told: episodes of alerts, and keys of deliveries.

use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::book::Book;
use crate::heal::incident::Incident;
use crate::heal::machine::Event;
use crate::heal::turn::{Map, Queue, Turn};
use crate::journal::EpisodeRow;
use crate::model::alert::{Episode, Status};
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::severity::Severity;

/// Keys of deliveries kept in memory.
const KEYS: usize = 10_000;
/// Episodes kept in memory; those that fire are kept beyond it.
const EPISODES: usize = 20_000;

/// An episode that was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) status: Status,
    pub(super) severity: Severity,
    pub(super) name: String,
    pub(super) incidents: Vec<IncidentId>,
    pub(super) at: Timestamp,
    /// Its end was found by asking, not told: if it is told to fire after all, it does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) inferred: bool,
    /// When it began, as its source says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<Timestamp>,
    /// Its place in the order in which episodes were told first.
    #[serde(skip)]
    pub(super) place: u64,
}

/// Episodes, and the order in which they were told first.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    seen: Map<Episode, Seen>,
    order: Queue<Episode>,
    /// Those that fire, by their place, and how many of each severity: looked at after each turn, and there may be tens of thousands of others.
    firing: BTreeMap<u64, Episode>,
    severities: BTreeMap<Severity, u64>,
    /// How many places were given.
    places: u64,
}

impl Episodes {
    pub(super) fn set(&mut self, episode: &Episode, mut seen: Seen) {
        seen.place = match self.seen.get(episode) {
            Some(before) => before.place,
            None => {
                self.places += 1;
                self.places
            }
        };
        self.leave(episode);
        self.enter(episode, &seen);
        if self.seen.set(episode.clone(), seen) {
            self.order.push(episode.clone());
        }
    }

    /// Counts an episode in, if it fires.
    fn enter(&mut self, episode: &Episode, seen: &Seen) {
        if seen.status == Status::Firing {
            self.firing.insert(seen.place, episode.clone());
            *self.severities.entry(seen.severity).or_default() += 1;
        }
    }

    /// Counts an episode out, if it was counted in.
    fn leave(&mut self, episode: &Episode) {
        let Some(seen) = self.seen.get(episode) else {
            return;
        };
        if self.firing.remove(&seen.place).is_some()
            && let Some(count) = self.severities.get_mut(&seen.severity)
        {
            *count -= 1;
            if *count == 0 {
                self.severities.remove(&seen.severity);
            }
        }
    }

    /// What was seen of those that fire, the first first.
    pub(super) fn firing(&self) -> impl Iterator<Item = (&Episode, &Seen)> {
        let firing = self.firing.values();
        firing.filter_map(|episode| Some((episode, self.seen.get(episode)?)))
    }

    /// How many fire of each severity; those of which none does are left out.
    pub(super) const fn severities(&self) -> &BTreeMap<Severity, u64> {
        &self.severities
    }

    /// What fires of an incident, `also` if it is told in this step.
    fn of<'a>(
        &'a self,
        incident: &'a Incident,
        also: Option<&'a Episode>,
    ) -> impl Iterator<Item = &'a Seen> {
        let firing = incident.episodes.iter();
        let firing = firing.filter(|(_, status)| **status == Status::Firing);
        let firing = firing.map(|(episode, _)| episode).chain(also);
        firing.filter_map(|episode| self.seen.get(episode))
    }

    /// When the oldest alert of an incident that fires began.
    pub(super) fn since(&self, incident: &Incident, also: Option<&Episode>) -> Option<Timestamp> {
        self.of(incident, also).filter_map(|seen| seen.since).min()
    }

    /// How bad the worst alert of an incident that fires is; none if none fires.
    pub(super) fn severity(&self, incident: &Incident, also: Option<&Episode>) -> Option<Severity> {
        self.of(incident, also).map(|seen| seen.severity).max()
    }

    /// Holds the memory within its bounds: the oldest goes first, but what fires stays longest.
    pub(super) fn bound(&mut self) {
        let over = self.order.len().saturating_sub(EPISODES);
        if over == 0 {
            return;
        }
        let order = self.order.prune();
        let mut firing = Vec::new();
        let mut gone = std::collections::HashSet::new();
        for _ in 0..over {
            let Some(episode) = order.pop_front() else {
                break;
            };
            match self.seen.get(&episode).map(|s| s.status) {
                Some(Status::Firing) if firing.len() < EPISODES / 2 => firing.push(episode),
                _ => drop(gone.insert(episode)),
            }
        }
        for episode in firing.into_iter().rev() {
            order.push_front(episode);
        }
        for episode in &gone {
            self.leave(episode);
        }
        self.seen.prune(|episode, _| !gone.contains(episode));
    }
}

impl Deref for Episodes {
    type Target = HashMap<Episode, Seen>;

    fn deref(&self) -> &Self::Target {
        &self.seen
    }
}

impl Turn for Episodes {
    fn keep(&mut self) {
        self.seen.keep();
        self.order.keep();
    }

    fn undo(&mut self) {
        self.seen.undo();
        self.order.undo();
        // Seldom enough to count anew.
        self.firing.clear();
        self.severities.clear();
        let Self {
            seen,
            firing,
            severities,
            ..
        } = self;
        let fires = seen
            .iter()
            .filter(|(_, seen)| seen.status == Status::Firing);
        for (episode, seen) in fires {
            firing.insert(seen.place, episode.clone());
            *severities.entry(seen.severity).or_default() += 1;
        }
    }
}

/// Keys of the latest deliveries.
#[derive(Debug, Default)]
pub(super) struct Deliveries {
    known: Map<[u8; 32], ()>,
    order: Queue<[u8; 32]>,
}

impl Deliveries {
    /// Whether a key was noted before.
    pub(super) fn know(&self, key: &[u8; 32]) -> bool {
        self.known.contains_key(key)
    }

    /// Notes a key; whether it is a new one.
    pub(super) fn note(&mut self, key: [u8; 32]) -> bool {
        let new = self.known.set(key, ());
        if new {
            self.order.push(key);
        }
        new
    }

    /// Holds the memory within its bounds: the oldest goes first.
    pub(super) fn bound(&mut self) {
        let over = self.order.len().saturating_sub(KEYS);
        for key in self.order.prune().drain(..over) {
            self.known.forget(&key);
        }
    }
}

impl Turn for Deliveries {
    fn keep(&mut self) {
        let Self { known, order } = self;
        known.keep();
        order.keep();
    }

    fn undo(&mut self) {
        let Self { known, order } = self;
        known.undo();
        order.undo();
    }
}

impl Book {
    /// The key of a delivery under this config: what no playbook took may be taken under another one, even in an exact repeat.
    pub(super) fn key(&self, delivery: &[u8; 32]) -> [u8; 32] {
        let key = Sha256::new_with_prefix(delivery);
        key.chain_update(&self.rules.config).finalize().into()
    }

    /// Notes a delivery by its key under this config.
    pub(super) fn note_delivery(&mut self, key: [u8; 32]) {
        if self.deliveries.note(key) {
            self.commit.deliveries.push(key);
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
        self.episodes.set(episode, seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: Status, severity: Severity) -> Seen {
        Seen {
            status,
            severity,
            name: String::new(),
            incidents: Vec::new(),
            at: Timestamp(0),
            inferred: false,
            since: None,
            place: 0,
        }
    }

    /// What is counted is what is there.
    fn counted(episodes: &Episodes) {
        let mut severities = BTreeMap::<Severity, u64>::new();
        let fires = |seen: &&Seen| seen.status == Status::Firing;
        for one in episodes.values().filter(fires) {
            *severities.entry(one.severity).or_default() += 1;
        }
        assert_eq!(*episodes.severities(), severities);
        let in_order = episodes.order.iter().filter_map(|e| episodes.get(e));
        let in_order: Vec<u64> = in_order.filter(fires).map(|s| s.place).collect();
        let firing: Vec<u64> = episodes.firing().map(|(_, s)| s.place).collect();
        assert_eq!(firing, in_order);
    }

    #[test]
    fn those_that_fire_are_counted_as_they_change_and_after_a_turn_that_never_was() {
        let mut episodes = Episodes::default();
        let episode = |number: u64| Episode::new("am", "f", &number.to_string());
        let all = [Severity::Info, Severity::Warning, Severity::Critical];
        for turn in 0..40_u64 {
            for number in 0..turn {
                let status = match (number * 7 + turn) % 3 {
                    0 => Status::Resolved,
                    _ => Status::Firing,
                };
                let severity = all[usize::try_from((number + turn) % 3).unwrap()];
                episodes.set(&episode(number), seen(status, severity));
            }
            counted(&episodes);
            match turn % 4 {
                3 => episodes.undo(),
                _ => episodes.keep(),
            }
            counted(&episodes);
        }
        for number in 0..EPISODES as u64 + 500 {
            let status = if number % 2 == 0 {
                Status::Firing
            } else {
                Status::Resolved
            };
            episodes.set(&episode(number), seen(status, Severity::Warning));
        }
        episodes.keep();
        episodes.bound();
        counted(&episodes);
        // Those that fire are kept beyond it.
        assert_eq!(episodes.len(), EPISODES + 250);
    }
}
