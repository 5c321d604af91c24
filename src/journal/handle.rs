//! The handle through which everybody commits.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, oneshot, watch};

use super::age::Age;
use super::commit::{Commit, Committed};
use super::counters::{Counters, Counts, Proven, add};
use super::error::{CommitError, OpenError, ReadError};
use super::lock::{Lock, failed};
use super::options::Options;
use super::reader::Reader;
use super::restore::Restored;
use super::verify::{Anchors, verify};
use super::writer::{Order, Writer};
use super::{restore, schema};
use crate::host;
use crate::model::moment::{Moment, Timestamp};

/// The queue is bounded by the bytes that wait, in these.
const UNIT: usize = 4096;
/// At most so many of them wait: 16 MiB, or 4096 commits.
const WAITING: u32 = 4096;

/// The clock that stamps records, and tells how old they are.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// The journal of this process. Cheap to clone; one thread owns the connection.
#[derive(Debug, Clone)]
pub struct Journal {
    orders: mpsc::UnboundedSender<Order>,
    room: Arc<Semaphore>,
    counters: Arc<Counters>,
    head: watch::Receiver<i64>,
}

impl Journal {
    /// Takes the state directory, makes the journal if there is none, and gives back what to resume from. Blocks for the
    /// disk, so it is called before the runtime has work, or off it.
    ///
    /// # Errors
    /// Another process holds the directory, or its files cannot be made or read.
    pub fn open(directory: &Path, options: &Options) -> Result<(Self, Restored), OpenError> {
        let clock = host::Clock::new();
        Self::open_at(directory, options, Arc::new(move || clock.now()))
    }

    /// The same with another clock.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_at(
        directory: &Path,
        options: &Options,
        clock: Clock,
    ) -> Result<(Self, Restored), OpenError> {
        let lock = Lock::take(directory)?;
        let connection = schema::open(directory, options)?;
        let database = |source| OpenError::Database {
            path: directory.join(schema::NAME),
            source,
        };
        let restored = restore::read(&connection).map_err(database)?;
        let age = Age::restore(&connection, &clock()).map_err(database)?;
        let counters = Arc::<Counters>::default();
        let kept = restore::records(&connection).map_err(database)?;
        add(&counters.kept, kept);
        let (orders, received) = mpsc::unbounded_channel();
        let writer = Writer::new(
            connection,
            restored.head,
            options.clone(),
            clock,
            age,
            Arc::clone(&counters),
            lock,
        );
        let head = writer.told();
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || writer.run(received))
            .map_err(|source| failed("start the writer of", directory, source))?;
        let journal = Self {
            orders,
            room: Arc::new(Semaphore::new(WAITING as usize)),
            counters,
            head,
        };
        Ok((journal, restored))
    }

    /// Writes all of a commit, or nothing; returns once it is on the disk. Dropping the future does not take it back.
    ///
    /// # Errors
    /// [`CommitError`]; nothing of the commit was written. `Busy` at once when too much waits.
    pub async fn commit(&self, commit: Commit) -> Result<Committed, CommitError> {
        match Arc::clone(&self.room).try_acquire_many_owned(units(&commit)) {
            Ok(permit) => self.hand_over(commit, permit).await,
            Err(TryAcquireError::NoPermits) => {
                add(&self.counters.busy, 1);
                Err(CommitError::Busy)
            }
            Err(TryAcquireError::Closed) => Err(closed()),
        }
    }

    /// The same, but waits for its turn when too much waits: for those whose work may be late but not refused. Turns are
    /// taken in order, and those who will not wait come after those who do.
    ///
    /// # Errors
    /// [`CommitError`], but never `Busy`.
    pub async fn commit_waiting(&self, commit: Commit) -> Result<Committed, CommitError> {
        let permit = Arc::clone(&self.room).acquire_many_owned(units(&commit));
        match permit.await {
            Ok(permit) => self.hand_over(commit, permit).await,
            Err(_) => Err(closed()),
        }
    }

    async fn hand_over(
        &self,
        commit: Commit,
        permit: OwnedSemaphorePermit,
    ) -> Result<Committed, CommitError> {
        let (answer, answered) = oneshot::channel();
        add(&self.counters.queued, 1);
        let order = Order::Commit {
            commit: Box::new(commit),
            answer,
            permit,
        };
        self.orders.send(order).map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// The number of the last record that is on the disk, as it grows; closed once the journal is.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<i64> {
        self.head.clone()
    }

    /// Whether nothing can be put on record, as far as the last try tells. An empty commit tries anew.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.counters.fails()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// Walks the chain of the journal in a directory, which is this one's, and keeps what came of it for [`Journal::counts`]. Blocks for as long
    /// as reading all of it takes.
    ///
    /// # Errors
    /// It cannot be read; what is kept stays as it was.
    pub fn prove(&self, directory: &Path) -> Result<Proven, ReadError> {
        let reader = Reader::open(directory)?;
        let broken = verify(&reader, &Anchors::default())?.err();
        let proven = Proven {
            at: Timestamp::now(),
            broken: broken.map(|broken| broken.to_string().into()),
        };
        self.counters.proves(proven.clone());
        Ok(proven)
    }

    /// Writes what waits, ends the writer and lets the directory go. Later commits of other handles fail.
    pub async fn close(self) {
        let (done, ended) = oneshot::channel();
        if self.orders.send(Order::Close(done)).is_ok() {
            // An error means that the writer has ended already.
            ended.await.unwrap_or_default();
        }
    }

    /// Runs SQL on the writer's connection.
    #[cfg(test)]
    pub(crate) async fn sql(&self, text: &str) {
        let (done, ended) = oneshot::channel();
        self.orders.send(Order::Sql(text.into(), done)).unwrap();
        ended.await.unwrap().unwrap();
    }
}

fn units(commit: &Commit) -> u32 {
    u32::try_from(commit.weight().div_ceil(UNIT)).map_or(WAITING, |n| n.clamp(1, WAITING))
}

fn closed() -> CommitError {
    CommitError::Broken("the journal is closed".into())
}
