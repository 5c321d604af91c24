//! The sockets nodeward listens on, and what serves their connections.
//!
//! A reload binds what is new before it closes what is gone, so that a port that is taken leaves everything as it was.

use std::collections::BTreeMap;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::{Flags, House, Settings};
use crate::dialect::zabbix::passive;
use crate::serve::{Control, ControlRouter, Router};

/// Whose connections a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Http,
    Zabbix,
}

/// How long an open check may take when its socket closes.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

struct Open {
    address: std::net::SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// All open sockets.
pub(super) struct Listeners {
    open: BTreeMap<(Kind, String), Open>,
    zabbix: Option<watch::Sender<Arc<passive::Server>>>,
    checks: Arc<passive::Counters>,
    control: Arc<dyn Control>,
}

impl Listeners {
    pub(super) fn new(control: Arc<dyn Control>) -> Self {
        Self {
            open: BTreeMap::new(),
            zabbix: None,
            checks: Arc::default(),
            control,
        }
    }

    /// How passive checks went, whichever server answered them.
    pub(super) fn checks(&self) -> Arc<passive::Counters> {
        Arc::clone(&self.checks)
    }

    /// Opens and closes what the settings ask for; on an error nothing has changed.
    pub(super) fn change(
        &mut self,
        settings: &Settings,
        _: &Flags,
        house: &Arc<House>,
        router: &Arc<Router>,
    ) -> Result<(), String> {
        let http = settings
            .config
            .http
            .listen
            .iter()
            .map(|a| (Kind::Http, a.clone()));
        let zabbix = settings
            .config
            .zabbix
            .listen
            .iter()
            .map(|a| (Kind::Zabbix, a.clone()));
        let wanted: Vec<_> = http.chain(zabbix).collect();
        let mut bound = Vec::new();
        for key in wanted.iter().filter(|key| !self.open.contains_key(key)) {
            bound.push((key.clone(), Socket::bind(key, house)?));
        }
        let server = passive::Server::new(
            &settings.config.zabbix,
            &house.identity.hostname,
            Arc::clone(house) as _,
            Arc::clone(&self.checks),
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
        self.open.retain(|key, open| {
            let keep = wanted.contains(key);
            if !keep {
                open.stop.send_replace(true);
            }
            keep
        });
        for (key, socket) in bound {
            let (stop, mut stopped) = watch::channel(false);
            let (address, task) = match socket {
                Socket::Http(socket) => {
                    let address = socket.local_addr().map_err(|e| e.to_string())?;
                    (
                        address,
                        tokio::spawn(http_connections(socket, Arc::clone(router), stopped)),
                    )
                }
                Socket::Zabbix(socket) => {
                    let address = socket.addresses().into_iter().next().ok_or("no address")?;
                    let servers = servers.clone();
                    let task = tokio::spawn(async move {
                        let stop = async move { drop(stopped.changed().await) };
                        socket.serve(servers, stop, GRACE).await;
                    });
                    (address, task)
                }
            };
            self.open.insert(
                key,
                Open {
                    address,
                    stop,
                    task,
                },
            );
        }
        Ok(())
    }

    /// Where to look, one line a socket.
    pub(super) fn said(&self, settings: &Settings) -> Vec<String> {
        let _ = (&self.control, ControlRouter::new as fn(_) -> _);
        self.open
            .iter()
            .map(|((kind, _), open)| match kind {
                Kind::Http => format!(
                    "serving http://{}{}",
                    open.address, settings.config.http.telemetry_path
                ),
                Kind::Zabbix => format!("answering Zabbix passive checks on {}", open.address),
            })
            .collect()
    }

    pub(super) async fn drain(&mut self, deadline: tokio::time::Instant) {
        for (_, open) in std::mem::take(&mut self.open) {
            open.stop.send_replace(true);
            drop(tokio::time::timeout_at(deadline, open.task).await);
        }
    }
}

/// A socket bound and not served yet.
enum Socket {
    Http(TcpListener),
    Zabbix(passive::Listening),
}

impl Socket {
    fn bind((kind, address): &(Kind, String), house: &House) -> Result<Self, String> {
        let (bound, setting) = match kind {
            Kind::Http => {
                let full = if address.starts_with(':') {
                    format!("[::]{address}")
                } else {
                    address.clone()
                };
                let bound = std::net::TcpListener::bind(full)
                    .and_then(|s| s.set_nonblocking(true).map(|()| s))
                    .and_then(TcpListener::from_std)
                    .map(Self::Http);
                (bound, "--web.listen-address or http.listen")
            }
            Kind::Zabbix => {
                let bound = passive::Listening::bind(&[address]).map_err(|e| e.source);
                (bound.map(Self::Zabbix), "zabbix.listen")
            }
        };
        bound.map_err(|error| {
            let port = address.rsplit_once(':').and_then(|(_, p)| p.parse().ok());
            let holder = port
                .filter(|_| error.kind() == std::io::ErrorKind::AddrInUse)
                .and_then(|port| house.view.sampler.host().listener_on(port))
                .map(|(pid, name)| format!(": {name} (pid {pid}) listens there"))
                .unwrap_or_default();
            format!("listen on {address}: {error}{holder}; choose another address with {setting}")
        })
    }
}

async fn http_connections(
    socket: TcpListener,
    router: Arc<Router>,
    mut stop: watch::Receiver<bool>,
) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            accepted = socket.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                drop(stream.set_nodelay(true));
                let router = Arc::clone(&router);
                let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                    let router = Arc::clone(&router);
                    async move {
                        let (head, _) = request.into_parts();
                        let response = router.respond(&head.method, &head.uri, &head.headers).await;
                        Ok::<_, std::convert::Infallible>(response.map(Full::<Bytes>::new))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(hyper_util::rt::TokioTimer::new())
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
                open.spawn(async move { drop(connection.await) });
            }
            _ = open.join_next(), if !open.is_empty() => {}
        }
    }
}

const _: fn(Response<Full<Bytes>>) = |_| {};
