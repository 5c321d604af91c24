//! Taking connections: the loop that HTTP server and Zabbix server share.
//!
//! Owns the cap on connections, what happens when accept(2) fails, the counters and the drain. It
//! reads no byte of a connection; a [`Serve`] does that, in one task a connection.
//!
//! ```text
//!  accept ── room? ──yes──> task: Serve::serve ──> done
//!    │         └──no──> close at once, count
//!    ├── EMFILE and the like: wait 5 ms, doubling to 1 s
//!    └── shutdown: stop listening ─> tell every task to drain ─> wait ─> cut what is left
//! ```
//!
//! The surprising decision: the cap counts by [`Counters`], so listeners that share one set of
//! counters share one cap.

mod counters;
pub(in crate::net) mod drain;
#[cfg(test)]
mod tests;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

pub use counters::Counters;
pub use drain::Drain;

use crate::net::backoff::Backoff;
use crate::net::bind::Bound;
use crate::net::stream::{Peer, Stream};

/// What serves a connection: the HTTP server, the Zabbix passive server.
pub trait Serve: Send + Sync + 'static {
    /// Serves one connection to its end. Should finish soon once `drain` is on; it is cut at
    /// [`Limits::drain`] otherwise.
    fn serve(
        self: Arc<Self>,
        stream: Stream,
        peer: Peer,
        drain: Drain,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// Bounds on taking connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Open connections at one time; those above are closed as they come. Default 512.
    pub connections: usize,
    /// How long open connections may take to finish after a shutdown; default 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            drain: Duration::from_secs(10),
        }
    }
}

/// Takes connections of `bound` and has `service` serve them until `shutdown` is done; then stops
/// listening, lets open ones finish and cuts those that do not. Never fails: trouble is counted in
/// `counters` and logged at most once a minute a kind.
pub async fn accept<S: Serve>(
    bound: Bound,
    service: Arc<S>,
    limits: Limits,
    counters: Arc<Counters>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let (started, drain) = drain::pair();
    let mut tasks = JoinSet::new();
    let mut backoff = Backoff::new(Duration::from_millis(5), Duration::from_secs(1));
    let mut resume: Option<Instant> = None;
    loop {
        let next = async {
            if let Some(resume) = resume {
                sleep_until(resume).await;
            }
            bound.accept().await
        };
        tokio::select! {
            biased;
            () = shutdown.as_mut() => break,
            Some(done) = tasks.join_next() => note_end(&counters, done),
            taken = next => match taken {
                Ok((stream, peer)) => {
                    if resume.take().is_some() {
                        backoff.reset();
                    }
                    match Counters::enter(&counters, limits.connections) {
                        Some(place) => {
                            let serving = Arc::clone(&service).serve(stream, peer, drain.clone());
                            tasks.spawn(async move {
                                let _place = place;
                                serving.await;
                            });
                        }
                        None => refuse(&counters, &bound, peer, limits.connections),
                    }
                }
                Err(error) if is_passing(&error) => counters.accept_errors.add(),
                Err(error) => {
                    let pause = backoff.pause();
                    resume = Some(Instant::now() + pause);
                    counters.accept_errors.note(|left_out| {
                        tracing::warn!(
                            listener = %bound.address(), %error, left_out,
                            "cannot accept connections; trying again. \
                             If too many files are open, raise LimitNOFILE",
                        );
                    });
                }
            },
        }
    }
    drop(bound);
    started.start();
    let finished = async {
        while let Some(done) = tasks.join_next().await {
            note_end(&counters, done);
        }
    };
    if timeout(limits.drain, finished).await.is_err() {
        let cut = tasks.len() as u64;
        counters.cut.add_many(cut);
        tracing::warn!(
            cut,
            "connections did not finish before the shutdown deadline and were cut"
        );
        tasks.shutdown().await;
    }
}

fn refuse(counters: &Counters, bound: &Bound, peer: Peer, limit: usize) {
    counters.refused.note(|left_out| {
        tracing::warn!(
            listener = %bound.address(), %peer, limit, left_out,
            "refused a connection: the limit of open connections is reached",
        );
    });
}

fn note_end(counters: &Counters, done: Result<(), JoinError>) {
    let Err(error) = done else { return };
    if error.is_panic() {
        counters.panicked.note(|left_out| {
            tracing::error!(%error, left_out, "serving a connection panicked; it was closed");
        });
    }
}

/// Errors of the connection that was to be taken, not of the listener: accept(2), "Error handling",
/// wants them treated as if that connection had not been.
fn is_passing(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PROTO
                | Errno::NETDOWN
                | Errno::NETUNREACH
                | Errno::HOSTDOWN
                | Errno::HOSTUNREACH
                | Errno::PERM
        )
    )
}

/// One open connection in [`Counters::open`].
#[derive(Debug)]
struct Place(Arc<Counters>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
