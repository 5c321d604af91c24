//! What `nodeward show --format otlp` prints, read by parsers that are not of our making: Google's for protobuf's JSON, and the
//! Collector's, which takes it as OTLP/JSON over HTTP.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::web::Request;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "otlp_json::googles_parser_reads_what_show_prints",
        needs: &[Peer::OtlpPython],
        run: google,
    },
    PeerTest {
        name: "otlp_json::the_collector_takes_what_show_prints",
        needs: &[Peer::Collector],
        run: collector,
    },
];

/// Parses strictly (unknown fields are errors) and says what it understood.
const PARSE: &str = "
import json, sys
from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
request = Parse(sys.stdin.read(), ExportMetricsServiceRequest())
told = []
for resource in request.resource_metrics:
    names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            data = getattr(metric, metric.WhichOneof('data'))
            kind = (getattr(data, 'aggregation_temporality', 0), getattr(data, 'is_monotonic', False))
            told.append([metric.name, metric.unit, kind, len(data.data_points), [p.time_unix_nano for p in data.data_points][:1]])
print(json.dumps({'resource': names, 'metrics': told}))
";

fn shown(scratch: &Scratch) -> Result<String, Failed> {
    let output = ours::command("show", scratch)
        .args(["--format", "otlp"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn google() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let text = shown(&scratch)?;
    let mut parser = Command::new(Peer::OtlpPython.find()?)
        .args(["-c", PARSE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = parser.stdin.take().ok_or("no pipe")?;
    stdin.write_all(text.as_bytes())?;
    drop(stdin);
    let output = parser.wait_with_output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let understood: Value = serde_json::from_slice(&output.stdout)?;
    let raw: Value = serde_json::from_str(&text)?;
    let metrics = understood.get("metrics").and_then(Value::as_array);
    let metrics = metrics.ok_or("no metrics")?;
    let names = names(&raw);
    if metrics.len() < 20 || names.len() != metrics.len() {
        return Err(format!("{} understood of {}", metrics.len(), names.len()).into());
    }
    if understood.pointer("/resource/host.name").is_none() {
        return Err(format!("no host: {understood}").into());
    }
    let cpu = metrics
        .iter()
        .find(|metric| metric.get(0).is_some_and(|name| name == "system.cpu.time"));
    let cpu = cpu.ok_or("no system.cpu.time")?;
    if cpu.get(1).is_none_or(|unit| unit != "s")
        || cpu.get(2) != Some(&serde_json::json!([2, true]))
    {
        return Err(format!("not as it is: {cpu}").into());
    }
    // What the protocol asks of JSON beyond protobuf's: enums as numbers, 64 bits as texts, lowerCamelCase.
    if text.contains("\"AGGREGATION_TEMPORALITY")
        || text.contains('_') && text.contains("\"resource_metrics\"")
    {
        return Err("enums are numbers and keys lowerCamelCase".into());
    }
    let point = raw.pointer("/resourceMetrics/0/scopeMetrics/0/metrics/0");
    let point = point.and_then(|metric| {
        let data = metric.get("sum").or(metric.get("gauge"))?;
        data.pointer("/dataPoints/0/timeUnixNano")
    });
    if !point.is_some_and(Value::is_string) {
        return Err(format!("times are texts of 64 bits: {point:?}").into());
    }
    Ok(())
}

fn collector() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (port, home) = (free_port()?, scratch.path().display().to_string());
    let file = scratch.path().join("collector.yaml");
    std::fs::write(
        &file,
        format!(
            "receivers:
  otlp: {{protocols: {{http: {{endpoint: \"127.0.0.1:{port}\"}}}}}}
exporters:
  file: {{path: {home}/taken.json}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [file]}}}}
"
        ),
    )?;
    let mut command = Command::new(Peer::Collector.find()?);
    command.arg("--config").arg(&file);
    let mut running = Running::start("otelcol", &mut command, &scratch)?;
    let at = running.listens(port)?;
    let shown: Value = serde_json::from_str(&shown(&scratch)?)?;
    let answer = Request::post(at, "/v1/metrics", &shown)?.answer()?;
    if answer.status != 200 {
        return Err(format!("answered {}: {}", answer.status, running.log()).into());
    }
    let taken = until("what the Collector took", || {
        let text = std::fs::read_to_string(scratch.path().join("taken.json")).ok()?;
        let line = text.split_once('\n')?.0;
        serde_json::from_str::<Value>(line).ok()
    })?;
    if points(&taken) != points(&shown) || names(&taken) != names(&shown) {
        return Err(format!("{} of {} points", points(&taken), points(&shown)).into());
    }
    Ok(())
}

fn names(batch: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    each(batch, "metrics", &mut |metric| {
        names.extend(
            metric
                .get("name")
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
    });
    names
}

fn points(batch: &Value) -> usize {
    let mut points = 0;
    each(batch, "dataPoints", &mut |_| points += 1);
    points
}

/// Visits each element of every list of this name.
fn each(value: &Value, name: &str, visit: &mut dyn FnMut(&Value)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if key == name {
                    value.as_array().into_iter().flatten().for_each(&mut *visit);
                }
                each(value, name, visit);
            }
        }
        Value::Array(all) => all.iter().for_each(|value| each(value, name, visit)),
        _ => {}
    }
}
