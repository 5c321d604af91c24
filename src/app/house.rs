//! What stands between two reloads: the sampler, and who tells and answers from it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use super::{BadSettings, Settings, told};
use crate::check::{Plan, World};
use crate::dialect::Told;
use crate::dialect::otlp::{self, Cumulative, Metrics, Resource, Settings as Otlp};
use crate::dialect::zabbix::answer::{Answering, Answers, Looking, Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::dialect::zabbix::options::is_hostname;
use crate::dialect::zabbix::passive;
use crate::gate;
use crate::heal::intake::Ours;
use crate::host::{CallKey, Called, Host, Identity, Own, apart, known_boot_time};
use crate::model::moment::Timestamp;
use crate::net::resolve::Resolver;
use crate::peer::container::Engine;
use crate::serve::hooks::{Hooks, Inbox};
use crate::serve::{Access, Api, View};
use crate::subject::{Machine, Sampler, Snapshot};

/// Everything that one config made.
pub struct House {
    /// What HTTP serves.
    pub view: Arc<View>,
    /// The checks, ready to be probed.
    pub checks: Plan,
    /// Who the machine is.
    pub identity: Identity,
    /// Looks up every name that the config holds.
    pub resolver: Resolver,
    /// The pools, ready to be driven.
    pub pools: gate::Plan,
    /// What probes reach.
    pub probes: World,
    /// Which alerts are its own.
    pub ours: Ours,
    machine: Located,
}

/// A machine and what is read of it once: boot time moves by a second when the clock is stepped, and every consumer would
/// take that for a reset.
#[derive(Clone)]
struct Located {
    host: Arc<Host>,
    identity: Identity,
    own: Arc<told::Process>,
}

impl Located {
    fn new(host: Host) -> Self {
        // Of the real machine, whose ticks count from its own boot.
        let own = Own::new(Host::default().identity().boot_time);
        Self {
            identity: host.identity(),
            host: Arc::new(host),
            own: Arc::new(told::Process(own)),
        }
    }
}

impl House {
    /// Builds it; all that is wrong in one go. Must be called on the runtime.
    pub fn build(settings: &Settings) -> Result<Self, BadSettings> {
        Self::with(settings, Vec::new(), Inbox::default(), None, None)
    }

    /// Builds it, with series of those that outlive a reload, with where alerts go, and with what operators ask. What the new settings leave as it was is taken over from
    /// `before`: the machine with its parked calls and its boot time, the resolver, and the sampler with all it keeps.
    pub fn with(
        settings: &Settings,
        mut told: Vec<Arc<dyn Told>>,
        inbox: Inbox,
        api: Option<Arc<Api>>,
        before: Option<(&Settings, &Self)>,
    ) -> Result<Self, BadSettings> {
        let config = &settings.config;
        let same_machine = before.filter(|(old, _)| old.config.roots == config.roots);
        let machine = same_machine.map_or_else(
            || Located::new(Host::new(config.roots.clone())),
            |(_, house)| house.machine.clone(),
        );
        if same_machine.is_none() {
            for why in machine.host.lacks() {
                tracing::warn!("{why}; what is read there is not told");
            }
        }
        let mut identity = machine.identity.clone();
        if let Some(name) = &config.node.name {
            identity.hostname.clone_from(name);
        }
        let same_subjects = same_machine.filter(|(old, _)| old.config.subjects == config.subjects);
        let sampler = match same_subjects {
            Some((_, house)) => Arc::clone(&house.view.sampler),
            None => {
                let before = same_machine.map(|(_, house)| &*house.view.sampler);
                let machine = Machine {
                    host: Arc::clone(&machine.host),
                    runtime: tokio::runtime::Handle::try_current().ok(),
                };
                Arc::new(
                    Sampler::start(&config.subjects, &machine, before)
                        .map_err(|wrong| settings.refused(&wrong))?,
                )
            }
        };
        told.push(Arc::new(told::Build));
        told.push(Arc::clone(&machine.own) as Arc<dyn Told>);
        told.push(Arc::new(told::Reading(Arc::clone(&sampler))));
        let (hostname, named) = (&machine.identity.hostname, &identity.hostname);
        let full_name = machine.host.full_name(hostname);
        let names = [hostname, named].into_iter().chain(&full_name);
        let ours = Ours::new(
            &config.node.matching,
            names.map(String::as_str),
            machine.host.addresses(),
        );
        let resolver = before.map_or_else(Resolver::default, |(_, house)| house.resolver.clone());
        let world = World {
            sampler: Arc::clone(&sampler),
            resolver: resolver.clone(),
            container: Arc::new(Engine::new(&config.container)),
        };
        let checks =
            Plan::new(&config.checks, &world).map_err(|wrong| settings.wrong_checks(&wrong))?;
        let reach = gate::World {
            resolver: resolver.clone(),
            sampler: Some(Arc::clone(&sampler)),
        };
        let pools =
            gate::Plan::new(&config.pools, &reach).map_err(|wrong| settings.wrong_pools(&wrong))?;
        let wrong = super::settings::wrong_probes(config, &world);
        if !wrong.is_empty() {
            return Err(settings.wrong_keys(&wrong));
        }
        let view = View {
            sampler,
            told,
            hooks: Hooks::new(&config.hooks, inbox),
            api: Access::new(&config.api, api),
            options: config.http.clone(),
        };
        Ok(Self {
            view: Arc::new(view),
            checks,
            pools,
            probes: world,
            identity,
            resolver,
            ours,
            machine,
        })
    }

    /// Answers a Zabbix key: those of a subject from it, those of nodeward's own series at once. Those of the agent itself
    /// are the server's ([`passive`](Self::passive)).
    pub async fn answer(&self, key: &Key<'_>, deadline: Instant) -> Result<Value, Unsupported> {
        // Most keys are of subjects, and those are found by one look.
        if !self.view.sampler.knows(key.name())
            && let Some(said) = self.view.told.iter().find_map(|told| told.zabbix(key))
        {
            return said;
        }
        self.view.sampler.answer(key, deadline).await
    }

    /// The options of Zabbix with what keys of their own say of this host filled in: its name and its metadata. One without a value is
    /// left out, with a warning.
    pub async fn named(self: &Arc<Self>, options: &passive::Options) -> passive::Options {
        let mut named = options.clone();
        if named.hostname.is_none()
            && let Some(name) = self.said(options, options.hostname_item.as_deref()).await
        {
            match is_hostname(&name) {
                true => named.hostname = Some(name),
                false => tracing::warn!(
                    "zabbix.hostname_item says {name:?}, which cannot be a host on a Zabbix server; the name of the node is taken"
                ),
            }
        }
        if let Some(metadata) = self
            .said(options, options.host_metadata_item.as_deref())
            .await
        {
            named.host_metadata = metadata;
        }
        named
    }

    async fn said(
        self: &Arc<Self>,
        options: &passive::Options,
        key: Option<&str>,
    ) -> Option<String> {
        let key = Key::parse(key?).ok()?;
        let deadline = Instant::now() + options.timeout.get();
        let server = self.passive(options, Arc::default()).ok()?;
        match server.values().for_own_use(&key, deadline).await {
            Ok(value) => Some(value.trim_end().to_owned()),
            Err(why) => {
                tracing::warn!(
                    "zabbix: {key} has no value, so that it says nothing of this host: {why}"
                );
                None
            }
        }
    }

    /// Who answers Zabbix servers: the subjects, and for the keys of the agent itself the server.
    ///
    /// # Errors
    /// Everything that is wrong with the options.
    pub fn passive(
        self: &Arc<Self>,
        options: &passive::Options,
        counters: Arc<passive::Counters>,
    ) -> Result<passive::Server, String> {
        let answers = Arc::clone(self) as Arc<dyn Answers>;
        let (node, resolver) = (&self.identity.hostname, self.resolver.clone());
        passive::Server::new(options, node, answers, counters, resolver).map_err(|wrong| {
            let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
            wrong.join("\n")
        })
    }

    /// The machine.
    #[must_use]
    pub fn host(&self) -> Arc<Host> {
        Arc::clone(&self.machine.host)
    }

    /// What the machine calls itself, whatever the config calls it.
    #[must_use]
    pub fn machine_name(&self) -> &str {
        &self.machine.identity.hostname
    }

    /// The resource of everything sent about this machine.
    #[must_use]
    pub fn resource(&self, settings: &Otlp) -> Resource {
        otlp::resource(&self.attributes(settings))
    }

    /// The same as names and values.
    #[must_use]
    pub fn attributes(&self, settings: &Otlp) -> Vec<(String, String)> {
        otlp::attributes(&self.identity, &settings.resource)
    }

    /// Has `encode` make what it makes of a snapshot as a batch, with the series of nodeward itself; `before` is the
    /// snapshot of the batch before, `boot` the boot time in Unix seconds.
    pub fn batch<T>(
        &self,
        (snapshot, before): (&Snapshot, Option<&Snapshot>),
        boot: Option<u64>,
        cumulative: &mut Cumulative,
        encode: impl FnOnce(Metrics<'_>) -> T,
    ) -> T {
        let now = snapshot.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut metrics = Metrics::new(
            cumulative,
            boot.unwrap_or(0).saturating_mul(1_000_000_000),
            now,
        );
        snapshot.otlp(before, &mut metrics);
        metrics.own();
        for told in &self.view.told {
            told.otlp(&mut metrics);
        }
        self.view.sampler.counters().refused(metrics.duplicates());
        encode(metrics)
    }

    /// A snapshot as the OTLP request it would become, in readable JSON; `state` is the state directory, of which nothing but the boot time
    /// is read.
    #[must_use]
    pub fn otlp_json(&self, snapshot: &Snapshot, settings: &Otlp, state: Option<&Path>) -> Vec<u8> {
        let resource = self.resource(settings);
        let boot = known_boot_time(&self.identity, state, Timestamp::now().seconds());
        let mut cumulative = Cumulative::default();
        let request = self.batch((snapshot, None), boot, &mut cumulative, |metrics| {
            otlp::request(metrics.metrics().to_vec(), &resource)
        });
        let mut text = serde_json::to_vec_pretty(&request).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

/// A path on a mount that hangs parks itself, and no other.
async fn real_paths(
    host: Arc<Host>,
    paths: Vec<String>,
    deadline: Instant,
) -> Option<Vec<Option<String>>> {
    let keys = paths
        .iter()
        .map(|path| CallKey::from(Path::new(path).as_os_str()));
    let keys: Vec<CallKey> = keys.collect();
    let looked = apart("links", move |_| {
        let calls = host.link_calls().clone();
        let real = move |path: &std::ffi::OsStr| host.real_path(Path::new(path));
        calls.each("realpath", keys, deadline, real)
    });
    let looked = looked.await.ok()?.into_iter();
    let known = looked.map(|called| match called {
        Called::Done(real) => Some(real),
        Called::Parked | Called::Busy => None,
    });
    known.collect()
}

impl Answers for House {
    fn answer<'a>(&'a self, key: &'a Key<'a>, deadline: Instant) -> Answering<'a> {
        Box::pin(Self::answer(self, key, deadline))
    }

    fn real_paths(&self, paths: Vec<String>, deadline: Instant) -> Looking<'_> {
        Box::pin(real_paths(Arc::clone(&self.machine.host), paths, deadline))
    }
}
