//! What its receiver has not taken yet, on the disk.
//!
//! ```text
//!  sender ── append ─> newest file    ...    oldest file ── oldest, settle ─> sender
//!                    (this process)        deleted whole: delivered, too old, no room
//! ```
//!
//! Owns the files below the state directory, their bound and their order. It is written only while the receiver is away or
//! slow: where it answers, nothing touches the disk. Nothing is synced: what is appended outlives the process, however it
//! ends, since the kernel has it; a power cut may cost the last seconds. Whatever a file holds, reading it is bounded, and its
//! first record that is not whole ends it.
//!
//! It knows nothing of what the records are: each sender has a spool of its own, in a directory of its own.
//!
//! Every call blocks; the sender makes it on a blocking thread. How much waits is known without waiting ([`Spool::depth`]).

mod fault;
mod options;
mod place;
mod record;
mod segment;
mod ticket;

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use fault::Fault;
pub use options::Options;
pub use record::{NoRecord, Record};
pub use segment::Scan;
use segment::Segment;
pub use ticket::Ticket;

use crate::telemetry::Often;

/// A disk that failed is left alone for this long by its sender.
pub const AGAIN: Duration = Duration::from_secs(10);

/// A file holds a sixteenth of the bound, but at least this.
const SEGMENT_LEAST: u64 = 256 << 10;

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of all files.
    pub size: u64,
    /// What is older is not sent any more.
    pub age: Duration,
}

impl Bounds {
    fn segment(self) -> u64 {
        (self.size / 16).max(SEGMENT_LEAST)
    }
}

/// Why a record is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// There was no room; the oldest file went.
    Full,
    /// Older than the spool keeps.
    Expired,
    /// Its file cannot be read.
    Damaged,
}

/// Who counts what is lost.
pub trait Losses: Send + Sync + 'static {
    /// So many items are lost.
    fn lost(&self, why: Loss, items: u64);
}

/// What waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Records.
    pub records: usize,
    /// Bytes of the files.
    pub bytes: usize,
    /// What is counted of the records.
    pub items: u64,
}

/// What was not delivered of one kind.
pub struct Spool {
    directory: PathBuf,
    /// Whose it is, in messages; its files end so.
    whose: &'static str,
    losses: Arc<dyn Losses>,
    /// Held for no longer than it takes to copy them: a reload must not wait for the disk.
    bounds: Mutex<Bounds>,
    state: Mutex<State>,
    records: AtomicU64,
    bytes: AtomicU64,
    items: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
    unread: Often,
}

#[derive(Debug)]
struct State {
    bounds: Bounds,
    /// Held while the directory is in use.
    lock: Option<File>,
    /// The oldest in front.
    segments: VecDeque<Segment>,
    /// Whether the last of them may be written on.
    writing: bool,
    next: u64,
    /// Delivered, but not the first of their files.
    settled: BTreeSet<(u64, u64)>,
}

impl Spool {
    /// Opens nothing yet.
    pub fn new(
        directory: PathBuf,
        whose: &'static str,
        bounds: Bounds,
        losses: Arc<dyn Losses>,
    ) -> Self {
        let state = State {
            bounds,
            lock: None,
            segments: VecDeque::new(),
            writing: false,
            next: 0,
            settled: BTreeSet::new(),
        };
        Self {
            directory,
            whose,
            losses,
            bounds: Mutex::new(bounds),
            state: Mutex::new(state),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            items: AtomicU64::new(0),
            faults: Default::default(),
            unread: Often::default(),
        }
    }

    /// Where the files lie.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Other bounds from now on; never blocks.
    pub fn bound(&self, bounds: Bounds) {
        *self.bounds.lock().unwrap_or_else(PoisonError::into_inner) = bounds;
    }

