//! Containers of a real Podman, healed over its socket.

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{REPAIR, course, once, post, verified};
use crate::containers::Podman;
use crate::ours;
use crate::process::{Running, until};
use crate::scratch::Scratch;

fn nodeward(podman: &Podman, scratch: &Scratch) -> Result<Running, Failed> {
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"node": ["here"]}},
        "hooks": {"alertmanager": {}},
        "container": {"socket": podman.socket},
        "playbooks": {"container-down": {
            "mode": "auto",
            "match": {"alertname": "ContainerDown", "container": {"in": ["api", "other"]}},
            "target": {"container": {"from": "container"}},
            "guards": {"max_age": "off"},
            "ladder": [{"do": {"container": "restart"}, "timeout": "30s"}],
            "verify": {"all": [{"container_stable": "1s"}], "pass": 2, "every": "200ms", "deadline": "60s"},
            "probation": "1s",
        }},
    });
    ours::configured(&config.to_string(), scratch)
}

/// The alert that `api` is down, as Alertmanager posts it.
fn down() -> String {
    json!({"version": "4", "status": "firing", "alerts": [{
        "status": "firing",
        "labels": {"alertname": "ContainerDown", "node": "here", "container": "api", "severity": "critical"},
        "annotations": {"summary": "api does not answer"},
        "startsAt": "2026-11-22T16:38:47.198Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "fedcba9876543210",
    }]})
    .to_string()
}

/// It ended; another that runs beside it is left alone.
pub fn ended() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    podman.container("api", &[])?;
    podman.container("other", &[])?;
    let other = podman.started("other")?;
    let mut nodeward = nodeward(&podman, &scratch)?;
    let address = nodeward.address()?;
    podman.run(&["kill", "api"])?;
    until("the container to have ended", || {
        (podman.tell("api", "{{.State.Running}}").ok()? == "false").then_some(())
    })?;
    let first = podman.started("api")?;
    assert!(post(address, &down())?.starts_with("HTTP/1.1 200"));
    let records = once(&scratch, &nodeward, "the container to be healed", |r| {
        r["to"] == "healed"
    })?;
    assert_eq!(course(&records), REPAIR, "{records:#?}");
    assert_ne!(podman.started("api")?, first);
    assert_eq!(podman.starts("api")?, 2, "its own start, and one more");
    assert_eq!(podman.started("other")?, other);
    nodeward.terminate()?;
    verified(&scratch)
}

/// It runs and is unhealthy. After the restart its health is `starting` until it is asked for: no proof before that.
pub fn unhealthy() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    let state = scratch.path().join("state");
    std::fs::create_dir(&state)?;
    let volume = format!("{}:/state", state.display());
    // No timer of systemd asks it here: the test does.
    let health = "--health-interval=disable --health-retries=1 --health-cmd";
    let mut options: Vec<&str> = health.split(' ').collect();
    options.extend(["/bin/busybox test -e /state/well", "--volume", &volume]);
    podman.container("api", &options)?;
    let health = || podman.tell("api", "{{.State.Healthcheck.Status}}");
    assert!(podman.run(&["healthcheck", "run", "api"]).is_err());
    assert_eq!(health()?, "unhealthy");
    let mut nodeward = nodeward(&podman, &scratch)?;
    let address = nodeward.address()?;
    assert!(post(address, &down())?.starts_with("HTTP/1.1 200"));
    let refused = |r: &Value| {
        let why = r.pointer("/data/probes/0/why").and_then(Value::as_str);
        r["kind"] == "verify" && why.is_some_and(|why| why.contains("health starting"))
    };
    let records = once(
        &scratch,
        &nodeward,
        "a probe that finds it starting",
        refused,
    )?;
    assert!(
        !course(&records).contains(&"to probation".to_owned()),
        "{records:#?}"
    );
    assert_eq!(health()?, "starting");
    std::fs::write(state.join("well"), "")?;
    podman.run(&["healthcheck", "run", "api"])?;
    let records = once(&scratch, &nodeward, "the container to be healed", |r| {
        r["to"] == "healed"
    })?;
    assert_eq!(course(&records), REPAIR, "{records:#?}");
    assert_eq!(podman.starts("api")?, 2, "its own start, and one more");
    nodeward.terminate()?;
    verified(&scratch)
}
