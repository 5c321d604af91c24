//! What can go wrong with a request, told without paths, queries or headers of it.

use std::io;
use std::time::Duration;

use crate::net::connect::is_ours;
use crate::net::tls::Refusal;

/// Why there is no whole answer. `peer` is scheme, host and port (or the socket's path) only.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Name resolution or connecting was refused or is impossible.
    #[error("cannot connect to {peer}")]
    Connect {
        /// Whom.
        peer: String,
        /// What the system said; its kind tells refused from unreachable.
        #[source]
        source: io::Error,
    },
    /// No connection inside the connect timeout, or no whole answer inside the deadline.
    #[error("no answer from {peer} within {after:?}")]
    TimedOut {
        /// Whom.
        peer: String,
        /// How long was waited.
        after: Duration,
    },
    /// The connection ended before the answer was whole.
    #[error("{peer} closed the connection before its answer was whole")]
    Closed {
        /// Whom.
        peer: String,
        /// What the connection said.
        #[source]
        source: hyper::Error,
    },
    /// TLS was broken off after the connection was made, as a server does that misses a client certificate.
    #[error("no TLS connection to {peer}: {why}")]
    Tls {
        /// Whom.
        peer: String,
        /// What was said.
        why: Refusal,
    },
    /// The answer's body is larger than the cap.
    #[error("the answer of {peer} is larger than {limit} bytes")]
    TooLarge {
        /// Whom.
        peer: String,
        /// The cap in bytes.
        limit: usize,
    },
    /// What came back is not HTTP, or not the HTTP version that was asked for.
    #[error("{peer} did not answer in valid HTTP of the version spoken to it")]
    BadResponse {
        /// Whom.
        peer: String,
        /// What was wrong with it.
        #[source]
        source: hyper::Error,
    },
    /// The request cannot be put into HTTP: the caller's header or path is not valid.
    #[error("the request to {peer} cannot be sent: {what}")]
    BadRequest {
        /// Whom it was for.
        peer: String,
        /// Which part; never its value.
        what: &'static str,
    },
}

impl Error {
    /// The error and what caused it, in one line.
    pub fn told(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// Whether it failed for want of something on this side, so that it says nothing of the peer ([`is_ours`]).
    #[must_use]
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Connect { source, .. } => is_ours(source),
            Self::BadRequest { .. } => true,
            _ => false,
        }
    }

    /// Whether the same request may well succeed a little later: no connection, no answer in time,
    /// or a connection that broke. What OTLP calls "no answer" and lets its clients retry.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Connect { .. } | Self::TimedOut { .. } | Self::Closed { .. } | Self::Tls { .. }
        )
    }
}

/// An [`Error`] before it knows of whom it speaks.
#[derive(Debug)]
pub(super) enum Cause {
    Refused(Refusal),
    Closed(hyper::Error),
    Bad(hyper::Error),
    TooLarge(usize),
}

impl Cause {
    /// Sorts what hyper says into a connection that ended and an answer that is no HTTP.
    pub(super) fn of(error: hyper::Error) -> Self {
        if error.is_parse() || is_bad_body(&error) {
            Self::Bad(error)
        } else {
            Self::Closed(error)
        }
    }

    pub(super) fn told_of(self, peer: String) -> Error {
        match self {
            Self::Refused(why) => Error::Tls { peer, why },
            Self::Closed(source) => Error::Closed { peer, source },
            Self::Bad(source) => Error::BadResponse { peer, source },
            Self::TooLarge(limit) => Error::TooLarge { peer, limit },
        }
    }
}

/// Whether a body broke by its own framing (a chunk size that is no number): hyper tells these as
/// invalid input, and a connection that went away by any other kind.
fn is_bad_body(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return matches!(
                io.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            );
        }
        source = cause.source();
    }
    false
}
