//! The real hands: actions, checks and systemd.

mod probing;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::guards::{Look, Unseen};
use super::hands::{Hands, Later, Started};
use super::incident::State;
use super::job::Job;
use super::machine::{After, Outcome};
use super::playbook::Probe;
use crate::action::{self, Strength};
use crate::check::{self, Checks};
use crate::host::Clock;
use crate::model::duration::Period;
use crate::model::moment::Moment;

/// How long one round of probes may take: it is asked for again after the machine's patience.
const ROUND: Duration = Duration::from_secs(25);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(20);
/// How long one probe may take.
const PROBE: Duration = Duration::from_secs(10);
/// Between two probes of one `confirm`.
const BETWEEN: Duration = Duration::from_millis(200);

/// The real world.
pub struct World {
    clock: Clock,
    /// Another one after each reload.
    reach: RwLock<Reach>,
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
}

impl World {
    /// Hands that reach this.
    #[must_use]
    pub const fn new(clock: Clock, reach: Reach) -> Self {
        Self {
            clock,
            reach: RwLock::new(reach),
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
            let late = || {
                Unseen(format!(
                    "nothing was seen within {}",
                    Period::secs(LOOK.as_secs())
                ))
            };
            let looking = look(&reach, &clock, &job);
            tokio::time::timeout(LOOK, looking)
                .await
                .unwrap_or_else(|_| Look {
                    confirm: Vec::new(),
                    busy: None,
                    witness: Err(late()),
                    action: Err(late()),
                })
        })
    }

    fn act(&self, job: Job, started: Started) -> Later<(Outcome, Value)> {
        let world = self.reach().action;
        Box::pin(async move {
            let Some(step) = job.rung() else {
                return (
                    Outcome::Failed,
                    json!({"why": "the ladder has no such rung any more"}),
                );
            };
            let attempt = job.attempt();
            let order = job.order(step.timeout.get(), &attempt);
            match step.action.act(&world, &order, started).await {
                action::Outcome::Done(detail) => (Outcome::Done, detail),
                action::Outcome::Failed { why, detail } => (Outcome::Failed, told(why, detail)),
                action::Outcome::Unknown { why, detail } => (Outcome::Unknown, told(why, detail)),
            }
        })
    }

    fn probe(&self, job: Job) -> Later<(bool, Value)> {
        let (reach, clock) = (self.reach(), self.clock.clone());
        Box::pin(async move {
            let round = async {
                let mut all = true;
                let mut seen = Vec::new();
                for probe in job.playbook.proof() {
                    let (passed, why) = probing::probe(&reach, &clock, &job, &probe).await;
                    let (name, value) = probing::name(&probe);
                    all &= passed;
                    seen.push(json!({name: value, "passed": passed, "why": why}));
                }
                (all, Value::Array(seen))
            };
            let late = || {
                let why = format!("not all was seen within {}", Period::secs(ROUND.as_secs()));
                (false, json!([{"passed": false, "why": why}]))
            };
            let looked = tokio::time::timeout(ROUND, round).await;
            looked.unwrap_or_else(|_| late())
        })
    }

    fn after(&self, job: Job) -> Later<After> {
        let world = self.reach().action;
        Box::pin(async move {
            let (State::Intent { witness, .. } | State::Acting { witness, .. }) =
                &job.incident.state
            else {
                return After::Nothing;
            };
            let Some(step) = job.rung() else {
                return After::Unknown;
            };
            match step.action.strength() {
                Strength::Idempotent => return After::DidNot,
                Strength::Weak => return After::Unknown,
                Strength::Strong => {}
            }
            let Some(before) = witness else {
                return After::Unknown;
            };
            let attempt = job.attempt();
            let order = job.order(step.timeout.get(), &attempt);
            let looked = tokio::time::timeout(LOOK, step.action.look(&world, &order)).await;
            match looked {
                Ok(looked) => match looked.witness {
                    Ok(Some(now)) if now.0 != *before => After::Happened,
                    // A job that is still queued may be ours.
                    Ok(Some(_)) if looked.busy.is_none() => After::DidNot,
                    _ => After::Unknown,
                },
                Err(_) => After::Unknown,
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

async fn look(reach: &Reach, clock: &Clock, job: &Job) -> Look {
    let mut confirm = Vec::new();
    let wanted = job.playbook.confirm.iter();
    for (asked, fails) in wanted.filter_map(|c| Some((c.asks()?, c.fails))) {
        let mut seen = (true, String::new());
        for time in 0..fails {
            if time > 0 {
                tokio::time::sleep(BETWEEN).await;
            }
            let (passed, why) = probing::probe(reach, clock, job, &asked).await;
            seen = (!passed, why);
            if passed {
                break;
            }
        }
        confirm.push((called(&asked), seen.0, seen.1));
    }
    let Some(step) = job.rung() else {
        let gone = || Unseen("the ladder has no such rung any more".into());
        return Look {
            confirm,
            busy: None,
            witness: Err(gone()),
            action: Err(gone()),
        };
    };
    let attempt = job.attempt();
    let order = job.order(step.timeout.get(), &attempt);
    let action = job.rendered(step);
    let looked = step.action.look(&reach.action, &order).await;
    Look {
        confirm,
        busy: looked.busy,
        witness: looked.witness.map(|w| w.map(|w| w.0)).map_err(Unseen),
        action,
    }
}

#[cfg(test)]
mod tests;
