//! The checks that run: one task probes them, and everybody may look.
//!
//! Outlives reloads: whoever listens to changes goes on listening. A check whose options are the same after a reload keeps
//! its state; of one that is gone or another, a standing alert is ended.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::plan::{Plan, Planned, Probed};
use super::schedule::Schedule;
use super::track::{Health, Last, State, Track};
use super::{Change, Check, World};
use crate::model::moment::Timestamp;

/// Changes kept for a listener that is slow; it is told when it missed some, and looks at [`Checks::standing`] then.
const KEPT: usize = 1024;
/// How old a reading of the machine may be for a scheduled probe, at most.
const AGE: Duration = Duration::from_secs(1);

/// The running checks.
pub struct Checks {
    running: Mutex<Running>,
    changes: broadcast::Sender<Change>,
}

#[derive(Default)]
struct Running {
    entries: BTreeMap<Arc<str>, Arc<Entry>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// One running check.
struct Entry {
    planned: Arc<Planned>,
    track: Mutex<Track>,
}

impl Default for Checks {
    /// No checks run.
    fn default() -> Self {
        Self {
            running: Mutex::default(),
            changes: broadcast::Sender::new(KEPT),
        }
    }
}

impl Checks {
    /// Runs the checks of a plan in place of those that ran before. Must be called on the runtime.
    pub fn change(&self, plan: &Plan) {
        let mut running = self.running();
        let mut before = std::mem::take(&mut *running);
        let now = Timestamp::now();
        for (name, planned) in &plan.0 {
            let same = |entry: &Entry| entry.planned.check == planned.check;
            let track = match before.entries.remove(name) {
                Some(entry) if same(&entry) => entry.track().clone(),
                gone => {
                    self.end(gone.as_deref(), "its options are others now");
                    Track::new(now)
                }
            };
            let entry = Entry {
                planned: Arc::clone(planned),
                track: Mutex::new(track),
            };
            running.entries.insert(Arc::clone(name), Arc::new(entry));
        }
        for gone in before.entries.values() {
            self.end(Some(gone), "the check was taken out of the config");
        }
        let mut entries: Vec<_> = running.entries.values().cloned().collect();
        // Neighbours in time share readings.
        entries.sort_by_key(|entry| entry.planned.check.probe.kind());
        running.task =
            (!entries.is_empty()).then(|| tokio::spawn(run(entries, self.changes.clone())));
    }

    /// Ends all probing; states stay as they are.
    pub fn stop(&self) {
        if let Some(task) = self.running().task.take() {
            task.abort();
        }
    }

    /// The state of a check; none if there is no such check.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<State> {
        let running = self.running();
        running
            .entries
            .get(name)
            .map(|entry| entry.track().state.clone())
    }

    /// All checks, by name.
    #[must_use]
    pub fn states(&self) -> Vec<(Arc<str>, Check, State)> {
        let running = self.running();
        let each = running.entries.iter().map(|(name, entry)| {
            let state = entry.track().state.clone();
            (Arc::clone(name), entry.planned.check.clone(), state)
        });
        each.collect()
    }

    /// The alerts that stand, as the changes that raised them.
    #[must_use]
    pub fn standing(&self) -> Vec<Change> {
        let running = self.running();
        let each = running.entries.values().filter_map(|entry| {
            let track = entry.track();
            let since = track.alerting_since()?;
            let Planned { name, check, .. } = &*entry.planned;
            let why = track.state.said(check);
            Some(Change::new(name, check, false, since, why))
        });
        each.collect()
    }

    /// Calls `each` with every check, by name, while nothing changes.
    pub(super) fn look(&self, mut each: impl FnMut(&str, &Check, &State)) {
        for (name, entry) in &self.running().entries {
            each(name, &entry.planned.check, &entry.track().state);
        }
    }

    /// Probes a check now, as [`Plan::probe`]: neither its schedule nor its state takes notice.
    pub async fn probe(&self, name: &str, deadline: Instant) -> Option<Probed> {
        let planned = {
            let running = self.running();
            Arc::clone(&running.entries.get(name)?.planned)
        };
        Some(planned.probe(deadline, Duration::ZERO).await)
    }

