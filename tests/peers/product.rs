//! What is shipped beside the program, taken by the programs it is for: rules and dashboards by Prometheus, the
//! Collector's config by the Collector. (The Zabbix template: `zabbix_server.rs`.)

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value has null wherever it has nothing"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::page::Page;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::{PeerTest, ours, prometheus, web};

#[allow(
    clippy::panic,
    clippy::expect_used,
    clippy::string_slice,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails by panicking"
)]
#[path = "../it/product/promql.rs"]
mod promql;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "product::promtool_finds_nothing_wrong_with_the_rules",
        needs: &[Peer::Promtool],
        run: || {
            promtool(
                &["check", "rules", "--lint=all", "--lint-fatal"],
                "alert-rules",
            )?;
            promtool(&["check", "rules"], "alert-rules/examples")
        },
    },
    PeerTest {
        name: "product::every_alert_fires_when_it_should_and_ends",
        needs: &[Peer::Promtool],
        run: || promtool(&["test", "rules"], "alert-rules/tests"),
    },
    PeerTest {
        name: "product::the_collector_takes_the_config_of_the_compose_file",
        needs: &[Peer::Collector],
        run: collector_config,
    },
    PeerTest {
        name: "product::prometheus_answers_the_dashboards_and_judges_the_rules",
        needs: &[
            Peer::Prometheus,
            Peer::Root,
            Peer::Systemd,
            Peer::DbusDaemon,
        ],
        run: dashboards_and_rules,
    },
];

/// Where Prometheus of the compose file scrapes.
const SCRAPED: &str = "127.0.0.1:9100";
/// Panels that have nothing to show of a machine that is well.
const WHEN_ILL: &[&str] = &["Items that could not be read"];
/// What the variables of Grafana stand for in a query.
const VARIABLES: &[(&str, &str)] = &[
    ("$__rate_interval", "1m"),
    ("$__interval", "15s"),
    ("$device", ".+"),
    ("$job", "nodeward"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &str, end: &str) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join(directory))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(format!("{directory} holds no *{end}").into()),
        false => Ok(files),
    }
}

/// Runs a program that judges files.
fn judge(command: &mut Command) -> Result<(), Failed> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(format!("{command:?}: {}\n{}", out.status, said.concat()).into())
}

fn promtool(arguments: &[&str], directory: &str) -> Result<(), Failed> {
    let mut command = Command::new(Peer::Promtool.find()?);
    judge(command.args(arguments).args(files(directory, ".yml")?))
}

fn collector_config() -> Result<(), Failed> {
    let config = root().join("packaging/compose/collector.yaml");
    let mut command = Command::new(Peer::Collector.find()?);
    judge(command.arg("validate").arg("--config").arg(config))
}

/// GETs of Prometheus's API; its complaint if it has one.
fn ask(server: SocketAddr, path: &str) -> Result<Value, Failed> {
    let answer = web::Request::send(server, path)?.answer()?;
    let answer: Value = serde_json::from_slice(&answer.body)?;
    match answer["error"].as_str() {
        Some(error) => Err(error.into()),
        None => Ok(answer["data"].clone()),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A query of a panel.
struct Query {
    panel: String,
    expression: String,
}

fn queries(instance: SocketAddr) -> Result<Vec<Query>, Failed> {
    let mut queries = Vec::new();
    for file in files("dashboards", ".json")? {
        let dashboard: Value = serde_json::from_slice(&std::fs::read(file)?)?;
        let top = list(&dashboard["panels"]);
        let panels = top
            .iter()
            .chain(top.iter().flat_map(|p| list(&p["panels"])));
        let annotations = list(&dashboard["annotations"]["list"]).iter();
        let asked = panels
            .flat_map(|panel| {
                let targets = list(&panel["targets"]).iter();
                targets.map(move |target| (&panel["title"], &target["expr"]))
            })
            .chain(annotations.map(|a| (&a["name"], &a["expr"])));
        for (panel, expression) in asked {
            let expression = expression.as_str().ok_or("a target without a query")?;
            let mut expression = expression.replace("$instance", &instance.to_string());
            for (name, value) in VARIABLES {
                expression = expression.replace(name, value);
            }
            queries.push(Query {
                panel: panel.as_str().unwrap_or_default().to_owned(),
                expression,
            });
        }
    }
    Ok(queries)
}

/// The query without its comparisons: `> 0` and the like are there to be empty most of the time.
fn unconditional(expression: &str) -> String {
    [" > 0", " == 0", " == 1"]
        .iter()
        .fold(expression.to_owned(), |text, condition| {
            text.replace(condition, "")
        })
}

fn encoded(expression: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    expression.bytes().map(byte).collect()
}

/// A nodeward that reads the machine, and one that reads the units of a booted systemd.
struct Nodes {
    _running: [Running; 2],
    addresses: [SocketAddr; 2],
}

impl Nodes {
    fn start(booted: &Booted, scratch: &Scratch) -> Result<Self, Failed> {
        let mut machine = ours::run(["--collector.processes"], scratch)?;
        let mut command = ours::command("run", scratch);
        command
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--collector.disable-defaults",
                "--collector.systemd",
            ])
            .arg(format!("--path.procfs=/proc/{}/root/proc", booted.first))
            .env("DBUS_SYSTEM_BUS_ADDRESS", &booted.bus);
        let mut units = Running::start("nodeward-units", &mut command, scratch)?;
        let addresses = [machine.address()?, units.address()?];
        Ok(Self {
            _running: [machine, units],
            addresses,
        })
    }
}

