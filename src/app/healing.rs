//! Healing within the running program: the journal, the incidents, and who brings them alerts.
//!
//! It runs while the config has a playbook, a hook, a pool or a window of maintenance. What serves, tells and asks holds the [`Door`], which is there all the time.

mod checks;
mod reconciling;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;

use super::control::state_directory;
use super::tail::{Aim, Tails};
use super::{Flags, House, Settings};
use crate::action;
use crate::check::Checks;
use crate::config::Config;
use crate::dialect::Told;
use crate::dialect::otlp::{Metrics, Signal};
use crate::dialect::prometheus::{Declared, Out};
use crate::gate::{self, Pools};
use crate::heal::hands::Hands;
use crate::heal::intake::{Delivering, Delivery, Desk, Refused};
use crate::heal::reconcile;
use crate::heal::runner::{self, Gates, Healing, NotDone, Order, Rules, Summary};
use crate::heal::world::{Reach, World};
use crate::host::Clock;
use crate::journal::{Counts, Journal, Restored};
use crate::notify::{self, Notifiers};
use crate::peer::systemd;
use reconciling::Reconciling;

/// How long notifiers may take to end when a reload turns healing off.
const HANDOVER: Duration = Duration::from_secs(1);

/// The way to healing, open or shut.
#[derive(Default)]
pub struct Door(RwLock<Option<Inside>>);

/// What is behind it.
struct Inside {
    healing: Healing,
    notifiers: Notifiers,
    journal: Journal,
    /// Where the journal lies.
    directory: PathBuf,
}

impl Door {
    fn set(&self, inside: Option<Inside>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = inside;
    }

    fn look<T>(&self, at: impl FnOnce(&Inside) -> T) -> Option<T> {
        let inside = self.0.read().unwrap_or_else(PoisonError::into_inner);
        inside.as_ref().map(at)
    }

    fn get(&self) -> Option<Healing> {
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

    /// What the journal counted, if there is one.
    #[must_use]
    pub fn counts(&self) -> Option<Counts> {
        self.look(|inside| inside.journal.counts())
    }

    /// What there is to see of it; nothing but a healthy node while it is shut.
    #[must_use]
    pub fn summary(&self) -> Arc<Summary> {
        self.get()
            .map(|healing| healing.summary())
            .unwrap_or_default()
    }

    /// Whether there is anything to see.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.get().is_some()
    }

    /// Does what an operator wants.
    ///
    /// # Errors
    /// [`NotDone`].
    pub async fn operate(&self, by: &str, order: Order) -> Result<String, NotDone> {
        match self.get() {
            Some(healing) => healing.operate(by, order).await,
            None => Err(NotDone::Off),
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
                None => Err(Refused::Ending),
            }
        })
    }
}

/// A journal that is open and not used yet.
pub(super) struct Opened {
    journal: Journal,
    restored: Restored,
    directory: PathBuf,
}

/// What runs while healing is on.
struct Alive {
    journal: Journal,
    healing: Healing,
    notifiers: Notifiers,
    world: Arc<World>,
    tails: Tails,
    directory: PathBuf,
    alerts: JoinHandle<()>,
    /// What gates tell, put on record.
    pools: JoinHandle<()>,
    /// Has the alerts that stand offered to playbooks that are others now.
    anew: Arc<Notify>,
}

/// How long the start waits for the gates of pools that the node is out of.
const ASSERTED: Duration = Duration::from_secs(2);

/// Whether there is anything to heal, to hold, or to stand back from.
pub(super) fn wanted(config: &Config) -> bool {
    !config.playbooks.is_empty()
        || !config.hooks.named.is_empty()
        || !config.pools.is_empty()
        || !config.maintenance.windows.is_empty()
}

