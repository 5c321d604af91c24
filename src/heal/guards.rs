//! Reasons not to act now. All of them are evaluated each time and recorded with their values; pure.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evidence::Packet;
use super::incident::{Approval, Incident};
use super::plan::{Count, Limits, Mode, Plan, doubled};
use crate::gate::View;
use crate::model::alert::Status;
use crate::model::duration::Period;
use crate::model::id::IncidentId;
use crate::model::moment::Moment;
use crate::model::sight::Sight;

/// A reason not to act. What is said of it elsewhere is its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// `nodeward pause` is in force.
    KillSwitch,
    /// The playbook is off, or is no more.
    Mode,
    /// Somebody works on this node.
    Maintenance,
    /// None of its alerts fires any more.
    Episode,
    /// The alert is too old.
    Freshness,
    /// This node does not see the trouble, or cannot tell.
    Confirm,
    /// Another program is at it.
    Busy,
    /// The last attempt on the target is too young.
    Cooldown,
    /// The last attempt of the incident is too young.
    Backoff,
    /// Attempts on the target.
    Budget,
    /// Attempts by the playbook.
    PlaybookBudget,
    /// Heals of the target.
    Flap,
    /// Attempts on the node.
    Rate,
    /// Another incident is at work on the target.
    Lock,
    /// Incidents on the node.
    Storm,
    /// A value of the action is missing or not allowed, or its program would not be run.
    Action,
    /// What will prove the action cannot be read.
    Witness,
    /// A person has not said yes to this very action.
    Approval,
    /// Too few others of the pool would be left.
    MinHealthy,
}

impl Guard {
    /// Every guard, in the order in which they are asked and reported.
    pub const ALL: [Self; 19] = [
        Self::KillSwitch,
        Self::Mode,
        Self::Maintenance,
        Self::Episode,
        Self::Freshness,
        Self::Confirm,
        Self::Busy,
        Self::Cooldown,
        Self::Backoff,
        Self::Budget,
        Self::PlaybookBudget,
        Self::Flap,
        Self::Rate,
        Self::Lock,
        Self::Storm,
        Self::Action,
        Self::Witness,
        Self::Approval,
        Self::MinHealthy,
    ];

    /// Its word in records, metrics and commands.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KillSwitch => "kill_switch",
            Self::Mode => "mode",
            Self::Maintenance => "maintenance",
            Self::Episode => "episode",
            Self::Freshness => "freshness",
            Self::Confirm => "confirm",
            Self::Busy => "busy",
            Self::Cooldown => "cooldown",
            Self::Backoff => "backoff",
            Self::Budget => "budget",
            Self::PlaybookBudget => "playbook_budget",
            Self::Flap => "flap",
            Self::Rate => "rate",
            Self::Lock => "lock",
            Self::Storm => "storm",
            Self::Action => "action",
            Self::Witness => "witness",
            Self::Approval => "approval",
            Self::MinHealthy => "min_healthy",
        }
    }
}

impl std::fmt::Display for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one guard said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    /// Which one.
    #[schemars(with = "String")]
    pub guard: Guard,
    /// Whether it lets the action pass.
    pub passes: bool,
    /// What it looked at, in plain words.
    pub value: String,
    /// In how many milliseconds it may think otherwise, if it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<u64>,
}

/// What the world said when it was looked at for an action: probes, peers, the witness. Gathered outside the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// The probes of `confirm`: name, how it is from here, and what was seen.
    pub confirm: Vec<(String, Sight, String)>,
    /// Another program that is already at it, in words.
    pub busy: Option<String>,
    /// What stands before the action, for those that have a witness; or why that cannot be known.
    pub witness: Result<Option<Value>, Unseen>,
    /// Exactly what would be done, and its hash; or why nothing can be.
    pub action: Result<Rendered, Unseen>,
    /// The pool that is to be left first, if one is; or why it cannot be.
    pub pool: Option<Result<Leaving, Unseen>>,
    /// How things were, where that was to be gathered.
    pub evidence: Option<Box<Packet>>,
}

/// A pool that is to be left, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaving {
    /// So many others must get traffic; none: it does not mind.
    pub min_healthy: Option<u32>,
    /// Who gets traffic, or why nobody knows.
    pub view: Result<View, Unseen>,
    /// How long leaving may take.
    pub within: Duration,
    /// Gates at which somebody else has the node out already.
    pub foreign: BTreeSet<String>,
}

/// Why something could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unseen(pub String);

/// An action with all its values in place.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// What will be done.
    pub action: Value,
    /// SHA-256 of it, in hex.
    pub hash: String,
}

