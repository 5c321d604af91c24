//! The pools that this node takes traffic in, and how they follow the holds.
//!
//! Outlives reloads. A pool whose options are the same after one goes on as it was; of one that is gone, or has other gates, what
//! nodeward placed at the gates that are left is taken back first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::drive::{self, Goal, looks};
use super::plan::Planned;
use super::pool::Wish;
use super::standing::{Counts, Sight, Standing};
use super::teller;
use super::{Asked, Gate, Ledger, Plan, View};
use crate::host::Clock;
use crate::model::hold::{Held, Holds};
use crate::model::moment::Moment;
use crate::net::accept::Counters;

/// Events kept for a listener that is slow. One that missed some says its holds again.
const KEPT: usize = 256;
/// How much longer than its drain and its cut the way out of a pool may take: load balancers that ask do so every few seconds.
const SLACK: Duration = Duration::from_secs(15);
/// How long what is nodeward's may take to be taken back at a gate that leaves the config.
const LEAVING: Duration = Duration::from_secs(10);
/// The longest reason that a load balancer is told, in bytes.
const REASON: usize = 80;

/// What whoever keeps the holds has to put on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing of nodeward's is left in the load balancers of this pool: its holds were lifted, and every gate knows.
    Heard(String),
    /// This gate of this pool is about to be told, for the first time, to take the node out: it is once that is on record, and the holds
    /// that say so are said.
    Telling(String, String),
    /// At this gate of this pool somebody else has the node out.
    Foreign(String, String),
    /// The node is out of this pool as far as it will be, and what became of its sessions, where somebody counts them. Not said again by a
    /// process that starts with it out.
    Out(String, Option<Ledger>),
}

/// How taking the node out of a pool went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isolated {
    /// It is out: every gate knows, and what was to be cut is cut.
    pub complete: bool,
    /// What became of its sessions; none where nobody counts them.
    pub ledger: Option<Ledger>,
    /// How it stands, in one line for people.
    pub why: String,
}

/// The driven pools. Clones are the same ones.
#[derive(Clone)]
pub struct Pools(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    events: broadcast::Sender<Event>,
    /// Which gate answers at which address.
    asked: watch::Sender<BTreeMap<String, Arc<dyn Gate>>>,
    connections: Arc<Counters>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Arc<str>, Entry>,
    /// Those that there are, driven yet or not.
    named: BTreeSet<Arc<str>>,
    holds: Holds,
    /// The holds were said at least once.
    said: bool,
    number: u64,
    counts: BTreeMap<Arc<str>, Arc<Counts>>,
}

/// One driven pool.
struct Entry {
    planned: Arc<Planned>,
    goals: watch::Sender<Goal>,
    sight: watch::Receiver<Sight>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Default for Pools {
    /// None.
    fn default() -> Self {
        Self(Arc::new(Inner {
            state: Mutex::default(),
            events: broadcast::Sender::new(KEPT),
            asked: watch::Sender::default(),
            connections: Arc::default(),
            clock: Clock::new(),
        }))
    }
}

impl Pools {
    /// Has the pools follow these holds; returns at once. What is not in them is left alone, or taken back if it was told. The first
    /// time, they are those that a process before may have told the gates of.
    pub fn hold(&self, holds: &Holds) {
        let mut state = self.state();
        let restored = !state.said;
        state.said = true;
        if state.holds != *holds {
            state.holds = holds.clone();
        }
        state.number += 1;
        let number = state.number;
        let now = self.0.clock.now();
        for (name, entry) in &state.entries {
            let goal = goal(number, holds.get(name), restored, &now);
            entry.goals.send_replace(goal);
        }
        for (pool, held) in holds.iter() {
            if state.entries.contains_key(pool) {
                continue;
            }
            if !held.is_held() {
                drop(self.0.events.send(Event::Heard(pool.to_owned())));
            } else if restored {
                tracing::warn!(
                    pool,
                    "this node was held out of a pool that is not in the config any more: look at its load balancers"
                );
            }
        }
    }

    /// Waits until the node is out of a pool that is held, for as long as that may take.
    pub async fn out(&self, pool: &str) -> Isolated {
        let found = {
            let state = self.state();
            state.entries.get(pool).map(|entry| {
                let number = entry.goals.borrow().number;
                (entry.sight.clone(), number, entry.planned.pool.rules())
            })
        };
        let Some((mut sight, number, rules)) = found else {
            return Isolated {
                complete: false,
                ledger: None,
                why: format!("no pool is called {pool:?} any more"),
            };
        };
        let deadline = Instant::now() + rules.way_out() + SLACK;
        let over = |sight: &Sight| sight.goal >= number && (sight.out || !sight.held);
        let ended = match timeout_at(deadline, sight.wait_for(over)).await {
            Ok(Ok(_)) => None,
            Ok(Err(_)) => Some("the pool was changed by a reload meanwhile"),
            Err(_) => Some("not out in time"),
        };
        let sight = sight.borrow();
        let mut why = Vec::from_iter(ended.map(str::to_owned));
        if !sight.held {
            why.push("the holds were lifted meanwhile".into());
        }
        for gate in &sight.gates {
            why.extend(gate.why.iter().map(|why| format!("{}: {why}", gate.name)));
        }
        if why.is_empty() {
            why.push("every gate knows".into());
        }
        Isolated {
            complete: ended.is_none() && sight.out && sight.held,
            ledger: sight.ledger,
            why: why.join("; "),
        }
    }

