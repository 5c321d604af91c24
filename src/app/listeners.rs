//! The sockets nodeward listens on, and what serves their connections.
//!
//! A reload binds what is new before it closes what is gone, so that a port that is taken leaves everything as it was.
//! Where only a socket of our own that is to close is in the way (`127.0.0.1:9100` becomes `:9100`), that one closes
//! first, and is opened again if the new one cannot be. The control socket alone may fail: then there is a warning,
//! and serving goes on.

mod place;

pub use place::own_url;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::{Flags, House, Settings, control};
use crate::dialect::zabbix::passive;
use crate::dialect::zabbix::values::Values;
use crate::gate::Pools;
use crate::net::accept::{Counters, Drain, Serve, accept};
use crate::net::address::Address;
use crate::net::bind::Bound;
use crate::net::passed::Passed;
use crate::net::server::{self, Handler, Http, Limits};
use crate::net::stream::{Peer, Stream};
use crate::net::tls::{self, Handshakes};
use crate::serve::web::{Terms, Web, WebRouter};
use crate::serve::{
    Api, ApiRouter, Control, ControlRouter, FailedLogins, HookRouter, Refused, Router,
};

/// How long what is open may take when its socket closes.
const GRACE: Duration = Duration::from_secs(3);
/// Bodies of all open requests of a listener together, in bytes: four of the largest.
const BODIES: usize = 16 << 20;
/// Connections of the control socket: a few people and scripts.
const CONTROL_CONNECTIONS: usize = 16;

/// Connections of all sockets of gates together: a load balancer closes each at once.
const GATE_CONNECTIONS: usize = 128;

/// Whose connections a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Http,
    Hooks,
    Api,
    Zabbix,
    Gate,
    Control,
}

/// A socket, by what it is for and the one spelling of its address.
type Name = (Kind, String);

/// What is to be open.
type Wanted = BTreeMap<Name, Address>;

struct Open {
    /// Where it listens, with the port the kernel chose.
    at: Address,
    stop: watch::Sender<bool>,
    /// Done once it listens no more.
    closed: oneshot::Receiver<()>,
    task: JoinHandle<()>,
}

/// All open sockets.
pub(super) struct Listeners {
    open: BTreeMap<Name, Open>,
    zabbix: Option<watch::Sender<Arc<passive::Server>>>,
    passive: Arc<passive::Counters>,
    http: Arc<Counters>,
    handshakes: Arc<tls::Counters>,
    /// What `http.listen`, `hooks.listen` and `api.listen` speak.
    http_tls: tls::Slot,
    hooks_tls: tls::Slot,
    api_tls: tls::Slot,
    /// What is asked of who uses `http.listen`.
    web: Arc<Web>,
    /// Who was not let in.
    failed: Arc<FailedLogins>,
    /// Who answers at the sockets of gates.
    pools: Pools,
    control: Arc<ControlRouter>,
    control_counters: Arc<Counters>,
    /// Why there is no control socket, as it was last said.
    control_trouble: Option<String>,
    /// The sockets that systemd passed, until they are taken.
    passed: Passed,
    /// How many there were.
    passed_count: usize,
}

impl Listeners {
    pub(super) fn new(
        control: Arc<dyn Control>,
        api: Arc<Api>,
        pools: Pools,
        passed: Passed,
        failed: Arc<FailedLogins>,
    ) -> Self {
        Self {
            passed_count: passed.len(),
            passed,
            open: BTreeMap::new(),
            zabbix: None,
            passive: Arc::default(),
            http: Arc::default(),
            handshakes: Arc::default(),
            http_tls: tls::Slot::default(),
            hooks_tls: tls::Slot::default(),
            api_tls: tls::Slot::default(),
            web: Arc::new(Web::new(Arc::clone(&failed))),
            failed,
            pools,
            control: Arc::new(ControlRouter::new(control, api)),
            control_counters: Arc::default(),
            control_trouble: None,
        }
    }

    /// How passive checks went, whichever server answered them.
    pub(super) fn passive(&self) -> Arc<passive::Counters> {
        Arc::clone(&self.passive)
    }

