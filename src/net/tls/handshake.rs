//! Taking handshakes in front of whatever serves a connection.
//!
//! Owns how many are under way, how long each may take and the count of what went wrong. The arithmetic of a handshake runs on
//! the runtime thread, one at a time by nature; what is bounded here is how many strangers may be waited for.
//!
//! ```text
//!  accept ── no TLS here, or a Unix socket ───────────────────────────> serve
//!     └───── room? ──> handshake (≤ 10 s) ──> certificate of the peer ──> serve
//!              └─ busy      └─ not_tls, incompatible, certificate, closed, timeout: counted, logged now and then, closed
//! ```

use std::pin::{Pin, pin};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::{Certificate, Chain};
use super::refusal::Refusal;
use super::server::Server;
use crate::net::accept::{Drain, Serve, drain};
use crate::net::stream::{Peer, Stream};
use crate::net::tally::Tally;

/// From accepting to the end of a handshake, at most.
pub const LONGEST_HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes under way at one time on a listener: half of what may be open, so that one that is flooded takes no other's room.
const MOST: usize = 256;

/// What a listener speaks, to be changed while it is open: TLS, or nothing but what is above it.
///
/// Connections that were made under something else end after the answer that is under way: who may come in is decided when one is
/// made, and a client may keep one for ever.
#[derive(Debug, Clone, Default)]
pub struct Slot(Arc<Spoken>);

#[derive(Debug, Default)]
struct Spoken {
    server: watch::Sender<Option<Arc<Server>>>,
    look: RwLock<Option<Arc<dyn Look>>>,
}

/// What looks, before a connection is spoken to, whether something else is to be spoken now.
pub trait Look: std::fmt::Debug + Send + Sync {
    /// Looks, and sets what it finds; within a bound of its own.
    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl Slot {
    /// Speaks this from the next connection on. One of the same settings leaves everything as it is.
    pub fn set(&self, server: Option<Arc<Server>>) {
        self.0.server.send_if_modified(|now| {
            let same = match (&*now, &server) {
                (Some(now), Some(server)) => now.is_as(server),
                (None, None) => true,
                _ => false,
            };
            if !same {
                *now = server;
            }
            !same
        });
    }

    /// What is spoken now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Server>> {
        self.0.server.borrow().clone()
    }

    /// Has `look` asked before each connection; none: nobody.
    pub fn set_look(&self, look: Option<Arc<dyn Look>>) {
        *self.0.look.write().unwrap_or_else(PoisonError::into_inner) = look;
    }

    async fn look(&self) {
        let look = self
            .0
            .look
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(look) = look {
            look.look().await;
        }
    }
}

/// What hears of clients whose certificate was not taken, or that sent none.
pub trait Strangers: std::fmt::Debug + Send + Sync {
    /// One was turned away.
    fn turned_away(&self, peer: Peer, why: &str);
}

/// Why a handshake failed, as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Too many were under way.
    Busy,
    /// A certificate was missing, or could not be taken.
    Certificate,
    /// The peer went away.
    Closed,
    /// No version, algorithm or protocol in common.
    Incompatible,
    /// What came is no TLS.
    NotTls,
    /// Against the rules of TLS.
    Protocol,
    /// It took too long.
    Timeout,
}

/// All of them, with the names they are told by.
pub const FAILURES: [(Failure, &str); 7] = [
    (Failure::Busy, "busy"),
    (Failure::Certificate, "certificate"),
    (Failure::Closed, "closed"),
    (Failure::Incompatible, "incompatible"),
    (Failure::NotTls, "not_tls"),
    (Failure::Protocol, "protocol"),
    (Failure::Timeout, "timeout"),
];

/// What became of handshakes; plain numbers that the app tells as series.
#[derive(Debug, Default)]
pub struct Counters {
    /// Handshakes that were completed.
    pub done: Tally,
    failed: [Tally; FAILURES.len()],
}

impl Counters {
    /// How many failed so.
    pub fn failed(&self, failure: Failure) -> u64 {
        self.failed.get(failure as usize).map_or(0, Tally::get)
    }

    fn note(&self, failure: Failure, peer: Peer, why: &dyn std::fmt::Display) {
        let Some(tally) = self.failed.get(failure as usize) else {
            return;
        };
        match failure {
            // Port scanners and load balancers do it all day.
            Failure::Closed => tally.add(),
            _ => tally.note(|left_out| {
                tracing::warn!(%peer, %why, left_out, "a TLS handshake failed");
            }),
        }
    }
}

