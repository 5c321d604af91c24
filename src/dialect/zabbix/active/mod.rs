//! Active checks: nodeward asks Zabbix servers what they want to know, and brings it.
//!
//! | module | holds |
//! | --- | --- |
//! | [`target`] | the entries of `server_active` |
//! | [`wire`] | one request and its answer |
//! | [`reply`] | what servers answer |
//! | [`delay`] | when an item is due |
//! | [`plan`] | which items there are, and which is due |
//! | [`waiting`] | values that no server has taken yet, in memory and on the disk |
//! | [`session`] | the conversation with one server |
//! | [`collect`] | collecting what is due |
//! | [`trapper`] | values of nodeward's own |
//! | [`counts`] | what is counted of it |
//! | [`clock`] | the wall clock, as values have it |
//!
//! Owns the tasks, two for each server: one talks and one collects, so that a key that hangs delays no heartbeat and a server that
//! is away delays no value. Servers share nothing: each has a session with numbers, a plan and a spool of its own. Knows no subject.

mod clock;
mod collect;
pub mod counts;
pub mod delay;
pub mod plan;
pub mod reply;
mod session;
pub mod target;
pub mod trapper;
pub mod waiting;
pub mod wire;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::counts::{Counts, Fate};
use self::plan::Plan;
use self::session::{Session, Shared};
use self::target::Target;
use self::trapper::Trapper;
use self::waiting::Waiting;
use self::wire::Wire;
use super::key::Key;
use super::values::Values;
use crate::dialect::spool::{Bounds, Loss, Losses, Spool};
use crate::net::address::Address;
use crate::net::endpoint::{Place, percent_encoded};
use crate::net::resolve::Resolver;
use crate::telemetry::Often;

use super::options::Options;

/// The directory of spools below the state directory.
const SPOOL: &str = "zabbix-spool";
/// Bytes of a directory's name, at most.
const LONGEST_NAME: usize = 200;
/// How soon a server that did not answer is tried again, first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What this agent says of itself, and how it goes about its work.
pub(super) struct Face {
    pub(super) hostname: String,
    metadata: String,
    metadata_item: Option<Key<'static>>,
    interface: String,
    interface_item: Option<Key<'static>>,
    /// Where it listens for passive checks, for autoregistration.
    pub(super) ip: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) refresh: Option<Duration>,
    pub(super) heartbeat: Duration,
    pub(super) buffer_send: Duration,
    pub(super) timeout: Duration,
    pub(super) values: Arc<Values>,
    /// Every server that the config names.
    pub(super) named: Vec<Place>,
    /// Of items without a value, metadata's and interface's.
    untold: [Often; 2],
}

impl Face {
    fn new(options: &Options, targets: &[Target], values: Arc<Values>) -> Self {
        let key = |text: &Option<String>| {
            let key = Key::parse(text.as_deref()?).ok()?;
            Some(key.into_owned())
        };
        let listens = options.listen.first().and_then(|text| text.parse().ok());
        let (ip, port) = match listens {
            Some(Address::Ip(at)) if !at.ip().is_unspecified() => {
                (Some(at.ip().to_string()), Some(at.port()))
            }
            Some(Address::Ip(at)) => (None, Some(at.port())),
            Some(Address::All(port) | Address::Name { port, .. }) => (None, Some(port)),
            Some(Address::Unix(_) | Address::Passed) | None => (None, None),
        };
        Self {
            hostname: values.hostname().to_owned(),
            metadata: options.host_metadata.clone(),
            metadata_item: key(&options.host_metadata_item),
            interface: options.host_interface.clone(),
            interface_item: key(&options.host_interface_item),
            ip,
            port: port.filter(|port| *port > 0),
            refresh: options.refresh_active_checks.map(Duration::from),
            heartbeat: options.heartbeat.get(),
            buffer_send: options.buffer_send.get(),
            timeout: options.timeout.get(),
            values,
            named: targets.iter().flat_map(Target::nodes).cloned().collect(),
            untold: Default::default(),
        }
    }

    /// Metadata and interface for a registration, as they are now.
    pub(super) async fn said(&self) -> (String, String) {
        let [metadata, interface] = &self.untold;
        let metadata = self
            .item(
                self.metadata_item.as_ref(),
                2034,
                ("host_metadata_item", metadata),
            )
            .await;
        let interface = self
            .item(
                self.interface_item.as_ref(),
                255,
                ("host_interface_item", interface),
            )
            .await;
        (
            metadata.unwrap_or_else(|| self.metadata.clone()),
            interface.unwrap_or_else(|| self.interface.clone()),
        )
    }

