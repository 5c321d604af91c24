//! Has one pool follow what is wanted of it: one task a pool, one more a gate.
//!
//! Owns what is known of each gate and when the pool is looked at. What follows from it is [`pool`](super::pool)'s.

pub(super) mod looks;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::plan::Planned;
use super::pool::{self, Effect, Pool, Rules, Wish};
use super::standing::{Counts, GateStanding, Sight};
use super::teller::{self, Known, Order, Report, wanted};
use super::{Event, Gate, Heard, Say, Sees, Tally, Traffic, View, Wanted, Words};
use crate::model::moment::Timestamp;
use looks::Looked;

/// What is wanted of a pool, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Goal {
    /// Which it is, from 1.
    pub(super) number: u64,
    pub(super) wish: Wish,
    /// Gates, by name, at which somebody else has the node out.
    pub(super) foreign: BTreeSet<String>,
    /// Gates, by name, of which it is on record that they take the node out.
    pub(super) recorded: BTreeSet<String>,
    /// One line of printable ASCII.
    pub(super) why: String,
    /// The process before may have told the gates.
    pub(super) restored: bool,
}

struct Drive {
    planned: Arc<Planned>,
    rules: Rules,
    pool: Pool,
    goal: Goal,
    gates: Vec<Told>,
    /// The number of the order before.
    number: u64,
    counts: Arc<Counts>,
    events: broadcast::Sender<Event>,
    looks: JoinSet<Looked>,
    looked: Option<Instant>,
    view: Option<Result<View, String>>,
    /// Connections of its ports, where these are its sessions.
    counted: Option<Result<u64, String>>,
    /// Since when there was none of them.
    idle: Option<Instant>,
    tally: Option<Tally>,
    since: Timestamp,
    /// That every gate knows it is out was logged.
    out_said: bool,
    /// That it is out as far as it will be was said, or is of the process before.
    out_told: bool,
}

/// A gate, and what it was told.
struct Told {
    known: Known,
    orders: watch::Sender<Order>,
    /// The order from which on reports count.
    from: u64,
    /// The last of them.
    last: Option<Result<Heard, String>>,
    /// As it was last logged.
    trouble: Option<String>,
}

