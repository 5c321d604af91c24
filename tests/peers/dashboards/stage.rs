//! Prometheus with the shipped rules, nodewards that it scrapes (of this machine, a booted systemd, captured hosts, and one that heals) and
//! an Alertmanager between it and the last of them, whose OTLP Prometheus takes too.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Map, Value, json};

use super::asked::Node;
use super::{ask, list};
use crate::hosts::Host;
use crate::process::{Running, free_port, until};
use crate::product::root;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{ours, prometheus, web};

/// Where Prometheus of the compose file scrapes.
const SCRAPED: &str = "127.0.0.1:9100";
/// And whom it tells.
const TOLD: &str = "127.0.0.1:9093";

pub struct Stage {
    pub prometheus: Running,
    pub server: SocketAddr,
    pub nodeward: Running,
    scraped: Vec<String>,
    _others: Vec<Running>,
    _booted: Booted,
    mended: PathBuf,
    _scratches: [Scratch; 2],
}

impl Stage {
    pub fn set() -> Result<Self, Failed> {
        let (scratch, healing) = (Scratch::new()?, Scratch::trusted()?);
        let booted = Booted::boot(&scratch)?;
        let mut others = vec![ours::run([""; 0], &scratch)?];
        let mut command = ours::command("run", &scratch);
        command
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--collector.disable-defaults",
                "--collector.systemd",
            ])
            .arg(format!("--path.procfs=/proc/{}/root/proc", booted.first))
            .env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
        others.push(Running::start("nodeward-units", &mut command, &scratch)?);
        for name in ["server", "storage", "arm"] {
            let host = Host::copy(name, &scratch)?;
            let mut command = ours::command("run", &scratch);
            command
                .args(["--web.listen-address=127.0.0.1:0", "--collector.tcpstat"])
                .args(host.flags());
            let name = format!("nodeward-{name}");
            others.push(Running::start(&name, &mut command, &scratch)?);
        }

        let here = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut scraped = vec![here.to_string()];
        for other in &mut others {
            scraped.push(other.address()?.to_string());
        }
        let alerts = free_port()?;
        let mut prometheus = prometheus::start(&scrapes(&scraped, alerts, &scratch)?, &scratch)?;
        let server = prometheus.address()?;
        let mut command = ours::command("run", &healing);
        let config = healing.path().join("nodeward.yml");
        let port = free_port()?;
        let web = "http_server_config: {headers: {X-Content-Type-Options: nosniff}}\n";
        std::fs::write(healing.path().join("web.yml"), web)?;
        std::fs::write(
            &config,
            heals(here, alerts, server, port, &healing)?.to_string(),
        )?;
        command.arg("--config").arg(&config);
        let mut nodeward = Running::start("nodeward-heals", &mut command, &healing)?;
        nodeward.address()?;
        // Counted from the first on: one without the token.
        web::Request::post(here, "/hooks/guarded", &json!({}))?.answer()?;
        others.push(alertmanager(here, alerts, &scratch)?);
        Ok(Self {
            prometheus,
            server,
            nodeward,
            scraped,
            _others: others,
            _booted: booted,
            mended: mended(&healing),
            _scratches: [scratch, healing],
        })
    }

    /// Waits until what a rule reported was healed, what could not be was escalated, and Prometheus has seen enough of it for a
    /// rate.
    pub fn heals(&self) -> Result<(), Failed> {
        let many = self.scraped.len();
        for (expression, least) in [
            (
                "sum(nodeward_heals_total{outcome=\"healed\"})".to_owned(),
                1,
            ),
            (
                "sum(nodeward_incident_info{state=\"escalated\"})".to_owned(),
                1,
            ),
            ("sum(nodeward_notifications_waiting)".to_owned(), 1),
            (
                "min(count_over_time(nodeward_heal_duration_seconds_count[1m]))".to_owned(),
                4,
            ),
            (
                "min(count_over_time(nodeward_node_state_ratio[1m]))".to_owned(),
                4,
            ),
            (format!("count(count_over_time(up[1m]) > 5) == {many}"), 1),
        ] {
            let reached = || {
                let data = ask(self.server, &expression).ok()?;
                let value = list(&data["result"]).first()?["value"][1]
                    .as_str()?
                    .parse::<f64>();
                (value.ok()? >= f64::from(least)).then_some(())
            };
            until(&expression, reached).map_err(|failed| {
                let why = failed.message().unwrap_or_default().to_owned();
                Failed::from(format!(
                    "{why}\n{}\n{}",
                    self.nodeward.log(),
                    self.prometheus.log()
                ))
            })?;
        }
        Ok(())
    }

    /// Breaks what one of the playbooks mends.
    pub fn breaks(&self) -> Result<(), Failed> {
        Ok(std::fs::remove_file(&self.mended)?)
    }

    /// Every target, and what came by OTLP.
    pub fn nodes(&self) -> Result<Vec<Node>, Failed> {
        let scraped = self.scraped.iter().map(|instance| Node {
            job: "nodeward".into(),
            instance: instance.clone(),
        });
        let pushed = ask(self.server, "target_info")?;
        let pushed = list(&pushed["result"]).iter().map(|series| {
            let label = |name: &str| {
                series["metric"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            Node {
                job: label("job"),
                instance: label("instance"),
            }
        });
        Ok(scraped.chain(pushed).collect())
    }
}

/// The file that is to be there.
fn mended(scratch: &Scratch) -> PathBuf {
    scratch.path().join("mended")
}

/// The config of the compose file, with these targets, a second where it has fifteen, and what breaks.
fn scrapes(targets: &[String], alerts: u16, scratch: &Scratch) -> Result<String, Failed> {
    let config = std::fs::read_to_string(root().join("packaging/compose/prometheus.yml"))?;
    for expected in [SCRAPED, TOLD, "rules/*.yml", "15s"] {
        if !config.contains(expected) {
            return Err(format!("packaging/compose/prometheus.yml lacks {expected}").into());
        }
    }
    let mine = scratch.path().join("breaks.yml");
    let alert = |name: &str, expression: &str| json!({"alert": name, "expr": expression, "labels": {"severity": "critical", "node": "here"}});
    let breaks = [
        alert("Broken", "nodeward_check_up{check=\"file\"} == 0"),
        alert("Lost", "nodeward_check_up{check=\"never\"} == 0"),
    ];
    let breaks = json!({"groups": [{"name": "breaks", "rules": breaks}]});
    std::fs::write(&mine, breaks.to_string())?;
    let rules = format!(
        "{}\n  - {}",
        root().join("alert-rules/*.yml").display(),
        mine.display()
    );
    let config = config
        .replace(SCRAPED, &targets.join("\", \""))
        .replace("rules/*.yml", &rules)
        .replace(TOLD, &format!("127.0.0.1:{alerts}"))
        .replace("15s", "1s");
    Ok(format!("{config}\notlp: {{}}\n"))
}

/// A config with a playbook that helps and one that does not.
fn heals(
    here: SocketAddr,
    alerts: u16,
    server: SocketAddr,
    port: u16,
    scratch: &Scratch,
) -> Result<Value, Failed> {
    let file = mended(scratch);
    let off = ["cooldown", "max_age", "quiet", "budget", "flap"];
    let quick: Map<String, Value> = off
        .map(|guard| (guard.to_owned(), json!("off")))
        .into_iter()
        .collect();
    let gone = free_port()?;
    let token = scratch.path().join("hook.token");
    std::fs::write(&token, "secret of the stage")?;
    std::fs::set_permissions(token, std::fs::Permissions::from_mode(0o600))?;
    Ok(json!({
        "node": {"match": {"node": ["here"]}},
        "http": {"listen": [here.to_string()], "web_config": "web.yml"},
        "subjects": {"enable": ["service_sessions"], "service_sessions": {"ports": [here.port()]}},
        "zabbix": {"listen": ["127.0.0.1:0"], "server": ["127.0.0.1"]},
        "otlp": {"endpoint": format!("http://{server}/api/v1/otlp"), "protocol": "http/protobuf", "interval": "1s"},
        "hooks": {"alertmanager": {"api": {"urls": [format!("http://127.0.0.1:{alerts}")], "every": "1s"}},
            "guarded": {"kind": "alertmanager", "bearer_token_file": "hook.token"}},
        "checks": {
            "file": {"probe": {"file": {"path": file}}, "every": "200ms", "fall": 1, "rise": 1},
            "never": {"probe": {"tcp": {"address": format!("127.0.0.1:{gone}")}}, "every": "200ms", "fall": 1},
        },
        "pools": {"web": {"gates": [{"haproxy_agent": {"listen": [format!("127.0.0.1:{port}")]}}], "drain": "100ms"}},
        "notify": {"oncall": {"to": {"webhook": {"url": format!("http://127.0.0.1:{gone}/")}}}},
        "playbooks": {
            "mend": {
                "mode": "auto", "match": {"alertname": "Broken"}, "target": {"service": "file"}, "guards": quick,
                "ladder": [{"do": {"command": {"argv": ["/usr/bin/touch", file]}}}],
                "verify": {"all": [{"check": "file"}], "pass": 1, "every": "100ms"}, "probation": "0s",
            },
            "hope": {
                "mode": "auto", "match": {"alertname": "Lost"}, "target": {"service": "never"}, "guards": quick,
                "isolate": "web", "ladder": [{"do": {"command": {"argv": ["/usr/bin/true"]}}}],
                "verify": {"all": [{"check": "never"}], "pass": 1, "every": "100ms", "deadline": "500ms"},
                "escalate": ["oncall"],
            },
        },
    }))
}

fn alertmanager(here: SocketAddr, port: u16, scratch: &Scratch) -> Result<Running, Failed> {
    let hook = format!("http://{here}/hooks/alertmanager");
    let routes = json!({
        "route": {"receiver": "nobody", "group_wait": "100ms", "group_interval": "1s", "group_by": ["alertname"], "routes": [
            {"receiver": "nodeward", "matchers": ["node=\"here\""]},
        ]},
        "receivers": [{"name": "nobody"}, {"name": "nodeward", "webhook_configs": [{"url": hook}]}],
    });
    let file = scratch.path().join("alertmanager.yml");
    std::fs::write(&file, routes.to_string())?;
    let storage = scratch.path().join("alertmanager");
    let mut command = Command::new(Peer::Alertmanager.find()?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.path={}", storage.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let mut running = Running::start("alertmanager", &mut command, scratch)?;
    running.listens(port)?;
    Ok(running)
}