    /// Who knows the values of Zabbix keys.
    pub(super) fn values(&self) -> Option<Arc<Values>> {
        let server = self.zabbix.as_ref()?.borrow();
        Some(Arc::clone(server.values()))
    }

    /// How connections of the HTTP listeners went.
    pub(super) fn http(&self) -> Arc<Counters> {
        Arc::clone(&self.http)
    }

    /// How TLS handshakes of the HTTP listeners went.
    pub(super) fn handshakes(&self) -> Arc<tls::Counters> {
        Arc::clone(&self.handshakes)
    }

    /// What is asked of who uses `http.listen`.
    pub(super) fn web(&self) -> Arc<Web> {
        Arc::clone(&self.web)
    }

    /// What the HTTP listeners speak, by the section of the config they are of.
    pub(super) fn speaks(&self) -> [(&'static str, tls::Slot); 3] {
        [
            ("http", self.http_tls.clone()),
            ("hooks", self.hooks_tls.clone()),
            ("api", self.api_tls.clone()),
        ]
    }

    /// Opens and closes what the settings ask for; on an error nothing has changed.
    pub(super) async fn change(
        &mut self,
        settings: &Settings,
        flags: &Flags,
        house: &Arc<House>,
        router: &Arc<Router>,
    ) -> Result<(), String> {
        let mut wanted = wanted(settings, self.passed_count)?;
        let options = house.named(&settings.config.zabbix).await;
        let server = house.passive(&options, Arc::clone(&self.passive));
        let server = Arc::new(server?);
        server.prepare().await;
        let http_tls = place::tls("http", settings.config.http.tls.as_ref()).await?;
        let hooks_tls = place::tls("hooks", settings.config.hooks.tls.as_ref()).await?;
        let api_tls = place::tls("api", settings.config.api.tls.as_ref()).await?;
        let web = place::web(settings, &self.web, &self.http_tls).await?;
        let first = || watch::Sender::new(Arc::clone(&server));
        let servers = self.zabbix.get_or_insert_with(first).clone();
        // A control socket that is to stay is in nobody's way, and one that is to move closes below.
        let control = control_place(settings, flags);
        wanted.extend(control.clone());
        let mut bound = self.bind(&wanted, house, router, &servers).await?;
        servers.send_replace(server);
        match web {
            Some(web) => web.begin(),
            None => {
                self.http_tls.set_look(None);
                self.web.set_look(None);
                self.web.set(Terms::default());
                self.http_tls.set(http_tls);
            }
        }
        self.hooks_tls.set(hooks_tls);
        self.api_tls.set(api_tls);
        if let Some((name, at)) = control.filter(|(name, _)| !self.open.contains_key(name)) {
            bound.extend(
                self.bind_control(&at, settings, flags, house)
                    .await
                    .map(|b| (name, b)),
            );
        }
        self.open.retain(|name, open| {
            let keep = wanted.contains_key(name);
            if !keep {
                let stop = open.stop.clone();
                match name.0 {
                    // Open for as long as what was placed through it is taken back.
                    Kind::Gate => {
                        let (pools, at) = (self.pools.clone(), name.1.clone());
                        tokio::spawn(async move {
                            pools.left(&at).await;
                            stop.send_replace(true);
                        });
                    }
                    _ => drop(stop.send_replace(true)),
                }
            }
            keep
        });
        for (name, socket) in bound {
            let open = self.serve(name.0, socket, router, &servers);
            self.open.insert(name, open);
        }
        Ok(())
    }

    /// Binds what is not open yet, the control socket left out; on an error everything is open that was.
    async fn bind(
        &mut self,
        wanted: &Wanted,
        house: &House,
        router: &Arc<Router>,
        servers: &watch::Sender<Arc<passive::Server>>,
    ) -> Result<Vec<(Name, Bound)>, String> {
        let mut bound = Vec::new();
        let mut taken = Vec::new();
        let asked = wanted.iter().filter(|(name, address)| {
            **address == Address::Passed && !self.open.contains_key(*name)
        });
        let asked: Vec<_> = asked.map(|(name, _)| name.clone()).collect();
        if !asked.is_empty() {
            // All of them or none: they are taken once, and stay until they are wanted no more.
            let passed = self.passed.bound().map_err(|error| {
                format!("cannot listen on the sockets that systemd passed: {error}")
            })?;
            if passed.len() != asked.len() {
                return Err("the sockets that systemd passed were closed by an earlier reload; restart the unit".into());
            }
            bound.extend(asked.into_iter().zip(passed));
        }
        for (name, address) in wanted.iter().filter(|(_, at)| **at != Address::Passed) {
            if name.0 == Kind::Control || self.open.contains_key(name) {
                continue;
            }
            match Bound::to(address, &house.resolver).await {
                Ok(socket) => bound.push((name.clone(), socket)),
                Err(e)
                    if e.kind() == ErrorKind::AddrInUse
                        && self.in_way(address, wanted).is_some() =>
                {
                    taken.push((name, address));
                }
                Err(error) => return Err(place::refusal(name, &error, house)),
            }
        }
        let mut closed = Vec::new();
        for (name, address) in taken {
            while let Some(old) = self.in_way(address, wanted) {
                closed.extend(self.close(&old).await.map(|at| (old, at)));
            }
            match Bound::to(address, &house.resolver).await {
                Ok(socket) => bound.push((name.clone(), socket)),
                Err(error) => {
                    let mut why = place::refusal(name, &error, house);
                    drop(bound);
                    for (old, at) in closed {
                        match Bound::to(&at, &house.resolver).await {
                            Ok(socket) => {
                                let open = self.serve(old.0, socket, router, servers);
                                self.open.insert(old, open);
                            }
                            Err(error) => {
                                let lost = place::refusal(&old, &error, house);
                                why.push_str(&format!(
                                    "\nand what was open before is lost: {lost}"
                                ));
                            }
                        }
                    }
                    return Err(why);
                }
            }
        }
        Ok(bound)
    }

    /// An open socket that is to close and keeps `address` from being bound.
    fn in_way(&self, address: &Address, wanted: &Wanted) -> Option<Name> {
        let in_way = |open: &Open| match (place::port(&open.at), place::port(address)) {
            (Some(open), Some(wanted)) => open == wanted,
            _ => open.at == *address,
        };
        self.open
            .iter()
            .find(|(name, open)| !wanted.contains_key(name) && in_way(open))
            .map(|(name, _)| name.clone())
    }

    /// Stops listening on a socket, whose connections may come to their end; where it was.
    async fn close(&mut self, name: &Name) -> Option<Address> {
        let open = self.open.remove(name)?;
        open.stop.send_replace(true);
        // An error means as well that nobody listens any more.
        drop(open.closed.await);
        Some(open.at)
    }

    /// The control socket, if it can be bound.
    async fn bind_control(
        &mut self,
        at: &Address,
        settings: &Settings,
        flags: &Flags,
        house: &House,
    ) -> Option<Bound> {
        let Address::Unix(path) = at else { return None };
        let named = flags.socket.is_some() || settings.config.control.is_some();
        let bound = match control::make_directory(path, named) {
            Ok(()) => Bound::to(at, &house.resolver)
                .await
                .map_err(|e| place::chain(&e)),
            Err(why) => Err(why),
        };
        let trouble = bound.as_ref().err().map(|why| {
            format!(
                "no control socket at {}: {why}; nodeward status and reload will not find this process \
                 (--socket, control)",
                path.display()
            )
        });
        if let Some(trouble) = &trouble
            && self.control_trouble.as_ref() != Some(trouble)
        {
            tracing::warn!("{trouble}");
        }
        self.control_trouble = trouble;
        bound.ok()
    }

    fn serve(
        &self,
        kind: Kind,
        bound: Bound,
        router: &Arc<Router>,
        servers: &watch::Sender<Arc<passive::Server>>,
    ) -> Open {
        let (stop, mut stopped) = watch::channel(false);
        let (closing, closed) = oneshot::channel::<()>();
        let stopped = async move {
            drop(stopped.changed().await);
            // The acceptor drops its socket in the same step: on the one runtime thread nobody hears of this before.
            drop(closing);
        };
        let at = match bound.local() {
            Some(local) => Address::Ip(local),
            None => bound.address().clone(),
        };
        let mut limits = Limits::default();
        limits.accept.drain = GRACE;
        limits.bodies = BODIES;
        let task = match kind {
            Kind::Control => {
                limits.accept.connections = CONTROL_CONNECTIONS;
                let counters = Arc::clone(&self.control_counters);
                let control = Arc::clone(&self.control);
                tokio::spawn(server::serve(bound, control, limits, counters, stopped))
            }
            Kind::Http => {
                let router = WebRouter::new(Arc::clone(router), Arc::clone(&self.web));
                self.serve_http(bound, Arc::new(router), limits, "http", stopped)
            }
            Kind::Hooks => {
                let router = Arc::new(HookRouter::new(Arc::clone(router)));
                self.serve_http(bound, router, limits, "hooks", stopped)
            }
            Kind::Api => {
                let router = Arc::new(ApiRouter::new(Arc::clone(router)));
                self.serve_http(bound, router, limits, "api", stopped)
            }
            Kind::Gate => {
                limits.accept.connections = GATE_CONNECTIONS;
                let asked = Arc::new(Asking {
                    at: bound.address().to_string(),
                    pools: self.pools.clone(),
                });
                let counters = Arc::clone(self.pools.connections());
                tokio::spawn(accept(bound, asked, limits.accept, counters, stopped))
            }
            Kind::Zabbix => {
                tokio::spawn(passive::serve(bound, servers.subscribe(), GRACE, stopped))
            }
        };
        Open {
            at,
            stop,
            closed,
            task,
        }
    }

    /// Serves HTTP for a section of the config, behind TLS while its slot says so.
    fn serve_http<H: Handler>(
        &self,
        bound: Bound,
        handler: Arc<H>,
        limits: Limits,
        section: &'static str,
        stopped: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let counters = Arc::clone(&self.http);
        let http = Arc::new(Http::new(handler, limits, Arc::clone(&counters)));
        let slot = match section {
            "hooks" => &self.hooks_tls,
            "api" => &self.api_tls,
            _ => &self.http_tls,
        };
        let strangers = Arc::new(Strangers {
            section,
            failed: Arc::clone(&self.failed),
        });
        let handshakes = Handshakes::new(http, slot.clone(), Arc::clone(&self.handshakes));
        let handshakes = handshakes.telling(strangers);
        let serving = accept(
            bound,
            Arc::new(handshakes),
            limits.accept,
            counters,
            stopped,
        );
        tokio::spawn(serving)
    }

    /// Where to look, one line a socket.
    pub(super) fn said(&self, settings: &Settings, hostname: &str) -> Vec<String> {
        let path = &settings.config.http.telemetry_path;
        let line = |((kind, _), open): (&Name, &Open)| {
            let (at, reach) = place::said(&open.at, hostname);
            let scheme = self.scheme(*kind);
            match kind {
                Kind::Http if matches!(open.at, Address::Unix(_) | Address::Passed) => {
                    format!("serving {path} on {at}")
                }
                Kind::Http => format!("serving {scheme}://{at}{path}{reach}"),
                Kind::Hooks if matches!(open.at, Address::Unix(_)) => {
                    format!("taking alerts at /hooks/ on {at}")
                }
                Kind::Hooks => format!("taking alerts at {scheme}://{at}/hooks/{reach}"),
                Kind::Api if matches!(open.at, Address::Unix(_)) => {
                    format!("taking orders at /api/v1/ on {at}")
                }
                Kind::Api => format!("taking orders at {scheme}://{at}/api/v1/{reach}"),
                Kind::Zabbix => format!("answering Zabbix passive checks on {at}{reach}"),
                Kind::Gate => format!("answering load balancers on {at}{reach}"),
                Kind::Control => format!("control socket {at}"),
            }
        };
        self.open.iter().map(line).collect()
    }

    fn scheme(&self, kind: Kind) -> &'static str {
        let speaks = match kind {
            Kind::Http => self.http_tls.get(),
            Kind::Hooks => self.hooks_tls.get(),
            Kind::Api => self.api_tls.get(),
            Kind::Zabbix | Kind::Gate | Kind::Control => None,
        };
        speaks.map_or("http", |_| "https")
    }

