//! The web configuration file while nodeward runs: looked at before a connection is spoken to and before a request is answered, at most
//! once a second, and read again when it has changed.
//!
//! A file that cannot be used leaves in force what was before it. So does one that takes TLS or the last login away: a file that is
//! being written is empty for a moment, and an empty file asks for nothing. That is for a reload to take.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::web as read;
use crate::net::kept::{Kept, Source};
use crate::net::tls::{self, Look};
use crate::serve::web::{File, Terms, Web};

/// A file, ready to be put into force.
pub(super) struct Watched {
    kept: Arc<Kept<Reading>>,
    web: Arc<Web>,
    slot: tls::Slot,
    /// What is in force.
    applied: Mutex<Option<Arc<Made>>>,
}

/// What a file comes to.
#[derive(Debug)]
struct Made {
    file: File,
    server: Option<Arc<tls::Server>>,
}

/// Reads it again and again.
struct Reading {
    path: PathBuf,
    /// `http.tls`, which holds where the file says nothing of TLS.
    config_tls: Option<tls::ServerOptions>,
    web: Arc<Web>,
    /// What was read last and could be used.
    standing: Mutex<File>,
}

impl Watched {
    /// Reads it; may block.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(super) fn read(
        path: PathBuf,
        web: Arc<Web>,
        slot: tls::Slot,
        config_tls: Option<tls::ServerOptions>,
    ) -> Result<Arc<Self>, String> {
        let kept = Arc::new(Kept::new(Reading {
            path,
            config_tls,
            web: Arc::clone(&web),
            standing: Mutex::default(),
        }));
        kept.look()?;
        Ok(Arc::new(Self {
            kept,
            web,
            slot,
            applied: Mutex::default(),
        }))
    }

    /// Puts it into force, and has it looked at from now on.
    pub(super) fn begin(self: &Arc<Self>) {
        let made = self.kept.made();
        made.into_iter().for_each(|made| self.apply(made));
        let look = Arc::clone(self) as Arc<dyn Look>;
        self.slot.set_look(Some(Arc::clone(&look)));
        self.web.set_look(Some(look));
    }

    fn apply(&self, made: Arc<Made>) {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        if applied.as_ref().is_some_and(|now| Arc::ptr_eq(now, &made)) {
            return;
        }
        self.slot.set(made.server.clone());
        self.web.set(Terms::new(&made.file));
        *applied = Some(made);
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched")
            .field(&self.kept.source().path)
            .finish()
    }
}

impl Look for Watched {
    fn look(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            // It was read at the start, so that there is something whatever comes.
            if let Ok(made) = self.kept.get().await {
                self.apply(made);
            }
        })
    }
}

impl Source for Reading {
    type Made = Arc<Made>;
    type Wrong = String;

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn make(&self) -> Result<Arc<Made>, String> {
        let file = read::read(&self.path)
            .map_err(|errors| errors.without_lines())?
            .file;
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        for (what, had, has) in [
            ("tls_server_config", standing.has_tls(), file.has_tls()),
            ("basic_auth_users", standing.has_users(), file.has_users()),
        ] {
            if had && !has {
                return Err(format!(
                    "{}: {what} is gone, which only a reload takes (nodeward reload, SIGHUP)",
                    self.path.display()
                ));
            }
        }
        let shown = |fault| format!("{}: tls_server_config.{fault}", self.path.display());
        if self.config_tls.is_some() && file.has_tls() {
            return Err(format!(
                "{}: tls_server_config stands beside http.tls; keep one of both",
                self.path.display()
            ));
        }
        let options = file
            .tls()
            .ok()
            .flatten()
            .or_else(|| self.config_tls.clone());
        let server = options.map(tls::Server::new).transpose().map_err(shown)?;
        standing.clone_from(&file);
        Ok(Arc::new(Made {
            file,
            server: server.map(Arc::new),
        }))
    }

    fn changed(&self, made: &Result<Arc<Made>, String>) {
        self.web.set_stale(made.is_err());
        let shown = self.path.display();
        match made {
            Ok(_) => tracing::info!("took the changed web configuration file {shown}"),
            Err(why) => tracing::error!(
                "the web configuration file {shown} changed and cannot be used, what it said before stays: {why}"
            ),
        }
    }
}
