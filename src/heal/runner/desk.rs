//! Deliveries: what is ours, what is new, and which playbook takes it.

use std::sync::Arc;

use serde_json::json;

use super::book::{Book, Held};
use super::episodes::Seen;
use super::handle::Found;
use crate::action::Stop;
use crate::heal::incident::{Incident, State};
use crate::heal::intake::{Accepted, Delivery};
use crate::heal::job::Job;
use crate::heal::machine::Event;
use crate::heal::run::Run;
use crate::journal::{Entry, Kind};
use crate::model::alert::{Alert, Episode, Status};
use crate::model::id::IncidentId;
use crate::model::moment::Moment;

/// Alerts of others named in one record.
const NAMED: usize = 20;

impl Book {
    /// Takes a delivery; what is accepted of it holds once the turn is on record.
    pub(super) fn deliver(
        &mut self,
        hook: &str,
        delivery: Delivery,
        local: bool,
        now: &Moment,
    ) -> Accepted {
        let mut accepted = Accepted::default();
        let key = self.key(&delivery.key);
        let again = |alert| self.fires_again(alert);
        if self.deliveries.know(&key) && !delivery.alerts.iter().any(again) {
            for alert in &delivery.alerts {
                match local || self.rules.ours.is(alert) {
                    true => accepted.ours += 1,
                    false => accepted.not_ours += 1,
                }
            }
            accepted.repeats = accepted.ours;
            return accepted;
        }
        self.note_delivery(key);
        self.parent = delivery.trace;
        let mut others = Vec::new();
        for alert in delivery.alerts {
            if local || self.rules.ours.is(&alert) {
                accepted.ours += 1;
                if !self.told(hook, &alert, now) {
                    accepted.repeats += 1;
                }
            } else {
                accepted.not_ours += 1;
                if others.len() < NAMED {
                    others.push(json!({"episode": alert.episode, "alertname": alert.name()}));
                }
            }
        }
        if accepted.not_ours > 0 {
            let data =
                json!({"ours": false, "hook": hook, "count": accepted.not_ours, "alerts": others});
            self.commit.entries.push(Entry::new(Kind::Alert).data(data));
        }
        self.parent = None;
        if delivery.truncated > 0 {
            tracing::warn!(
                hook,
                "{} alerts were not sent by the source (max_alerts)",
                delivery.truncated
            );
        }
        accepted
    }

    /// Takes one alert of ours; whether it is news.
    fn told(&mut self, hook: &str, alert: &Alert, now: &Moment) -> bool {
        let again = self.fires_again(alert);
        let before = self.episodes.get(&alert.episode);
        match before.map(|seen| seen.status) {
            // What was resolved once never fires again.
            Some(Status::Resolved) if !again => return false,
            Some(status) if status == alert.status && !self.is_untaken(hook, alert) => {
                self.rate_anew(alert, now);
                return false;
            }
            _ => {}
        }
        let incidents = before.map(|s| s.incidents.clone()).unwrap_or_default();
        if again {
            // It was no end: its incidents are told of it as of a new one.
            for id in &incidents {
                if let Some(held) = self.held.change(id) {
                    held.incident.forget(&alert.episode);
                }
            }
        }
        let mut seen = Seen {
            status: alert.status,
            severity: alert.severity,
            name: alert.name().chars().take(200).collect(),
            incidents,
            at: now.wall,
            inferred: false,
            since: alert.starts_at,
            place: 0,
        };
        let mut taken = Vec::new();
        let mut refused = Vec::new();
        if alert.status == Status::Firing {
            for (name, target) in self.takers(hook, alert) {
                match target {
                    Ok(target) => taken.push((name, target)),
                    Err(why) => refused.push(json!({"playbook": name, "why": why})),
                }
            }
        }
        let playbooks: Vec<&String> = taken.iter().map(|(name, _)| name).collect();
        let mut data = json!({
            "ours": true, "hook": hook, "episode": alert.episode, "status": alert.status, "severity": alert.severity,
            "labels": alert.labels, "annotations": alert.annotations, "playbooks": playbooks,
        });
        if let (false, Some(object)) = (refused.is_empty(), data.as_object_mut()) {
            object.insert("refused".into(), json!(refused));
        }
        let at = self.commit.entries.len();
        let mut entry = Entry::new(Kind::Alert).data(data);
        entry.trace = self.parent;
        self.commit.entries.push(entry);
        if alert.status == Status::Resolved {
            for id in &seen.incidents {
                self.step(
                    id,
                    Event::Told(alert.episode.clone(), Status::Resolved),
                    now,
                );
            }
        }
        // Before its incidents are moved on: they look up how old and how bad it is.
        self.episodes.set(&alert.episode, seen.clone());
        for (name, target) in taken {
            if let Some(id) = self.join_or_open(&name, target, alert, now)
                && !seen.incidents.contains(&id)
            {
                seen.incidents.push(id);
            }
        }
        let first = seen.incidents.first().and_then(|id| self.held.get(id));
        let trace = first.map(|held| held.incident.trace());
        if let Some(entry) = self.commit.entries.get_mut(at) {
            entry.trace = entry.trace.or(trace);
            if let Some(data) = entry.data.as_object_mut() {
                data.insert("incidents".into(), json!(seen.incidents));
            }
        }
        self.put_episode(&alert.episode, seen, now);
        true
    }

