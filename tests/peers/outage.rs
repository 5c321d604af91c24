//! An outage of the OTLP receiver, and a reload inside it: every point that was read arrives.
//!
//! The receiver (`otlp-receiver.py`) is a decoder that shares nothing with nodeward. What it decoded is
//! compared with what nodeward says it sent.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours, web};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "outage::a_reload_while_the_receiver_is_away_loses_nothing_over_http",
        needs: &[Peer::OtlpPython],
        run: || nothing_is_lost("http", "http/protobuf"),
    },
    PeerTest {
        name: "outage::a_reload_while_the_receiver_is_away_loses_nothing_over_grpc",
        needs: &[Peer::OtlpPython],
        run: || nothing_is_lost("grpc", "grpc"),
    },
];

/// Exports that must pile up before the reload.
const ENOUGH: f64 = 5.0;

fn nothing_is_lost(flag: &str, protocol: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let port = free_port()?;
    let config = |interval: &str, compression: &str| {
        format!(
            "http: {{listen: [\"127.0.0.1:0\"]}}
otlp: {{endpoint: \"http://127.0.0.1:{port}\", protocol: {protocol}, interval: {interval}, compression: {compression}, traces: false}}
"
        )
    };
    let mut nodeward = ours::configured(&config("100ms", "none"), &scratch)?;
    let address = nodeward.address()?;
    let told = |name: &str| -> f64 {
        let page = web::page(address, "/metrics");
        sum(&page.unwrap_or_default(), name)
    };
    // In memory or on the disk.
    let queued = || told("nodeward_otlp_queue_bytes") + told("nodeward_otlp_spool_bytes");
    let one = until("a first export in the queue", || {
        Some(queued()).filter(|bytes| *bytes > 0.0)
    })?;
    until("an outage worth the name", || {
        (queued() > one * ENOUGH).then_some(())
    })?;

    // One export more at once, then none within this test: what is told stands still.
    std::fs::write(scratch.path().join("nodeward.yml"), config("1d", "gzip"))?;
    let pid = i32::try_from(nodeward.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or("no process id")?, Signal::HUP)?;
    until("the reload", || {
        nodeward.log().contains("config reloaded").then_some(())
    })?;

    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/otlp-receiver.py");
    let mut command = Command::new(Peer::OtlpPython.find()?);
    command
        .arg(program)
        .arg(format!("--{flag}"))
        .arg(port.to_string());
    let receiver = Running::start("otlp-receiver", &mut command, &scratch)?;
    let went = until("the queue to be empty", || (queued() == 0.0).then_some(()));
    if went.is_err() {
        return Err(format!("{}\n{}", nodeward.log(), receiver.log()).into());
    }

    let log = receiver.log();
    let requests: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .skip(1)
        .collect();
    let points: f64 = requests.iter().map(points).sum();
    same(
        "requests",
        requests.len() as f64,
        told("nodeward_otlp_requests_total"),
    )?;
    same("points", points, told("nodeward_otlp_items_total"))?;
    same(
        "dropped points",
        0.0,
        told("nodeward_otlp_dropped_items_total"),
    )?;
    if (requests.len() as f64) < ENOUGH {
        return Err(format!("only {} requests", requests.len()).into());
    }
    Ok(())
}

fn same(what: &str, decoded: f64, told: f64) -> Result<(), Failed> {
    if decoded == told {
        return Ok(());
    }
    Err(format!("{what}: the receiver has {decoded}, nodeward tells {told}").into())
}

/// The sum of all series of a name on a page.
fn sum(page: &str, name: &str) -> f64 {
    page.lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Data points in a decoded request.
fn points(value: &Value) -> f64 {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Array(all) if key == "data_points" => all.len() as f64,
                _ => points(value),
            })
            .sum(),
        Value::Array(all) => all.iter().map(points).sum(),
        _ => 0.0,
    }
}
