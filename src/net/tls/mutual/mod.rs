//! TLS between two that know each other: by certificates of one authority, by a key that both have, or in plain.
//!
//! Owns the settings, which are those of a Zabbix agent, the listening side (`server`) and the connecting side (`client`). One
//! port takes all kinds that are accepted: the first byte tells TLS from plain, and the greeting of a client which kind of TLS.
//!
//! ```text
//!  first byte ── not 0x16 ── unencrypted accepted? ──────────────────────────────> plain
//!      └─ 0x16 ── psk accepted? ── no ──> rustls: certificate, authority, issuer, subject ──> TLS
//!                     └─ yes ──> OpenSSL: the key, or a certificate that goes through the same verifier ──> TLS
//! ```
//!
//! The surprising decisions. rustls knows no pre-shared keys, so that OpenSSL takes the handshakes of a listener that accepts one, and
//! only those; what a certificate is worth the verifier of rustls decides there too. A host's name is never looked for in a certificate, as
//! Zabbix does not: who the other end is, its authority, its issuer and its subject say.

mod client;
mod key;
#[cfg(feature = "psk")]
mod openssl;
mod refusal;
mod server;

use std::path::PathBuf;

use rustls::client::VerifierBuilderError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::files::{self, Fault, Pem};
use super::revoked;
use super::wanted::Wanted;
use crate::model::moment::Timestamp;

pub use client::Client;
#[cfg(feature = "psk")]
pub use openssl::Stream;
pub use server::Server;

/// The longest identity, in bytes: as Zabbix has it.
const LONGEST_IDENTITY: usize = 128;
/// The longest issuer or subject, in bytes: as the server keeps it.
const LONGEST_NAME: usize = 1024;

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Not at all.
    Unencrypted,
    /// By a key that both ends have; needs a nodeward with the feature `psk`.
    Psk,
    /// By a certificate of each end, of one authority.
    Cert,
}

/// TLS as a Zabbix agent has it, with the same certificate or the same key for both ways. Files are read again when they change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What who asks passively may use, several at once: `unencrypted`, `psk`, `cert` (TLSAccept). Needed with `listen`.
    pub accept: Vec<Kind>,
    /// What connections to servers use: `unencrypted`, `psk` or `cert` (TLSConnect). Needed with `server_active` and `trapper`.
    pub connect: Option<Kind>,
    /// The authorities whose certificates are taken of the other end; PEM. Needed for `cert`.
    #[schemars(length(min = 1))]
    pub ca_file: Option<PathBuf>,
    /// Lists of certificates that these authorities took back; PEM. With it, every authority needs one that is not out of date. Default: none.
    #[schemars(length(min = 1))]
    pub crl_file: Option<PathBuf>,
    /// The certificate that is shown and, behind it, those of the authorities between it and the root; PEM. Needed for `cert`.
    #[schemars(length(min = 1))]
    pub cert_file: Option<PathBuf>,
    /// Its private key; PEM without a password.
    #[schemars(length(min = 1))]
    pub key_file: Option<PathBuf>,
    /// The issuer that the other end's certificate must have, the most special part first: `CN=Signing CA,O=Example,C=DE`; compared
    /// as a text. Default: any.
    #[schemars(length(min = 1))]
    pub server_cert_issuer: Option<String>,
    /// The subject that the other end's certificate must have, in the same way. Default: any.
    #[schemars(length(min = 1))]
    pub server_cert_subject: Option<String>,
    /// The name of the key, up to 128 bytes; it is sent in the clear. Needed for `psk`.
    #[schemars(length(min = 1))]
    pub psk_identity: Option<String>,
    /// The key: a file of 32 to 512 hex digits; relative to the config file's directory, or `credential:NAME`. Needed for `psk`.
    #[schemars(length(min = 1))]
    pub psk_file: Option<PathBuf>,
}

impl Options {
    /// Whether connections of this kind are taken.
    #[must_use]
    pub fn accepts(&self, kind: Kind) -> bool {
        match self.accept.is_empty() {
            true => kind == Kind::Unencrypted,
            false => self.accept.contains(&kind),
        }
    }

    fn uses(&self, kind: Kind) -> bool {
        self.accept.contains(&kind) || self.connect == Some(kind)
    }

    /// Whether anything is protected at all.
    #[must_use]
    pub fn protects(&self) -> bool {
        self.uses(Kind::Psk) || self.uses(Kind::Cert)
    }

