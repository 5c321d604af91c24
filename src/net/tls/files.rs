//! PEM: certificates, keys, authorities, in files or as they stand in settings.
//!
//! Owns the reading, within bounds. No error quotes content.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::{Error, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{certificate, provider};

/// The largest file: the bundles of systems have a quarter of it.
const LARGEST: u64 = 2 << 20;

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct Fault {
    /// The key of the setting.
    pub key: &'static str,
    /// Why it cannot be used.
    pub why: String,
}

impl Fault {
    pub(super) fn new(key: &'static str, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { key, why }
    }
}

/// Where PEM comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pem<'a> {
    /// A file.
    File(&'a Path),
    /// The value of the setting of this name.
    Text(&'static str, &'a str),
}

impl<'a> Pem<'a> {
    /// What a setting names or holds; `text` goes before `file`.
    pub(super) fn of(file: &'a Path, name: &'static str, text: Option<&'a str>) -> Self {
        text.map_or(Self::File(file), |text| Self::Text(name, text))
    }

    /// The setting that it is of; `file` where that names a file.
    pub(super) fn setting(self, file: &'static str) -> &'static str {
        match self {
            Self::File(_) => file,
            Self::Text(name, _) => name,
        }
    }

    fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => read(path),
            Self::Text(_, text) => Ok(text.as_bytes().to_vec()),
        }
    }
}

impl fmt::Display for Pem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Text(name, _) => f.write_str(name),
        }
    }
}

/// A certificate with the chain behind it, and its key.
///
/// # Errors
/// Which of them cannot be used, and why.
pub(super) fn pair(cert: Pem<'_>, shown: Pem<'_>) -> Result<CertifiedKey, Fault> {
    let cert_setting = cert.setting("cert_file");
    let chain = certificates(cert).map_err(|why| Fault::new(cert_setting, why))?;
    let of_key = |why| Fault::new(shown.setting("key_file"), why);
    let text = shown.read().map_err(of_key)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| {
        let encrypted = text.windows(9).any(|word| word == b"ENCRYPTED");
        of_key(match error {
            _ if encrypted => {
                format!("the key in {shown} is encrypted: store it without a password")
            }
            Error::NoItemsFound => {
                format!("no private key in {shown}: PEM is needed (-----BEGIN PRIVATE KEY-----)")
            }
            error => format!("{shown} is no PEM: {}", pem(&error)),
        })
    })?;
    CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => of_key(format!(
            "the key in {shown} does not belong to the certificate in {cert}"
        )),
        rustls::Error::InvalidCertificate(_) => Fault::new(
            cert_setting,
            format!("the certificate in {cert} cannot be read: {error}"),
        ),
        error => of_key(format!(
            "the key in {shown} cannot be used, RSA, ECDSA (P-256, P-384) and Ed25519 can: {error}"
        )),
    })
}

/// The certificates, at least one.
pub(super) fn certificates(shown: Pem<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = shown.read()?;
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        found.push(certificate.map_err(|error| format!("{shown} is no PEM: {}", pem(&error)))?);
    }
    if found.is_empty() {
        return Err(format!(
            "no certificate in {shown}: PEM is needed (-----BEGIN CERTIFICATE-----)"
        ));
    }
    Ok(found)
}

/// Authorities. Those that cannot be read are left out if others can.
pub(super) fn authorities(shown: Pem<'_>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let (taken, left_out) = store.add_parsable_certificates(certificates(shown)?);
    if taken == 0 {
        return Err(format!(
            "none of the {left_out} certificates in {shown} can be read"
        ));
    }
    Ok(store)
}

/// What is worth a warning about a certificate and its key that can be used.
pub(super) fn warnings(cert: Pem<'_>, key: Pem<'_>, now: u64) -> Vec<Fault> {
    let mut warnings = Vec::new();
    let chain = certificates(cert).unwrap_or_default();
    let end = chain.first().and_then(certificate::not_after);
    if let Some(end) = end.filter(|end| *end < now) {
        let end = super::refusal::time(end);
        let why = format!("the certificate in {cert} expired on {end}; clients refuse it");
        warnings.push(Fault::new(cert.setting("cert_file"), why));
    }
    if let Pem::File(path) = key {
        warnings.extend(open_to_all("key_file", path));
    }
    warnings
}

/// A warning about a key that everybody may read, by the setting that names its file.
pub(super) fn open_to_all(setting: &'static str, path: &Path) -> Option<Fault> {
    let open = std::fs::metadata(path).is_ok_and(|seen| seen.mode() & 0o007 != 0);
    let shown = path.display();
    let why =
        format!("everybody on this machine may read or change the key in {shown}: chmod o= it");
    open.then(|| Fault::new(setting, why))
}

/// The content of a file, within bounds.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let mut text = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(cannot)?;
    if text.len() as u64 > LARGEST {
        return Err(format!("{} is larger than 2MiB", path.display()));
    }
    Ok(text)
}

/// What is wrong with a PEM file, without a line of it.
pub(super) fn pem(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no END line",
        Error::IllegalSectionStart { .. } => "a BEGIN line cannot be read",
        Error::Base64Decode(_) => "a section is no base64",
        Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be read",
    }
}
