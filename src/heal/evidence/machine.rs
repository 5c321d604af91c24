//! The machine around it: the processes that take most, pressure, sockets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant as Clock;

use tokio::time::Instant;

use super::{Found, Part};
use crate::check;
use crate::heal::job::Job;
use crate::heal::playbook::Probe;
use crate::heal::world::Reach;
use crate::host::{Called, Files, Host, Pass, Root, Socket, Summary};
use crate::subject::tcpstat::NAMES as STATES;

pub(super) const PROCESSES: usize = 40 << 10;
/// Most bytes of a process's line.
const COMMAND: usize = 560;
pub(super) const PRESSURE: usize = 4 << 10;
pub(super) const SOCKETS: usize = 24 << 10;
/// Sockets that are shown one by one, of those that listen and of the others each.
const SHOWN: usize = 100;
/// What is read of the machine as it stands.
const FILES: [&str; 5] = [
    "loadavg",
    "pressure/cpu",
    "pressure/memory",
    "pressure/io",
    "pressure/irq",
];

/// Has the machine read on a thread that may hang, and that no scrape needs; it is not asked a second time while it does.
async fn apart(
    reach: &Reach,
    what: &'static str,
    until: Instant,
    read: impl Fn(&Host, Clock) -> Result<String, String> + Send + Sync + 'static,
) -> Result<Found, String> {
    let host = Arc::clone(&reach.action.host);
    let by = until.into_std();
    let calls = host.evidence_calls().clone();
    let called = calls
        .one("evidence", Path::new(what), by, move |_| read(&host, by))
        .await;
    match called {
        Called::Done(read) => read.map(Found::from),
        Called::Parked => Err("the kernel has not answered in time".into()),
        Called::Busy => {
            Err("every thread that gathers evidence is held by something that hangs".into())
        }
    }
}

/// The processes that take most.
pub(super) async fn processes(reach: &Reach, until: Instant) -> Part {
    let part = processes_part();
    let found = apart(reach, "processes", until, |host, _| {
        Ok(table(&host.summary()?))
    });
    part.by(until, found).await
}

fn processes_part() -> Part {
    let mut part = Part::new("processes", "", PROCESSES);
    part.commands = true;
    part.line = COMMAND;
    part
}

fn table(summary: &Summary) -> String {
    let mut text = match summary.memory {
        Some(memory) => format!(
            "memory {} of {} bytes used, swap {} of {}",
            memory.used, memory.total, memory.swap_used, memory.swap
        ),
        None => "memory and swap: /proc/meminfo could not be read".to_owned(),
    };
    // Writing to a String does not fail.
    _ = writeln!(text, ", {} processes", summary.processes);
    for (by, processes) in [
        ("memory", &summary.by_memory),
        ("CPU", &summary.by_cpu),
        ("descriptors", &summary.by_descriptors),
    ] {
        _ = writeln!(
            text,
            "\nby {by}: pid, resident bytes, CPU %, descriptors, command"
        );
        for process in processes {
            let descriptors = process
                .descriptors
                .map_or("-".to_owned(), |n| n.to_string());
            // What a process calls itself is one line all the same.
            let command = process.command.replace(['\n', '\r'], " ");
            _ = writeln!(
                text,
                "{} {} {:.1} {descriptors} {command}",
                process.pid, process.memory, process.cpu
            );
        }
    }
    text
}

/// Load and pressure.
pub(super) async fn pressure(reach: &Reach, until: Instant) -> Part {
    let found = apart(reach, "pressure", until, |host, by| {
        let mut files = Files::default();
        let mut pass = Pass::new(host, &mut files, by);
        let mut text = String::new();
        for name in FILES {
            match pass.file(Root::Proc, name) {
                Ok(read) => {
                    let read = String::from_utf8_lossy(&read);
                    text.push_str(&format!("{name}:\n{}\n", read.trim_end()));
                }
                // A kernel without PSI, or without that of interrupts.
                Err(error) if error.is_not_found() => {}
                Err(error) => text.push_str(&format!("{name}: {error}\n")),
            }
        }
        match text.is_empty() {
            true => Err("this kernel tells of none".into()),
            false => Ok(text),
        }
    });
    Part::new("pressure", "", PRESSURE).by(until, found).await
}

/// The TCP sockets of the ports that the playbook's checks and probes ask at; where there is none, those that listen.
pub(super) async fn sockets(reach: &Reach, job: &Job, until: Instant) -> Part {
    let ports = ports(job);
    let named: Vec<String> = ports.iter().map(u16::to_string).collect();
    let found = apart(reach, "sockets", until, move |host, by| {
        let mut files = Files::default();
        let mut pass = Pass::new(host, &mut files, by);
        let mut seen = Seen::new(&ports);
        pass.tcp_sockets(&mut |socket| seen.take(&socket))
            .map_err(|e| e.to_string())?;
        Ok(seen.told())
    });
    Part::new("sockets", named.join(" "), SOCKETS)
        .by(until, found)
        .await
}

