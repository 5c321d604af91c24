//! Enough processes run, and not too many.
//!
//! Counts through the processes subject, in the one walk through /proc that all who wait share. Processes that have
//! ended and were not waited for (zombies) count as none.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{Ask, Kind, Outcome, Prober, World};
use crate::model::pattern::Pattern;
use crate::subject::processes::{Command, Processes, Query, Wanted};
use crate::subject::{Missing, Subject};

/// Enough, and not too many, processes run: those of which all of `name`, `cmdline` and `user` that are given hold, at
/// least one of them. Zombies count as none.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The kernel's name of the process (up to 15 bytes), or the last part of its program's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What its command line, with blanks between the arguments, must match anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<Pattern>,
    /// Whose processes count: a name in /etc/passwd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The fewest that must run.
    #[serde(default = "one")]
    pub at_least: u32,
    /// The most that may run. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u32>,
}

const fn one() -> u32 {
    1
}

impl Process {
    fn query(&self) -> Query {
        Query {
            name: self.name.clone().unwrap_or_default(),
            full: false,
            user: self.user.clone().unwrap_or_default(),
            state: None,
            living: true,
            command: self.cmdline.clone().map_or(Command::Any, Command::Matching),
        }
    }

    fn judge(&self, count: u64) -> Outcome {
        let facts = json!({"count": count});
        let run = if count == 1 {
            "process runs"
        } else {
            "processes run"
        };
        if count < u64::from(self.at_least) {
            let least = self.at_least;
            return Outcome::failed(format!("{count} {run}, at least {least} must"), facts);
        }
        match self.at_most {
            Some(most) if count > u64::from(most) => {
                Outcome::failed(format!("{count} {run}, at most {most} may"), facts)
            }
            _ => Outcome::passed(format!("{count} {run}"), facts),
        }
    }
}

impl Kind for Process {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        if !given(&self.name) && !given(&self.user) && self.cmdline.is_none() {
            faults.push(("", "say which processes: by name, cmdline or user".into()));
        }
        if self.at_most.is_some_and(|most| most < self.at_least) {
            let why = format!("is less than at_least ({})", self.at_least);
            faults.push(("at_most", why));
        }
        faults
    }

    fn prober(&self, _: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        if !world.sampler.reads(Processes::NAME) {
            return Err("processes are read through the subject processes, which stands in subjects.disable".into());
        }
        Ok(Box::new(Counting {
            query: self.query(),
            options: self.clone(),
            world: world.clone(),
        }))
    }
}

struct Counting {
    query: Query,
    options: Process,
    world: World,
}

#[async_trait]
impl Prober for Counting {
    async fn probe(&self, ask: Ask) -> Outcome {
        let want = Wanted::counting(self.query.clone());
        let deadline = ask.deadline.into_std();
        let count = self
            .world
            .sampler
            .ask::<Processes, _>(want, ask.age, deadline, |reading| {
                reading.count(&self.query)
            });
        match count.await {
            Ok(Some(count)) => self.options.judge(count),
            Ok(None) | Err(Missing::Late) => Outcome::late("the processes were not counted"),
            Err(missing) => Outcome::blind(format!("the processes cannot be counted: {missing}")),
        }
    }
}
