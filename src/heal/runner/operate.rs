//! What operators want, put on record with who wanted it.

use serde_json::json;

use super::book::{Book, Held, Switches};
use super::handle::LEAST;
use super::notice::short;
use super::{NotDone, Order};
use crate::heal::incident::{Acknowledged, Approval, Question, State};
use crate::heal::machine::Event;
use crate::journal::{Entry, Kind};
use crate::model::hold::Owner;
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};

/// Names under which the journal keeps the switches.
pub(super) const PAUSED: &str = "paused";
/// See above.
pub(super) const MAINTENANCE: &str = "maintenance";
/// See above: RFC 3339.
pub(super) const MAINTENANCE_UNTIL: &str = "maintenance_until";
/// Who ends a maintenance that was given an end.
const CLOCK: &str = "its end";

impl Book {
    /// Does what an operator wants; one line about what was done.
    pub(super) fn operate(
        &mut self,
        by: &str,
        order: Order,
        now: &Moment,
    ) -> Result<String, NotDone> {
        match order {
            Order::Pause { reason } => Ok(self.pause(by, reason, now)),
            Order::Resume => Ok(self.resume(by, now)),
            Order::MaintenanceOn {
                reason,
                until,
                isolate,
            } => {
                let pools = self.pools_of(isolate)?;
                Ok(self.maintain(by, &reason, until, &pools, now))
            }
            Order::Isolate { pool, reason } => self.isolate(by, &pool, &reason, now),
            Order::Rejoin { pool, hold } => self.rejoin(by, &pool, hold, now),
            Order::MaintenanceOff => Ok(self.end_maintenance(by, now)),
            Order::Approve(id) => self.approve(by, &id, now),
            Order::Reject(text) => {
                let (id, number) = named(&text);
                if number.is_some() {
                    self.asked(&text)?;
                }
                self.end(id, now, Event::Reject(by.to_owned()), "rejected", |s| {
                    matches!(s, State::Waiting { .. })
                })
            }
            Order::Acknowledge {
                incident,
                who,
                reason,
            } => {
                let acknowledged = Acknowledged {
                    by: by.to_owned(),
                    who,
                    reason,
                    at: now.wall,
                };
                self.acknowledge(by, &incident, acknowledged, now)
            }
            Order::Cancel(id, release) => self.end(
                &id,
                now,
                Event::Cancel(by.to_owned(), release),
                "cancelled",
                State::is_open,
            ),
        }
    }

    fn pause(&mut self, by: &str, reason: Option<String>, now: &Moment) -> String {
        // Who says nothing new is not to wipe out who said why.
        if let (None, Some(before)) = (&reason, &self.switches.paused) {
            return format!("healing is paused already: {before}");
        }
        let who = format!("by {by} since {}", now.wall);
        let paused = match &reason {
            Some(reason) => format!("{reason} ({who})"),
            None => who,
        };
        let switches = Switches {
            paused: Some(paused),
            ..self.switches.clone()
        };
        let data = json!({"did": "pause", "by": by, "reason": reason.unwrap_or_default()});
        self.switch(switches, data, now);
        "paused: no new attempt starts until nodeward resume".into()
    }

    fn resume(&mut self, by: &str, now: &Moment) -> String {
        if self.switches.paused.is_none() {
            return "healing is not paused".into();
        }
        let switches = Switches {
            paused: None,
            ..self.switches.clone()
        };
        self.switch(switches, json!({"did": "resume", "by": by}), now);
        "resumed".into()
    }

    fn maintain(
        &mut self,
        by: &str,
        reason: &str,
        until: Option<Timestamp>,
        pools: &[String],
        now: &Moment,
    ) -> String {
        let end = until.map(|until| format!(", until {until}"));
        let end = end.unwrap_or_default();
        let words = format!("{reason} (by {by} since {}{end})", now.wall);
        let switches = Switches {
            maintenance: Some(words),
            until,
            ..self.switches.clone()
        };
        let mut data = json!({"did": "maintenance on", "by": by, "reason": reason});
        if let (Some(until), Some(data)) = (until, data.as_object_mut()) {
            data.insert("until".into(), until.to_string().into());
        }
        if let (false, Some(data)) = (pools.is_empty(), data.as_object_mut()) {
            data.insert("isolate".into(), json!(pools));
        }
        self.switch(switches, data, now);
        for pool in pools {
            self.place(pool, Owner::Operator(MAINTENANCE.into()), reason, now);
        }
        match until {
            Some(until) => format!(
                "maintenance is on: nothing is healed until {until}, or nodeward maintenance off"
            ),
            None => {
                "maintenance is on: nothing is healed until nodeward maintenance off".to_owned()
            }
        }
    }

    /// The end of all maintenance that there is now.
    fn end_maintenance(&mut self, by: &str, now: &Moment) -> String {
        if self.maintenance().is_none() {
            return "there is no maintenance".into();
        }
        self.end_ordered(by, now);
        let mut said = "maintenance is off".to_owned();
        for name in self.close_windows(by, now) {
            said.push_str(&format!("; the window {name} is closed"));
            if let Some(next) = self.windows.coming().get(&name) {
                said.push_str(&format!(" until {next}, when it comes round again"));
            }
        }
        said
    }

    /// The end of what an operator ordered.
    fn end_ordered(&mut self, by: &str, now: &Moment) {
        let switches = Switches {
            maintenance: None,
            until: None,
            ..self.switches.clone()
        };
        self.switch(switches, json!({"did": "maintenance off", "by": by}), now);
        self.lift_of(&Owner::Operator(MAINTENANCE.into()));
    }