    async fn item(
        &self,
        key: Option<&Key<'static>>,
        most: usize,
        (setting, untold): (&str, &Often),
    ) -> Option<String> {
        let deadline = Instant::now() + self.timeout;
        match self.values.for_own_use(key?, deadline.into_std()).await {
            Ok(value) => Some(cut(&value, most).to_owned()),
            Err(why) => {
                if untold.say(std::time::Instant::now()).is_some() {
                    tracing::warn!("zabbix.{setting} has no value, and nothing is told: {why}");
                }
                None
            }
        }
    }
}

/// As many bytes as fit, in whole letters.
fn cut(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most))
        .unwrap_or_default()
}

/// A text as JSON writes it, quotes included.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// All servers that are brought values.
pub struct Active {
    links: Vec<Link>,
}

/// One server.
struct Link {
    target: Target,
    counts: Arc<Counts>,
    /// Active checks, if it is asked for some.
    shared: Option<Arc<Shared>>,
    /// Values of nodeward's own, if it is brought them.
    own: Option<Arc<Waiting>>,
    closing: watch::Sender<Option<Instant>>,
    /// Those that bring.
    talking: Vec<JoinHandle<()>>,
    collecting: Option<JoinHandle<()>>,
}

/// Losses of a spool, as values.
struct Lost(Arc<Counts>);

impl Losses for Lost {
    fn lost(&self, why: Loss, items: u64) {
        let fate = match why {
            Loss::Full => Fate::SpoolFull,
            Loss::Expired => Fate::Expired,
            Loss::Damaged => Fate::Damaged,
        };
        self.0.fate(fate, items);
    }
}

/// What all links are made with.
struct Means<'a> {
    options: &'a Options,
    face: Arc<Face>,
    wire: Wire,
    zone: TimeZone,
    state: Option<&'a Path>,
}

impl Active {
    /// Starts talking to each server of the options; nothing if there is none. `state` is the state directory. What `before` has not
    /// brought yet goes on with its session and numbers where the server is the same.
    pub async fn start(
        options: &Options,
        values: &Arc<Values>,
        resolver: &Resolver,
        state: Option<&Path>,
        before: Option<Self>,
    ) -> Option<Self> {
        let mut kept = HashMap::new();
        for link in before.into_iter().flat_map(|before| before.links) {
            let link = link.halted().await;
            kept.insert(link.target.name().to_owned(), link);
        }
        let read = |texts: &[String]| -> Vec<Target> {
            // What is no target was refused with the config.
            texts
                .iter()
                .filter_map(|text| Target::parse(text).ok())
                .collect()
        };
        let trapper = options.trapper.as_ref();
        let active = read(&options.server_active);
        let own = trapper.map_or_else(Vec::new, |own| read(own.targets(&options.server_active)));
        let face = Arc::new(Face::new(options, &active, Arc::clone(values)));
        let client = options.client();
        if let Some(client) = &client {
            client.prepare().await;
        }
        let means = Means {
            wire: Wire::new(resolver.clone(), face.timeout, client),
            face,
            options,
            zone: TimeZone::system(),
            state,
        };
        let mut links: Vec<Link> = Vec::new();
        for target in active
            .iter()
            .chain(own.iter().filter(|target| !active.contains(target)))
        {
            let before = kept.remove(target.name());
            let own = trapper.filter(|_| own.contains(target));
            links.push(means.link(target, active.contains(target), own, before));
        }
        for gone in kept.into_values() {
            for waiting in gone.waiting() {
                waiting.spill().await;
                waiting.end();
            }
        }
        (!links.is_empty()).then_some(Self { links })
    }

    /// Collects no more, and brings what waits until `deadline`; what is left goes to the spool.
    pub async fn stop(self, deadline: Instant) {
        for link in &self.links {
            link.collecting.iter().for_each(JoinHandle::abort);
            link.closing.send_replace(Some(deadline));
        }
        for talking in self.links.into_iter().flat_map(|link| link.talking) {
            // Beyond it is the disk's time.
            drop(tokio::time::timeout_at(deadline + Duration::from_secs(1), talking).await);
        }
    }

    /// What is told of each server.
    pub fn told(&self) -> Vec<Told> {
        let links = self.links.iter();
        let told = links.map(|link| Told {
            server: link.target.name().to_owned(),
            counts: Arc::clone(&link.counts),
            waiting: link.waiting().cloned().collect(),
        });
        told.collect()
    }
}

