//! What tests of healing share: a service on which effects are counted, alerts, and the journal read back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{Scratch, output};

/// Only ever used up by a failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// A service of somebody else, which counts what is done to it: below `/sick/NAME` it is ill until somebody posts to `/cure/NAME`, and
/// well wherever else it is asked.
pub struct Service {
    pub address: String,
    done: Arc<Mutex<Done>>,
}

#[derive(Default)]
struct Done {
    effects: BTreeMap<String, usize>,
    cured: BTreeSet<String>,
}

impl Service {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let done = Arc::<Mutex<Done>>::default();
        let counted = Arc::clone(&done);
        // It goes with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(stream, &counted));
            }
        });
        Self { address, done }
    }

    /// How often each `Idempotency-Key` came.
    pub fn effects(&self) -> BTreeMap<String, usize> {
        self.done.lock().unwrap().effects.clone()
    }
}

fn serve(mut stream: TcpStream, counted: &Mutex<Done>) {
    let mut asked = Vec::new();
    let mut part = [0; 4096];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(size) if size > 0 => asked.extend(&part[..size]),
            _ => return,
        }
    }
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let mut counted = counted.lock().unwrap();
    let path = asked.split(' ').nth(1).unwrap_or_default();
    let ill = path
        .strip_prefix("/sick/")
        .is_some_and(|name| !counted.cured.contains(name));
    if asked.starts_with("POST ") {
        counted
            .cured
            .extend(path.strip_prefix("/cure/").map(str::to_owned));
        let key = asked
            .lines()
            .find_map(|line| line.strip_prefix("idempotency-key: "));
        let key = key.unwrap_or("none").to_owned();
        *counted.effects.entry(key).or_default() += 1;
    }
    drop(counted);
    let status = if ill { "503 Ill" } else { "200 OK" };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    // Whoever asked may have been killed.
    drop(stream.write_all(answer.as_bytes()));
}

/// A config with one playbook for the alerts of [`body`]: its action is counted by the service, whose check is the proof.
pub fn config(mode: &str, service: &Service, targets: usize) -> String {
    let names: Vec<String> = (0..targets).map(name).collect();
    let url = format!("http://{}", service.address);
    json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {"alertmanager": {}},
        "checks": {"well": {"probe": {"http": {"url": format!("{url}/health"), "keep_alive": false}}, "every": "1h"}},
        "playbooks": {"counted": {
            "mode": mode,
            "match": {"alertname": "Broken", "service": {"in": names}},
            "target": {"service": {"from": "service"}},
            "guards": {"cooldown": "off", "budget": "off", "flap": "off", "max_age": "off", "quiet": "off", "storm": "off", "rate": "off"},
            "ladder": [{"do": {"http": {"url": format!("{url}/repair"), "allow_loopback": true}}, "timeout": "10s"}],
            "verify": {"all": [{"check": "well"}], "pass": 1, "every": "100ms", "deadline": "30s"},
            "probation": "0s",
        }},
    })
    .to_string()
}

/// A config with a playbook for each of so many targets, with the guards that are there by default: the probe that confirms fails until the
/// target is cured. That of the last one passes, so nothing may be done to it.
pub fn guarded(service: &Service, targets: usize) -> String {
    let url = format!("http://{}", service.address);
    let last = targets - 1;
    let place = |number: usize| match number == last {
        true => "health".to_owned(),
        false => format!("sick/{}", name(number)),
    };
    let check = |number: usize| {
        let probe =
            json!({"http": {"url": format!("{url}/{}", place(number)), "keep_alive": false}});
        (name(number), json!({"probe": probe, "every": "1h"}))
    };
    let playbook = |number: usize| {
        let name = name(number);
        let cure = format!("{url}/cure/{name}");
        let playbook = json!({
            "mode": "auto",
            "match": {"alertname": "Broken", "service": {"in": [name]}},
            "target": {"service": {"from": "service"}},
            "confirm": [{"check": name, "fails": 2}],
            "ladder": [{"do": {"http": {"url": cure, "allow_loopback": true}}, "timeout": "10s"}],
            "verify": {"all": [{"check": name}], "pass": 2, "every": "50ms", "deadline": "5s"},
            "probation": "200ms",
        });
        (name, playbook)
    };
    let numbers = || 0..targets;
    json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {"alertmanager": {}},
        "checks": numbers().map(check).collect::<serde_json::Map<_, _>>(),
        "playbooks": numbers().map(playbook).collect::<serde_json::Map<_, _>>(),
    })
    .to_string()
}

