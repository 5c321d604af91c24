//! The life of a running nodeward: start, serve, reload, drain.
//!
//! ```text
//!  start ── bind all ── first snapshot ── READY ──┬─ SIGHUP, `nodeward reload` ─> reload ─┐
//!                                                 └<───────── all or nothing ─────────────┘
//!  SIGTERM, SIGINT ─> STOPPING ── stop accepting ── finish what is open ── send what waits ── exit 0
//! ```
//!
//! One task, this one, starts, changes and ends everything else, so nothing of it needs a lock.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Interval;
use tracing::Instrument;

use super::control::state_directory;
use super::export::Export;
use super::front::Front;
use super::healing::{Heal, wanted};
use super::listeners::Listeners;
use super::status::Status;
use super::tail::Aim;
use super::told::{Brought, Hooked, Passive, Pushed, Recorded, Refused, Reload, Served};
use super::{BadSettings, Flags, House, Settings};
use crate::check::Checks;
use crate::dialect::Told;
use crate::dialect::otlp::{self, Cumulative};
use crate::dialect::zabbix::active::Active;
use crate::heal::intake::Desk;
use crate::heal::told::Shown;
use crate::model::counted::counted;
use crate::net::passed::Passed;
use crate::serve::hooks::Inbox;
use crate::serve::{Api, Control, Reloaded, Requests, Router};
use crate::subject::Asker;
use crate::telemetry::service_manager::ServiceManager;
use crate::telemetry::{Telemetry, traces};

/// What is open when the process is told to end may take this long.
const DRAIN: Duration = Duration::from_secs(5);
/// What is being sent when the config is reloaded may take this long; then it is sent anew.
const HANDOVER: Duration = Duration::from_secs(1);
/// How long the first snapshot may take before nodeward is ready all the same.
const FIRST: Duration = Duration::from_secs(5);

/// Asks the main task for a reload.
type AskReload = oneshot::Sender<Reloaded>;

/// Everything that runs.
struct Running {
    flags: Flags,
    settings: Settings,
    telemetry: Telemetry,
    manager: ServiceManager,
    house: Arc<House>,
    router: Arc<Router>,
    listeners: Listeners,
    export: Option<Export>,
    active: Option<Active>,
    ticking: Option<JoinHandle<()>>,
    checks: Arc<Checks>,
    healing: Heal,
    pushed: Arc<Pushed>,
    brought: Arc<Brought>,
    /// Series of those that outlive a reload.
    told: Vec<Arc<dyn Told>>,
    /// Where alerts go.
    inbox: Inbox,
    /// What operators ask.
    api: Arc<Api>,
    reload: Arc<Reload>,
    cumulative: Arc<Mutex<Cumulative>>,
    status: Arc<Status>,
}

/// Why nodeward could not start.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It was told to do what cannot be done.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// The machine did not let it.
    #[error("{0}")]
    Failed(String),
}

impl From<String> for Failure {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// Runs until told to end.
///
/// # Errors
/// Why it could not start.
pub async fn run(
    settings: Settings,
    flags: Flags,
    telemetry: Telemetry,
    passed: Passed,
) -> Result<(), Failure> {
    let mut outside = Outside::new()?;
    let mut reloads =
        signal(SignalKind::hangup()).map_err(|e| format!("listen for SIGHUP: {e}"))?;
    let (ask, mut asked) = mpsc::channel::<AskReload>(8);
    let manager = outside.manager.clone();
    let mut running = tokio::select! {
        () = outside.ended() => return Ok(()),
        running = Running::start(settings, flags, telemetry, manager, ask, passed) => running?,
    };
    loop {
        let reply = tokio::select! {
            () = outside.ended() => break,
            _ = reloads.recv() => None,
            Some(reply) = asked.recv() => Some(reply),
            () = running.healing.due() => {
                tokio::select! {
                    () = outside.ended() => break,
                    () = running.open() => continue,
                }
            }
        };
        // A reload that the end overtakes leaves nothing behind that the end does not close.
        tokio::select! {
            () = outside.ended() => break,
            reloaded = running.reload() => {
                if let Some(reply) = reply {
                    // Whoever asked may be gone; the reload counts all the same.
                    drop(reply.send(reloaded));
                }
            }
        }
    }
    running.end().await;
    Ok(())
}

/// What comes from outside at any time, and must not wait for anything that runs.
struct Outside {
    ends: Signal,
    breaks: Signal,
    manager: ServiceManager,
    watchdog: Option<Interval>,
}

impl Outside {
    fn new() -> Result<Self, String> {
        let listen = |kind, name| signal(kind).map_err(|e| format!("listen for {name}: {e}"));
        let manager = ServiceManager::from_env();
        Ok(Self {
            ends: listen(SignalKind::terminate(), "SIGTERM")?,
            breaks: listen(SignalKind::interrupt(), "SIGINT")?,
            watchdog: manager
                .watchdog()
                .map(|period| tokio::time::interval(period / 2)),
            manager,
        })
    }

