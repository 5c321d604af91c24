//! A container: its state as the engine has it, and the last lines that it wrote.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::redact::{setting, value_of};
use super::{Found, Part};
use crate::heal::world::Reach;
use crate::peer::container::Engine;

pub(super) const STATUS: usize = 24 << 10;
pub(super) const LOG: usize = 88 << 10;
/// Lines of a log.
const LINES: u32 = 300;

/// What of a container's inspection tells why it is as it is.
const MEMBERS: &[&str] = &[
    "/Id",
    "/Name",
    "/Created",
    "/State",
    "/RestartCount",
    "/ImageName",
    "/Config/Image",
    "/Config/Entrypoint",
    "/Config/Cmd",
    "/Config/User",
    "/Config/Healthcheck",
    "/HostConfig/RestartPolicy",
    "/HostConfig/Memory",
    "/HostConfig/NanoCpus",
    "/HostConfig/PidsLimit",
    "/HostConfig/NetworkMode",
    "/NetworkSettings/Ports",
];

pub(super) async fn status(reach: &Reach, name: &str, until: Instant) -> Part {
    let mut part = Part::new("container", name, STATUS);
    part.commands = true;
    part.by(until, async {
        let whole = engine(reach)?
            .inspect_whole(name, until - Instant::now())
            .await;
        Ok(shown(&whole.map_err(|e| e.to_string())?))
    })
    .await
}

fn engine(reach: &Reach) -> Result<&Engine, String> {
    let engine = reach.action.container.as_deref();
    engine.ok_or_else(|| "there is no container engine to ask".to_owned())
}

fn shown(whole: &Value) -> Found {
    let mut found = Found::default();
    let mut put = |name: &str, value: &Value| {
        found.text.push_str(&format!("{name}={value}\n"));
    };
    for member in MEMBERS {
        if let Some(value) = whole.pointer(member) {
            put(&member.trim_start_matches('/').replace('/', "."), value);
        }
    }
    let settings = whole.pointer("/Config/Env").and_then(Value::as_array);
    let settings: Vec<&str> = settings
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let named: Vec<String> = settings.iter().map(|s| setting(s)).collect();
    put("Config.Env", &json!(named));
    found.secrets = settings.iter().filter_map(|s| value_of(s)).collect();
    found
}

/// The last lines that it wrote.
pub(super) async fn log(reach: &Reach, name: &str, until: Instant) -> Part {
    let mut part = Part::new("log", name, LOG);
    part.newest_last = true;
    part.by(until, async {
        let written = engine(reach)?
            .logs(name, LINES, until - Instant::now())
            .await;
        let written = written.map_err(|e| e.to_string())?;
        match written.is_empty() {
            true => Err("it wrote nothing, or its log driver keeps nothing".into()),
            false => Ok(String::from_utf8_lossy(&written).into_owned().into()),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_its_environment_only_names_are_told() {
        let whole = json!({"State": {"Status": "exited", "ExitCode": 3}, "Config": {"Image": "web:1", "Env": ["A=s3cret", "PATH=/bin"]}});
        let found = shown(&whole);
        assert_eq!(
            found.text,
            "State={\"ExitCode\":3,\"Status\":\"exited\"}\nConfig.Image=\"web:1\"\nConfig.Env=[\"A=[redacted]\",\"PATH=[redacted]\"]\n"
        );
        assert_eq!(found.secrets, ["s3cret"]);
    }
}
