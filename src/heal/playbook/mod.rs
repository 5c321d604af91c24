//! Playbooks: which alerts, what is healed, how, and how it is proven (`playbooks:`).
//!
//! Owns the keys of a playbook, what is wrong with one, which alerts it takes, and what the incident machine sees of it. It starts nothing.

mod escalation;
mod guards;
mod matcher;
mod proof;
mod rung;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::journal::Hash;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use escalation::{Escalation, Remind};
pub use guards::{Guards, Times, Wait};
pub use matcher::{Matcher, Miss};
pub use proof::{BETWEEN, Checked, Confirm, Probe, ROUND, Verify, share};
pub use rung::{OnFail, Step, Whom};

use super::plan::{Mode, Plan, Proof, Rung};
use crate::action::command::Test;
use crate::action::{Do, Permission, Site, Word};
use crate::check;
use crate::model::alert::{Alert, Labels};
use crate::model::duration::Period;
use crate::model::target::{NotATarget, Target};
use proof::SETTLED;

/// Where a revision keeps the checks that its playbook names; no key of a playbook.
const CHECKS: &str = "checks";

/// All playbooks, by name.
pub type Options = BTreeMap<String, Playbook>;

/// One playbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// How far it may go: off, observe (decides and records, touches nothing), approve (acts once a person said yes), auto.
    #[serde(default)]
    pub mode: Mode,
    /// Labels an alert must have: each with a text, `{in: [texts]}` or `{re: pattern}` that must match the whole value.
    #[serde(rename = "match")]
    pub matching: BTreeMap<String, Matcher>,
    /// What is healed.
    pub target: Whom,
    /// What must fail here too before anything is done: checks, probes, programs.
    #[serde(default)]
    pub confirm: Vec<Confirm>,
    /// How long the problem may heal by itself first.
    #[serde(default, rename = "for")]
    pub settle: Period,
    /// When not to act.
    #[serde(default)]
    pub guards: Guards,
    /// The pool that this node leaves before the first rung, and rejoins once it is healed and has stayed well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolate: Option<String>,
    /// What is done, one rung after the other until it helps.
    #[schemars(length(min = 1))]
    pub ladder: Vec<Step>,
    /// How it is proven that it helped.
    #[serde(default)]
    pub verify: Verify,
    /// How long it must stay well before the incident is over. Default: 2m.
    #[serde(default = "two_minutes")]
    pub probation: Period,
    /// Which notifiers are told what could not be healed. Default: those of `escalation.to`; `[]` tells nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Vec<String>>,
    /// How people are told again until one of them acknowledges it (`nodeward ack`). Default: that of `escalation.remind`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Remind>,
}

const fn two_minutes() -> Period {
    Period::secs(120)
}

/// What a playbook may name.
#[derive(Debug, Clone, Default)]
pub struct Names<'a> {
    /// Checks.
    pub checks: Vec<Checked<'a>>,
    /// Notifiers.
    pub notifiers: Vec<&'a str>,
    /// Pools.
    pub pools: Vec<&'a str>,
}

/// A fault of a playbook: the key it is about, below the playbook's own, and why.
pub type Fault = (Vec<String>, String);

