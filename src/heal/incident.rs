//! An incident: what is known of one problem, and where it stands.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evidence::Kept;
use super::guards::Verdict;
use super::plan::Mode;
use super::run::Run;
use crate::model::alert::{Episode, Labels, Status};
use crate::model::id::{AttemptId, IncidentId};
use crate::model::moment::{Deadline, Moment, Timestamp};
use crate::model::severity::Severity;
use crate::model::target::Target;
use crate::model::trace::TraceContext;

/// Episodes an incident remembers; the oldest resolved ones go first.
const EPISODES: usize = 256;

/// Why an incident ends before anything is decided: nothing is to be.
pub(super) const MODE_OFF: &str = "the playbook's mode is off";
/// Why an open incident ends once nothing may be done for it any more.
pub(super) const OFF: &str = "its playbook is off, or is no more";

/// One problem: a playbook and a target. What is here is all the machine needs to go on after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// The playbook.
    pub playbook: String,
    /// Which revision of the playbook it goes by.
    pub revision: String,
    /// What is healed.
    pub target: Target,
    /// The worst severity of its alerts that fire.
    pub severity: Severity,
    /// Labels of the alert that opened it.
    pub labels: Labels,
    /// When it was opened.
    pub opened: Moment,
    /// When it last changed its state.
    pub changed: Moment,
    /// Its alerts.
    pub episodes: BTreeMap<Episode, Status>,
    /// When each of its attempts began; never shorter than it was.
    pub attempts: Vec<Moment>,
    /// When it was healed, the last thousand times: what it is now tells of the last time alone.
    #[serde(default)]
    pub heals: Vec<Moment>,
    /// When the last attempt was over.
    pub acted: Option<Moment>,
    /// The rung that is next, from 0.
    pub rung: usize,
    /// How often it was ill again after it was well.
    pub relapses: u32,
    /// Whether its present run was escalated before.
    pub escalated: bool,
    /// Whether an alert of it began after its last attempt, before it was proven that this helped.
    #[serde(default)]
    pub anew: bool,
    /// How often the world was asked; an answer to an older question counts for nothing.
    pub asked: u32,
    /// Its last attempt was not carried out, and is to be made again under its name: the revision by which it was intended.
    #[serde(default)]
    pub again: Option<String>,
    /// What a person approved.
    pub approval: Option<Approval>,
    /// What a person is asked while it waits.
    #[serde(default)]
    pub question: Option<Question>,
    /// How many questions were asked so far.
    #[serde(default)]
    pub questions: u32,
    /// The pools it has, or had, the node leave.
    #[serde(default)]
    pub pools: BTreeMap<String, Left>,
    /// How long it may wait: longer than one stretch of waiting where it left a pool, or looked whether it got well by itself, between two.
    #[serde(default)]
    pub patience: Option<Deadline>,
    /// How people are told of its escalation; none before that.
    #[serde(default)]
    pub paging: Option<Paging>,
    /// The packets of evidence that were kept last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Kept>,
    /// The run that is under way, or was last.
    #[serde(default)]
    pub run: Run,
    /// Where it stands.
    pub state: State,
}

/// What became of a hold that an incident placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// It stands.
    Held,
    /// A person took it back; it is not placed again.
    TakenBack,
}

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// That an attempt helped.
    #[default]
    Attempt,
    /// That it helped to leave a pool.
    Isolation,
    /// That it got well by itself, while the node is out of a pool.
    Itself,
}

/// A person's yes to one very action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Hash of the rendered action it was given for.
    pub action: String,
    /// By whom.
    pub by: String,
}

/// How people are told of an escalation, until one of them has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    /// How often they were reminded.
    pub reminders: u32,
    /// When they are reminded again; none: not any more.
    pub next: Option<Deadline>,
    /// Who has it.
    pub acknowledged: Option<Acknowledged>,
}

