//! The certificate that a listener shows, and which it asks for.
//!
//! Owns the settings; the files behind them are looked at when a connection comes. The keys and the words of the settings are those of `tls_server_config` in the exporters' web configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ServerConfig, SupportedProtocolVersion, version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::algorithms::{self, Curve, Suite};
use super::certificate::{self, Name};
use super::files::{self, Fault, Pem};
use super::wanted::{Clients, Wanted};
use crate::model::moment::Timestamp;
use crate::model::secret::Secret;
use crate::net::kept::{Kept, Source, State};

/// The certificate a listener shows, and which it asks for. Files are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// The certificate and, behind it, those of the authorities between it and the root; PEM.
    #[schemars(length(min = 1))]
    pub cert_file: PathBuf,
    /// Its private key; PEM without a password.
    #[schemars(length(min = 1))]
    pub key_file: PathBuf,
    /// The authorities whose client certificates are taken; PEM. Default: no client is asked for one.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client must have a certificate. Default: RequireAndVerifyClientCert with client_ca_file, else NoClientCert.
    #[serde(default)]
    pub client_auth_type: Option<ClientAuth>,
    /// The names, of which one must be in a client's certificate: DNS names, URIs, IP addresses, compared as texts. Default:
    /// any name will do.
    #[serde(default)]
    pub client_allowed_sans: Vec<Name>,
    /// The oldest version that is spoken.
    #[serde(default)]
    pub min_version: Version,
    /// The newest version that is spoken. Default: TLS13.
    #[serde(default)]
    pub max_version: Option<Version>,
    /// The cipher suites of TLS 1.2 that are spoken, the best first; those of TLS 1.3 are always. Default: all there are.
    #[serde(default)]
    pub cipher_suites: Vec<Suite>,
    /// Whether the order of suites here counts, and not the client's. Default: true.
    #[serde(default)]
    pub prefer_server_cipher_suites: Option<bool>,
    /// The curves that keys are exchanged by, the best first. Default: X25519, CurveP256, CurveP384.
    #[serde(default)]
    pub curve_preferences: Vec<Curve>,
    /// What stands in the settings themselves, and not in files: only in the exporters' web configuration file.
    #[serde(skip)]
    #[schemars(skip)]
    pub inline: Inline,
}

/// PEM that stands in the settings themselves, in the place of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inline {
    /// Instead of `cert_file`.
    pub cert: Option<String>,
    /// Instead of `key_file`.
    pub key: Option<Secret>,
    /// Instead of `client_ca_file`.
    pub client_ca: Option<String>,
}

/// Whether a client must have a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClientAuth {
    /// None is asked for.
    NoClientCert,
    /// One that is sent must be of a known authority; who sends none comes in too, and what he may is for others to say.
    VerifyClientCertIfGiven,
    /// Who has none of a known authority does not come in.
    RequireAndVerifyClientCert,
}

/// A version of TLS.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Version {
    /// RFC 5246.
    #[default]
    TLS12,
    /// RFC 8446.
    TLS13,
}

impl Options {
    /// Whether a client must have a certificate.
    #[must_use]
    pub fn client_auth(&self) -> ClientAuth {
        self.client_auth_type.unwrap_or(match self.client_ca() {
            Some(_) => ClientAuth::RequireAndVerifyClientCert,
            None => ClientAuth::NoClientCert,
        })
    }

