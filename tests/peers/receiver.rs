//! The OTLP sender against a receiver that is not of our making: gRPC and protobuf by Google's own
//! libraries for Python (`otlp-receiver.py`), answering as scripted.
//!
//! What was sent must be what they decode, over HTTP and gRPC, through every kind of failure, and
//! not before the receiver said so.

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a line that lacks what is looked for fails the test"
)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use nodeward::dialect::otlp::{Compression, Options, Protocol, Reason, Sender, Signal, resolve};
use nodeward::net::resolve::Resolver;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use prost::Message;
use serde_json::Value;

use crate::PeerTest;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "receiver::another_decoder_reads_what_we_send_over_http",
        needs: &[Peer::OtlpPython],
        run: || every_failure_is_survived(Protocol::HttpProtobuf),
    },
    PeerTest {
        name: "receiver::another_decoder_reads_what_we_send_over_grpc",
        needs: &[Peer::OtlpPython],
        run: || every_failure_is_survived(Protocol::Grpc),
    },
];

/// Requests that are sent, each with one point: its number.
const REQUESTS: i64 = 6;

const HTTP: &str = r#"[
    {"status": 503, "headers": {"Retry-After": "1"}}, {"status": 429, "headers": {"Retry-After": "1"}},
    {"reset": true}, {"status": 502}, {"rejected": 1, "message": "too old"}, {"status": 400}
]"#;
const GRPC: &str = r#"[
    {"code": 14, "retry": 1}, {"code": 8, "retry": 1},
    {"code": 1}, {"status": 503}, {"rejected": 1, "message": "too old"}, {"code": 3}
]"#;

fn every_failure_is_survived(protocol: Protocol) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (script, port) = match protocol {
        Protocol::HttpProtobuf => (HTTP, "http"),
        Protocol::Grpc => (GRPC, "grpc"),
    };
    let file = scratch.path().join("script.json");
    std::fs::write(&file, script)?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/otlp-receiver.py");
    let mut command = Command::new(Peer::OtlpPython.find()?);
    command.arg(program).arg("--script").arg(file);
    let receiver = Running::start("otlp-receiver", &mut command, &scratch)?;
    let ports = until("the receiver's ports", || {
        lines(&receiver).into_iter().next()
    })?;

    let options = Options {
        endpoint: Some(format!("http://127.0.0.1:{}", ports[port])),
        protocol: Some(protocol),
        compression: Some(Compression::Gzip),
        headers: [("X-Tenant".to_owned(), "ops".to_owned())].into(),
        ..Options::default()
    };
    let (settings, complaints) = resolve(&options, &|_| None);
    assert!(complaints.is_empty(), "{complaints:?}");
    let (sender, lanes) = Sender::new(&settings, &Resolver::default(), None);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let took = runtime.block_on(async {
        let running = tokio::spawn(lanes.run());
        for number in 1..=REQUESTS {
            sender.send(Signal::Metrics, request(number).encode_to_vec().into(), 1);
        }
        let all = async {
            while sender.counts().requests(Signal::Metrics) + 1 < REQUESTS as u64 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let took = tokio::time::timeout(crate::process::patience(), all).await;
        sender.close(tokio::time::Instant::now());
        running.await.map(|()| took.is_ok())
    })?;
    let told = lines(&receiver);
    assert!(took, "not all was taken: {told:#?}");
    check(&told[1..], &sender)
}

fn check(told: &[Value], sender: &Sender) -> Result<(), Failed> {
    let mut taken = Vec::new();
    let mut quiet_until = 0.0;
    for line in told {
        let at = line["at"].as_f64().unwrap_or_default();
        assert!(
            at >= quiet_until,
            "sent inside a wait it was asked for: {line}"
        );
        assert_eq!(line["headers"]["x-tenant"], "ops");
        let agent = line["headers"]["user-agent"].as_str().unwrap_or_default();
        assert!(agent.starts_with("OTel-OTLP-Exporter-nodeward/"), "{agent}");
        let number = number_in(&line["request"]).ok_or_else(|| format!("undecoded: {line}"))?;
        let answer = &line["answer"];
        let wait = answer["headers"]["Retry-After"]
            .as_str()
            .and_then(|text| text.parse().ok());
        if let Some(wait) = wait.or(answer["retry"].as_f64()) {
            quiet_until = at + wait;
        }
        if answer == &serde_json::json!({}) || answer["rejected"].is_u64() {
            taken.push(number);
        }
    }
    let refused = told
        .iter()
        .filter(|line| line["answer"]["status"] == 400 || line["answer"]["code"] == 3)
        .filter_map(|line| number_in(&line["request"]));
    let mut ended: Vec<_> = taken.iter().copied().chain(refused).collect();
    ended.sort_unstable();
    assert_eq!(
        ended,
        (1..=REQUESTS).collect::<Vec<_>>(),
        "each ends once: {told:#?}"
    );
    let counts = sender.counts();
    assert_eq!(counts.dropped(Signal::Metrics, Reason::PartialSuccess), 1);
    assert_eq!(counts.dropped(Signal::Metrics, Reason::Rejected), 1);
    let failures: u64 = Reason::ALL
        .iter()
        .map(|reason| counts.failures(Signal::Metrics, *reason))
        .sum();
    // A kept connection that is reset is tried anew without a word.
    assert!((4..=5).contains(&failures), "{failures}");
    Ok(())
}

/// The whole lines that the receiver has printed.
fn lines(receiver: &Running) -> Vec<Value> {
    let log = receiver.log();
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn number_in(request: &Value) -> Option<i64> {
    let metric = &request["resource_metrics"][0]["scope_metrics"][0]["metrics"][0];
    (metric["name"] == "test.number").then_some(())?;
    metric["gauge"]["data_points"][0]["as_int"]
        .as_str()?
        .parse()
        .ok()
}

fn request(number: i64) -> ExportMetricsServiceRequest {
    let point = NumberDataPoint {
        time_unix_nano: 1,
        value: Some(number_data_point::Value::AsInt(number)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: "test.number".into(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: vec![point],
        })),
        ..Metric::default()
    };
    let scope = ScopeMetrics {
        metrics: vec![metric],
        ..ScopeMetrics::default()
    };
    let resource = ResourceMetrics {
        scope_metrics: vec![scope],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![resource],
    }
}
