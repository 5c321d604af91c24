//! Connecting: by certificate, by key, or in plain.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName};
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsConnector;

use super::super::files::Fault;
use super::super::wanted::Servers;
use super::super::{Refusal, provider};
use super::{Kind, Options, refusal, unverified};
use crate::net::kept::{Kept, Source};
use crate::net::stream::Stream;

/// What handshakes go by.
#[derive(Clone)]
pub(super) enum Spoken {
    /// By certificate.
    Cert(Arc<ClientConfig>),
    /// By key.
    #[cfg(feature = "psk")]
    Psk(Arc<super::openssl::Connector>),
    /// Not protected.
    Plain,
}

/// Reads what connections need; blocks.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn spoken(options: &Options) -> Result<Spoken, Fault> {
    match options.connect {
        None | Some(Kind::Unencrypted) => return Ok(Spoken::Plain),
        #[cfg(feature = "psk")]
        Some(Kind::Psk) => {
            return Ok(Spoken::Psk(Arc::new(super::openssl::Connector::new(
                options,
            )?)));
        }
        #[cfg(not(feature = "psk"))]
        Some(Kind::Psk) => return Err(Fault::new("connect", "psk is not built in")),
        Some(Kind::Cert) => {}
    }
    let roots = Arc::new(options.authorities()?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .with_crls(options.revoked()?)
        .enforce_revocation_expiration()
        .build()
        .map_err(|error| unverified(&error))?;
    let verifier = Servers {
        verifier,
        wanted: options.wanted(),
    };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new("connect", error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(options.pair()?)));
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Spoken::Cert(Arc::new(config)))
}

#[derive(Debug)]
struct Connecting(Options);

impl Source for Connecting {
    type Made = Spoken;
    type Wrong = Fault;

    fn files(&self) -> Vec<PathBuf> {
        self.0.files()
    }

    fn make(&self) -> Result<Spoken, Fault> {
        spoken(&self.0)
    }

    fn changed(&self, made: &Result<Spoken, Fault>) {
        match made {
            // Who listens as well says it of the same files.
            Ok(_) if self.0.accept.is_empty() => self.0.warn(),
            Ok(_) => {}
            Err(fault) => tracing::error!(
                "files of TLS for connections to others changed and cannot be used, those before stay: {fault}"
            ),
        }
    }
}

/// Makes connections as its options say. Clones share what was read.
#[derive(Clone)]
pub struct Client(Arc<Kept<Connecting>>);

impl Client {
    /// By these options. Nothing is read yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Kept::new(Connecting(options))))
    }

    /// Reads the files, so that what is broken later leaves what was there. What cannot be read now each connection says.
    pub async fn prepare(&self) {
        self.0.prepare().await;
    }

    /// Looks whether a file has changed, and reads it then; blocks.
    #[cfg(test)]
    pub(super) fn look(&self) {
        drop(self.0.look());
    }

    /// The same connection, protected. Takes as long as the peer; a bound on that is the caller's.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn connect(&self, stream: Stream) -> Result<Stream, Refusal> {
        let spoken = self.0.get().await.map_err(Refusal::Other)?;
        match spoken {
            Spoken::Plain => Ok(stream),
            Spoken::Cert(config) => {
                // Not sent, and not looked for in the certificate.
                let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])));
                let shaken = Box::pin(TlsConnector::from(config).connect(nobody, stream)).await;
                let stream = shaken.map_err(|error| refusal::of(&error))?;
                Ok(Stream::Tls(Box::new(stream.into())))
            }
            #[cfg(feature = "psk")]
            Spoken::Psk(connector) => connector.connect(stream).await,
        }
    }
}