/// That a person has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Acknowledged {
    /// Who said so.
    pub by: String,
    /// For whom, if that is another.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why, or what is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    #[serde(
        serialize_with = "Timestamp::rfc3339",
        deserialize_with = "Timestamp::of_rfc3339"
    )]
    #[schemars(with = "String")]
    pub at: Timestamp,
}

impl Acknowledged {
    /// Who has it, in words.
    #[must_use]
    pub fn who(&self) -> String {
        match &self.who {
            Some(who) => format!("{who} ({})", self.by),
            None => self.by.clone(),
        }
    }
}

/// What a person is asked: whether this very action may be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// Its number within the incident, from 1: each action that is asked for, and each time anew, has another.
    pub number: u32,
    /// Hash of the rendered action.
    pub action: String,
    /// The rendered action.
    pub shown: Value,
    /// People were told.
    pub told: bool,
}

/// Where an incident stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// It may still heal alone.
    Settling {
        /// Until then.
        until: Deadline,
    },
    /// A guard refuses, or has not been asked yet.
    Waiting {
        /// Until then: `max_wait` of the playbook.
        until: Deadline,
        /// What the guards said last.
        verdicts: Vec<Verdict>,
        /// When they are asked again.
        next: Deadline,
    },
    /// The node is on its way out of a pool: no attempt, but before one, or in the place of one.
    Isolating {
        /// Which.
        pool: String,
        /// It is a rung of the ladder; else it comes before that.
        rung: bool,
        /// How long it may take.
        limit: Deadline,
    },
    /// An attempt is on record and about to be made.
    Intent {
        /// When it was recorded, and how long it may take.
        limit: Deadline,
        /// What stood before it.
        witness: Option<Value>,
    },
    /// The action is under way.
    Acting {
        /// As above.
        limit: Deadline,
        /// As above.
        witness: Option<Value>,
    },
    /// Looking whether it helped.
    Verifying {
        /// Until then.
        until: Deadline,
        /// Passes in a row so far.
        passes: u32,
        /// When the next round is due.
        next: Deadline,
        /// What.
        #[serde(default)]
        of: Verified,
        /// Nobody knows whether the action happened.
        unknown: bool,
        /// The last round failed, and that is on record.
        #[serde(default)]
        failed: bool,
        /// Nothing was seen in the last round that would tell.
        #[serde(default)]
        blind: bool,
    },
    /// It is well; it must stay so.
    Probation {
        /// Until then.
        until: Deadline,
        /// Failures in a row.
        fails: u32,
        /// As above.
        next: Deadline,
        /// Whether it got well by itself after it was escalated.
        recovered: bool,
        /// Whether it got well by itself before that.
        #[serde(default)]
        alone: bool,
    },
    /// People were told.
    Escalated {
        /// Why.
        cause: Cause,
        /// Passes in a row since.
        passes: u32,
        /// As above.
        next: Deadline,
    },
    /// Over, before anything was decided.
    Suppressed {
        /// Why.
        reason: String,
    },
    /// Over: in observe mode, it would have acted.
    Observed,
    /// Over: it healed before nodeward did anything, or between two attempts.
    ResolvedAlone,
    /// Over: nodeward healed it, or saw it recover.
    Healed,
    /// Over: a person ended it.
    Cancelled {
        /// Who, and why.
        by: String,
    },
}

/// Why people were told.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Cause {
    /// What was tried did not help, and the ladder or the budget is spent.
    Exhausted,
    /// It heals and breaks again.
    Flapping,
    /// A guard refused for too long.
    Refused {
        /// The first that did.
        guard: String,
    },
    /// Nobody knows whether the action happened, and it must not happen twice.
    UnknownOutcome,
    /// Nobody approved in time, or somebody said no.
    NotApproved {
        /// Who said no.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// An action was done, and nothing can be seen that tells whether it helped.
    Unproven,
}

impl Cause {
    /// Every word of [`Cause::as_str`].
    pub const WORDS: [&'static str; 6] = [
        "exhausted",
        "flapping",
        "refused",
        "unknown_outcome",
        "not_approved",
        "unproven",
    ];

