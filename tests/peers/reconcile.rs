//! Alerts whose end a real Alertmanager never tells: they are found to be over by asking it, and by nothing else.

use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::page::Page;
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::web::{Request, page};
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "reconcile::a_resolved_that_a_silence_swallowed_is_found_by_asking",
        needs: &[Peer::Alertmanager],
        run: swallowed,
    },
    PeerTest {
        name: "reconcile::an_alertmanager_that_is_away_or_has_just_started_changes_nothing",
        needs: &[Peer::Alertmanager],
        run: away,
    },
];

/// nodeward with one playbook, an Alertmanager that sends to it, and their places.
struct Stage {
    scratch: Scratch,
    nodeward: Running,
    ours: SocketAddr,
    alertmanager: Option<Running>,
    theirs: SocketAddr,
}

impl Stage {
    fn set(settle: &str) -> Result<Self, Failed> {
        let scratch = Scratch::new()?;
        let theirs = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let config = json!({
            "http": {"listen": ["127.0.0.1:0"]},
            "node": {"match": {"node": ["here"]}},
            "hooks": {"alertmanager": {"api": {"urls": [format!("http://{theirs}")], "every": "1s", "settle": settle}}},
            "checks": {"runs": {"probe": {"process": {"name": "nodeward"}}, "every": "1h"}},
            "playbooks": {"batch": {
                "mode": "auto",
                "match": {"alertname": "Late"},
                "target": {"service": "batch"},
                "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}}],
                "verify": {"all": [{"check": "runs"}], "pass": 1, "every": "100ms"},
                "probation": "0s",
            }},
        });
        let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
        let ours = nodeward.address()?;
        let mut stage = Self {
            scratch,
            nodeward,
            ours,
            alertmanager: None,
            theirs,
        };
        stage.start("first")?;
        Ok(stage)
    }

    /// An Alertmanager that knows nothing yet.
    fn start(&mut self, storage: &str) -> Result<(), Failed> {
        let directory = self.scratch.path();
        let routes = json!({
            "route": {"receiver": "nodeward", "group_wait": "100ms", "group_interval": "1s"},
            "receivers": [{"name": "nodeward", "webhook_configs": [{"url": format!("http://{}/hooks/alertmanager", self.ours)}]}],
        });
        let file = directory.join("alertmanager.yml");
        std::fs::write(&file, routes.to_string())?;
        let mut command = Command::new(Peer::Alertmanager.find()?);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.path={}",
                directory.join(storage).display()
            ))
            .arg(format!("--web.listen-address={}", self.theirs))
            .arg("--cluster.listen-address=");
        let mut running = Running::start("alertmanager", &mut command, &self.scratch)?;
        running.listens(self.theirs.port())?;
        self.alertmanager = Some(running);
        Ok(())
    }

    fn post(&self, path: &str, body: &Value) -> Result<(), Failed> {
        let answer = Request::post(self.theirs, path, body)?.answer()?;
        match answer.status {
            200 => Ok(()),
            status => Err(format!("{path} answered {status}: {:?}", answer.body).into()),
        }
    }

    /// Tells Alertmanager of the alert as Prometheus does.
    fn alert(&self, ends: jiff::Timestamp) -> Result<(), Failed> {
        let labels = json!({"alertname": "Late", "node": "here", "severity": "critical"});
        self.post(
            "/api/v2/alerts",
            &json!([{"labels": labels, "endsAt": ends.to_string()}]),
        )
    }

    /// The alerts on record, each with its status and who found it.
    fn told(&self) -> Result<Vec<String>, Failed> {
        let out = ours::command("journal", &self.scratch)
            .arg("export")
            .output()?;
        let mut told = Vec::new();
        for line in out
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|l| !l.is_empty())
        {
            let record: Value = serde_json::from_slice(line)?;
            if record.get("kind") == Some(&json!("alert")) {
                let word = |key: &str| {
                    let word = record.pointer(&format!("/data/{key}"));
                    word.and_then(Value::as_str).unwrap_or("source").to_owned()
                };
                told.push(format!("{} by {}", word("status"), word("by")));
            }
        }
        Ok(told)
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64, Failed> {
        let page = Page::parse(&page(self.ours, "/metrics")?)?;
        Ok(page.value(name, labels).unwrap_or(0.0))
    }

    fn is(&self, state: &str) -> Result<(), Failed> {
        until(
            &format!("the node to be {state}: {}", self.nodeward.log()),
            || {
                let on = self
                    .value("nodeward_node_state", &[("state", state)])
                    .ok()?;
                (on > 0.0).then_some(())
            },
        )
    }

    /// Waits until so many more looks have ended so.
    fn looks(&self, result: &str, more: f64) -> Result<(), Failed> {
        let count = || {
            self.value(
                "nodeward_reconcile_looks_total",
                &[("hook", "alertmanager"), ("result", result)],
            )
        };
        let before = count()?;
        until(
            &format!("looks that are {result}: {}", self.nodeward.log()),
            || (count().ok()? >= before + more).then_some(()),
        )
    }

    /// Has it fire here, and waits until the incident is over.
    fn fires(&self) -> Result<(), Failed> {
        let hour = jiff::SignedDuration::from_hours(1);
        self.alert(jiff::Timestamp::now() + hour)?;
        until("the incident to be healed", || {
            let labels = [("playbook", "batch"), ("outcome", "healed")];
            (self.value("nodeward_heals_total", &labels).ok()? > 0.0).then_some(())
        })?;
        self.is("unhealthy")
    }
}

fn swallowed() -> Result<(), Failed> {
    let stage = Stage::set("0s")?;
    stage.fires()?;
    let now = jiff::Timestamp::now();
    let matchers =
        json!([{"name": "alertname", "value": "Late", "isRegex": false, "isEqual": true}]);
    let ends = now + jiff::SignedDuration::from_hours(1);
    stage.post(
        "/api/v2/silences",
        &json!({"matchers": matchers, "startsAt": now.to_string(), "endsAt": ends.to_string(), "createdBy": "t", "comment": "t"}),
    )?;
    // Silenced, it still fires.
    stage.looks("ok", 4.0)?;
    assert_eq!(stage.told()?, ["firing by source"]);
    stage.alert(jiff::Timestamp::now())?;
    stage.is("healthy")?;
    assert_eq!(stage.told()?, ["firing by source", "resolved by reconcile"]);
    stage.nodeward.terminate()?;
    Ok(())
}

fn away() -> Result<(), Failed> {
    let mut stage = Stage::set("1h")?;
    stage.fires()?;
    if let Some(alertmanager) = stage.alertmanager.take() {
        alertmanager.terminate()?;
    }
    stage.looks("failed", 3.0)?;
    stage.start("second")?;
    stage.looks("ok", 3.0)?;
    assert_eq!(stage.told()?, ["firing by source"]);
    stage.is("unhealthy")?;
    assert_eq!(
        stage.value("nodeward_reconcile_over_total", &[("hook", "alertmanager")])?,
        0.0
    );
    stage.nodeward.terminate()?;
    Ok(())
}
