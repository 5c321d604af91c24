//! What is asked of the world to know whether something is wrong, or well again (`confirm`, `verify`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fault, Names, unknown};
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
    /// How often it must fail in a row. All of it must end within 25s, also if each takes its whole `timeout`; a probe of its own gets
    /// its share of them, at most 10s. Default: 1.
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
    /// Whether probation goes on until the alert has resolved too; after `max_wait` beyond it, the next rung has its turn. Default: false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub resolved: bool,
}

impl Default for Verify {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            pass: 3,
            every: Period::secs(1),
            deadline: Period::secs(60),
            resolved: false,
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
    /// The load balancer's own check of this node passes. While the node is out it makes none, and is not asked.
    Pool(String),
}

/// How long all that one `confirm` asks, or one round of `verify`, may take: it is asked for again after the machine's patience.
pub const ROUND: Duration = Duration::from_secs(25);
/// How long one probe may take that has no time of its own.
const PROBE: Duration = Duration::from_secs(10);
/// Between two probes of one `confirm`.
pub const BETWEEN: Duration = Duration::from_millis(200);
/// What a probe takes beside its own time, to be given up or to be reaped.
const MARGIN: Duration = Duration::from_millis(400);

/// How long each of several probes may take that have no time of their own and are made one after the other within a round.
pub fn share(probes: u32) -> Duration {
    let apart = (BETWEEN + MARGIN) * probes.saturating_sub(1);
    let share = ROUND.saturating_sub(apart + MARGIN) / probes.max(1);
    share.min(PROBE)
}

/// A check as far as a playbook cares: its name, and how long a probe of it may take.
pub type Checked<'a> = (&'a str, Period);

/// How long a unit or a container must run in one piece if the playbook does not say.
pub(super) const SETTLED: Period = Period::secs(10);

impl Probe {
    /// How long what it looks at must have stood already.
    pub(super) fn stands(&self) -> Duration {
        match self {
            Self::UnitStable(period) | Self::ContainerStable(period) => period.get(),
            Self::Check(_) | Self::Probe(_) | Self::Command(_) | Self::Pool(_) => Duration::ZERO,
        }
    }

    /// How long it may take by what the config says, if it says so.
    fn takes(&self, checks: &[Checked<'_>]) -> Option<Period> {
        match self {
            Self::Check(name) => {
                let check = checks.iter().find(|(known, _)| known == name);
                check.map(|(_, timeout)| *timeout)
            }
            Self::Command(test) => Some(test.timeout),
            Self::UnitStable(_) | Self::ContainerStable(_) | Self::Probe(_) | Self::Pool(_) => None,
        }
    }

    /// Why `probes` of it, one after the other, might not end within a round.
    fn too_long(&self, probes: u32, checks: &[Checked<'_>]) -> Option<String> {
        let each = self.takes(checks)?;
        let all = each.get().saturating_add(MARGIN + BETWEEN);
        if all.saturating_mul(probes).saturating_sub(BETWEEN) <= ROUND {
            return None;
        }
        Some(match probes {
            1 => format!(
                "a probe that takes its whole timeout of {each} does not end within {ROUND:?}, after which nothing is seen: give the check a shorter one"
            ),
            _ => format!(
                "{probes} probes that take their whole timeout of {each} do not end within {ROUND:?}, after which nothing is seen: ask for fewer, or give a shorter timeout"
            ),
        })
    }

    /// What is wrong with it, with the keys below its own.
    fn faults(&self, site: &Site<'_>, names: &Names<'_>) -> Vec<Fault> {
        let (checks, pools) = (&names.checks, &names.pools);
        let own = |why: String| vec![(Vec::new(), why)];
        let needs = |what: &str, kind: &str| match site.target == kind {
            true => Vec::new(),
            false => own(format!("{what} needs a target that is a {kind}")),
        };
        match self {
            Self::Check(name) if checks.iter().any(|(known, _)| known == name) => Vec::new(),
            Self::Check(name) => {
                let known: Vec<&str> = checks.iter().map(|(known, _)| *known).collect();
                own(unknown("check", name, &known))
            }
            Self::Pool(name) if pools.contains(&name.as_str()) => Vec::new(),
            Self::Pool(name) => own(unknown("pool", name, pools)),
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
pub(super) fn confirm(confirm: &[Confirm], site: &Site<'_>, names: &Names<'_>) -> Vec<Fault> {
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
        if let Some(asked) = wanted.asks() {
            let found = asked.faults(site, names).into_iter();
            faults.extend(found.map(|(keys, why)| (at(keys), why)));
            let long = asked.too_long(wanted.fails, &names.checks);
            faults.extend(long.map(|why| (at(vec!["fails".to_owned()]), why)));
        }
    }
    faults
}

/// What is wrong with `verify.all`, with the keys below it.
pub(super) fn all(probes: &[Probe], site: &Site<'_>, names: &Names<'_>) -> Vec<Fault> {
    let each = probes.iter().enumerate();
    let each = each.flat_map(|(index, probe)| {
        let long = probe
            .too_long(1, &names.checks)
            .map(|why| (Vec::new(), why));
        let faults = probe.faults(site, names).into_iter().chain(long);
        faults.map(move |(mut keys, why)| {
            keys.insert(0, index.to_string());
            (keys, why)
        })
    });
    each.collect()
}
