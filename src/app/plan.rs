//! What would be done about alerts, for the API and for `nodeward plan`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::json;

use crate::heal::intake::{Delivery, Severities, shape};
use crate::heal::runner::{Forecast, Rules, forecast};
use crate::heal::world::World;
use crate::journal::Reader;
use crate::model::moment::Timestamp;
use crate::serve::api::shown::Planned;
use crate::serve::api::{Alerts, NotPlanned};
use crate::serve::hooks;

/// What came to which hook: the one that is named, else the one of the config that takes such bodies, else the one that would be called so.
///
/// # Errors
/// Why the body cannot be used.
pub fn delivery(
    body: &[u8],
    hooks: &hooks::Options,
    named: Option<&str>,
    now: Timestamp,
) -> Result<(String, Delivery), String> {
    let (kind, body) = shape(body, now)?;
    let takes = |(name, hook): &(&String, &hooks::Hook)| hook.kind(name) == Some(kind);
    let name = match named {
        Some(name) => name,
        None => {
            let mut fitting = hooks.named.iter().filter(takes).map(|(name, _)| name);
            match (fitting.next(), fitting.next()) {
                (Some(one), None) => one,
                (None, _) => kind.as_str(),
                (Some(one), Some(other)) => {
                    return Err(format!(
                        "{one} and {other} are hooks that take it; say which: --hook, or hook= in the query of the API"
                    ));
                }
            }
        }
    };
    let hook = hooks.named.get(name);
    let kind = hook.and_then(|hook| hook.kind(name)).unwrap_or(kind);
    let severities = hook.map_or_else(|| Severities::of(kind), |hook| hook.severities(kind));
    let delivery = kind.read(name, &body, &severities);
    Ok((name.to_owned(), delivery.map_err(|why| why.to_string())?))
}

/// A forecast as it is told to programs; `journal`: what was looked at.
#[must_use]
pub fn told(forecast: &Forecast, hook: &str, journal: Option<&Path>, now: Timestamp) -> Planned {
    Planned {
        time: now.to_string(),
        hook: hook.to_owned(),
        journal: journal.map(Path::to_path_buf),
        alerts: json!(forecast.alerts),
        incidents: json!(forecast.incidents),
    }
}

/// Looks ahead for a nodeward that runs: by its rules and its world, and as its journal stands.
pub(super) struct Foresight {
    world: Arc<World>,
    directory: PathBuf,
    by: RwLock<(Rules, hooks::Options)>,
}

impl Foresight {
    pub(super) fn new(
        world: Arc<World>,
        directory: PathBuf,
        rules: Rules,
        hooks: hooks::Options,
    ) -> Self {
        Self {
            world,
            directory,
            by: RwLock::new((rules, hooks)),
        }
    }

    /// Goes by these from here on.
    pub(super) fn change(&self, rules: Rules, hooks: hooks::Options) {
        *self.by.write().unwrap_or_else(PoisonError::into_inner) = (rules, hooks);
    }

    pub(super) async fn plan(&self, alerts: Alerts) -> Result<Planned, NotPlanned> {
        let now = Timestamp::now();
        let (rules, hooks) = {
            let by = self.by.read().unwrap_or_else(PoisonError::into_inner);
            by.clone()
        };
        let named = alerts.hook.as_deref();
        if let Some(name) = named.filter(|name| !hooks.named.contains_key(*name)) {
            return Err(NotPlanned::NoHook(name.to_owned()));
        }
        let delivered = delivery(&alerts.body, &hooks, named, now);
        let (hook, mut delivery) = delivered.map_err(NotPlanned::Unreadable)?;
        if alerts.as_new {
            delivery.begin_anew(now);
        }
        let directory = self.directory.clone();
        let read =
            tokio::task::spawn_blocking(move || Reader::undisturbed(&directory, Reader::restored));
        let restored = match read.await {
            Ok(read) => read.map_err(|error| NotPlanned::Failed(error.to_string()))?,
            Err(error) => return Err(NotPlanned::Failed(error.to_string())),
        };
        let forecast = forecast(rules, Some(restored), &*self.world, &hook, delivery, false).await;
        Ok(told(&forecast, &hook, Some(&self.directory), now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(text: &str) -> hooks::Options {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_hook_is_the_one_that_takes_such_a_body() {
        let body = br#"{"labels": {"alertname": "Down", "severity": "page"}}"#;
        let told = |hooks: &hooks::Options, named| delivery(body, hooks, named, Timestamp(0));
        let none = told(&hooks("{}"), None).unwrap();
        assert_eq!(none.0, "alertmanager");
        let one = hooks(r#"{"am": {"kind": "alertmanager"}, "zabbix": {}}"#);
        let (name, delivery) = told(&one, None).unwrap();
        assert_eq!((&*name, &*delivery.alerts[0].source), ("am", "am"));
        let two = hooks(r#"{"a": {"kind": "alertmanager"}, "b": {"kind": "alertmanager"}}"#);
        assert!(told(&two, None).unwrap_err().contains("--hook"));
        assert_eq!(told(&two, Some("b")).unwrap().0, "b");
        // A hook reads by its own format, as it does when a body comes in.
        assert!(told(&one, Some("zabbix")).is_err());
    }
}
