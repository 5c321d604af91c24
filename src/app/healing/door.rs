//! The way to healing for what serves, tells and asks: there all the time, open or shut.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::shut;
use crate::app::plan::Foresight;
use crate::check::Checks;
use crate::dialect::Told;
use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::{Declared, Out};
use crate::heal::intake::{Delivering, Delivery, Desk, Refused};
use crate::heal::runner::{Healing, NotDone, Order, Summary};
use crate::journal::{Counts, Failing, Journal};
use crate::model::moment::Timestamp;
use crate::notify::{self, Notifiers};
use crate::serve::api::shown::Planned;
use crate::serve::api::{Alerts, NotPlanned};

/// The way to healing, open or shut.
pub struct Door {
    inside: RwLock<Option<Inside>>,
    /// Why it is shut although there is something to heal, and whether that is for want of room.
    failing: Mutex<Option<(Failing, bool)>>,
    /// What was turned away meanwhile: for want of room, and for anything else.
    full: AtomicU64,
    broken: AtomicU64,
    /// What tells how the node is while it is shut.
    checks: Arc<Checks>,
}

/// What is behind it.
pub(super) struct Inside {
    pub(super) healing: Healing,
    pub(super) notifiers: Notifiers,
    pub(super) journal: Journal,
    pub(super) foresight: Arc<Foresight>,
    /// Where the journal lies.
    pub(super) directory: PathBuf,
}

impl Door {
    pub(super) fn new(checks: Arc<Checks>) -> Self {
        Self {
            inside: RwLock::default(),
            failing: Mutex::default(),
            full: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            checks,
        }
    }

    pub(super) fn set(&self, inside: Option<Inside>) {
        *self.inside.write().unwrap_or_else(PoisonError::into_inner) = inside;
    }

    /// Notes why its journal cannot be opened and whether that is for want of room, or, with none, that this is over.
    pub(super) fn note(&self, why: Option<(&str, bool)>) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        *failing = why.map(|(why, full)| {
            let before = failing.as_ref().map(|(before, _)| before.since);
            let since = before.unwrap_or_else(Timestamp::now);
            let why = why.into();
            (Failing { since, why }, full)
        });
    }

    /// Why there is no healing although there is something to heal: its journal cannot be opened.
    #[must_use]
    pub fn failing(&self) -> Option<Failing> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.as_ref().map(|(failing, _)| failing.clone())
    }

    /// Counts what cannot be put on record because the journal cannot be opened; why, if it is that.
    fn turn_away(&self) -> Option<Failing> {
        let failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let (failing, full) = failing.as_ref()?;
        let count = if *full { &self.full } else { &self.broken };
        count.fetch_add(1, Ordering::Relaxed);
        Some(failing.clone())
    }

    fn look<T>(&self, at: impl FnOnce(&Inside) -> T) -> Option<T> {
        let inside = self.inside.read().unwrap_or_else(PoisonError::into_inner);
        inside.as_ref().map(at)
    }

    pub(super) fn get(&self) -> Option<Healing> {
        self.look(|inside| inside.healing.clone())
    }

    fn notifiers(&self) -> Option<Notifiers> {
        self.look(|inside| inside.notifiers.clone())
    }

    /// Where the journal lies, if there is one.
    #[must_use]
    pub fn journal(&self) -> Option<PathBuf> {
        self.look(|inside| inside.directory.clone())
    }

    /// What the journal counted, if there is one, and what was turned away while it could not be opened.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        let open = self.look(|inside| inside.journal.counts());
        let mut counts = open.or_else(|| {
            let failing = Some(self.failing()?);
            Some(Counts {
                failing,
                ..Counts::default()
            })
        })?;
        counts.full += self.full.load(Ordering::Relaxed);
        counts.broken += self.broken.load(Ordering::Relaxed);
        Some(counts)
    }

    /// What there is to see of it; while it is shut, how the checks say that the node is.
    #[must_use]
    pub fn summary(&self) -> Arc<Summary> {
        match self.get() {
            Some(healing) => healing.summary(),
            None => Arc::new(shut::summary(&self.checks.standing())),
        }
    }

    /// Whether there is anything to see.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.get().is_some()
    }

    /// Says what would be done about alerts, and does nothing.
    pub(in crate::app) async fn plan(&self, alerts: Alerts) -> Result<Planned, NotPlanned> {
        match self.look(|inside| Arc::clone(&inside.foresight)) {
            Some(foresight) => foresight.plan(alerts).await,
            None => Err(NotPlanned::Off),
        }
    }

    /// Does what an operator wants.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn operate(&self, by: &str, order: Order) -> Result<String, NotDone> {
        match self.get() {
            Some(healing) => healing.operate(by, order).await,
            None => Err(match self.turn_away() {
                Some(failing) => NotDone::Record(failing.why.to_string()),
                None => NotDone::Off,
            }),
        }
    }
}

/// What is told of notifiers, while there are any.
impl Told for Door {
    fn families(&self) -> &'static [&'static dyn Declared] {
        notify::FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        if let Some(notifiers) = self.notifiers() {
            notifiers.prometheus(out);
        }
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        if let Some(notifiers) = self.notifiers() {
            notifiers.otlp(metrics);
        }
    }
}

impl Desk for Door {
    fn deliver<'a>(&'a self, hook: &'a str, delivery: Delivery) -> Delivering<'a> {
        Box::pin(async move {
            match self.get() {
                Some(healing) => healing.deliver(hook, delivery).await,
                None if self.turn_away().is_some() => Err(Refused::Full),
                None => Err(Refused::Ending),
            }
        })
    }
}
