//! The order of system calls, as strace sees them: what an answer or an effect waits for is on the disk before it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::{Stage, WEB, firing, once, post};
use crate::containers::Podman;
use crate::ours;
use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

/// nodeward, and the calls it makes.
struct Traced {
    scratch: Scratch,
    nodeward: Running,
    address: SocketAddr,
    calls: PathBuf,
}

impl Traced {
    fn start(config: &Value, scratch: Scratch) -> Result<Self, Failed> {
        let file = scratch.path().join("nodeward.yml");
        std::fs::write(&file, config.to_string())?;
        let calls = scratch.path().join("calls");
        let nodeward = ours::command("run", &scratch);
        let mut command = Command::new(Peer::Strace.find()?);
        let envs = nodeward.get_envs();
        command
            .env_clear()
            .envs(envs.filter_map(|(name, value)| Some((name, value?))))
            // A page of the journal is shown whole.
            .args(["-f", "-y", "-s", "5000", "-o"])
            .arg(&calls)
            .args([
                "-e",
                "trace=execve,fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg",
            ])
            .arg(nodeward.get_program())
            .args(nodeward.get_args())
            .arg("--config")
            .arg(&file);
        let mut nodeward = Running::start("nodeward", &mut command, &scratch)?;
        let address = nodeward.address()?;
        Ok(Self {
            scratch,
            nodeward,
            address,
            calls,
        })
    }

    /// Between the call with `cause` and the call with `effect`, what was written into the journal's log of changes is synced.
    fn synced(&self, cause: &[&str], effect: &[&str]) -> Result<(), Failed> {
        let has = |line: &str, words: &[&str]| words.iter().all(|word| line.contains(word));
        let told = until("the calls to be written", || {
            let told = std::fs::read_to_string(&self.calls).ok()?;
            told.lines().any(|line| has(line, effect)).then_some(told)
        })
        .map_err(|failed| {
            let calls = std::fs::read_to_string(&self.calls).unwrap_or_default();
            let reason = failed.message().unwrap_or_default();
            Failed::from(format!(
                "{reason}: {effect:?}\n{calls}\n{}",
                self.nodeward.log()
            ))
        })?;
        let lines: Vec<&str> = told.lines().collect();
        let at = |words: &[&str]| lines.iter().position(|line| has(line, words));
        let (Some(first), Some(last)) = (at(cause), at(effect)) else {
            return Err(format!("{cause:?} was never there:\n{told}").into());
        };
        let between = lines.get(first..last).unwrap_or_default();
        match is_synced(between) {
            true => Ok(()),
            false => Err(format!(
                "no sync between {cause:?} and {effect:?}:\n{}",
                between.join("\n")
            )
            .into()),
        }
    }
}

/// Whether a sync of the journal's log of changes began and ended well within these calls.
fn is_synced(lines: &[&str]) -> bool {
    lines.iter().enumerate().any(|(at, line)| {
        let process = line.split(' ').next().unwrap_or_default();
        let begins = line.contains("sync(") && line.contains("-wal>");
        let of_it = |later: &&&str| {
            later.starts_with(process)
                && later.contains("sync")
                && later.trim_end().ends_with("= 0")
        };
        let rest = lines.get(at..).unwrap_or_default();
        begins && rest.iter().any(|later| of_it(&later))
    })
}

/// Where the record of an intent is written, in a journal that has had none.
const INTENT: &[&str] = &["pwrite64(", "-wal>", "intent"];

/// A record that a 200 waits for.
pub fn before_the_answer() -> Result<(), Failed> {
    let config = json!({"http": {"listen": ["127.0.0.1:0"]}, "node": {"match": {"node": ["here"]}}, "hooks": {"alertmanager": {}}});
    let traced = Traced::start(&config, Scratch::new()?)?;
    let answer = post(traced.address, &firing())?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let written = &["pwrite64(", "-wal>", "0123456789abcdef"];
    traced.synced(written, &["\"HTTP/1.1 200"])
}

pub fn before_a_command() -> Result<(), Failed> {
    let action = json!({"command": {"argv": ["/usr/bin/true", "--effect"]}});
    acted(&action, &json!({"service": "batch"}), &json!({}))?
        .synced(INTENT, &["execve(\"/usr/bin/true\"", "--effect"])
}

pub fn before_a_request() -> Result<(), Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/repair", listener.local_addr()?);
    // It goes with the process of the tests.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut part = [0; 4096];
            drop(stream.read(&mut part));
            drop(
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                ),
            );
        }
    });
    let action = json!({"http": {"url": url, "allow_loopback": true}});
    acted(&action, &json!({"service": "batch"}), &json!({}))?.synced(INTENT, &["\"POST /repair"])
}

pub fn before_a_restart() -> Result<(), Failed> {
    let stage = Stage::set(&[])?;
    let bus = json!({"subjects": {"enable": ["systemd"], "systemd": {"bus": {"address": stage.booted.bus}}}});
    acted(&json!({"systemd": "restart"}), &json!({"unit": WEB}), &bus)?
        .synced(INTENT, &["send", "RestartUnit"])
}

pub fn before_a_container() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    podman.container("api", &[])?;
    let engine = json!({"container": {"socket": podman.socket}});
    acted(
        &json!({"container": "restart"}),
        &json!({"container": "api"}),
        &engine,
    )?
    .synced(INTENT, &["\"POST /containers/api/restart"])
}

/// nodeward under strace, told of an alert for which it takes this action; done once its result is on record.
fn acted(action: &Value, target: &Value, more: &Value) -> Result<Traced, Failed> {
    let mut config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"node": ["here"]}},
        "hooks": {"alertmanager": {}},
        "checks": {"runs": {"probe": {"process": {"name": "nodeward"}}}},
        "playbooks": {"repair": {
            "mode": "auto",
            "match": {"alertname": "UnitDown"},
            "target": target,
            "guards": {"max_age": "off"},
            "ladder": [{"do": action, "timeout": "30s"}],
            "verify": {"all": [{"check": "runs"}], "pass": 1, "every": "100ms", "deadline": "10s"},
            "probation": "0s",
        }},
    });
    if let (Value::Object(config), Value::Object(more)) = (&mut config, more) {
        config.extend(more.clone());
    }
    let traced = Traced::start(&config, Scratch::new()?)?;
    let answer = post(traced.address, &firing())?;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let records = once(&traced.scratch, &traced.nodeward, "the result", |r| {
        r["kind"] == "result"
    })?;
    let result = records.iter().find(|r| r["kind"] == "result");
    match result.is_some_and(|r| r["data"]["outcome"] == "done") {
        true => Ok(traced),
        false => Err(format!("it was not done: {result:#?}").into()),
    }
}
