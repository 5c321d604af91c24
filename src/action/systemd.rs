//! `systemd`: restart, start, reload or stop a unit, or clear its failures.
//!
//! Owns what a job's result means. The surprising decision: `reset_failed` is off unless asked for, because systemd's start limit is
//! a brake of its own that only a ladder should release.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, Looked, Order, Outcome, Permission, Site, Strength, Witness, World};
use crate::model::target::Target;
use crate::peer::systemd::{Error, Systemd as Client, Undone, UnitState, Verb};

/// Longest wait for an answer that needs no job.
const ANSWER: Duration = Duration::from_secs(10);

/// What to do with a unit: a verb alone, for the playbook's target, or with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Systemd {
    /// This, with the target.
    Verb(Verb),
    /// With settings.
    Full(Options),
}

/// What to do, and with which unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What to do.
    pub verb: Verb,
    /// This unit in place of the playbook's target: one that does a piece of work, such as
    /// `nodeward-action@rebuild.service`.
    #[serde(default)]
    pub unit: Option<String>,
    /// Before a start or restart, clear the unit's failures, so that systemd's start limit does not hold. Default: false.
    #[serde(default)]
    pub reset_failed: bool,
}

impl Systemd {
    fn verb(&self) -> Verb {
        match self {
            Self::Verb(verb) => *verb,
            Self::Full(options) => options.verb,
        }
    }

    fn resets(&self) -> bool {
        matches!(self, Self::Full(options) if options.reset_failed)
    }

    fn unit<'a>(&'a self, target: &'a Target) -> Result<&'a str, String> {
        match (self, target) {
            (
                Self::Full(Options {
                    unit: Some(unit), ..
                }),
                _,
            ) => Ok(unit),
            (_, Target::Unit(unit)) => Ok(unit),
            (_, other) => Err(format!("{other} is no unit; write one with unit:")),
        }
    }
}

impl Action for Systemd {
    fn check(&self, site: &Site<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        let fixed = match self {
            Self::Full(Options { unit, .. }) => unit.as_deref(),
            Self::Verb(_) => None,
        };
        match fixed {
            Some(unit) => match Target::new("unit", unit) {
                Ok(_) if unit.contains("@.") => wrong.push(format!(
                    "{unit:?} is a template; name an instance of it, such as {:?}",
                    unit.replace("@.", "@one.")
                )),
                Ok(_) => {}
                Err(e) => wrong.push(e.to_string()),
            },
            None if site.target != "unit" => wrong.push(format!(
                "the playbook's target is a {}; give this action a unit: or the playbook a target of kind unit",
                site.target
            )),
            None => {}
        }
        if self.resets() && !matches!(self.verb(), Verb::Start | Verb::Restart) {
            wrong.push(format!(
                "reset_failed goes before a start or restart, not before {}",
                self.verb().as_str()
            ));
        }
        wrong
    }

    fn render(&self, order: &Order<'_>) -> Result<Value, String> {
        let unit = self.unit(order.target)?;
        Ok(json!({"systemd": {
            "verb": self.verb().as_str(), "unit": unit, "reset_failed": self.resets(),
        }}))
    }

    fn strength(&self) -> Strength {
        match self.verb() {
            // Each of them is a change of state, if it does anything at all.
            Verb::Restart | Verb::Start | Verb::Stop | Verb::Reload => Strength::Strong,
            Verb::ResetFailed => Strength::Idempotent,
        }
    }

    async fn look(&self, world: &World, order: &Order<'_>) -> Looked {
        let state = async {
            let unit = self.unit(order.target)?;
            let state = client(world)?
                .unit_state(unit, ANSWER.min(order.timeout))
                .await;
            state.map_err(|e| format!("systemd does not tell of {unit}: {e}"))
        };
        match state.await {
            Ok(state) => Looked {
                busy: busy(&state),
                lags: Duration::ZERO,
                witness: world
                    .host
                    .boot_id()
                    .ok_or_else(|| "the boot id cannot be read".to_owned())
                    .map(|boot| witness(&boot, &state)),
            },
            Err(why) => Looked {
                witness: Err(why),
                busy: None,
                lags: Duration::ZERO,
            },
        }
    }

