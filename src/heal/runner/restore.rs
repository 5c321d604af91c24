//! The book as the journal has it, and how it begins.

use std::collections::BTreeMap;

use serde_json::json;

use super::Rules;
use super::book::{Book, HOLDS, Held, Switches};
use super::current::Current;
use super::episodes::Seen;
use super::operate::{MAINTENANCE, MAINTENANCE_UNTIL, PAUSED};
use super::windows::{WINDOWS, Windows};
use crate::heal::history::History;
use crate::heal::incident::Incident;
use crate::heal::playbook::Playbook;
use crate::journal::{Entry, Head, IncidentRow, Kind, Restored};
use crate::model::alert::Episode;
use crate::model::hold::Holds;
use crate::model::moment::{Moment, Timestamp};

impl Book {
    /// What stood when the process before ended. A row that cannot be read costs itself only, and is said.
    pub(super) fn restore(rules: Rules, restored: Restored) -> Self {
        let mut book = Self::new(rules);
        book.before = match restored.settings.contains_key(RUNNING) {
            true => Before::Died,
            false if restored.head == Head::START => Before::Nothing,
            false => Before::Stopped,
        };
        let Restored {
            incidents,
            closed,
            episodes,
            deliveries,
            playbooks,
            settings,
            ..
        } = restored;
        let mut counted = Vec::new();
        for row in closed.iter().rev().chain(&incidents) {
            let Some(incident) = read(row) else {
                continue;
            };
            // Whatever became of its playbook: guards count what was done to a target.
            counted.push(incident.clone());
            let Some(current) = current(&incident, &playbooks, &book) else {
                continue;
            };
            let key = (incident.playbook.clone(), incident.target.clone());
            // Ids grow with time; one that is over may still hold a pool, and come after a later one.
            if book
                .latest
                .get(&key)
                .is_none_or(|known| *known < incident.id)
            {
                book.latest.set(key, incident.id.clone());
            }
            let held = Held {
                resuming: incident.state.is_open(),
                running: None,
                incident,
                current,
            };
            book.held.set(held.incident.id.clone(), held);
        }
        for row in episodes.into_iter().rev() {
            match serde_json::from_str::<Seen>(&row.body) {
                Ok(seen) => {
                    let episode: Episode = Episode::stored(&row.episode);
                    book.episodes.set(&episode, seen);
                }
                Err(error) => {
                    tracing::warn!(episode = row.episode, %error, "an episode of the journal cannot be read");
                }
            }
        }
        for key in deliveries.into_iter().rev() {
            book.deliveries.note(key);
        }
        *book.switches.change() = Switches {
            paused: settings.get(PAUSED).cloned(),
            maintenance: settings.get(MAINTENANCE).cloned(),
            until: settings
                .get(MAINTENANCE_UNTIL)
                .and_then(|text| Timestamp::parse(text)),
        };
        *book.windows.change() = Windows::restore(settings.get(WINDOWS));
        *book.holds.change() = holds(&settings);
        book.history = History::of(&counted);
        book.keep();
        book
    }

    /// Puts it on record that healing begins.
    pub(super) fn begin(&mut self, now: &Moment) {
        let data = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "before": self.before.as_str(),
            "config": self.rules.config,
            "open": self.held.values().filter(|h| h.incident.state.is_open()).count(),
        });
        self.commit.entries.push(Entry::new(Kind::Start).data(data));
        self.commit
            .settings
            .push((RUNNING.to_owned(), Some("true".to_owned())));
        self.turn_windows(now);
        self.raise(now);
    }
}

/// The name under which the journal keeps that a process goes by it.
pub const RUNNING: &str = "running";

/// What became of the process before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// There was none.
    Nothing,
    /// It ended in order.
    Stopped,
    /// Anything else: it was killed, or the machine was.
    Died,
}

impl Before {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Stopped => "stopped",
            Self::Died => "died",
        }
    }
}

/// The record that a process ends in order.
#[must_use]
pub fn stopped(why: &str) -> Entry {
    Entry::new(Kind::Stop).data(json!({"why": why}))
}

/// What stood of the holds. What cannot be read is said, and nothing is lifted of it that others could not lift.
fn holds(settings: &BTreeMap<String, String>) -> Holds {
    let kept = settings.get(HOLDS).map(|text| serde_json::from_str(text));
    match kept {
        Some(Ok(holds)) => holds,
        Some(Err(error)) => {
            tracing::error!(%error, "the holds of the journal cannot be read: see to the load balancers");
            Holds::default()
        }
        None => Holds::default(),
    }
}

fn read(row: &IncidentRow) -> Option<Incident> {
    match serde_json::from_str(&row.body) {
        Ok(incident) => Some(incident),
        Err(error) => {
            tracing::error!(incident = %row.id, %error, "an incident of the journal cannot be read and is left alone");
            None
        }
    }
}

/// The playbook that an incident goes by.
fn current(
    incident: &Incident,
    playbooks: &BTreeMap<String, String>,
    book: &Book,
) -> Option<Current> {
    let now = book.current.get(&incident.playbook);
    if let Some(same) = now.filter(|now| now.revision == incident.revision) {
        // With the secrets that its text has not.
        return Some(same.clone());
    }
    let kept = playbooks
        .get(&incident.revision)
        .and_then(|text| Playbook::of_revision(text))
        .map(|(playbook, checks)| Current::new(playbook, &checks));
    let current = kept.or_else(|| now.cloned());
    if current.is_none() && incident.state.is_open() {
        tracing::error!(incident = %incident.id, "the playbook of an open incident is lost; it is left alone");
    }
    current
}