/// Serves the connections of one listener as `slot` says it should be spoken to.
#[derive(Debug)]
pub struct Handshakes<S> {
    inner: Arc<S>,
    slot: Slot,
    counters: Arc<Counters>,
    strangers: Option<Arc<dyn Strangers>>,
    /// Room for handshakes.
    room: Semaphore,
}

impl<S: Serve> Handshakes<S> {
    /// Puts handshakes before `inner`, if and while `slot` says so.
    pub fn new(inner: Arc<S>, slot: Slot, counters: Arc<Counters>) -> Self {
        Self {
            inner,
            slot,
            counters,
            strangers: None,
            room: Semaphore::new(MOST),
        }
    }

    /// The same, with `strangers` told of clients whose certificate was not taken.
    #[must_use]
    pub fn telling(self, strangers: Arc<dyn Strangers>) -> Self {
        Self {
            strangers: Some(strangers),
            ..self
        }
    }

    /// The stream behind the handshake, and what that went by.
    async fn shake(
        &self,
        server: &Server,
        stream: Stream,
        peer: Peer,
    ) -> Option<(Stream, Arc<ServerConfig>)> {
        let Ok(_place) = self.room.try_acquire() else {
            let why = format_args!("{MOST} others are under way").to_string();
            self.counters.note(Failure::Busy, peer, &why);
            return None;
        };
        let shaking = async {
            let config = server.config().await;
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            acceptor.accept(stream).await.map(|stream| (stream, config))
        };
        let (stream, config) = match timeout(LONGEST_HANDSHAKE, shaking).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                let refused = Refusal::of(&error);
                let failure = match &refused {
                    None => Failure::Closed,
                    Some(Refusal::NotTls) => Failure::NotTls,
                    Some(Refusal::Incompatible(_)) => Failure::Incompatible,
                    Some(Refusal::Certificate(_) | Refusal::NoCertificate | Refusal::Ours(_)) => {
                        Failure::Certificate
                    }
                    Some(Refusal::Other(_)) => Failure::Protocol,
                };
                let of_client = matches!(
                    refused,
                    Some(Refusal::Certificate(_) | Refusal::NoCertificate)
                );
                let why = refused.map_or_else(|| error.to_string(), |refused| refused.to_string());
                self.counters.note(failure, peer, &why);
                if let (true, Some(strangers)) = (of_client, &self.strangers) {
                    strangers.turned_away(peer, &why);
                }
                return None;
            }
            Err(_) => {
                let why = format!("it took longer than {LONGEST_HANDSHAKE:?}");
                self.counters.note(Failure::Timeout, peer, &why);
                return None;
            }
        };
        self.counters.done.add();
        Some((Stream::Tls(Box::new(stream.into())), config))
    }
}

impl<S: Serve> Serve for Handshakes<S> {
    async fn serve(self: Arc<Self>, stream: Stream, peer: Peer, drain: Drain) {
        if let Peer::Unix { .. } = peer {
            // Only this machine reaches it, and the kernel says who it is.
            return Arc::clone(&self.inner).serve(stream, peer, drain).await;
        }
        self.slot.look().await;
        let mut spoken = self.slot.0.server.subscribe();
        let server = spoken.borrow_and_update().clone();
        let (stream, shaken) = match server {
            None => (stream, None),
            Some(server) => tokio::select! {
                shaken = self.shake(&server, stream, peer) => match shaken {
                    Some((stream, config)) => (stream, Some((server, config))),
                    None => return,
                },
                () = drain.clone().on() => return,
            },
        };
        let outdated = async {
            match &shaken {
                Some((server, config)) => server.outdated(config).await,
                None => std::future::pending().await,
            }
        };
        let (end, ends) = drain::pair();
        let mut serving = pin!(Arc::clone(&self.inner).serve(stream, peer, ends));
        tokio::select! {
            () = &mut serving => return,
            () = drain.on() => {}
            _ = spoken.changed() => {}
            () = outdated => {}
        }
        end.start();
        serving.await;
    }
}

/// The certificate that the peer of a stream has shown.
pub(in crate::net) fn peer_certificate(stream: &super::Stream) -> Option<Certificate> {
    let (_, session) = stream.get_ref();
    let first = session.peer_certificates()?.first()?;
    Some(Certificate::new(first.clone()))
}

/// All certificates that the peer of a stream has shown.
pub(in crate::net) fn peer_chain(stream: &super::Stream) -> Option<Chain> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().map(Chain::new)
}
