//! The OpenTelemetry Collector: its hostmetrics beside what it receives from us, both told by its file
//! exporter, so that both went through the same strict decoder.
//!
//! Every default metric of hostmetrics for our subjects must come from us too: same name, unit, kind,
//! monotonicity, temporality, attributes. Counters lie between two batches of the Collector's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "collector::our_metrics_are_those_of_hostmetrics_over_http",
        needs: &[Peer::Collector],
        run: || same_metrics("http"),
    },
    PeerTest {
        name: "collector::our_metrics_are_those_of_hostmetrics_over_grpc",
        needs: &[Peer::Collector],
        run: || same_metrics("grpc"),
    },
];

/// What a stream of points is, apart from its values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    unit: String,
    kind: String,
    monotonic: bool,
    temporality: u64,
}

/// One decoded batch: shape of each metric, value of each (metric, attributes).
#[derive(Debug, Default)]
struct Batch {
    shapes: BTreeMap<String, Shape>,
    values: BTreeMap<(String, BTreeMap<String, String>), f64>,
}

/// Batches of the Collector's own that must frame ours.
const ENOUGH: usize = 3;

fn same_metrics(protocol: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (port, home) = (free_port()?, scratch.path().display().to_string());
    let configuration = format!(
        "receivers:
  host_metrics:
    collection_interval: 1s
    initial_delay: 0s
    scrapers: {{cpu: , memory: , disk: , filesystem: , network: , processes: , load: , system: , paging: }}
  otlp: {{protocols: {{{protocol}: {{endpoint: \"127.0.0.1:{port}\"}}}}}}
exporters:
  file/theirs: {{path: {home}/theirs.json}}
  file/ours: {{path: {home}/ours.json}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics/theirs: {{receivers: [host_metrics], exporters: [file/theirs]}}
    metrics/ours: {{receivers: [otlp], exporters: [file/ours]}}
"
    );
    let file = scratch.path().join("collector.yaml");
    std::fs::write(&file, configuration)?;
    let mut command = Command::new(Peer::Collector.find()?);
    command.arg("--config").arg(&file);
    let mut collector = Running::start("otelcol", &mut command, &scratch)?;
    collector.listens(port)?;

    let protocol = if protocol == "grpc" {
        "grpc"
    } else {
        "http/protobuf"
    };
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}
otlp: {{endpoint: \"http://127.0.0.1:{port}\", protocol: {protocol}, interval: 1s}}
"
    );
    let mut ours = ours::configured(&yaml, &scratch)?;
    ours.address()?;

    let mine = scratch.path().join("ours.json");
    let theirs = scratch.path().join("theirs.json");
    let ours_done = until("our batches", || {
        batches(&mine).filter(|all| all.len() >= ENOUGH)
    });
    let ours_done = ours_done.map_err(|failed| {
        let reason = failed.message().unwrap_or_default();
        Failed::from(format!(
            "{reason}\nnodeward: {}\notelcol: {}",
            ours.log(),
            collector.log()
        ))
    })?;
    // Since the Collector went on while ours were awaited, its first and last frame them.
    let so_far = batches(&theirs).map_or(0, |all| all.len());
    let frame = until("the Collector's batches", || {
        batches(&theirs).filter(|all| all.len() > so_far + ENOUGH)
    })?;
    // hostmetrics sends one request a scraper, so a batch is what its requests say together.
    let (first, last) = (merge(&frame, true), merge(&frame, false));
    compare(&first, &merge(&ours_done, false), &last)
}

/// States that are told only while a process is in them, which is a moment.
const COMING_AND_GOING: [(&str, &str); 3] = [
    ("system.processes.count", "zombies"),
    ("system.processes.count", "stopped"),
    ("system.processes.count", "unknown"),
];

/// States that hostmetrics tells beside FIN_WAIT_1 and FIN_WAIT_2, which it always tells as 0: its library
/// names them otherwise. Not copied.
const OWN_ERRORS: [&str; 2] = ["FIN_WAIT1", "FIN_WAIT2"];

/// Counts of pages, KiB and faults that hostmetrics multiplies by the bytes of a page. Not copied.
const TIMES_4096: [&str; 2] = ["system.paging.operations", "system.paging.faults"];

fn compare(first: &Batch, ours: &Batch, last: &Batch) -> Result<(), Failed> {
    let mut complaints = Vec::new();
    for (name, shape) in &first.shapes {
        match ours.shapes.get(name) {
            None => complaints.push(format!("{name} is missing")),
            Some(told) if told != shape => {
                complaints.push(format!("{name}: {told:?} instead of {shape:?}"));
            }
            Some(_) => {}
        }
    }
    // States and mounts that were there the whole time.
    let steady: BTreeSet<_> = first
        .values
        .keys()
        .filter(|series| last.values.contains_key(series))
        .collect();
    for series in steady {
        if OWN_ERRORS
            .iter()
            .any(|state| series.1.values().any(|value| value == state))
        {
            continue;
        }
        let comes_and_goes = COMING_AND_GOING
            .iter()
            .any(|(name, value)| series.0 == *name && series.1.values().any(|v| v == value));
        let Some(value) = ours.values.get(series) else {
            if comes_and_goes {
                continue;
            }
            complaints.push(format!("{series:?} is missing"));
            continue;
        };
        let (Some(low), Some(high)) = (first.values.get(series), last.values.get(series)) else {
            continue;
        };
        let times = match TIMES_4096.contains(&series.0.as_str()) {
            true => 4096.0,
            false => 1.0,
        };
        let (low, high) = (low / times, high / times);
        let counter = first
            .shapes
            .get(&series.0)
            .is_some_and(|shape| shape.monotonic);
        // The reference adds doubles in another order than we do: the last digit may differ.
        let slack = high.abs() * 1e-12;
        if counter && !(low - slack..=high + slack).contains(value) {
            complaints.push(format!(
                "{series:?}: {value} is not within {low} and {high}"
            ));
        }
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n").into())
    }
}

/// The requests in a file of the file exporter; `None` while there are none.
fn batches(path: &Path) -> Option<Vec<Batch>> {
    let text = std::fs::read_to_string(path).ok()?;
    // The last line may still be in the writing.
    let whole = text.rsplit_once('\n')?.0;
    whole
        .lines()
        .map(|line| batch(&serde_json::from_str(line).ok()?))
        .collect()
}

/// Requests as one batch: of each series the first value or the last.
fn merge(batches: &[Batch], first: bool) -> Batch {
    let mut all = Batch::default();
    let mut add = |batch: &Batch| {
        all.shapes.extend(
            batch
                .shapes
                .iter()
                .map(|(name, shape)| (name.clone(), shape.clone())),
        );
        all.values.extend(
            batch
                .values
                .iter()
                .map(|(series, value)| (series.clone(), *value)),
        );
    };
    if first {
        batches.iter().rev().for_each(&mut add);
    } else {
        batches.iter().for_each(&mut add);
    }
    all
}

fn batch(request: &Value) -> Option<Batch> {
    let mut batch = Batch::default();
    for resource in request.get("resourceMetrics")?.as_array()? {
        for scope in resource.get("scopeMetrics")?.as_array()? {
            for metric in scope.get("metrics")?.as_array()? {
                let name = metric.get("name")?.as_str()?.to_owned();
                let kind = if metric.get("sum").is_some() {
                    "sum"
                } else {
                    "gauge"
                };
                let body = metric.get(kind)?;
                let text = |key: &str| metric.get(key).and_then(Value::as_str).unwrap_or_default();
                let shape = Shape {
                    unit: text("unit").to_owned(),
                    kind: kind.to_owned(),
                    monotonic: body
                        .get("isMonotonic")
                        .and_then(Value::as_bool)
                        .unwrap_or(false),
                    temporality: body
                        .get("aggregationTemporality")
                        .and_then(Value::as_u64)
                        .unwrap_or(0),
                };
                for point in body.get("dataPoints")?.as_array()? {
                    batch
                        .values
                        .insert((name.clone(), attributes(point)?), number(point)?);
                }
                batch.shapes.insert(name, shape);
            }
        }
    }
    Some(batch)
}

fn attributes(point: &Value) -> Option<BTreeMap<String, String>> {
    let Some(list) = point.get("attributes") else {
        return Some(BTreeMap::new());
    };
    let pair = |attribute: &Value| {
        let key = attribute.get("key")?.as_str()?.to_owned();
        let value = attribute.get("value")?.as_object()?.values().next()?;
        Some((
            key,
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        ))
    };
    list.as_array()?.iter().map(pair).collect()
}

/// Integers are strings in the JSON of OTLP.
fn number(point: &Value) -> Option<f64> {
    match point.get("asInt") {
        Some(Value::String(text)) => text.parse().ok(),
        Some(other) => other.as_f64(),
        None => point.get("asDouble")?.as_f64(),
    }
}
