//! The OpenTelemetry Collector: its hostmetrics beside what it receives from us, both told by its file
//! exporter, so that both went through the same strict decoder.
//!
//! Every default metric of hostmetrics for our subjects must come from us too: same name, unit, kind, kind of number,
//! monotonicity, temporality, attributes and start. Counters lie between two batches of the Collector's own. What is
//! otherwise on purpose stands in [`differences`].

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

mod differences;
mod nfs;
mod secure;

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
    PeerTest {
        name: "collector::what_nfs_counts_is_that_of_hostmetrics",
        needs: &[Peer::Collector, Peer::Root, Peer::Unshare],
        run: nfs::same_metrics,
    },
    PeerTest {
        name: "collector::who_does_not_get_through_by_tls_is_told_what_to_change",
        needs: &[Peer::Collector],
        run: secure::told,
    },
];

/// What a stream of points is, apart from its values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shape {
    unit: String,
    kind: String,
    monotonic: bool,
    temporality: u64,
    number: &'static str,
}

/// A metric and its attributes.
type Series = (String, BTreeMap<String, String>);

/// One decoded batch: shape of each metric, value of each (metric, attributes).
#[derive(Debug, Default)]
struct Batch {
    shapes: BTreeMap<String, Shape>,
    values: BTreeMap<Series, f64>,
    /// Since when each counts, in nanoseconds; 0 for no start.
    starts: BTreeMap<Series, u64>,
    /// What its resource says.
    resource: BTreeMap<String, String>,
}

/// What hostmetrics has beyond its defaults, by scraper (cpu, memory, filesystem, paging), and the subject that tells it.
const OPTIONAL: [(&str, &[&str]); 4] = [
    (
        "cpu",
        &[
            "system.cpu.utilization",
            "system.cpu.physical.count",
            "system.cpu.frequency",
        ],
    ),
    (
        "meminfo",
        &[
            "system.memory.utilization",
            "system.memory.limit",
            "system.memory.page_size",
            "system.linux.memory.available",
            "system.linux.memory.dirty",
            "system.memory.linux.shared",
            "system.memory.linux.hugepages.limit",
            "system.memory.linux.hugepages.page_size",
            "system.memory.linux.hugepages.reserved",
            "system.memory.linux.hugepages.surplus",
            "system.memory.linux.hugepages.usage",
            "system.memory.linux.hugepages.utilization",
        ],
    ),
    ("filesystem", &["system.filesystem.utilization"]),
    ("meminfo", &["system.paging.utilization"]),
];

/// Batches of the Collector's own that must frame ours.
const ENOUGH: usize = 3;

fn same_metrics(protocol: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    // A socket in a state whose name hostmetrics has wrong.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let half_closed = TcpStream::connect(listener.local_addr()?)?;
    let _other_half = listener.accept()?;
    half_closed.shutdown(Shutdown::Write)?;
    let (port, home) = (free_port()?, scratch.path().display().to_string());
    let optional = |names: &[&str]| {
        let each = names
            .iter()
            .map(|name| format!("{name}: {{enabled: true}}"));
        format!("{{metrics: {{{}}}}}", each.collect::<Vec<_>>().join(", "))
    };
    let [cpu, memory, filesystem, paging] = OPTIONAL.map(|(_, names)| optional(names));
    let configuration = format!(
        "receivers:
  host_metrics:
    collection_interval: 1s
    initial_delay: 0s
    scrapers: {{cpu: {cpu}, memory: {memory}, disk: , filesystem: {filesystem}, network: , processes: , load: , system: , paging: {paging}}}
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
    let asked = |subject| {
        let of = OPTIONAL.iter().filter(|(owner, _)| *owner == subject);
        let names: Vec<_> = of.flat_map(|(_, names)| *names).copied().collect();
        format!("{subject}: {{instruments: [{}]}}", names.join(", "))
    };
    let asked = ["cpu", "meminfo", "filesystem"].map(asked).join(", ");
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}
subjects: {{{asked}}}
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
    differences::compare(&first, &merge(&ours_done, false), &last)
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
        let starts = batch.starts.iter();
        all.starts
            .extend(starts.map(|(series, start)| (series.clone(), *start)));
        let resource = batch.resource.iter();
        all.resource
            .extend(resource.map(|(key, value)| (key.clone(), value.clone())));
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
        batch
            .resource
            .extend(attributes(resource.get("resource")?)?);
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
                let points = body.get("dataPoints")?.as_array()?;
                let is_int = points.iter().any(|point| point.get("asInt").is_some());
                let shape = Shape {
                    number: if is_int { "int" } else { "double" },
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
                for point in points {
                    let series = (name.clone(), attributes(point)?);
                    let start = point.get("startTimeUnixNano").and_then(Value::as_str);
                    let start = start.map_or(Some(0), |text| text.parse().ok())?;
                    batch.starts.insert(series.clone(), start);
                    batch.values.insert(series, number(point)?);
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
        let (kind, value) = attribute.get("value")?.as_object()?.iter().next()?;
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        // A number is not the text of the same digits.
        let text = match kind.as_str() {
            "stringValue" => text,
            kind => format!("{kind} {text}"),
        };
        Some((key, text))
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
