//! Walks the chain of the journal at the start and once a day, so that one that is broken is known before anybody asks.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::journal::Journal;

/// How long from one walk to the next: a large journal is read whole.
const EVERY: Duration = Duration::from_hours(24);

pub(super) fn start(journal: Journal, directory: PathBuf) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let (journal, directory) = (journal.clone(), directory.clone());
            let walk = tokio::task::spawn_blocking(move || journal.prove(&directory));
            match walk.await {
                Ok(Ok(proven)) => {
                    if let Some(why) = proven.broken {
                        tracing::error!(%why, "the journal is broken: nodeward journal verify");
                    }
                }
                Ok(Err(error)) => tracing::warn!(%error, "the chain of the journal was not walked"),
                // The runtime ends.
                Err(_) => return,
            }
            tokio::time::sleep(EVERY).await;
        }
    })
}
