//! HAProxy with one backend `web` whose servers are named `web-1`, `web-2` and so on.

use std::fmt::Write;
use std::io::{Read, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use nodeward::net::endpoint::Place;
use nodeward::net::resolve::Resolver;
use nodeward::peer::haproxy::Runtime;

use super::web::Web;
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

/// A running HAProxy.
pub struct Balancer {
    scratch: Scratch,
    running: Option<Running>,
    /// Those that a reload has replaced, which end once their sessions do.
    leaving: Vec<Running>,
    /// Where its clients connect.
    pub port: u16,
    /// Its runtime API over TCP.
    pub tcp: u16,
}

impl Balancer {
    /// Starts one in front of `servers`; each with more words for its line of the config, such as `backup`.
    pub fn start(servers: &[(&Web, &str)]) -> Result<Self, Failed> {
        let ports = servers.iter().map(|(web, words)| (web.port, *words));
        Self::before(&ports.collect::<Vec<_>>())
    }

    /// The same in front of what listens on these ports.
    pub fn before(servers: &[(u16, &str)]) -> Result<Self, Failed> {
        let mut balancer = Self {
            scratch: Scratch::new()?,
            running: None,
            leaving: Vec::new(),
            port: free_port()?,
            tcp: free_port()?,
        };
        let (dir, port, tcp) = (
            balancer.scratch.path().display(),
            balancer.port,
            balancer.tcp,
        );
        let mut config = format!(
            "global
                stats socket unix@{dir}/admin mode 600 level admin
                stats socket unix@{dir}/operator mode 600 level operator
                stats socket ipv4@127.0.0.1:{tcp} level admin
            defaults
                mode http
                timeout connect 5s
                timeout client 300s
                timeout server 300s
                option redispatch
            # Of the same name as the backend, and found first.
            frontend web
                bind 127.0.0.1:{port}
                default_backend web
            backend web
                balance roundrobin
                cookie SRV insert indirect nocache\n"
        );
        for (index, (port, words)) in servers.iter().enumerate() {
            let number = index + 1;
            writeln!(
                config,
                "server web-{number} 127.0.0.1:{port} cookie web-{number} inter 100ms rise 2 fall 3 {words}"
            )?;
        }
        std::fs::write(balancer.scratch.path().join("config"), config)?;
        balancer.begin()?;
        Ok(balancer)
    }

    /// Starts it again: all that was said to it is forgotten.
    pub fn restart(&mut self) -> Result<(), Failed> {
        self.running = None;
        self.begin()
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// Reloads it as service managers do: another process takes the listeners over, the one before ends with its sessions.
    pub fn reload(&mut self) -> Result<(), Failed> {
        let before = self.running.take().ok_or("it does not run")?;
        let old = before.id().to_string();
        self.leaving.push(before);
        self.begin_with(&["-sf", &old])?;
        let new = self.running.as_ref().map(Running::id);
        let process = format!("Pid: {}\n", new.unwrap_or_default());
        until("the new HAProxy at the socket", || {
            let told = self.operator("show info").ok()?;
            told.contains(&process).then_some(())
        })
    }

    /// Starts it.
    pub fn begin(&mut self) -> Result<(), Failed> {
        self.begin_with(&[])
    }

    fn begin_with(&mut self, more: &[&str]) -> Result<(), Failed> {
        let mut command = Command::new(Peer::Haproxy.find()?);
        command.arg("-db").arg("-f");
        command.arg(self.scratch.path().join("config")).args(more);
        let mut running = Running::start("haproxy", &mut command, &self.scratch)?;
        running.listens(self.port)?;
        // These have their names later than that.
        for socket in ["admin", "operator"] {
            until("HAProxy's runtime API", || {
                UnixStream::connect(self.socket(socket)).ok()
            })?;
        }
        self.running = Some(running);
        Ok(())
    }

    /// The path of one of its sockets: `admin` or `operator`.
    pub fn socket(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A client of ours for a server of the backend, by the socket of that name.
    pub fn runtime(&self, socket: &str, server: &str) -> Result<Runtime, Failed> {
        let place = Place::Unix(self.socket(socket));
        Ok(Runtime::new(
            place,
            "web".parse()?,
            server.parse()?,
            Resolver::default(),
        ))
    }

    /// What an operator does: a command, and HAProxy's answer.
    pub fn operator(&self, command: &str) -> Result<String, Failed> {
        let mut stream = UnixStream::connect(self.socket("admin"))?;
        stream.write_all(format!("{command}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// A column of a server's row in `show stat`, as an operator reads it.
    pub fn stat(&self, server: &str, column: &str) -> Result<String, Failed> {
        let table = self.operator("show stat")?;
        let mut rows = table
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>());
        let names = rows.next().ok_or("no names of columns")?;
        let at = names.iter().position(|name| *name == column);
        let row = rows.find(|row| row.first() == Some(&"web") && row.get(1) == Some(&server));
        let value = row.as_ref().zip(at).and_then(|(row, at)| row.get(at));
        Ok((*value.ok_or("no such row or column")?).to_owned())
    }

    /// Waits until a server's status begins with this.
    pub fn status(&self, server: &str, status: &str) -> Result<(), Failed> {
        until(&format!("{server} to be {status}"), || {
            let now = self.stat(server, "status").ok()?;
            now.starts_with(status).then_some(())
        })
    }
}