fn name(number: usize) -> String {
    format!("s{number}")
}

/// What Alertmanager 0.25 posts for these alerts, each of a target of its own.
pub fn body(alerts: &[usize]) -> String {
    body_since(alerts, "2026-11-22T16:38:47.198Z")
}

/// The same of alerts that began then.
pub fn body_since(alerts: &[usize], began: &str) -> String {
    let alerts: Vec<Value> = alerts.iter().map(|number| json!({
        "status": "firing",
        "labels": {"alertname": "Broken", "instance": "here", "service": name(*number), "severity": "critical"},
        "annotations": {"summary": "It answers no more"},
        "startsAt": began,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
        "fingerprint": format!("{number:016x}"),
    })).collect();
    json!({
        "receiver": "nodeward", "status": "firing", "alerts": alerts,
        "groupLabels": {"alertname": "Broken"}, "commonLabels": {"alertname": "Broken"}, "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093", "version": "4", "groupKey": "{}:{alertname=\"Broken\"}", "truncatedAlerts": 0,
    })
    .to_string()
}

/// A body for a hook, and how it is sent.
pub struct Post {
    pub path: &'static str,
    pub header: String,
    pub body: String,
}

impl Post {
    /// A token that hooks may ask for.
    pub const TOKEN: &str = "a token of the hook";

    /// For Alertmanager's hook, with the token.
    pub fn of(body: String) -> Self {
        Self {
            path: "/hooks/alertmanager",
            header: format!("Authorization: Bearer {}", Self::TOKEN),
            body,
        }
    }

    /// What is sent before the body.
    pub fn head(&self) -> String {
        let (path, header, length) = (self.path, &self.header, self.body.len());
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{header}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )
    }

    /// Sends it: the status of a whole answer, none if the other side was gone.
    pub fn to(&self, address: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        // Who is not let in is answered before the body has been taken.
        drop(stream.write_all(self.head().as_bytes()));
        drop(stream.write_all(self.body.as_bytes()));
        let mut answer = Vec::new();
        // A process that is killed resets the connection after what it has answered.
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.strip_prefix("HTTP/1.1 ")?.split(' ').next()?;
        status.parse().ok()
    }
}

/// Posts a body to Alertmanager's hook.
pub fn post(address: &str, body: &str) -> Option<u16> {
    Post::of(body.to_owned()).to(address)
}

/// The journal as it is now.
pub struct Told(Vec<Value>);

impl Told {
    pub fn read(scratch: &Scratch) -> Self {
        let out = output(scratch, &["journal", "export"]);
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let lines = out.stdout.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        Self(
            lines
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect(),
        )
    }

    /// Reads it until `seen` is true.
    pub fn until(scratch: &Scratch, what: &str, seen: impl Fn(&Self) -> bool) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = Self::read(scratch);
            if seen(&told) {
                return told;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}: {:#?}",
                told.0
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The records of a kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |record| record["kind"] == kind)
    }

    /// How many records are of this kind.
    pub fn count(&self, kind: &str) -> usize {
        self.of(kind).count()
    }

    /// How often each target's alert is on record as firing.
    pub fn alerts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for record in self.of("alert") {
            let service = record["data"]["labels"]["service"].as_str().unwrap();
            *counts
                .entry(service.trim_start_matches('s').parse().unwrap())
                .or_default() += 1;
        }
        counts
    }

    /// The attempts whose intent is on record.
    pub fn intents(&self) -> Vec<&str> {
        self.of("intent")
            .map(|r| r["attempt"].as_str().unwrap())
            .collect()
    }

    /// The states each incident has been in, in order.
    pub fn states(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut states = BTreeMap::<&str, Vec<&str>>::new();
        for record in &self.0 {
            if let (Some(id), Some(to)) = (record["incident"].as_str(), record["to"].as_str()) {
                states.entry(id).or_default().push(to);
            }
        }
        states
    }

    /// How many incidents have come to this state.
    pub fn came_to(&self, end: &str) -> usize {
        self.states()
            .values()
            .filter(|states| states.contains(&end))
            .count()
    }
}

/// `journal verify` finds nothing.
pub fn verified(scratch: &Scratch) {
    let out = output(scratch, &["journal", "verify"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
}
