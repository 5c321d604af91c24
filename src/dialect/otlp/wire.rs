//! One signal's way to its receiver: packing a message and carrying it once.
//!
//! Owns the choice between HTTP and gRPC and what a broken exchange counts as. It never waits and
//! never sends anything twice but for what [`crate::net::client`] says about kept connections.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;

use super::answer::{self, Answer};
use super::options::{Compression, Protocol};
use super::reason::Reason;
use super::send::REQUEST_MOST;
use super::settings::Route;
use super::{grpc, gzip};
use crate::net::client::{Client, Error, Limits, Protocol as Http, Request};
use crate::net::resolve::Resolver;
use crate::net::tls::Connector;

/// What every request says of its sender ("User Agent" of the OTLP exporter specification).
pub const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-nodeward/", env!("CARGO_PKG_VERSION"));

/// The most of an answer that is read, as the specification asks.
const ANSWER_MOST: usize = 4 << 20;
/// Connecting takes at most this of a request's time.
const CONNECT_MOST: Duration = Duration::from_secs(5);

/// How a message becomes what goes over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packing {
    /// gRPC frames its messages.
    pub protocol: Protocol,
    /// Of the message.
    pub compression: Compression,
}

impl Packing {
    /// Packs one message.
    ///
    /// # Errors
    /// Only for a message beyond all bounds.
    pub fn pack(self, message: &Bytes) -> io::Result<Bytes> {
        match (self.protocol, self.compression) {
            (Protocol::Grpc, compression) => grpc::frame(message, compression),
            (Protocol::HttpProtobuf, Compression::None) => Ok(message.clone()),
            (Protocol::HttpProtobuf, Compression::Gzip) => {
                let mut packed = Vec::new();
                gzip::append(message, &mut packed)?;
                Ok(packed.into())
            }
        }
    }

    /// The message that [`Packing::pack`] was given.
    ///
    /// # Errors
    /// Only for what was not packed this way.
    pub fn unpack(self, packed: &Bytes) -> io::Result<Bytes> {
        let packed = match self.protocol {
            Protocol::Grpc => packed.slice(grpc::HEAD.min(packed.len())..),
            Protocol::HttpProtobuf => packed.clone(),
        };
        match self.compression {
            Compression::None => Ok(packed),
            Compression::Gzip => gzip::opened(&packed, REQUEST_MOST).map(Bytes::from),
        }
    }
}

/// Carries packed messages to one receiver. A trait so that the sending loop can be tested without
/// sockets.
pub trait Carry: Send + Sync {
    /// How [`Carry::carry`] wants its messages.
    fn packing(&self) -> Packing;

    /// Sends a packed message once and judges what came back.
    fn carry(&self, packed: Bytes) -> impl Future<Output = Answer> + Send;

    /// The receiver, for messages: scheme, host and port.
    fn peer(&self) -> String;
}

/// The real way.
#[derive(Debug)]
pub struct Wire {
    client: Client,
    route: Route,
    /// Whether it has ever answered: whom that port belongs to is then known.
    has_answered: AtomicBool,
}

impl Wire {
    /// Opens nothing yet.
    pub fn new(route: &Route, resolver: &Resolver) -> Self {
        let protocol = match route.protocol {
            Protocol::HttpProtobuf => Http::Http1,
            Protocol::Grpc => Http::Http2,
        };
        let limits = Limits {
            connect: route.timeout.min(CONNECT_MOST),
            whole: route.timeout,
            response: ANSWER_MOST,
        };
        let client = Client::new(route.endpoint.clone(), protocol, limits, resolver.clone())
            .trusting(Connector::new(route.tls.clone()));
        Self {
            client,
            route: route.clone(),
            has_answered: AtomicBool::new(false),
        }
    }

    /// No whole answer. What is no HTTP at all is sent again too: it is a wrong port or a proxy in
    /// trouble, and nobody has judged the telemetry itself.
    fn unanswered(&self, error: &Error) -> Answer {
        let told = error.told();
        let later = |reason, told| Answer::Later {
            reason,
            wait: None,
            told,
        };
        match error {
            Error::Connect { .. } | Error::Tls { .. } => later(Reason::Connect, told),
            Error::TimedOut { .. } => later(Reason::Timeout, told),
            Error::Closed { .. } => later(Reason::Broken, self.or_another_port(told)),
            Error::BadResponse { .. } => later(Reason::Malformed, self.or_another_port(told)),
            Error::TooLarge { .. } | Error::BadRequest { .. } => Answer::Never {
                reason: Reason::Malformed,
                told,
            },
        }
    }

    /// Asks whether this is the right port, as long as nothing else has shown it.
    fn or_another_port(&self, told: String) -> String {
        if self.has_answered.load(Ordering::Relaxed) {
            return told;
        }
        let protocol = match self.route.protocol {
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::Grpc => "grpc",
        };
        let tls = match self.route.endpoint.is_secure() {
            true => "with TLS (https)",
            false => "without TLS (http)",
        };
        format!("{told}: is that a port for {protocol} (protocol), {tls}?")
    }

    fn request(&self, packed: Bytes) -> Request {
        let compression = self.route.compression;
        let mut request = match self.route.protocol {
            Protocol::Grpc => grpc::request(packed, compression),
            Protocol::HttpProtobuf => {
                let request =
                    Request::post(packed).header("content-type", "application/x-protobuf");
                match compression {
                    Compression::Gzip => request.header("content-encoding", "gzip"),
                    Compression::None => request,
                }
            }
        };
        request = request.header("user-agent", USER_AGENT);
        for (name, value) in &self.route.headers {
            // Only visible ASCII gets into a route, so each value is a str.
            request = request.header(name.as_str(), value.to_str().unwrap_or_default());
        }
        request
    }
}

impl Carry for Wire {
    fn packing(&self) -> Packing {
        Packing {
            protocol: self.route.protocol,
            compression: self.route.compression,
        }
    }

    async fn carry(&self, packed: Bytes) -> Answer {
        let response = match self.client.send(self.request(packed)).await {
            Ok(response) => response,
            Err(error) => return self.unanswered(&error),
        };
        self.has_answered.store(true, Ordering::Relaxed);
        let now = SystemTime::now();
        match self.route.protocol {
            Protocol::HttpProtobuf => {
                answer::http(response.status, &response.headers, &response.body, now)
            }
            Protocol::Grpc => answer::grpc(
                response.status,
                &response.headers,
                &response.trailers,
                &response.body,
                now,
            ),
        }
    }

    fn peer(&self) -> String {
        self.route.endpoint.to_string()
    }
}

#[cfg(test)]
mod tests;
