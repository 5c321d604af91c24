//! TLS, both ways: what a listener shows and asks for, and whom a client trusts.
//!
//! Owns certificates, keys and handshakes; the HTTP and syslog above it see a [`Stream`](super::stream::Stream) as any other. It
//! decides nothing by who somebody is but what a listener as a whole allows.
//!
//! | file | holds |
//! | --- | --- |
//! | `server` | the certificate of a listener |
//! | `algorithms` | cipher suites and curves by the names of the exporters' web configuration |
//! | `handshake` | taking handshakes: how many, how long, what became of them |
//! | `client` | whom a client trusts, and its own certificate |
//! | `roots` | the authorities that the system trusts |
//! | `certificate` | who the other end says it is, and the names that are allowed |
//! | `files` | PEM files and whether they changed |
//! | `revoked` | lists of certificates that were taken back |
//! | `der` | values of ASN.1, taken apart |
//! | `wanted` | what is wanted of a certificate beyond its authority |
//! | `distinguished` | issuers and subjects as texts |
//! | `mutual` | two that know each other, by certificate or by a pre-shared key |
//! | `refusal` | what went wrong, in words that name a setting |
//!
//! The surprising decision: no session is ever resumed, on either side. A certificate that was taken away is asked for again
//! with the next connection, and nothing is kept for peers that do not come back; connections here live for hours.

mod algorithms;
mod certificate;
mod client;
mod der;
mod distinguished;
mod files;
mod handshake;
pub mod mutual;
mod refusal;
mod revoked;
mod roots;
mod server;
mod wanted;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

pub use algorithms::{Curve, Suite};
pub use certificate::{Certificate, Chain, End, Name};
pub use client::{Connector, Options as ClientOptions};
pub use files::Fault;
pub use handshake::{
    Counters, FAILURES, Failure, Handshakes, LONGEST_HANDSHAKE, Look, Slot, Strangers,
};
pub(super) use handshake::{peer_certificate, peer_chain};
pub use refusal::Refusal;
pub use server::{ClientAuth, Inline, Options as ServerOptions, Server, Version};

/// A connection that TLS protects.
pub type Stream = tokio_rustls::TlsStream<super::stream::Stream>;

/// The one implementation of the algorithms.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
