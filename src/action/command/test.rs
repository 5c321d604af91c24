//! A program that only looks: its exit status says whether all is well.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Command, cut, program};
use crate::action::{Action, Order, Site, Word};
use crate::host::program::{Ended, Ran};
use crate::model::duration::Period;
use crate::model::sight::Sight;

/// The longest that a round of probes may wait for one program.
const LONGEST: Duration = Duration::from_secs(10);

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
        let run = match self.command().run(order) {
            Ok(run) => run,
            Err(why) => return (Sight::Blind, why),
        };
        let program = run.program().to_owned();
        let until = Instant::now() + timeout;
        let ran = match Ran::of(run, until, order.stop.told(), |_| ()).await {
            Ok(ran) => ran,
            Err(none) => return (Sight::Blind, none.told(&program, timeout)),
        };
        let why = match ran.ended {
            Ended::Exit(0) => "exit status 0".to_owned(),
            ended => ended.told(&program, &cut(timeout, order.stop)),
        };
        let sight = match ran.ended {
            // It was us, and not what it looked at.
            Ended::Stopped(_) | Ended::Stuck if order.stop.is_told() => Sight::Blind,
            ended => ended.sight(),
        };
        (sight, ran.output.behind(&why))
    }
}
