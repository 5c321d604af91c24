//! A program in a process group of its own: started, listened to, ended, reaped.
//!
//! Whatever may block (looking at the program's file, starting it, waiting for it) is done by a thread that lives as long as the
//! program. It sees the end before it reaps: until then the number of the group belongs to nobody else, so that what the program
//! left behind in its group can be killed without hitting a stranger.
//!
//! ```text
//!   thread:  may it run? ─> start ──────────────> sees the end ─> kills the rest of the group ─> reaps
//!   future:                └─> pid, output ─> SIGTERM at the deadline or at a stop ─> SIGKILL ─┘
//! ```

use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::pin::pin;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::output::Output;
use crate::host::root_alone_can_change;

/// How long a program may take to end after SIGTERM, and the kernel after SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// How long output is waited for that a process outside the group holds open.
const REST: Duration = Duration::from_secs(1);

/// What to run.
pub struct Run {
    argv: Vec<String>,
    environment: Vec<(&'static str, String)>,
    may: fn(&Path) -> Result<(), String>,
    /// Only held.
    _turn: Option<OwnedSemaphorePermit>,
}

impl NotStarted {
    /// The reason, for people.
    #[must_use]
    pub fn told(self, program: &str, timeout: Duration) -> String {
        match self {
            Self::Refused(why) => why,
            Self::Late => format!(
                "{program} had not been started within {timeout:?}: its file system does not answer"
            ),
        }
    }
}

impl Run {
    /// The program that `argv` begins with, if root alone could have changed it. Its environment is these variables and no others.
    #[must_use]
    pub fn new(argv: Vec<String>, environment: Vec<(&'static str, String)>) -> Self {
        Self::if_allowed(argv, environment, root_alone_can_change)
    }

    /// The same, if `may` has nothing against it.
    pub(crate) fn if_allowed(
        argv: Vec<String>,
        environment: Vec<(&'static str, String)>,
        may: fn(&Path) -> Result<(), String>,
    ) -> Self {
        Self {
            argv,
            environment,
            may,
            _turn: None,
        }
    }

    /// Holds a permit until the program has ended and was reaped, however long that takes, or it is sure that it does not run.
    #[must_use]
    pub fn holding(self, turn: OwnedSemaphorePermit) -> Self {
        let _turn = Some(turn);
        Self { _turn, ..self }
    }

    /// The program's path.
    #[must_use]
    pub fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    fn start(&self) -> Result<(Child, PipeReader), String> {
        let (program, rest) = self.argv.split_first().ok_or("there is no program")?;
        (self.may)(Path::new(program)).map_err(|why| format!("{program} is not run: {why}"))?;
        let start = || {
            let (reader, writer) = std::io::pipe()?;
            let child = std::process::Command::new(program)
                .args(rest)
                .env_clear()
                .envs(self.environment.iter().map(|(name, value)| (*name, value)))
                .current_dir("/")
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(writer.try_clone()?)
                .stderr(writer)
                .spawn()?;
            Ok::<_, std::io::Error>((child, reader))
        };
        start().map_err(|e| format!("{program} could not be started: {e}"))
    }
}

/// Why a program does not run.
#[derive(Debug)]
pub enum NotStarted {
    /// It surely does not.
    Refused(String),
    /// It had not been started in time; if it is later, it is killed at once.
    Late,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By ours.
    Stopped(&'static str),
    /// Not at all: it hangs in the kernel.
    Stuck,
}

/// The group's number while it is surely ours, and whether anybody still wants it.
#[derive(Default)]
struct State {
    group: Option<Pid>,
    unwanted: bool,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        signal_group(&self.lock(), signal);
    }
}

fn signal_group(state: &State, signal: Signal) {
    if let Some(group) = state.group {
        // Whoever has ended in the meantime needs no signal.
        kill_process_group(group, signal).ok();
    }
}

/// Ends the group when nobody waits for it any more.
struct Unwanted(Shared);

impl Drop for Unwanted {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.unwanted = true;
        signal_group(&state, Signal::KILL);
    }
}

/// A program that runs. Dropping it kills its group.
pub struct Group {
    shared: Unwanted,
    pid: u32,
    ended: oneshot::Receiver<ExitStatus>,
    reader: Option<pipe::Receiver>,
    output: Output,
}

type Start = Result<(u32, PipeReader), String>;

impl Group {
    /// Starts it, on a thread that stays with it.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn start(run: Run, until: Instant) -> Result<Self, NotStarted> {
        let refused = |why: String| NotStarted::Refused(why);
        let shared = Unwanted(Shared::default());
        let (tell_start, start) = oneshot::channel();
        let (tell_end, ended) = oneshot::channel();
        let theirs = shared.0.clone();
        std::thread::Builder::new()
            .name("nodeward-command".to_owned())
            .stack_size(256 << 10)
            .spawn(move || attend(run, &theirs, tell_start, tell_end))
            .map_err(|e| refused(format!("no thread could be started for it: {e}")))?;
        let (pid, reader) = match timeout_at(until, start).await {
            Ok(Ok(start)) => start.map_err(refused)?,
            Ok(Err(_)) => return Err(refused("the thread that starts it panicked".to_owned())),
            Err(_) => return Err(NotStarted::Late),
        };
        Ok(Self {
            shared,
            pid,
            ended,
            // Without a reactor to listen with there is no output, which is no reason to let it run unattended.
            reader: pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).ok(),
            output: Output::default(),
        })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end; ends it itself after `until`, or once it is to stop.
    pub async fn wait(&mut self, until: Instant, stop: impl Future<Output = ()>) -> Ended {
        let mut stop = pin!(stop);
        let mut buffer = Vec::with_capacity(8 << 10);
        let mut next = until;
        let mut sent = None;
        loop {
            tokio::select! {
                status = &mut self.ended => return match (status, sent) {
                    (_, Some(sent)) => Ended::Stopped(sent),
                    (Ok(status), None) => match (status.code(), status.signal()) {
                        (Some(code), _) => Ended::Exit(code),
                        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
                    },
                    (Err(_), None) => Ended::Stuck,
                },
                () = read(&mut self.reader, &mut buffer, &mut self.output) => {}
                () = &mut stop, if sent.is_none() && next == until => next = Instant::now(),
                () = sleep_until(next) => {
                    let signal = match sent {
                        None => ("SIGTERM", Signal::TERM),
                        Some("SIGTERM") => ("SIGKILL", Signal::KILL),
                        Some(_) => return Ended::Stuck,
                    };
                    self.shared.0.signal(signal.1);
                    sent = Some(signal.0);
                    next = Instant::now() + GRACE;
                }
            }
        }
    }

