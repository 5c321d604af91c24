//! What is made of files, and made anew when one of them has changed.
//!
//! ```text
//!  get ── made, and looked at within a second ──────────────────────────────────────> it
//!    └── nobody looks? ── stamps on a blocking thread ── another file? ── make ──┬──> the new one
//!              └─ somebody does, or it takes long: what was made before          └─ cannot be used: the one before,
//! ```                                                                                    and read again at the next look
//!
//! One look at a time: files that lie on what hangs hold one thread, however many connections come meanwhile.

use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};

/// Files are looked at no more often than this.
const LOOK: Duration = Duration::from_secs(1);
/// Files may lie on what hangs; after this what was made before is used.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// What files are made into.
pub trait Source: Send + Sync + 'static {
    /// What is made of them.
    type Made: Clone + Send + Sync + 'static;
    /// Why nothing can be.
    type Wrong: Display + Send + 'static;

    /// The files; may block.
    fn files(&self) -> Vec<PathBuf>;

    /// Reads them; blocks.
    ///
    /// # Errors
    /// Why nothing can be made of them.
    fn make(&self) -> Result<Self::Made, Self::Wrong>;

    /// They have changed, and this came of it: a place for what is to be said. Of the same fault once.
    fn changed(&self, made: &Result<Self::Made, Self::Wrong>);
}

/// What was made of a source last.
#[derive(Debug)]
pub struct Kept<S: Source> {
    source: S,
    state: Mutex<Option<State<S::Made>>>,
    turn: Arc<Semaphore>,
    /// Told whenever something else was made.
    anew: watch::Sender<()>,
}

/// What was made, and of which files.
#[derive(Debug)]
pub struct State<M> {
    /// What it is.
    pub made: M,
    /// The files that it was made of.
    stamps: Stamps,
    looked: Instant,
    /// Why they could not be used when they were read last, if they have changed since.
    wrong: Option<String>,
}

impl<S: Source> Kept<S> {
    /// Nothing is read before it is wanted.
    pub fn new(source: S) -> Self {
        Self {
            source,
            state: Mutex::new(None),
            turn: Arc::new(Semaphore::new(1)),
            anew: watch::Sender::new(()),
        }
    }

    /// Hears whenever something else was made.
    pub fn anew(&self) -> watch::Receiver<()> {
        self.anew.subscribe()
    }

    /// Where it is read from.
    pub const fn source(&self) -> &S {
        &self.source
    }

    /// What is there, as it is.
    pub fn state(&self) -> MutexGuard<'_, Option<State<S::Made>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made last, or is made now of what was never read or has changed.
    ///
    /// # Errors
    /// Why nothing can be made of files that were never read.
    pub async fn get(self: &Arc<Self>) -> Result<S::Made, String> {
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
        let turn = turn.map_err(|error| format!("reading files: {error}"))?;
        match self.made() {
            // Whoever had his turn before has read them.
            Some(made) => Ok(made),
            None => self.apart(turn).await,
        }
    }

    /// Reads what was never read, beside the runtime, so that what is broken later leaves what was there. Files that hang are left to
    /// who wants them first.
    pub async fn prepare(self: &Arc<Self>) {
        drop(timeout(PATIENCE, self.get()).await);
    }

    async fn apart(self: &Arc<Self>, turn: OwnedSemaphorePermit) -> Result<S::Made, String> {
        let kept = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            kept.look().map_err(|wrong| wrong.to_string())
        });
        looking
            .await
            .unwrap_or_else(|error| Err(format!("reading files: {error}")))
    }

    /// Looks at the files, and reads them if that was not done or one has changed; blocks.
    ///
    /// # Errors
    /// Why nothing can be made of files that were never read.
    pub fn look(&self) -> Result<S::Made, S::Wrong> {
        let files = self.source.files();
        let stamps = Stamps::of(files.iter().map(PathBuf::as_path));
        let looked = Instant::now();
        if let Some(state) = self.state().as_mut().filter(|s| s.stamps == stamps) {
            (state.looked, state.wrong) = (looked, None);
            return Ok(state.made.clone());
        }
        let made = self.source.make();
        let mut state = self.state();
        let (Some(before), Err(wrong)) = (state.as_mut(), &made) else {
            let changed = state.is_some();
            let made = made?;
            *state = Some(State {
                made: made.clone(),
                stamps,
                looked,
                wrong: None,
            });
            drop(state);
            if changed {
                self.source.changed(&Ok(made.clone()));
                self.anew.send_replace(());
            }
            return Ok(made);
        };
        // Read again at the next look: it may be no fault of the files that they could not be read.
        before.looked = looked;
        let wrong = wrong.to_string();
        let said = before.wrong.as_ref() == Some(&wrong);
        before.wrong = Some(wrong);
        let stays = before.made.clone();
        drop(state);
        if !said {
            self.source.changed(&made);
        }
        Ok(stays)
    }

    /// What was made last.
    pub fn made(&self) -> Option<S::Made> {
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

    /// Made of a file while it may be read.
    struct Fickle {
        file: PathBuf,
        may: AtomicU32,
        said: Mutex<Vec<String>>,
    }

    impl Source for Fickle {
        type Made = String;
        type Wrong = String;

        fn files(&self) -> Vec<PathBuf> {
            vec![self.file.clone()]
        }

        fn make(&self) -> Result<String, String> {
            match self.may.load(Ordering::SeqCst) {
                0 => Err("too many open files".into()),
                _ => std::fs::read_to_string(&self.file).map_err(|error| error.to_string()),
            }
        }

        fn changed(&self, made: &Result<String, String>) {
            let said = made.clone().unwrap_or_else(|wrong| wrong);
            self.said.lock().unwrap().push(said);
        }
    }

    #[test]
    fn what_could_not_be_read_is_read_again_although_it_has_not_changed_since() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("it");
        std::fs::write(&file, "old").unwrap();
        let kept = Kept::new(Fickle {
            file: file.clone(),
            may: AtomicU32::new(1),
            said: Mutex::default(),
        });
        let may = |may| kept.source().may.store(may, Ordering::SeqCst);
        assert_eq!(kept.look().unwrap(), "old");
        std::fs::write(&file, "newer").unwrap();
        may(0);
        for _ in 0..3 {
            assert_eq!(kept.look().unwrap(), "old");
        }
        may(1);
        assert_eq!(kept.look().unwrap(), "newer");
        // What is as it was is not read at all.
        may(0);
        assert_eq!(kept.look().unwrap(), "newer");
        let said = kept.source().said.lock().unwrap().clone();
        assert_eq!(said, ["too many open files", "newer"]);
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