/// Has healing note what gates tell.
async fn listen(pools: Pools, mut events: broadcast::Receiver<gate::Event>, healing: Healing) {
    loop {
        match events.recv().await {
            Ok(gate::Event::Heard(pool)) => healing.heard(&pool, Gates::Heard).await,
            Ok(gate::Event::Telling(pool, gate)) => {
                healing.heard(&pool, Gates::Telling(gate)).await;
            }
            Ok(gate::Event::Foreign(pool, gate)) => {
                healing.heard(&pool, Gates::Foreign(gate)).await;
            }
            Err(broadcast::error::RecvError::Lagged(_)) => pools.again(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Healing, on or off.
#[derive(Default)]
pub(super) struct Heal {
    pub(super) door: Arc<Door>,
    /// What asking alert servers found.
    pub(super) reconciled: Arc<reconcile::Counts>,
    /// The pools, whether healing is on or not.
    pub(super) pools: Pools,
    reconciling: Reconciling,
    alive: Option<Alive>,
}

impl Heal {
    /// Opens the journal if the settings want healing and it does not run yet: the part of a start or a reload that can
    /// fail.
    pub(super) async fn prepare(
        &self,
        settings: &Settings,
        flags: &Flags,
    ) -> Result<Option<Opened>, String> {
        let config = &settings.config;
        let wanted = wanted(config);
        let variable = |name: &str| std::env::var(name).ok();
        let directory = state_directory(flags, config, &variable);
        if let Some(alive) = &self.alive {
            if wanted && directory.as_ref().is_some_and(|d| *d != alive.directory) {
                tracing::warn!(
                    "the journal stays in {}: another state directory is used after a restart",
                    alive.directory.display()
                );
            }
            return Ok(None);
        }
        if !wanted {
            return Ok(None);
        }
        let directory = directory.ok_or(
            "healing needs a state directory for its journal, and there is not even a $HOME: name one with --state-dir or state",
        )?;
        let options = config.journal.clone();
        let opening = tokio::task::spawn_blocking(move || {
            let opened = Journal::open(&directory, &options);
            opened.map(|(journal, restored)| Opened {
                journal,
                restored,
                directory,
            })
        });
        let opened = opening
            .await
            .map_err(|e| format!("opening the journal: {e}"))?;
        opened.map(Some).map_err(|error| error.to_string())
    }

    /// Goes by new settings, checks first.
    pub(super) async fn change(
        &mut self,
        opened: Option<Opened>,
        settings: &Settings,
        house: &House,
        checks: &Arc<Checks>,
    ) {
        let config = &settings.config;
        let rules = rules(settings, house);
        self.pools.change(&house.pools);
        // Before whatever wants a check probed: what there is no check of cannot be confirmed.
        checks.change(&house.checks);
        if let Some(alive) = &self.alive {
            if !wanted(config) {
                self.end(tokio::time::Instant::now() + HANDOVER).await;
            } else {
                let reach = reach(settings, house, checks, Some(&alive.directory), &self.pools);
                alive.world.change(reach);
                alive.healing.change(rules).await;
                alive.anew.notify_one();
                alive.notifiers.change(&config.notify);
                self.reconcile(settings, house);
            }
            return;
        }
        let Some(opened) = opened else {
            return;
        };
        let reach = reach(
            settings,
            house,
            checks,
            Some(&opened.directory),
            &self.pools,
        );
        let world = World::new(Clock::new(), reach);
        let world = Arc::new(world);
        let hands = Arc::clone(&world) as Arc<dyn Hands>;
        let notifiers = Notifiers::start(
            &config.notify,
            opened.journal.clone(),
            opened.directory.clone(),
            house.resolver.clone(),
        );
        let wake = {
            let notifiers = notifiers.clone();
            Arc::new(move || notifiers.wake())
        };
        let tails = Tails::start(&opened.journal, &opened.directory, &opened.restored);
        let journal = opened.journal.clone();
        // Before the holds are said: gates may have heard already.
        let events = self.pools.events();
        let healing = runner::start(rules, journal, opened.restored, hands, wake);
        let pools = tokio::spawn(listen(self.pools.clone(), events, healing.clone()));
        // Whoever asks next is to find the node out of what it has left.
        let soon = tokio::time::Instant::now() + ASSERTED;
        self.pools.asserted(soon).await;
        self.door.set(Some(Inside {
            healing: healing.clone(),
            notifiers: notifiers.clone(),
            journal: opened.journal.clone(),
            directory: opened.directory.clone(),
        }));
        let anew = Arc::new(Notify::new());
        self.alive = Some(Alive {
            journal: opened.journal,
            healing,
            notifiers,
            world,
            tails,
            directory: opened.directory,
            pools,
            alerts: tokio::spawn(checks::listen(
                Arc::clone(&self.door),
                Arc::clone(checks),
                Arc::clone(&anew),
            )),
            anew,
        });
        self.reconcile(settings, house);
    }

    fn reconcile(&mut self, settings: &Settings, house: &House) {
        let hooks = &settings.config.hooks.named;
        self.reconciling
            .change(hooks, &house.resolver, &self.door, &self.reconciled);
    }

    /// Sends the journal on there from here on.
    pub(super) fn aim(&self, aim: Option<Aim>) {
        if let Some(alive) = &self.alive {
            alive.tails.aim(aim);
        }
    }

    /// Where the journal lies, if there is one.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.alive.as_ref().map(|alive| alive.directory.as_path())
    }

    /// Ends healing; what is not over goes on at the next start.
    pub(super) async fn end(&mut self, deadline: tokio::time::Instant) {
        if let Some(alive) = self.alive.take() {
            alive.alerts.abort();
            alive.pools.abort();
            self.reconciling.end();
            self.door.set(None);
            alive.healing.end(deadline).await;
            alive.notifiers.stop(deadline).await;
            alive.tails.stop(deadline).await;
            alive.journal.close().await;
        }
    }
}

/// What healing goes by under these settings.
#[must_use]
pub fn rules(settings: &Settings, house: &House) -> Rules {
    let config = &settings.config;
    let hooks = config.hooks.named.iter();
    let hooks = hooks.filter_map(|(name, hook)| Some((name.clone(), hook.playbooks.clone()?)));
    let notifiers = config.notify.iter();
    let notifiers = notifiers.map(|(name, notifier)| (name.clone(), notifier.min_severity));
    Rules {
        playbooks: config.playbooks.clone(),
        checks: config.checks.clone(),
        ours: house.ours.clone(),
        hooks: hooks.collect(),
        config: format!("{:016x}", settings.fingerprint),
        node: house.identity.hostname.clone(),
        notifiers: notifiers.collect(),
        pools: config.pools.keys().cloned().collect(),
        maintenance: config.maintenance.clone(),
        traced: settings.otlp.route(Signal::Traces).is_some(),
    }
}

/// What healing reaches. Must be called on the runtime.
#[must_use]
pub fn reach(
    settings: &Settings,
    house: &House,
    checks: &Arc<Checks>,
    state: Option<&Path>,
    pools: &Pools,
) -> Reach {
    let config = &settings.config;
    let host = house.host();
    let runtime = tokio::runtime::Handle::current();
    let counters = Arc::clone(host.calls().counters());
    let systemd = systemd::Systemd::new(runtime, &config.subjects.systemd.bus, counters);
    let action = action::World {
        // An address that cannot be parsed was refused with the config.
        systemd: systemd.ok().map(Arc::new),
        container: Some(Arc::clone(&house.probes.container)),
        resolver: house.resolver.clone(),
        state: state.map(Path::to_path_buf),
        host,
    };
    Reach {
        action,
        checks: Arc::clone(checks),
        probes: house.probes.clone(),
        pools: Arc::new(pools.clone()),
    }
}
