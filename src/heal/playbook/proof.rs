//! What is asked of the world to know whether something is wrong, or well again (`confirm`, `verify`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, unknown};
use crate::action::Site;
use crate::action::command::Test;
use crate::check;
use crate::model::duration::Period;

/// What must fail before anything is done: one of check, probe and command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// Name of a check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// A probe of its own, of a kind and with the keys that a check's `probe` has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<check::Probe>,
    /// A program that ends with another exit status than 0. It must only look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Test>,
    /// How often it must fail in a row. Default: 1.
    #[serde(default = "once")]
    #[schemars(range(min = 1, max = 10))]
    pub fails: u32,
}

const fn once() -> u32 {
    1
}

impl Confirm {
    /// What is asked; none if the config names nothing, which it refuses.
    #[must_use]
    pub fn asks(&self) -> Option<Probe> {
        let check = self.check.clone().map(Probe::Check);
        let probe = || self.probe.clone().map(Box::new).map(Probe::Probe);
        let command = || self.command.clone().map(Probe::Command);
        check.or_else(probe).or_else(command)
    }

    fn count(&self) -> usize {
        usize::from(self.check.is_some())
            + usize::from(self.probe.is_some())
            + usize::from(self.command.is_some())
    }
}

/// The proof that an action helped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Verify {
    /// What must hold, all of it. Default for a unit: `unit_stable: 10s`, for a container: `container_stable: 10s`.
    pub all: Vec<Probe>,
    /// How often in a row. Default: 3.
    #[schemars(range(min = 1, max = 100))]
    pub pass: u32,
    /// Time between two rounds. Default: 1s.
    pub every: Period,
    /// How long it may take until then. Default: 60s.
    pub deadline: Period,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            pass: 3,
            every: Period::secs(1),
            deadline: Period::secs(60),
        }
    }
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// A check of this name passes.
    Check(String),
    /// The unit is active and has been so, in one piece, for this long.
    UnitStable(Period),
    /// The container runs and has done so, in one piece, for this long, and is healthy if it has a health check.
    ContainerStable(Period),
    /// A probe of its own passes, of a kind and with the keys that a check's `probe` has.
    Probe(Box<check::Probe>),
    /// A program ends with exit status 0. It must only look: it runs again and again.
    Command(Test),
}

/// How long a unit or a container must run in one piece if the playbook does not say.
pub(super) const SETTLED: Period = Period::secs(10);

impl Probe {
    /// How long what it looks at must have stood already.
    pub(super) fn stands(&self) -> Duration {
        match self {
            Self::UnitStable(period) | Self::ContainerStable(period) => period.get(),
            Self::Check(_) | Self::Probe(_) | Self::Command(_) => Duration::ZERO,
        }
    }

    /// What is wrong with it, with the keys below its own.
    fn faults(&self, site: &Site<'_>, checks: &[&str]) -> Vec<Fault> {
        let own = |why: String| vec![(Vec::new(), why)];
        let needs = |what: &str, kind: &str| match site.target == kind {
            true => Vec::new(),
            false => own(format!("{what} needs a target that is a {kind}")),
        };
        match self {
            Self::Check(name) if checks.contains(&name.as_str()) => Vec::new(),
            Self::Check(name) => own(unknown("check", name, checks)),
            Self::UnitStable(_) => needs("unit_stable", "unit"),
            Self::ContainerStable(_) => needs("container_stable", "container"),
            Self::Probe(probe) => {
                let keys = |key: &'static str| {
                    let keys = ["probe", probe.kind(), key].into_iter();
                    keys.filter(|key| !key.is_empty()).map(str::to_owned)
                };
                let faults = probe.options().faults().into_iter();
                faults
                    .map(|(key, why)| (keys(key).collect(), why))
                    .collect()
            }
            Self::Command(test) => {
                let faults = test.check(site).into_iter();
                faults
                    .map(|why| (vec!["command".to_owned()], why))
                    .collect()
            }
        }
    }
}

/// What is wrong with `confirm`, with the keys below it.
pub(super) fn confirm(confirm: &[Confirm], site: &Site<'_>, checks: &[&str]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, wanted) in confirm.iter().enumerate() {
        let at = |mut keys: Vec<String>| {
            keys.insert(0, index.to_string());
            keys
        };
        if wanted.count() != 1 {
            let why = "exactly one of check, probe and command is needed";
            faults.push((at(Vec::new()), why.to_owned()));
        }
        for (keys, why) in wanted.asks().iter().flat_map(|p| p.faults(site, checks)) {
            faults.push((at(keys), why));
        }
    }
    faults
}

/// What is wrong with `verify.all`, with the keys below it.
pub(super) fn all(probes: &[Probe], site: &Site<'_>, checks: &[&str]) -> Vec<Fault> {
    let each = probes.iter().enumerate();
    let each = each.flat_map(|(index, probe)| {
        let faults = probe.faults(site, checks).into_iter();
        faults.map(move |(mut keys, why)| {
            keys.insert(0, index.to_string());
            (keys, why)
        })
    });
    each.collect()
}