    /// Finds what an earlier process left. Where there is no directory, none is made.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.lock.is_some() || !self.directory.exists() {
            return Ok(());
        }
        self.opened(&mut state)
    }

    /// Writes a record behind all others. The oldest files go if there is no room for it.
    ///
    /// # Errors
    /// It is not written.
    pub fn append(&self, record: &Record) -> io::Result<Ticket> {
        let mut encoded = Vec::new();
        if record.encode(&mut encoded).is_none() {
            self.fault(Fault::Write);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut state = self.state();
        if state.lock.is_none() {
            self.opened(&mut state)?;
        }
        let written = self.written(&mut state, &encoded, record.items);
        if written.is_err() {
            self.fault(Fault::Write);
            // What is cut off there is no file to go on with.
            state.writing = false;
        }
        self.told(&state);
        Ok(Ticket::new(written?, record))
    }

    /// The oldest record that is not delivered and not too old. It stays until it is settled. None where there is none, and where its
    /// file cannot be read now: that one stays, and is asked again another time.
    pub fn oldest(&self, now: u64) -> Option<(Ticket, Record)> {
        let mut state = self.state();
        let found = loop {
            let Some(front) = state.segments.front() else {
                break None;
            };
            let place = (front.id, front.from);
            let record = match front.first() {
                Ok(record) => record,
                // No file to open, no memory, a sick disk: what lies there may be good.
                Err(NoRecord::Unread(error)) if error.kind() != io::ErrorKind::NotFound => {
                    self.fault(Fault::Read);
                    if self.unread.say(Instant::now()).is_some() {
                        tracing::warn!(
                            "the oldest file of the {} spool in {} cannot be read now and is tried again: {error}",
                            self.whose,
                            self.directory.display()
                        );
                    }
                    break None;
                }
                Err(why) => {
                    if !matches!(why, NoRecord::End) {
                        self.fault(Fault::Read);
                        tracing::warn!(
                            "a file of the {} spool in {} is damaged or gone and is given up: {} items are lost",
                            self.whose,
                            self.directory.display(),
                            front.items
                        );
                    }
                    self.drop_first(&mut state, Loss::Damaged);
                    continue;
                }
            };
            let ticket = Ticket::new(place, &record);
            let known = state.settled.remove(&place);
            let old = now.saturating_sub(record.at) > state.age();
            if !known && !old {
                break Some((ticket, record));
            }
            if let Some(front) = state.segments.front_mut() {
                if !known {
                    self.losses.lost(Loss::Expired, record.items);
                    front.settled(record.items);
                }
                self.passed(front, ticket.size);
            }
            self.swept(&mut state);
        };
        self.told(&state);
        found
    }

    /// What follows a record that [`Spool::oldest`] gave, of the same file: at most so many records and so many bytes.
    pub fn following(
        &self,
        ticket: &Ticket,
        now: u64,
        most: usize,
        bytes: u64,
    ) -> Vec<(Ticket, Record)> {
        let state = self.state();
        let front = state.segments.front();
        let Some(front) = front.filter(|front| (front.id, front.from) == ticket.place) else {
            return Vec::new();
        };
        let Ok(mut left) = front.left() else {
            return Vec::new();
        };
        let (mut found, mut room) = (Vec::new(), bytes);
        let mut at = front.from;
        while found.len() < most
            && let Ok(record) = Record::decode(&mut left)
        {
            let (place, size) = ((front.id, at), record.size());
            at += size;
            if place == ticket.place || state.settled.contains(&place) {
                continue;
            }
            room = match room.checked_sub(size) {
                Some(room) if now.saturating_sub(record.at) <= state.age() => room,
                _ => break,
            };
            found.push((Ticket::new(place, &record), record));
        }
        found
    }

    /// A record is delivered or given up: it does not come again. One whose file went meanwhile is ignored.
    pub fn settle(&self, ticket: &Ticket) {
        let mut state = self.state();
        let (id, place) = ticket.place;
        let Some(at) = state.segments.iter().position(|segment| segment.id == id) else {
            return;
        };
        let Some(segment) = state.segments.get_mut(at) else {
            return;
        };
        if place == segment.from {
            segment.settled(ticket.items);
            self.passed(segment, ticket.size);
        } else if place > segment.from {
            segment.settled(ticket.items);
            state.settled.insert(ticket.place);
        }
        self.swept(&mut state);
        self.told(&state);
    }

    /// What waits; never blocks.
    pub fn depth(&self) -> Depth {
        let number = |of: &AtomicU64| usize::try_from(of.load(Relaxed)).unwrap_or(usize::MAX);
        Depth {
            records: number(&self.records),
            bytes: number(&self.bytes),
            items: self.items.load(Relaxed),
        }
    }

    /// Whether somebody is at work on it now; never blocks.
    pub fn is_held(&self) -> bool {
        matches!(
            self.state.try_lock(),
            Err(std::sync::TryLockError::WouldBlock)
        )
    }

    /// How often this went wrong.
    pub fn faults(&self, fault: Fault) -> u64 {
        let counter = self.faults.get(fault as usize);
        counter.map_or(0, |counter| counter.load(Relaxed))
    }

    fn fault(&self, fault: Fault) {
        if let Some(counter) = self.faults.get(fault as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Takes the directory, and finds what is in it.
    fn opened(&self, state: &mut State) -> io::Result<()> {
        let found = place::take(&self.directory)
            .and_then(|lock| Ok((lock, place::files(&self.directory, self.whose)?)));
        let (lock, files) = found.inspect_err(|_| self.fault(Fault::Open))?;
        state.next = files.last().map_or(0, |(id, _)| id.saturating_add(1));
        for (id, path) in files {
            match Segment::open(path.clone(), id) {
                Ok((segment, whole)) => {
                    if !whole {
                        self.fault(Fault::Torn);
                    }
                    state.segments.push_back(segment);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    // Killed before its head was written.
                    self.fault(Fault::Torn);
                    std::fs::remove_file(path).unwrap_or_default();
                }
                Err(_) => self.fault(Fault::Read),
            }
        }
        state.lock = Some(lock);
        self.swept(state);
        while state.bytes() > state.bounds.size && !state.segments.is_empty() {
            self.drop_first(state, Loss::Full);
        }
        self.told(state);
        Ok(())
    }

    fn written(&self, state: &mut State, encoded: &[u8], items: u64) -> io::Result<(u64, u64)> {
        let size = encoded.len() as u64;
        while state.bytes().saturating_add(size) > state.bounds.size && !state.segments.is_empty() {
            self.drop_first(state, Loss::Full);
        }
        let most = state.bounds.segment();
        let fits = |segment: &&mut Segment| {
            segment.is_new() || segment.bytes().saturating_add(size) <= most
        };
        if state.writing
            && let Some(last) = state.segments.back_mut().filter(fits)
        {
            let place = last.append(encoded, items)?;
            return Ok((last.id, place));
        }
        let mut segment = Segment::create(&self.directory, state.next, self.whose)?;
        state.next = state.next.saturating_add(1);
        match segment.append(encoded, items) {
            Ok(place) => {
                let place = (segment.id, place);
                state.segments.push_back(segment);
                state.writing = true;
                Ok(place)
            }
            Err(error) => {
                segment.delete().unwrap_or_default();
                Err(error)
            }
        }
    }

    /// Deletes the oldest file; what is still in it is lost.
    fn drop_first(&self, state: &mut State, loss: Loss) {
        if let Some(first) = state.segments.pop_front() {
            if first.items > 0 {
                self.losses.lost(loss, first.items);
            }
            self.gone(state, &first);
        }
    }

    /// Deletes files of which everything is delivered.
    fn swept(&self, state: &mut State) {
        let (done, left) = std::mem::take(&mut state.segments)
            .into_iter()
            .partition::<VecDeque<_>, _>(|segment| segment.records == 0);
        state.segments = left;
        done.iter().for_each(|segment| self.gone(state, segment));
    }

    fn gone(&self, state: &mut State, segment: &Segment) {
        if segment.delete().is_err() {
            self.fault(Fault::Read);
        }
        if segment.id.saturating_add(1) == state.next {
            state.writing = false;
        }
        state.settled.retain(|(id, _)| *id != segment.id);
    }

    fn passed(&self, segment: &mut Segment, size: u64) {
        // Where it cannot be noted, the next process sends it again.
        if segment.pass(size).is_err() {
            self.fault(Fault::Write);
        }
    }

    fn told(&self, state: &State) {
        let sum = |of: fn(&Segment) -> u64| state.segments.iter().map(of).sum();
        self.records.store(sum(|segment| segment.records), Relaxed);
        self.items.store(sum(|segment| segment.items), Relaxed);
        self.bytes.store(state.bytes(), Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.bounds = *self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        state
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Spool").field(&self.directory).finish()
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments.iter().map(Segment::bytes).sum()
    }

    /// In milliseconds.
    fn age(&self) -> u64 {
        u64::try_from(self.bounds.age.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
