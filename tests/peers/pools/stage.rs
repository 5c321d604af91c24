//! The services, the balancer and the node under test.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::service::{VERB, now};
use crate::haproxy::balancer::Balancer;
use crate::healing::journal;
use crate::ours;
use crate::process::{Running, free_port, until};
use crate::scratch::Scratch;
use crate::systemd::Booted;

/// The services, by their place in the pool.
pub const SERVICES: [&str; 3] = ["one", "two", "three"];

/// The unit of the service that nodeward is beside.
pub const UNIT: &str = "nodeward-t-one.service";

/// The weight of each server.
const WEIGHT: &str = "100";

/// All there is but nodeward.
pub struct Stage {
    pub balancer: Balancer,
    // Ended before the directory goes that says what to end.
    pub booted: Booted,
    pub scratch: Scratch,
    ports: Vec<u16>,
    /// Where HAProxy asks nodeward.
    pub agent: u16,
}

impl Stage {
    /// Three services that are up, in HAProxy's eyes too.
    pub fn set() -> Result<Self, Failed> {
        let scratch = Scratch::new()?;
        let booted = Booted::boot(&scratch)?;
        let ports: Vec<u16> = SERVICES
            .iter()
            .map(|_| free_port())
            .collect::<Result<_, _>>()?;
        let agent = free_port()?;
        let program = Booted::program()?;
        for (name, port) in SERVICES.iter().zip(&ports) {
            std::fs::create_dir_all(home(&booted, name))?;
            let text = format!(
                "StartLimitIntervalSec=0\n[Service]\nExecStart={} {VERB} {name} {port} /run/nodeward/{name}",
                program.display()
            );
            booted.units(&[(name, &text)])?;
            booted.call(&["StartUnit", "ss", &unit(name), "replace"])?;
        }
        let asks = format!(
            "check weight {WEIGHT} agent-check agent-addr 127.0.0.1 agent-port {agent} agent-inter 200ms"
        );
        let plain = format!("check weight {WEIGHT}");
        let words = [asks.as_str(), &plain, &plain];
        let servers: Vec<_> = ports.iter().copied().zip(words).collect();
        let balancer = Balancer::before(&servers)?;
        let stage = Self {
            balancer,
            booted,
            scratch,
            ports,
            agent,
        };
        for place in 1..=SERVICES.len() {
            stage.balancer.status(&format!("web-{place}"), "UP")?;
        }
        Ok(stage)
    }

    /// Another HAProxy in front of the same services.
    pub fn another(&self) -> Result<Balancer, Failed> {
        let words = format!("check weight {WEIGHT}");
        let servers = self.ports.iter().map(|port| (*port, words.as_str()));
        let other = Balancer::before(&servers.collect::<Vec<_>>())?;
        for place in 1..=SERVICES.len() {
            other.status(&format!("web-{place}"), "UP")?;
        }
        Ok(other)
    }

    /// A gate that tells both HAProxys.
    pub fn gates(&self, other: &Balancer) -> Value {
        let sockets = [&self.balancer, other].map(|balancer| {
            let socket = balancer.socket("admin");
            format!("unix:{}", socket.display())
        });
        json!([{"haproxy_runtime": {"sockets": sockets, "backend": "web", "server": "web-1"}}])
    }