/// How things stand on this node: what all incidents together make. Known without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The kill switch is on: by whom.
    pub paused: Option<String>,
    /// Maintenance is on: by whom and why.
    pub maintenance: Option<String>,
    /// The incident whose attempt on this target is under way.
    pub holder: Option<IncidentId>,
    /// How long ago attempts on this target began, whatever the playbook.
    pub target_attempts: Vec<Duration>,
    /// How long ago attempts by this playbook began, whatever the target.
    pub playbook_attempts: Vec<Duration>,
    /// How long ago this target was healed.
    pub target_heals: Vec<Duration>,
    /// How long ago attempts of any playbook began.
    pub node_attempts: Vec<Duration>,
    /// How long ago incidents were opened.
    pub node_incidents: Vec<Duration>,
    /// How old the oldest episode that still fires is, by the alert server's own time.
    pub age: Option<Duration>,
    /// How old the episode is that is just told of, by the same.
    pub told: Option<Duration>,
    /// Whether evidence is gathered.
    pub gathers: bool,
}

/// How often a guard without a better idea is asked again.
const AGAIN: Duration = Duration::from_secs(15);
/// What two clocks of one attempt may differ by, before and after a restart.
const SAME: Duration = Duration::from_secs(1);

fn pass(guard: Guard, value: impl Into<String>) -> Verdict {
    Verdict {
        guard,
        passes: true,
        value: value.into(),
        again: None,
    }
}

fn refuse(guard: Guard, value: impl Into<String>, again: Duration) -> Verdict {
    Verdict {
        guard,
        passes: false,
        value: value.into(),
        again: Some(u64::try_from(again.as_millis()).unwrap_or(u64::MAX)),
    }
}

impl Guard {
    /// Whether it bounds attempts alone: to leave a pool is none.
    #[must_use]
    pub const fn bounds_attempts(self) -> bool {
        matches!(
            self,
            Self::Cooldown
                | Self::Backoff
                | Self::Budget
                | Self::PlaybookBudget
                | Self::Flap
                | Self::Rate
        )
    }
}

/// Asks every guard, in the order of [`Guard::ALL`].
#[must_use]
pub fn evaluate(
    incident: &Incident,
    plan: &Plan,
    standing: &Standing,
    look: &Look,
    now: &Moment,
) -> Vec<Verdict> {
    let limits = &plan.limits;
    vec![
        kill_switch(standing),
        mode(plan),
        maintenance(standing),
        episode(incident),
        freshness(limits, standing),
        confirm(look),
        busy(look),
        cooldown(incident, limits, standing, now),
        backoff(incident, limits, now),
        counted(
            Guard::Budget,
            "attempts on this target",
            limits.budget,
            &standing.target_attempts,
        ),
        counted(
            Guard::PlaybookBudget,
            "attempts by this playbook",
            limits.budget,
            &standing.playbook_attempts,
        ),
        flap(limits, standing),
        counted(
            Guard::Rate,
            "attempts on this node",
            limits.rate,
            &standing.node_attempts,
        ),
        lock(standing, incident),
        storm(limits, standing),
        action(look),
        witness(look),
        approval(incident, plan, look),
        min_healthy(incident, plan, look),
    ]
}

fn kill_switch(standing: &Standing) -> Verdict {
    match &standing.paused {
        Some(by) => refuse(Guard::KillSwitch, format!("healing is paused: {by}"), AGAIN),
        None => pass(Guard::KillSwitch, "off"),
    }
}

fn mode(plan: &Plan) -> Verdict {
    match plan.mode {
        Mode::Off => refuse(Guard::Mode, "the playbook is off, or is no more", AGAIN),
        mode => pass(Guard::Mode, mode.as_str()),
    }
}

fn maintenance(standing: &Standing) -> Verdict {
    match &standing.maintenance {
        Some(why) => refuse(Guard::Maintenance, format!("on: {why}"), AGAIN),
        None => pass(Guard::Maintenance, "off"),
    }
}

fn episode(incident: &Incident) -> Verdict {
    let firing = incident.episodes.values().filter(|s| **s == Status::Firing);
    match firing.count() {
        0 => refuse(Guard::Episode, "none of its alerts fires any more", AGAIN),
        n => pass(Guard::Episode, format!("{n} of its alerts fire")),
    }
}

fn freshness(limits: &Limits, standing: &Standing) -> Verdict {
    let line = limits.max_age;
    match standing.age {
        _ if line.is_zero() => pass(Guard::Freshness, "off"),
        Some(age) if age > line => refuse(
            Guard::Freshness,
            format!(
                "it fires for {}, at most {} is acted upon",
                words(age),
                words(line)
            ),
            AGAIN,
        ),
        Some(age) => pass(Guard::Freshness, format!("it fires for {}", words(age))),
        None => pass(Guard::Freshness, "the source does not say since when"),
    }
}