    /// What it wrote.
    pub async fn output(mut self) -> Output {
        let mut buffer = Vec::with_capacity(8 << 10);
        let rest = async {
            while self.reader.is_some() {
                read(&mut self.reader, &mut buffer, &mut self.output).await;
            }
        };
        // Somebody who left the group may hold the pipe open.
        timeout(REST, rest).await.ok();
        std::mem::take(&mut self.output)
    }
}

/// Takes one piece of output; never returns once there is no more.
async fn read(reader: &mut Option<pipe::Receiver>, buffer: &mut Vec<u8>, output: &mut Output) {
    let Some(open) = reader else {
        return std::future::pending().await;
    };
    buffer.clear();
    match open.read_buf(buffer).await {
        Ok(1..) => output.add(buffer),
        Ok(0) | Err(_) => *reader = None,
    }
}

/// The thread's whole life.
fn attend(
    run: Run,
    shared: &Shared,
    tell_start: oneshot::Sender<Start>,
    tell_end: oneshot::Sender<ExitStatus>,
) {
    let (mut child, reader) = match run.start() {
        Ok(started) => started,
        Err(why) => {
            drop(run);
            return drop(tell_start.send(Err(why)));
        }
    };
    let id = child.id();
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    {
        let mut state = shared.lock();
        state.group = pid;
        if state.unwanted {
            signal_group(&state, Signal::KILL);
        }
    }
    drop(tell_start.send(Ok((id, reader))));
    if let Some(pid) = pid {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), look) {}
    }
    {
        let mut state = shared.lock();
        signal_group(&state, Signal::KILL);
        state.group = None;
    }
    let status = child.wait();
    // Whoever hears of the end may start the next at once.
    drop(run);
    if let Ok(status) = status {
        tell_end.send(status).ok();
    }
}
