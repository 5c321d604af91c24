//! A container runs, as its engine says, and is healthy by its own health check.
//!
//! Asks the engine that actions ask, one call a look. An engine that does not answer says nothing of the container.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::{Ask, Kind, Outcome, Prober, World};
use crate::model::target::Target;
use crate::peer::container::{self, Engine, Error};

/// A container runs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Its name or id. It runs while the engine says `running`: one that is paused, restarting or stopped does not, and none of this
    /// name fails.
    pub name: String,
    /// Whether its health check must say `healthy` too; `starting` is not, and a container without a health check fails. Otherwise
    /// that it runs is enough, whatever its health.
    #[serde(default)]
    pub healthy: bool,
}

impl Kind for Container {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let wrong = Target::new("container", &self.name).err();
        wrong
            .map(|why| ("name", why.to_string()))
            .into_iter()
            .collect()
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        Ok(Box::new(Inspecting {
            options: self.clone(),
            engine: Arc::clone(&world.container),
        }))
    }
}

struct Inspecting {
    options: Container,
    engine: Arc<Engine>,
}

#[async_trait]
impl Prober for Inspecting {
    async fn probe(&self, ask: Ask) -> Outcome {
        let name = &self.options.name;
        let left = ask.deadline.saturating_duration_since(Instant::now());
        match timeout_at(ask.deadline, self.engine.inspect(name, left)).await {
            Ok(Ok(state)) => self.options.judge(&state),
            Ok(Err(gone @ Error::Unknown(_))) => Outcome::silent(gone.to_string()),
            Ok(Err(Error::Http(error))) => Outcome::blind(error.told()),
            Ok(Err(error)) => Outcome::blind(error.to_string()),
            Err(_) => Outcome::late("no answer from the container engine"),
        }
    }
}

impl Container {
    fn judge(&self, state: &container::Container) -> Outcome {
        let (name, status) = (&self.name, &state.status);
        let facts = json!({
            "status": status,
            "health": state.health,
            "started_at": state.started_at,
            "exit_code": state.exit_code,
        });
        // Docker says that a paused one and one that it is about to start again run.
        if status != "running" || !state.running {
            let code = state.exit_code;
            return Outcome::failed(
                format!("{name} is {status}, its last exit code {code}"),
                facts,
            );
        }
        match (self.healthy, state.health.as_str()) {
            (false, "") => Outcome::passed(format!("{name} is {status}"), facts),
            (false, health) | (true, health @ "healthy") => {
                Outcome::passed(format!("{name} is {status}, its health {health}"), facts)
            }
            (true, "") => Outcome::failed(
                format!("{name} is {status}, and has no health check that could say healthy"),
                facts,
            ),
            (true, health) => {
                Outcome::failed(format!("{name} is {status}, its health {health}"), facts)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_running_container_passes_and_a_healthy_one_if_it_must_be() {
        let judge = |healthy: bool, status: &str, running: bool, health: &str| {
            let state = container::Container {
                status: status.to_owned(),
                running,
                health: health.to_owned(),
                exit_code: 137,
                ..container::Container::default()
            };
            let name = "api".to_owned();
            Container { name, healthy }.judge(&state)
        };
        for (status, running, health, runs, healthy, why) in [
            ("running", true, "", true, false, "has no health check"),
            ("running", true, "healthy", true, true, "its health healthy"),
            ("running", true, "starting", true, false, "health starting"),
            ("running", true, "unhealthy", true, false, "unhealthy"),
            ("paused", true, "healthy", false, false, "is paused"),
            ("restarting", true, "", false, false, "exit code 137"),
            ("exited", false, "healthy", false, false, "is exited"),
            ("", false, "", false, false, "api is"),
        ] {
            assert_eq!(judge(false, status, running, health).ok, runs, "{status}");
            let said = judge(true, status, running, health);
            assert!(said.ok == healthy && said.why.contains(why), "{said:?}");
            assert!(!said.blind);
        }
    }

    #[test]
    fn a_name_must_be_one() {
        for (name, faults) in [("api-1", 0), ("", 1), ("../x", 1), ("a b", 1), ("-x", 1)] {
            let (name, healthy) = (name.to_owned(), false);
            assert_eq!(Container { name, healthy }.faults().len(), faults);
        }
    }
}