fn confirm(look: &Look) -> Verdict {
    let said = |(name, sight, why): &(String, Sight, String)| {
        let seen = match sight {
            Sight::Ill => "sees it too",
            Sight::Well => "does not see it",
            Sight::Blind => "cannot tell",
        };
        format!("{name} {seen} ({why})")
    };
    let words = look.confirm.iter().map(said).collect::<Vec<_>>().join("; ");
    match look
        .confirm
        .iter()
        .all(|(_, sight, _)| *sight == Sight::Ill)
    {
        _ if look.confirm.is_empty() => pass(Guard::Confirm, "nothing to confirm it with"),
        true => pass(Guard::Confirm, words),
        false => refuse(Guard::Confirm, words, Duration::from_secs(5)),
    }
}

fn busy(look: &Look) -> Verdict {
    match &look.busy {
        Some(who) => refuse(Guard::Busy, who.clone(), Duration::from_secs(2)),
        None => pass(Guard::Busy, "nobody else is at it"),
    }
}

fn cooldown(incident: &Incident, limits: &Limits, standing: &Standing, now: &Moment) -> Verdict {
    let line = limits.cooldown;
    // An attempt that was not carried out has done nothing to the target.
    let undone = incident.again.as_ref().and(incident.attempts.last());
    let undone = undone.map(|at| now.since(at));
    let done = |ago: &&Duration| undone.is_none_or(|undone| ago.abs_diff(undone) > SAME);
    match standing.target_attempts.iter().filter(done).min() {
        _ if line.is_zero() => pass(Guard::Cooldown, "off"),
        Some(ago) if *ago < line => {
            let left = line.saturating_sub(*ago);
            refuse(
                Guard::Cooldown,
                format!("{} left of {}", words(left), words(line)),
                left,
            )
        }
        Some(ago) => pass(
            Guard::Cooldown,
            format!("last attempt on this target {} ago", words(*ago)),
        ),
        None => pass(Guard::Cooldown, "no attempt on this target yet"),
    }
}

/// Waits longer with each attempt of the incident; a fifth up or down by its id, so that a fleet does not act in step.
fn backoff(incident: &Incident, limits: &Limits, now: &Moment) -> Verdict {
    let (Some(acted), Ok(tries)) = (&incident.acted, u32::try_from(incident.attempts.len())) else {
        return pass(Guard::Backoff, "first attempt");
    };
    let base = doubled(limits.cooldown, tries.saturating_sub(1));
    let wait = base.mul_f64(jitter(incident.id.as_str()));
    let left = wait.saturating_sub(now.since(acted));
    if left.is_zero() {
        pass(
            Guard::Backoff,
            format!(
                "{} waited after {}",
                words(wait),
                crate::model::counted::counted(tries, "attempt")
            ),
        )
    } else {
        refuse(
            Guard::Backoff,
            format!("{} left of {}", words(left), words(wait)),
            left,
        )
    }
}

/// From 0.8 to 1.2, the same for the same text (FNV-1a).
fn jitter(text: &str) -> f64 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    0.8 + 0.4 * f64::from(hash) / f64::from(u32::MAX)
}

/// Refuses at `most` within the time; tells when the oldest of those falls out of it.
fn counted(guard: Guard, what: &str, line: Option<Count>, ago: &[Duration]) -> Verdict {
    counted_beyond(guard, what, line, 0, ago)
}

/// The same, but so many more pass.
fn counted_beyond(
    guard: Guard,
    what: &str,
    line: Option<Count>,
    more: usize,
    ago: &[Duration],
) -> Verdict {
    let Some(line) = line else {
        return pass(guard, "off");
    };
    let mut within: Vec<Duration> = ago.iter().copied().filter(|a| *a < line.within).collect();
    within.sort_unstable();
    let most = usize::try_from(line.most).unwrap_or(usize::MAX);
    let most = most.saturating_add(more);
    let value = format!(
        "{} {what} of {} in {}",
        within.len(),
        line.most,
        words(line.within)
    );
    if within.len() < most {
        return pass(guard, value);
    }
    // The line is free again once fewer than `most` are left: when the one at that place is too old.
    let falls = within
        .get(most.saturating_sub(1))
        .copied()
        .unwrap_or_default();
    refuse(guard, value, line.within.saturating_sub(falls))
}

/// A storm is more incidents than its line, not as many.
fn storm(limits: &Limits, standing: &Standing) -> Verdict {
    counted_beyond(
        Guard::Storm,
        "incidents on this node",
        limits.storm,
        1,
        &standing.node_incidents,
    )
}

