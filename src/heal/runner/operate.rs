//! What operators want, put on record with who wanted it.

use serde_json::json;

use super::book::{Book, Held, Switches};
use super::{NotDone, Order};
use crate::heal::incident::{Approval, State};
use crate::heal::machine::Event;
use crate::journal::{Entry, Kind};
use crate::model::id::IncidentId;
use crate::model::moment::Moment;

/// Names under which the journal keeps the switches.
pub(super) const PAUSED: &str = "paused";
/// See above.
pub(super) const MAINTENANCE: &str = "maintenance";

impl Book {
    /// Does what an operator wants; one line about what was done.
    pub(super) fn operate(
        &mut self,
        by: &str,
        order: Order,
        now: &Moment,
    ) -> Result<String, NotDone> {
        match order {
            Order::Pause => self.pause(Some(by), now),
            Order::Resume => self
                .pause(None, now)
                .map(|said| format!("{said} (by {by})")),
            Order::MaintenanceOn { reason } => self.maintain(by, Some(reason), now),
            Order::MaintenanceOff => self.maintain(by, None, now),
            Order::Approve(id) => self.approve(by, &id, now),
            Order::Reject(id) => {
                self.end(&id, now, Event::Reject(by.to_owned()), "rejected", |s| {
                    matches!(s, State::Waiting { .. })
                })
            }
            Order::Cancel(id) => self.end(
                &id,
                now,
                Event::Cancel(by.to_owned()),
                "cancelled",
                State::is_open,
            ),
        }
    }

    fn pause(&mut self, by: Option<&str>, now: &Moment) -> Result<String, NotDone> {
        let (did, said) = match by {
            Some(_) => (
                "pause",
                "paused: no new attempt starts until nodeward resume",
            ),
            None => ("resume", "resumed"),
        };
        let paused = by.map(|by| format!("by {by} since {}", now.wall));
        let switches = Switches {
            paused: paused.clone(),
            ..self.switches.clone()
        };
        self.switch(
            did,
            by.unwrap_or_default(),
            switches,
            (PAUSED, paused),
            "",
            now,
        );
        Ok(said.to_owned())
    }

    fn maintain(
        &mut self,
        by: &str,
        reason: Option<String>,
        now: &Moment,
    ) -> Result<String, NotDone> {
        let (did, said) = match reason {
            Some(_) => (
                "maintenance on",
                "maintenance is on: nothing is healed until nodeward maintenance off",
            ),
            None => ("maintenance off", "maintenance is off"),
        };
        let why = reason.clone().unwrap_or_default();
        let maintenance = reason.map(|reason| format!("{reason} (by {by} since {})", now.wall));
        let switches = Switches {
            maintenance: maintenance.clone(),
            ..self.switches.clone()
        };
        self.switch(did, by, switches, (MAINTENANCE, maintenance), &why, now);
        Ok(said.to_owned())
    }

    fn switch(
        &mut self,
        did: &str,
        by: &str,
        switches: Switches,
        kept: (&str, Option<String>),
        reason: &str,
        now: &Moment,
    ) {
        let data = json!({"did": did, "by": by, "reason": reason});
        self.commit
            .entries
            .push(Entry::new(Kind::Operator).data(data));
        self.commit.settings.push((kept.0.to_owned(), kept.1));
        self.set_switches(switches);
        let waits = |h: &&Held| matches!(h.incident.state, State::Waiting { .. });
        let waiting: Vec<IncidentId> = self
            .held
            .values()
            .filter(waits)
            .map(|h| h.incident.id.clone())
            .collect();
        for id in waiting {
            self.step(&id, Event::Changed, now);
        }
    }

    fn approve(&mut self, by: &str, id: &IncidentId, now: &Moment) -> Result<String, NotDone> {
        let held = self
            .held
            .get(id)
            .ok_or_else(|| NotDone::NoSuch(id.clone()))?;
        let State::Waiting {
            action: Some(action),
            ..
        } = &held.incident.state
        else {
            return Err(NotDone::State(id.clone(), held.incident.state.as_str()));
        };
        let approval = Approval {
            action: action.clone(),
            by: by.to_owned(),
        };
        self.step(id, Event::Approve(approval), now);
        Ok(format!("approved: {id} may act once all other guards pass"))
    }

    fn end(
        &mut self,
        id: &IncidentId,
        now: &Moment,
        event: Event,
        did: &str,
        fits: fn(&State) -> bool,
    ) -> Result<String, NotDone> {
        let held = self
            .held
            .get(id)
            .ok_or_else(|| NotDone::NoSuch(id.clone()))?;
        if !fits(&held.incident.state) {
            return Err(NotDone::State(id.clone(), held.incident.state.as_str()));
        }
        self.step(id, event, now);
        Ok(format!("{did}: {id}"))
    }
}
