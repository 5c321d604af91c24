//! `container`: restart, start, stop or kill a container.
//!
//! Owns how long the engine may take. Whether the container is healthy afterwards is for `verify`.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, Looked, Order, Outcome, Permission, Site, Strength, Witness, World};
use crate::model::duration::Period;
use crate::model::target::Target;
use crate::peer::container::{Container as State, Did, Engine, Error, MARGIN, Verb};

/// Longest wait for the state of a container.
const ANSWER: Duration = Duration::from_secs(10);

/// What to do with a container: a verb alone, for the playbook's target, or with settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Container {
    /// This, with the target.
    Verb(Verb),
    /// With settings.
    Full(Options),
}

/// What to do, and with which container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// What to do.
    pub verb: Verb,
    /// This container, by name or id, in place of the playbook's target.
    #[serde(default)]
    pub name: Option<String>,
    /// How long the container may take to stop before the engine kills it, in whole seconds. Default: what it was made with, else
    /// 10s. The rung's timeout must be 5s longer.
    #[serde(default)]
    pub stop_wait: Option<Period>,
}

impl Container {
    fn verb(&self) -> Verb {
        match self {
            Self::Verb(verb) => *verb,
            Self::Full(options) => options.verb,
        }
    }

    fn settings(&self) -> Option<&Options> {
        match self {
            Self::Verb(_) => None,
            Self::Full(options) => Some(options),
        }
    }

    fn stop_wait(&self) -> Option<u64> {
        self.settings()?.stop_wait.map(|wait| wait.get().as_secs())
    }

    fn name<'a>(&'a self, target: &'a Target) -> Result<&'a str, String> {
        let fixed = self.settings().and_then(|options| options.name.as_deref());
        match (fixed, target) {
            (Some(name), _) => Ok(name),
            (None, Target::Container(name)) => Ok(name),
            (None, other) => Err(format!("{other} is no container; write one with name:")),
        }
    }
}

impl Action for Container {
    fn check(&self, site: &Site<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        match self.settings().and_then(|options| options.name.as_deref()) {
            Some(name) => wrong.extend(
                Target::new("container", name)
                    .err()
                    .map(|e| e.to_string()),
            ),
            None if site.target != "container" => wrong.push(format!(
                "the playbook's target is a {}; give this action a name: or the playbook a target of kind container",
                site.target
            )),
            None => {}
        }
        if let Some(wait) = self.settings().and_then(|options| options.stop_wait) {
            if !self.verb().stops() {
                wrong.push(format!(
                    "stop_wait means nothing to {}",
                    self.verb().as_str()
                ));
            }
            if wait.get().subsec_nanos() != 0 {
                wrong.push(format!("stop_wait: {wait} is not in whole seconds"));
            }
        }
        wrong
    }

    fn render(&self, order: &Order<'_>) -> Result<Value, String> {
        let mut rendered = json!({"verb": self.verb().as_str(), "name": self.name(order.target)?});
        if let (Some(wait), Some(fields)) = (self.stop_wait(), rendered.as_object_mut()) {
            fields.insert("stop_wait_seconds".to_owned(), wait.into());
        }
        Ok(json!({"container": rendered}))
    }

    fn strength(&self) -> Strength {
        Strength::Strong
    }

    async fn look(&self, world: &World, order: &Order<'_>) -> Looked {
        let state = async {
            let name = self.name(order.target)?;
            let state = engine(world)?
                .inspect(name, ANSWER.min(order.timeout))
                .await;
            state.map_err(|e| said(name, &e))
        };
        match state.await {
            Ok(state) => Looked {
                busy: busy(&state),
                // Its process may take so long to stop.
                lags: match self.verb().stops() {
                    true => {
                        Duration::from_secs(self.stop_wait().unwrap_or(state.stop_wait)) + MARGIN
                    }
                    false => Duration::ZERO,
                },
                witness: Ok(Some(witness(&state))),
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
        let (name, engine) = match (self.name(order.target), engine(world)) {
            (Ok(name), Ok(engine)) => (name, engine),
            (Err(why), _) | (_, Err(why)) => return Outcome::failed(why),
        };
        let until = Instant::now() + order.timeout;
        let left = || until.saturating_duration_since(Instant::now());
        let verb = self.verb();
        let wait = match (verb.stops(), self.stop_wait()) {
            (false, _) => 0,
            (true, Some(wait)) => wait,
            (true, None) => match engine.inspect(name, ANSWER.min(left())).await {
                Ok(state) => state.stop_wait,
                Err(e) => return Outcome::failed(said(name, &e)),
            },
        };
        if verb.stops() && left() < Duration::from_secs(wait).saturating_add(MARGIN) {
            return Outcome::failed(format!(
                "container {name} may take {wait}s to stop, and the rung has only {:?}: set a longer timeout or a shorter stop_wait",
                order.timeout
            ));
        }
        started(json!({"container": name}));
        let did = match engine.act(verb, name, wait, left()).await {
            Ok(did) => did,
            Err(e) if e.is_refusal() => return Outcome::failed(said(name, &e)),
            Err(e) => return Outcome::unknown(said(name, &e)),
        };
        // What was done stands whether or not this tells more.
        let state = engine.inspect(name, ANSWER).await.ok();
        Outcome::Done(json!({
            "container": name, "already_so": did == Did::AlreadySo, "state": state,
        }))
    }

    fn permissions(&self, _: &Target) -> Vec<Permission> {
        vec![Permission::Engine]
    }
}

fn engine(world: &World) -> Result<&Engine, String> {
    let engine = world.container.as_deref();
    engine.ok_or_else(|| "no container engine is asked here".to_owned())
}

/// Another container of that name, another start or another end makes another witness.
fn witness(state: &State) -> Witness {
    Witness(json!({
        "id": state.id,
        "started": state.started_at,
        "finished": state.finished_at,
        "pid": state.pid,
    }))
}

fn busy(state: &State) -> Option<String> {
    let at_work =
        state.restarting || ["restarting", "removing", "stopping"].contains(&&*state.status);
    at_work.then(|| format!("the engine is at work on it itself: {}", state.status))
}

fn said(name: &str, error: &Error) -> String {
    let mut why = format!("container {name}: {error}");
    if let Error::Http(http) = error
        && let Some(source) = std::error::Error::source(http)
    {
        why.push_str(&format!(": {source}"));
    }
    if error.is_denied() {
        why.push_str("; nodeward's user must be in the socket's group, which is as good as root; rootless Podman has a socket of its own");
    }
    why
}

#[cfg(test)]
mod tests;
