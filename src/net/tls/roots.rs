//! The authorities that the system trusts.
//!
//! Owns where their file is. The surprising decision: this is the one thing that the whole process shares without being handed it,
//! held weakly. It is the same for everybody, takes a hundred kilobytes, and is gone with the last client that needs it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::RootCertStore;

use super::files::{self, Pem};
use crate::net::kept::Stamps;

/// Where the usual distributions keep it: Debian, Fedora, openSUSE, Alpine and the BSDs.
const PLACES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

type Shared = Mutex<Option<(Stamps, Weak<RootCertStore>)>>;

static SHARED: Shared = Mutex::new(None);

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
    shared(&SHARED, &path)
}

/// What is in the file, as somebody has it or as it is read; nobody waits for another's reading, since files may lie on what hangs.
fn shared(all: &Shared, path: &Path) -> Result<Arc<RootCertStore>, String> {
    let stamps = Stamps::of([path]);
    let lock = || all.lock().unwrap_or_else(PoisonError::into_inner);
    let known = || {
        let all = lock();
        let same = all.as_ref().filter(|(seen, _)| *seen == stamps);
        same.and_then(|(_, store)| store.upgrade())
    };
    if let Some(store) = known() {
        return Ok(store);
    }
    let store = Arc::new(files::authorities(Pem::File(path))?);
    // Two who read it at once share what the first one has.
    if let Some(store) = known() {
        return Ok(store);
    }
    *lock() = Some((stamps, Arc::downgrade(&store)));
    Ok(store)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::super::testing::Authority;
    use super::*;

    #[test]
    fn a_file_that_hangs_holds_up_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        Authority::new("good").write(directory.path(), "good");
        let good = directory.path().join("good.pem");
        let hangs = directory.path().join("hangs");
        mknodat(CWD, &hangs, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let all = Arc::new(Shared::default());
        let (of_first, path) = (Arc::clone(&all), hangs.clone());
        let first = std::thread::spawn(move || shared(&of_first, &path).is_ok());
        // Open once the other side reads.
        let writer = std::fs::File::options().write(true).open(&hangs).unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(shared(&all, &good).unwrap().len()));
        let found = told.recv_timeout(Duration::from_secs(60));
        assert_eq!(found, Ok(1));
        drop(writer);
        assert!(!first.join().unwrap(), "nothing was in it");
    }
}
