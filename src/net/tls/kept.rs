//! What is made of files, and made anew when one of them has changed.
//!
//! ```text
//!  get ── made, and looked at within a second ──────────────────────────────────────> it
//!    └── nobody looks? ── stamps on a blocking thread ── another file? ── make ──┬──> the new one
//!              └─ somebody does, or it takes long: what was made before          └─ cannot be used: the one before
//! ```
//!
//! One look at a time: files that lie on what hangs hold one thread, however many connections come meanwhile.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::files::Stamps;

/// Files are looked at no more often than this.
const LOOK: Duration = Duration::from_secs(1);
/// Files may lie on what hangs; after this what was made before is used.
const PATIENCE: Duration = Duration::from_secs(1);

/// What files are made into.
pub(super) trait Source: Send + Sync + 'static {
    type Made: Clone + Send + Sync + 'static;
    type Wrong: Display + Send + 'static;

    /// The files; may block.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads them; blocks.
    fn make(&self) -> Result<Self::Made, Self::Wrong>;

    /// They have changed, and this came of it: a place for what is to be said.
    fn changed(&self, made: &Result<Self::Made, Self::Wrong>);
}

/// What was made of a source last.
#[derive(Debug)]
pub(super) struct Kept<S: Source> {
    source: S,
    state: Mutex<Option<State<S::Made>>>,
    turn: Arc<Semaphore>,
}

#[derive(Debug)]
pub(super) struct State<M> {
    pub(super) made: M,
    stamps: Stamps,
    looked: Instant,
}

impl<S: Source> Kept<S> {
    /// Nothing is read before it is wanted.
    pub(super) fn new(source: S) -> Self {
        Self {
            source,
            state: Mutex::new(None),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Where it is read from.
    pub(super) const fn source(&self) -> &S {
        &self.source
    }

    /// What is there, as it is.
    pub(super) fn state(&self) -> MutexGuard<'_, Option<State<S::Made>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made last, or is made now of what was never read or has changed.
    ///
    /// # Errors
    /// Why nothing can be made of files that were never read.
    pub(super) async fn get(self: &Arc<Self>) -> Result<S::Made, String> {
        if let Some(made) = self.made() {
            if self.is_due()
                && let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned()
            {
                // Too late and not at all come to the same: what was there before goes on.
                drop(timeout(PATIENCE, self.apart(turn)).await);
            }
            return Ok(self.made().unwrap_or(made));
        }
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|error| format!("reading certificates: {error}"))?;
        match self.made() {
            // Whoever had his turn before has read them.
            Some(made) => Ok(made),
            None => self.apart(turn).await,
        }
    }

    async fn apart(self: &Arc<Self>, turn: OwnedSemaphorePermit) -> Result<S::Made, String> {
        let kept = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            kept.look().map_err(|wrong| wrong.to_string())
        });
        looking
            .await
            .unwrap_or_else(|error| Err(format!("reading certificates: {error}")))
    }

    /// Looks at the files, and reads them if that was not done or one has changed; blocks.
    ///
    /// # Errors
    /// Why nothing can be made of files that were never read.
    pub(super) fn look(&self) -> Result<S::Made, S::Wrong> {
        let files = self.source.files();
        let stamps = Stamps::of(files.iter().map(PathBuf::as_path));
        let before = self.state().as_ref().map(|state| {
            let same = state.stamps == stamps;
            (state.made.clone(), same)
        });
        let made = match before {
            Some((made, true)) => made,
            Some((made, false)) => {
                let new = self.source.make();
                self.source.changed(&new);
                new.unwrap_or(made)
            }
            None => self.source.make()?,
        };
        *self.state() = Some(State {
            made: made.clone(),
            stamps,
            looked: Instant::now(),
        });
        Ok(made)
    }

    fn made(&self) -> Option<S::Made> {
        self.state().as_ref().map(|state| state.made.clone())
    }

    fn is_due(&self) -> bool {
        let state = self.state();
        state
            .as_ref()
            .is_none_or(|state| state.looked.elapsed() >= LOOK)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// Made of a file when it is told to; the first time at once.
    struct Slow {
        file: PathBuf,
        reads: AtomicU32,
        go_on: Mutex<mpsc::Receiver<()>>,
    }

    impl Source for Slow {
        type Made = String;
        type Wrong = std::io::Error;

        fn files(&self) -> Vec<PathBuf> {
            vec![self.file.clone()]
        }

        fn make(&self) -> Result<String, std::io::Error> {
            if self.reads.fetch_add(1, Ordering::SeqCst) > 0 {
                self.go_on.lock().unwrap().recv().unwrap();
            }
            std::fs::read_to_string(&self.file)
        }

        fn changed(&self, _: &Result<String, std::io::Error>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn one_looks_while_all_others_have_what_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("it");
        std::fs::write(&file, "old").unwrap();
        let (go, go_on) = mpsc::channel();
        let kept = Arc::new(Kept::new(Slow {
            file: file.clone(),
            reads: AtomicU32::new(0),
            go_on: Mutex::new(go_on),
        }));
        assert_eq!(kept.get().await.unwrap(), "old");
        std::fs::write(&file, "newer").unwrap();
        assert_eq!(kept.get().await.unwrap(), "old", "looked at a moment ago");
        tokio::time::advance(2 * LOOK).await;
        let looking = Arc::clone(&kept);
        let looking = tokio::spawn(async move { looking.get().await });
        tokio::task::yield_now().await;
        for _ in 0..100 {
            assert_eq!(kept.get().await.unwrap(), "old");
        }
        go.send(()).unwrap();
        assert_eq!(looking.await.unwrap().unwrap(), "newer");
        assert_eq!(kept.source().reads.load(Ordering::SeqCst), 2);
    }
}