    /// The same of a check as it is here, whether or not it runs so, or at all.
    pub async fn probe_as(
        &self,
        name: &str,
        check: &Check,
        world: &World,
        deadline: Instant,
    ) -> Probed {
        let same = {
            let running = self.running();
            let entry = running.entries.get(name);
            let same = entry.filter(|entry| entry.planned.check == *check);
            same.map(|entry| Arc::clone(&entry.planned))
        };
        match same {
            Some(planned) => planned.probe(deadline, Duration::ZERO).await,
            None => {
                let deadline = deadline.min(Instant::now() + check.timeout.get());
                check.probe.once(world, deadline).await
            }
        }
    }

    /// Alerts as they are raised and end, from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn end(&self, entry: Option<&Entry>, why: &str) {
        let Some(entry) = entry else { return };
        let since = entry.track().alerting_since();
        if let Some(since) = since {
            let (name, check) = (&entry.planned.name, &entry.planned.check);
            tell(
                &self.changes,
                Change::new(name, check, true, since, why.to_owned()),
            );
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody may be listening.
fn tell(changes: &broadcast::Sender<Change>, change: Change) {
    drop(changes.send(change));
}

impl Entry {
    fn track(&self) -> MutexGuard<'_, Track> {
        self.track.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a probe into account, and logs and tells what it changed.
    fn record(&self, probed: Probed, changes: &broadcast::Sender<Change>) {
        let Planned { name, check, .. } = &*self.planned;
        let Probed {
            ok,
            why,
            took,
            certificate_end,
            ..
        } = probed;
        let last = Last {
            at: Timestamp::now(),
            ok,
            why: why.clone(),
            took,
            certificate_end,
        };
        let turn = self.track().record(check, last, Instant::now());
        match turn.health {
            Some(Health::Up) => tracing::info!(check = %name, "the check is up: {why}"),
            Some(Health::Down) => tracing::warn!(check = %name, "the check is down: {why}"),
            Some(Health::Unknown) | None => {}
        }
        if let Some((up, since)) = turn.alert {
            tell(changes, Change::new(name, check, up, since, why));
        }
    }
}

/// Probes each check when it is due, never one twice at a time.
async fn run(entries: Vec<Arc<Entry>>, changes: broadcast::Sender<Change>) {
    let every = entries.iter().map(|entry| entry.planned.check.every.get());
    let mut schedule = Schedule::new(every, Instant::now());
    let mut probes: JoinSet<(usize, Probed)> = JoinSet::new();
    // The runtime wakes itself, by a write, for each timer that is sooner than all it knew when it last awoke. Where it
    // knows of this one, which never comes due while there is something to probe, no deadline of a probe is.
    let timeouts = entries
        .iter()
        .map(|entry| entry.planned.check.timeout.get());
    let shortest = timeouts.min().unwrap_or_default();
    let mut known = pin!(sleep_until(Instant::now() + shortest));
    loop {
        tokio::select! {
            biased;
            () = &mut known, if !known.is_elapsed() => {}
            Some(ended) = probes.join_next() => {
                // A probe neither panics nor is cancelled before this task is.
                let Ok((at, probed)) = ended else { continue };
                if let Some(entry) = entries.get(at) {
                    entry.record(probed, &changes);
                }
                schedule.again(at, Instant::now());
            }
            () = until(schedule.next()) => {
                let now = Instant::now();
                while let Some(at) = schedule.due(now) {
                    let Some(entry) = entries.get(at) else { continue };
                    let planned = Arc::clone(&entry.planned);
                    probes.spawn(async move {
                        let Check { every, timeout, .. } = &planned.check;
                        let (deadline, age) = (now + timeout.get(), (every.get() / 2).min(AGE));
                        (at, planned.probe(deadline, age).await)
                    });
                }
                if let Some(next) = schedule.next() {
                    known.as_mut().reset(next + shortest);
                }
            }
        }
    }
}

/// Waits for an instant; for ever if there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