fn dashboards_and_rules() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    let nodes = Nodes::start(&booted, &scratch)?;
    let config = std::fs::read_to_string(root().join("packaging/compose/prometheus.yml"))?;
    let rules = root().join("alert-rules/*.yml");
    for expected in [SCRAPED, "rules/*.yml", "15s"] {
        if !config.contains(expected) {
            return Err(format!("packaging/compose/prometheus.yml lacks {expected}").into());
        }
    }
    let targets = nodes.addresses.map(|address| address.to_string());
    let config = config
        .replace(SCRAPED, &targets.join("\", \""))
        .replace("rules/*.yml", &rules.display().to_string())
        .replace("15s", "1s");
    let mut prometheus = prometheus::start(&config, &scratch)?;
    let server = prometheus.address()?;
    // What counts scrapes is there from the second on, and a rate needs two of its values.
    until("four scrapes of each", || {
        let scrapes = encoded("count_over_time(nodeward_build_info[1m]) > 3");
        let data = ask(server, &format!("/api/v1/query?query={scrapes}")).ok()?;
        (list(&data["result"]).len() == nodes.addresses.len()).then_some(())
    })?;
    let mut answered = BTreeSet::new();
    for address in nodes.addresses {
        shown(server, address, &mut answered)?;
    }
    let never: Vec<String> = queries(server)?
        .into_iter()
        .map(|query| query.panel)
        .filter(|panel| !answered.contains(panel) && !WHEN_ILL.contains(&panel.as_str()))
        .collect();
    if !never.is_empty() {
        return Err(format!("no data anywhere: {never:?}").into());
    }
    judged(server)?;
    prometheus::quiet(&prometheus)
}

/// Runs every query for one node: none is wrong, and those over what its page tells have data. Notes the panels that
/// have.
fn shown(
    server: SocketAddr,
    address: SocketAddr,
    answered: &mut BTreeSet<String>,
) -> Result<(), Failed> {
    let page = Page::parse(&web::page(address, "/metrics")?)?;
    let told: BTreeSet<&str> = page
        .samples
        .keys()
        .map(|series| series.name.as_str())
        .collect();
    let mut wrong = BTreeMap::new();
    for query in queries(address)? {
        let run = |expression: &str| {
            let path = format!("/api/v1/query?query={}", encoded(expression));
            ask(server, &path)
        };
        let data = run(&query.expression).and_then(|_| run(&unconditional(&query.expression)));
        let names = promql::metrics(&query.expression);
        let expected = names.iter().all(|name| told.contains(name.as_str()));
        match data {
            Err(failed) => {
                let why = failed.message().unwrap_or_default().to_owned();
                wrong.insert(query.expression, format!("{}: {why}", query.panel));
            }
            Ok(data) if expected && list(&data["result"]).is_empty() => {
                wrong.insert(query.expression, format!("{}: no data", query.panel));
            }
            Ok(_) if expected => {
                answered.insert(query.panel);
            }
            Ok(_) => {}
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!("{wrong:#?}").into()),
    }
}

/// Waits until Prometheus has evaluated every rule, and every one without an error.
fn judged(server: SocketAddr) -> Result<(), Failed> {
    let health = |rule: &Value| {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        (text("name"), text("health"), text("lastError"))
    };
    let judged = until("every rule to be evaluated", || {
        let data = ask(server, "/api/v1/rules").ok()?;
        let groups = list(&data["groups"]).iter();
        let rules: Vec<_> = groups.flat_map(|g| list(&g["rules"])).map(health).collect();
        let done = !rules.is_empty() && rules.iter().all(|(_, health, _)| health != "unknown");
        done.then_some(rules)
    })?;
    match judged.iter().find(|(_, health, _)| health != "ok") {
        Some(rule) => Err(format!("{rule:?}").into()),
        None => Ok(()),
    }
}
