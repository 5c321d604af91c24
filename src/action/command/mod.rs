//! `command`: run a program.
//!
//! Owns who may be run, with which words and in which environment. Never a shell, never a program that anybody but root could
//! have changed. The surprising decision: it is a weak witness, and so never run again after a crash, unless the program itself
//! leaves a mark before it acts.

mod test;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Action, Looked, Order, Outcome, Permission, Site, Stop, Strength, Witness, Word, World,
};
use crate::host::apart;
use crate::host::program::{self, Ended, NotStarted, Ran, Run, WORDS};
use crate::model::target::Target;

pub use test::Test;

/// A program and its arguments. Its environment holds only `NODEWARD_ATTEMPT`, `NODEWARD_INCIDENT`, `NODEWARD_TARGET` and
/// `NODEWARD_PLAYBOOK`; its working directory is `/`, its standard input empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program, by its absolute path, and its arguments: texts, or `{from: LABEL}` for a whole argument. No shell reads them. The
    /// program, and each directory above it, must be root's, and writable by root alone.
    #[schemars(length(min = 1, max = 64))]
    pub argv: Vec<Word>,
    /// A directory in which the program makes a file named `$NODEWARD_ATTEMPT` before it acts. With it nodeward knows after a crash
    /// whether the program acted; without it the attempt counts as used.
    #[serde(default)]
    pub witness: Option<PathBuf>,
}

impl Command {
    fn words(&self, order: &Order<'_>) -> Result<Vec<String>, String> {
        let word = |word: &Word| word.resolve(order.labels).map(str::to_owned);
        let words: Vec<String> = self.argv.iter().map(word).collect::<Result<_, _>>()?;
        match (self.argv.first(), words.first()) {
            (Some(Word::Fixed(_)), Some(program)) if program.starts_with('/') => Ok(words),
            _ => Err("argv does not begin with the absolute path of a program".to_owned()),
        }
    }

    fn run(&self, order: &Order<'_>) -> Result<Run, String> {
        Ok(Run::new(self.words(order)?, environment(order).into()))
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &str {
        program(&self.argv)
    }

    fn mark(&self, order: &Order<'_>) -> Option<PathBuf> {
        let directory = self.witness.as_ref()?;
        Some(directory.join(order.attempt.to_string()))
    }
}

fn program(argv: &[Word]) -> &str {
    match argv.first() {
        Some(Word::Fixed(program)) => program,
        _ => "",
    }
}

fn environment(order: &Order<'_>) -> [(&'static str, String); 4] {
    [
        ("NODEWARD_ATTEMPT", order.attempt.to_string()),
        ("NODEWARD_INCIDENT", order.attempt.incident.to_string()),
        ("NODEWARD_TARGET", order.target.to_string()),
        ("NODEWARD_PLAYBOOK", order.playbook.to_owned()),
    ]
}

impl Action for Command {
    fn check(&self, site: &Site<'_>) -> Vec<String> {
        let mut wrong = Vec::new();
        let first = self.argv.first().map(|word| match word {
            Word::Fixed(program) => Some(program.as_str()),
            Word::Label(_) => None,
        });
        match first {
            Some(None) => wrong.push(
                "argv begins with a label's value; the program itself must be written out"
                    .to_owned(),
            ),
            first => wrong.extend(program::fault(first.flatten())),
        }
        if self.argv.len() > WORDS {
            wrong.push(format!("argv has more than {WORDS} words"));
        }
        let words = self.argv.iter().enumerate();
        wrong.extend(words.filter_map(|(at, word)| word.check(&format!("argv[{at}]"), site)));
        if let Some(directory) = &self.witness
            && !directory.is_absolute()
        {
            wrong.push(format!(
                "witness: {:?} is no absolute path of a directory",
                directory.display().to_string()
            ));
        }
        wrong
    }

    fn render(&self, order: &Order<'_>) -> Result<Value, String> {
        let environment: serde_json::Map<String, Value> = environment(order)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        Ok(json!({"command": {"argv": self.words(order)?, "env": environment}}))
    }

    fn strength(&self) -> Strength {
        match self.witness {
            Some(_) => Strength::Strong,
            None => Strength::Weak,
        }
    }

    async fn ready(&self, world: &World) -> Result<(), String> {
        let program = self.program();
        let trusted = world.host.trust().of(Path::new(program)).await;
        trusted.map_err(|why| format!("{program} would not be run: {why}"))
    }

    async fn look(&self, world: &World, order: &Order<'_>) -> Looked {
        let witness = match self.mark(order) {
            None => Ok(None),
            Some(mark) => {
                let (host, path) = (Arc::clone(&world.host), mark.clone());
                match apart("mark", move |_| host.has(&path)).await {
                    Ok(Ok(marked)) => Ok(Some(Witness(json!({"marked": marked})))),
                    Ok(Err(e)) => Err(format!("{} cannot be looked at: {e}", mark.display())),
                    Err(why) => Err(format!("{} cannot be looked at: {why}", mark.display())),
                }
            }
        };
        Looked {
            witness,
            busy: None,
            lags: Duration::ZERO,
        }
    }

    async fn act(
        &self,
        _: &World,
        order: &Order<'_>,
        started: impl FnOnce(Value) + Send,
    ) -> Outcome {
        match self.run(order) {
            Ok(run) => carry_out(run, order.timeout, order.stop, started).await,
            Err(why) => Outcome::failed(why),
        }
    }

    fn permissions(&self, _: &Target) -> Vec<Permission> {
        Vec::new()
    }
}

/// What is said of a program that we ended.
fn cut(timeout: Duration, stop: &Stop) -> String {
    if stop.is_told() {
        "was under way when nodeward ended or its incident was cancelled".to_owned()
    } else {
        format!("ran longer than {timeout:?}")
    }
}

/// Runs a program for what it does.
async fn carry_out(
    run: Run,
    timeout: Duration,
    stop: &Stop,
    started: impl FnOnce(Value) + Send,
) -> Outcome {
    let program = run.program().to_owned();
    let until = Instant::now() + timeout;
    let begun = |pid: u32| started(json!({"pid": pid}));
    let ran = match Ran::of(run, until, stop.told(), begun).await {
        Ok(ran) => ran,
        Err(late @ NotStarted::Late) => return Outcome::unknown(late.told(&program, timeout)),
        Err(refused) => return Outcome::failed(refused.told(&program, timeout)),
    };
    let detail = ran.detail();
    let why = ran.ended.told(&program, &cut(timeout, stop));
    match ran.ended {
        Ended::Exit(0) => Outcome::Done(detail),
        Ended::Exit(_) | Ended::Signal(_) => Outcome::Failed { why, detail },
        Ended::Stopped(_) | Ended::Stuck => Outcome::Unknown { why, detail },
    }
}

#[cfg(test)]
mod tests;
