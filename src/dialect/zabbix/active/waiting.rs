//! Values that a server has not taken yet.
//!
//! ```text
//!  collected ── push ─> memory ── fills up while the server is away ─> spool (files)
//!                         └────────────── batch <─ oldest first ─────────┘
//!                                           └─ taken: gone    not taken: the same batch again
//! ```
//!
//! Owns the session with its numbers, the order and the bounds. Values are sent in the order in which they were collected, since a
//! server that has seen a number of a session takes no lower one: what lies in the spool goes first, and a batch that was not
//! taken is sent again as it was, with the same numbers, so that the server that has it already takes nothing twice. What lies in
//! the spool keeps the session it was collected in, over a restart too.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::counts::{Counts, Fate};
use crate::dialect::spool::{AGAIN, Record, Spool, Ticket};
use crate::telemetry::Often;

/// Values of one request.
const MOST_VALUES: usize = 1000;
/// Bytes of one request, but for one value that is longer.
const MOST_BYTES: usize = 1 << 20;
/// Bytes of values in memory.
const MEMORY: usize = 4 << 20;
/// What kind of record it is in a spool: a session, a line's end, and values as JSON with commas between them.
const KIND: u8 = 1;
/// Hexadecimal digits of a session.
const SESSION: usize = 32;

/// Values that go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The session they were collected in.
    pub session: Arc<str>,
    /// The values as JSON, with commas between them.
    pub values: Arc<str>,
    /// How many there are.
    pub count: u64,
    /// Where they lie in the spool.
    ticket: Option<Ticket>,
}

/// What waits for one server.
#[derive(Debug)]
pub struct Waiting {
    state: Mutex<State>,
    spool: Option<Arc<Spool>>,
    counts: Arc<Counts>,
    /// Told when a first value comes to memory, and when it fills up.
    pub woken: Notify,
    /// Held while memory is written.
    spilling: Arc<tokio::sync::Mutex<()>>,
    failing: Often,
    dropping: Often,
}

#[derive(Debug)]
struct State {
    session: Arc<str>,
    next: u64,
    /// Values that memory holds at most.
    most: usize,
    memory: VecDeque<Kept>,
    bytes: usize,
    /// What was sent and is not known to be taken; older than all others.
    flying: Option<Batch>,
    /// The disk is not asked before.
    again: Option<Instant>,
}

#[derive(Debug)]
struct Kept {
    since: Instant,
    json: Box<str>,
}

impl Waiting {
    /// Nothing yet, in a session of its own.
    pub fn new(most: usize, spool: Option<Arc<Spool>>, counts: Arc<Counts>) -> Self {
        let random = RandomState::new();
        let session = format!("{:016x}{:016x}", random.hash_one(0), random.hash_one(1));
        let state = State {
            session: session.into(),
            next: 1,
            most,
            memory: VecDeque::new(),
            bytes: 0,
            flying: None,
            again: None,
        };
        Self {
            state: Mutex::new(state),
            spool,
            counts,
            woken: Notify::new(),
            spilling: Arc::default(),
            failing: Often::default(),
            dropping: Often::default(),
        }
    }

    /// The session that what is collected now belongs to.
    pub fn session(&self) -> Arc<str> {
        Arc::clone(&self.state().session)
    }

    /// The spool, if there is one.
    pub const fn spool(&self) -> Option<&Arc<Spool>> {
        self.spool.as_ref()
    }

    /// Other bounds from now on.
    pub fn bound(&self, most: usize) {
        self.state().most = most;
    }

    /// A value that was collected: `json` writes it with its number. Where memory is full, the oldest goes.
    pub fn push(&self, json: impl FnOnce(u64) -> String) {
        let mut state = self.state();
        let value = json(state.next);
        state.next += 1;
        state.bytes += value.len();
        state.memory.push_back(Kept {
            since: Instant::now(),
            json: value.into(),
        });
        let mut dropped = 0;
        while (state.memory.len() > state.most || state.bytes > MEMORY) && state.memory.len() > 1 {
            let gone = state.memory.pop_front();
            state.bytes -= gone.map_or(0, |gone| gone.json.len());
            dropped += 1;
        }
        let wakes = state.memory.len() == 1 || state.is_filling();
        drop(state);
        self.counts.fate(Fate::MemoryFull, dropped);
        if dropped > 0 && self.dropping.say(std::time::Instant::now()).is_some() {
            tracing::warn!(
                "values for Zabbix are lost: memory is full (zabbix.buffer_size), {}",
                match &self.spool {
                    Some(_) => "and the spool takes none as fast as they come",
                    None => "and there is no spool (zabbix.spool.max_size, --state-dir)",
                }
            );
        }
        if wakes {
            self.woken.notify_one();
        }
    }

