//! The sockets nodeward listens on, and what serves their connections.
//!
//! A reload binds what is new before it closes what is gone, so that a port that is taken leaves everything as it was.
//! The control socket alone may fail: then there is a warning, and serving goes on.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Flags, House, Settings, control};
use crate::dialect::zabbix::passive;
use crate::net::accept::Counters;
use crate::net::address::Address;
use crate::net::bind::{BindError, Bound};
use crate::net::server::{self, Limits};
use crate::serve::{Control, ControlRouter, Router};

/// How long what is open may take when its socket closes.
const GRACE: Duration = Duration::from_secs(3);
/// Connections of the control socket: a few people and scripts.
const CONTROL_CONNECTIONS: usize = 16;

/// Whose connections a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Http,
    Zabbix,
    Control,
}

/// A socket, by what it is for and how the config writes it.
type Name = (Kind, String);

struct Open {
    /// Where it listens, as people should type it.
    place: String,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// All open sockets.
pub(super) struct Listeners {
    open: BTreeMap<Name, Open>,
    zabbix: Option<watch::Sender<Arc<passive::Server>>>,
    passive: Arc<passive::Counters>,
    http: Arc<Counters>,
    control: Arc<ControlRouter>,
    control_counters: Arc<Counters>,
}

impl Listeners {
    pub(super) fn new(control: Arc<dyn Control>) -> Self {
        Self {
            open: BTreeMap::new(),
            zabbix: None,
            passive: Arc::default(),
            http: Arc::default(),
            control: Arc::new(ControlRouter::new(control)),
            control_counters: Arc::default(),
        }
    }

    /// How passive checks went, whichever server answered them.
    pub(super) fn passive(&self) -> Arc<passive::Counters> {
        Arc::clone(&self.passive)
    }

    /// How connections of the HTTP listeners went.
    pub(super) fn http(&self) -> Arc<Counters> {
        Arc::clone(&self.http)
    }

    /// Opens and closes what the settings ask for; on an error nothing has changed.
    pub(super) async fn change(
        &mut self,
        settings: &Settings,
        flags: &Flags,
        house: &Arc<House>,
        router: &Arc<Router>,
    ) -> Result<(), String> {
        let config = &settings.config;
        let mut wanted: Vec<Name> = config
            .http
            .listen
            .iter()
            .map(|a| (Kind::Http, a.clone()))
            .collect();
        wanted.extend(
            config
                .zabbix
                .listen
                .iter()
                .map(|a| (Kind::Zabbix, a.clone())),
        );
        let mut bound = Vec::new();
        for name in wanted.iter().filter(|name| !self.open.contains_key(name)) {
            bound.push((name.clone(), bind(name, house).await?));
        }
        let server = passive::Server::new(
            &config.zabbix,
            &house.identity.hostname,
            Arc::clone(house) as _,
            Arc::clone(&self.passive),
            house.resolver.clone(),
        );
        let server = Arc::new(server.map_err(|wrong| {
            wrong
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        })?);
        let servers = match &self.zabbix {
            Some(servers) => {
                servers.send_replace(server);
                servers.subscribe()
            }
            None => {
                let (servers, current) = watch::channel(server);
                self.zabbix = Some(servers);
                current
            }
        };
        if let Some((name, socket)) = self.bind_control(settings, flags, house, &mut wanted).await {
            bound.push((name, socket));
        }
        self.open.retain(|name, open| {
            let keep = wanted.contains(name);
            if !keep {
                open.stop.send_replace(true);
            }
            keep
        });
        for (name, socket) in bound {
            let open = self.serve(name.0, socket, router, servers.clone());
            self.open.insert(name, open);
        }
        Ok(())
    }