    /// One word, for labels and records.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Flapping => "flapping",
            Self::Refused { .. } => "refused",
            Self::UnknownOutcome => "unknown_outcome",
            Self::NotApproved { .. } => "not_approved",
            Self::Unproven => "unproven",
        }
    }
}

impl State {
    /// The word of the journal, the metrics and the commands.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Settling { .. } => "settling",
            Self::Waiting { .. } => "waiting",
            Self::Isolating { .. } => "isolating",
            Self::Intent { .. } => "intent",
            Self::Acting { .. } => "acting",
            Self::Verifying { .. } => "verifying",
            Self::Probation { .. } => "probation",
            Self::Escalated { .. } => "escalated",
            Self::Suppressed { .. } => "suppressed",
            Self::Observed => "observed",
            Self::ResolvedAlone => "resolved_alone",
            Self::Healed => "healed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Every word of [`State::as_str`] that an open incident can have.
    pub const OPEN: [&'static str; 8] = [
        "settling",
        "waiting",
        "isolating",
        "intent",
        "acting",
        "verifying",
        "probation",
        "escalated",
    ];

    /// Every word of [`State::as_str`] that an incident which is over can have.
    pub const OVER: [&'static str; 5] = [
        "suppressed",
        "observed",
        "resolved_alone",
        "healed",
        "cancelled",
    ];

    /// Whether anything can still happen by itself.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(
            self,
            Self::Suppressed { .. }
                | Self::Observed
                | Self::ResolvedAlone
                | Self::Healed
                | Self::Cancelled { .. }
        )
    }

    /// Whether a new alert soon after its end makes it open again.
    #[must_use]
    pub const fn reopens(&self) -> bool {
        matches!(self, Self::Healed | Self::ResolvedAlone | Self::Observed)
    }

    /// The mode of its playbook that ended it, if that did: one that may go further takes it up anew.
    #[must_use]
    pub fn held_back_by(&self) -> Option<Mode> {
        match self {
            Self::Observed => Some(Mode::Observe),
            Self::Suppressed { reason } if [MODE_OFF, OFF].contains(&&**reason) => Some(Mode::Off),
            _ => None,
        }
    }

    /// Whether an attempt is under way: no other may begin on the same target.
    #[must_use]
    pub const fn holds_target(&self) -> bool {
        matches!(
            self,
            Self::Intent { .. }
                | Self::Acting { .. }
                | Self::Verifying {
                    of: Verified::Attempt,
                    ..
                }
        )
    }
}

impl Incident {
    /// A new one, of no alert yet; [`super::machine::open`] takes it out of the state it is made in at once.
    #[must_use]
    pub fn new(id: IncidentId, playbook: &str, target: Target, now: &Moment) -> Self {
        Self {
            evidence: Vec::new(),
            id,
            playbook: playbook.to_owned(),
            revision: String::new(),
            target,
            severity: Severity::default(),
            labels: Labels::new(),
            opened: now.clone(),
            changed: now.clone(),
            episodes: BTreeMap::new(),
            attempts: Vec::new(),
            heals: Vec::new(),
            acted: None,
            rung: 0,
            relapses: 0,
            escalated: false,
            anew: false,
            asked: 0,
            again: None,
            approval: None,
            question: None,
            questions: 0,
            pools: BTreeMap::new(),
            patience: None,
            paging: None,
            run: Run::default(),
            state: State::Settling {
                until: Deadline::new(now.clone(), Duration::ZERO),
            },
        }
    }

