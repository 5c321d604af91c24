//! An outage of the OTLP receiver, and a reload, a kill or a full disk inside it: every point that was read arrives.
//!
//! The receiver (`otlp-receiver.py`) is a decoder that shares nothing with nodeward. What it decoded is
//! compared with what nodeward says it sent, or with what it decoded itself while it took nothing.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours, web};

mod full;
mod killed;

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
    PeerTest {
        name: "outage::a_kill_while_the_receiver_is_away_loses_nothing_over_http",
        needs: &[Peer::OtlpPython],
        run: || killed::nothing_is_lost("http", "http/protobuf"),
    },
    PeerTest {
        name: "outage::a_kill_while_the_receiver_is_away_loses_nothing_over_grpc",
        needs: &[Peer::OtlpPython],
        run: || killed::nothing_is_lost("grpc", "grpc"),
    },
    PeerTest {
        name: "outage::what_a_full_disk_does_not_take_waits_in_memory",
        needs: &[Peer::OtlpPython, Peer::Root, Peer::Unshare],
        run: full::nothing_is_lost,
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

    let receiver = receiver("otlp-receiver", (flag, port), &[], &scratch)?;
    let went = until("the queue to be empty", || (queued() == 0.0).then_some(()));
    if went.is_err() {
        return Err(format!("{}\n{}", nodeward.log(), receiver.log()).into());
    }

    let requests = requests(&receiver);
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

/// A receiver on a port that answers as scripted, and then takes everything.
fn receiver(
    name: &str,
    (flag, port): (&str, u16),
    script: &[Value],
    scratch: &Scratch,
) -> Result<Running, Failed> {
    let file = scratch.path().join(format!("{name}.json"));
    std::fs::write(&file, serde_json::to_string(script)?)?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/otlp-receiver.py");
    let mut command = Command::new(Peer::OtlpPython.find()?);
    command
        .arg(program)
        .args([format!("--{flag}"), port.to_string()])
        .arg("--script")
        .arg(file);
    Running::start(name, &mut command, scratch)
}

/// The requests that a receiver has told of.
fn requests(receiver: &Running) -> Vec<Value> {
    let log = receiver.log();
    let lines = log.lines().skip(1);
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// A point as it was read: metric and attributes, and when.
type Point = (String, u64);

/// Every point of a decoded request.
fn decoded(request: &Value) -> Vec<Point> {
    let list = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let resources = request
        .get("request")
        .map(|request| list(request, "resource_metrics"));
    let scopes = resources
        .unwrap_or_default()
        .into_iter()
        .flat_map(|r| list(&r, "scope_metrics"));
    let metrics = scopes.flat_map(|scope| list(&scope, "metrics"));
    metrics
        .flat_map(|metric| {
            let name = metric
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let kinds = metric.as_object().into_iter().flat_map(|map| map.values());
            let points: Vec<_> = kinds.flat_map(|kind| list(kind, "data_points")).collect();
            points.into_iter().filter_map(move |point| {
                let attributes = point.get("attributes").map(Value::to_string);
                let at = point.get("time_unix_nano")?.as_str()?.parse().ok()?;
                Some((format!("{name}{}", attributes.unwrap_or_default()), at))
            })
        })
        .collect()
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
