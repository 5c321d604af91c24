//! The book as the journal has it.

use super::Rules;
use super::book::{Book, Current, Held, Seen, Switches};
use super::operate::{MAINTENANCE, MAINTENANCE_UNTIL, PAUSED};
use crate::heal::history::History;
use crate::heal::incident::Incident;
use crate::heal::playbook::Playbook;
use crate::journal::{IncidentRow, Restored};
use crate::model::alert::Episode;
use crate::model::moment::Timestamp;

impl Book {
    /// What stood when the process before ended. A row that cannot be read costs itself only, and is said.
    pub(super) fn restore(rules: Rules, restored: Restored) -> Self {
        let mut book = Self::new(rules);
        let Restored {
            incidents,
            closed,
            episodes,
            deliveries,
            playbooks,
            settings,
            ..
        } = restored;
        for row in closed.iter().rev().chain(&incidents) {
            let Some((incident, current)) = read(row, &playbooks, &book) else {
                continue;
            };
            let key = (incident.playbook.clone(), incident.target.clone());
            book.latest.insert(key, incident.id.clone());
            let held = Held {
                resuming: incident.state.is_open(),
                since: None,
                incident,
                current,
            };
            book.held.insert(held.incident.id.clone(), held);
        }
        for row in episodes.into_iter().rev() {
            match serde_json::from_str::<Seen>(&row.body) {
                Ok(seen) => {
                    let episode: Episode = Episode::stored(&row.episode);
                    book.order.push_back(episode.clone());
                    book.episodes.insert(episode, seen);
                }
                Err(error) => {
                    tracing::warn!(episode = row.episode, %error, "an episode of the journal cannot be read");
                }
            }
        }
        for key in deliveries.into_iter().rev() {
            book.known.insert(key);
            book.deliveries.push_back(key);
        }
        book.switches = Switches {
            paused: settings.get(PAUSED).cloned(),
            maintenance: settings.get(MAINTENANCE).cloned(),
            until: settings
                .get(MAINTENANCE_UNTIL)
                .and_then(|text| Timestamp::parse(text)),
        };
        book.history = History::of(book.held.values().map(|h| &h.incident));
        book
    }
}

fn read(
    row: &IncidentRow,
    playbooks: &std::collections::BTreeMap<String, String>,
    book: &Book,
) -> Option<(Incident, Current)> {
    let incident: Incident = match serde_json::from_str(&row.body) {
        Ok(incident) => incident,
        Err(error) => {
            tracing::error!(incident = %row.id, %error, "an incident of the journal cannot be read and is left alone");
            return None;
        }
    };
    let now = book.current.get(&incident.playbook);
    if let Some(same) = now.filter(|now| now.revision == incident.revision) {
        // With the secrets that its text has not.
        let same = same.clone();
        return Some((incident, same));
    }
    let kept = playbooks
        .get(&incident.revision)
        .and_then(|text| serde_json::from_str::<Playbook>(text).ok())
        .map(Current::new);
    let current = kept.or_else(|| now.cloned());
    if current.is_none() && row.open {
        tracing::error!(incident = %row.id, "the playbook of an open incident is lost; it is left alone");
    }
    Some((incident, current?))
}
