//! Healing against the real programs: what fails is acted upon once and proven well, what cannot be healed is told as that.

mod containers;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod order;
#[allow(clippy::indexing_slicing, reason = "what JSON has not reads as null")]
mod results;

#[cfg(feature = "faults")]
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{Running, free_port, patience, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours, prometheus};

const BOOTED: &[Peer] = &[Peer::Root, Peer::Systemd, Peer::DbusDaemon];

const CONTAINERS: &[Peer] = &[Peer::Root, Peer::Podman, Peer::Runc, Peer::Busybox];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "healing::a_unit_that_was_killed_is_restarted_once_and_proven_well",
        needs: BOOTED,
        run: || by_check(&["KillUnit", "ssi", WEB, "all", "9"]),
    },
    PeerTest {
        name: "healing::a_unit_that_was_stopped_is_restarted_once_and_proven_well",
        needs: BOOTED,
        run: || by_check(&["StopUnit", "ss", WEB, "replace"]),
    },
    PeerTest {
        name: "healing::whatever_a_job_of_systemd_ends_with_its_incident_ends_right",
        needs: BOOTED,
        run: results::run,
    },
    #[cfg(feature = "faults")]
    PeerTest {
        name: "healing::a_restart_is_made_once_though_nodeward_dies_right_before_or_after_it",
        needs: BOOTED,
        run: dead_beside_a_restart,
    },
    #[cfg(feature = "faults")]
    PeerTest {
        name: "healing::a_command_with_a_witness_runs_once_though_nodeward_dies_right_before_or_after_it",
        needs: &[Peer::Root],
        run: dead_beside_a_command,
    },
    PeerTest {
        name: "healing::from_a_rule_of_prometheus_to_resolved",
        needs: &[
            Peer::Root,
            Peer::Systemd,
            Peer::DbusDaemon,
            Peer::Prometheus,
            Peer::Alertmanager,
        ],
        run: by_prometheus,
    },
    PeerTest {
        name: "healing::a_hook_is_answered_after_its_record_is_on_the_disk",
        needs: &[Peer::Strace],
        run: order::before_the_answer,
    },
    PeerTest {
        name: "healing::a_command_runs_after_its_intent_is_on_the_disk",
        needs: &[Peer::Strace],
        run: order::before_a_command,
    },
    PeerTest {
        name: "healing::a_request_is_sent_after_its_intent_is_on_the_disk",
        needs: &[Peer::Strace],
        run: order::before_a_request,
    },
    PeerTest {
        name: "healing::systemd_is_asked_after_the_intent_is_on_the_disk",
        needs: &[Peer::Root, Peer::Systemd, Peer::DbusDaemon, Peer::Strace],
        run: order::before_a_restart,
    },
    PeerTest {
        name: "healing::the_engine_is_asked_after_the_intent_is_on_the_disk",
        needs: &[
            Peer::Root,
            Peer::Podman,
            Peer::Runc,
            Peer::Busybox,
            Peer::Strace,
        ],
        run: order::before_a_container,
    },
    PeerTest {
        name: "healing::a_container_that_ended_is_restarted_once_and_proven_well",
        needs: CONTAINERS,
        run: containers::ended,
    },
    PeerTest {
        name: "healing::a_container_that_is_starting_is_not_yet_healthy",
        needs: CONTAINERS,
        run: containers::unhealthy,
    },
];

/// Writes a line for each time that it is started.
const WEB: &str = "nodeward-t-web.service";
const WEB_TEXT: &str = "StartLimitIntervalSec=0\n[Service]\nExecStartPre=/bin/sh -c \"echo started >>/run/nodeward/web\"\nExecStart=/bin/sleep infinity";

/// A booted systemd with [`WEB`] running in it.
struct Stage {
    // Ended before the directory goes that says what to end.
    booted: Booted,
    scratch: Scratch,
}

impl Stage {
    fn set(more: &[(&str, &str)]) -> Result<Self, Failed> {
        let scratch = Scratch::new()?;
        let booted = Booted::boot(&scratch)?;
        booted.units(&[&[("web", WEB_TEXT)], more].concat())?;
        let stage = Self { scratch, booted };
        stage.call(&["StartUnit", "ss", WEB, "replace"])?;
        until("the unit to run", || {
            (stage.property("ActiveState").ok()?.contains("\"active\"")).then_some(())
        })?;
        Ok(stage)
    }

