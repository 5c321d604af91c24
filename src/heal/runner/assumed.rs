//! A world that is assumed and not looked at, with a clock that is set.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::heal::guards::{Leaving, Look, Unseen};
use crate::heal::hands::{Hands, Later, Started};
use crate::heal::incident::{Incident, State};
use crate::heal::job::Job;
use crate::heal::machine::{After, Outcome};
use crate::heal::world::called;
use crate::model::alert::{Alert, Episode, Status};
use crate::model::moment::Moment;
use crate::model::sight::Sight;

/// What becomes of a target when its action is done. Every action ends well in itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assume {
    /// It is well from the first action on, until another alert of it fires.
    Help,
    /// No action helps; it is well when all its alerts are recorded as resolved.
    Resolve,
    /// It never gets well.
    Fail,
}

impl Assume {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Help, Self::Resolve, Self::Fail];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Help => "help",
            Self::Resolve => "resolve",
            Self::Fail => "fail",
        }
    }

    /// What is assumed, in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Help => "the first action helps, until another alert fires",
            Self::Resolve => {
                "no action helps, and it is well once its alerts are recorded as resolved"
            }
            Self::Fail => "nothing ever helps",
        }
    }
}

/// The world.
pub(super) struct Assumed {
    assume: Assume,
    inner: Mutex<Inner>,
}

struct Inner {
    now: Moment,
    /// When alerts that fire were told, in milliseconds since boot.
    fired: HashMap<Episode, u64>,
}

impl Assumed {
    pub(super) fn new(assume: Assume, now: Moment) -> Self {
        let inner = Inner {
            now,
            fired: HashMap::new(),
        };
        Self {
            assume,
            inner: Mutex::new(inner),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the clock.
    pub(super) fn set(&self, now: &Moment) {
        self.inner().now = now.clone();
    }

    /// Notes what alerts say.
    pub(super) fn told(&self, alerts: &[Alert]) {
        let mut inner = self.inner();
        let now = inner.now.boot;
        for alert in alerts {
            match alert.status {
                Status::Firing => {
                    inner.fired.entry(alert.episode.clone()).or_insert(now);
                }
                Status::Resolved => drop(inner.fired.remove(&alert.episode)),
            }
        }
    }

    /// Whether what an incident is about is ill.
    pub(super) fn is_ill(&self, incident: &Incident) -> bool {
        let inner = self.inner();
        let since = |episode: &Episode| inner.fired.get(episode).copied().unwrap_or_default();
        let news = |episode: &Episode| {
            let acted = incident.acted.as_ref();
            acted.is_none_or(|acted| since(episode) > acted.boot)
        };
        let mut firing = incident.episodes.iter();
        let mut firing = firing.by_ref().filter(|(_, s)| **s == Status::Firing);
        match self.assume {
            Assume::Help => firing.any(|(episode, _)| news(episode)),
            Assume::Resolve => firing.next().is_some(),
            Assume::Fail => true,
        }
    }

    /// Whether nothing changes for an incident until something is told: people know, and it stays ill.
    pub(super) fn is_stuck(&self, incident: &Incident) -> bool {
        matches!(incident.state, State::Escalated { .. }) && self.is_ill(incident)
    }
}

impl Hands for Assumed {
    fn now(&self) -> Moment {
        self.inner().now.clone()
    }

    fn look(&self, job: Job) -> Later<Look> {
        let ill = self.is_ill(&job.incident);
        let leaves = job.plan.leaves(&job.incident).is_some();
        let wanted = job.playbook.confirm.iter();
        let look = Look {
            confirm: wanted
                .filter_map(|confirm| {
                    Some((
                        called(&confirm.asks()?),
                        Sight::from(!ill),
                        "assumed".to_owned(),
                    ))
                })
                .collect(),
            busy: None,
            evidence: None,
            pool: leaves.then(|| {
                Ok(Leaving {
                    min_healthy: None,
                    view: Err(Unseen("assumed".into())),
                    within: Duration::ZERO,
                    foreign: BTreeSet::new(),
                })
            }),
            witness: Ok(None),
            action: match job.rung() {
                Some(step) => job.rendered(step),
                None => Err(Unseen("the ladder has no such rung".into())),
            },
        };
        Box::pin(std::future::ready(look))
    }

    fn isolate(&self, _: &str) -> Later<(bool, Value)> {
        let out = (true, json!({"assumed": true}));
        Box::pin(std::future::ready(out))
    }

    fn act(&self, _: Job, started: Started) -> Later<(Outcome, Value)> {
        started(json!({"assumed": true}));
        let done = (Outcome::Done, json!({"assumed": true}));
        Box::pin(std::future::ready(done))
    }

    fn probe(&self, job: Job) -> Later<(Sight, Value)> {
        let passed = !self.is_ill(&job.incident);
        let probes = job.playbook.proof().into_iter().map(|probe| {
            let mut seen = serde_json::to_value(probe).unwrap_or_default();
            if let Some(seen) = seen.as_object_mut() {
                seen.insert("passed".into(), passed.into());
                seen.insert("why".into(), "assumed".into());
            }
            seen
        });
        let probed = (passed.into(), Value::Array(probes.collect()));
        Box::pin(std::future::ready(probed))
    }

    fn after(&self, _: Job) -> Later<After> {
        Box::pin(std::future::ready(After::Nothing))
    }
}
