//! The real hands: actions, checks and systemd.

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
use crate::check::Checks;
use crate::host::Clock;
use crate::model::duration::Period;
use crate::model::moment::{Moment, Timestamp};
use crate::model::target::Target;
use crate::peer::container::Container;

/// How long one look or one round of probes may take.
const LOOK: Duration = Duration::from_secs(20);
/// How long one probe may take.
const PROBE: Duration = Duration::from_secs(10);
/// Between two probes of one `confirm`.
const BETWEEN: Duration = Duration::from_millis(200);

/// The real world.
pub struct World {
    clock: Clock,
    /// Another one after each reload.
    action: RwLock<action::World>,
    checks: Arc<Checks>,
}

impl World {
    /// Hands that reach `action`'s world and run `checks`.
    #[must_use]
    pub fn new(clock: Clock, action: action::World, checks: Arc<Checks>) -> Self {
        Self {
            clock,
            action: RwLock::new(action),
            checks,
        }
    }

    /// Reaches another world from here on; what is under way goes on in the one it began in.
    pub fn change(&self, action: action::World) {
        *self.action.write().unwrap_or_else(PoisonError::into_inner) = action;
    }

    fn action(&self) -> action::World {
        self.action
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
        let (world, checks) = (self.action(), Arc::clone(&self.checks));
        Box::pin(async move {
            let late = || {
                Unseen(format!(
                    "nothing was seen within {}",
                    Period::secs(LOOK.as_secs())
                ))
            };
            let looking = look(&world, &checks, &job);
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
        let world = self.action();
        Box::pin(async move {
            let Some(step) = job.rung() else {
                return (
                    Outcome::Failed,
                    json!({"why": "the ladder has no such rung any more"}),
                );
            };
            let attempt = job.attempt();
            let order = job.order(step, &attempt);
            match step.action.act(&world, &order, started).await {
                action::Outcome::Done(detail) => (Outcome::Done, detail),
                action::Outcome::Failed { why, detail } => (Outcome::Failed, told(why, detail)),
                action::Outcome::Unknown { why, detail } => (Outcome::Unknown, told(why, detail)),
            }
        })
    }

    fn probe(&self, job: Job) -> Later<(bool, Value)> {
        let (world, checks, clock) = (self.action(), Arc::clone(&self.checks), self.clock.clone());
        Box::pin(async move {
            let mut all = true;
            let mut seen = Vec::new();
            for probe in job.playbook.proof() {
                let (passed, what) = match &probe {
                    Probe::Check(name) => {
                        let (passed, why) = run(&checks, name).await;
                        (passed, json!({"check": name, "passed": passed, "why": why}))
                    }
                    Probe::UnitStable(span) => {
                        let (passed, why) =
                            stable(&world, &clock, &job.incident.target, span.get()).await;
                        (
                            passed,
                            json!({"unit_stable": span, "passed": passed, "why": why}),
                        )
                    }
                    Probe::ContainerStable(span) => {
                        let now = clock.now().wall;
                        let target = &job.incident.target;
                        let (passed, why) = container_stable(&world, now, target, span.get()).await;
                        (
                            passed,
                            json!({"container_stable": span, "passed": passed, "why": why}),
                        )
                    }
                };
                all &= passed;
                seen.push(what);
            }
            (all, Value::Array(seen))
        })
    }

    fn after(&self, job: Job) -> Later<After> {
        let world = self.action();
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
            let order = job.order(step, &attempt);
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

async fn look(world: &action::World, checks: &Checks, job: &Job) -> Look {
    let mut confirm = Vec::new();
    for wanted in &job.playbook.confirm {
        let mut seen = (true, String::new());
        for time in 0..wanted.fails {
            if time > 0 {
                tokio::time::sleep(BETWEEN).await;
            }
            let (passed, why) = run(checks, &wanted.check).await;
            seen = (!passed, why);
            if passed {
                break;
            }
        }
        confirm.push((wanted.check.clone(), seen.0, seen.1));
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
    let order = job.order(step, &attempt);
    let action = job.rendered(step);
    let looked = step.action.look(world, &order).await;
    Look {
        confirm,
        busy: looked.busy,
        witness: looked.witness.map(|w| w.map(|w| w.0)).map_err(Unseen),
        action,
    }
}

/// Runs a check now: whether it passed, and what it saw.
async fn run(checks: &Checks, name: &str) -> (bool, String) {
    match checks
        .probe(name, tokio::time::Instant::now() + PROBE)
        .await
    {
        Some(probed) => (probed.ok, probed.why),
        None => (false, format!("there is no check {name:?}")),
    }
}

/// Whether a unit is active and has been so for `span`, in one piece.
async fn stable(
    world: &action::World,
    clock: &Clock,
    target: &Target,
    span: Duration,
) -> (bool, String) {
    let Target::Unit(unit) = target else {
        return (false, "the target is no unit".into());
    };
    let Some(systemd) = &world.systemd else {
        return (false, "there is no systemd (subjects.systemd.bus)".into());
    };
    let state = match systemd.unit_state(unit, PROBE).await {
        Ok(state) => state,
        Err(error) => return (false, error.to_string()),
    };
    let sub = format!("{}/{}", state.active_state, state.sub_state);
    if state.active_state != "active" {
        return (false, format!("it is {sub} ({})", state.result));
    }
    let long = clock
        .monotonic()
        .saturating_sub(Duration::from_micros(state.changed_at));
    let words = Period::secs(long.as_secs());
    if long >= span {
        (true, format!("{sub} for {words}"))
    } else {
        (false, format!("{sub} only for {words}"))
    }
}

/// Whether a container has run for `span` in one piece, and is healthy if it tells its health.
async fn container_stable(
    world: &action::World,
    now: Timestamp,
    target: &Target,
    span: Duration,
) -> (bool, String) {
    let Target::Container(name) = target else {
        return (false, "the target is no container".into());
    };
    let Some(engine) = &world.container else {
        return (false, "no container engine is asked here".into());
    };
    match engine.inspect(name, PROBE).await {
        Ok(state) => runs(&state, now, span),
        Err(error) => (false, error.to_string()),
    }
}

/// An engine begins with `starting` after each start: that is no health yet.
fn runs(state: &Container, now: Timestamp, span: Duration) -> (bool, String) {
    let status = &state.status;
    if !state.running || state.restarting {
        return (false, format!("it is {status} ({})", state.exit_code));
    }
    if !["", "healthy"].contains(&&*state.health) {
        return (
            false,
            format!("it is {status}, its health {}", state.health),
        );
    }
    let Some(started) = Timestamp::parse(&state.started_at) else {
        let when = &state.started_at;
        return (
            false,
            format!("the engine tells no time of its start: {when:?}"),
        );
    };
    let long = now.since(started);
    let words = Period::secs(long.as_secs());
    if long >= span {
        (true, format!("{status} for {words}"))
    } else {
        (false, format!("{status} only for {words}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(text: &str) -> Container {
        let mut parts = text.split(' ');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let status = next();
        Container {
            running: status == "running" || status == "restarting",
            restarting: status == "restarting",
            status,
            started_at: next(),
            health: next(),
            ..Container::default()
        }
    }

    #[test]
    fn a_container_is_stable_once_it_has_run_for_a_while_and_is_not_merely_starting() {
        let now = Timestamp::parse("2026-11-26T10:00:20Z").unwrap();
        for (state, passed, says) in [
            ("running 2026-11-26T10:00:09.5Z", true, "running for 10s"),
            (
                "running 2026-11-26T10:00:09.5Z healthy",
                true,
                "running for 10s",
            ),
            (
                "running 2026-11-26T10:00:10.5Z healthy",
                false,
                "only for 9s",
            ),
            (
                "running 2026-11-26T10:00:09.5Z starting",
                false,
                "health starting",
            ),
            (
                "running 2026-11-26T10:00:09.5Z unhealthy",
                false,
                "health unhealthy",
            ),
            (
                "restarting 2026-11-26T10:00:09.5Z",
                false,
                "it is restarting",
            ),
            (
                "exited 2026-11-26T10:00:09.5Z healthy",
                false,
                "it is exited",
            ),
            ("running yesterday", false, "no time of its start"),
        ] {
            let told = runs(&container(state), now, Duration::from_secs(10));
            assert_eq!(told.0, passed, "{state}: {}", told.1);
            assert!(told.1.contains(says), "{state}: {}", told.1);
        }
    }
}