    /// A call of systemd's manager by somebody else than nodeward.
    fn call(&self, call: &[&str]) -> Result<(), Failed> {
        self.booted.call(call)
    }

    fn property(&self, name: &str) -> Result<String, Failed> {
        self.property_of(WEB, name)
    }

    fn property_of(&self, unit: &str, name: &str) -> Result<String, Failed> {
        let path = unit.replace('-', "_2d").replace('.', "_2e");
        let out = Command::new("busctl")
            .arg(format!("--address={}", self.booted.bus))
            .args(["get-property", "org.freedesktop.systemd1"])
            .arg(format!("/org/freedesktop/systemd1/unit/{path}"))
            .arg(match name {
                "ActiveState" | "InvocationID" => "org.freedesktop.systemd1.Unit",
                _ => "org.freedesktop.systemd1.Service",
            })
            .arg(name)
            .output()?;
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// How often the unit was started.
    fn starts(&self) -> Result<usize, Failed> {
        let file = format!("/proc/{}/root/run/nodeward/web", self.booted.first);
        Ok(std::fs::read_to_string(file)?.lines().count())
    }

    /// nodeward with these checks and one playbook for units, which takes alerts with this name.
    fn nodeward(&self, checks: &Value, name: &str, units: &[String]) -> Result<Running, Failed> {
        ours::configured(&self.config(checks, name, units).to_string(), &self.scratch)
    }

    fn config(&self, checks: &Value, name: &str, units: &[String]) -> Value {
        json!({
            "http": {"listen": ["127.0.0.1:0"]},
            "node": {"match": {"node": ["here"]}},
            "subjects": {"enable": ["systemd"], "systemd": {"bus": {"address": self.booted.bus}}},
            "hooks": {"alertmanager": {}},
            "checks": checks,
            "playbooks": {"unit-down": {
                "mode": "auto",
                "match": {"alertname": name, "unit": {"in": units}},
                "target": {"unit": {"from": "unit"}},
                "ladder": [{"do": {"systemd": "restart"}, "timeout": "10s"}],
                "verify": {"all": [{"unit_stable": "1s"}], "pass": 2, "every": "200ms", "deadline": "5s"},
                "probation": "1s",
            }},
        })
    }
}

/// The journal as it is now.
pub fn journal(scratch: &Scratch) -> Result<Vec<Value>, Failed> {
    let out = ours::command("journal", scratch).arg("export").output()?;
    let lines = out.stdout.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    Ok(lines
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()?)
}

/// The journal, once it has a record as this.
pub fn once(
    scratch: &Scratch,
    running: &Running,
    what: &str,
    seen: impl Fn(&Value) -> bool,
) -> Result<Vec<Value>, Failed> {
    until(what, || {
        journal(scratch)
            .ok()
            .filter(|records| records.iter().any(&seen))
    })
    .map_err(|failed| {
        let reason = failed.message().unwrap_or_default().to_owned();
        let records = journal(scratch).unwrap_or_default();
        Failed::from(format!("{reason}:\n{records:#?}\n{}", running.log()))
    })
}

pub fn verified(scratch: &Scratch) -> Result<(), Failed> {
    let out = ours::command("journal", scratch).arg("verify").output()?;
    match out.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&out.stderr).into_owned().into()),
    }
}

/// What a repair is on record as: the kinds of its records, and the states it went through.
pub fn course(records: &[Value]) -> Vec<String> {
    let word = |record: &Value| {
        let kind = record["kind"].as_str()?;
        match kind {
            "intent" | "started" | "result" => Some(kind.to_owned()),
            "state" => Some(format!("to {}", record["to"].as_str()?)),
            _ => None,
        }
    };
    records.iter().filter_map(word).collect()
}

/// One repair, each record before what follows from it.
pub const REPAIR: &[&str] = &[
    "to waiting",
    "intent",
    "to intent",
    "started",
    "to acting",
    "result",
    "to verifying",
    "to probation",
    "to healed",
];

/// A check of [`WEB`], which names it in its alert.
fn check_web() -> Value {
    json!({"web": {
        "probe": {"unit": {"name": WEB}}, "every": "100ms", "alert": {"unit": WEB},
    }})
}

