//! Taking connections: plain, by certificate, by key, as each comes.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

use super::super::files::Fault;
use super::super::wanted::Clients;
use super::super::{Refusal, provider};
use super::{Kind, Options, refusal, unverified};
use crate::net::kept::{Kept, Source};
use crate::net::stream::Stream;

/// What the first byte of TLS is: a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 0x16;

/// What handshakes go by.
#[derive(Clone)]
pub(super) enum Spoken {
    /// By certificates alone.
    Cert(Arc<ServerConfig>),
    /// By a key, or by certificates too.
    #[cfg(feature = "psk")]
    Psk(Arc<super::openssl::Acceptor>),
    /// Nothing is protected.
    Plain,
}

/// The verifier of certificates that clients show.
fn verifier(options: &Options) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
    let roots = Arc::new(options.authorities()?);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .with_crls(options.revoked()?)
        .enforce_revocation_expiration();
    Ok(Arc::new(Clients {
        verifier: builder.build().map_err(|error| unverified(&error))?,
        wanted: options.wanted(),
    }))
}

/// Reads what a listener needs; blocks.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn spoken(options: &Options) -> Result<Spoken, Fault> {
    #[cfg(feature = "psk")]
    if options.accepts(Kind::Psk) {
        let verifier = match options.accepts(Kind::Cert) {
            true => Some(verifier(options)?),
            false => None,
        };
        return Ok(Spoken::Psk(Arc::new(super::openssl::Acceptor::new(
            options, verifier,
        )?)));
    }
    if !options.accepts(Kind::Cert) {
        return Ok(Spoken::Plain);
    }
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::new("accept", error.to_string()))?
        .with_client_cert_verifier(verifier(options)?)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(options.pair()?)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Spoken::Cert(Arc::new(config)))
}

struct Listening(Options);

impl Source for Listening {
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
            Ok(_) => {
                tracing::info!("took the changed files of TLS for connections that come in");
                self.0.warn();
            }
            Err(fault) => tracing::error!(
                "files of TLS for connections that come in changed and cannot be used, those before stay: {fault}"
            ),
        }
    }
}

/// Takes connections as its options say.
pub struct Server(Arc<Kept<Listening>>);

impl Server {
    /// By these options. Nothing is read yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Kept::new(Listening(options))))
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

    /// What is behind the first byte that comes: the stream itself where it is plain and may be, else behind the handshake. None if the
    /// peer closed before it said anything. Takes as long as the peer; a bound on that is the caller's.
    ///
    /// # Errors
    /// Why the connection is not taken.
    pub async fn meet(&self, mut stream: Stream) -> Result<Option<Stream>, Refusal> {
        let options = &self.0.source().0;
        let mut first = [0];
        let seen = stream.peek(&mut first).await;
        match seen.map_err(|error| Refusal::Other(error.to_string()))? {
            0 => return Ok(None),
            _ if first != [HANDSHAKE] => {
                return match options.accepts(Kind::Unencrypted) {
                    true => Ok(Some(stream)),
                    false => Err(Refusal::Incompatible(
                        "it is not encrypted, and tls.accept does not list unencrypted".into(),
                    )),
                };
            }
            _ => {}
        }
        let spoken = self.0.get().await.map_err(Refusal::Other)?;
        let shaken = match spoken {
            Spoken::Plain => {
                let why = "it speaks TLS, and tls.accept lists neither psk nor cert";
                return Err(Refusal::Incompatible(why.into()));
            }
            Spoken::Cert(config) => {
                let shaken = TlsAcceptor::from(config).accept(stream).await;
                shaken.map(|stream| Stream::Tls(Box::new(stream.into())))
            }
            #[cfg(feature = "psk")]
            Spoken::Psk(acceptor) => return acceptor.accept(stream).await.map(Some),
        };
        shaken.map(Some).map_err(|error| refusal::of(&error))
    }
}
