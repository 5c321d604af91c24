//! Traces of nodeward's own work, read by a decoder that is not of our making: the reload of the config and the exports of
//! metrics each make a span, with host identity in the resource.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};

use crate::PeerTest;
use crate::ours;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "traces::a_reload_and_an_export_are_traced_over_http",
        needs: &[Peer::OtlpPython],
        run: || traced("http", "http/protobuf"),
    },
    PeerTest {
        name: "traces::a_reload_and_an_export_are_traced_over_grpc",
        needs: &[Peer::OtlpPython],
        run: || traced("grpc", "grpc"),
    },
];

fn traced(port: &str, protocol: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let script = scratch.path().join("script.json");
    std::fs::write(&script, "[]")?;
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/otlp-receiver.py");
    let mut command = Command::new(Peer::OtlpPython.find()?);
    command.arg(program).arg("--script").arg(script);
    let receiver = Running::start("otlp-receiver", &mut command, &scratch)?;
    let at = until("the receiver's ports", || {
        let log = receiver.log();
        let ports: serde_json::Value = serde_json::from_str(log.lines().next()?).ok()?;
        ports.get(port)?.as_u64()
    })?;
    let nodeward = ours::configured(
        &format!(
            "http: {{listen: ['127.0.0.1:0']}}\n\
             otlp: {{endpoint: 'http://127.0.0.1:{at}', protocol: {protocol}, interval: 100ms}}\n"
        ),
        &scratch,
    )?;
    let seen = |what: &str| {
        receiver
            .log()
            .lines()
            .any(|line| line.contains("scope_spans") && line.contains(what))
    };
    let wait = |what: &str| {
        until(what, || seen(what).then_some(())).map_err(|failed| {
            let why = failed.message().unwrap_or_default().to_owned();
            Failed::from(format!("{why}\n{}", nodeward.log()))
        })
    };
    wait("\"metric export\"")?;
    wait("host.name")?;
    let pid = i32::try_from(nodeward.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or("no process id")?, Signal::HUP)?;
    wait("\"config reload\"")?;
    nodeward.terminate()?;
    Ok(())
}
