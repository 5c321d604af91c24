//! The HTTP/1.1 server: metrics, hooks and the control socket.
//!
//! Owns reading a whole request within bounds, handing it to a [`Handler`] and writing its answer.
//! It knows no route and no credentials; [`crate::net::accept`] takes the connections.
//!
//! ```text
//!            first byte           head admitted          body whole         answer given
//!  idle ────────────────> head ────────────────> body ──────────────> handle ─────────> idle
//!  ≤ idle                 ≤ header_read          ≤ body_read           no limit
//!                                     (a write that makes no progress: ≤ write, in any phase)
//! ```
//!
//! The surprising decision: hyper's own header timeout is not used. It runs while a kept connection
//! is idle too, and would cut every scraper that asks less often than that.

mod body;
mod pace;
#[cfg(test)]
mod tests;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use super::accept::{self, Counters, Drain, Serve};
use super::bind::Bound;
use super::stream::{Peer, Stream};
use super::tls::Certificate;
use super::watched::Watched;

use pace::{Pace, Phase};

/// A whole request.
#[derive(Debug)]
pub struct Request {
    /// Method as sent; any token.
    pub method: Method,
    /// Request target as sent.
    pub uri: Uri,
    /// Headers, at most 100.
    pub headers: HeaderMap,
    /// The whole body after transfer decoding, at most [`Limits::body`] bytes.
    pub body: Bytes,
    /// Who asks.
    pub peer: Peer,
    /// The certificate he has shown, verified.
    pub certificate: Option<Arc<Certificate>>,
}

impl Request {
    /// Its head alone.
    #[must_use]
    pub fn head(&self) -> Head<'_> {
        Head {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
            peer: self.peer,
            certificate: self.certificate.as_deref(),
        }
    }
}

/// An answer with its whole body; writing it copies nothing.
pub type Response = hyper::Response<Bytes>;

/// The head of a request whose body is still to come.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Method as sent.
    pub method: &'a Method,
    /// Request target as sent.
    pub uri: &'a Uri,
    /// Headers, at most 100.
    pub headers: &'a HeaderMap,
    /// Who asks.
    pub peer: Peer,
    /// The certificate he has shown, verified.
    pub certificate: Option<&'a Certificate>,
}

/// Whether a request's body is read.
#[derive(Debug)]
pub enum Admit {
    /// It is, if it has at most so many bytes and at most [`Limits::body`].
    AtMost(usize),
    /// It is not: this is the answer, and the connection is closed.
    Refused(Response),
}

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Looks at the head of a request before anything of its body is read; not called for one that has none. Lets in
    /// every body unless it is written otherwise.
    fn admit(&self, _head: &Head<'_>) -> Admit {
        Admit::AtMost(usize::MAX)
    }

    /// Answers one request, on the runtime thread. It runs to its end even when the peer goes away
    /// meanwhile, so it needs a bound of its own; only the end of a drain drops it.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

/// Bounds on connections and requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bounds on taking connections.
    pub accept: accept::Limits,
    /// From the first byte of a request (or from connecting) to the end of its headers; default
    /// 10 s. Then the connection is closed.
    pub header_read: Duration,
    /// Request line and headers in bytes, at least 8 KiB; default 64 KiB. Above it: 431.
    pub header_size: usize,
    /// A request's body in bytes after transfer decoding; default 4 MiB. Above it: 413.
    pub body: usize,
    /// Bodies of all open requests together in bytes; default 64 MiB. Above it: 503.
    pub bodies: usize,
    /// From the end of the headers to the end of the body; default 30 s. Then the connection is
    /// closed.
    pub body_read: Duration,
    /// How long a kept connection may wait for its next request; default 5 min, so that scrapes
    /// every two minutes find it open.
    pub idle: Duration,
    /// How long writing an answer may make no progress; default 30 s.
    pub write: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            accept: accept::Limits::default(),
            header_read: Duration::from_secs(10),
            header_size: 64 << 10,
            body: 4 << 20,
            bodies: 64 << 20,
            body_read: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            write: Duration::from_secs(30),
        }
    }
}

