//! The one HTTP client of the house: OTLP over HTTP and gRPC, container engines, webhooks.
//!
//! Owns connecting, one kept connection per [`Client`], the deadline of a whole request and the cap
//! on its answer. It never follows a redirect, never decodes a content coding and never retries
//! but for the one case below; backoff belongs to callers ([`crate::net::backoff`]).
//!
//! ```text
//!  send ── kept connection alive? ──yes──> request ──> answer ──> keep the connection
//!              │ no                           │ died before the first byte of an answer
//!              └──> connect (≤ connect) <─────┘ (once)
//! ```
//!
//! The surprising decision: two requests at once on HTTP/1.1 do not queue. The second opens a
//! connection of its own, and one of the two is kept.

mod connection;
mod error;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

pub use error::Error;
pub use request::Request;
pub use response::{GrpcStatus, Response, retry_after};

use connection::{Connection, Failure};

use crate::net::endpoint::Endpoint;
use crate::net::resolve::Resolver;
use crate::net::tls::Connector;

/// Which HTTP is spoken to a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1 with keep-alive.
    #[default]
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3), as gRPC without TLS expects.
    Http2,
}

impl Protocol {
    /// Its name in TLS (RFC 7301 section 6, RFC 9113 section 3.2).
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http1 => b"http/1.1",
            Self::Http2 => b"h2",
        }
    }
}

/// Bounds on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Name resolution, connecting and the handshake of TLS together; default 5 s. Several addresses of one name share it.
    pub connect: Duration,
    /// The whole request, connecting and one retry included; default 10 s. A [`Request`] may bring
    /// its own.
    pub whole: Duration,
    /// Largest answer body in bytes, counted after transfer decoding; default 4 MiB, the bound
    /// OTLP asks of its clients.
    pub response: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            whole: Duration::from_secs(10),
            response: 4 << 20,
        }
    }
}

/// A client of one peer. Cheap to make; connects at its first request.
///
/// All requests of one client use the same bounds and protocol. Dropping a returned future cuts its
/// connection; dropping the client closes the kept one.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    protocol: Protocol,
    limits: Limits,
    resolver: Resolver,
    tls: Connector,
    kept: Mutex<Option<Connection>>,
}

impl Client {
    /// A client of `endpoint`, whose name `resolver` looks up for each connection. Opens nothing yet.
    pub fn new(endpoint: Endpoint, protocol: Protocol, limits: Limits, resolver: Resolver) -> Self {
        Self {
            endpoint,
            protocol,
            limits,
            resolver,
            tls: Connector::default(),
            kept: Mutex::new(None),
        }
    }

    /// The same, which trusts whom `tls` does where the endpoint is `https`. Otherwise it trusts the authorities of the system.
    #[must_use]
    pub fn trusting(self, tls: Connector) -> Self {
        Self { tls, ..self }
    }

    /// The peer this client talks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends `request` and reads the whole answer, whatever its status.
    ///
    /// When a kept connection dies before the first byte of an answer, the request is sent once more
    /// on a new one (RFC 9110 section 9.2.2), unless it was made [`Request::at_most_once`].
    ///
    /// # Errors
    /// See [`Error`]; a status of 4xx or 5xx is not one.
    pub async fn send(&self, request: Request) -> Result<Response, Error> {
        let whole = request.whole.unwrap_or(self.limits.whole);
        let deadline = Instant::now() + whole;
        match timeout_at(deadline, self.exchange(request, deadline)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                // A shared HTTP/2 connection to a peer that fell silent must not be kept.
                self.kept.lock().ok().and_then(|mut kept| kept.take());
                Err(Error::TimedOut {
                    peer: self.peer(),
                    after: whole,
                })
            }
        }
    }

    async fn exchange(&self, request: Request, deadline: Instant) -> Result<Response, Error> {
        let once = request.once;
        let request = request.assemble(&self.endpoint, self.protocol)?;
        let kept = if once { None } else { self.kept_alive().await };
        if let Some(mut connection) = kept {
            match connection.send(request.clone(), self.limits.response).await {
                Ok(response) => return Ok(self.keep(connection, response)),
                Err(Failure::Unanswered(_)) => {}
                Err(Failure::Final(cause)) => return Err(cause.told_of(self.peer())),
            }
        }
        // Rare and large: the many requests on a kept connection need not carry its room.
        let mut connection = Box::pin(connection::open(
            &self.endpoint,
            self.protocol,
            // What is waited for when both end says more than that it took too long.
            deadline.min(Instant::now() + self.limits.connect),
            (&self.resolver, &self.tls),
        ))
        .await?;
        match connection.send(request, self.limits.response).await {
            Ok(response) => Ok(self.keep(connection, response)),
            Err(Failure::Unanswered(cause) | Failure::Final(cause)) => {
                Err(cause.told_of(self.peer()))
            }
        }
    }

    /// The kept connection if it can take a request. It leaves its place meanwhile (HTTP/1.1) or is
    /// shared (HTTP/2).
    async fn kept_alive(&self) -> Option<Connection> {
        let mut connection = {
            let mut kept = self.kept.lock().ok()?;
            match kept.as_ref().and_then(Connection::shared) {
                Some(shared) => shared,
                None => kept.take()?,
            }
        };
        connection.ready().await.then_some(connection)
    }

    fn keep(&self, connection: Connection, response: Response) -> Response {
        if let Ok(mut kept) = self.kept.lock() {
            *kept = Some(connection);
        }
        response
    }

    fn peer(&self) -> String {
        self.endpoint.to_string()
    }
}
