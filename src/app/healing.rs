//! Healing within the running program: the journal, the incidents, and who brings them alerts.
//!
//! It runs while the config has a playbook, a hook, a pool or a window of maintenance, and its journal can be opened: where that cannot be
//! done at the start, everything else serves, and it is tried again. What serves, tells and asks holds the [`Door`], which is there all the time.

mod checks;
mod door;
mod logins;
mod proof;
mod reconciling;
mod shut;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;

use super::control::state_directory;
use super::plan::Foresight;
use super::tail::{Aim, Tails};
use super::{Flags, House, Settings};
use crate::action;
use crate::check::Checks;
use crate::config::Config;
use crate::dialect::otlp::Signal;
use crate::gate::{self, Pools};
use crate::heal::hands::Hands;
use crate::heal::reconcile;
use crate::heal::runner::{self, Gates, Healing, RUNNING, Rules, stopped};
use crate::heal::told::audit;
use crate::heal::world::{Reach, World};
use crate::host::Clock;
use crate::journal::{self, Commit, Journal, OpenError, Restored};
use crate::notify::Notifiers;
use crate::peer::systemd;
use crate::serve::FailedLogins;
pub use door::Door;
use door::Inside;
use logins::Logins;
use reconciling::Reconciling;

/// How long notifiers may take to end when a reload turns healing off.
const HANDOVER: Duration = Duration::from_secs(1);

/// How long a journal that cannot be opened is left alone before it is tried again.
const AGAIN: Duration = Duration::from_secs(10);

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
    foresight: Arc<Foresight>,
    tails: Tails,
    directory: PathBuf,
    alerts: JoinHandle<()>,
    /// What this machine is called in what is told of records.
    node: watch::Sender<String>,
    /// What gates tell, put on record.
    pools: JoinHandle<()>,
    /// Logins that are refused, put on record.
    logins: Logins,
    /// Walks the chain now and then.
    proof: JoinHandle<()>,
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
            Ok(gate::Event::Out(pool, ledger)) => {
                let detail = serde_json::json!({"ledger": ledger});
                healing.heard(&pool, Gates::Out(detail)).await;
            }
            Err(broadcast::error::RecvError::Lagged(_)) => pools.again(),
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Why the journal is not open.
enum Shut {
    /// Another process has it, or the settings name no place: nothing to wait for.
    Refused(String),
    /// The machine does not let it be opened now, and whether that is for want of room.
    Cannot(String, bool),
}

fn open(directory: PathBuf, options: &journal::Options) -> Result<Opened, Shut> {
    match Journal::open(&directory, options) {
        Ok((journal, restored)) => Ok(Opened {
            journal,
            restored,
            directory,
        }),
        Err(error @ OpenError::Held { .. }) => Err(Shut::Refused(error.to_string())),
        Err(error) => Err(Shut::Cannot(error.to_string(), error.is_full())),
    }
}

/// Healing, on or off.
pub(super) struct Heal {
    pub(super) door: Arc<Door>,
    /// What asking alert servers found.
    pub(super) reconciled: Arc<reconcile::Counts>,
    /// The pools, whether healing is on or not.
    pub(super) pools: Pools,
    reconciling: Reconciling,
    /// Logins that were refused, on their way into the journal.
    pub(super) failed: Arc<FailedLogins>,
    alive: Option<Alive>,
}

impl Heal {
    /// Off; `checks` tell how the node is until it is on.
    pub(super) fn new(checks: Arc<Checks>) -> Self {
        Self {
            door: Arc::new(Door::new(checks)),
            reconciled: Arc::default(),
            pools: Pools::default(),
            reconciling: Reconciling::default(),
            failed: Arc::default(),
            alive: None,
        }
    }

    /// The same as [`prepare`](Self::prepare), but a journal that the machine does not let be opened now is noted, and tried again
    /// later.
    pub(super) async fn prepare_or_wait(
        &self,
        settings: &Settings,
        flags: &Flags,
    ) -> Result<Option<Opened>, String> {
        match self.try_prepare(settings, flags).await {
            Ok(opened) => {
                if self.door.failing().is_some() {
                    self.door.note(None);
                }
                Ok(opened)
            }
            Err(Shut::Refused(why)) => Err(why),
            Err(Shut::Cannot(why, full)) => {
                if self.door.failing().is_none() {
                    tracing::error!(
                        "nothing can be put on record, so nothing is healed and webhooks are answered 503 until it can, which is \
                         tried every {} s: {why}",
                        AGAIN.as_secs()
                    );
                }
                self.door.note(Some((&why, full)));
                Ok(None)
            }
        }
    }

    /// Ready when a journal that could not be opened is to be tried again; never while there is none such.
    pub(super) async fn due(&self) {
        match self.door.failing() {
            Some(_) => tokio::time::sleep(AGAIN).await,
            None => std::future::pending().await,
        }
    }