impl Playbook {
    /// What is wrong with it: what its types do not show. `names` are those that there are.
    #[must_use]
    pub fn faults(&self, names: &Names<'_>) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |keys: &[&str], why: String| {
            faults.push((keys.iter().map(|k| (*k).to_owned()).collect(), why));
        };
        if self.matching.is_empty() {
            fault(
                &["match"],
                "an empty match takes every alert; name at least one label, such as alertname"
                    .into(),
            );
        }
        if let Some(Word::Label(label)) = self.target.word() {
            match self.matching.get(&label.from) {
                Some(matcher) if matcher.is_listed() => {}
                Some(_) => fault(
                    &["target"],
                    format!(
                        "label {:?} names the target, so match must list its values with a text or {{in: [...]}}",
                        label.from
                    ),
                ),
                None => fault(
                    &["target"],
                    format!(
                        "label {:?} names the target, so it must stand in match",
                        label.from
                    ),
                ),
            }
        }
        for target in self.targets() {
            if let Err(why) = target {
                fault(&["target"], why.to_string());
            }
        }
        if self.ladder.is_empty() {
            fault(&["ladder"], "at least one rung is needed".into());
        }
        let labels: Vec<&str> = self.matching.keys().map(String::as_str).collect();
        let site = Site {
            target: self.target.kind(),
            labels: &labels,
        };
        for (index, step) in self.ladder.iter().enumerate() {
            for why in step.action.iter().flat_map(|action| action.check(&site)) {
                fault(&["ladder", &index.to_string(), "do"], why);
            }
            if step.action.is_some() == step.isolate.is_some() {
                fault(
                    &["ladder", &index.to_string()],
                    "exactly one of do and isolate is needed".into(),
                );
            }
            if step.isolate.is_some() && step.isolate == self.isolate {
                fault(
                    &["ladder", &index.to_string(), "isolate"],
                    "the playbook's own isolate has the node out of this pool already".into(),
                );
            }
            if step.timeout.get() < Duration::from_secs(1) {
                fault(
                    &["ladder", &index.to_string(), "timeout"],
                    "less than a second is no time to act in".into(),
                );
            }
        }
        if self.proof().is_empty() {
            fault(
                &["verify", "all"],
                "something must prove that it helped: a check, such as {check: NAME}, or a probe, such as {probe: {tcp: {address: \"127.0.0.1:80\"}}}"
                    .into(),
            );
        }
        let longest = self.proof().iter().map(Probe::stands).max();
        let rounds = self.verify.every.get() * self.verify.pass.saturating_sub(1);
        if longest.unwrap_or_default() + rounds >= self.verify.deadline.get() {
            fault(
                &["verify", "deadline"],
                "it must be longer than unit_stable or container_stable and the rounds of pass and every together"
                    .into(),
            );
        }
        for (keys, pool) in self.pools() {
            if !names.pools.contains(&pool.as_str()) {
                faults.push((keys, unknown("pool", &pool, &names.pools)));
            }
        }
        for (mut keys, why) in proof::confirm(&self.confirm, &site, names) {
            keys.insert(0, "confirm".into());
            faults.push((keys, why));
        }
        for (keys, why) in proof::all(&self.verify.all, &site, names) {
            let above = ["verify", "all"].map(str::to_owned);
            faults.push(([&above, keys.as_slice()].concat(), why));
        }
        let to = self.escalate.as_deref().unwrap_or_default();
        faults.extend(escalation::faults(
            "escalate",
            to,
            self.remind.as_ref(),
            names,
        ));
        faults
    }

    /// The pools that it leaves or heals, each with the key that names it.
    fn pools(&self) -> Vec<(Vec<String>, String)> {
        let own = self.isolate.iter();
        let own = own.map(|pool| (vec!["isolate".to_owned()], pool.clone()));
        let targets = self.every_target().into_iter();
        let targets = targets.filter_map(|target| match target {
            Target::Pool(pool) => Some((vec!["target".to_owned()], pool)),
            _ => None,
        });
        let rungs = self.ladder.iter().enumerate();
        let rungs = rungs.filter_map(|(index, step)| {
            let keys = ["ladder", &index.to_string(), "isolate"].map(str::to_owned);
            Some((keys.into(), step.isolate.clone()?))
        });
        own.chain(targets).chain(rungs).collect()
    }

    /// The targets it can have, as far as the config lists them.
    fn targets(&self) -> Vec<Result<Target, NotATarget>> {
        let Some(word) = self.target.word() else {
            return vec![Ok(Target::Node)];
        };
        let names: Vec<&str> = match word {
            Word::Fixed(name) => vec![name],
            Word::Label(label) => self
                .matching
                .get(&label.from)
                .map(Matcher::listed)
                .unwrap_or_default(),
        };
        let kind = self.target.kind();
        names
            .into_iter()
            .map(|name| Target::new(kind, name))
            .collect()
    }

    /// Every target it can have.
    #[must_use]
    pub fn every_target(&self) -> Vec<Target> {
        self.targets().into_iter().filter_map(Result::ok).collect()
    }

    /// The probes of its own, each with the key below which it stands.
    pub fn own_probes(&self) -> impl Iterator<Item = (&'static str, &check::Probe)> {
        let confirm = self.confirm.iter();
        let confirm = confirm.filter_map(|c| Some(("confirm", c.probe.as_ref()?)));
        let verify = self.verify.all.iter();
        let verify = verify.filter_map(|probe| match probe {
            Probe::Probe(probe) => Some(("verify", &**probe)),
            _ => None,
        });
        confirm.chain(verify)
    }

    /// The programs that it looks with, each with the key below which it stands.
    fn tests(&self) -> impl Iterator<Item = (&'static str, &Test)> {
        let confirm = self.confirm.iter();
        let confirm = confirm.filter_map(|c| Some(("confirm", c.command.as_ref()?)));
        let verify = self.verify.all.iter().filter_map(|probe| match probe {
            Probe::Command(test) => Some(("verify", test)),
            _ => None,
        });
        confirm.chain(verify)
    }

    /// The words of the programs that it looks with.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.tests().flat_map(|(_, test)| &test.argv)
    }

    /// Every program that it may run, with the key below which it stands.
    pub fn programs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let rungs = self.ladder.iter().filter_map(|step| match &step.action {
            Some(Do::Command(command)) => Some(("ladder", command.program())),
            _ => None,
        });
        let tests = self.tests().map(|(key, test)| (key, test.program()));
        rungs.chain(tests)
    }

    /// What nodeward must be allowed for all that it may do.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        let targets = self.every_target();
        let each = self.ladder.iter().filter_map(|step| step.action.as_ref());
        each.flat_map(|action| targets.iter().flat_map(|target| action.permissions(target)))
            .collect()
    }

    /// Whether it takes an alert.
    #[must_use]
    pub fn takes(&self, alert: &Alert) -> bool {
        !self.matching.is_empty() && self.misses(&alert.labels).next().is_none()
    }

    /// The lines of its `match` that do not fit these labels.
    pub fn misses<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = Miss> + 'a {
        Miss::of(&self.matching, labels)
    }

    /// What it heals for an alert with these labels.
    ///
    /// # Errors
    /// Why the alert names no such thing.
    pub fn target_of(&self, labels: &Labels) -> Result<Target, String> {
        let Some(word) = self.target.word() else {
            return Ok(Target::Node);
        };
        let name = word.resolve(labels)?;
        Target::new(self.target.kind(), name).map_err(|e| e.to_string())
    }

    /// What must hold for it to be well.
    #[must_use]
    pub fn proof(&self) -> Vec<Probe> {
        match &self.target {
            Whom::Unit(_) if self.verify.all.is_empty() => vec![Probe::UnitStable(SETTLED)],
            Whom::Container(_) if self.verify.all.is_empty() => {
                vec![Probe::ContainerStable(SETTLED)]
            }
            _ => self.verify.all.clone(),
        }
    }

    /// What the incident machine sees of it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let rung = |step: &Step| Rung {
            timeout: step.timeout.get(),
            strength: step.strength(),
            approve: step.approve,
            last: step.on_fail == OnFail::Stop,
            isolates: step.isolate.clone(),
        };
        Plan {
            mode: self.mode,
            settle: self.settle.get(),
            limits: self.guards.limits(),
            isolate: self.isolate.clone(),
            rungs: self.ladder.iter().map(rung).collect(),
            verify: Proof {
                pass: self.verify.pass,
                every: self.verify.every.get(),
                deadline: self.verify.deadline.get(),
                resolved: self.verify.resolved,
            },
            probation: self.probation.get(),
            remind: self.remind.as_ref().map(Remind::plan),
        }
    }

    /// Those of these checks that it names.
    #[must_use]
    pub fn own_checks(&self, checks: &check::Options) -> check::Options {
        let confirm = self.confirm.iter().filter_map(|c| c.check.as_ref());
        let verify = self.verify.all.iter().filter_map(|probe| match probe {
            Probe::Check(name) => Some(name),
            _ => None,
        });
        let named = confirm.chain(verify);
        named
            .filter_map(|name| Some((name.clone(), checks.get(name)?.clone())))
            .collect()
    }

    /// The JSON text of it and of the checks that it names, and the hash of that: which revision of it this is.
    #[must_use]
    pub fn revision(&self, checks: &check::Options) -> (String, String) {
        let mut whole = serde_json::to_value(self).unwrap_or_default();
        if let (false, Some(whole)) = (checks.is_empty(), whole.as_object_mut()) {
            whole.insert(CHECKS.into(), json!(checks));
        }
        let text = whole.to_string();
        (Hash::of(&text).to_string(), text)
    }

    /// A revision, read back; none if it is none.
    #[must_use]
    pub fn of_revision(text: &str) -> Option<(Self, check::Options)> {
        let mut whole: Value = serde_json::from_str(text).ok()?;
        let checks = whole.as_object_mut()?.remove(CHECKS);
        let checks = checks.map(serde_json::from_value).transpose().ok()?;
        Some((
            serde_json::from_value(whole).ok()?,
            checks.unwrap_or_default(),
        ))
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    match crate::model::nearest::nearest(name, known.iter().copied()) {
        Some(meant) => format!("no {what} is called {name:?}; did you mean {meant:?}?"),
        None if known.is_empty() => format!("no {what} is called {name:?}: there are none"),
        None => format!(
            "no {what} is called {name:?}; there are {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests;