    /// Where this machine itself asks the HTTP listeners.
    pub(super) fn urls(&self) -> Vec<String> {
        let http = self
            .open
            .iter()
            .filter(|((kind, _), _)| *kind == Kind::Http);
        http.filter_map(|((kind, _), open)| own_url(&open.at, self.scheme(*kind)))
            .collect()
    }

    /// Closes everything; what is open may finish until `deadline`.
    pub(super) async fn drain(&mut self, deadline: tokio::time::Instant) {
        let open = std::mem::take(&mut self.open);
        for open in open.values() {
            open.stop.send_replace(true);
        }
        for open in open.into_values() {
            // What did not end by the deadline is cut with the runtime.
            drop(tokio::time::timeout_at(deadline, open.task).await);
        }
    }
}

/// Puts clients whose certificate was not taken on record.
#[derive(Debug)]
struct Strangers {
    section: &'static str,
    failed: Arc<FailedLogins>,
}

impl tls::Strangers for Strangers {
    fn turned_away(&self, peer: Peer, why: &str) {
        self.failed.note(Refused {
            peer,
            listener: self.section,
            at: "client certificate",
            name: None,
            why,
        });
    }
}

/// A socket of a gate: whichever has its address answers.
struct Asking {
    at: String,
    pools: Pools,
}

