//! Reasons not to act now. All of them are evaluated each time and recorded with their values; pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::incident::{Approval, Incident};
use super::plan::{Count, Limits, Mode, Plan, doubled};
use crate::model::alert::Status;
use crate::model::duration::Period;
use crate::model::id::IncidentId;
use crate::model::moment::Moment;

/// What one guard said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its name.
    pub guard: String,
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
    /// The probes of `confirm`: name, whether this node sees the problem too, and what it saw.
    pub confirm: Vec<(String, bool, String)>,
    /// Another program that is already at it, in words.
    pub busy: Option<String>,
    /// What stands before the action, for those that have a witness; or why that cannot be known.
    pub witness: Result<Option<Value>, Unseen>,
    /// Exactly what would be done, and its hash; or why nothing can be.
    pub action: Result<Rendered, Unseen>,
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
}

/// How often a guard without a better idea is asked again.
const AGAIN: Duration = Duration::from_secs(15);

fn pass(guard: &str, value: impl Into<String>) -> Verdict {
    Verdict {
        guard: guard.to_owned(),
        passes: true,
        value: value.into(),
        again: None,
    }
}

fn refuse(guard: &str, value: impl Into<String>, again: Duration) -> Verdict {
    Verdict {
        guard: guard.to_owned(),
        passes: false,
        value: value.into(),
        again: Some(u64::try_from(again.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// The guard that holds back everything while too much comes up at once.
pub const STORM: &str = "storm";

/// Every guard, in the order in which they are reported.
pub const NAMES: [&str; 17] = [
    "kill_switch",
    "maintenance",
    "episode",
    "freshness",
    "confirm",
    "busy",
    "cooldown",
    "backoff",
    "budget",
    "playbook_budget",
    "flap",
    "rate",
    "lock",
    STORM,
    "action",
    "witness",
    "approval",
];

/// Asks every guard, in the order of [`NAMES`].
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
        maintenance(standing),
        episode(incident),
        freshness(limits, standing),
        confirm(look),
        busy(look),
        cooldown(limits, standing),
        backoff(incident, limits, now),
        counted(
            "budget",
            "attempts on this target",
            limits.budget,
            &standing.target_attempts,
        ),
        counted(
            "playbook_budget",
            "attempts by this playbook",
            limits.budget,
            &standing.playbook_attempts,
        ),
        flap(limits, standing),
        counted(
            "rate",
            "attempts on this node",
            limits.rate,
            &standing.node_attempts,
        ),
        lock(standing, incident),
        counted(
            STORM,
            "incidents on this node",
            storm_line(limits),
            &standing.node_incidents,
        ),
        action(look),
        witness(look),
        approval(incident, plan, look),
    ]
}

fn kill_switch(standing: &Standing) -> Verdict {
    match &standing.paused {
        Some(by) => refuse("kill_switch", format!("healing is paused: {by}"), AGAIN),
        None => pass("kill_switch", "off"),
    }
}

fn maintenance(standing: &Standing) -> Verdict {
    match &standing.maintenance {
        Some(why) => refuse("maintenance", format!("on: {why}"), AGAIN),
        None => pass("maintenance", "off"),
    }
}

fn episode(incident: &Incident) -> Verdict {
    let firing = incident.episodes.values().filter(|s| **s == Status::Firing);
    match firing.count() {
        0 => refuse("episode", "none of its alerts fires any more", AGAIN),
        n => pass("episode", format!("{n} of its alerts fire")),
    }
}

fn freshness(limits: &Limits, standing: &Standing) -> Verdict {
    let line = limits.max_age;
    match standing.age {
        _ if line.is_zero() => pass("freshness", "off"),
        Some(age) if age > line => refuse(
            "freshness",
            format!(
                "it fires for {}, at most {} is acted upon",
                words(age),
                words(line)
            ),
            AGAIN,
        ),
        Some(age) => pass("freshness", format!("it fires for {}", words(age))),
        None => pass("freshness", "the source does not say since when"),
    }
}

fn confirm(look: &Look) -> Verdict {
    let said = |(name, seen, why): &(String, bool, String)| {
        let seen = if *seen {
            "sees it too"
        } else {
            "does not see it"
        };
        format!("{name} {seen} ({why})")
    };
    let words = look.confirm.iter().map(said).collect::<Vec<_>>().join("; ");
    match look.confirm.iter().all(|(_, seen, _)| *seen) {
        _ if look.confirm.is_empty() => pass("confirm", "nothing to confirm it with"),
        true => pass("confirm", words),
        false => refuse("confirm", words, Duration::from_secs(5)),
    }
}

fn busy(look: &Look) -> Verdict {
    match &look.busy {
        Some(who) => refuse("busy", who.clone(), Duration::from_secs(2)),
        None => pass("busy", "nobody else is at it"),
    }
}

fn cooldown(limits: &Limits, standing: &Standing) -> Verdict {
    let line = limits.cooldown;
    match standing.target_attempts.iter().min() {
        _ if line.is_zero() => pass("cooldown", "off"),
        Some(ago) if *ago < line => {
            let left = line.saturating_sub(*ago);
            refuse(
                "cooldown",
                format!("{} left of {}", words(left), words(line)),
                left,
            )
        }
        Some(ago) => pass(
            "cooldown",
            format!("last attempt on this target {} ago", words(*ago)),
        ),
        None => pass("cooldown", "no attempt on this target yet"),
    }
}

/// Waits longer with each attempt of the incident; a fifth up or down by its id, so that a fleet does not act in step.
fn backoff(incident: &Incident, limits: &Limits, now: &Moment) -> Verdict {
    let (Some(acted), Ok(tries)) = (&incident.acted, u32::try_from(incident.attempts.len())) else {
        return pass("backoff", "first attempt");
    };
    let base = doubled(limits.cooldown, tries.saturating_sub(1));
    let wait = base.mul_f64(jitter(incident.id.as_str()));
    let left = wait.saturating_sub(now.since(acted));
    if left.is_zero() {
        pass(
            "backoff",
            format!("{} waited after {tries} attempts", words(wait)),
        )
    } else {
        refuse(
            "backoff",
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
fn counted(guard: &str, what: &str, line: Option<Count>, ago: &[Duration]) -> Verdict {
    let Some(line) = line else {
        return pass(guard, "off");
    };
    let mut within: Vec<Duration> = ago.iter().copied().filter(|a| *a < line.within).collect();
    within.sort_unstable();
    let most = usize::try_from(line.most).unwrap_or(usize::MAX);
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
fn storm_line(limits: &Limits) -> Option<Count> {
    limits.storm.map(|line| Count {
        most: line.most.saturating_add(1),
        ..line
    })
}

fn flap(limits: &Limits, standing: &Standing) -> Verdict {
    counted(
        "flap",
        "heals of this target",
        limits.flap,
        &standing.target_heals,
    )
}

fn lock(standing: &Standing, incident: &Incident) -> Verdict {
    match &standing.holder {
        // An action goes on beyond what is waited for, or its incident was cancelled and opened anew.
        Some(holder) if *holder == incident.id => refuse(
            "lock",
            "its last attempt is not over yet",
            Duration::from_secs(2),
        ),
        Some(holder) => refuse(
            "lock",
            format!("incident {holder} is at work on {}", incident.target),
            Duration::from_secs(2),
        ),
        None => pass("lock", "free"),
    }
}

fn action(look: &Look) -> Verdict {
    match &look.action {
        Ok(_) => pass("action", "its values are in place"),
        Err(Unseen(why)) => refuse("action", why.clone(), AGAIN),
    }
}

fn witness(look: &Look) -> Verdict {
    match &look.witness {
        Ok(_) => pass("witness", "seen"),
        Err(Unseen(why)) => refuse("witness", why.clone(), AGAIN),
    }
}

fn approval(incident: &Incident, plan: &Plan, look: &Look) -> Verdict {
    let rung = plan.rungs.get(incident.rung);
    let wanted = plan.mode == Mode::Approve || rung.is_some_and(|rung| rung.approve);
    // Observe mode asks nobody: it says what would be done if somebody said yes.
    if !wanted || plan.mode == Mode::Observe {
        return pass("approval", "not wanted");
    }
    let hash = look
        .action
        .as_ref()
        .map(|r| r.hash.as_str())
        .unwrap_or_default();
    match &incident.approval {
        Some(Approval { action, by }) if action == hash => {
            pass("approval", format!("given by {by}"))
        }
        Some(Approval { by, .. }) => refuse(
            "approval",
            format!("{by} approved another action than would be done now"),
            AGAIN,
        ),
        None => refuse("approval", "nobody has approved it yet", AGAIN),
    }
}

/// A length of time for people: whole seconds, or milliseconds below one.
fn words(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        Period::millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).to_string()
    } else {
        Period::secs(span.as_secs()).to_string()
    }
}