    /// When the next batch is to be sent: once the oldest value has waited for `hold`; none while there is nothing.
    pub fn due(&self, hold: Duration) -> Option<Instant> {
        let state = self.state();
        if state.flying.is_some() || self.depth() > 0 || state.is_filling() {
            return Some(Instant::now());
        }
        state.memory.front().map(|oldest| oldest.since + hold)
    }

    /// How many values wait in memory.
    pub fn in_memory(&self) -> usize {
        let state = self.state();
        let flying = state.flying.as_ref().filter(|batch| batch.ticket.is_none());
        let flying = flying.map_or(0, |batch| {
            usize::try_from(batch.count).unwrap_or(usize::MAX)
        });
        state.memory.len().saturating_add(flying)
    }

    /// Records in the spool.
    fn depth(&self) -> usize {
        self.spool.as_ref().map_or(0, |spool| spool.depth().records)
    }

    /// Finds what an earlier process left in the spool; how many values.
    pub async fn open(&self) -> u64 {
        let Some(spool) = self.spool.clone() else {
            return 0;
        };
        let opened = spawn_blocking(move || spool.open().map(|()| spool.depth().items)).await;
        match opened {
            Ok(Ok(items)) => items,
            Ok(Err(error)) => {
                self.broken(&error);
                0
            }
            Err(error) => {
                self.broken(&std::io::Error::other(error));
                0
            }
        }
    }

    /// The oldest values, which stay until [`settle`](Self::settle); none too while those in the spool cannot be read.
    pub async fn batch(&self) -> Option<Batch> {
        if let Some(flying) = self.state().flying.clone() {
            return Some(flying);
        }
        if self.depth() > 0 {
            if let Some(spooled) = self.spooled().await {
                self.state().flying = Some(spooled.clone());
                return Some(spooled);
            }
            // It cannot be read now. What is younger would have the server take none of it any more.
            if self.depth() > 0 {
                return None;
            }
        }
        let mut state = self.state();
        let taken = state.take();
        state.flying = state.joined(&taken);
        state.flying.clone()
    }

    async fn spooled(&self) -> Option<Batch> {
        let spool = self.spool.clone()?;
        loop {
            let from = Arc::clone(&spool);
            let (ticket, record) = spawn_blocking(move || from.oldest(Record::now()))
                .await
                .ok()??;
            if let Some((session, values)) = read(&record) {
                return Some(Batch {
                    session,
                    values,
                    count: record.items,
                    ticket: Some(ticket),
                });
            }
            self.counts.fate(Fate::Damaged, record.items);
            settled(&spool, ticket).await;
        }
    }

    /// The server has taken the batch, but for so many values that it did not want.
    pub async fn settle(&self, rejected: u64) {
        let Some(batch) = self.state().flying.take() else {
            return;
        };
        let rejected = rejected.min(batch.count);
        self.counts.fate(Fate::Taken, batch.count - rejected);
        self.counts.fate(Fate::Rejected, rejected);
        if let (Some(spool), Some(ticket)) = (&self.spool, batch.ticket) {
            settled(spool, ticket).await;
        }
    }

    /// Whether memory is so full that what is in it belongs on the disk.
    pub fn is_filling(&self) -> bool {
        self.takes_disk() && self.state().is_filling()
    }

    /// Whether it is so full that it cannot wait for an answer that may be near.
    pub fn is_nearly_full(&self) -> bool {
        self.takes_disk() && self.state().has(3, 4)
    }

    fn takes_disk(&self) -> bool {
        let again = self.state().again;
        self.spool.is_some() && again.is_none_or(|at| at <= Instant::now())
    }

    /// Whether memory is to go to the disk now: the server is `away`, or what lies there already goes first.
    pub fn spills(&self, away: bool) -> bool {
        (away || self.depth() > 0) && self.is_filling()
    }

    /// Writes all of memory to the spool, oldest first, what was sent and not taken included. What cannot be written stays. It goes on
    /// to its end where nobody waits for it any more.
    pub async fn spill(self: &Arc<Self>) {
        let turn = Arc::clone(&self.spilling).lock_owned().await;
        let this = Arc::clone(self);
        let spilling = tokio::spawn(async move {
            this.spill_all().await;
            drop(turn);
        });
        // What panicked wrote nothing more, and the rest waits.
        spilling.await.unwrap_or_default();
    }