/// The ports at which the playbook asks.
fn ports(job: &Job) -> Vec<u16> {
    let proof = job.playbook.proof();
    let confirmed = job
        .playbook
        .confirm
        .iter()
        .filter_map(|confirm| confirm.asks());
    let asked = confirmed.chain(proof);
    let port = |probe: &check::Probe| probe.options().port();
    let mut ports: Vec<u16> = asked
        .filter_map(|probe| match probe {
            Probe::Check(name) => port(&job.checks.get(&name)?.probe),
            Probe::Probe(probe) => port(&probe),
            _ => None,
        })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// Sockets as they are seen one by one.
struct Seen<'a> {
    ports: &'a [u16],
    /// By port, 0 for all of them, and by state.
    counts: BTreeMap<(u16, &'static str), u64>,
    listening: Vec<String>,
    others: Vec<String>,
}

impl<'a> Seen<'a> {
    fn new(ports: &'a [u16]) -> Self {
        Self {
            ports,
            counts: BTreeMap::new(),
            listening: Vec::new(),
            others: Vec::new(),
        }
    }

    fn take(&mut self, socket: &Socket) {
        let state = STATES.iter().find(|(_, number)| *number == socket.state);
        let state = state.map_or("other", |(name, _)| name);
        *self.counts.entry((0, state)).or_default() += 1;
        let of = self
            .ports
            .iter()
            .find(|port| [socket.local.port, socket.remote.port].contains(port));
        if let Some(port) = of {
            *self.counts.entry((*port, state)).or_default() += 1;
        }
        let listens = state == "listen";
        let wanted = of.is_some() || (listens && self.ports.is_empty());
        let lines = match listens {
            true => &mut self.listening,
            false => &mut self.others,
        };
        if wanted && lines.len() < SHOWN {
            let end = |end: &crate::host::End| std::net::SocketAddr::new(end.address, end.port);
            lines.push(format!(
                "{state} {} {} received {} sent {}",
                end(&socket.local),
                end(&socket.remote),
                socket.received,
                socket.sent
            ));
        }
    }

    fn told(self) -> String {
        let mut text = String::new();
        let mut last = None;
        for ((port, state), count) in &self.counts {
            if last.replace(port) != Some(port) {
                let whose = match port {
                    0 => "all".to_owned(),
                    port => format!("port {port}"),
                };
                text.push_str(&format!(
                    "{}{whose}:",
                    if text.is_empty() { "" } else { "\n" }
                ));
            }
            text.push_str(&format!(" {state} {count}"));
        }
        text.push('\n');
        for line in self.listening.iter().chain(&self.others) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::End;

    fn socket(state: u8, local: u16, remote: u16) -> Socket {
        let end = |port| End {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            port,
        };
        Socket {
            state,
            local: end(local),
            remote: end(remote),
            received: 3,
            sent: 128,
        }
    }

    #[test]
    fn secrets_are_taken_before_a_command_is_cut_and_what_was_not_read_says_so() {
        use super::super::redact::Redactor;
        let path = "x".repeat(470);
        let process = crate::host::Process {
            pid: 1,
            command: format!("{path} --password \"correct horse battery staple\" {path}"),
            ..Default::default()
        };
        let summary = Summary {
            processes: 1,
            by_memory: vec![process],
            ..Summary::default()
        };
        let mut part = processes_part();
        part.found = Ok(table(&summary));
        let shown = part.shown(&Redactor::default());
        let text = shown["text"].as_str().unwrap();
        let line = text.lines().nth(3).unwrap();
        assert!(!text.contains("correct") && line.len() < 620, "{text}");
        assert!(line.contains("--password \"[redacted]\"") && line.ends_with(" left out]"));
        assert!(
            text.starts_with("memory and swap: /proc/meminfo could not be read, 1 processes\n"),
            "{text}"
        );
    }

    #[test]
    fn sockets_of_the_ports_are_shown_and_all_are_counted() {
        let all = [
            socket(10, 80, 0),
            socket(1, 80, 5_000),
            socket(1, 5_000, 80),
            socket(10, 22, 0),
        ];
        let mut seen = Seen::new(&[80]);
        all.iter().for_each(|socket| seen.take(socket));
        assert_eq!(
            seen.told(),
            "all: established 2 listen 2\nport 80: established 2 listen 1\n\
             listen 127.0.0.1:80 127.0.0.1:0 received 3 sent 128\n\
             established 127.0.0.1:80 127.0.0.1:5000 received 3 sent 128\n\
             established 127.0.0.1:5000 127.0.0.1:80 received 3 sent 128\n"
        );
        let mut seen = Seen::new(&[]);
        (0..1_000).for_each(|_| seen.take(&socket(10, 22, 0)));
        let told = seen.told();
        assert!(
            told.starts_with("all: listen 1000\nlisten 127.0.0.1:22 "),
            "{told}"
        );
        assert_eq!(told.lines().count(), 1 + SHOWN);
    }
}