/// Drives a pool until nobody has goals for it any more.
pub(super) async fn drive(
    planned: Arc<Planned>,
    mut goals: watch::Receiver<Goal>,
    sight: watch::Sender<Sight>,
    counts: Arc<Counts>,
    events: broadcast::Sender<Event>,
) {
    let (reports, mut reported) = mpsc::channel(16);
    let mut tellers = JoinSet::new();
    let mut gates = Vec::new();
    for (at, gate) in planned.gates.iter().enumerate() {
        let (orders, ordered) = watch::channel(Order::default());
        tellers.spawn(teller::tell(at, Arc::clone(gate), ordered, reports.clone()));
        let known = Known {
            sees: gate.sees().is_some(),
            recorded: gate.sees().is_none(),
            ..Known::default()
        };
        gates.push(Told {
            known,
            orders,
            from: 0,
            last: None,
            trouble: None,
        });
    }
    let mut drive = Drive {
        rules: planned.pool.rules(),
        planned,
        pool: Pool::default(),
        goal: goals.borrow_and_update().clone(),
        gates,
        number: 0,
        counts,
        events,
        looks: JoinSet::new(),
        looked: None,
        view: None,
        counted: None,
        idle: None,
        tally: None,
        since: Timestamp::now(),
        out_said: false,
        out_told: false,
    };
    drive.pursue();
    loop {
        drive.settle();
        drive.say_out();
        sight.send_if_modified(|sight| {
            let now = drive.sight();
            let changed = *sight != now;
            *sight = now;
            changed
        });
        let now = Instant::now();
        let due = drive.pool.due(now, &drive.rules);
        let look = drive.next_look(now);
        tokio::select! {
            changed = goals.changed() => {
                if changed.is_err() {
                    return;
                }
                drive.goal = goals.borrow_and_update().clone();
                drive.pursue();
            }
            Some(report) = reported.recv() => drive.report(report),
            Some(Ok(looked)) = drive.looks.join_next(), if !drive.looks.is_empty() => drive.take(looked),
            () = until(due) => drive.step(pool::Event::Tick),
            () = until(look), if drive.looks.is_empty() => drive.look(),
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl Drive {
    fn step(&mut self, event: pool::Event) {
        let before = self.pool.traffic();
        let (pool, effect) = self.pool.step(event, Instant::now(), &self.rules);
        self.pool = pool;
        match effect {
            Some(Effect::Cut) => self.cut(),
            Some(Effect::Heard) => {
                tracing::info!(pool = %self.planned.name, "back in the pool: every gate knows");
                // Nobody may be listening.
                drop(
                    self.events
                        .send(Event::Heard(self.planned.name.to_string())),
                );
            }
            None => {}
        }
        let after = self.pool.traffic();
        if before != after {
            self.since = Timestamp::now();
            if matches!(before, Traffic::In | Traffic::Ramping) {
                self.out_told = self.goal.restored;
            }
            self.say(after);
        }
    }

    /// One line a change, and the end of a ledger.
    fn say(&mut self, traffic: Traffic) {
        let (pool, why) = (&self.planned.name, &self.goal.why);
        match traffic {
            Traffic::Draining => {
                self.tally = None;
                self.idle = None;
                tracing::warn!(%pool, "draining: {why}");
            }
            Traffic::Out => self.out_said = false,
            Traffic::Ramping => tracing::info!(%pool, "taking a share of the traffic again"),
            Traffic::In => tracing::info!(%pool, "taking all traffic again"),
        }
        if matches!(traffic, Traffic::Ramping | Traffic::In) {
            self.counted = None;
            if let Some(tally) = self.tally.take() {
                self.counts.ended(&tally.ledger());
            }
        }
    }

    /// That the node is out, once every gate goes by it: until then traffic may still come, and the gates say why.
    fn say_out(&mut self) {
        if self.pool.traffic() == Traffic::Out && self.pool.has_heard() && !self.out_said {
            self.out_said = true;
            tracing::warn!(pool = %self.planned.name, "out of the pool: {}", self.goal.why);
        }
        if self.pool.is_out() && !self.out_told {
            self.out_told = true;
            let ledger = self.tally.as_ref().map(Tally::ledger);
            let event = Event::Out(self.planned.name.to_string(), ledger);
            // Nobody may be listening.
            drop(self.events.send(event));
        }
    }

    /// Takes a new goal.
    fn pursue(&mut self) {
        if self.goal.number == 0 {
            return;
        }
        for (told, gate) in self.gates.iter_mut().zip(&self.planned.gates) {
            told.known.foreign |= self.goal.foreign.contains(gate.name());
            // One that sees cannot have been told before that was on record; whom one asks that does not, nobody knows.
            told.known.recorded = !told.known.sees || self.goal.recorded.contains(gate.name());
            told.known.ours |=
                self.goal.restored && self.goal.wish != Wish::Free && told.known.recorded;
        }
        self.step(pool::Event::Wish(self.goal.wish));
        if !self.pool.is_busy() {
            for told in &mut self.gates {
                told.known = Known {
                    sees: told.known.sees,
                    recorded: !told.known.sees,
                    ..Known::default()
                };
            }
        }
    }

    /// Orders what is wanted now, and goes on as far as that goes.
    fn settle(&mut self) {
        loop {
            self.order();
            let all = self.gates.iter().all(Told::has_heard);
            if self.pool.has_heard() == all {
                return;
            }
            self.step(pool::Event::Heard(all));
        }
    }

    fn order(&mut self) {
        let say = self.pool.say(Instant::now(), &self.rules);
        let insists = self.pool.insists();
        for (told, gate) in self.gates.iter_mut().zip(&self.planned.gates) {
            told.known.occupied = gate.sees().and_then(Sees::others) == Some(true);
        }
        // Those that see look first whose the maintenance is that they find: it could be the word of another of our gates.
        let blind = self.gates.iter().any(|told| !told.known.sees);
        let looked = self
            .gates
            .iter()
            .zip(&self.planned.gates)
            .all(|(told, gate)| {
                let order = told.orders.borrow();
                let said = order.wanted.as_ref().map(|wanted| wanted.say);
                let known =
                    said == Some(say) && told.last.is_some() && !told.is_to_record(gate, blind);
                !told.known.sees || told.known.foreign || known
            });
        // The blind ones first: those that see have to know what they say.
        let mut places: Vec<_> = (0..self.gates.len()).collect();
        places.sort_by_key(|at| self.gates.get(*at).is_some_and(|told| told.known.sees));
        for at in places {
            let known: Vec<_> = self.gates.iter().map(|told| told.known).collect();
            let Some(told) = self.gates.get_mut(at) else {
                continue;
            };
            let waits = !told.known.sees && !looked && matches!(say, Say::Drain | Say::Out);
            let before = told.orders.borrow().clone();
            if waits && before.wanted.is_some() {
                continue;
            }
            let wanted = match waits {
                true => None,
                false => wanted(say, &self.goal.why, told.known, &known),
            };
            if (&before.wanted, before.insists) == (&wanted, insists) {
                continue;
            }
            self.number += 1;
            if another(before.wanted.as_ref(), wanted.as_ref()) {
                told.from = self.number;
                told.last = None;
            }
            let says = wanted.as_ref().map(|wanted| Words::of(wanted.say));
            told.orders.send_replace(Order {
                number: self.number,
                wanted,
                insists,
            });
            let blind = !told.known.sees;
            if let (true, Some(says)) = (blind, says) {
                self.beside(|before| before.and(says));
            }
        }
    }

    /// Changes what those that see know of the words of those that do not.
    fn beside(&mut self, change: impl Fn(Words) -> Words) {
        for told in self.gates.iter_mut().filter(|told| told.known.sees) {
            told.known.beside = change(told.known.beside);
        }
    }

    fn report(&mut self, report: Report) {
        let gate = self.planned.gates.get(report.gate);
        let blind = self.gates.iter().any(|told| !told.known.sees);
        let (Some(told), Some(gate)) = (self.gates.get_mut(report.gate), gate) else {
            return;
        };
        let (pool, name) = (&self.planned.name, gate.name());
        let trouble = report.told.as_ref().err();
        if trouble.is_some() {
            self.counts.error(name);
        }
        if told.trouble.as_ref() != trouble {
            match trouble {
                Some(why) => {
                    tracing::warn!(%pool, gate = name, "cannot tell the load balancer: {why}")
                }
                None => tracing::info!(%pool, gate = name, "the load balancer can be told again"),
            }
            told.trouble = trouble.cloned();
        }
        // Late or not, it was said.
        let takes = !matches!(report.say, Say::In(_));
        told.known.told |= takes && report.recorded && report.told != Ok(Heard::Foreign);
        told.known.ours |= takes && report.told == Ok(Heard::Yes);
        if report.number < told.from {
            return;
        }
        let heard = report.told == Ok(Heard::Yes);
        if heard && told.known.sees && !takes {
            // It was found free after the last of them: what comes now is another's.
            told.known.beside = Words::default();
        }
        let replaced = heard && takes && !told.known.sees;
        match &report.told {
            Ok(Heard::Foreign) if !told.known.foreign => {
                told.known.foreign = true;
                tracing::warn!(
                    %pool, gate = name,
                    "somebody else has this node out there: it is left as it is, now and when nodeward lets go"
                );
                let event = Event::Foreign(pool.to_string(), name.to_owned());
                drop(self.events.send(event));
            }
            _ => {}
        }
        told.last = Some(report.told);
        if takes && told.is_to_record(gate, blind) {
            let event = Event::Telling(pool.to_string(), name.to_owned());
            drop(self.events.send(event));
        }
        if replaced {
            // Whoever asks had this one in place of the one before.
            self.beside(|_| Words::of(report.say));
        }
    }

    fn sight(&self) -> Sight {
        let gates = self.gates.iter().zip(&self.planned.gates);
        let gates = gates.map(|(told, gate)| GateStanding {
            name: gate.name().to_owned(),
            ok: !matches!(told.last, Some(Err(_))),
            foreign: told.known.foreign,
            why: told.why(),
        });
        let viewed = self.view.as_ref().and_then(|view| view.as_ref().ok());
        let counted = self.counted.as_ref().and_then(|all| all.as_ref().ok());
        let sessions = viewed.map(|view| view.sessions).or(counted.copied());
        Sight {
            goal: self.goal.number,
            held: matches!(self.goal.wish, Wish::Held { .. }),
            traffic: self.pool.traffic(),
            since: self.since,
            out: self.pool.is_out(),
            busy: self.pool.is_busy(),
            told: self
                .gates
                .iter()
                .all(|told| told.known.foreign || told.was_told()),
            known: self.gates.iter().map(|told| told.known).collect(),
            gates: gates.collect(),
            ledger: self.tally.as_ref().map(Tally::ledger),
            sessions,
            view: self.view.clone(),
        }
    }
}

/// Whether what a gate is told now is something else, so that it has not heard it yet.
fn another(before: Option<&Wanted>, now: Option<&Wanted>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => {
            let lifts = matches!(now.say, Say::In(_)) && before.lifts != now.lifts;
            before.say != now.say || lifts
        }
        (before, now) => before.is_some() != now.is_some(),
    }
}

impl Told {
    fn was_told(&self) -> bool {
        matches!(&self.last, Some(Ok(heard)) if *heard != Heard::Unrecorded)
    }

    fn has_heard(&self) -> bool {
        self.known.foreign || matches!(self.last, Some(Ok(Heard::Yes | Heard::Foreign)))
    }

    /// Whether a word of ours to its server waits for that to be on record: nobody else has the node out there. Where it cannot be
    /// looked at now, the word of a blind gate may still reach the server.
    fn is_to_record(&self, gate: &Arc<dyn Gate>, blind: bool) -> bool {
        let free = match &self.last {
            Some(Ok(Heard::Unrecorded)) => true,
            Some(Err(_)) => blind && gate.sees().and_then(Sees::others) == Some(false),
            _ => false,
        };
        free && !self.known.recorded
    }

    fn why(&self) -> Option<String> {
        match &self.last {
            _ if self.known.foreign => Some("somebody else has this node out there".into()),
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(Heard::NotYet)) => Some("no load balancer has asked yet".into()),
            Some(Ok(Heard::Unrecorded)) => Some("it is not on record yet that it is told".into()),
            None => Some("not told yet".into()),
            Some(Ok(Heard::Yes | Heard::Foreign)) => None,
        }
    }
}