    /// A nodeward with everything quick.
    pub fn config(&self) -> Value {
        let port = self.port();
        json!({
            "http": {"listen": ["127.0.0.1:0"]},
            "subjects": {"enable": ["systemd"], "systemd": {"bus": {"address": self.booted.bus}}},
            "checks": {"web": {
                "probe": {"http": {"url": format!("http://127.0.0.1:{port}/healthz"), "keep_alive": false}},
                "every": "200ms", "timeout": "500ms", "rise": 2, "fall": 2, "critical": true,
            }},
            "pools": {"web": {
                "gates": [
                    {"haproxy_agent": {"listen": [format!("127.0.0.1:{}", self.agent)]}},
                    {"haproxy_runtime": {
                        "socket": format!("unix:{}", self.balancer.socket("admin").display()),
                        "backend": "web", "server": "web-1",
                    }},
                ],
                "drain": "500ms", "then": "maint", "cut_after": "1s", "min_healthy": 2,
            }},
            "playbooks": {"web-ill": {
                "mode": "auto",
                "match": {"alertname": "CheckFailed", "check": {"in": ["web"]}},
                "target": {"unit": UNIT},
                "isolate": "web",
                "ladder": [{"do": {"systemd": "restart"}, "timeout": "10s"}],
                "verify": {
                    "all": [{"unit_stable": "500ms"}, {"check": "web"}, {"pool": "web"}],
                    "pass": 2, "every": "200ms", "deadline": "5s",
                },
                "probation": "500ms",
            }},
        })
    }

    /// The command that runs nodeward with this config, its state in this directory.
    pub fn command(config: &Value, state: &Scratch) -> Result<Command, Failed> {
        let file = state.path().join("nodeward.yml");
        std::fs::write(&file, config.to_string())?;
        let mut command = ours::command("run", state);
        command.arg("--config").arg(file);
        Ok(command)
    }

    /// Runs it.
    pub fn nodeward(&self, config: &Value) -> Result<Running, Failed> {
        let mut command = Self::command(config, &self.scratch)?;
        let mut nodeward = Running::start("nodeward", &mut command, &self.scratch)?;
        nodeward.address()?;
        Ok(nodeward)
    }

    /// A call of systemd's manager by somebody else than nodeward.
    pub fn call(&self, call: &[&str]) -> Result<(), Failed> {
        self.booted.call(call)
    }

    /// A signal to a service, by its number.
    pub fn signal(&self, name: &str, signal: &str) -> Result<(), Failed> {
        self.call(&["KillUnit", "ssi", &unit(name), "main", signal])
    }

    /// The port of the first service.
    pub fn port(&self) -> u16 {
        self.ports.first().copied().unwrap_or_default()
    }

    /// Has a service know something; see [`super::service`].
    pub fn has(&self, name: &str, file: &str, text: &str) -> Result<(), Failed> {
        Ok(std::fs::write(home(&self.booted, name).join(file), text)?)
    }

    /// Takes that back.
    pub fn has_no(&self, name: &str, file: &str) -> Result<(), Failed> {
        Ok(std::fs::remove_file(home(&self.booted, name).join(file))?)
    }