fn flap(limits: &Limits, standing: &Standing) -> Verdict {
    counted(
        Guard::Flap,
        "heals of this target",
        limits.flap,
        &standing.target_heals,
    )
}

fn lock(standing: &Standing, incident: &Incident) -> Verdict {
    match &standing.holder {
        // An action goes on beyond what is waited for, or its incident was cancelled and opened anew.
        Some(holder) if *holder == incident.id => refuse(
            Guard::Lock,
            "its last attempt is not over yet",
            Duration::from_secs(2),
        ),
        Some(holder) => refuse(
            Guard::Lock,
            format!("incident {holder} is at work on {}", incident.target),
            Duration::from_secs(2),
        ),
        None => pass(Guard::Lock, "free"),
    }
}

fn action(look: &Look) -> Verdict {
    match &look.action {
        Ok(_) => pass(Guard::Action, "its values are in place"),
        Err(Unseen(why)) => refuse(Guard::Action, why.clone(), AGAIN),
    }
}

fn witness(look: &Look) -> Verdict {
    match &look.witness {
        Ok(Some(_)) => pass(Guard::Witness, "seen"),
        Ok(None) => pass(Guard::Witness, "such an action has none"),
        Err(Unseen(why)) => refuse(Guard::Witness, why.clone(), AGAIN),
    }
}

fn approval(incident: &Incident, plan: &Plan, look: &Look) -> Verdict {
    let rung = plan.rungs.get(incident.rung);
    let wanted = plan.mode == Mode::Approve || rung.is_some_and(|rung| rung.approve);
    // Observe mode asks nobody: it says what would be done if somebody said yes.
    if !wanted || plan.mode == Mode::Observe {
        return pass(Guard::Approval, "not wanted");
    }
    // A rung that asks is asked for once the node is out: meanwhile nobody is served badly.
    let before = plan.leaves(incident).is_some_and(|leave| !leave.rung);
    if before && plan.mode != Mode::Approve {
        return pass(Guard::Approval, "not wanted to leave a pool");
    }
    let hash = look
        .action
        .as_ref()
        .map(|r| r.hash.as_str())
        .unwrap_or_default();
    match &incident.approval {
        Some(Approval { action, by }) if action == hash => {
            pass(Guard::Approval, format!("given by {by}"))
        }
        Some(Approval { by, .. }) => refuse(
            Guard::Approval,
            format!("{by} approved another action than would be done now"),
            AGAIN,
        ),
        None => refuse(Guard::Approval, "nobody has approved it yet", AGAIN),
    }
}

/// What is not known counts as too few.
fn min_healthy(incident: &Incident, plan: &Plan, look: &Look) -> Verdict {
    let held = |pool: &str| format!("{pool}: this incident has the node out already");
    let Some(leave) = plan.leaves(incident) else {
        let held = incident.held().next().map(held);
        let value = held.unwrap_or_else(|| "no pool is left for it".to_owned());
        return pass(Guard::MinHealthy, value);
    };
    let pool = leave.pool;
    if incident.held().any(|held| held == pool) {
        return pass(Guard::MinHealthy, held(pool));
    }
    let refuse = |why: String| refuse(Guard::MinHealthy, why, Duration::from_secs(5));
    let leaving = match &look.pool {
        Some(Ok(leaving)) => leaving,
        Some(Err(Unseen(why))) => return refuse(format!("{pool}: {why}")),
        None => return refuse(format!("{pool}: nobody looked")),
    };
    match (leaving.min_healthy, &leaving.view) {
        (None, Err(_)) => pass(Guard::MinHealthy, format!("{pool}: it sets none")),
        (None, Ok(view)) => pass(
            Guard::MinHealthy,
            format!("{pool}: {}; it sets none", healthy(view)),
        ),
        (Some(need), Err(Unseen(why))) => refuse(format!(
            "{pool}: how many are healthy is not known, need {need} after leaving: refused ({why})"
        )),
        (Some(need), Ok(view)) => {
            let words = format!("{pool}: {}, need {need} after leaving", healthy(view));
            // A pool without a server is one that is not seen.
            if view.servers > 0 && view.healthy_others >= need {
                pass(Guard::MinHealthy, words)
            } else {
                refuse(format!("{words}: refused"))
            }
        }
    }
}

fn healthy(view: &View) -> String {
    let healthy = view.healthy_others + u32::from(view.takes_traffic);
    let out = if view.takes_traffic {
        ""
    } else {
        ", this one not"
    };
    format!("healthy {healthy} of {}{out}", view.servers)
}

/// A length of time for people: whole seconds, or milliseconds below one.
fn words(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        Period::millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).to_string()
    } else {
        Period::secs(span.as_secs()).to_string()
    }
}
