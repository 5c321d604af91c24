//! Programs that are run for what they do, or for what their end says.
//!
//! Owns how a program is started, listened to, ended and reaped, who may be run, and what its end says of what it looked at. Never a
//! shell. Whose environment and words they are, is the caller's.

mod group;
mod output;

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::model::sight::Sight;

pub use group::{Ended, Group, NotStarted, Run};
pub use output::Output;

/// Most words of a command line.
pub const WORDS: usize = 64;

/// What is wrong with the first word of a command line, the program.
#[must_use]
pub fn fault(program: Option<&str>) -> Option<String> {
    match program {
        Some(path) if path.starts_with('/') => None,
        Some(path) => Some(format!(
            "argv begins with {path:?}; write the program's absolute path"
        )),
        None => Some("argv is empty; it begins with the program's path".to_owned()),
    }
}

/// A program that came to its end, or to nobody's waiting for it any longer.
pub struct Ran {
    /// How.
    pub ended: Ended,
    /// What it wrote.
    pub output: Output,
}

impl Ran {
    /// Runs a program to its end, or until its time is over, or it is to `stop`. `started` is told its process id.
    ///
    /// # Errors
    /// When it does not run at all.
    pub async fn of(
        run: Run,
        until: Instant,
        stop: impl Future<Output = ()>,
        started: impl FnOnce(u32),
    ) -> Result<Self, NotStarted> {
        let mut group = Group::start(run, until).await?;
        started(group.pid());
        let ended = group.wait(until, stop).await;
        let output = group.output().await;
        Ok(Self { ended, output })
    }

    /// What it wrote and how it ended, for programs: an object.
    #[must_use]
    pub fn detail(&self) -> Value {
        let mut detail = Map::new();
        detail.insert("output".into(), self.output.text().into());
        detail.insert("dropped".into(), self.output.dropped().into());
        match self.ended {
            Ended::Exit(code) => drop(detail.insert("exit".into(), code.into())),
            Ended::Signal(signal) => drop(detail.insert("signal".into(), signal.into())),
            Ended::Stopped(with) => drop(detail.insert("stopped_with".into(), with.into())),
            Ended::Stuck => {}
        }
        Value::Object(detail)
    }
}

impl Ended {
    /// What the end of a program that only looks says of what it looked at: exit status 0 that all is well. One that a signal ended
    /// said nothing; one that ran too long found something that does not answer.
    #[must_use]
    pub const fn sight(&self) -> Sight {
        match self {
            Self::Exit(0) => Sight::Well,
            Self::Signal(_) => Sight::Blind,
            Self::Exit(_) | Self::Stopped(_) | Self::Stuck => Sight::Ill,
        }
    }

    /// The same for people; `cut` says why we ended it, if we did.
    #[must_use]
    pub fn told(&self, program: &str, cut: &str) -> String {
        match self {
            Self::Exit(code) => format!("{program} ended with exit status {code}"),
            Self::Signal(signal) => format!("{program} was ended by signal {signal}"),
            Self::Stopped(with) => format!("{program} {cut} and was ended with {with}"),
            Self::Stuck => format!("{program} {cut}, and SIGKILL did not end it"),
        }
    }
}