    /// Waits for a spill that nobody waited for.
    pub async fn settled(&self) {
        drop(self.spilling.lock().await);
    }

    async fn spill_all(&self) {
        let Some(spool) = &self.spool else { return };
        loop {
            let (batch, taken) = {
                let mut state = self.state();
                match state.flying.clone().filter(|batch| batch.ticket.is_none()) {
                    Some(flying) => (flying, Vec::new()),
                    None => {
                        let taken = state.take();
                        match state.joined(&taken) {
                            Some(batch) => (batch, taken),
                            None => return,
                        }
                    }
                }
            };
            let (to, record) = (Arc::clone(spool), written(&batch));
            let appended = spawn_blocking(move || to.append(&record)).await;
            match appended.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
                // It goes on as the oldest, wherever it lies.
                Ok(ticket) if taken.is_empty() => {
                    let mut state = self.state();
                    state
                        .flying
                        .iter_mut()
                        .for_each(|batch| batch.ticket = Some(ticket));
                }
                Ok(_) => {}
                Err(error) => {
                    self.state().put_back(taken);
                    self.broken(&error);
                    return;
                }
            }
        }
    }

    /// Nothing is sent any more: what is still in memory is lost.
    pub fn end(&self) {
        let lost = self.in_memory();
        let mut state = self.state();
        state.memory.clear();
        (state.flying, state.bytes) = (None, 0);
        drop(state);
        self.counts.fate(Fate::Shutdown, lost as u64);
        if lost > 0 {
            tracing::warn!("{lost} values for Zabbix were taken by no server and are lost");
        }
    }

    fn broken(&self, error: &std::io::Error) {
        self.state().again = Some(Instant::now() + AGAIN);
        if let (Some(spool), Some(_)) = (&self.spool, self.failing.say(std::time::Instant::now())) {
            tracing::warn!(
                "the spool of Zabbix values in {} cannot be used, they wait in memory and the oldest are dropped when it is \
                 full: {error}; another state directory (state, --state-dir) or zabbix.spool.max_size: 0B ends this",
                spool.directory().display(),
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_filling(&self) -> bool {
        self.has(1, 2)
    }

    /// Whether memory has so many parts of what it may.
    fn has(&self, parts: usize, of: usize) -> bool {
        self.memory.len() * of >= self.most * parts || self.bytes * of >= MEMORY * parts
    }

    /// Takes the oldest values out of memory, as many as go together.
    fn take(&mut self) -> Vec<Kept> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while taken.len() < MOST_VALUES
            && let Some(kept) = self
                .memory
                .pop_front_if(|kept| bytes == 0 || bytes + kept.json.len() <= MOST_BYTES)
        {
            bytes += kept.json.len();
            taken.push(kept);
        }
        self.bytes -= bytes;
        taken
    }

    fn joined(&self, taken: &[Kept]) -> Option<Batch> {
        let values: Vec<&str> = taken.iter().map(|kept| &*kept.json).collect();
        (!taken.is_empty()).then(|| Batch {
            session: Arc::clone(&self.session),
            values: values.join(",").into(),
            count: taken.len() as u64,
            ticket: None,
        })
    }

    /// What was taken and could not be written is the oldest still.
    fn put_back(&mut self, taken: Vec<Kept>) {
        for kept in taken.into_iter().rev() {
            self.bytes += kept.json.len();
            self.memory.push_front(kept);
        }
    }
}

async fn settled(spool: &Arc<Spool>, ticket: Ticket) {
    let spool = Arc::clone(spool);
    // One that panicked settles nothing: it is sent again, and the server knows its numbers.
    spawn_blocking(move || spool.settle(&ticket))
        .await
        .unwrap_or_default();
}

fn written(batch: &Batch) -> Record {
    let mut body = Vec::with_capacity(SESSION + 1 + batch.values.len());
    body.extend(batch.session.as_bytes());
    body.push(b'\n');
    body.extend(batch.values.as_bytes());
    Record {
        at: Record::now(),
        items: batch.count,
        kind: KIND,
        body: body.into(),
    }
}

fn read(record: &Record) -> Option<(Arc<str>, Arc<str>)> {
    let text = std::str::from_utf8(&record.body).ok()?;
    let (session, values) = text.split_once('\n')?;
    let good = session.len() == SESSION && session.bytes().all(|b| b.is_ascii_hexdigit());
    (record.kind == KIND && good && !values.is_empty()).then(|| (session.into(), values.into()))
}
