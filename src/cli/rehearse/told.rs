//! A rehearsal in plain words: the story of each incident once it is over, and a summary.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::Exit;
use crate::cli::journal::Lines;
use crate::heal::incident::{Incident, State};
use crate::heal::playbook::{self, Miss};
use crate::heal::runner::{Assume, Rules, Told};
use crate::heal::words;
use crate::journal::{Entry, Kind};
use crate::model::alert::Labels;
use crate::model::counted::counted;
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;

/// Names of alerts that no playbook took, told at most.
const NAMED: usize = 50;

/// Tells as it goes.
pub(super) struct Telling {
    json: bool,
    lines: Lines,
    /// Whoever read went away, which is no failure.
    unheard: bool,
    seq: i64,
    playbooks: playbook::Options,
    hooks: BTreeMap<String, Vec<String>>,
    stories: BTreeMap<IncidentId, Vec<String>>,
    counts: BTreeMap<String, Counts>,
    alerts: u64,
    others: u64,
    /// By name: how often, and why.
    untaken: BTreeMap<String, (u64, String)>,
    /// Alerts that no playbook took, beyond those names.
    unnamed: u64,
}

/// What became of a playbook's alerts.
#[derive(Default)]
struct Counts {
    alerts: u64,
    incidents: u64,
    acts: u64,
    refused: BTreeMap<String, u64>,
    ended: BTreeMap<String, u64>,
    escalated: BTreeMap<String, u64>,
}

fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

impl Telling {
    pub(super) fn new(rules: &Rules, json: bool) -> Self {
        Self {
            json,
            lines: Lines::default(),
            unheard: false,
            seq: 0,
            playbooks: rules.playbooks.clone(),
            hooks: rules.hooks.clone(),
            stories: BTreeMap::new(),
            counts: BTreeMap::new(),
            alerts: 0,
            others: 0,
            untaken: BTreeMap::new(),
            unnamed: 0,
        }
    }

    /// Says what the world is taken to be.
    pub(super) fn begin(&mut self, assume: Assume) {
        if !self.json {
            self.line(&format!(
                "assumed: {} (--assume); confirm sees what the alert says; who is asked approves at once",
                assume.words()
            ));
            self.line("");
        }
    }

    /// Counts alerts of other machines.
    pub(super) const fn others(&mut self, count: u64) {
        self.others += count;
    }

    fn line(&mut self, text: &str) {
        if !self.unheard {
            self.unheard = self.lines.line(&words::tame(text)).is_break();
        }
    }

    pub(super) fn take(&mut self, told: Told<'_>) {
        match told {
            Told::Opened(incident) => self.open(incident),
            Told::Record(at, entry) => self.record(at, entry),
            Told::Over(id) => {
                let story = self.stories.remove(id).unwrap_or_default();
                for line in &story {
                    self.line(line);
                }
                if !story.is_empty() {
                    self.line("");
                }
            }
        }
    }

    fn open(&mut self, incident: &Incident) {
        let Incident {
            id,
            playbook,
            target,
            severity,
            labels,
            ..
        } = incident;
        self.counts.entry(playbook.clone()).or_default().incidents += 1;
        if !self.json {
            let mode = self
                .playbooks
                .get(playbook)
                .map_or("gone", |p| p.mode.as_str());
            let alert = labels.get("alertname").map_or("", String::as_str);
            let head = format!(
                "{id} {target} by playbook {playbook} ({mode}), alert {alert} ({severity})"
            );
            self.stories.insert(id.clone(), vec![head]);
        }
    }

    fn record(&mut self, at: Timestamp, entry: &Entry) {
        self.seq += 1;
        self.count(entry);
        let Ok(line) = entry.line(self.seq, at) else {
            return;
        };
        if self.json {
            // A line of JSON has its control characters escaped.
            self.line(&line);
            return;
        }
        let record: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(said) = words::plain(&record) else {
            return;
        };
        let said = format!("{at}  {said}");
        if entry.kind == Kind::Alert {
            let several = entry.data.get("incidents").and_then(Value::as_array);
            for id in several.into_iter().flatten().filter_map(Value::as_str) {
                // One that is over is told already.
                if let Some(story) = self.stories.get_mut(&IncidentId::new(id)) {
                    story.push(format!("  {said}"));
                }
            }
            return;
        }
        match &entry.incident {
            Some(id) => self
                .stories
                .entry(id.clone())
                .or_default()
                .push(format!("  {said}")),
            None if entry.kind == Kind::Operator => self.line(&said),
            None => {}
        }
    }