impl Serve for Asking {
    async fn serve(self: Arc<Self>, stream: Stream, peer: Peer, _: Drain) {
        // Nobody listens there for a gate on a Unix socket, and one that just left says nothing.
        if let (Some(peer), Some(gate)) = (peer.ip(), self.pools.at(&self.at))
            && let Some(asked) = gate.asked()
        {
            asked.serve(&self.at, stream, peer).await;
        }
    }
}

/// What the config wants open, the control socket left out; `passed` of them are systemd's.
fn wanted(settings: &Settings, passed: usize) -> Result<Wanted, String> {
    let config = &settings.config;
    let is_passed = |text: &&String| Address::or_passed(text) == Ok(Address::Passed);
    let sockets = match config.http.listen.iter().any(|text| is_passed(&text)) {
        true if passed == 0 => {
            return Err(
                "http.listen: systemd passed no socket when nodeward was started; restart its unit"
                    .into(),
            );
        }
        true => passed,
        false => 0,
    };
    let sockets =
        (1..=sockets).map(|nth| ((Kind::Http, format!("systemd {nth}")), Address::Passed));
    let http = config.http.listen.iter().filter(|text| !is_passed(text));
    let http = http.map(|a| (Kind::Http, a));
    let zabbix = config.zabbix.listen.iter().map(|a| (Kind::Zabbix, a));
    let hooks = config.hooks.listen.iter().map(|a| (Kind::Hooks, a));
    let api = config.api.listen.iter().map(|a| (Kind::Api, a));
    let gates = config.pools.values().flat_map(|pool| {
        let listens = pool.listens();
        listens.map(|(_, text)| (Kind::Gate, text))
    });
    http.chain(hooks)
        .chain(api)
        .chain(zabbix)
        .map(|(kind, text)| (kind, text.as_str()))
        .chain(gates)
        .map(|(kind, text)| {
            let address: Address = text
                .parse()
                .map_err(|e| format!("{}: {e}", place::setting(kind)))?;
            Ok(((kind, address.to_string()), address))
        })
        .chain(sockets.map(Ok))
        .collect()
}

fn control_place(settings: &Settings, flags: &Flags) -> Option<(Name, Address)> {
    let variable = |name: &str| std::env::var(name).ok();
    let at = Address::Unix(control::socket(flags, &settings.config, &variable)?);
    Some(((Kind::Control, at.to_string()), at))
}
