//! A heal as the OpenTelemetry Collector decodes it: its trace, its journal as log records, its durations with exemplars, all of one
//! run and under one trace id.

#![expect(
    clippy::indexing_slicing,
    reason = "a span that lacks what is looked for fails the test"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{Running, free_port, patience, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "heal_told::the_collector_gets_all_of_a_heal_over_http",
        needs: &[Peer::Collector],
        run: || all_of_a_heal("http", "http/protobuf"),
    },
    PeerTest {
        name: "heal_told::the_collector_gets_all_of_a_heal_over_grpc",
        needs: &[Peer::Collector],
        run: || all_of_a_heal("grpc", "grpc"),
    },
];

/// Of the alert server's own trace.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn all_of_a_heal(receiver: &str, protocol: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (port, home) = (free_port()?, scratch.path().display().to_string());
    let configuration = format!(
        "receivers:
  otlp: {{protocols: {{{receiver}: {{endpoint: \"127.0.0.1:{port}\"}}}}}}
exporters:
  file/metrics: {{path: {home}/metrics.json}}
  file/traces: {{path: {home}/traces.json}}
  file/logs: {{path: {home}/logs.json}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics: {{receivers: [otlp], exporters: [file/metrics]}}
    traces: {{receivers: [otlp], exporters: [file/traces]}}
    logs: {{receivers: [otlp], exporters: [file/logs]}}
"
    );
    let file = scratch.path().join("collector.yaml");
    std::fs::write(&file, configuration)?;
    let mut command = Command::new(Peer::Collector.find()?);
    command.arg("--config").arg(&file);
    let mut collector = Running::start("otelcol", &mut command, &scratch)?;
    collector.listens(port)?;

    let off = [
        "cooldown", "budget", "flap", "max_age", "quiet", "storm", "rate",
    ];
    let off: serde_json::Map<String, Value> = off
        .into_iter()
        .map(|guard| (guard.to_owned(), json!("off")))
        .collect();
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "otlp": {"endpoint": format!("http://127.0.0.1:{port}"), "protocol": protocol, "interval": "200ms"},
        "hooks": {"alertmanager": {}},
        "checks": {"well": {"probe": {"tcp": {"address": format!("127.0.0.1:{port}")}}, "every": "1h"}},
        "playbooks": {"told": {
            "mode": "auto",
            "match": {"alertname": "Broken", "service": {"in": ["s0"]}},
            "target": {"service": {"from": "service"}},
            "guards": off,
            "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}, "timeout": "10s"}],
            "verify": {"all": [{"check": "well"}], "pass": 1, "every": "100ms", "deadline": "30s"},
            "probation": "0s",
        }},
    });
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    post(nodeward.address()?)?;

    let wait = |what: &str, file: &str, found: &dyn Fn(&[Value]) -> Option<Value>| {
        let path = scratch.path().join(file);
        until(what, || found(&parts(&path))).map_err(|failed| {
            let why = failed.message().unwrap_or_default().to_owned();
            let told = std::fs::read_to_string(&path).unwrap_or_default();
            let log = nodeward.log();
            Failed::from(format!("{why}\n{log}\n{}\n{told}", collector.log()))
        })
    };
    let span = |name: &'static str| {
        move |parts: &[Value]| {
            let spans = parts
                .iter()
                .flat_map(|part| list(part, "resourceSpans", "scopeSpans", "spans"));
            spans.into_iter().find(|span| span["name"] == name)
        }
    };
    let run = wait("the run's span", "traces.json", &span("heal told"))?;
    let attempt = wait(
        "the attempt's span",
        "traces.json",
        &span("attempt command"),
    )?;
    let served = wait(
        "the request's span",
        "traces.json",
        &span("POST /hooks/alertmanager"),
    )?;
    let same = |what: &str, left: &Value, right: &Value| match left == right {
        true => Ok(()),
        false => Err(Failed::from(format!("{what}: {left} and {right}"))),
    };
    same("the trace", &run["traceId"], &json!(TRACE))?;
    same("the run's parent", &run["parentSpanId"], &served["spanId"])?;
    same("the attempt's trace", &attempt["traceId"], &run["traceId"])?;
    same(
        "the attempt's parent",
        &attempt["parentSpanId"],
        &run["spanId"],
    )?;
    same(
        "the run's outcome",
        &told(&run, "nodeward.outcome"),
        &json!("healed"),
    )?;

    let healed = |parts: &[Value]| {
        let logs = parts
            .iter()
            .flat_map(|part| list(part, "resourceLogs", "scopeLogs", "logRecords"));
        let logs: Vec<Value> = logs.collect();
        let over = |log: &&Value| told(log, "nodeward.state.to") == "healed";
        logs.iter().any(|log| over(&log)).then(|| Value::from(logs))
    };
    let logs = wait("the record of the end", "logs.json", &healed)?;
    let logs = logs.as_array().map(Vec::as_slice).unwrap_or_default();
    for (log, number) in logs.iter().zip(1..) {
        // Integers are texts in the JSON of OTLP.
        same(
            "the order",
            &told(log, "nodeward.journal.seq"),
            &json!(number.to_string()),
        )?;
        if told(log, "nodeward.incident") != Value::Null {
            same("the log's trace", &log["traceId"], &run["traceId"])?;
            same("the log's span", &log["spanId"], &run["spanId"])?;
        }
    }
    let intended = logs
        .iter()
        .any(|log| log["eventName"] == "nodeward.heal.intended");
    assert!(intended, "no event of the intent in {logs:#?}");

    let exemplar = |parts: &[Value]| {
        let metrics = parts
            .iter()
            .flat_map(|part| list(part, "resourceMetrics", "scopeMetrics", "metrics"));
        let mut durations = metrics.filter(|metric| metric["name"] == "nodeward.heal.duration");
        durations.find_map(|metric| {
            let points = metric["histogram"]["dataPoints"].as_array()?;
            points
                .iter()
                .find_map(|point| point["exemplars"].get(0).cloned())
        })
    };
    let exemplar = wait("an exemplar", "metrics.json", &exemplar)?;
    same(
        "the exemplar's trace",
        &exemplar["traceId"],
        &run["traceId"],
    )?;
    same("the exemplar's span", &exemplar["spanId"], &run["spanId"])?;
    nodeward.terminate()?;
    Ok(())
}

/// The requests that a file exporter wrote, a line each.
fn parts(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.filter_map(Result::ok).collect()
}

/// What is listed three lists deep.
fn list(part: &Value, outer: &str, middle: &str, inner: &str) -> Vec<Value> {
    let items = |value: &Value, name: &str| value[name].as_array().cloned().unwrap_or_default();
    let middles = items(part, outer)
        .into_iter()
        .flat_map(|it| items(&it, middle));
    middles.flat_map(|it| items(&it, inner)).collect()
}

/// The value of an attribute; null if there is none.
fn told(of: &Value, name: &str) -> Value {
    let attributes = of["attributes"].as_array();
    let found = attributes
        .into_iter()
        .flatten()
        .find(|pair| pair["key"] == name);
    let value = found.and_then(|pair| pair["value"].as_object()?.values().next().cloned());
    value.unwrap_or_default()
}

/// Posts one alert as an Alertmanager that traces would.
fn post(address: SocketAddr) -> Result<(), Failed> {
    let body = json!({
        "receiver": "nodeward", "status": "firing", "version": "4", "groupKey": "{}", "truncatedAlerts": 0,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager:9093",
        "alerts": [{
            "status": "firing", "fingerprint": "00000000000000a1",
            "labels": {"alertname": "Broken", "instance": "here", "service": "s0", "severity": "critical"},
            "annotations": {}, "startsAt": "2026-11-22T16:38:47.198Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
        }],
    })
    .to_string();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(patience()))?;
    write!(
        stream,
        "POST /hooks/alertmanager HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n\
         traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(format!("the hook answered {answer}").into()),
    }
}
