//! A program that only looks: its exit status says whether all is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::group::{Ended, NotStarted};
use super::{Command, Ran, late, program, ran, told};
use crate::action::{Action, Order, Site, Word};
use crate::model::duration::Period;
use crate::model::sight::Sight;

/// The longest that a round of probes may wait for one program.
const LONGEST: Duration = Duration::from_secs(10);
/// Characters of its last line of output that are told.
const TOLD: usize = 200;

/// A program, run as the action `command` runs one, of which exit status 0 says that all is well. It runs again and again, in
/// observe mode too, so it must be cheap and change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// The program, by its absolute path, and its arguments: texts, or `{from: LABEL}` for a whole argument. No shell reads them. The
    /// program, and each directory above it, must be root's, and writable by root alone.
    #[schemars(length(min = 1, max = 64))]
    pub argv: Vec<Word>,
    /// How long it may take; longer has failed. `100ms` to `10s`. Default: 5s.
    #[serde(default = "five_seconds")]
    pub timeout: Period,
}

const fn five_seconds() -> Period {
    Period::secs(5)
}

impl Test {
    fn command(&self) -> Command {
        Command {
            argv: self.argv.clone(),
            witness: None,
        }
    }

    /// All that is wrong with it and can be known without the world; one sentence each.
    #[must_use]
    pub fn check(&self, site: &Site<'_>) -> Vec<String> {
        let mut wrong = self.command().check(site);
        if !(Duration::from_millis(100)..=LONGEST).contains(&self.timeout.get()) {
            wrong.push(format!(
                "timeout: {} is not from 100ms to 10s",
                self.timeout
            ));
        }
        wrong
    }

    /// The program, for people.
    #[must_use]
    pub fn program(&self) -> &str {
        program(&self.argv)
    }

    /// Runs it: what it says, and what was seen. A program that does not run, or is ended by a signal before it has said anything,
    /// tells nothing.
    pub async fn run(&self, order: &Order<'_>) -> (Sight, String) {
        let timeout = self.timeout.get();
        let (program, run) = match self.command().run(order) {
            Ok(run) => run,
            Err(why) => return (Sight::Blind, why),
        };
        let Ran { ended, detail } = match ran(run, timeout, order.stop, |_| ()).await {
            Ok(ran) => ran,
            Err(NotStarted::Refused(why)) => return (Sight::Blind, why),
            Err(NotStarted::Late) => return (Sight::Blind, late(&program, timeout)),
        };
        let why = told(&program, &ended, timeout, order.stop);
        match ended {
            Ended::Exit(0) => (Sight::Well, seen("exit status 0".into(), &detail)),
            Ended::Signal(_) => (Sight::Blind, seen(why, &detail)),
            Ended::Stopped(_) | Ended::Stuck if order.stop.is_told() => {
                (Sight::Blind, seen(why, &detail))
            }
            Ended::Exit(_) | Ended::Stopped(_) | Ended::Stuck => (Sight::Ill, seen(why, &detail)),
        }
    }
}

/// With the last line that it wrote.
fn seen(why: String, detail: &Value) -> String {
    let output = detail.get("output").and_then(Value::as_str);
    let last = output.unwrap_or_default().lines().rev();
    let last = last.map(str::trim).find(|line| !line.is_empty());
    match last {
        Some(line) => {
            let plain = line.chars().filter(|c| !c.is_control()).take(TOLD);
            format!("{why}: {}", plain.collect::<String>())
        }
        None => why,
    }
}