    /// What a service has written: when, and what.
    pub fn log(&self, name: &str) -> Result<Vec<(u64, String)>, Failed> {
        let text = std::fs::read_to_string(home(&self.booted, name).join("log"))?;
        let line = |line: &str| {
            let (at, what) = line.split_once(' ')?;
            Some((at.parse().ok()?, what.to_owned()))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// When a service was started, each time.
    pub fn starts(&self, name: &str) -> Result<Vec<u64>, Failed> {
        let log = self.log(name)?.into_iter();
        let starts = log.filter(|(_, what)| what == "start");
        Ok(starts.map(|(at, _)| at).collect())
    }

    /// What systemd calls the run of the first service that there is now.
    pub fn invocation(&self) -> Result<String, Failed> {
        self.property("InvocationID", "ay 16 ")
    }

    /// When systemd began to stop the run before that.
    pub fn stopped(&self) -> Result<u64, Failed> {
        let micros: u64 = self.property("ActiveExitTimestamp", "t ")?.parse()?;
        Ok(micros / 1000)
    }

    fn property(&self, name: &str, kind: &str) -> Result<String, Failed> {
        let out = Command::new("busctl")
            .arg(format!("--address={}", self.booted.bus))
            .args(["get-property", "org.freedesktop.systemd1"])
            .arg("/org/freedesktop/systemd1/unit/nodeward_2dt_2done_2eservice")
            .args(["org.freedesktop.systemd1.Unit", name])
            .output()?;
        let said = String::from_utf8_lossy(&out.stdout);
        let value = said.trim().strip_prefix(kind).map(str::to_owned);
        value.ok_or_else(|| format!("{name}: {said}").into())
    }

    /// The first service takes all of its share, and nothing of nodeward's is left at HAProxy.
    pub fn is_back(&self) -> Result<(), Failed> {
        until("web-1 to be as it was", || {
            let is = |column: &str, value: &str| {
                let now = self.balancer.stat("web-1", column).ok();
                now.is_some_and(|now| now == value)
            };
            (is("status", "UP") && is("weight", WEIGHT)).then_some(())
        })
    }

    /// A visitor comes to the first service, by HAProxy.
    pub fn is_visited(&self) -> Result<(), Failed> {
        let before = now();
        let newcomers = super::visitors::Visitors::start(100..106, self.balancer.port)?;
        newcomers.all_are_served()?;
        newcomers.served_by("one", before)
    }
}

fn unit(name: &str) -> String {
    format!("nodeward-t-{name}.service")
}

fn home(booted: &Booted, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/root/run/nodeward/{name}", booted.first))
}

/// The attempts that are on record.
pub fn attempts(state: &Scratch) -> Result<BTreeSet<String>, Failed> {
    let records = journal(state)?;
    let attempts = records.iter().filter_map(|r| r["attempt"].as_str());
    Ok(attempts.map(str::to_owned).collect())
}

/// A server as HAProxy has it at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// When HAProxy was asked.
    pub asked: u64,
    /// When it had answered.
    pub at: u64,
    pub status: String,
    /// Its share, as its line of the config has 100 of it.
    pub weight: u64,
    /// Sessions that are open.
    pub open: u64,
    /// Sessions that there ever were.
    pub total: u64,
}

impl Row {
    /// Sessions that are over.
    pub fn over(&self) -> u64 {
        self.total.saturating_sub(self.open)
    }

    pub fn is_in(&self) -> bool {
        self.status.starts_with("UP")
    }

    pub fn is_out(&self) -> bool {
        self.status.starts_with("MAINT")
    }
}

/// Looks at HAProxy's table again and again, until it is dropped.
pub struct Watch {
    stop: Arc<AtomicBool>,
    rows: Arc<Mutex<Vec<Row>>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Has an eye on `web-1`.
    pub fn start(balancer: &Balancer) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let rows = Arc::new(Mutex::new(Vec::new()));
        let (stops, seen, socket) = (
            Arc::clone(&stop),
            Arc::clone(&rows),
            balancer.socket("admin"),
        );
        let thread = thread::spawn(move || {
            while !stops.load(Ordering::SeqCst) {
                // It may be away for a while.
                if let Some(row) = look(&socket) {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.push(row);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self {
            stop,
            rows,
            thread: Some(thread),
        }
    }

    /// What was seen.
    pub fn rows(&self) -> Vec<Row> {
        self.rows
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// The first server as HAProxy has it now, by a socket of it.
pub fn look(socket: &Path) -> Option<Row> {
    let asked = now();
    let mut stream = UnixStream::connect(socket).ok()?;
    let patience = Some(Duration::from_secs(5));
    stream.set_read_timeout(patience).ok()?;
    stream.write_all(b"show stat\n").ok()?;
    let mut table = String::new();
    stream.read_to_string(&mut table).ok()?;
    let mut rows = table
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let names = rows.next()?;
    let row = rows.find(|row| row.first() == Some(&"web") && row.get(1) == Some(&"web-1"))?;
    let column = |name: &str| {
        let at = names.iter().position(|column| *column == name)?;
        row.get(at).copied()
    };
    Some(Row {
        asked,
        at: now(),
        status: column("status")?.to_owned(),
        weight: column("weight")?.parse().ok()?,
        open: column("scur")?.parse().ok()?,
        total: column("stot")?.parse().ok()?,
    })
}
