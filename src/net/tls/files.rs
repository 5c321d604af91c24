//! PEM files: certificates, keys, authorities, and whether any of them changed.
//!
//! Owns the reading, within bounds. No error quotes content.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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

/// What shows that a file is another one now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Files, and how they were when they were looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

impl Stamps {
    /// Looks at files; may block.
    pub(super) fn of<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let look = |path: &Path| {
            let seen = std::fs::metadata(path).ok()?;
            Some(Stamp {
                file: (seen.dev(), seen.ino()),
                size: seen.size(),
                modified: (seen.mtime(), seen.mtime_nsec()),
                changed: (seen.ctime(), seen.ctime_nsec()),
            })
        };
        let stamped = paths.into_iter().map(|path| (path.to_owned(), look(path)));
        Self(stamped.collect())
    }
}

/// A certificate with the chain behind it, and its key.
///
/// # Errors
/// Which file cannot be used, and why.
pub(super) fn pair(cert_file: &Path, key_file: &Path) -> Result<CertifiedKey, Fault> {
    let chain = certificates(cert_file).map_err(|why| Fault::new("cert_file", why))?;
    let of_key = |why| Fault::new("key_file", why);
    let text = read(key_file).map_err(of_key)?;
    let shown = key_file.display();
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
            "the key in {shown} does not belong to the certificate in {}",
            cert_file.display()
        )),
        rustls::Error::InvalidCertificate(_) => Fault::new(
            "cert_file",
            format!(
                "the certificate in {} cannot be read: {error}",
                cert_file.display()
            ),
        ),
        error => of_key(format!(
            "the key in {shown} cannot be used, RSA, ECDSA (P-256, P-384) and Ed25519 can: {error}"
        )),
    })
}

/// The certificates in a file, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(path)?;
    let shown = path.display();
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

/// The authorities in a file. Those that cannot be read are left out if others can.
pub(super) fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    let (taken, left_out) = store.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        let shown = path.display();
        return Err(format!(
            "none of the {left_out} certificates in {shown} can be read"
        ));
    }
    Ok(store)
}

/// What is worth a warning about a certificate and its key that can be used.
pub(super) fn warnings(cert_file: &Path, key_file: &Path, now: u64) -> Vec<Fault> {
    let mut warnings = Vec::new();
    let chain = certificates(cert_file).unwrap_or_default();
    let end = chain.first().and_then(certificate::not_after);
    if let Some(end) = end.filter(|end| *end < now) {
        let (shown, end) = (cert_file.display(), super::refusal::time(end));
        let why = format!("the certificate in {shown} expired on {end}; clients refuse it");
        warnings.push(Fault::new("cert_file", why));
    }
    let open = std::fs::metadata(key_file).is_ok_and(|seen| seen.mode() & 0o007 != 0);
    if open {
        let shown = key_file.display();
        let why =
            format!("everybody on this machine may read or change the key in {shown}: chmod o= it");
        warnings.push(Fault::new("key_file", why));
    }
    warnings
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
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
fn pem(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "a section has no END line",
        Error::IllegalSectionStart { .. } => "a BEGIN line cannot be read",
        Error::Base64Decode(_) => "a section is no base64",
        Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be read",
    }
}
