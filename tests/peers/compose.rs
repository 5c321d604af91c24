//! The loop of docker-compose.yml, without containers: its programs with the files it mounts, on its own addresses within a network of its
//! own. The shop is broken, the shipped rule fires, Alertmanager tells nodeward, nodeward heals, and people see that.
//!
//! Not run: the images, Grafana, and the Zabbix of the profile.

use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;

use crate::pools::apart::apart;
use crate::process::{Running, until};
use crate::product::root;
use crate::programs::Peer;
use crate::prometheus::query;
use crate::scratch::Scratch;
use crate::{PeerTest, healing, ours, web};

const NAME: &str = "compose::the_shop_that_is_broken_is_healed_by_what_is_shipped";

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: NAME,
    needs: &[
        Peer::Root,
        Peer::Unshare,
        Peer::Ip,
        Peer::Prometheus,
        Peer::Alertmanager,
        Peer::Haproxy,
    ],
    run: || apart(NAME, run),
}];

const NODEWARD: u16 = 9100;
const PROMETHEUS: u16 = 9090;
const ALERTMANAGER: u16 = 9093;
const FRONT: u16 = 8080;
const SHOPS: [u16; 2] = [8081, 8082];

fn at(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// A file that the compose file mounts, with what a test has no time for made short; each must be there.
fn mounted(name: &str, short: &[(&str, &str)], scratch: &Scratch) -> Result<String, Failed> {
    let mut text = std::fs::read_to_string(root().join(name))?;
    for (long, short) in short {
        if !text.contains(long) {
            return Err(format!("{name} lacks {long}").into());
        }
        text = text.replace(long, short);
    }
    let file = name.rsplit('/').next().unwrap_or(name);
    let path = scratch.path().join(file);
    std::fs::write(&path, text)?;
    Ok(path.display().to_string())
}

struct House {
    nodeward: Running,
    prometheus: Running,
    _others: Vec<Running>,
}

fn start(scratch: &Scratch) -> Result<House, Failed> {
    let mut others = Vec::new();
    for port in SHOPS {
        let mut shop = ours::command("demo-service", scratch);
        shop.arg(format!("--listen=127.0.0.1:{port}"));
        let mut shop = Running::start(&format!("shop-{port}"), &mut shop, scratch)?;
        shop.listens(port)?;
        others.push(shop);
    }
    let short = [
        ("probation: 30s", "probation: 2s"),
        ("drain: 5s", "drain: 1s"),
    ];
    let config = mounted("packaging/compose/nodeward.yml", &short, scratch)?;
    let mut nodeward = ours::command("run", scratch);
    nodeward.args(["--config", &config, "--web.listen-address=127.0.0.1:9100"]);
    let mut nodeward = Running::start("nodeward", &mut nodeward, scratch)?;
    nodeward.listens(NODEWARD)?;

    let mut haproxy = Command::new(Peer::Haproxy.find()?);
    haproxy.args(["-db", "-f"]);
    haproxy.arg(root().join("packaging/compose/haproxy.cfg"));
    let mut haproxy = Running::start("haproxy", &mut haproxy, scratch)?;
    haproxy.listens(FRONT)?;
    others.push(haproxy);

    let config = mounted(
        "packaging/compose/alertmanager.yml",
        &[("group_interval: 10s", "group_interval: 1s")],
        scratch,
    )?;
    let mut alertmanager = Command::new(Peer::Alertmanager.find()?);
    alertmanager.arg(format!("--config.file={config}")).args([
        &format!("--storage.path={}/alertmanager", scratch.path().display()),
        "--web.listen-address=127.0.0.1:9093",
        "--cluster.listen-address=",
    ]);
    let mut alertmanager = Running::start("alertmanager", &mut alertmanager, scratch)?;
    alertmanager.listens(ALERTMANAGER)?;
    others.push(alertmanager);

    let rules = Scratch::new()?;
    for name in [
        "playbooks.yml",
        "thresholds.yml",
        "state.yml",
        "records.yml",
    ] {
        let short: &[_] = match name {
            "playbooks.yml" => &[("for: 1m", "for: 2s")],
            _ => &[],
        };
        mounted(&format!("alert-rules/{name}"), short, &rules)?;
    }
    std::fs::rename(rules.path(), scratch.path().join("rules"))?;
    let config = mounted(
        "packaging/compose/prometheus.yml",
        &[("15s", "1s")],
        scratch,
    )?;
    let mut prometheus = Command::new(Peer::Prometheus.find()?);
    prometheus.args([
        &format!("--config.file={config}"),
        &format!("--storage.tsdb.path={}/tsdb", scratch.path().display()),
        "--web.listen-address=127.0.0.1:9090",
    ]);
    let mut prometheus = Running::start("prometheus", &mut prometheus, scratch)?;
    prometheus.listens(PROMETHEUS)?;
    Ok(House {
        nodeward,
        prometheus,
        _others: others,
    })
}

impl House {
    /// Waits until an expression is as high as that.
    fn reaches(&self, expression: &str, least: f64) -> Result<(), Failed> {
        let reached = || query(at(PROMETHEUS), expression).filter(|value| *value >= least);
        until(expression, reached).map(drop).map_err(|failed| {
            let why = failed.message().unwrap_or_default();
            Failed::from(format!(
                "{why}\n{}\n{}",
                self.nodeward.log(),
                self.prometheus.log()
            ))
        })
    }
}

/// What the runtime socket of HAProxy says of the first shop.
fn status() -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(at(9202)).ok()?;
    stream.write_all(b"show stat\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let line = text.lines().find(|line| line.starts_with("shop,shop-1,"))?;
    line.split(',').nth(17).map(str::to_owned)
}

fn run() -> Result<(), Failed> {
    let scratch = Scratch::trusted()?;
    let house = start(&scratch)?;
    until("both sides to see the shop", || {
        (status()?.as_str() == "UP").then_some(())
    })?;
    house.reaches("nodeward_check_up{check=\"web\"}", 1.0)?;
    house.reaches("nodeward_pool_healthy{pool=\"shop\"}", 1.0)?;

    let broken = web::Request::post(at(SHOPS[0]), "/break", &serde_json::Value::Null)?.answer()?;
    assert_eq!(broken.status, 200);
    house.reaches(
        "max_over_time(ALERTS{alertname=\"NodeServiceUnreachable\",alertstate=\"firing\"}[5m])",
        1.0,
    )?;
    house.reaches(
        "sum(nodeward_heals_total{playbook=\"shop-repair\",outcome=\"healed\"})",
        1.0,
    )?;
    until("the shop to be back in its pool", || {
        (status()?.as_str() == "UP").then_some(())
    })?;
    web::page(at(SHOPS[0]), "/")?;
    web::page(at(FRONT), "/")?;
    let resolved = "count(ALERTS{alertname=\"NodeServiceUnreachable\"}) or vector(0)";
    until("the alert to end", || {
        query(at(PROMETHEUS), resolved).filter(|value| *value == 0.0)
    })?;

    // It left the pool before anything was done, and came back after it was proven.
    let records = healing::journal(&scratch)?;
    let place = |wanted: &dyn Fn(&serde_json::Value) -> bool, what: &str| {
        let found = records.iter().position(wanted);
        found.ok_or_else(|| Failed::from(format!("{what} is not on record: {records:#?}")))
    };
    let steps = [
        place(
            &|r| r["kind"] == "alert" && r["data"]["hook"] == "alertmanager",
            "the alert",
        )?,
        place(
            &|r| r["kind"] == "hold" && r["data"]["did"] == "out",
            "that it was out",
        )?,
        place(&|r| r["kind"] == "intent", "what was to be done")?,
        place(&|r| r["to"] == "healed", "that it was healed")?,
        place(
            &|r| r["kind"] == "hold" && r["data"]["did"] == "heard",
            "that it is back",
        )?,
    ];
    assert!(steps.is_sorted(), "{steps:?}: {records:#?}");
    house.nodeward.terminate()?;
    healing::verified(&scratch)
}
