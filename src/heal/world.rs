//! The real hands: actions, checks and systemd.

mod probing;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::evidence::{Gatherer, Occasion, Packet};
use super::guards::{Leaving, Look, Unseen};
use super::hands::{Hands, Later, Started};
use super::incident::State;
use super::job::Job;
use super::machine::{After, Outcome};
use super::playbook::{BETWEEN, Probe, ROUND, Step, share};
use super::pools::Pools;
use crate::action::{self, Do, Strength};
use crate::check::{self, Checks};
use crate::host::Clock;
use crate::model::duration::Period;
use crate::model::hold::Holds;
use crate::model::moment::Moment;
use crate::model::sight::Sight;

/// How long one look may take, beside what is confirmed.
const LOOK: Duration = Duration::from_secs(10);

/// The real world.
pub struct World {
    clock: Clock,
    /// Another one after each reload.
    reach: RwLock<Reach>,
    gatherer: Gatherer,
}

/// What the hands reach.
#[derive(Clone)]
pub struct Reach {
    /// What actions act upon.
    pub action: action::World,
    /// The checks.
    pub checks: Arc<Checks>,
    /// What probes look at.
    pub probes: check::World,
    /// The pools.
    pub pools: Arc<dyn Pools>,
}

impl World {
    /// Hands that reach this.
    #[must_use]
    pub fn new(clock: Clock, reach: Reach) -> Self {
        Self {
            clock,
            reach: RwLock::new(reach),
            gatherer: Gatherer::default(),
        }
    }

    /// Reaches another world from here on; what is under way goes on in the one it began in.
    pub fn change(&self, reach: Reach) {
        *self.reach.write().unwrap_or_else(PoisonError::into_inner) = reach;
    }

    fn reach(&self) -> Reach {
        self.reach
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Hands for World {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn look(&self, job: Job) -> Later<Look> {
        let (reach, clock) = (self.reach(), self.clock.clone());
        Box::pin(async move {
            // What fails may take long to be confirmed; what else there is to see is to be of now.
            let confirm = confirm(&reach, &clock, &job).await;
            let action = tokio::time::timeout(LOOK, look(&reach, &job));
            let pool = leaving(&reach, &job);
            let (action, pool) = tokio::join!(action, pool);
            let late = || Unseen(late(LOOK).1);
            let action = action.unwrap_or_else(|_| Look {
                confirm: Vec::new(),
                busy: None,
                evidence: None,
                pool: None,
                witness: Err(late()),
                action: Err(late()),
            });
            Look {
                confirm,
                pool,
                ..action
            }
        })
    }

    fn gather(&self, job: Job, occasion: Occasion) -> Later<Option<Packet>> {
        let now = self.clock.now().wall;
        self.gatherer.gather(self.reach(), job, occasion, now)
    }

    fn hold(&self, holds: &Holds) {
        self.reach().pools.hold(holds);
    }

    fn isolate(&self, pool: &str) -> Later<(bool, Value)> {
        self.reach().pools.out(pool)
    }

    fn act(&self, job: Job, started: Started) -> Later<(Outcome, Value)> {
        let world = self.reach().action;
        Box::pin(async move {
            let Some((step, action)) = acting(&job) else {
                return (
                    Outcome::Failed,
                    json!({"why": "the ladder has no such rung any more"}),
                );
            };
            let attempt = job.attempt();
            let order = job.order(step.timeout.get(), &attempt);
            match action.act(&world, &order, started).await {
                action::Outcome::Done(detail) => (Outcome::Done, detail),
                action::Outcome::Failed { why, detail } => (Outcome::Failed, told(why, detail)),
                action::Outcome::Unknown { why, detail } => (Outcome::Unknown, told(why, detail)),
            }
        })
    }

    fn probe(&self, job: Job) -> Later<(Sight, Value)> {
        let (reach, clock) = (self.reach(), self.clock.clone());
        Box::pin(async move {
            let probes = job.playbook.proof();
            let round = probes.iter().map(|probe| {
                let probing = probing::probe(&reach, &clock, &job, probe, share(1));
                tokio::time::timeout(ROUND, probing)
            });
            let seen = together(round).await.into_iter().zip(&probes);
            let seen = seen.map(|(seen, probe)| {
                let (sight, why) = seen.unwrap_or_else(|_| late(ROUND));
                let (name, value) = probing::name(probe);
                let passed = sight == Sight::Well;
                let asked = why != probing::NOT_ASKED;
                (
                    asked.then_some(sight),
                    json!({name: value, "passed": passed, "why": why}),
                )
            });
            let (sights, seen): (Vec<_>, Vec<_>) = seen.unzip();
            let asked: Vec<Sight> = sights.into_iter().flatten().collect();
            // Where nobody was asked nothing is proven.
            let sight = match asked.is_empty() {
                true => Sight::Blind,
                false => Sight::all(asked),
            };
            (sight, Value::Array(seen))
        })
    }

    fn after(&self, job: Job) -> Later<After> {
        let (world, clock) = (self.reach().action, self.clock.clone());
        let mut waited = Duration::ZERO;
        Box::pin(async move {
            let (State::Intent { witness, limit } | State::Acting { witness, limit }) =
                &job.incident.state
            else {
                return After::Nothing;
            };
            let Some((step, action)) = acting(&job) else {
                return After::Unknown;
            };
            match step.strength() {
                Strength::Idempotent => return After::DidNot,
                Strength::Weak => return After::Unknown,
                Strength::Strong => {}
            }
            let Some(before) = witness else {
                return After::Unknown;
            };
            let attempt = job.attempt();
            let order = job.order(step.timeout.get(), &attempt);
            loop {
                // It cannot be asked for any more, nor be at work, once its time is over.
                let left = limit.left(&clock.now());
                let looked = tokio::time::timeout(LOOK, action.look(&world, &order)).await;
                let Ok(looked) = looked else {
                    return After::Unknown;
                };
                let unchanged = match looked.witness {
                    Ok(Some(now)) if now.0 != *before => return After::Happened,
                    // A job that is still queued may be ours.
                    Ok(Some(_)) => looked.busy.is_none(),
                    _ => false,
                };
                let lags = looked.lags.min(left).saturating_sub(waited);
                if !unchanged || lags > LOOK {
                    return After::Unknown;
                }
                if lags.is_zero() {
                    return After::DidNot;
                }
                // It may have been asked for just before the process ended that did so.
                tokio::time::sleep(lags).await;
                waited += lags;
            }
        })
    }
}

/// A detail with the reason in it.
fn told(why: String, detail: Value) -> Value {
    let mut told = Map::new();
    told.insert("why".into(), why.into());
    match detail {
        Value::Null => {}
        Value::Object(detail) => told.extend(detail),
        other => drop(told.insert("detail".into(), other)),
    }
    Value::Object(told)
}

/// What `confirm` asks, as its guard names it.
pub(super) fn called(asked: &Probe) -> String {
    match asked {
        Probe::Check(name) => name.clone(),
        other => match probing::name(other) {
            (kind, Value::String(of)) => format!("{kind} {of}"),
            (kind, _) => kind.to_owned(),
        },
    }
}

/// What is said where nothing was seen in time.
fn late(within: Duration) -> (Sight, String) {
    let within = Period::secs(within.as_secs());
    (Sight::Blind, format!("nothing was seen within {within}"))
}

/// Waits for all of them at once.
async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut each: Vec<_> = futures.into_iter().map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, output) in each.iter_mut().filter(|(_, output)| output.is_none()) {
            match future.as_mut().poll(context) {
                Poll::Ready(value) => *output = Some(value),
                Poll::Pending => ready = false,
            }
        }
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    each.into_iter().filter_map(|(_, output)| output).collect()
}

