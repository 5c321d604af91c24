//! A unit of systemd is active, as systemd says.
//!
//! Reads through the systemd subject, so that the checks of many units are one batch of calls, and a systemd that hangs
//! holds nobody else. It changes nothing. That a unit has been active for a while is not its business: the facts carry
//! the invocation, which changes with every start.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};

use super::{Ask, Kind, Outcome, Prober, World};
use crate::model::hex;
use crate::peer::systemd::{Error, Value};
use crate::subject::systemd::{Systemd, Want};
use crate::subject::{Missing, Subject};

/// Longest name of a unit (systemd.unit(5)).
const LONGEST: usize = 255;

/// Types of units, and the interface that tells the result of the last run; not all have one.
const TYPES: &[(&str, Option<&str>)] = &[
    ("service", Some("Service")),
    ("socket", Some("Socket")),
    ("timer", Some("Timer")),
    ("mount", Some("Mount")),
    ("automount", Some("Automount")),
    ("swap", Some("Swap")),
    ("path", Some("Path")),
    ("scope", Some("Scope")),
    ("slice", None),
    ("target", None),
    ("device", None),
];

/// A unit of systemd is active.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// The unit's full name, such as `web.service`. It is active while systemd says `active` or `reloading`.
    pub name: String,
    /// The finer state it must be in as well, such as `running`, `exited`, `mounted` or `listening`. Default: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_state: Option<String>,
}

impl Unit {
    fn fault(&self) -> Option<String> {
        let name = &self.name;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
        if name.is_empty() || name.len() > LONGEST || !name.bytes().all(allowed) {
            let name: String = name.chars().take(LONGEST).collect();
            return Some(format!(
                "{name:?} cannot be the name of a unit: up to {LONGEST} letters, digits and :-_.\\@"
            ));
        }
        let kind = name.rsplit_once('.').map(|(_, kind)| kind);
        if !TYPES.iter().any(|(known, _)| Some(*known) == kind) {
            return Some(format!("{name:?} has no type; is it {name}.service?"));
        }
        None
    }

    /// What is asked of it.
    fn properties(&self) -> Vec<(&'static str, &'static str)> {
        let mut properties = vec![
            ("Unit", "LoadState"),
            ("Unit", "ActiveState"),
            ("Unit", "SubState"),
            ("Unit", "InvocationID"),
        ];
        let kind = self.name.rsplit_once('.').map(|(_, kind)| kind);
        let own = TYPES.iter().find(|(known, _)| Some(*known) == kind);
        if let Some(interface) = own.and_then(|(_, interface)| *interface) {
            properties.push((interface, "Result"));
        }
        if kind == Some("service") {
            properties.push(("Service", "NRestarts"));
        }
        properties
    }
}

impl Kind for Unit {
    fn faults(&self) -> Vec<(&'static str, String)> {
        self.fault().map(|why| ("name", why)).into_iter().collect()
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        if !world.sampler.reads(Systemd::NAME) {
            return Err(
                "units are read through the subject systemd, which stands in subjects.disable"
                    .into(),
            );
        }
        Ok(Box::new(Looking {
            properties: self.properties(),
            unit: self.clone(),
            world: world.clone(),
        }))
    }
}

struct Looking {
    unit: Unit,
    properties: Vec<(&'static str, &'static str)>,
    world: World,
}

#[async_trait]
impl Prober for Looking {
    async fn probe(&self, ask: Ask) -> Outcome {
        let want = Want::properties(&self.unit.name, &self.properties);
        let deadline = ask.deadline.into_std();
        let facts = self
            .world
            .sampler
            .ask::<Systemd, _>(want, ask.age, deadline, |reading| {
                let mut facts = Map::new();
                let mut lost = None;
                for (interface, name) in &self.properties {
                    match reading.property(&self.unit.name, interface, name) {
                        Some(Ok(value)) => drop(facts.insert((*name).to_owned(), fact(value))),
                        Some(Err(error)) if error.is_of_connection() => lost = Some(error.clone()),
                        Some(Err(_)) | None => {}
                    }
                }
                (facts, lost)
            });
        match facts.await {
            Ok((facts, lost)) => self.unit.judge(facts, lost.as_ref()),
            Err(Missing::Late) => Outcome::late("no answer from systemd"),
            Err(missing) => Outcome::blind(missing.to_string()),
        }
    }
}