impl Link {
    /// Ends its tasks and keeps what is to go on.
    async fn halted(mut self) -> Self {
        for task in self.talking.drain(..).chain(self.collecting.take()) {
            task.abort();
            // One that was cut off is what was wanted.
            drop(task.await);
        }
        // Whoever goes on would bring what is younger before it.
        for waiting in self.waiting() {
            waiting.settled().await;
        }
        self
    }

    fn waiting(&self) -> impl Iterator<Item = &Arc<Waiting>> {
        let shared = self.shared.iter().map(|shared| &shared.waiting);
        shared.chain(&self.own)
    }
}

impl Means<'_> {
    fn link(
        &self,
        target: &Target,
        active: bool,
        own: Option<&trapper::Options>,
        before: Option<Link>,
    ) -> Link {
        let (counts, shared_before, own_before) = match before {
            Some(before) => (before.counts, before.shared, before.own),
            None => (Arc::default(), None, None),
        };
        let (closing, closed) = watch::channel(None);
        let unwanted = shared_before
            .iter()
            .filter(|_| !active)
            .map(|shared| &shared.waiting);
        for waiting in unwanted.chain(own_before.iter().filter(|_| own.is_none())) {
            let waiting = Arc::clone(waiting);
            tokio::spawn(async move {
                waiting.spill().await;
                waiting.end();
            });
        }
        let mut link = Link {
            target: target.clone(),
            counts,
            shared: None,
            own: None,
            closing,
            talking: Vec::new(),
            collecting: None,
        };
        if active {
            let (waiting, plan) = match shared_before {
                Some(before) => {
                    let plan = std::mem::take(&mut *before.plan()).resumed(clock::seconds());
                    (Arc::clone(&before.waiting), plan)
                }
                None => (self.waits(target, "", &link.counts), Plan::default()),
            };
            self.bound(&waiting);
            let shared = Arc::new(Shared::new(
                target.clone(),
                waiting,
                Arc::clone(&link.counts),
                plan,
            ));
            let (face, zone) = (Arc::clone(&self.face), self.zone.clone());
            let collecting = collect::collect(Arc::clone(&shared), Arc::clone(&face), zone.clone());
            let session = Session::new(Arc::clone(&shared), face, self.wire.clone(), zone);
            link.talking.push(tokio::spawn(session.run(closed.clone())));
            link.collecting = Some(tokio::spawn(collecting));
            link.shared = Some(shared);
        }
        if let Some(options) = own {
            let waiting = own_before.unwrap_or_else(|| self.waits(target, "-own", &link.counts));
            self.bound(&waiting);
            let trapper = Trapper {
                target: target.clone(),
                face: Arc::clone(&self.face),
                wire: self.wire.clone(),
                waiting: Arc::clone(&waiting),
                counts: Arc::clone(&link.counts),
                options: options.clone(),
                unwanted: Often::default(),
            };
            link.talking.push(tokio::spawn(trapper.run(closed)));
            link.own = Some(waiting);
        }
        link
    }

    fn bound(&self, waiting: &Waiting) {
        waiting.bound(usize::from(self.options.buffer_size));
        if let (Some(spool), Some(bounds)) = (waiting.spool(), self.options.spool.bounds()) {
            spool.bound(bounds);
        }
    }

    fn waits(&self, target: &Target, kind: &str, counts: &Arc<Counts>) -> Arc<Waiting> {
        let spool = self
            .options
            .spool
            .bounds()
            .zip(self.state)
            .map(|(bounds, state)| {
                let directory = state.join(SPOOL).join(directory(target) + kind);
                spool(&directory, bounds, counts)
            });
        let most = usize::from(self.options.buffer_size);
        Arc::new(Waiting::new(most, spool, Arc::clone(counts)))
    }
}

/// One server, to be told of.
#[derive(Clone)]
pub struct Told {
    /// As the config names it, in its one spelling.
    pub server: String,
    /// What became of requests and values.
    pub counts: Arc<Counts>,
    /// What waits: for active checks, and of nodeward's own.
    pub waiting: Vec<Arc<Waiting>>,
}

fn spool(directory: &Path, bounds: Bounds, counts: &Arc<Counts>) -> Arc<Spool> {
    let losses = Arc::new(Lost(Arc::clone(counts)));
    Arc::new(Spool::new(directory.to_owned(), "zabbix", bounds, losses))
}

/// A name for the directory of a server's spool.
fn directory(target: &Target) -> String {
    let name = percent_encoded(target.name());
    match name.len() <= LONGEST_NAME {
        true => name,
        false => {
            let mut sum = flate2::Crc::new();
            sum.update(name.as_bytes());
            format!("{}-{:08x}", cut(&name, LONGEST_NAME), sum.sum())
        }
    }
}

#[cfg(test)]
mod tests;
