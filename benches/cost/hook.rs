//! A webhook: from the first byte of the request to the durable 200, while idle and in a storm, beside a bare fdatasync of the same disk.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::meter::{memory, mib, percentile, time};
use crate::process::Running;
use crate::scratch::Scratch;

/// Webhooks while idle.
const IDLE: usize = 500;
/// Alerts of a storm.
const ALERTS: usize = 10_000;
/// How many targets they are of: as many as a node has units, and one each.
const TARGETS: [usize; 2] = [100, ALERTS];
/// Alerts a body in it, in turn.
const SIZES: [usize; 5] = [1, 3, 10, 1, 40];
/// Senders at once.
const SENDERS: usize = 8;

/// A kept connection that posts.
struct Sender(BufReader<TcpStream>);

impl Sender {
    fn connect(address: SocketAddr) -> Result<Self, Failed> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Posts a body: the status of the answer, and the seconds it took.
    fn post(&mut self, body: &str) -> Result<(u16, f64), Failed> {
        let request = format!(
            "POST /hooks/alertmanager HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let start = Instant::now();
        self.0.get_mut().write_all(request.as_bytes())?;
        let (mut line, mut length, mut status) = (String::new(), 0, 0);
        loop {
            line.clear();
            if self.0.read_line(&mut line)? == 0 {
                return Err("the connection was closed".into());
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse()?;
            }
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer)?;
        Ok((status, start.elapsed().as_secs_f64()))
    }
}

/// What Alertmanager posts for these alerts, of so many targets.
fn body(numbers: std::ops::Range<usize>, targets: usize) -> String {
    let alerts: Vec<Value> = numbers
        .map(|number| {
            let target = number % targets;
            json!({
                "status": "firing",
                "labels": {"alertname": "Broken", "instance": "here", "service": format!("s{target}"), "severity": "critical"},
                "annotations": {"summary": "It answers no more"},
                "startsAt": "2026-11-22T16:38:47.198Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
                "fingerprint": format!("{number:016x}"),
            })
        })
        .collect();
    json!({
        "receiver": "nodeward", "status": "firing", "alerts": alerts, "groupLabels": {"alertname": "Broken"},
        "commonLabels": {"alertname": "Broken"}, "commonAnnotations": {}, "externalURL": "http://alertmanager:9093",
        "version": "4", "groupKey": "{}:{alertname=\"Broken\"}", "truncatedAlerts": 0,
    })
    .to_string()
}

/// A playbook in auto mode with the guards that it has by default: the storm holds it back.
fn start(targets: usize, scratch: &Scratch) -> Result<(Running, SocketAddr), Failed> {
    let names: Vec<String> = (0..targets).map(|number| format!("s{number}")).collect();
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {"alertmanager": {}},
        "checks": {"alive": {"probe": {"process": {"name": "nodeward"}}, "every": "1h"}},
        "playbooks": {"broken": {
            "mode": "auto",
            "match": {"alertname": "Broken", "service": {"in": names}},
            "target": {"service": {"from": "service"}},
            "guards": {"max_age": "off"},
            "ladder": [{"do": {"command": {"argv": ["/usr/bin/true"]}}}],
            "verify": {"all": [{"check": "alive"}]},
        }},
    });
    let file = scratch.path().join("nodeward.yml");
    std::fs::write(&file, config.to_string())?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeward"));
    command
        .arg("run")
        .arg("--config")
        .arg(file)
        .env("RUNTIME_DIRECTORY", scratch.path())
        .env("STATE_DIRECTORY", scratch.path());
    let mut running = Running::start("nodeward-hook", &mut command, scratch)?;
    let address = running.address()?;
    Ok((running, address))
}

/// What the disk takes: a page appended and synced.
struct Bare(File);

impl Bare {
    fn new(directory: &Path) -> Result<Self, Failed> {
        Ok(Self(File::create(directory.join("bare"))?))
    }

    fn sync(&mut self) -> Result<f64, Failed> {
        let start = Instant::now();
        self.0.write_all(&[7; 4096])?;
        self.0.sync_data()?;
        Ok(start.elapsed().as_secs_f64())
    }
}

/// The storm: how long each 200 took, and how often another status came.
fn storm(address: SocketAddr, targets: usize) -> Result<(Vec<f64>, BTreeMap<u16, usize>), Failed> {
    let (mut bodies, mut at) = (Vec::new(), 0);
    for size in SIZES.into_iter().cycle() {
        let end = (at + size).min(ALERTS);
        bodies.push(body(at..end, targets));
        at = end;
        if at == ALERTS {
            break;
        }
    }
    let next = AtomicUsize::new(0);
    let taken = Mutex::new((Vec::new(), BTreeMap::new()));
    let work = || -> Result<(), Failed> {
        let mut sender = Sender::connect(address)?;
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            loop {
                let (status, seconds) = sender.post(body)?;
                let mut taken = taken.lock().map_err(|e| e.to_string())?;
                if status == 200 {
                    taken.0.push(seconds);
                    break;
                }
                *taken.1.entry(status).or_default() += 1;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(work)).collect();
        for sender in senders {
            sender.join().map_err(|_| "a sender panicked")??;
        }
        Ok::<_, Failed>(())
    })?;
    taken.into_inner().map_err(|e| e.to_string().into())
}

pub fn run(page: &mut String) -> Result<(), Failed> {
    writeln!(
        page,
        "\n## A webhook\n\nFrom the first byte of the request to the durable 200, over a kept connection, beside a bare write of 4 KiB with fdatasync on the \
         same disk. Idle: {IDLE} bodies of one alert, one after the other, a bare write after each. Storm: {ALERTS} alerts from {SENDERS} senders at once, for a \
         playbook in auto mode.\n\n\
         | what | p50 | p99 | p50 of the bare | p99 of the bare |\n| --- | ---: | ---: | ---: | ---: |"
    )?;
    let mut remarks = String::new();
    for targets in TARGETS {
        let scratch = Scratch::new()?;
        let (nodeward, address) = start(targets, &scratch)?;
        let mut bare = Bare::new(scratch.path())?;
        let mut sender = Sender::connect(address)?;
        let (mut syncs, mut idle) = (Vec::new(), Vec::new());
        for number in ALERTS..ALERTS + IDLE {
            let (status, seconds) = sender.post(&body(number..number + 1, targets))?;
            if status != 200 {
                return Err(format!("answered {status}:\n{}", nodeward.log()).into());
            }
            idle.push(seconds);
            syncs.push(bare.sync()?);
        }
        let before = memory(nodeward.id());
        let start = Instant::now();
        let (storm, others) = storm(address, targets)?;
        let took = start.elapsed().as_secs_f64();
        let after = memory(nodeward.id());
        for (what, times) in [
            ("bare write and fdatasync", &syncs),
            ("webhook, idle", &idle),
            ("webhook, in the storm", &storm),
        ] {
            let (p50, p99) = (percentile(times, 0.5), percentile(times, 0.99));
            writeln!(
                page,
                "| {what}, {targets} targets | {} | {} | {:.1} | {:.1} |",
                time(p50),
                time(p99),
                p50 / percentile(&syncs, 0.5),
                p99 / percentile(&syncs, 0.99)
            )?;
        }
        writeln!(
            remarks,
            "\nThe storm of {targets} targets: {} bodies in {took:.1} s, other answers than 200: {others:?}; resident before it {} ({} anonymous), after it {} \
             ({} anonymous).",
            storm.len(),
            mib(before.0),
            mib(before.1),
            mib(after.0),
            mib(after.1)
        )?;
    }
    page.push_str(&remarks);
    Ok(())
}
