//! Puts logins that were refused on record.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::journal::{Commit, Entry, Journal};
use crate::serve::FailedLogins;

/// How long a record waits before it is offered again to a journal that could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// The task that does.
pub(super) struct Logins {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Logins {
    pub(super) fn start(failed: Arc<FailedLogins>, journal: Journal) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self {
            stop,
            task: tokio::spawn(record(failed, journal, stopped)),
        }
    }

    /// Ends once what waits is on record, or at `deadline`.
    pub(super) async fn end(self, deadline: Instant) {
        drop(self.stop);
        if tokio::time::timeout_at(deadline, self.task).await.is_err() {
            tracing::warn!("some logins that were refused could not be put on record");
        }
    }
}

async fn record(failed: Arc<FailedLogins>, journal: Journal, mut stop: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            entry = failed.due() => write(&journal, vec![entry]).await,
            _ = &mut stop => break,
        }
    }
    let rest = failed.rest();
    if !rest.is_empty() {
        write(&journal, rest).await;
    }
}

async fn write(journal: &Journal, entries: Vec<Entry>) {
    let commit = Commit {
        entries,
        ..Commit::default()
    };
    // The writer counts what it could not write, and says so.
    while journal.commit_waiting(commit.clone()).await.is_err() {
        tokio::time::sleep(AGAIN).await;
    }
}