    /// Waits until the process is told to end, and meanwhile tells the service manager that it is alive. Cancel-safe.
    async fn ended(&mut self) {
        loop {
            tokio::select! {
                _ = self.ends.recv() => return,
                _ = self.breaks.recv() => return,
                () = beat(&mut self.watchdog) => note(self.manager.alive().await),
            }
        }
    }
}

/// The next beat of the watchdog, never if there is none.
async fn beat(watchdog: &mut Option<Interval>) {
    match watchdog {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// A service manager that cannot be told is no reason to end.
fn note(told: Result<(), crate::telemetry::service_manager::Error>) {
    if let Err(error) = told {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}

impl Running {
    async fn start(
        settings: Settings,
        flags: Flags,
        telemetry: Telemetry,
        manager: ServiceManager,
        ask: mpsc::Sender<AskReload>,
        passed: Passed,
    ) -> Result<Self, Failure> {
        warn(&settings, &[]);
        let requests = Arc::<Requests>::default();
        let reload = Reload::new(settings.fingerprint);
        let status = Arc::new(Status::new(Arc::clone(&reload)));
        let checks = Arc::<Checks>::default();
        let mut healing = Heal::new(Arc::clone(&checks));
        let failed = Arc::clone(&healing.failed);
        let front = Arc::new(Front {
            status: Arc::clone(&status),
            door: Arc::clone(&healing.door),
            checks: Arc::clone(&checks),
            pools: healing.pools.clone(),
        });
        let api = Arc::new(Api::new(front, Arc::clone(&failed)));
        let mut listeners = Listeners::new(
            Arc::new(Asking { ask }),
            Arc::clone(&api),
            healing.pools.clone(),
            passed,
            Arc::clone(&failed),
        );
        let pushed = Arc::<Pushed>::default();
        let brought = Arc::<Brought>::default();
        let inbox = Inbox {
            desk: Some(Arc::clone(&healing.door) as Arc<dyn Desk>),
            failed,
            ..Inbox::default()
        };
        let door = Arc::clone(&healing.door);
        let counts = Arc::clone(&healing.door);
        let told: Vec<Arc<dyn Told>> = vec![
            Arc::clone(&reload) as Arc<dyn Told>,
            Arc::new(Served {
                requests: Arc::clone(&requests),
                connections: listeners.http(),
                handshakes: listeners.handshakes(),
                speaks: listeners.speaks(),
                web: listeners.web(),
            }),
            Arc::new(Hooked {
                counts: Arc::clone(&inbox.counts),
                reconciled: Arc::clone(&healing.reconciled),
            }),
            Arc::new(Refused(Arc::clone(&api))),
            Arc::new(Passive(listeners.passive())),
            Arc::clone(&pushed) as Arc<dyn Told>,
            Arc::clone(&brought) as Arc<dyn Told>,
            Arc::clone(&checks) as Arc<dyn Told>,
            Arc::new(healing.pools.clone()),
            Arc::clone(&healing.door) as Arc<dyn Told>,
            Arc::new(Shown(move || door.summary())),
            Arc::new(Recorded::new(move || counts.counts())),
        ];
        let (series, desk, asked) = (told.clone(), inbox.clone(), Some(Arc::clone(&api)));
        let house = Arc::new(House::with(&settings, series, desk, asked, None)?);
        let router = Router::new(Arc::clone(&house.view), Arc::clone(&requests));
        let (pools, door) = (healing.pools.clone(), Arc::clone(&healing.door));
        let node = move || match door.failing() {
            Some(failing) => format!(
                "{}, nothing can be put on record: {}",
                door.summary().node.as_str(),
                failing.why
            ),
            None => door.summary().node.as_str().to_owned(),
        };
        let router = Arc::new(router.with_health(pools, node));
        let opened = healing.prepare_or_wait(&settings, &flags).await?;
        // What was open when the process before ended is looked after before anybody can bring more.
        healing.change(opened, &settings, &house, &checks).await;
        listeners.change(&settings, &flags, &house, &router).await?;
        let mut running = Self {
            flags,
            settings,
            telemetry,
            manager,
            house,
            router,
            listeners,
            export: None,
            active: None,
            ticking: None,
            checks,
            healing,
            pushed,
            brought,
            told,
            inbox,
            api,
            reload,
            cumulative: Arc::default(),
            status,
        };
        // Ready means that the machine was read: what hangs now is parked before anybody asks.
        let first = Instant::now() + FIRST;
        drop(
            running
                .house
                .view
                .sampler
                .snapshot(Asker::Prometheus, |_| true, first)
                .await,
        );
        running.push(None);
        running.bring().await;
        running.router.set_ready(true);
        let said = running.tell();
        for line in &said {
            tracing::info!("{line}");
        }
        note(running.manager.ready(&said.join("; ")).await);
        Ok(running)
    }

    /// Where to look, and where telemetry goes, one line each; what it returns, `nodeward status` shows from now on.
    fn tell(&self) -> Vec<String> {
        let mut said = self
            .listeners
            .said(&self.settings, self.house.machine_name());
        for signal in otlp::Signal::ALL {
            let Some(route) = self.settings.otlp.route(signal) else {
                continue;
            };
            said.push(match signal {
                otlp::Signal::Logs if !wanted(&self.settings.config) => {
                    "sending no logs: they tell the journal, and there is none without hooks, playbooks or pools".into()
                }
                _ => format!("sending {} to {}", signal.name(), route.endpoint),
            });
        }
        if self.settings.otlp.is_disabled {
            said.push("sending nothing over OTLP: OTEL_SDK_DISABLED is true, which otlp.metrics, otlp.traces and otlp.logs overrule".into());
        }
        for server in &self.settings.config.zabbix.server_active {
            said.push(format!("bringing Zabbix active checks to {server}"));
        }
        if let Some(directory) = self.healing.directory() {
            said.push(format!("journal in {}", directory.display()));
        }
        self.status.tell(
            &self.house.identity.hostname,
            said.clone(),
            self.listeners.urls(),
            self.settings.files.clone(),
        );
        said
    }

    /// Starts what works on its own clock: exports, traces, the tick of Zabbix rates. `before` is the
    /// export whose place the new one takes.
    fn push(&mut self, before: Option<&Export>) {
        let state = state_directory(&self.flags, &self.settings.config, &|name| {
            std::env::var(name).ok()
        });
        self.export = Export::start(
            &self.settings.otlp,
            Arc::clone(&self.house),
            Arc::clone(&self.cumulative),
            state.as_deref(),
            before,
        );
        self.pushed
            .set(self.export.as_ref().map(|e| e.sender().clone()));
        let resource = self.house.attributes(&self.settings.otlp);
        self.aim(&resource);
        match &self.export {
            Some(export) if export.sender().sends(otlp::Signal::Traces) => {
                let on = self.telemetry.traces.turn_on(
                    Arc::new(export.sender().clone()),
                    &resource,
                    &tokio::runtime::Handle::current(),
                );
                if let Err(error) = on {
                    tracing::warn!(%error, "traces stay off");
                }
            }
            _ => self.telemetry.traces.turn_off(),
        }
        let zabbix = &self.settings.config.zabbix;
        let asked = !zabbix.listen.is_empty() || zabbix.is_active();
        self.ticking = asked.then(|| {
            let sampler = Arc::clone(&self.house.view.sampler);
            tokio::spawn(async move {
                let mut ticks = tokio::time::interval(Duration::from_secs(1));
                ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    sampler.tick().await;
                }
            })
        });
    }

    /// Brings Zabbix servers what they want to know; what was not brought before goes on.
    async fn bring(&mut self) {
        let before = self.active.take();
        let Some(values) = self.listeners.values() else {
            return;
        };
        let variable = |name: &str| std::env::var(name).ok();
        let state = state_directory(&self.flags, &self.settings.config, &variable);
        let options = &self.settings.config.zabbix;
        let resolver = &self.house.resolver;
        self.active = Active::start(options, &values, resolver, state.as_deref(), before).await;
        self.brought
            .set(self.active.as_ref().map(Active::told).unwrap_or_default());
    }

    /// Sends the journal on to where telemetry goes.
    fn aim(&self, resource: &[(String, String)]) {
        self.healing.aim(self.export.as_ref().map(|export| Aim {
            sender: export.sender().clone(),
            resource: resource.to_vec(),
        }));
    }

    /// Tries again to open a journal that could not be opened, and heals from then on.
    async fn open(&mut self) {
        let Some(opened) = self.healing.again(&self.settings, &self.flags).await else {
            return;
        };
        let (settings, house) = (&self.settings, &self.house);
        self.healing
            .change(Some(opened), settings, house, &self.checks)
            .await;
        self.aim(&self.house.attributes(&self.settings.otlp));
        self.tell();
        tracing::info!("the journal can be written: what there is to heal is healed from now on");
    }

    /// Ends the ticks, and hands finished traces to the export that is over; gives it back, still
    /// sending.
    async fn pull(&mut self, deadline: tokio::time::Instant) -> Option<Export> {
        if let Some(ticking) = self.ticking.take() {
            ticking.abort();
        }
        self.export.as_ref()?;
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if !self.telemetry.traces.flush(left).await {
            tracing::warn!("some traces were not sent before the end");
        }
        // Taken last: if the end overtakes the flush, it is still there to be stopped.
        self.export.take()
    }

    /// Reads the config again: all of it is taken, or nothing.
    async fn reload(&mut self) -> Reloaded {
        let span = tracing::info_span!(
            target: traces::TARGET,
            "config reload",
            successful = tracing::field::Empty
        );
        note(self.manager.reloading().await);
        let reloaded = self.try_reload().instrument(span.clone()).await;
        span.record("successful", reloaded.is_ok());
        drop(span);
        match &reloaded {
            Ok(said) => {
                self.reload.succeeded(self.settings.fingerprint);
                tracing::info!("{said}");
            }
            Err(wrong) => {
                self.reload.failed();
                tracing::error!("the config was not reloaded, the one before stays: {wrong}");
            }
        }
        note(self.manager.ready(&self.tell().join("; ")).await);
        reloaded
    }

    async fn try_reload(&mut self) -> Reloaded {
        let flags = self.flags.clone();
        // Files may lie on what hangs.
        let settings = tokio::task::spawn_blocking(move || Settings::resolve(&flags)).await;
        let settings = settings
            .map_err(|e| format!("reading the config: {e}"))?
            .map_err(|bad| bad.to_string())?;
        let house = House::with(
            &settings,
            self.told.clone(),
            self.inbox.clone(),
            Some(Arc::clone(&self.api)),
            Some((&self.settings, &self.house)),
        );
        let house = Arc::new(house.map_err(|bad| bad.to_string())?);
        let opened = self.healing.prepare(&settings, &self.flags).await?;
        // The last step that can fail: from here on the new config holds.
        self.listeners
            .change(&settings, &self.flags, &house, &self.router)
            .await?;
        self.router.swap(Arc::clone(&house.view));
        self.healing
            .change(opened, &settings, &house, &self.checks)
            .await;
        warn(&settings, &self.settings.warnings);
        self.telemetry.logs.apply(&settings.config.log);
        let before = self.pull(tokio::time::Instant::now() + DRAIN).await;
        let same = settings.fingerprint == self.settings.fingerprint;
        self.house = house;
        self.settings = settings;
        self.push(before.as_ref());
        self.bring().await;
        if let Some(before) = before {
            // With a successor nothing is lost by ending soon; without one, what waits gets its chance.
            let patience = self.export.as_ref().map_or(DRAIN, |_| HANDOVER);
            // Beside the main task, which has the watchdog to feed.
            tokio::spawn(before.stop(tokio::time::Instant::now() + patience));
        }
        let files = counted(self.settings.files.len(), "file");
        let changed = if same { "unchanged" } else { "changed" };
        Ok(format!("config reloaded from {files}, {changed}"))
    }

    async fn end(mut self) {
        note(self.manager.stopping().await);
        self.router.set_ready(false);
        self.checks.stop();
        tracing::info!("ending: no new connections, what is open may finish");
        let deadline = tokio::time::Instant::now() + DRAIN;
        let active = self.active.take();
        let bringing = async {
            if let Some(active) = active {
                active.stop(deadline).await;
            }
        };
        tokio::join!(self.listeners.drain(deadline), bringing);
        self.healing.end(deadline, "it was told to").await;
        if let Some(export) = self.pull(deadline).await {
            export.stop(deadline).await;
        }
        tracing::info!("ended");
    }
}

/// Says what is worth a warning and was not said before.
fn warn(settings: &Settings, said: &[String]) {
    for warning in settings.warnings.iter().filter(|w| !said.contains(w)) {
        tracing::warn!("{warning}");
    }
}

/// What the control socket can do: it asks the main task.
struct Asking {
    ask: mpsc::Sender<AskReload>,
}

impl Control for Asking {
    fn reload(&self) -> Pin<Box<dyn Future<Output = Reloaded> + Send + '_>> {
        Box::pin(async {
            let (reply, answer) = oneshot::channel();
            if self.ask.send(reply).await.is_err() {
                return Err("nodeward is ending".into());
            }
            answer
                .await
                .unwrap_or_else(|_| Err("nodeward is ending".into()))
        })
    }
}