    /// How many others of a pool must take traffic, and how long [`Pools::out`] may take at most; none if there is no such pool.
    #[must_use]
    pub fn leaving(&self, pool: &str) -> Option<(Option<u32>, Duration)> {
        let state = self.state();
        let planned = &state.entries.get(pool)?.planned;
        let within = planned.pool.rules().way_out() + SLACK;
        Some((planned.pool.min_healthy, within))
    }

    /// Has the pools follow the holds that were said last once more: events of them were missed.
    pub fn again(&self) {
        let holds = self.state().holds.clone();
        self.hold(&holds);
    }

    /// Looks at a pool now, through every gate of it that sees: the pool, or why nothing is known of it, never a guess; and the gates at
    /// which somebody else has the node out already, which the first hold of a pool is to be placed with.
    pub async fn view(&self, pool: &str) -> (Result<View, String>, BTreeSet<String>) {
        let planned = {
            let state = self.state();
            let entry = state.entries.get(pool);
            entry.map(|entry| Arc::clone(&entry.planned))
        };
        let Some(planned) = planned else {
            return (Err(format!("no pool is called {pool:?}")), BTreeSet::new());
        };
        let views = looks::views(&planned).await;
        let foreign = views.iter().filter_map(|(gate, view)| {
            let foreign = view.as_ref().is_ok_and(|view| view.foreign);
            foreign.then(|| gate.clone())
        });
        let foreign = foreign.collect();
        (looks::whole(views), foreign)
    }

    /// How this node stands in each pool, by name.
    #[must_use]
    pub fn standing(&self) -> BTreeMap<Arc<str>, Standing> {
        let state = self.state();
        let each = state.entries.iter().map(|(name, entry)| {
            let sight = entry.sight.borrow();
            let view = sight.view.as_ref().and_then(|view| view.as_ref().ok());
            let standing = Standing {
                traffic: sight.traffic,
                since: sight.since,
                held: sight.held,
                busy: sight.busy,
                gates: sight.gates.clone(),
                ledger: sight.ledger,
                sessions: sight.sessions,
                healthy_others: view.map(|view| view.healthy_others),
            };
            (Arc::clone(name), standing)
        });
        each.collect()
    }

