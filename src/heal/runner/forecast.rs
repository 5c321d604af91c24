//! What would become of alerts if they came in now: the book, told as it is told live, and nothing of it kept.
//!
//! The world is looked at as live would look at it. What the book wants on record, told to people or done is shown or dropped.

use serde::Serialize;
use serde_json::Value;

use super::Rules;
use super::book::{Book, Held, Names};
use crate::heal::guards::{Guard, Look, Verdict};
use crate::heal::hands::Hands;
use crate::heal::incident::{Incident, State};
use crate::heal::intake::Delivery;
use crate::heal::job::Job;
use crate::heal::machine::{Effect, Event};
use crate::heal::plan::Mode;
use crate::heal::playbook::{Miss, Verify};
use crate::journal::{Kind, Restored};
use crate::model::alert::{Alert, Episode, Status};
use crate::model::duration::Period;
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::severity::Severity;
use crate::model::target::Target;

/// What would become of the alerts of one body.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Each alert, in the order of the body.
    pub alerts: Vec<Considered>,
    /// The incidents they belong to.
    pub incidents: Vec<Foreseen>,
}

/// What is made of one alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Considered {
    /// Its `alertname`.
    pub name: String,
    /// Firing or resolved.
    pub status: Status,
    /// How bad it is.
    pub severity: Severity,
    /// Which stretch of it.
    pub episode: Episode,
    /// Whether it is of this machine.
    pub ours: bool,
    /// When it was told like this before, so that it is no news; RFC 3339.
    pub known: Option<String>,
    /// The incidents it belongs to.
    pub incidents: Vec<IncidentId>,
    /// What each playbook makes of it, by name.
    pub playbooks: Vec<Weighed>,
}

/// What one playbook makes of an alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Weighed {
    /// Its name.
    pub playbook: String,
    /// How far it may go.
    pub mode: Mode,
    /// Whether it takes it.
    pub taking: Taking,
}

/// Whether a playbook takes an alert, and why not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Taking {
    /// It does, to heal this.
    Takes(Target),
    /// The alert fits, but names nothing that could be healed; why.
    NoTarget(String),
    /// The hook may not start it.
    NotByHook,
    /// These lines of `match` do not fit.
    Misses(Vec<Miss>),
}

/// What would become of an incident.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Foreseen {
    /// Its name; a new one has none yet and is called `new-` and a number.
    pub incident: IncidentId,
    /// The state it is in already; none if it would be opened.
    pub before: Option<&'static str>,
    /// Its playbook.
    pub playbook: String,
    /// How far that may go.
    pub mode: Mode,
    /// What is healed.
    pub target: Target,
    /// How long it may heal by itself before the guards are asked (`for`).
    pub settles: Period,
    /// What each guard says; empty if none would be asked.
    pub guards: Vec<Verdict>,
    /// The pool that this node leaves before the ladder, if it has not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolate: Option<String>,
    /// The rung that is next, from 0.
    pub rung: usize,
    /// The whole ladder, each rung as it would be done.
    pub ladder: Vec<Remedy>,
    /// What would prove that it helped.
    pub verify: Verify,
    /// How long it must stay well then.
    pub probation: Period,
    /// The notifiers that would be told what could not be healed.
    pub escalate: Vec<String>,
    /// The state it would come to.
    pub state: &'static str,
    /// What would happen.
    pub would: Would,
}