    /// Tries once more to open a journal that could not be opened; what goes wrong now is only noted.
    pub(super) async fn again(&self, settings: &Settings, flags: &Flags) -> Option<Opened> {
        match self.try_prepare(settings, flags).await {
            Ok(opened) => {
                self.door.note(None);
                opened
            }
            Err(Shut::Refused(why)) => {
                self.door.note(Some((&why, false)));
                None
            }
            Err(Shut::Cannot(why, full)) => {
                self.door.note(Some((&why, full)));
                None
            }
        }
    }

    /// Opens the journal if the settings want healing and it does not run yet: the part of a reload that can fail. One that could not be
    /// opened before stays so and is no reason to refuse other settings.
    pub(super) async fn prepare(
        &self,
        settings: &Settings,
        flags: &Flags,
    ) -> Result<Option<Opened>, String> {
        if self.door.failing().is_some() {
            return self.prepare_or_wait(settings, flags).await;
        }
        let opened = self.try_prepare(settings, flags).await;
        opened.map_err(|shut| match shut {
            Shut::Refused(why) | Shut::Cannot(why, _) => why,
        })
    }

    async fn try_prepare(
        &self,
        settings: &Settings,
        flags: &Flags,
    ) -> Result<Option<Opened>, Shut> {
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
        );
        let directory = directory.map_err(|why| Shut::Refused(why.to_owned()))?;
        let options = config.journal.clone();
        let opening = tokio::task::spawn_blocking(move || open(directory, &options));
        match opening.await {
            Ok(opened) => opened.map(Some),
            Err(error) => Err(Shut::Cannot(format!("opening the journal: {error}"), false)),
        }
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
        // Where the holds cannot be read, nothing is said to gates: this node may be held out.
        match self.door.failing() {
            None => self.pools.change(&house.pools),
            Some(_) => self.pools.name(&house.pools),
        }
        // Before whatever wants a check probed: what there is no check of cannot be confirmed.
        checks.change(&house.checks);
        if let Some(alive) = &self.alive {
            if !wanted(config) {
                let deadline = tokio::time::Instant::now() + HANDOVER;
                self.end(deadline, "there is nothing to heal any more")
                    .await;
            } else {
                let reach = reach(settings, house, checks, Some(&alive.directory), &self.pools);
                alive.world.change(reach);
                alive.node.send_replace(rules.node.clone());
                let hooks = config.hooks.clone();
                alive.foresight.change(rules.clone(), hooks);
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
        let foresight = Arc::new(Foresight::new(
            Arc::clone(&world),
            opened.directory.clone(),
            rules.clone(),
            config.hooks.clone(),
        ));
        let hands = Arc::clone(&world) as Arc<dyn Hands>;
        let node = watch::Sender::new(rules.node.clone());
        let named = node.subscribe();
        let notifiers = Notifiers::start(
            &config.notify,
            opened.journal.clone(),
            opened.directory.clone(),
            house.resolver.clone(),
            Arc::new(move |stored| audit::event(stored, &named.borrow())),
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
            foresight: Arc::clone(&foresight),
            directory: opened.directory.clone(),
        }));
        let anew = Arc::new(Notify::new());
        self.failed.change(&config.journal);
        let logins = Logins::start(Arc::clone(&self.failed), opened.journal.clone());
        let proof = proof::start(opened.journal.clone(), opened.directory.clone());
        self.alive = Some(Alive {
            journal: opened.journal,
            healing,
            notifiers,
            world,
            foresight,
            tails,
            directory: opened.directory,
            node,
            pools,
            logins,
            proof,
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
    pub(super) async fn end(&mut self, deadline: tokio::time::Instant, why: &str) {
        if let Some(alive) = self.alive.take() {
            alive.alerts.abort();
            alive.pools.abort();
            alive.proof.abort();
            self.reconciling.end();
            self.door.set(None);
            alive.healing.end(deadline).await;
            alive.logins.end(deadline).await;
            let mut last = Commit::of(stopped(why));
            last.settings.push((RUNNING.into(), None));
            let written = tokio::time::timeout_at(deadline, alive.journal.commit_waiting(last));
            if let Ok(Err(error)) = written.await {
                tracing::warn!(%error, "the end could not be put on record");
            }
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
    let playbooks = config.playbooks.iter();
    let playbooks = playbooks.map(|(name, playbook)| {
        let playbook = playbook.clone().with(&config.escalation);
        (name.clone(), playbook)
    });
    Rules {
        playbooks: playbooks.collect(),
        checks: config.checks.clone(),
        ours: house.ours.clone(),
        hooks: hooks.collect(),
        config: format!("{:016x}", settings.fingerprint),
        node: house.identity.hostname.clone(),
        notifiers: notifiers.collect(),
        pools: config.pools.keys().cloned().collect(),
        maintenance: config.maintenance.clone(),
        evidence: config.journal.evidence_bytes() > 0,
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