    /// What is told of pools, as it comes, from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Waits until every gate of the pools that are held, or were, has had its word; whether that was before `deadline`.
    pub async fn asserted(&self, deadline: Instant) -> bool {
        let waiting: Vec<_> = {
            let state = self.state();
            let entries = state.entries.values();
            entries
                .map(|entry| (entry.sight.clone(), entry.goals.borrow().number))
                .collect()
        };
        for (mut sight, number) in waiting {
            let told = |sight: &Sight| sight.goal >= number && (!sight.busy || sight.told);
            match timeout_at(deadline, sight.wait_for(told)).await {
                Ok(_) => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Drives the pools of a plan in place of those before. Must be called on the runtime.
    pub fn change(&self, plan: &Plan) {
        self.name(plan);
        let now = self.0.clock.now();
        let mut state = self.state();
        let mut before = std::mem::take(&mut state.entries);
        for (name, planned) in &plan.0 {
            let entry = match before.remove(name) {
                Some(entry) if entry.planned.is_as(planned) => entry,
                old => {
                    let busy = old.as_ref().is_some_and(|old| old.sight.borrow().busy);
                    if let Some(old) = old {
                        self.leave(&old, planned);
                    }
                    let counts = Arc::clone(state.counts.entry(Arc::clone(name)).or_default());
                    let goal = match state.said {
                        true => goal(state.number, state.holds.get(name), busy, &now),
                        // Before the holds were said.
                        false => goal(0, None, false, &now),
                    };
                    self.enter(planned, goal, counts)
                }
            };
            state.entries.insert(Arc::clone(name), entry);
        }
        for (name, gone) in before {
            if gone.sight.borrow().held {
                tracing::warn!(
                    pool = %name,
                    "the pool was taken out of the config while this node is held out of it: what nodeward placed at its gates is taken back"
                );
            }
            self.leave(&gone, &Planned::none(&name));
            state.counts.remove(&name);
        }
        let places = state
            .entries
            .values()
            .flat_map(|entry| listening(&entry.planned));
        let places: Vec<_> = places.collect();
        self.0.asked.send_modify(|asked| asked.extend(places));
    }

    fn enter(&self, planned: &Arc<Planned>, goal: Goal, counts: Arc<Counts>) -> Entry {
        let (goals, wanted) = watch::channel(goal);
        let (sights, sight) = watch::channel(Sight::unseen());
        let driving = drive::drive(
            Arc::clone(planned),
            wanted,
            sights,
            Arc::clone(&counts),
            self.0.events.clone(),
        );
        Entry {
            planned: Arc::clone(planned),
            goals,
            sight,
            counts,
            task: tokio::spawn(driving),
        }
    }

    /// Takes back what is nodeward's at gates that are not there any more.
    fn leave(&self, old: &Entry, new: &Planned) {
        let (busy, known) = {
            let sight = old.sight.borrow();
            (sight.busy, sight.known.clone())
        };
        let stays = |gate: &Arc<dyn Gate>| new.gates.iter().any(|g| g.name() == gate.name());
        let all: Vec<_> = known.clone();
        let gone = old.planned.gates.iter().zip(known);
        for (gate, known) in gone.filter(|(gate, _)| !stays(gate)) {
            let (pools, gate, all) = (self.clone(), Arc::clone(gate), all.clone());
            let pool = Arc::clone(&old.planned.name);
            if !busy {
                pools.forget(&gate);
                continue;
            }
            tokio::spawn(async move {
                let deadline = Instant::now() + LEAVING;
                if !teller::leave(&*gate, known, &all, deadline).await {
                    tracing::warn!(
                        %pool, gate = gate.name(),
                        "the gate is gone from the config, and what nodeward placed there could not be taken back: look at its load balancer"
                    );
                }
                pools.forget(&gate);
            });
        }
    }

    /// Answers at the addresses of a gate no more, unless another has them.
    fn forget(&self, gate: &Arc<dyn Gate>) {
        self.0.asked.send_modify(|asked| {
            asked.retain(|_, other| !Arc::ptr_eq(gate, other));
        });
    }

    /// What happens to connections at the addresses of gates, whoever binds them.
    #[must_use]
    pub fn connections(&self) -> &Arc<Counters> {
        &self.0.connections
    }

    /// The gate that answers at an address that it listens on.
    #[must_use]
    pub fn at(&self, address: &str) -> Option<Arc<dyn Gate>> {
        self.0.asked.borrow().get(address).cloned()
    }

    /// Waits until no gate answers at an address.
    pub async fn left(&self, address: &str) {
        let mut asked = self.0.asked.subscribe();
        // The sender is here: it cannot be gone.
        drop(asked.wait_for(|asked| !asked.contains_key(address)).await);
    }

    /// Names the pools that there are, and tells no gate anything: while nobody knows the holds, this node may be out of any of them.
    pub fn name(&self, plan: &Plan) {
        self.state().named = plan.0.keys().cloned().collect();
    }

    /// Whether something is known to hold the node out of a pool, or of any; none if there is no such pool.
    #[must_use]
    pub fn is_held(&self, pool: Option<&str>) -> Option<bool> {
        let state = self.state();
        match pool {
            None => Some(state.holds.is_isolated()),
            Some(name) => {
                let held = || state.holds.get(name).is_some_and(Held::is_held);
                state.named.contains(name).then(held)
            }
        }
    }

    /// Calls `each` with every pool, by name, while nothing changes.
    pub(super) fn look(&self, mut each: impl FnMut(&str, &Planned, &Counts, &Sight)) {
        for (name, entry) in &self.state().entries {
            each(name, &entry.planned, &entry.counts, &entry.sight.borrow());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listening(planned: &Planned) -> Vec<(String, Arc<dyn Gate>)> {
    let gates = planned.gates.iter();
    let each = gates.flat_map(|gate| {
        let places = gate.asked().map(Asked::listens).unwrap_or_default();
        places
            .iter()
            .map(|place| (place.to_string(), Arc::clone(gate)))
    });
    each.collect()
}

/// What holds say of a pool.
fn goal(number: u64, held: Option<&Held>, restored: bool, now: &Moment) -> Goal {
    let wish = match held {
        None => Wish::Free,
        Some(held) if !held.is_held() => Wish::Lifted,
        Some(held) => Wish::Held {
            easing: held.is_easing(),
            age: held.age(now),
        },
    };
    let why = held.and_then(|held| held.holds.values().next());
    Goal {
        number,
        wish,
        foreign: held.map(|held| held.foreign.clone()).unwrap_or_default(),
        recorded: held.map(|held| held.told.clone()).unwrap_or_default(),
        why: why.map_or_else(String::new, |hold| reason(&hold.why)),
        restored,
    }
}

/// A reason as a load balancer may take it: one short line of printable ASCII.
fn reason(why: &str) -> String {
    let plain = |c: char| {
        if c == ' ' || c.is_ascii_graphic() {
            c
        } else {
            '?'
        }
    };
    why.chars().take(REASON).map(plain).collect()
}

#[cfg(test)]
mod tests;