    /// Takes another severity from an alert that is told again: the mapping of its hook may be another since.
    fn rate_anew(&mut self, alert: &Alert, now: &Moment) {
        let seen = self.episodes.get(&alert.episode);
        if let Some(seen) = seen.filter(|seen| seen.severity != alert.severity) {
            let severity = alert.severity;
            let seen = Seen {
                severity,
                ..seen.clone()
            };
            self.put_episode(&alert.episode, seen, now);
        }
    }

    /// Whether an alert fires of which only asking had told that it is over.
    fn fires_again(&self, alert: &Alert) -> bool {
        let seen = self.episodes.get(&alert.episode);
        alert.status == Status::Firing
            && seen.is_some_and(|s| s.status == Status::Resolved && s.inferred)
    }

    /// What fires of a hook, as far as was told.
    pub(super) fn firing_of(&self, hook: &str) -> Vec<Episode> {
        let firing = self.episodes.iter();
        let firing = firing.filter(|(e, seen)| seen.status == Status::Firing && e.is_of(hook));
        firing.map(|(episode, _)| episode.clone()).collect()
    }

    /// Takes episodes of a hook for over although nobody said so; how many of them fired.
    pub(super) fn over(
        &mut self,
        hook: &str,
        episodes: &[Episode],
        found: Found,
        now: &Moment,
    ) -> u64 {
        let mut count = 0;
        for episode in episodes.iter().filter(|e| e.is_of(hook)) {
            let Some(seen) = self.episodes.get(episode).cloned() else {
                continue;
            };
            if seen.status != Status::Firing {
                continue;
            }
            count += 1;
            let data = json!({
                "ours": true, "hook": hook, "episode": episode, "status": Status::Resolved, "severity": seen.severity,
                "alertname": seen.name, "by": found.by, "why": found.why,
            });
            self.commit.entries.push(Entry::new(Kind::Alert).data(data));
            let seen = Seen {
                inferred: true,
                ..seen
            };
            self.resolve(episode, seen, now);
        }
        count
    }

    /// Whether an alert that fires was taken by no playbook so far: one may take it now.
    fn is_untaken(&self, hook: &str, alert: &Alert) -> bool {
        let seen = self.episodes.get(&alert.episode);
        let mut takers = self.takers(hook, alert).into_iter();
        alert.status == Status::Firing
            && seen.is_some_and(|s| s.incidents.is_empty())
            && takers.any(|(_, target)| target.is_ok())
    }

    /// The playbooks that take an alert, each with what it would heal.
    fn takers(
        &self,
        hook: &str,
        alert: &Alert,
    ) -> Vec<(String, Result<crate::model::target::Target, String>)> {
        let allowed = self.rules.hooks.get(hook);
        let may = |name: &String| allowed.is_none_or(|names| names.contains(name));
        self.current
            .iter()
            .filter(|(name, current)| may(name) && current.playbook.takes(alert))
            .map(|(name, current)| (name.clone(), current.playbook.target_of(&alert.labels)))
            .collect()
    }

    /// Takes the values of an alert where those that an incident has can never be used and these can; not while an attempt is under way.
    fn take_values(&mut self, id: &IncidentId, alert: &Alert) -> bool {
        let Some(held) = self.held.get(id) else {
            return false;
        };
        let incident = &held.incident;
        let is_fixed = held.holds_target() || matches!(incident.state, State::Probation { .. });
        if is_fixed || incident.labels == alert.labels {
            return false;
        }
        let now = self.current.get(&incident.playbook);
        let now = now.unwrap_or(&held.current);
        let mut job = Job {
            incident: incident.clone(),
            playbook: Arc::clone(&now.playbook),
            plan: Arc::clone(&now.plan),
            checks: Arc::clone(&now.checks),
            stop: Stop::never(),
        };
        if job.has_its_values() {
            return false;
        }
        job.incident.labels.clone_from(&alert.labels);
        let usable = job.has_its_values();
        if usable && let Some(held) = self.held.change(id) {
            held.incident.labels = job.incident.labels;
        }
        usable
    }

    /// The incident of a playbook and a target: the open one, the one that has just ended, or a new one.
    fn join_or_open(
        &mut self,
        name: &str,
        target: crate::model::target::Target,
        alert: &Alert,
        now: &Moment,
    ) -> Option<IncidentId> {
        let key = (name.to_owned(), target.clone());
        if let Some(id) = self.latest.get(&key).cloned()
            && let Some(held) = self.held.get(&id)
        {
            let quiet = held.current.plan.limits.quiet;
            let joins = held.incident.state.is_open()
                || (now.since(&held.incident.changed) < quiet && held.incident.state.reopens());
            if joins {
                let news = self.take_values(&id, alert);
                self.step(&id, Event::Told(alert.episode.clone(), Status::Firing), now);
                if news {
                    self.step(&id, Event::Changed, now);
                }
                return Some(id);
            }
        }
        let current = self.current.get(name)?.clone();
        let id = self.names.next();
        let incident = Incident {
            revision: current.revision.clone(),
            severity: alert.severity,
            labels: alert.labels.clone(),
            episodes: [(alert.episode.clone(), Status::Firing)].into(),
            run: Run {
                number: 0,
                parent: self.parent,
            },
            ..Incident::new(id.clone(), name, target, now)
        };
        self.open(
            Held {
                incident,
                current,
                resuming: false,
                running: None,
            },
            now,
        );
        Some(id)
    }
}