/// Asks what `confirm` names, all of it at once: as often in a row as it wants, or until it is not ill.
async fn confirm(reach: &Reach, clock: &Clock, job: &Job) -> Vec<(String, Sight, String)> {
    let wanted = job.playbook.confirm.iter();
    let each = wanted.filter_map(|c| Some((c.asks()?, c.fails)));
    let each = each.map(|(asked, fails)| async move {
        let asking = async {
            let mut seen = (Sight::Blind, String::new());
            for time in 0..fails {
                if time > 0 {
                    tokio::time::sleep(BETWEEN).await;
                }
                seen = probing::probe(reach, clock, job, &asked, share(fails)).await;
                if seen.0 != Sight::Ill {
                    break;
                }
            }
            seen
        };
        let seen = tokio::time::timeout(LOOK, asking).await;
        let (sight, why) = seen.unwrap_or_else(|_| late(LOOK));
        (called(&asked), sight, why)
    });
    together(each).await
}

/// The rung that an incident is at, and its action.
fn acting(job: &Job) -> Option<(&Step, &Do)> {
    let step = job.rung()?;
    Some((step, step.action.as_ref()?))
}

/// Looks at the pool that is to be left first.
async fn leaving(reach: &Reach, job: &Job) -> Option<Result<Leaving, Unseen>> {
    let leave = job.plan.leaves(&job.incident)?;
    let looked = tokio::time::timeout(LOOK, reach.pools.look(leave.pool)).await;
    Some(looked.unwrap_or_else(|_| Err(Unseen(late(LOOK).1))))
}

/// Looks at the action that is next.
async fn look(reach: &Reach, job: &Job) -> Look {
    let confirm = Vec::new();
    let Some(step) = job.rung() else {
        let gone = || Unseen("the ladder has no such rung any more".into());
        return Look {
            confirm,
            busy: None,
            evidence: None,
            pool: None,
            witness: Err(gone()),
            action: Err(gone()),
        };
    };
    let attempt = job.attempt();
    let order = job.order(step.timeout.get(), &attempt);
    let action = job.rendered(step);
    let Some(does) = &step.action else {
        // To leave a pool needs no witness: the hold is one.
        return Look {
            confirm,
            busy: None,
            evidence: None,
            pool: None,
            witness: Ok(None),
            action,
        };
    };
    let action = match (action, does.ready(&reach.action).await) {
        (Ok(_), Err(why)) => Err(Unseen(why)),
        (action, _) => action,
    };
    let looked = does.look(&reach.action, &order).await;
    Look {
        confirm,
        busy: looked.busy,
        evidence: None,
        pool: None,
        witness: looked.witness.map(|w| w.map(|w| w.0)).map_err(Unseen),
        action,
    }
}

#[cfg(test)]
mod tests;
