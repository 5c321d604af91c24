//! `command`: run a program.
//!
//! Owns who may be run, with which words and in which environment. Never a shell, never a program that anybody but root could
//! have changed. The surprising decision: it is a weak witness, and so never run again after a crash, unless the program itself
//! leaves a mark before it acts.

mod group;
mod output;
mod test;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::apart::apart;
use super::{
    Action, Looked, Order, Outcome, Permission, Site, Stop, Strength, Witness, Word, World,
};
use crate::model::target::Target;
use group::{Ended, Group, NotStarted, Run};

pub use test::Test;

/// Most words of a command line.
const WORDS: usize = 64;

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

    /// The program, and how it is run.
    fn run(&self, order: &Order<'_>) -> Result<(String, Run), String> {
        let argv = self.words(order)?;
        let program = argv.first().cloned().unwrap_or_default();
        let environment = environment(order).into();
        let run = Run::new(argv, environment, crate::host::root_alone_can_change);
        Ok((program, run))
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
        match self.argv.first() {
            Some(Word::Fixed(program)) if program.starts_with('/') => {}
            Some(Word::Fixed(program)) => wrong.push(format!(
                "argv begins with {program:?}; write the program's absolute path"
            )),
            Some(Word::Label(_)) => wrong.push(
                "argv begins with a label's value; the program itself must be written out"
                    .to_owned(),
            ),
            None => wrong.push("argv is empty; it begins with the program's path".to_owned()),
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

    async fn ready(&self) -> Result<(), String> {
        let program = self.program().to_owned();
        let looked = apart("program", move |_| {
            let trusted = crate::host::root_alone_can_change(Path::new(&program));
            trusted.map_err(|why| format!("{program} would not be run: {why}"))
        });
        looked.await.flatten()
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
        }
    }

    async fn act(
        &self,
        _: &World,
        order: &Order<'_>,
        started: impl FnOnce(Value) + Send,
    ) -> Outcome {
        let (program, run) = match self.run(order) {
            Ok(run) => run,
            Err(why) => return Outcome::failed(why),
        };
        carry_out(&program, run, order.timeout, order.stop, started).await
    }

    fn permissions(&self, _: &Target) -> Vec<Permission> {
        Vec::new()
    }
}

/// A program that came to an end, or nearly so.
struct Ran {
    ended: Ended,
    /// What it wrote, and how it ended.
    detail: Value,
}

/// Runs a program to its end, or until its time is over or it is to stop.
async fn ran(
    run: Run,
    timeout: Duration,
    stop: &Stop,
    started: impl FnOnce(Value) + Send,
) -> Result<Ran, NotStarted> {
    let until = Instant::now() + timeout;
    let mut group = Group::start(run, until).await?;
    started(json!({"pid": group.pid()}));
    let ended = group.wait(until, stop).await;
    let output = group.output().await;
    let mut detail = Map::new();
    detail.insert("output".into(), output.text().into());
    detail.insert("dropped".into(), output.dropped().into());
    match ended {
        Ended::Exit(code) => drop(detail.insert("exit".into(), code.into())),
        Ended::Signal(signal) => drop(detail.insert("signal".into(), signal.into())),
        Ended::Stopped(with) => drop(detail.insert("stopped_with".into(), with.into())),
        Ended::Stuck => {}
    }
    let detail = Value::Object(detail);
    Ok(Ran { ended, detail })
}

/// What is said of a program that had not even been started in time.
fn late(program: &str, timeout: Duration) -> String {
    format!("{program} had not been started within {timeout:?}: its file system does not answer")
}

/// What is said of a program's end.
fn told(program: &str, ended: &Ended, timeout: Duration, stop: &Stop) -> String {
    let ran = if stop.is_told() {
        format!("{program} was under way when nodeward ended or its incident was cancelled")
    } else {
        format!("{program} ran longer than {timeout:?}")
    };
    match ended {
        Ended::Exit(code) => format!("{program} ended with exit status {code}"),
        Ended::Signal(signal) => format!("{program} was ended by signal {signal}"),
        Ended::Stopped(with) => format!("{ran} and was ended with {with}"),
        Ended::Stuck => format!("{ran}, and SIGKILL did not end it"),
    }
}

/// Runs a program for what it does.
async fn carry_out(
    program: &str,
    run: Run,
    timeout: Duration,
    stop: &Stop,
    started: impl FnOnce(Value) + Send,
) -> Outcome {
    let Ran { ended, detail } = match ran(run, timeout, stop, started).await {
        Ok(ran) => ran,
        Err(NotStarted::Refused(why)) => return Outcome::failed(why),
        Err(NotStarted::Late) => return Outcome::unknown(late(program, timeout)),
    };
    let why = told(program, &ended, timeout, stop);
    match ended {
        Ended::Exit(0) => Outcome::Done(detail),
        Ended::Exit(_) | Ended::Signal(_) => Outcome::Failed { why, detail },
        Ended::Stopped(_) | Ended::Stuck => Outcome::Unknown { why, detail },
    }
}

#[cfg(test)]
mod tests;
