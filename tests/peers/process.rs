//! Runs a program for the length of a test: its output in a file, its end certain.
//!
//! A program is ended by its process id when the value is dropped, so also when the test panics. Each
//! leads a process group of its own: some agents leave children behind, and the group's id finds them.
//! Readiness is what the program itself shows (a line in its log, an answer on its port), asked for
//! again and again until [`patience`] is over.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::scratch::Scratch;

/// How long a test waits for something that must happen. Generous, since it is only ever used up by a
/// failure; `NODEWARD_PATIENCE` (seconds) overrides it.
pub fn patience() -> Duration {
    let seconds = std::env::var("NODEWARD_PATIENCE")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(60))
}

/// Asks until there is an answer or patience is over.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> Result<T, Failed> {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(answer) = ask() {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {:?} in vain for {what}", patience()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A loopback port that was free a moment ago, for programs that cannot be given port 0. It is below
/// 32768: the Zabbix agents take no higher one, and the kernel gives those to clients.
pub fn free_port() -> Result<u16, Failed> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test programs that run at once start in different places.
    let start = std::process::id().wrapping_mul(127);
    for _ in 0..12_000 {
        let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + step % 12_000)?;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err("no loopback port from 20000 to 31999 is free".into())
}

/// A running program.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with both outputs going to `NAME.log` in the scratch directory.
    pub fn start(name: &str, command: &mut Command, scratch: &Scratch) -> Result<Self, Failed> {
        let log = scratch.path().join(format!("{name}.log"));
        let out = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .map_err(|error| format!("starting {name} ({command:?}): {error}"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// What the program has printed so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The loopback address that the program says it listens on; it was asked for port 0.
    pub fn address(&mut self) -> Result<SocketAddr, Failed> {
        let mut ended = None;
        let found = until(&format!("{}'s address", self.name), || {
            let log = self.log();
            // Ours may tell of others before it serves.
            let log = match self.name.as_str() {
                "nodeward" => log.split_once("serving ").map(|(_, rest)| rest),
                _ => Some(log.as_str()),
            };
            if let Some(address) = log.and_then(loopback_address) {
                return Some(Some(address));
            }
            ended = self.child.try_wait().ok().flatten();
            ended.map(|_| None)
        });
        match found {
            Ok(Some(address)) => Ok(address),
            Ok(None) => {
                let status = ended.map(|status| status.to_string()).unwrap_or_default();
                Err(format!("{} ended ({status}):\n{}", self.name, self.log()).into())
            }
            Err(_) => Err(format!("{} told no address:\n{}", self.name, self.log()).into()),
        }
    }

    /// Waits until something accepts connections on a loopback port, for programs given one.
    pub fn listens(&mut self, port: u16) -> Result<SocketAddr, Failed> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let name = self.name.clone();
        until(&format!("{name} to listen on {address}"), || {
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()
        })
        .map(|_| address)
        .map_err(|failed| {
            let reason = failed.message().unwrap_or_default();
            Failed::from(format!("{reason}:\n{}", self.log()))
        })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the program to end by itself.
    pub fn ended(&mut self) -> Result<ExitStatus, Failed> {
        let name = format!("the end of {}", self.name);
        until(&name, || self.child.try_wait().ok().flatten())
    }

    /// Asks the program to end and waits until it has.
    pub fn terminate(mut self) -> Result<ExitStatus, Failed> {
        if let Some(pid) = self.pid() {
            kill_process(pid, Signal::TERM)?;
        }
        self.ended()
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()).ok()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // All fail only when everything has ended already.
        if let Some(pid) = self.pid() {
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The first `127.0.0.1:PORT` with a real port in a log.
fn loopback_address(log: &str) -> Option<SocketAddr> {
    log.split("127.0.0.1:").skip(1).find_map(|rest| {
        let port = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        let port: u16 = port.parse().ok().filter(|port| *port != 0)?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    })
}
