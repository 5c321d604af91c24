//! One connection to a peer: opening it, and one exchange on it.
//!
//! hyper needs its connection polled beside the request, so each has one task; it ends with the
//! last handle to it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

use super::error::Cause;
use super::response::{self, Response};
use super::{Error, Protocol};
use crate::net::connect::connect;
use crate::net::endpoint::{Endpoint, Place};
use crate::net::resolve::Resolver;
use crate::net::tls::{Chain, Connector, Refusal};
use crate::net::watched::{Watch, Watched};

/// Bounds hyper's buffers, and with them the head of an answer: 64 KiB.
const BUFFER: usize = 64 << 10;

/// A live connection that can carry requests.
pub(super) struct Connection {
    sender: Sender,
    heard: Arc<Heard>,
    driver: Arc<Driver>,
    chain: Option<Arc<Chain>>,
}

/// What came back on a connection so far.
#[derive(Default)]
struct Heard {
    /// Any byte since the last request went out.
    any: AtomicBool,
    /// Text of HTTP/1 where HTTP/2 was spoken: hyper tells this as one of many framing errors.
    old: AtomicBool,
    /// What TLS was broken off with: under TLS 1.3 a server refuses a client once that has begun to speak, and of an error
    /// below it HTTP/2 keeps the kind and a text.
    refused: OnceLock<Refusal>,
}

impl Watch for Heard {
    const LAST_WORDS: bool = true;

    fn has_read(&self, new: &[u8]) {
        if new.is_empty() {
            return;
        }
        let first = !self.any.swap(true, Ordering::Relaxed);
        if first && new.starts_with(b"HTTP/1.") {
            self.old.store(true, Ordering::Relaxed);
        }
    }

    fn has_failed(&self, why: &io::Error) {
        if let Some(refusal) = Refusal::of(why) {
            self.refused.set(refusal).ok();
        }
    }
}

impl Heard {
    /// Why there is no answer.
    fn cause(&self, error: hyper::Error) -> Cause {
        match self.refused.get() {
            Some(refusal) => Cause::Refused(refusal.clone()),
            None => Cause::of(error),
        }
    }
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// The task that polls the connection; ends when the last handle goes.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why an exchange failed, by what may be done about it.
#[derive(Debug)]
pub(super) enum Failure {
    /// Not one byte of an answer came: on a kept connection it may be sent anew.
    Unanswered(Cause),
    /// The answer had begun, or trying again would not help.
    Final(Cause),
}

impl Connection {
    /// Another handle to the same connection, where the protocol can carry requests side by side.
    pub(super) fn shared(&self) -> Option<Self> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => Some(Self {
                sender: Sender::Http2(sender.clone()),
                heard: Arc::clone(&self.heard),
                driver: Arc::clone(&self.driver),
                chain: self.chain.clone(),
            }),
        }
    }

    /// Waits until a request can be sent; false when the connection is over.
    pub(super) async fn ready(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Sends a request and reads its whole answer.
    pub(super) async fn send(
        &mut self,
        request: hyper::Request<Full<Bytes>>,
        limit: usize,
    ) -> Result<Response, Failure> {
        self.heard.any.store(false, Ordering::Relaxed);
        let answer = match &mut self.sender {
            Sender::Http1(sender) => sender.send_request(request).await.map_err(|error| {
                let cause = self.heard.cause(error);
                if self.heard.any.load(Ordering::Relaxed) {
                    Failure::Final(cause)
                } else {
                    Failure::Unanswered(cause)
                }
            }),
            // Bytes heard mean nothing here: settings and pings of the connection are bytes too.
            Sender::Http2(sender) => sender.send_request(request).await.map_err(|error| {
                if self.heard.old.load(Ordering::Relaxed) {
                    Failure::Final(Cause::Bad(error))
                } else {
                    Failure::Unanswered(self.heard.cause(error))
                }
            }),
        };
        let response = response::whole(answer?, limit).await?;
        let chain = self.chain.clone();
        Ok(Response { chain, ..response })
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

/// Connects to `endpoint` before `deadline`.
pub(super) async fn open(
    endpoint: &Endpoint,
    protocol: Protocol,
    deadline: Instant,
    (resolver, tls): (&Resolver, &Connector),
) -> Result<Connection, Error> {
    let peer = || endpoint.to_string();
    let began = Instant::now();
    let connecting = async {
        let stream = connect(endpoint.place(), deadline, resolver).await?;
        match endpoint.place() {
            Place::Tcp { host, .. } if endpoint.is_secure() => {
                tls.connect(stream, host, Some(protocol.alpn())).await
            }
            _ => Ok(stream),
        }
    };
    let stream = match timeout_at(deadline, connecting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() != io::ErrorKind::TimedOut => {
            return Err(Error::Connect {
                peer: peer(),
                source: error,
            });
        }
        Ok(Err(_)) | Err(_) => {
            return Err(Error::TimedOut {
                peer: peer(),
                after: deadline.saturating_duration_since(began),
            });
        }
    };
    let chain = stream.chain().map(Arc::new);
    let heard = Arc::new(Heard::default());
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&heard)));
    let broken = |source| Error::Closed {
        peer: peer(),
        source,
    };
    let (sender, task) = match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::Builder::new()
                .max_buf_size(BUFFER)
                .handshake(io)
                .await
                .map_err(broken)?;
            let task = tokio::spawn(async move {
                // What ends a connection is told by the request on it; while idle it is nobody's.
                connection.await.ok();
            });
            (Sender::Http1(sender), task)
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(BUFFER as u32)
                .handshake(io)
                .await
                .map_err(broken)?;
            let task = tokio::spawn(async move {
                connection.await.ok();
            });
            (Sender::Http2(sender), task)
        }
    };
    Ok(Connection {
        sender,
        heard,
        driver: Arc::new(Driver(task.abort_handle())),
        chain,
    })
}