    /// The end that an operator gave maintenance has come.
    pub(super) fn end_of_maintenance(&mut self, now: &Moment) {
        self.end_ordered(CLOCK, now);
        tracing::info!("the end of maintenance has come");
    }

    /// Sets the switches, and has all that waits look again.
    fn switch(&mut self, switches: Switches, data: serde_json::Value, now: &Moment) {
        self.commit
            .entries
            .push(Entry::new(Kind::Operator).data(data));
        let kept = [
            (PAUSED, switches.paused.clone()),
            (MAINTENANCE, switches.maintenance.clone()),
            (MAINTENANCE_UNTIL, switches.until.map(|at| at.to_string())),
        ];
        let kept = kept.map(|(name, value)| (name.to_owned(), value));
        self.commit.settings.extend(kept);
        *self.switches.change() = switches;
        self.step_each(Held::is_waiting, &Event::Changed, now);
    }

    /// The incident that is meant: by its whole id, or by enough of its beginning or end, among those that are open.
    fn meant(&self, text: &str) -> Result<IncidentId, NotDone> {
        let whole = IncidentId::new(text);
        if self.held.contains_key(&whole) {
            return Ok(whole);
        }
        let wanted = text.to_ascii_uppercase();
        if wanted.len() < LEAST {
            return Err(NotDone::TooShort(text.to_owned()));
        }
        let fits = |held: &&Held| {
            let id = held.incident.id.as_str();
            held.incident.state.is_open() && (id.starts_with(&wanted) || id.ends_with(&wanted))
        };
        let mut fitting: Vec<IncidentId> = self
            .held
            .values()
            .filter(fits)
            .map(|held| held.incident.id.clone())
            .collect();
        fitting.sort_unstable();
        match (fitting.pop(), fitting.is_empty()) {
            (Some(one), true) => Ok(one),
            (Some(last), false) => {
                fitting.push(last);
                fitting.truncate(10);
                let ids: Vec<&str> = fitting.iter().map(IncidentId::as_str).collect();
                Err(NotDone::Several(text.to_owned(), ids.join(", ")))
            }
            (None, _) => Err(NotDone::NoSuch(text.to_owned())),
        }
    }

    fn approve(&mut self, by: &str, text: &str, now: &Moment) -> Result<String, NotDone> {
        let (id, question) = self.asked(text)?;
        let approval = Approval {
            action: question.action,
            by: by.to_owned(),
        };
        self.step(&id, Event::Approve(approval), now);
        Ok(format!("approved: {id} may act once all other guards pass"))
    }

    fn acknowledge(
        &mut self,
        by: &str,
        text: &str,
        acknowledged: Acknowledged,
        now: &Moment,
    ) -> Result<String, NotDone> {
        let id = self.meant(text)?;
        let incident = self.held.get(&id).map(|held| &held.incident);
        let incident = incident.ok_or_else(|| NotDone::NoSuch(text.to_owned()))?;
        if incident.is_paged() {
            let who = acknowledged.who();
            self.step(&id, Event::Acknowledge(by.to_owned(), acknowledged), now);
            return Ok(format!("acknowledged: {who} has {id}"));
        }
        let before = incident.paging.as_ref();
        match before.and_then(|paging| paging.acknowledged.as_ref()) {
            // Said twice is said once.
            Some(before) if incident.state.is_open() => {
                let (who, at) = (before.who(), before.at);
                Ok(format!("{who} has {id} already, since {at}"))
            }
            _ => Err(NotDone::State(id.clone(), incident.state.as_str())),
        }
    }

    /// The question that is answered: the one of this name, or of this incident if it never asked another. Whoever read one and answers
    /// after it changed is told so.
    fn asked(&self, text: &str) -> Result<(IncidentId, Question), NotDone> {
        let (id, number) = named(text);
        let id = self.meant(id)?;
        let incident = self.held.get(&id).map(|held| &held.incident);
        let incident = incident.ok_or_else(|| NotDone::NoSuch(text.to_owned()))?;
        let Some(question) = &incident.question else {
            return Err(NotDone::State(id, incident.state.as_str()));
        };
        if number.map_or(incident.questions == 1, |n| n == question.number) {
            return Ok((id, question.clone()));
        }
        let (token, action) = (incident.token(question), short(&question.shown));
        Err(match number {
            Some(number) if !(1..=incident.questions).contains(&number) => {
                NotDone::NoQuestion(id, number, token, action)
            }
            _ => NotDone::Another(token, action),
        })
    }

    fn end(
        &mut self,
        id: &str,
        now: &Moment,
        event: Event,
        did: &str,
        fits: fn(&State) -> bool,
    ) -> Result<String, NotDone> {
        let id = self.meant(id)?;
        let state = self.held.get(&id).map(|held| &held.incident.state);
        match state {
            Some(state) if !fits(state) => Err(NotDone::State(id.clone(), state.as_str())),
            _ => {
                self.step(&id, event, now);
                Ok(format!("{did}: {id}"))
            }
        }
    }
}

/// An incident's name and the number of a question behind it, if there is one.
fn named(text: &str) -> (&str, Option<u32>) {
    let parts = text.rsplit_once('-');
    let number = parts.and_then(|(id, number)| Some((id, number.parse().ok()?)));
    number.map_or((text, None), |(id, number)| (id, Some(number)))
}
