//! A program that only looks: its exit status says whether all is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Command;
use crate::action::{Action, Order, Outcome, Site, Word, World};
use crate::model::duration::Period;

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
        match self.argv.first() {
            Some(Word::Fixed(program)) => program,
            _ => "",
        }
    }

    /// Runs it: whether it says that all is well, and what was seen.
    pub async fn run(&self, world: &World, order: &Order<'_>) -> (bool, String) {
        let order = Order {
            timeout: self.timeout.get(),
            ..*order
        };
        match self.command().act(world, &order, |_| ()).await {
            Outcome::Done(detail) => (true, seen("exit status 0".into(), &detail)),
            Outcome::Failed { why, detail } | Outcome::Unknown { why, detail } => {
                (false, seen(why, &detail))
            }
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