    /// The control socket, if it is to be bound anew; it joins those that are wanted.
    async fn bind_control(
        &self,
        settings: &Settings,
        flags: &Flags,
        house: &House,
        wanted: &mut Vec<Name>,
    ) -> Option<(Name, Bound)> {
        let variable = |name: &str| std::env::var(name).ok();
        let config = settings.config.control.as_ref();
        let path = control::socket(flags.socket.as_deref(), config, &variable)?;
        let name = (Kind::Control, format!("unix:{}", path.display()));
        wanted.push(name.clone());
        if self.open.contains_key(&name) {
            return None;
        }
        let made = control::make_directory(&path).map_err(|e| e.to_string());
        let bound = match made {
            Ok(()) => Bound::to(&Address::Unix(path.clone()), &house.resolver)
                .await
                .map_err(|e| chain(&e)),
            Err(why) => Err(why),
        };
        match bound {
            Ok(bound) => Some((name, bound)),
            Err(why) => {
                tracing::warn!(
                    "no control socket at {}: {why}; nodeward status and reload will not find \
                     this process (--socket, control)",
                    path.display()
                );
                None
            }
        }
    }

    fn serve(
        &self,
        kind: Kind,
        bound: Bound,
        router: &Arc<Router>,
        servers: watch::Receiver<Arc<passive::Server>>,
    ) -> Open {
        let (stop, mut stopped) = watch::channel(false);
        let stopped = async move { drop(stopped.changed().await) };
        let place = match bound.local() {
            Some(local) => local.to_string(),
            None => bound.address().to_string(),
        };
        let mut limits = Limits::default();
        limits.accept.drain = GRACE;
        let task = match kind {
            Kind::Control => {
                limits.accept.connections = CONTROL_CONNECTIONS;
                let counters = Arc::clone(&self.control_counters);
                let control = Arc::clone(&self.control);
                tokio::spawn(server::serve(bound, control, limits, counters, stopped))
            }
            Kind::Http => {
                let counters = Arc::clone(&self.http);
                let router = Arc::clone(router);
                tokio::spawn(server::serve(bound, router, limits, counters, stopped))
            }
            Kind::Zabbix => tokio::spawn(passive::serve(bound, servers, GRACE, stopped)),
        };
        Open { place, stop, task }
    }

    /// Where to look, one line a socket.
    pub(super) fn said(&self, settings: &Settings) -> Vec<String> {
        let path = &settings.config.http.telemetry_path;
        let line = |(kind, _): &Name, open: &Open| match kind {
            Kind::Http if open.place.starts_with("unix:") => {
                format!("serving {path} on {}", open.place)
            }
            Kind::Http => format!("serving http://{}{path}", open.place),
            Kind::Zabbix => format!("answering Zabbix passive checks on {}", open.place),
            Kind::Control => format!("control socket {}", open.place),
        };
        self.open
            .iter()
            .map(|(name, open)| line(name, open))
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

async fn bind((kind, address): &Name, house: &House) -> Result<Bound, String> {
    let (setting, or_flag) = match kind {
        Kind::Zabbix => ("zabbix.listen", ""),
        Kind::Http | Kind::Control => ("http.listen", "--web.listen-address or "),
    };
    let parsed: Address = address.parse().map_err(|e| format!("{setting}: {e}"))?;
    let bound = Bound::to(&parsed, &house.resolver)
        .await
        .map_err(|e| (e.kind(), cause(&e)));
    bound.map_err(|(kind, why)| {
        let port = address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        let holder = port
            .filter(|_| kind == ErrorKind::AddrInUse)
            .and_then(|port| house.view.sampler.host().listener_on(port))
            .map(|(pid, name)| match pid == std::process::id() {
                true => ": this nodeward listens there itself; to change the address and keep the port, \
                         restart it"
                    .to_owned(),
                false => format!(": {name} (pid {pid}) listens there"),
            })
            .unwrap_or_default();
        format!("cannot listen on {address}: {why}{holder}; choose another address with {or_flag}{setting}")
    })
}

/// The last cause of an error: what the system said.
fn cause(error: &BindError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), ToString::to_string)
}

/// An error and its cause in one line.
fn chain(error: &BindError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
