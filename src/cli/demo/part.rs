//! A process of the demo: our own program again, which says where it serves and ends with the demo.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What stands before the address in the line that says where a part serves.
pub(super) const SERVING: &str = "serving http://";
/// How long a part may take to serve, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a part that was told to end is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Ends this process when the demo does, were it by SIGKILL.
pub(super) fn end_with_parent() {
    // Without it only a demo that was killed leaves something running.
    set_parent_process_death_signal(Some(Signal::TERM)).ok();
}

/// A running part; dropping it kills it.
pub(super) struct Part {
    child: Child,
    name: &'static str,
    /// Where it serves: `127.0.0.1:PORT`.
    pub(super) address: String,
}

impl Part {
    /// Starts a subcommand of this program with an empty environment and waits until it serves. What it says on standard error
    /// goes to `log`.
    pub(super) async fn start(
        name: &'static str,
        args: &[&str],
        log: &Path,
    ) -> Result<Self, String> {
        let cannot = |e: std::io::Error| format!("start {name}: {e}");
        let mut child = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg(name)
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let (told, serving) = oneshot::channel();
        let stderr = child.stderr.take();
        let mut part = Self {
            child,
            name,
            address: String::new(),
        };
        let file = File::create(log).map_err(|e| format!("create {}: {e}", log.display()))?;
        if let Some(stderr) = stderr {
            std::thread::spawn(move || copy(stderr, file, told));
        }
        match timeout(PATIENCE, serving).await {
            Ok(Ok(Ok(address))) => part.address = address,
            Ok(Ok(Err(last))) => return Err(format!("{name} ended at once: {last}")),
            Ok(Err(_)) => return Err(format!("{name} said nothing")),
            Err(_) => return Err(format!("{name} did not serve within {PATIENCE:?}")),
        }
        Ok(part)
    }

    /// Ends it by SIGTERM and waits for that.
    pub(super) async fn end(mut self) -> Result<(), String> {
        let cannot = |name: &str, e: &dyn std::fmt::Display| format!("end {name}: {e}");
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(|e| cannot(self.name, &e))?;
        }
        let ended = timeout(PATIENCE, async {
            loop {
                match self.child.try_wait() {
                    Ok(None) => tokio::time::sleep(LOOK).await,
                    Ok(Some(status)) => return Ok(status),
                    Err(error) => return Err(error),
                }
            }
        });
        match ended.await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(cannot(self.name, &status)),
            Ok(Err(error)) => Err(cannot(self.name, &error)),
            Err(_) => Err(cannot(self.name, &"it does not end")),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // One that has ended is no failure.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Copies lines to a file, and tells the address in the first that has one, or the last line there was.
fn copy(stderr: ChildStderr, mut file: File, told: oneshot::Sender<Result<String, String>>) {
    let (mut told, mut last) = (Some(told), String::new());
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        // The log is for who keeps it; the demo goes on without.
        drop(writeln!(file, "{line}"));
        if let Some((_, rest)) = line.split_once(SERVING)
            && let Some(told) = told.take()
        {
            let digits = |c: &char| c.is_ascii_digit() || ".:".contains(*c);
            drop(told.send(Ok(rest.chars().take_while(digits).collect())));
        }
        last = line;
    }
    if let Some(told) = told {
        drop(told.send(Err(last)));
    }
}
