//! The series of a summary, whatever the dialect: labels and value.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialect::Distribution;
use crate::heal::guards::Guard;
use crate::heal::incident::{Cause, State};
use crate::heal::runner::{NodeState, STAGE_BOUNDS, Summary};
use crate::model::hold::Owner;
use crate::model::severity::Severity;

/// Incidents that people were told of, beside the states in which one can end.
pub(super) const ESCALATED: &str = "escalated";

/// What can become of an incident.
pub(super) fn outcomes() -> impl Iterator<Item = &'static str> + Clone {
    State::OVER.into_iter().chain([ESCALATED])
}

/// The configured playbooks, and those that were while nodeward ran and did something.
pub(super) fn playbooks(summary: &Summary) -> BTreeSet<&str> {
    let tally = &summary.tally;
    let counted = tally.attempts.keys().chain(tally.relapses.keys());
    let staged = tally.stages.keys().map(|(name, _)| name);
    let ended = tally.ended.keys().chain(tally.escalated.keys());
    let counted = counted.chain(staged).chain(ended.map(|(name, _)| name));
    let all = summary.playbooks.keys().chain(counted);
    all.map(String::as_str).collect()
}

pub(super) fn node(summary: &Summary) -> impl Iterator<Item = ([&str; 1], bool)> {
    let states = NodeState::ALL.into_iter();
    states.map(|state| ([state.as_str()], state == summary.node))
}

pub(super) fn incidents(summary: &Summary) -> impl Iterator<Item = ([&str; 1], u64)> {
    summary.states.iter().map(|(state, many)| ([*state], *many))
}

pub(super) fn open(summary: &Summary) -> impl Iterator<Item = ([&str; 4], u64)> {
    let open = summary.open.iter();
    open.map(|o| ([o.id.as_str(), &o.playbook, &o.target, o.state], 1))
}

pub(super) fn attempts(summary: &Summary) -> impl Iterator<Item = ([&str; 1], u64)> {
    by_playbook(summary, &summary.tally.attempts)
}

pub(super) fn relapses(summary: &Summary) -> impl Iterator<Item = ([&str; 1], u64)> {
    by_playbook(summary, &summary.tally.relapses)
}

fn by_playbook<'a>(
    summary: &'a Summary,
    counts: &'a BTreeMap<String, u64>,
) -> impl Iterator<Item = ([&'a str; 1], u64)> {
    let names = playbooks(summary).into_iter();
    names.map(|name| ([name], counts.get(name).copied().unwrap_or_default()))
}

pub(super) fn heals(summary: &Summary) -> impl Iterator<Item = ([&str; 2], u64)> {
    let names = playbooks(summary).into_iter();
    names.flat_map(move |name| {
        outcomes().map(move |outcome| ([name, outcome], became(summary, name, outcome)))
    })
}

/// How many incidents of a playbook became what `outcome` says.
pub(super) fn became(summary: &Summary, playbook: &str, outcome: &str) -> u64 {
    let tally = &summary.tally;
    if outcome == ESCALATED {
        let of = tally.escalated.iter().filter(|((p, _), _)| p == playbook);
        return of.map(|(_, many)| many).sum();
    }
    let mut of = tally.ended.iter();
    of.find(|((p, state), _)| p == playbook && *state == outcome)
        .map_or(0, |(_, many)| *many)
}

pub(super) fn escalations(summary: &Summary) -> impl Iterator<Item = ([&str; 2], u64)> {
    let names = playbooks(summary).into_iter();
    names.flat_map(move |name| {
        Cause::WORDS.into_iter().map(move |cause| {
            let many = summary.tally.escalated.get(&(name.to_owned(), cause));
            ([name, cause], many.copied().unwrap_or_default())
        })
    })
}

/// Those of all guards once there is a playbook that they could hold back.
pub(super) fn refusals(summary: &Summary) -> impl Iterator<Item = ([&str; 1], u64)> {
    let counts = &summary.tally.refusals;
    let silent = summary.playbooks.is_empty() && counts.is_empty();
    let guards = Guard::ALL.into_iter().filter(move |_| !silent);
    guards.map(|guard| {
        let many = counts.get(guard.as_str()).copied();
        ([guard.as_str()], many.unwrap_or_default())
    })
}

type Stages = Distribution<{ STAGE_BOUNDS.len() }>;

pub(super) fn stages(summary: &Summary) -> impl Iterator<Item = ([&str; 2], &Stages)> {
    let stages = summary.tally.stages.iter();
    stages.map(|((name, stage), spread)| ([name.as_str(), *stage], spread))
}

/// Critical ones and warnings always, milder ones while there are any.
pub(super) fn firing(summary: &Summary) -> BTreeMap<[&str; 1], u64> {
    let always = [Severity::Critical, Severity::Warning];
    let none = always.map(|severity| ([severity.as_str()], 0));
    let some = summary.firing.iter();
    let some = some.map(|(severity, many)| ([*severity], *many));
    none.into_iter().chain(some).collect()
}

/// Whose holds there are on each pool.
pub(super) fn holds(summary: &Summary) -> impl Iterator<Item = ([&str; 2], u64)> {
    summary.pools.iter().flat_map(|(name, pool)| {
        Owner::KINDS.into_iter().map(|kind| {
            let of = pool.holds.iter().filter(|hold| hold.owner.kind() == kind);
            (
                [name.as_str(), kind],
                u64::try_from(of.count()).unwrap_or(u64::MAX),
            )
        })
    })
}