    fn cert(&self) -> Pem<'_> {
        Pem::of(&self.cert_file, "cert", self.inline.cert.as_deref())
    }

    fn key(&self) -> Pem<'_> {
        let text = self.inline.key.as_ref().map(Secret::reveal);
        Pem::of(&self.key_file, "key", text)
    }

    fn client_ca(&self) -> Option<Pem<'_>> {
        let text = self.inline.client_ca.as_deref();
        let text = text.map(|text| Pem::Text("client_ca", text));
        text.or(self.client_ca_file.as_deref().map(Pem::File))
    }

    /// Everything that is wrong with them, and with the files; may block.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let asks = self.client_auth() != ClientAuth::NoClientCert;
        if asks && self.client_ca().is_none() {
            let why = "needs client_ca_file, whose certificates are to be taken";
            faults.push(Fault::new("client_auth_type", why));
        }
        if !asks && self.client_ca().is_some() {
            let why =
                "asks for no certificate, while client_ca_file says which are taken; leave one out";
            faults.push(Fault::new("client_auth_type", why));
        }
        if !asks && !self.client_allowed_sans.is_empty() {
            let why =
                "needs client_ca_file: names mean nothing in a certificate that nobody vouches for";
            faults.push(Fault::new("client_allowed_sans", why));
        }
        if self.max_version.is_some_and(|max| max < self.min_version) {
            faults.push(Fault::new("max_version", "is older than min_version"));
        }
        let is_old = self.max_version == Some(Version::TLS12);
        let of_tls12 = |suite: &Suite| suite.is_of_tls12();
        if is_old && !self.cipher_suites.is_empty() && !self.cipher_suites.iter().any(of_tls12) {
            let why = "has none of TLS 1.2, the only version that max_version leaves";
            faults.push(Fault::new("cipher_suites", why));
        }
        if faults.is_empty() {
            faults.extend(self.make().err());
        }
        faults
    }

    /// What is worth a warning: an expired certificate, a key that everybody may read. May block.
    #[must_use]
    pub fn warnings(&self) -> Vec<Fault> {
        let now = Timestamp::now().seconds();
        files::warnings(self.cert(), self.key(), now)
    }

    fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let newest = self.max_version.unwrap_or(Version::TLS13);
        let all = [
            (Version::TLS13, &version::TLS13),
            (Version::TLS12, &version::TLS12),
        ];
        let spoken = |(version, _): &(Version, _)| (self.min_version..=newest).contains(version);
        all.into_iter()
            .filter(spoken)
            .map(|(_, spoken)| spoken)
            .collect()
    }

    fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, Fault> {
        let (auth, pem) = match (self.client_auth(), self.client_ca()) {
            (ClientAuth::NoClientCert, _) | (_, None) => {
                return Ok(WebPkiClientVerifier::no_client_auth());
            }
            (auth, Some(pem)) => (auth, pem),
        };
        let fault = |why| Fault::new(pem.setting("client_ca_file"), why);
        let roots = files::authorities(pem).map_err(fault)?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = match auth {
            ClientAuth::VerifyClientCertIfGiven => builder.allow_unauthenticated(),
            _ => builder,
        };
        let verifier = builder.build().map_err(|error| fault(error.to_string()))?;
        Ok(match self.client_allowed_sans.is_empty() {
            true => verifier,
            false => Arc::new(Clients {
                verifier,
                wanted: Wanted::Names(self.client_allowed_sans.clone()),
            }),
        })
    }
}

impl Source for Options {
    type Made = Loaded;
    type Wrong = Fault;

    fn files(&self) -> Vec<PathBuf> {
        let all = [Some(self.cert()), Some(self.key()), self.client_ca()];
        let paths = all.into_iter().flatten().filter_map(|pem| match pem {
            Pem::File(path) => Some(path.to_owned()),
            Pem::Text(..) => None,
        });
        paths.collect()
    }

    fn make(&self) -> Result<Loaded, Fault> {
        let key = files::pair(self.cert(), self.key())?;
        let not_after = key.cert.first().and_then(certificate::not_after);
        let provider = algorithms::chosen(&self.cipher_suites, &self.curve_preferences);
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions())
            .map_err(|error| Fault::new("min_version", error.to_string()))?;
        let mut config = builder
            .with_client_cert_verifier(self.verifier(provider)?)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        config.ignore_client_order = self.prefer_server_cipher_suites.unwrap_or(true);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let config = Arc::new(config);
        Ok(Loaded { config, not_after })
    }

    fn changed(&self, made: &Result<Loaded, Fault>) {
        let shown = self.cert();
        match made {
            Ok(_) => {
                tracing::info!("took the changed certificate in {shown}");
                for warning in self.warnings() {
                    tracing::warn!("{}", warning.why);
                }
            }
            Err(fault) => tracing::error!(
                "the certificate in {shown}, its key or its authorities changed and cannot be used, the one before stays: {fault}"
            ),
        }
    }
}

/// What handshakes go by.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate ends, in Unix seconds.
    not_after: Option<u64>,
}

/// What a listener needs for handshakes.
#[derive(Debug)]
pub struct Server {
    pub(super) kept: Arc<Kept<Options>>,
    /// What was read at the start, so that there is something whatever comes.
    first: Loaded,
}

impl Server {
    /// Reads the files; may block.
    ///
    /// # Errors
    /// Which setting cannot be used, and why.
    pub fn new(options: Options) -> Result<Self, Fault> {
        let kept = Arc::new(Kept::new(options));
        let first = kept.look()?;
        Ok(Self { kept, first })
    }

    /// When the certificate ends, in Unix seconds.
    #[must_use]
    pub fn not_after(&self) -> Option<u64> {
        let state = self.kept.state();
        state.as_ref().map_or(&self.first, |s| &s.made).not_after
    }

    /// Whether it is made of the same settings as another, whose files it reads again by itself.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.kept.source() == other.kept.source()
    }

    /// Waits until handshakes go by something else than this. Cancel-safe.
    pub(super) async fn outdated(&self, config: &Arc<ServerConfig>) {
        let current = |state: &State<Loaded>| Arc::ptr_eq(&state.made.config, config);
        let mut anew = self.kept.anew();
        let other = |_: &()| !self.kept.state().as_ref().is_none_or(current);
        // An error means that nothing is made any more, which is an end as well.
        anew.wait_for(other).await.ok();
    }

    /// What handshakes go by now.
    pub(super) async fn config(&self) -> Arc<ServerConfig> {
        let now = self.kept.get().await;
        now.unwrap_or_else(|_| self.first.clone()).config
    }
}