/// Serves HTTP on `bound` until `shutdown` is done and the drain is over.
pub async fn serve<H: Handler>(
    bound: Bound,
    handler: Arc<H>,
    limits: Limits,
    counters: Arc<Counters>,
    shutdown: impl Future<Output = ()>,
) {
    let http = Arc::new(Http::new(handler, limits, Arc::clone(&counters)));
    accept::accept(bound, http, limits.accept, counters, shutdown).await;
}

/// HTTP as something an acceptor can serve; [`serve`] is the usual way in.
#[derive(Debug)]
pub struct Http<H> {
    handler: Arc<H>,
    limits: Limits,
    counters: Arc<Counters>,
    /// Bytes of bodies held by open requests.
    bodies: AtomicUsize,
    builder: http1::Builder,
}

impl<H: Handler> Http<H> {
    /// An HTTP server without a listener.
    pub fn new(handler: Arc<H>, limits: Limits, counters: Arc<Counters>) -> Self {
        // hyper panics below 8 KiB.
        let size = limits.header_size.max(8 << 10);
        let mut builder = http1::Builder::new();
        builder
            .header_read_timeout(None)
            .max_header_size(size)
            .max_buf_size(size)
            // `printf 'GET ...' | nc` ends its side before it has its answer. It also spares a read
            // for every request whose handler waits.
            .half_close(true);
        Self {
            handler,
            limits,
            counters,
            bodies: AtomicUsize::new(0),
            builder,
        }
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
        (peer, certificate): (Peer, Option<Arc<Certificate>>),
        pace: &Pace,
    ) -> hyper::Response<Full<Bytes>> {
        let (head, incoming) = request.into_parts();
        let body = if incoming.is_end_stream() {
            Ok(body::Held::empty())
        } else {
            let limit = match self.handler.admit(&Head {
                method: &head.method,
                uri: &head.uri,
                headers: &head.headers,
                peer,
                certificate: certificate.as_deref(),
            }) {
                Admit::AtMost(limit) => limit.min(self.limits.body),
                Admit::Refused(mut response) => {
                    pace.leave_unread();
                    pace.enter(Phase::Idle);
                    let close = HeaderValue::from_static("close");
                    response.headers_mut().insert(CONNECTION, close);
                    return response.map(Full::new);
                }
            };
            pace.enter(Phase::Body);
            body::whole(incoming, limit, self.limits.bodies, &self.bodies).await
        };
        pace.enter(Phase::Handle);
        let response = match body {
            Ok(held) => {
                let request = Request {
                    method: head.method,
                    uri: head.uri,
                    headers: head.headers,
                    body: held.bytes.clone(),
                    peer,
                    certificate,
                };
                self.handler.handle(request).await
            }
            Err(refusal) => {
                pace.leave_unread();
                self.note_bad(peer, &refusal);
                refusal.into_response()
            }
        };
        pace.enter(Phase::Idle);
        response.map(Full::new)
    }

    fn note_bad(&self, peer: Peer, why: &dyn std::fmt::Display) {
        self.counters.bad_requests.note(|left_out| {
            tracing::warn!(%peer, %why, left_out, "refused a request");
        });
    }
}

impl<H: Handler> Serve for Http<H> {
    async fn serve(self: Arc<Self>, stream: Stream, peer: Peer, drain: Drain) {
        let certificate = stream.certificate().map(Arc::new);
        let pace = Arc::new(Pace::new());
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&pace)));
        let service = service_fn(|request| {
            let (http, pace) = (Arc::clone(&self), Arc::clone(&pace));
            let who = (peer, certificate.clone());
            async move { Ok::<_, Infallible>(http.answer(request, who, &pace).await) }
        });
        let connection = self.builder.serve_connection(io, service);
        match watch::watched(connection, &pace, &self.limits, drain).await {
            watch::End::Done => {}
            watch::End::Broken(error) if pace.has_bad_head() => self.note_bad(peer, &error),
            // A peer that went away: nothing to tell, and port scanners do it all day.
            watch::End::Broken(_) => {}
            watch::End::TooSlow(phase) => self.counters.timed_out.note(|left_out| {
                tracing::warn!(%peer, waiting_for = phase, left_out, "closed a slow connection");
            }),
        }
    }
}

/// An answer of the server itself: one line of text, after which the connection is closed.
fn refusal(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
