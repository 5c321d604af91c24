//! A real Zabbix, 6.0 or 7.0, without a service manager: PostgreSQL over the filled database that `tests/peers/install` keeps,
//! the server, and its web frontend for the API, served by PHP's own web server. It asserts nothing about nodeward.

#![expect(
    clippy::indexing_slicing,
    reason = "a JSON value has null wherever it has nothing"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::process::{Running, free_port, patience, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

/// PostgreSQL refuses root, so there it runs as the account of its package.
const ACCOUNT: &str = "postgres";

/// The releases of Zabbix that are kept for years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    Six,
    Seven,
}

impl Release {
    const fn server(self) -> Peer {
        match self {
            Self::Six => Peer::ZabbixServer,
            Self::Seven => Peer::ZabbixServer7,
        }
    }

    /// The classic agent of it.
    pub const fn agent(self) -> Peer {
        match self {
            Self::Six => Peer::ZabbixAgent,
            Self::Seven => Peer::ZabbixAgent7,
        }
    }

    /// Agent 2 of it.
    pub const fn agent2(self) -> Peer {
        match self {
            Self::Six => Peer::ZabbixAgent2,
            Self::Seven => Peer::ZabbixAgent2of7,
        }
    }

    /// What `tests/peers/install` unpacked, beside the directory of programs.
    fn home(self) -> Result<PathBuf, Failed> {
        let program = self.server().find()?;
        let bin = program.parent().ok_or("a program without a directory")?;
        let name = match self {
            Self::Six => "../zabbix-server",
            Self::Seven => "../zabbix-server-7",
        };
        let home = bin.join(name).canonicalize();
        home.map_err(|error| {
            format!("the frontend and database beside {program:?}: {error}").into()
        })
    }
}

/// A running Zabbix. The fields end in this order: the database goes last.
#[derive(Debug)]
pub struct Zabbix {
    pub release: Release,
    frontend: Running,
    server: Option<Orderly>,
    _database: Orderly,
    api: SocketAddr,
    /// Where the server takes values.
    pub port: u16,
    token: Value,
}

/// A program that is asked to end: killed, it would leave children or shared memory behind.
#[derive(Debug)]
struct Orderly {
    program: Running,
    ends_by: Signal,
}

impl Orderly {
    fn pid(&self) -> Option<Pid> {
        let id = i32::try_from(self.program.id()).ok();
        id.and_then(Pid::from_raw)
    }
}

impl Drop for Orderly {
    fn drop(&mut self) {
        if self
            .pid()
            .is_some_and(|pid| kill_process(pid, self.ends_by).is_ok())
        {
            drop(self.program.ended());
        }
    }
}

impl Zabbix {
    /// Starts it all and signs in.
    pub fn start(release: Release, scratch: &Scratch) -> Result<Self, Failed> {
        Self::start_with(release, scratch, "")
    }

    /// The same, with more lines in the configuration of the server.
    pub fn start_with(release: Release, scratch: &Scratch, more: &str) -> Result<Self, Failed> {
        fs::write(scratch.path().join("zabbix_server.more"), more)?;
        let home = release.home()?;
        let database = Orderly {
            program: start_database(&home, scratch)?,
            // At once, whoever is connected.
            ends_by: Signal::QUIT,
        };
        let (server, port) = start_server(release, scratch, free_port()?)?;
        let server = Orderly {
            program: server,
            ends_by: Signal::TERM,
        };
        let (frontend, api) = start_frontend(&home, scratch, port)?;
        let mut zabbix = Self {
            release,
            frontend,
            server: Some(server),
            _database: database,
            api,
            port,
            token: Value::Null,
        };
        let who = json!({"username": "Admin", "password": "zabbix"});
        zabbix.token = zabbix.call("user.login", &who)?;
        Ok(zabbix)
    }

    /// Calls the API.
    pub fn call(&self, method: &str, parameters: &Value) -> Result<Value, Failed> {
        let mut request =
            json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let mut bearer = String::new();
        match (self.release, self.token.as_str()) {
            (Release::Six, _) => request["auth"] = self.token.clone(),
            (Release::Seven, Some(token)) => bearer = format!("Authorization: Bearer {token}\r\n"),
            (Release::Seven, None) => {}
        }
        let body = post(self.api, "/api_jsonrpc.php", &bearer, &request.to_string())
            .map_err(|error| format!("{method}: {error}\n{}", self.frontend.log()))?;
        let answer: Value = serde_json::from_str(&body)
            .map_err(|error| format!("{method}: {error}: {body}\n{}", self.frontend.log()))?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(format!("{method}: {}", answer["error"]).into()),
        }
    }

    /// What the server wrote.
    pub fn log(&self) -> String {
        let server = self.server.as_ref();
        server
            .map(|server| server.program.log())
            .unwrap_or_default()
    }

    /// Ends the server in order: what it holds goes to the database.
    pub fn stop_server(&mut self) {
        self.server = None;
    }

    /// Ends the server at once, with whatever it holds.
    pub fn kill_server(&mut self) {
        if let Some(server) = self.server.take()
            && let Some(pid) = server.pid()
        {
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
        }
    }

    /// Starts it again where it was.
    pub fn start_server(&mut self, scratch: &Scratch) -> Result<(), Failed> {
        let (program, _) = start_server(self.release, scratch, self.port)?;
        self.server = Some(Orderly {
            program,
            ends_by: Signal::TERM,
        });
        Ok(())
    }

    /// The process that takes what agents bring, as the log of the server has it.
    pub fn trapper(&self) -> Result<Pid, Failed> {
        let server = self.server.as_ref().ok_or("the server does not run")?;
        until("the trapper", || {
            let log = server.program.log();
            let line = log.lines().find(|line| line.contains("[trapper #1]"))?;
            Pid::from_raw(line.trim_start().split(':').next()?.parse().ok()?)
        })
    }
}

