//! The program under test, running: started on free loopback ports, ended with the test.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

/// Only ever used up by a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of the test's own, removed with it.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nodeward-it-{}-{id}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A command of nodeward with an environment of its own: what cargo has built, or what `NODEWARD_PROGRAM` names.
pub fn command(scratch: &Scratch, args: &[&str]) -> Command {
    let program = std::env::var_os("NODEWARD_PROGRAM");
    let mut command = Command::new(program.unwrap_or(env!("CARGO_BIN_EXE_nodeward").into()));
    command
        .args(args)
        .env_clear()
        .env("RUNTIME_DIRECTORY", scratch.path())
        .env("STATE_DIRECTORY", scratch.path())
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn output(scratch: &Scratch, args: &[&str]) -> Output {
    command(scratch, args).output().unwrap()
}

/// A running nodeward.
pub struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts `nodeward run` with these arguments and waits for the line that says where it serves.
    pub fn start(scratch: &Scratch, args: &[&str]) -> Self {
        Self::spawn(&mut command(scratch, &[&["run"], args].concat()))
    }

    pub fn spawn(command: &mut Command) -> Self {
        let mut program = Self::launch(command);
        program.line("serving ");
        program
    }

    /// The same for one that may die before it serves.
    pub fn begin(command: &mut Command) -> Option<Self> {
        let mut program = Self::launch(command);
        match program.wait("serving ") {
            Ok(_) => Some(program),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                panic!("it serves nothing: {:#?}", program.seen)
            }
        }
    }

    fn launch(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// The first line, seen or to come, that holds `what`.
    pub fn line(&mut self, what: &str) -> String {
        if let Some(line) = self.seen.iter().find(|line| line.contains(what)) {
            return line.clone();
        }
        self.next_line(what)
    }

    /// The next line to come that holds `what`.
    pub fn next_line(&mut self, what: &str) -> String {
        self.wait(what)
            .unwrap_or_else(|_| panic!("no line with {what:?} in {:#?}", self.seen))
    }

    /// Whether a line that holds `what` has come.
    pub fn log_has(&mut self, what: &str) -> bool {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().any(|line| line.contains(what))
    }

    fn wait(&mut self, what: &str) -> Result<String, mpsc::RecvTimeoutError> {
        loop {
            let line = self.lines.recv_timeout(PATIENCE)?;
            self.seen.push(line.clone());
            if line.contains(what) {
                return Ok(line);
            }
        }
    }

    /// The address after `before` in the line that holds it.
    pub fn address(&mut self, before: &str) -> String {
        let line = self.line(before);
        let rest = line.split(before).nth(1).unwrap();
        rest.chars()
            .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect()
    }

    pub fn http(&mut self) -> String {
        self.address("serving http://")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Ends it by SIGTERM and gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A connection that gives up when a test has failed anyway.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads until the other side closes; a reset counts as a close.
pub fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(address);
    // The peer may close while it is still being written to.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(std::net::Shutdown::Write));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    answer
}

/// GET over HTTP/1.0: the status line's code and the body.
pub fn get(address: &str, path: &str) -> (u16, String) {
    parse(&exchange(
        address,
        format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes(),
    ))
}

/// GET over a Unix socket.
pub fn get_unix(socket: &Path, path: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream
        .write_all(format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    parse(&answer)
}

fn parse(answer: &[u8]) -> (u16, String) {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let code = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0);
    (code, body.to_owned())
}

/// The value of a series on a page, by name and labels as written.
pub fn value(page: &str, series: &str) -> Option<f64> {
    page.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