    /// The attempt that is under way, or was last; none before the first.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptId> {
        let number = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        (number > 0).then(|| AttemptId {
            incident: self.id.clone(),
            number,
        })
    }

    /// How a question is named to who answers it: no other question ever has the same name.
    #[must_use]
    pub fn token(&self, question: &Question) -> String {
        format!("{}-{}", self.id, question.number)
    }

    /// The span that tells of its run.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.run.trace(&self.id)
    }

    /// Whether people were told of it, and nobody has acknowledged it yet.
    #[must_use]
    pub fn is_paged(&self) -> bool {
        let paging = self.paging.as_ref();
        self.state.is_open() && paging.is_some_and(|paging| paging.acknowledged.is_none())
    }

    /// Whether its next attempt is the last one once more: what was done under its name is known to be nothing, or the same. Another action
    /// needs another name.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.again.as_ref() == Some(&self.revision)
    }

    /// The pools that it holds the node out of.
    pub fn held(&self) -> impl Iterator<Item = &str> {
        let held = self.pools.iter().filter(|(_, left)| **left == Left::Held);
        held.map(|(pool, _)| pool.as_str())
    }

    /// Whether it holds the node out of a pool.
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        self.held().next().is_some()
    }

    /// Whether one of its alerts still fires, as far as was told.
    #[must_use]
    pub fn is_firing(&self) -> bool {
        self.episodes.values().any(|s| *s == Status::Firing)
    }

    /// Whether it ended because its playbook may not go as far as `mode`, and its trouble still stands.
    #[must_use]
    pub fn is_raised_by(&self, mode: Mode) -> bool {
        self.is_firing() && self.state.held_back_by().is_some_and(|by| mode > by)
    }

    /// Notes what an alert server said of an episode; whether that was news. What was resolved once stays so.
    pub(super) fn note(&mut self, episode: &Episode, status: Status) -> bool {
        match self.episodes.get(episode) {
            Some(Status::Resolved) => return false,
            Some(known) if *known == status => return false,
            _ => {}
        }
        if self.episodes.len() >= EPISODES && !self.episodes.contains_key(episode) {
            let over = |(_, s): &(&Episode, &Status)| **s == Status::Resolved;
            let gone = self
                .episodes
                .iter()
                .find(over)
                .or(self.episodes.iter().next());
            if let Some(gone) = gone.map(|(e, _)| e.clone()) {
                self.episodes.remove(&gone);
            }
        }
        self.episodes.insert(episode.clone(), status);
        true
    }

    /// Forgets an episode that was only taken to be over.
    pub(super) fn forget(&mut self, episode: &Episode) {
        self.episodes.remove(episode);
    }

    /// When the machine wants to be woken; none if only an event can change anything.
    #[must_use]
    pub fn wake(&self, now: &Moment) -> Option<Duration> {
        match &self.state {
            State::Settling { until } => Some(until.left(now)),
            State::Waiting { until, next, .. } | State::Verifying { until, next, .. } => {
                Some(next.left(now).min(until.left(now)))
            }
            State::Isolating { limit, .. }
            | State::Intent { limit, .. }
            | State::Acting { limit, .. } => Some(limit.left(now)),
            State::Probation { next, .. } => Some(next.left(now)),
            State::Escalated { next, .. } => {
                let reminder = self.paging.as_ref().and_then(|paging| paging.next.as_ref());
                let reminder = reminder.map(|reminder| reminder.left(now));
                Some(next.left(now).min(reminder.unwrap_or(Duration::MAX)))
            }
            _ => None,
        }
    }

    /// Puts every wait on the clock of this boot.
    pub(super) fn rebase(&mut self, now: &Moment) {
        let waits: [Option<&mut Deadline>; 2] = match &mut self.state {
            State::Settling { until } => [Some(until), None],
            State::Isolating { limit, .. }
            | State::Intent { limit, .. }
            | State::Acting { limit, .. } => [Some(limit), None],
            State::Waiting { until, next, .. }
            | State::Verifying { until, next, .. }
            | State::Probation { until, next, .. } => [Some(until), Some(next)],
            State::Escalated { next, .. } => [Some(next), None],
            _ => [None, None],
        };
        let reminder = self.paging.as_mut().and_then(|p| p.next.as_mut());
        let waits = waits.into_iter().flatten().chain(&mut self.patience);
        for wait in waits.chain(reminder) {
            *wait = wait.rebased(now);
        }
    }
}