/// The unit fails by a call of somebody else; a check of nodeward's own sees it.
fn by_check(failure: &[&str]) -> Result<(), Failed> {
    let stage = Stage::set(&[])?;
    let mut nodeward = stage.nodeward(&check_web(), "CheckFailed", &[WEB.to_owned()])?;
    nodeward.address()?;
    let before = stage.property("InvocationID")?;
    stage.call(failure)?;
    let records = once(&stage.scratch, &nodeward, "the unit to be healed", |r| {
        r["to"] == "healed"
    })?;
    assert_eq!(course(&records), REPAIR, "{records:#?}");
    assert_ne!(stage.property("InvocationID")?, before);
    assert_eq!(stage.starts()?, 2, "its own start, and one more");
    assert_eq!(stage.property("NRestarts")?.trim(), "u 0");
    nodeward.terminate()?;
    verified(&stage.scratch)
}

/// nodeward dies between the intent and the restart, or between the restart and its record; the witness tells which.
#[cfg(feature = "faults")]
fn dead_beside_a_restart() -> Result<(), Failed> {
    for (point, starts) in [("heal.before_effect", 1), ("heal.after_effect", 2)] {
        let stage = Stage::set(&[])?;
        let config = stage.config(&check_web(), "CheckFailed", &[WEB.to_owned()]);
        let file = stage.scratch.path().join("nodeward.yml");
        std::fs::write(&file, config.to_string())?;
        let mut command = ours::command("run", &stage.scratch);
        command.arg("--config").arg(&file);
        command.env("NODEWARD_FAULT", point);
        let mut nodeward = Running::start("nodeward", &mut command, &stage.scratch)?;
        nodeward.address()?;
        stage.call(&["KillUnit", "ssi", WEB, "all", "9"])?;
        nodeward.ended()?;
        assert_eq!(stage.starts()?, starts, "{point}");
        command.env_remove("NODEWARD_FAULT");
        let mut nodeward = Running::start("nodeward", &mut command, &stage.scratch)?;
        nodeward.address()?;
        let records = once(&stage.scratch, &nodeward, "the unit to be healed", |r| {
            r["to"] == "healed"
        })?;
        // One that was proven not done is intended again under its name.
        let attempts: BTreeSet<_> = records
            .iter()
            .filter_map(|r| r["attempt"].as_str())
            .collect();
        assert_eq!(
            (attempts.len(), stage.starts()?),
            (1, 2),
            "{point}: {records:#?}"
        );
        nodeward.terminate()?;
        verified(&stage.scratch)?;
    }
    Ok(())
}

/// Makes its witness, then acts.
#[cfg(feature = "faults")]
const PROGRAM: &str =
    "#!/bin/sh\nset -e\n: >\"$1/$NODEWARD_ATTEMPT\"\necho \"$NODEWARD_ATTEMPT\" >>\"$1/effects\"\n";

#[cfg(feature = "faults")]
fn dead_beside_a_command() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;

    for (point, before) in [("heal.before_effect", 0), ("heal.after_effect", 1)] {
        let (scratch, trusted) = (Scratch::new()?, Scratch::trusted()?);
        let program = trusted.path().join("repair");
        std::fs::write(&program, PROGRAM)?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        let config = json!({
            "http": {"listen": ["127.0.0.1:0"]},
            "node": {"match": {"node": ["here"]}},
            "hooks": {"alertmanager": {}},
            "checks": {"runs": {"probe": {"process": {"name": "nodeward"}}}},
            "playbooks": {"repair": {
                "mode": "auto",
                "match": {"alertname": "UnitDown"},
                "target": {"service": "batch"},
                "guards": {"max_age": "off"},
                "ladder": [{"do": {"command": {"argv": [program, trusted.path()], "witness": trusted.path()}}, "timeout": "10s"}],
                "verify": {"all": [{"check": "runs"}], "pass": 1, "every": "100ms", "deadline": "10s"},
                "probation": "0s",
            }},
        });
        let file = scratch.path().join("nodeward.yml");
        std::fs::write(&file, config.to_string())?;
        let mut command = ours::command("run", &scratch);
        command.arg("--config").arg(&file);
        command.env("NODEWARD_FAULT", point);
        let mut nodeward = Running::start("nodeward", &mut command, &scratch)?;
        // It may be dead before it has answered.
        drop(post(nodeward.address()?, &firing()));
        nodeward.ended()?;
        let effects = || {
            let lines = std::fs::read_to_string(trusted.path().join("effects"));
            lines.map_or(0, |lines| lines.lines().count())
        };
        assert_eq!(effects(), before, "{point}");
        command.env_remove("NODEWARD_FAULT");
        let mut nodeward = Running::start("nodeward", &mut command, &scratch)?;
        nodeward.address()?;
        let records = once(&scratch, &nodeward, "the end of the incident", |r| {
            r["to"] == "healed"
        })?;
        let attempts: BTreeSet<_> = records
            .iter()
            .filter_map(|r| r["attempt"].as_str())
            .collect();
        assert_eq!((attempts.len(), effects()), (1, 1), "{point}: {records:#?}");
        nodeward.terminate()?;
        verified(&scratch)?;
    }
    Ok(())
}