    /// What is wrong with them taken alone, without a look at files; `listens` and `connects` say what they are needed for.
    #[must_use]
    pub fn check(&self, listens: bool, connects: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |key, why: &str| faults.push(Fault::new(key, why));
        if listens && self.accept.is_empty() {
            let why =
                "is missing: say what listen is to accept, [unencrypted], [psk], [cert] or several";
            fault("accept", why);
        }
        if connects && self.connect.is_none() {
            let why =
                "is missing: say how servers are to be connected to, unencrypted, psk or cert";
            fault("connect", why);
        }
        for (key, uses) in [
            ("accept", self.accept.contains(&Kind::Psk)),
            ("connect", self.connect == Some(Kind::Psk)),
        ] {
            if uses && !cfg!(feature = "psk") {
                let why = "asks for psk, and this nodeward was built without it: take one that was built with the feature psk (cargo build --features psk), or use cert";
                fault(key, why);
            }
        }
        for (key, kind, given, needed) in [
            ("ca_file", Kind::Cert, self.ca_file.is_some(), true),
            ("cert_file", Kind::Cert, self.cert_file.is_some(), true),
            ("key_file", Kind::Cert, self.key_file.is_some(), true),
            ("psk_identity", Kind::Psk, self.psk_identity.is_some(), true),
            ("psk_file", Kind::Psk, self.psk_file.is_some(), true),
            (
                "server_cert_issuer",
                Kind::Cert,
                self.server_cert_issuer.is_some(),
                false,
            ),
            (
                "server_cert_subject",
                Kind::Cert,
                self.server_cert_subject.is_some(),
                false,
            ),
            ("crl_file", Kind::Cert, self.crl_file.is_some(), false),
        ] {
            let word = match kind {
                Kind::Psk => "psk",
                _ => "cert",
            };
            match (given, self.uses(kind)) {
                (true, false) => fault(
                    key,
                    &format!("means nothing: neither accept nor connect has {word}"),
                ),
                (false, true) if needed => {
                    fault(key, &format!("is missing, and {word} needs it"));
                }
                _ => {}
            }
        }
        for (key, text) in [
            ("server_cert_issuer", &self.server_cert_issuer),
            ("server_cert_subject", &self.server_cert_subject),
        ] {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST_NAME) {
                fault(key, "is longer than 1024 bytes");
            }
        }
        let identity = self.psk_identity.as_ref();
        if identity.is_some_and(|text| text.len() > LONGEST_IDENTITY || text.contains('\0')) {
            fault(
                "psk_identity",
                "is longer than 128 bytes, or has a NUL in it",
            );
        }
        faults
    }

    /// What is wrong with the files they name; may block. Options that are wrong alone have no more faults here.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        if !self.check(false, false).is_empty() {
            return Vec::new();
        }
        let mut faults = Vec::new();
        if self.uses(Kind::Cert) {
            faults.extend(self.authorities().err());
            faults.extend(self.revoked().err());
            faults.extend(self.pair().err());
        }
        if self.uses(Kind::Psk) {
            faults.extend(self.key().err());
        }
        if faults.is_empty() {
            faults.extend(server::spoken(self).err());
            faults.extend(client::spoken(self).err());
        }
        faults
    }

    /// What is worth a warning: an expired certificate, a list of revoked ones that is out of date, a key that everybody may read. May
    /// block.
    #[must_use]
    pub fn warnings(&self) -> Vec<Fault> {
        let now = Timestamp::now().seconds();
        let mut warnings = match (&self.cert_file, &self.key_file) {
            (Some(cert), Some(key)) => files::warnings(Pem::File(cert), Pem::File(key), now),
            _ => Vec::new(),
        };
        let lists = self.crl_file.iter();
        let lists = lists.flat_map(|path| revoked::warnings(path, now));
        warnings.extend(lists.map(|why| Fault::new("crl_file", why)));
        let psk = self.psk_file.iter();
        warnings.extend(psk.filter_map(|path| files::open_to_all("psk_file", path)));
        warnings
    }

    /// Says [`Options::warnings`] of files that have changed.
    fn warn(&self) {
        for warning in self.warnings() {
            tracing::warn!("tls.{warning}");
        }
    }

    /// The files that a kind is made of.
    fn files(&self) -> Vec<PathBuf> {
        let all = [
            &self.ca_file,
            &self.crl_file,
            &self.cert_file,
            &self.key_file,
            &self.psk_file,
        ];
        all.into_iter().flatten().cloned().collect()
    }

    fn wanted(&self) -> Wanted {
        Wanted::Person {
            issuer: self.server_cert_issuer.clone(),
            subject: self.server_cert_subject.clone(),
        }
    }

    fn authorities(&self) -> Result<rustls::RootCertStore, Fault> {
        let path = named("ca_file", &self.ca_file)?;
        files::authorities(Pem::File(path)).map_err(|why| Fault::new("ca_file", why))
    }

    fn revoked(
        &self,
    ) -> Result<Vec<rustls::pki_types::CertificateRevocationListDer<'static>>, Fault> {
        let lists = self.crl_file.as_deref().map(revoked::lists);
        let lists = lists
            .transpose()
            .map_err(|why| Fault::new("crl_file", why))?;
        Ok(lists.unwrap_or_default())
    }

    fn pair(&self) -> Result<rustls::sign::CertifiedKey, Fault> {
        let cert = named("cert_file", &self.cert_file)?;
        let key = named("key_file", &self.key_file)?;
        files::pair(Pem::File(cert), Pem::File(key))
    }

    fn key(&self) -> Result<key::Key, Fault> {
        let path = named("psk_file", &self.psk_file)?;
        key::read(path).map_err(|why| Fault::new("psk_file", why))
    }
}

/// What is at fault where no verifier can be made of authorities and lists.
fn unverified(error: &VerifierBuilderError) -> Fault {
    let key = match error {
        VerifierBuilderError::InvalidCrl(_) => "crl_file",
        _ => "ca_file",
    };
    Fault::new(key, error.to_string())
}

fn named<'a>(key: &'static str, path: &'a Option<PathBuf>) -> Result<&'a std::path::Path, Fault> {
    path.as_deref().ok_or_else(|| Fault::new(key, "is missing"))
}

#[cfg(test)]
mod tests;
