//! The authorities that the system trusts.
//!
//! Owns where their file is. The surprising decision: this is the one thing that the whole process shares without being handed it,
//! held weakly. It is the same for everybody, takes a hundred kilobytes, and is gone with the last client that needs it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::RootCertStore;

use super::files::{self, Stamps};

/// Where the usual distributions keep it: Debian, Fedora, openSUSE, Alpine and the BSDs.
const PLACES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

static SHARED: Mutex<Option<(Stamps, Weak<RootCertStore>)>> = Mutex::new(None);

/// The file of the system: `$SSL_CERT_FILE`, else the first of the usual places that is there.
pub(super) fn file() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").filter(|name| !name.is_empty());
    match named {
        Some(named) => Some(named.into()),
        None => PLACES
            .iter()
            .map(PathBuf::from)
            .find(|place| place.exists()),
    }
}

/// Reads it, unless somebody has it; may block.
pub(super) fn system() -> Result<Arc<RootCertStore>, String> {
    let Some(path) = file() else {
        return Err(format!(
            "this system has no file of authorities ({}): install its ca-certificates, or set tls.ca_file",
            PLACES.join(", ")
        ));
    };
    let stamps = Stamps::of([path.as_path()]);
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = shared.as_ref().filter(|(seen, _)| *seen == stamps);
    if let Some(store) = same.and_then(|(_, store)| store.upgrade()) {
        return Ok(store);
    }
    let store = Arc::new(files::authorities(&path)?);
    *shared = Some((stamps, Arc::downgrade(&store)));
    Ok(store)
}