/// One rung of the ladder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Remedy {
    /// Exactly what would be done; none if that cannot be said.
    pub action: Option<Value>,
    /// Why it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How long it may take.
    pub timeout: Period,
    /// Whether a person must approve it.
    pub approve: bool,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Would {
    /// The action would be done at once.
    Act,
    /// This node would leave the pool at once, and then go on.
    Leave(String),
    /// It would be put on record that the action would be done.
    Record,
    /// A person would be asked, who has so long.
    Ask(Period),
    /// It would wait for the guards that refuse, so long at most, and then people would be told.
    Wait(Period),
    /// People would be told; the cause.
    Tell(&'static str),
    /// Nothing; why.
    Nothing(String),
    /// It goes on as it does already.
    GoOn,
}

/// Tells a book what came to `hook`, and says what would follow. `restored` is what the journal holds; without it nothing happened before. `local`:
/// the alerts are of this machine whatever their labels say.
pub async fn forecast(
    rules: Rules,
    restored: Option<Restored>,
    hands: &dyn Hands,
    hook: &str,
    delivery: Delivery,
    local: bool,
) -> Forecast {
    let now = hands.now();
    let mut book = match restored {
        Some(restored) => Book::restore(rules, restored),
        None => Book::new(rules),
    };
    book.names = Names::Counted("new-", 0);
    // What is under way is in the hands of the process that has the journal, if one runs.
    for id in book.resuming() {
        book.held
            .change(&id)
            .into_iter()
            .for_each(|held| held.resuming = false);
    }
    // A maintenance that is over by the clock is over.
    book.timers_of(|_| false, &now);
    let alerts = delivery.alerts.clone();
    let known: Vec<Option<Timestamp>> = alerts.iter().map(|alert| known(&book, alert)).collect();
    let before: Vec<(IncidentId, &'static str)> = book.held.values().map(standing).collect();
    book.deliver(hook, delivery, local, &now);
    let considered: Vec<Considered> = alerts
        .iter()
        .zip(known)
        .map(|(alert, known)| Considered {
            name: alert.name().to_owned(),
            status: alert.status,
            severity: alert.severity,
            episode: alert.episode.clone(),
            ours: local || book.rules.ours.is(alert),
            known: known.map(|at| at.to_string()),
            incidents: book
                .episodes
                .get(&alert.episode)
                .map(|seen| seen.incidents.clone())
                .unwrap_or_default(),
            playbooks: weighed(&book, hook, alert),
        })
        .collect();
    let mut ids: Vec<IncidentId> = Vec::new();
    for id in considered.iter().flat_map(|c| &c.incidents) {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    let mut incidents = Vec::new();
    for id in ids {
        let before = before.iter().find(|(of, _)| *of == id).map(|(_, is)| *is);
        incidents.extend(foreseen(&mut book, hands, &id, before, &now).await);
    }
    Forecast {
        alerts: considered,
        incidents,
    }
}

/// When an alert was told like this before.
fn known(book: &Book, alert: &Alert) -> Option<Timestamp> {
    let seen = book.episodes.get(&alert.episode)?;
    let same = seen.status == alert.status || seen.status == Status::Resolved;
    same.then_some(seen.at)
}

fn standing(held: &Held) -> (IncidentId, &'static str) {
    (held.incident.id.clone(), held.incident.state.as_str())
}

fn weighed(book: &Book, hook: &str, alert: &Alert) -> Vec<Weighed> {
    let allowed = book.rules.hooks.get(hook);
    let weighed = book.current.iter().map(|(name, current)| {
        let playbook = &current.playbook;
        let misses: Vec<Miss> = playbook.misses(&alert.labels).collect();
        let taking = if allowed.is_some_and(|names| !names.contains(name)) {
            Taking::NotByHook
        } else if misses.is_empty() {
            let target = playbook.target_of(&alert.labels);
            target.map_or_else(Taking::NoTarget, Taking::Takes)
        } else {
            Taking::Misses(misses)
        };
        Weighed {
            playbook: name.clone(),
            mode: playbook.mode,
            taking,
        }
    });
    weighed.collect()
}

async fn foreseen(
    book: &mut Book,
    hands: &dyn Hands,
    id: &IncidentId,
    before: Option<&'static str>,
    now: &Moment,
) -> Option<Foreseen> {
    let mut at = now.clone();
    let mut settles = std::time::Duration::ZERO;
    if let State::Settling { until } = &book.held.get(id)?.incident.state {
        settles = until.left(now);
        at = now.after(settles);
        book.step(id, Event::Timer, &at);
    }
    // Also one that waited before: what its guards say now, not what they said then.
    book.step(id, Event::Changed, &at);
    let (_, effects) = book.take();
    book.keep();
    let asked = effects.iter().rev().find_map(|(of, effect)| match effect {
        Effect::Look(asked, _) if of == id => Some(*asked),
        _ => None,
    });
    let before_ladder = {
        let held = book.held.get(id)?;
        let leave = held.current.plan.leaves(&held.incident);
        let first = leave.filter(|leave| !leave.rung);
        first.map(|leave| leave.pool.to_owned())
    };
    let mut guards = Vec::new();
    if let Some(asked) = asked {
        let look: Look = hands.look(book.job(id)?).await;
        book.step(id, Event::Looked(asked, look), &at);
        guards = verdicts(book, id);
    }
    let job = book.job(id)?;
    let state = job.incident.state.as_str();
    let playbook = &job.playbook;
    Some(Foreseen {
        incident: id.clone(),
        before,
        playbook: job.incident.playbook.clone(),
        mode: playbook.mode,
        target: job.incident.target.clone(),
        settles: Period::millis(u64::try_from(settles.as_millis()).unwrap_or(u64::MAX)),
        guards,
        isolate: before_ladder,
        rung: job.incident.rung,
        ladder: remedies(&job),
        verify: Verify {
            all: playbook.proof(),
            ..playbook.verify.clone()
        },
        probation: playbook.probation,
        escalate: playbook.escalate.clone().unwrap_or_default(),
        state,
        would: would(&job.incident, before == Some(state), &job),
    })
}

/// What the guards said in the step that was taken last.
fn verdicts(book: &mut Book, id: &IncidentId) -> Vec<Verdict> {
    let (commit, _) = book.take();
    book.keep();
    let of = |entry: &&crate::journal::Entry| {
        entry.kind == Kind::Decision && entry.incident.as_ref() == Some(id)
    };
    let decided = commit.entries.iter().rev().find(of);
    let decided = decided.and_then(|entry| entry.data.get("guards").cloned());
    let decided = decided.and_then(|guards| serde_json::from_value(guards).ok());
    // The same guards as before are no news, and no record.
    decided.unwrap_or_else(|| match book.held.get(id).map(|h| &h.incident.state) {
        Some(State::Waiting { verdicts, .. }) => verdicts.clone(),
        _ => Vec::new(),
    })
}

fn remedies(job: &Job) -> Vec<Remedy> {
    let ladder = job.playbook.ladder.iter();
    let remedy = ladder.map(|step| {
        let rendered = job.rendered(step);
        Remedy {
            why: rendered.as_ref().err().map(|unseen| unseen.0.clone()),
            action: rendered.ok().map(|rendered| rendered.action),
            timeout: step.timeout,
            approve: step.approve || job.playbook.mode == Mode::Approve,
        }
    });
    remedy.collect()
}

fn would(incident: &Incident, same: bool, job: &Job) -> Would {
    let patience = job.playbook.guards.max_wait;
    match &incident.state {
        State::Waiting { verdicts, .. } => {
            let mut refusing = verdicts.iter().filter(|v| !v.passes);
            match (refusing.next(), refusing.next()) {
                (Some(one), None) if one.guard == Guard::Approval => Would::Ask(patience),
                _ => Would::Wait(patience),
            }
        }
        _ if same => Would::GoOn,
        State::Intent { .. } => Would::Act,
        State::Isolating { pool, .. } => Would::Leave(pool.clone()),
        State::Observed => Would::Record,
        State::Escalated { cause, .. } => Would::Tell(cause.as_str()),
        State::Suppressed { reason } => Would::Nothing(reason.clone()),
        State::ResolvedAlone => Would::Nothing("its alerts are over".into()),
        _ => Would::GoOn,
    }
}