/// A unit dies; Prometheus sees it on nodeward's page, Alertmanager tells nodeward, the unit is restarted, the alert resolved.
fn by_prometheus() -> Result<(), Failed> {
    let stage = Stage::set(&[])?;
    let mut nodeward = stage.nodeward(&json!({}), "UnitDown", &[WEB.to_owned()])?;
    let address = nodeward.address()?;
    let directory = stage.scratch.path();
    let file = |name: &str, value: &Value| -> Result<PathBuf, Failed> {
        let path = directory.join(name);
        std::fs::write(&path, value.to_string())?;
        Ok(path)
    };
    let hook = format!("http://{address}/hooks/alertmanager");
    let routes = json!({
        "route": {"receiver": "nodeward", "group_wait": "100ms", "group_interval": "1s", "group_by": ["alertname"]},
        "receivers": [{"name": "nodeward", "webhook_configs": [{"url": hook}]}],
    });
    let port = free_port()?;
    let mut command = Command::new(Peer::Alertmanager.find()?);
    command
        .arg(format!(
            "--config.file={}",
            file("alertmanager.yml", &routes)?.display()
        ))
        .arg(format!(
            "--storage.path={}",
            directory.join("alertmanager").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let mut alertmanager = Running::start("alertmanager", &mut command, &stage.scratch)?;
    alertmanager.listens(port)?;
    let rules = json!({"groups": [{"name": "units", "rules": [{
        "alert": "UnitDown",
        "expr": format!("node_systemd_unit_state{{name=\"{WEB}\",state=\"active\"}} == 0"),
        "labels": {"node": "here", "unit": "{{ $labels.name }}", "severity": "critical"},
        "annotations": {"summary": "{{ $labels.name }} does not run"},
    }]}]});
    let scrapes = json!({
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [file("rules.yml", &rules)?],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [format!("127.0.0.1:{port}")]}]}]},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [address.to_string()]}]}],
    });
    let _prometheus = prometheus::start(&scrapes.to_string(), &stage.scratch)?;
    stage.call(&["KillUnit", "ssi", WEB, "all", "9"])?;
    let records = once(&stage.scratch, &nodeward, "the alert to be resolved", |r| {
        r["kind"] == "alert" && r.pointer("/data/status") == Some(&json!("resolved"))
    })?;
    let alerts: Vec<&Value> = records.iter().filter(|r| r["kind"] == "alert").collect();
    let [fired, resolved] = alerts.as_slice() else {
        return Err(format!("not two alerts: {alerts:#?}").into());
    };
    assert_eq!(
        fired.pointer("/data/episode"),
        resolved.pointer("/data/episode")
    );
    let records = once(&stage.scratch, &nodeward, "the unit to be healed", |r| {
        r["to"] == "healed"
    })?;
    assert_eq!(course(&records), REPAIR, "{records:#?}");
    assert_eq!(stage.starts()?, 2, "its own start, and one more");
    nodeward.terminate()?;
    verified(&stage.scratch)
}

/// One alert, as Alertmanager posts it.
fn firing() -> String {
    json!({"version": "4", "status": "firing", "alerts": [{
        "status": "firing", "labels": {"alertname": "UnitDown", "node": "here"}, "annotations": {},
        "startsAt": "2026-11-22T16:38:47.198Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "0123456789abcdef",
    }]})
    .to_string()
}

/// Posts a body to the hook; the whole answer.
fn post(address: SocketAddr, body: &str) -> Result<String, Failed> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    write!(
        stream,
        "POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
