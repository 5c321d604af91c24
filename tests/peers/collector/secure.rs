//! A Collector behind TLS: what the log says of each way not to get through to it, and that the right way does.

use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::batches;
use crate::ours;
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::tls::testing::Authority;

/// What is wrong, and what the log must say of it: what it is, and what to change.
type Wrong<'a> = (&'a str, Value, &'a str);

pub(super) fn told() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let directory = scratch.path();
    let (ours, others) = (Authority::new("ours"), Authority::new("others"));
    let (ca, other) = (
        ours.write(directory, "ca"),
        others.write(directory, "others"),
    );
    let (cert, key) = ours.issue(&["127.0.0.1"]).write(directory, "server");
    let (old, old_key) = ours
        .issue_until(&["127.0.0.1"], 2020)
        .write(directory, "old");
    let (mine, mine_key) = ours.issue(&["node"]).write(directory, "mine");
    let mutual = json!({"cert_file": cert, "key_file": key, "client_ca_file": ca});
    let expired = json!({"cert_file": old, "key_file": old_key});
    let mut ports = [0; 4];
    for port in &mut ports {
        *port = free_port()?;
    }
    let [http, grpc, old_http, old_grpc] = ports;
    let protocols = |http: u16, grpc: u16, tls: &Value| {
        let at = |port| json!({"endpoint": format!("127.0.0.1:{port}"), "tls": tls});
        json!({"protocols": {"http": at(http), "grpc": at(grpc)}})
    };
    let file = directory.join("told.json");
    let configuration = json!({
        "receivers": {"otlp": protocols(http, grpc, &mutual), "otlp/expired": protocols(old_http, old_grpc, &expired)},
        "exporters": {"file": {"path": file}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"metrics": {"receivers": ["otlp", "otlp/expired"], "exporters": ["file"]}},
        },
    });
    let path = directory.join("collector.yaml");
    std::fs::write(&path, configuration.to_string())?;
    let mut command = Command::new(Peer::Collector.find()?);
    command.arg("--config").arg(&path);
    let mut collector = Running::start("otelcol", &mut command, &scratch)?;
    for port in ports {
        collector.listens(port)?;
    }

    let arrived = || batches(&file).map_or(0, |all| all.len());
    let known = json!({"ca_file": ca, "cert_file": mine, "key_file": mine_key});
    for (protocol, port, old_port, other_port, elsewhere) in [
        (
            "http/protobuf",
            http,
            old_http,
            grpc,
            "is that a port for http/protobuf",
        ),
        ("grpc", grpc, old_grpc, http, "is it a gRPC receiver?"),
    ] {
        let to = |scheme: &str, port| format!("{scheme}://127.0.0.1:{port}");
        let (https, plain) = (to("https", port), to("http", port));
        let (old, another) = (to("https", old_port), to("https", other_port));
        let wrong: [Wrong<'_>; 5] = [
            (
                &https,
                json!({"ca_file": ca}),
                "the other end asks for a client certificate: set tls.cert_file and tls.key_file",
            ),
            (&https, json!({"ca_file": other}), "set tls.ca_file"),
            (
                &old,
                known.clone(),
                "its certificate expired on 2020-01-01T00:00:00Z",
            ),
            (&plain, Value::Null, "without TLS (http)?"),
            (&another, known.clone(), elsewhere),
        ];
        let before = arrived();
        for (endpoint, tls, said) in wrong {
            let mut nodeward = sending(endpoint, protocol, &tls, &scratch)?;
            until(said, || nodeward.log().contains(said).then_some(())).map_err(|failed| {
                let why = failed.message().unwrap_or_default().to_owned();
                Failed::from(format!("{protocol}: {why}\n{}", nodeward.log()))
            })?;
            nodeward.address()?;
        }
        if arrived() != before {
            return Err(format!("{protocol}: it was let in").into());
        }
        let nodeward = sending(&https, protocol, &known, &scratch)?;
        until("a batch", || (arrived() > before).then_some(())).map_err(|failed| {
            let why = failed.message().unwrap_or_default().to_owned();
            Failed::from(format!("{protocol}: {why}\n{}", nodeward.log()))
        })?;
        nodeward.terminate()?;
    }
    Ok(())
}

fn sending(
    endpoint: &str,
    protocol: &str,
    tls: &Value,
    scratch: &Scratch,
) -> Result<Running, Failed> {
    let mut config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "otlp": {"endpoint": endpoint, "protocol": protocol, "interval": "1s", "traces": false, "logs": false,
            "spool": {"max_size": "0B"}},
    });
    let otlp = config.pointer_mut("/otlp").and_then(Value::as_object_mut);
    if let Some(otlp) = otlp.filter(|_| !tls.is_null()) {
        otlp.insert("tls".into(), tls.clone());
    }
    ours::configured(&config.to_string(), scratch)
}
