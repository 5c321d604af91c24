//! Runs a program that looks: its exit status says whether all is well.
//!
//! For what only the program of the service itself can tell: whether data is whole, whether a replica follows, whether a config is one.
//! It is run as the action `command` runs one, and never a second time while it is still there, be it that it hangs in the kernel.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Ask, Kind, Outcome, Prober, World};
use crate::host::program::{self, Ended, NotStarted, Ran, Run, WORDS};
use crate::model::sight::Sight;

/// A program ends with exit status 0.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, by its absolute path, and its arguments. No shell reads them. The program, and each directory above it, must be
    /// root's, and writable by root alone. It has an empty environment, the working directory `/`, an empty standard input and a
    /// process group of its own; at the check's `timeout` the group is ended with SIGTERM, 5 s later with SIGKILL. It runs again and
    /// again, so it must be cheap and change nothing.
    #[schemars(length(min = 1, max = 64))]
    pub argv: Vec<String>,
}

impl Kind for Command {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let first = self.argv.first().map(String::as_str);
        faults.extend(program::fault(first).map(|why| ("argv", why)));
        if self.argv.len() > WORDS {
            faults.push(("argv", format!("it has more than {WORDS} words")));
        }
        if self.argv.iter().any(|word| word.contains('\0')) {
            faults.push(("argv", "a word holds a zero byte".into()));
        }
        faults
    }

    fn prober(&self, _: Duration, _: &World) -> Result<Box<dyn Prober>, String> {
        Ok(Box::new(Running {
            argv: self.argv.clone(),
            turn: Arc::new(Semaphore::new(1)),
        }))
    }
}

struct Running {
    argv: Vec<String>,
    /// Held by a program until nothing is left of it.
    turn: Arc<Semaphore>,
}

/// Ends the program when nobody waits for it any more, unless it is being ended already.
struct Task(Option<JoinHandle<()>>);

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(task) = self.0.take() {
            task.abort();
        }
    }
}

#[async_trait]
impl Prober for Running {
    async fn probe(&self, ask: Ask) -> Outcome {
        let program = self.argv.first().map_or("", String::as_str);
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            return Outcome::blind(format!(
                "{program} was not run: the one before has not ended yet"
            ));
        };
        let within = ask.deadline.saturating_duration_since(Instant::now());
        let run = Run::new(self.argv.clone(), Vec::new()).holding(turn);
        let (tell_start, mut start) = oneshot::channel();
        let (tell_end, end) = oneshot::channel();
        let mut task = Task(Some(tokio::spawn(async move {
            let started = |_| {
                tell_start.send(()).ok();
            };
            let ran = Ran::of(run, ask.deadline, std::future::pending(), started).await;
            drop(tell_end.send(ran));
        })));
        match timeout_at(ask.deadline, end).await {
            Ok(Ok(Ok(ran))) => judge(program, &ran, within),
            Ok(Ok(Err(none))) => Outcome::blind(none.told(program, within)),
            Ok(Err(_)) => Outcome::blind(format!("what runs {program} panicked")),
            Err(_) if start.try_recv().is_err() => {
                Outcome::blind(NotStarted::Late.told(program, within))
            }
            Err(_) => {
                // It is asked to end before it is killed, which the probe does not wait for.
                task.0 = None;
                Outcome::silent(format!("{program} {}", cut(within)))
            }
        }
    }
}

fn cut(within: Duration) -> String {
    format!("ran longer than {:.1} s", within.as_secs_f64())
}

fn judge(program: &str, ran: &Ran, within: Duration) -> Outcome {
    let why = match ran.ended {
        Ended::Exit(0) => "exit status 0".to_owned(),
        ended => ended.told(program, &cut(within)),
    };
    let why = ran.output.behind(&why);
    let facts = match ran.ended {
        Ended::Exit(code) => json!({"exit": code}),
        Ended::Signal(signal) => json!({"signal": signal}),
        Ended::Stopped(_) | Ended::Stuck => json!({}),
    };
    match ran.ended.sight() {
        Sight::Well => Outcome::passed(why, facts),
        Sight::Ill => Outcome::failed(why, facts),
        Sight::Blind => Outcome {
            blind: true,
            ..Outcome::failed(why, facts)
        },
    }
}
