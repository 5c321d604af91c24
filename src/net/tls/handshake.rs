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

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::certificate::Certificate;
use super::refusal::Refusal;
use super::server::Server;
use crate::net::accept::{Drain, Serve};
use crate::net::stream::{Peer, Stream};
use crate::net::tally::Tally;

/// From accepting to the end of a handshake.
const LONGEST: Duration = Duration::from_secs(10);
/// Handshakes under way at one time, over all listeners; half of what a listener may have open.
const MOST: usize = 256;

/// What a listener speaks, to be changed while it is open: TLS, or nothing but what is above it.
#[derive(Debug, Clone, Default)]
pub struct Slot(Arc<RwLock<Option<Arc<Server>>>>);

impl Slot {
    /// Speaks this from the next connection on.
    pub fn set(&self, server: Option<Arc<Server>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// What is spoken now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Server>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
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
    under_way: AtomicUsize,
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

    fn enter(self: &Arc<Self>) -> Option<UnderWay> {
        let more = |now: usize| (now < MOST).then_some(now + 1);
        let entered = self
            .under_way
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        entered.ok().map(|_| UnderWay(Arc::clone(self)))
    }
}

/// One handshake in [`Counters::under_way`].
struct UnderWay(Arc<Counters>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves what `slot` says it should be spoken to.
#[derive(Debug)]
pub struct Handshakes<S> {
    inner: Arc<S>,
    slot: Slot,
    counters: Arc<Counters>,
}

impl<S: Serve> Handshakes<S> {
    /// Puts handshakes before `inner`, if and while `slot` says so.
    pub fn new(inner: Arc<S>, slot: Slot, counters: Arc<Counters>) -> Self {
        Self {
            inner,
            slot,
            counters,
        }
    }

    async fn shake(&self, server: &Arc<Server>, stream: Stream, peer: Peer) -> Option<Stream> {
        let Some(_place) = self.counters.enter() else {
            let why = format_args!("{MOST} others are under way").to_string();
            self.counters.note(Failure::Busy, peer, &why);
            return None;
        };
        let shaking = async {
            let acceptor = TlsAcceptor::from(server.config().await);
            acceptor.accept(stream).await
        };
        let stream = match timeout(LONGEST, shaking).await {
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
                let why = refused.map_or_else(|| error.to_string(), |refused| refused.to_string());
                self.counters.note(failure, peer, &why);
                return None;
            }
            Err(_) => {
                let why = format!("it took longer than {LONGEST:?}");
                self.counters.note(Failure::Timeout, peer, &why);
                return None;
            }
        };
        self.counters.done.add();
        Some(Stream::Tls(Box::new(stream.into())))
    }
}

impl<S: Serve> Serve for Handshakes<S> {
    async fn serve(self: Arc<Self>, stream: Stream, peer: Peer, drain: Drain) {
        let server = match peer {
            Peer::Tcp(_) => self.slot.get(),
            // Only this machine reaches it, and the kernel says who it is.
            Peer::Unix { .. } => None,
        };
        let stream = match server {
            None => Some(stream),
            Some(server) => tokio::select! {
                stream = self.shake(&server, stream, peer) => stream,
                () = drain.clone().on() => None,
            },
        };
        if let Some(stream) = stream {
            Arc::clone(&self.inner).serve(stream, peer, drain).await;
        }
    }
}

/// The certificate that the peer of a stream has shown.
pub(in crate::net) fn peer_certificate(stream: &super::Stream) -> Option<Certificate> {
    let (_, session) = stream.get_ref();
    let first = session.peer_certificates()?.first()?;
    Some(Certificate::new(first.clone()))
}