impl Unit {
    fn judge(&self, facts: Map<String, Json>, lost: Option<&Error>) -> Outcome {
        let text = |name: &str| facts.get(name).and_then(Json::as_str).unwrap_or_default();
        let (load, active, sub) = (text("LoadState"), text("ActiveState"), text("SubState"));
        let result = text("Result");
        let name = &self.name;
        let told = match result {
            "" | "success" => format!("{name} is {active} ({sub})"),
            result => format!("{name} is {active} ({sub}), result {result}"),
        };
        let (ok, why) = match (active, &self.sub_state) {
            ("", _) => {
                let why = lost.map_or(
                    "systemd told no state of it".to_owned(),
                    ToString::to_string,
                );
                (false, format!("{name}: {why}"))
            }
            ("active" | "reloading", Some(line)) if line != sub => {
                (false, format!("{told} where {line} is expected"))
            }
            ("active" | "reloading", _) => (true, told),
            _ if load == "not-found" => (false, format!("there is no unit {name}")),
            _ => (false, told),
        };
        let blind = active.is_empty() && load != "not-found";
        let facts = Json::Object(facts);
        Outcome {
            ok,
            why,
            facts,
            blind,
            certificate_end: None,
        }
    }
}

/// A property in JSON; an invocation id in hexadecimal, as systemctl shows it.
fn fact(value: &Value) -> Json {
    match value {
        Value::Str(text) => text.as_str().into(),
        Value::U64(number) => (*number).into(),
        Value::I64(number) => (*number).into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Bytes(bytes) => hex::written(bytes).into(),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unit(name: &str, sub_state: Option<&str>) -> Unit {
        Unit {
            name: name.to_owned(),
            sub_state: sub_state.map(str::to_owned),
        }
    }

    #[test]
    fn names_are_those_that_units_can_have() {
        for name in [
            "web.service",
            "getty@tty1.service",
            "-.mount",
            "dev-disk-by\\x2duuid.swap",
            "a:b.socket",
        ] {
            assert_eq!(unit(name, None).fault(), None, "{name}");
        }
        for name in [
            "",
            "web",
            "web.servic",
            "../x.service",
            "a b.service",
            "\u{e9}.service",
            "a\n.service",
            &format!("{}.service", "x".repeat(255)),
        ] {
            assert!(unit(name, None).fault().is_some(), "{name}");
        }
    }

    #[test]
    fn only_an_active_unit_in_the_right_state_passes() {
        for (sub_state, load, active, sub, result, ok, why) in [
            (
                None,
                "loaded",
                "active",
                "running",
                "success",
                true,
                "a.service is active (running)",
            ),
            (
                None,
                "loaded",
                "reloading",
                "reload",
                "success",
                true,
                "a.service is reloading (reload)",
            ),
            (
                Some("running"),
                "loaded",
                "active",
                "exited",
                "success",
                false,
                "a.service is active (exited) where running is expected",
            ),
            (
                None,
                "loaded",
                "failed",
                "failed",
                "exit-code",
                false,
                "a.service is failed (failed), result exit-code",
            ),
            (
                None,
                "loaded",
                "activating",
                "auto-restart",
                "exit-code",
                false,
                "a.service is activating (auto-restart), result exit-code",
            ),
            (
                None,
                "not-found",
                "inactive",
                "dead",
                "success",
                false,
                "there is no unit a.service",
            ),
        ] {
            let facts = json!({"LoadState": load, "ActiveState": active, "SubState": sub, "Result": result});
            let facts = facts.as_object().unwrap().clone();
            let said = unit("a.service", sub_state).judge(facts.clone(), None);
            assert_eq!((said.ok, said.why.as_str()), (ok, why));
            assert_eq!(said.facts, Json::Object(facts));
        }
        let lost = Error::Late { call: "Get" };
        let said = unit("a.service", None).judge(Map::new(), Some(&lost));
        assert_eq!(
            said.why,
            "a.service: systemd did not answer Get within the deadline"
        );
        assert!(!said.ok);
    }

    #[test]
    fn an_invocation_is_told_as_systemctl_shows_it() {
        assert_eq!(fact(&Value::Bytes(vec![0x0a, 0xff])), json!("0aff"));
    }
}