fn succeed(command: &mut Command) -> Result<(), Failed> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    Err(format!("{command:?}: {}\n{why}", out.status).into())
}

/// Where the socket of the database is.
fn sockets(scratch: &Scratch) -> PathBuf {
    scratch.path().join("sockets")
}

fn start_database(home: &Path, scratch: &Scratch) -> Result<Running, Failed> {
    let files = scratch.path().join("database");
    fs::create_dir(sockets(scratch))?;
    let mut unpack = Command::new("tar");
    unpack.arg("--no-same-owner").arg("-C").arg(scratch.path());
    succeed(unpack.arg("-xf").arg(home.join("database.tar")))?;
    // The program finds its own files from where it really is, and the other account may not see the link.
    let program = Peer::Postgres.find()?.canonicalize()?;
    let mut command = if rustix::process::geteuid().is_root() {
        let mut own = Command::new("chown");
        succeed(own.args(["-R", ACCOUNT]).args([&files, &sockets(scratch)]))?;
        let mut command = Command::new("setpriv");
        command
            .arg(format!("--reuid={ACCOUNT}"))
            .arg(format!("--regid={ACCOUNT}"))
            .arg("--clear-groups")
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    command
        .arg("-D")
        .arg(&files)
        .arg("-k")
        .arg(sockets(scratch));
    let database = Running::start("postgres", &mut command, scratch)?;
    says(&database, "ready to accept connections")?;
    Ok(database)
}

fn start_server(release: Release, scratch: &Scratch, port: u16) -> Result<(Running, u16), Failed> {
    // As few processes as do the work: each costs a connection to the database and a moment.
    let config = format!(
        "ListenIP=127.0.0.1\nListenPort={port}\nLogType=console\nAllowRoot=1\nDBName=zabbix\n\
         DBUser=zabbix\nDBHost={}\nPidFile={}\nSocketDir={}\nCacheUpdateFrequency=1\n\
         StartPollers=4\nStartPreprocessors=1\nStartDBSyncers=1\nStartLLDProcessors=1\n\
         StartHTTPPollers=0\nStartPingers=0\nStartDiscoverers=0\nStartTrappers=1\n\
         StartEscalators=1\nStartAlerters=1\nStatsAllowedIP=127.0.0.1\n{}",
        sockets(scratch).display(),
        scratch.path().join("server.pid").display(),
        scratch.path().display(),
        fs::read_to_string(scratch.path().join("zabbix_server.more"))?,
    );
    let file = scratch.path().join("zabbix_server.conf");
    fs::write(&file, config)?;
    let mut command = Command::new(release.server().find()?);
    command.arg("-f").arg("-c").arg(file);
    let server = Running::start("zabbix_server", &mut command, scratch)?;
    says(&server, "server #0 started")?;
    Ok((server, port))
}

fn start_frontend(
    home: &Path,
    scratch: &Scratch,
    server: u16,
) -> Result<(Running, SocketAddr), Failed> {
    let at = |name: &str| scratch.path().join(name);
    fs::write(
        at("frontend.php"),
        format!(
            "<?php\n$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => '{}', 'PORT' => '5432', \
             'DATABASE' => 'zabbix', 'USER' => 'zabbix', 'PASSWORD' => '', 'SCHEMA' => '', \
             'ENCRYPTION' => false, 'KEY_FILE' => '', 'CERT_FILE' => '', 'CA_FILE' => '', \
             'VERIFY_HOST' => false, 'CIPHER_LIST' => '', 'VAULT_URL' => '', \
             'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '', 'DOUBLE_IEEE754' => true];\n\
             $ZBX_SERVER = '127.0.0.1';\n$ZBX_SERVER_PORT = '{server}';\n\
             $ZBX_SERVER_NAME = 'test';\n$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;\n",
            sockets(scratch).display()
        ),
    )?;
    fs::write(
        at("where.php"),
        format!(
            "<?php define('ZABBIX_CONF', '{}');\n",
            at("frontend.php").display()
        ),
    )?;
    let port = free_port()?;
    let mut command = Command::new(Peer::Php.find()?);
    for setting in [
        format!("auto_prepend_file={}", at("where.php").display()),
        "date.timezone=UTC".to_owned(),
        "max_execution_time=300".to_owned(),
        "memory_limit=512M".to_owned(),
        "opcache.enable_cli=1".to_owned(),
        "post_max_size=64M".to_owned(),
    ] {
        command.arg("-d").arg(setting);
    }
    command
        .arg("-S")
        .arg(format!("127.0.0.1:{port}"))
        .arg("-t")
        .arg(home.join("usr/share/zabbix"));
    let mut frontend = Running::start("php", &mut command, scratch)?;
    let address = frontend.listens(port)?;
    Ok((frontend, address))
}

/// Waits until a program has printed a text.
fn says(program: &Running, text: &str) -> Result<(), Failed> {
    until(text, || program.log().contains(text).then_some(())).map_err(|failed| {
        let reason = failed.message().unwrap_or_default();
        Failed::from(format!("{reason}:\n{}", program.log()))
    })
}

fn post(address: SocketAddr, path: &str, headers: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, patience())?;
    stream.set_read_timeout(Some(patience()))?;
    // In one piece: PHP's own server takes half a head for a bad one.
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json-rpc\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned());
    body.ok_or_else(|| std::io::Error::other(format!("no answer but {answer}")))
}
