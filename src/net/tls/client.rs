//! Whom a client trusts, and the certificate it shows.
//!
//! Owns the settings; the files behind them are read when the first connection is made, and again when one changed. A server's certificate is always verified: there is no switch that turns it off, since a private
//! authority is one line (`ca_file`), and a connection that anybody may answer is worse than one that is plain to see.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;

use super::files::{self, Fault, Pem};
use super::{Refusal, provider, roots};
use crate::net::kept::{Kept, Source};
use crate::net::stream::Stream;

/// Whom to trust with `https`, and which certificate to show. Files are read again when they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The authorities that are trusted; PEM. Default: those of the system (`$SSL_CERT_FILE`, else its usual file).
    #[schemars(length(min = 1))]
    pub ca_file: Option<PathBuf>,
    /// A client certificate to show; PEM. Default: none.
    #[schemars(length(min = 1))]
    pub cert_file: Option<PathBuf>,
    /// Its private key; PEM without a password.
    #[schemars(length(min = 1))]
    pub key_file: Option<PathBuf>,
    /// The name that must be in the server's certificate. Default: the host that is connected to.
    #[schemars(length(min = 1))]
    pub server_name: Option<String>,
}

impl Options {
    /// Everything that is wrong with them, and with the files they name, given whether they are of any use; may block. The
    /// keys begin with `tls`.
    #[must_use]
    pub fn faults(&self, secure: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !secure {
            let why =
                "means nothing without TLS: write https:// (of syslog, tls://), or leave it out";
            faults.push(Fault::new("tls", why));
        }
        if let Some(path) = &self.ca_file {
            let read = files::authorities(Pem::File(path));
            faults.extend(read.err().map(|why| Fault::new("tls.ca_file", why)));
        }
        faults.extend(match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => {
                let pair = files::pair(Pem::File(cert), Pem::File(key));
                pair.err().map(below)
            }
            (None, None) => None,
            (Some(_), None) => Some(Fault::new(
                "tls.cert_file",
                "needs its key: set key_file too",
            )),
            (None, Some(_)) => Some(Fault::new(
                "tls.key_file",
                "needs its certificate: set cert_file too",
            )),
        });
        let bad = |name: &String| server_name(name).is_err();
        if let Some(name) = self.server_name.as_ref().filter(|name| bad(name)) {
            let why = format!("{name:?} is no host name or address");
            faults.push(Fault::new("tls.server_name", why));
        }
        faults
    }
}

impl Source for Options {
    type Made = Arc<ClientConfig>;
    type Wrong = String;

    fn files(&self) -> Vec<PathBuf> {
        let authorities = self.ca_file.clone().or_else(roots::file);
        let own = [&self.cert_file, &self.key_file]
            .into_iter()
            .flatten()
            .cloned();
        authorities.into_iter().chain(own).collect()
    }

    fn make(&self) -> Result<Arc<ClientConfig>, String> {
        let trusted = match &self.ca_file {
            Some(path) => {
                let read = files::authorities(Pem::File(path));
                Arc::new(read.map_err(|why| format!("tls.ca_file: {why}"))?)
            }
            None => roots::system()?,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(trusted);
        let mut config = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => {
                let pair = files::pair(Pem::File(cert), Pem::File(key));
                let pair = pair.map_err(|fault| below(fault).to_string())?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
            _ => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    fn changed(&self, made: &Result<Arc<ClientConfig>, String>) {
        if let Err(why) = made {
            tracing::error!(
                "certificates for connections changed and cannot be used, those before stay: {why}"
            );
        }
    }
}

/// Makes TLS connections as its options say. Cheap to make, reads nothing before it is used; clones share what was read.
#[derive(Debug, Clone)]
pub struct Connector(Arc<Kept<Options>>);

impl Default for Connector {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Connector {
    /// By these options.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self(Arc::new(Kept::new(options)))
    }

    /// By these options, or none, for a peer whose certificate is for `name` unless they say otherwise: for one that is
    /// connected to by its address.
    #[must_use]
    pub fn named(options: Option<&Options>, name: &str) -> Self {
        let mut options = options.cloned().unwrap_or_default();
        options.server_name.get_or_insert_with(|| name.to_owned());
        Self::new(options)
    }

    /// Reads what is needed to speak to `host`, if it was not read yet, so that what goes wrong afterwards is no lack of this side.
    ///
    /// # Errors
    /// Why nobody can be spoken to: a file that cannot be read, a name that no certificate can have.
    pub async fn ready(&self, host: &str) -> Result<(), String> {
        self.name(host)?;
        self.0.get().await.map(drop)
    }

    fn name(&self, host: &str) -> Result<ServerName<'static>, String> {
        server_name(self.0.source().server_name.as_deref().unwrap_or(host))
    }

    /// Speaks TLS on `stream` to `host`, with the one application protocol given (ALPN, RFC 7301), if any.
    ///
    /// # Errors
    /// What the stream says, or a [`Refusal`] within an error of kind `InvalidData`.
    pub async fn connect(
        &self,
        stream: Stream,
        host: &str,
        protocol: Option<&[u8]>,
    ) -> io::Result<Stream> {
        let name = self
            .name(host)
            .map_err(|why| refused(Refusal::Other(why)))?;
        let config = self
            .0
            .get()
            .await
            .map_err(|why| refused(Refusal::Other(why)))?;
        let connector = TlsConnector::from(config);
        let protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        // Large, and nobody who might speak TLS but does not need carry its room.
        let connecting = Box::pin(connector.with_alpn(protocols).connect(name, stream));
        match connecting.await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream.into()))),
            Err(error) => Err(Refusal::of(&error).map_or(error, refused)),
        }
    }
}

/// A fault of the pair, by the key where it stands.
fn below(fault: Fault) -> Fault {
    let key = match fault.key {
        "key_file" => "tls.key_file",
        _ => "tls.cert_file",
    };
    Fault { key, ..fault }
}

fn refused(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, refusal)
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("{name:?} is no name that a certificate can have: set tls.server_name")
    })
}
