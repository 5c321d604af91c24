//! Holds: placed, eased and lifted with the turn that decides so, by their owners.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::book::Book;
use super::{Gates, NotDone};
use crate::heal::incident::Incident;
use crate::heal::machine::{Event, Holding};
use crate::heal::maintenance::ALL;
use crate::journal::{Entry, Kind};
use crate::model::hold::{Hold, Owner};
use crate::model::moment::Moment;

impl Book {
    /// Does to the holds what a step of an incident says; its records say so already.
    pub(super) fn follow(&mut self, incident: &Incident, holdings: Vec<Holding>, now: &Moment) {
        for holding in holdings {
            let owner = Owner::Incident(incident.id.clone());
            let holds = self.holds.change();
            match holding {
                Holding::Place { pool, why, foreign } => {
                    let hold = Hold {
                        why,
                        since: now.wall,
                        began: Some(now.clone()),
                        easing: false,
                    };
                    holds.place(&pool, owner, hold, foreign);
                }
                Holding::Ease { pool, easing } => drop(holds.ease(&pool, &owner, easing)),
                Holding::Lift { pool } => drop(holds.lift(&pool, &owner)),
            }
        }
    }

    /// What the gates of a pool have told.
    pub(super) fn heard(&mut self, pool: &str, gates: &Gates, _: &Moment) {
        let Some(held) = self.holds.get(pool) else {
            return;
        };
        match gates {
            // Held anew since: what was heard is of before.
            Gates::Heard if held.is_held() => {}
            Gates::Heard => {
                self.holds.change().heard(pool);
                self.note_hold(json!({"did": "heard", "pool": pool}));
            }
            Gates::Telling(gate) if held.told.contains(gate) || !held.is_held() => {}
            Gates::Telling(gate) => {
                self.holds.change().telling(pool, gate);
                self.note_hold(json!({"did": "tell", "pool": pool, "gate": gate}));
            }
            // An incident puts it on record itself, as the end of its own way out.
            Gates::Out(detail) => {
                let incident = held
                    .holds
                    .keys()
                    .any(|owner| matches!(owner, Owner::Incident(_)));
                if let (false, Some(by)) = (incident, owners(held.holds.keys())) {
                    self.note_hold(json!({"did": "out", "pool": pool, "owner": by, "complete": true, "detail": detail}));
                }
            }
            Gates::Foreign(gate) if held.foreign.contains(gate) => {}
            Gates::Foreign(gate) => {
                self.holds.change().left_to_others(pool, gate);
                self.note_hold(json!({"did": "foreign", "pool": pool, "gate": gate}));
            }
        }
    }

    /// Places a hold that belongs to no incident.
    pub(super) fn place(&mut self, pool: &str, owner: Owner, why: &str, now: &Moment) {
        self.note_hold(
            json!({"did": "place", "pool": pool, "owner": owner.to_string(), "why": why}),
        );
        let hold = Hold {
            why: why.to_owned(),
            since: now.wall,
            began: Some(now.clone()),
            easing: false,
        };
        let holds = self.holds.change();
        holds.place(pool, owner, hold, BTreeSet::new());
    }

    /// Lifts every hold of an owner.
    pub(super) fn lift_of(&mut self, owner: &Owner) {
        let held = self.holds.iter();
        let held = held.filter(|(_, held)| held.holds.contains_key(owner));
        let pools: Vec<String> = held.map(|(pool, _)| pool.to_owned()).collect();
        for pool in pools {
            self.lift(&pool, owner);
        }
    }

    fn lift(&mut self, pool: &str, owner: &Owner) {
        self.holds.change().lift(pool, owner);
        self.note_hold(json!({"did": "lift", "pool": pool, "owner": owner.to_string()}));
    }

    fn note_hold(&mut self, data: Value) {
        self.commit.entries.push(Entry::new(Kind::Hold).data(data));
    }

    /// The pools that an order names, every one for `all`.
    pub(super) fn pools_of(&self, named: Vec<String>) -> Result<Vec<String>, NotDone> {
        if named.iter().any(|name| name == ALL) && !self.rules.pools.contains(ALL) {
            return Ok(self.rules.pools.iter().cloned().collect());
        }
        for name in &named {
            self.know(name)?;
        }
        Ok(named)
    }

    fn know(&self, pool: &str) -> Result<(), NotDone> {
        let known = &self.rules.pools;
        // One that went out of the config may still be held.
        if known.contains(pool) || self.holds.get(pool).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let known = match known.is_empty() {
            true => "none".to_owned(),
            false => known.join(", "),
        };
        Err(NotDone::NoPool(pool.to_owned(), known))
    }

    /// An operator has the node leave a pool. A person may do so whatever is left of it.
    pub(super) fn isolate(
        &mut self,
        by: &str,
        pool: &str,
        reason: &str,
        now: &Moment,
    ) -> Result<String, NotDone> {
        self.know(pool)?;
        let data = json!({"did": "isolate", "by": by, "pool": pool, "reason": reason});
        let order = Entry::new(Kind::Operator).data(data);
        self.commit.entries.push(order);
        self.place(pool, Owner::Operator(by.to_owned()), reason, now);
        Ok(format!(
            "this node leaves {pool}, until nodeward rejoin {pool}"
        ))
    }

    /// An operator takes back a hold: the one that is named, or the operator's own.
    pub(super) fn rejoin(
        &mut self,
        by: &str,
        pool: &str,
        hold: Option<Owner>,
        now: &Moment,
    ) -> Result<String, NotDone> {
        self.know(pool)?;
        let owner = hold.unwrap_or_else(|| Owner::Operator(by.to_owned()));
        let held = self.holds.get(pool).cloned().unwrap_or_default();
        if !held.holds.contains_key(&owner) {
            let others = owners(held.holds.keys());
            return Err(NotDone::NoHold(
                pool.to_owned(),
                owner.to_string(),
                others.unwrap_or_else(|| "nothing".into()),
            ));
        }
        if let Owner::Incident(id) = &owner {
            self.step(id, Event::Rejoin(pool.to_owned(), by.to_owned()), now);
        }
        let left = |book: &Self| {
            let held = book.holds.get(pool);
            held.is_some_and(|held| held.holds.contains_key(&owner))
        };
        // Also of an incident that nobody knows any more.
        if left(self) {
            let data = json!({"did": "rejoin", "by": by, "pool": pool, "hold": owner.to_string()});
            let order = Entry::new(Kind::Operator).data(data);
            self.commit.entries.push(order);
            self.lift(pool, &owner);
        }
        let held = self.holds.get(pool).cloned().unwrap_or_default();
        Ok(match owners(held.holds.keys()) {
            None => format!("this node rejoins {pool}"),
            Some(others) => format!("lifted; what still holds this node out of {pool}: {others}"),
        })
    }
}

fn owners<'a>(owners: impl Iterator<Item = &'a Owner>) -> Option<String> {
    let owners: Vec<String> = owners.map(Owner::to_string).collect();
    (!owners.is_empty()).then(|| owners.join(", "))
}