    fn count(&mut self, entry: &Entry) {
        let data = &entry.data;
        let text = |at: &str| data.pointer(at).and_then(Value::as_str);
        let Some(name) = &entry.playbook else {
            if entry.kind == Kind::Alert {
                self.alert(data);
            }
            return;
        };
        let counts = self.counts.entry(name.clone()).or_default();
        match entry.kind {
            Kind::Intent => counts.acts += 1,
            Kind::Decision if data.get("would").is_some() => counts.acts += 1,
            Kind::Decision => {
                let guards = data.get("guards").and_then(Value::as_array);
                let refuses = |guard: &&Value| guard.get("passes") == Some(&Value::Bool(false));
                for guard in guards.into_iter().flatten().filter(refuses) {
                    let guard = guard.get("guard").and_then(Value::as_str);
                    count(&mut counts.refused, guard.unwrap_or("?").to_owned());
                }
            }
            Kind::State => match entry.to.as_deref() {
                Some("escalated") => {
                    let cause = text("/cause/why").unwrap_or("?").to_owned();
                    count(&mut counts.escalated, cause);
                }
                Some(to) if State::OVER.contains(&to) => count(&mut counts.ended, to.to_owned()),
                _ => {}
            },
            _ => {}
        }
    }

    fn alert(&mut self, data: &Value) {
        if data.get("ours") != Some(&Value::Bool(true)) {
            self.others += data.get("count").and_then(Value::as_u64).unwrap_or(0);
            return;
        }
        self.alerts += 1;
        if data.get("status").and_then(Value::as_str) != Some("firing") {
            return;
        }
        let playbooks = data.get("playbooks").and_then(Value::as_array);
        let taken: Vec<&str> = playbooks
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for name in &taken {
            self.counts.entry((*name).to_owned()).or_default().alerts += 1;
        }
        if taken.is_empty() {
            let labels = data.get("labels").cloned().unwrap_or_default();
            let labels: Labels = serde_json::from_value(labels).unwrap_or_default();
            let name = labels.get("alertname").cloned().unwrap_or_default();
            if !self.untaken.contains_key(&name) && self.untaken.len() >= NAMED {
                self.unnamed += 1;
                return;
            }
            let hook = data.get("hook").and_then(Value::as_str).unwrap_or_default();
            let why = nearest(&self.playbooks, &self.hooks, hook, &labels);
            self.untaken.entry(name).or_insert((0, why)).0 += 1;
        }
    }

    /// Prints what is left; the last line.
    pub(super) fn end(mut self, ends: Option<(Timestamp, Timestamp)>) -> Result<String, Exit> {
        if !self.json {
            self.summary();
        }
        let sum = |of: fn(&Counts) -> u64| self.counts.values().map(of).sum::<u64>();
        let span = ends.map_or_else(String::new, |(first, last)| format!(", {first} to {last}"));
        let said = format!(
            "{} rehearsed{span}; {} of other machines; {}, would have acted {}, escalated {}; nothing was done",
            counted(self.alerts, "alert"),
            self.others,
            counted(sum(|c| c.incidents), "incident"),
            counted(sum(|c| c.acts), "time"),
            sum(|c| c.escalated.values().sum()),
        );
        self.lines.end()?;
        Ok(said)
    }

    fn summary(&mut self) {
        let mut lines = Vec::new();
        for (name, playbook) in &self.playbooks {
            let none = Counts::default();
            let counts = self.counts.get(name).unwrap_or(&none);
            lines.push(format!(
                "playbook {name} ({}): {}, {}, would have acted {}",
                playbook.mode.as_str(),
                counted(counts.alerts, "alert"),
                counted(counts.incidents, "incident"),
                counted(counts.acts, "time")
            ));
            for (what, counts) in [
                ("refused by", &counts.refused),
                ("escalated", &counts.escalated),
                ("ended as", &counts.ended),
            ] {
                if !counts.is_empty() {
                    let each = counts.iter().map(|(name, count)| format!("{name} {count}"));
                    lines.push(format!("  {what}: {}", each.collect::<Vec<_>>().join(", ")));
                }
            }
        }
        if !self.untaken.is_empty() {
            lines.push("taken by no playbook:".to_owned());
        }
        for (name, (count, why)) in &self.untaken {
            lines.push(format!("  {name}, {}: {why}", counted(count, "time")));
        }
        if self.unnamed > 0 {
            lines.push(format!("  {} more of other names", self.unnamed));
        }
        for line in lines {
            self.line(&line);
        }
    }
}

/// Why the playbook that comes nearest does not take an alert.
fn nearest(
    playbooks: &playbook::Options,
    hooks: &BTreeMap<String, Vec<String>>,
    hook: &str,
    labels: &Labels,
) -> String {
    let missed = |(name, playbook): (&String, &playbook::Playbook)| {
        let misses: Vec<Miss> = playbook.misses(labels).collect();
        (name.clone(), misses)
    };
    let nearest = playbooks.iter().map(missed);
    let Some((name, misses)) = nearest.min_by_key(|(_, misses)| misses.len()) else {
        return "there is none".to_owned();
    };
    let allowed = hooks.get(hook);
    if !misses.is_empty() {
        let misses: Vec<String> = misses.iter().map(ToString::to_string).collect();
        format!("nearest is {name}: {}", misses.join("; "))
    } else if allowed.is_some_and(|names| !names.contains(&name)) {
        format!("{name} may not be started by the hook {hook}")
    } else {
        format!("{name} fits, but the alert names no target that it could heal")
    }
}