    async fn act(
        &self,
        world: &World,
        order: &Order<'_>,
        started: impl FnOnce(Value) + Send,
    ) -> Outcome {
        let (unit, client) = match (self.unit(order.target), client(world)) {
            (Ok(unit), Ok(client)) => (unit, client),
            (Err(why), _) | (_, Err(why)) => return Outcome::failed(why),
        };
        let until = Instant::now() + order.timeout;
        let verb = self.verb();
        if verb == Verb::ResetFailed || self.resets() {
            let left = until.saturating_duration_since(Instant::now());
            let cleared = client.reset_failed(unit, left).await;
            match cleared {
                // What systemd has not in memory has no failures either.
                Err(Undone::Refused(Error::Refused { name, .. }))
                    if name.ends_with(".NoSuchUnit") && verb != Verb::ResetFailed => {}
                Err(Undone::Refused(Error::Refused { name, .. }))
                    if name.ends_with(".NoSuchUnit") =>
                {
                    return Outcome::Done(json!({"unit": unit, "loaded": false}));
                }
                // Without its job nothing was done that would count, whatever became of the clearing.
                Err(Undone::Refused(e) | Undone::Unclear(e)) => {
                    return Outcome::failed(refusal(Verb::ResetFailed, unit, &e));
                }
                Ok(()) if verb == Verb::ResetFailed => {
                    return Outcome::Done(json!({"unit": unit}));
                }
                Ok(()) => {}
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        let before = client.unit_state(unit, ANSWER.min(left)).await.ok();
        let left = until.saturating_duration_since(Instant::now());
        let mut path = None;
        let ended = client
            .job(verb, unit, left, |job| {
                path = Some(job.to_owned());
                started(json!({"job": job}));
            })
            .await;
        let result = match ended {
            Ok(result) => result,
            Err(Undone::Refused(e)) => return Outcome::failed(refusal(verb, unit, &e)),
            Err(Undone::Unclear(e)) => {
                return Outcome::Unknown {
                    why: format!("{} of {unit}: {e}", verb.as_str()),
                    detail: json!({"unit": unit, "job": path}),
                };
            }
        };
        // The job's result stands whether or not this tells more.
        let state = client.unit_state(unit, ANSWER).await.ok();
        let detail = detail(unit, path.as_deref(), &result, state.as_ref());
        if result == "done" {
            return Outcome::Done(detail);
        }
        Outcome::Failed {
            why: why(verb, unit, &result, before.as_ref(), state.as_ref()),
            detail,
        }
    }

    fn permissions(&self, target: &Target) -> Vec<Permission> {
        let Ok(unit) = self.unit(target) else {
            return Vec::new();
        };
        let verbs = [
            Some(self.verb()),
            self.resets().then_some(Verb::ResetFailed),
        ];
        let may = |verb| Permission::Unit {
            verb,
            unit: unit.to_owned(),
        };
        verbs.into_iter().flatten().map(may).collect()
    }
}

fn client(world: &World) -> Result<&Client, String> {
    world.systemd.as_deref().ok_or_else(|| {
        "systemd is not asked here: its bus address cannot be used; see subjects.systemd.bus"
            .to_owned()
    })
}

/// Another run, another start of its main process or any other change of its state makes another witness.
///
/// A unit that systemd has not kept in memory has none: it could be started, end well and be forgotten again, and look as before.
fn witness(boot: &str, state: &UnitState) -> Option<Witness> {
    if state.invocation.is_empty() && state.changed_at == 0 {
        return None;
    }
    Some(Witness(json!({
        "boot": boot,
        "invocation": state.invocation,
        "started": state.main_started_at,
        "changed": state.changed_at,
    })))
}

fn busy(state: &UnitState) -> Option<String> {
    match &state.job {
        Some(job) => Some(format!("systemd has a job queued: {job}")),
        None if state.sub_state.starts_with("auto-restart") => {
            Some(format!("systemd restarts it itself: {}", state.sub_state))
        }
        None => None,
    }
}

fn detail(unit: &str, job: Option<&str>, result: &str, state: Option<&UnitState>) -> Value {
    let mut detail = json!({"unit": unit, "job": job, "result": result});
    if let (Some(state), Some(detail)) = (state, detail.as_object_mut()) {
        detail.extend([
            ("active".to_owned(), json!(state.active_state)),
            ("sub".to_owned(), json!(state.sub_state)),
            ("last_run".to_owned(), json!(state.result)),
            ("invocation".to_owned(), json!(state.invocation)),
            ("condition".to_owned(), json!(state.condition)),
            ("main_status".to_owned(), json!(state.main_status)),
        ]);
    }
    detail
}

/// Where a unit had failed before, systemd leaves its result as it was when the start limit holds: then there is no new run to
/// tell of, and it shows by that.
fn why(
    verb: Verb,
    unit: &str,
    result: &str,
    before: Option<&UnitState>,
    after: Option<&UnitState>,
) -> String {
    const LIMIT: &str = "it was started more often than its StartLimitBurst allows, which reset_failed: true would clear";
    let run = after.map_or("", |state| state.result.as_str());
    let told = format!("systemd's {} of {unit} ended with {result}", verb.as_str());
    let starts = matches!(verb, Verb::Start | Verb::Restart);
    let same = matches!((before, after), (Some(before), Some(after)) if before.invocation == after.invocation);
    match run {
        "start-limit-hit" => format!("{told}: {run}; {LIMIT}"),
        _ if starts && same && result == "failed" => {
            format!("{told} and started nothing: most likely start-limit-hit; {LIMIT}")
        }
        "" | "success" => told,
        _ => format!("{told}: {run}"),
    }
}

fn refusal(verb: Verb, unit: &str, error: &Error) -> String {
    let mut why = format!("{} of {unit}: {error}", verb.as_str());
    if let Error::Refused { name, .. } = error
        && (name.ends_with(".AccessDenied") || name.ends_with(".InteractiveAuthorizationRequired"))
    {
        why.push_str("; a polkit rule allows it: see nodeward generate polkit");
    }
    why
}
