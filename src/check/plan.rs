//! The checks of one config, ready to be probed.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Ask, Change, Check, Invalid, Options, Outcome, Probe, Prober, World};
use crate::model::alert::Alert;
use crate::model::moment::Timestamp;

/// How much later a probe that does not end by itself is given up.
const GRACE: Duration = Duration::from_millis(200);

/// How one probe went.
#[derive(Debug, Clone, PartialEq)]
pub struct Probed {
    /// Whether it passed.
    pub ok: bool,
    /// What it saw, or what is wrong; one line.
    pub why: String,
    /// How long it took.
    pub took: Duration,
    /// What it saw, for programs: an object, empty if nothing was seen.
    pub facts: serde_json::Value,
    /// Nothing was seen that would tell how it is.
    pub blind: bool,
    /// When the first of the certificates ends that were seen, in seconds of the epoch.
    pub certificate_end: Option<u64>,
}

impl Probed {
    fn of(outcome: Outcome, began: Instant) -> Self {
        Self {
            ok: outcome.ok,
            why: outcome.why,
            took: began.elapsed(),
            facts: outcome.facts,
            blind: outcome.blind,
            certificate_end: outcome.certificate_end,
        }
    }
}

/// One check, ready to be probed.
pub(super) struct Planned {
    pub(super) name: Arc<str>,
    pub(super) check: Check,
    pub(super) prober: Box<dyn Prober>,
}

/// The checks of one config, by name.
#[derive(Default)]
pub struct Plan(pub(super) BTreeMap<Arc<str>, Arc<Planned>>);

impl Plan {
    /// Makes the probers. Opens nothing, starts nothing.
    ///
    /// # Errors
    /// Every check that cannot work in this world.
    pub fn new(options: &Options, world: &World) -> Result<Self, Vec<Invalid>> {
        let (mut plan, mut wrong) = (BTreeMap::new(), Vec::new());
        for (name, check) in options {
            match check.probe.options().prober(check.timeout.get(), world) {
                Ok(prober) => {
                    let name: Arc<str> = name.as_str().into();
                    let planned = Planned {
                        name: Arc::clone(&name),
                        check: check.clone(),
                        prober,
                    };
                    plan.insert(name, Arc::new(planned));
                }
                Err(why) => wrong.push(Invalid {
                    check: name.clone(),
                    keys: vec!["probe", check.probe.kind()],
                    why,
                }),
            }
        }
        if wrong.is_empty() {
            Ok(Self(plan))
        } else {
            Err(wrong)
        }
    }

    /// The names of the checks, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }

    /// The alert that a check would raise if it failed now; none if there is no such check.
    #[must_use]
    pub fn alert(&self, name: &str) -> Option<Alert> {
        let Planned { name, check, .. } = &**self.0.get(name)?;
        let why = "it is taken to fail".to_owned();
        Some(Change::new(name, check, false, Timestamp::now(), why).alert())
    }

    /// Probes a check now, on readings and connections of its own; none if there is no such check. It ends at the check's
    /// `timeout`, or at `deadline` if that is sooner.
    pub async fn probe(&self, name: &str, deadline: Instant) -> Option<Probed> {
        let planned = Arc::clone(self.0.get(name)?);
        Some(planned.probe(deadline, Duration::ZERO).await)
    }
}

impl Planned {
    /// Probes once, on a reading of at most `age`.
    pub(super) async fn probe(&self, deadline: Instant, age: Duration) -> Probed {
        let deadline = deadline.min(Instant::now() + self.check.timeout.get());
        probe(&*self.prober, Ask { deadline, age }).await
    }
}

impl Probe {
    /// Probes once, what is no check's: on readings and connections of its own, until `deadline` at the latest. What cannot
    /// work in this world fails.
    pub async fn once(&self, world: &World, deadline: Instant) -> Probed {
        let left = deadline.saturating_duration_since(Instant::now());
        let age = Duration::ZERO;
        match self.options().prober(left, world) {
            Ok(prober) => probe(&*prober, Ask { deadline, age }).await,
            Err(why) => Probed::of(Outcome::blind(why), Instant::now()),
        }
    }
}

async fn probe(prober: &dyn Prober, ask: Ask) -> Probed {
    let began = Instant::now();
    // Who ends in time itself knows best what it waited for.
    let outcome = match timeout_at(ask.deadline + GRACE, guarded(prober.probe(ask))).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Outcome::blind("the probe panicked, which is a fault of nodeward"),
        Err(_) => Outcome::late(format_args!("no result within {:?}", ask.deadline - began)),
    };
    Probed::of(outcome, began)
}

/// What a future gives; none if it panics.
async fn guarded<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    std::future::poll_fn(move |cx| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}
