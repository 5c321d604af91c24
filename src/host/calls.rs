//! Calls that can hang: statfs on a dead network mount, a sick driver.
//!
//! They run on at most [`THREADS`] threads of their own. A call that does not return in time is
//! *parked*: its caller goes on without it, it is counted, and it is never issued a second time
//! while the first is outstanding. A thread held by a parked call is given back when the call ends,
//! which may be never: a hung system call cannot be cancelled.
//!
//! ```text
//!  each(keys) ─> one thread works through the keys ──> all done ─> results
//!                  │ no progress for PATIENCE: another thread takes the rest
//!                  └ at the limit: Running ─> Abandoned, key parked, caller goes on
//! ```

use std::any::Any;
use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::apart::apart;

/// Threads for calls that can hang, at most.
pub const THREADS: usize = 4;
/// Without progress for this long, another thread takes over the rest of the keys.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long work waits for a thread that is about to finish before a new one is started.
const HANDOVER: Duration = Duration::from_millis(2);
/// A thread without work ends after this long.
const IDLE: Duration = Duration::from_secs(10);

/// What one call is about, mostly a path: bytes, since a path need not be UTF-8.
pub type Key = Arc<OsStr>;

/// What became of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called<T> {
    /// It returned.
    Done(T),
    /// It did not return in time now, or has not returned since an earlier time.
    Parked,
    /// All threads are held by other calls.
    Busy,
}

/// What the calls have cost so far.
#[derive(Debug, Default)]
pub struct CallCounters {
    /// Calls outstanding past their limit now.
    pub parked: AtomicU64,
    /// Calls that were parked since the start.
    pub parked_total: AtomicU64,
    /// Calls not issued because the same call was still outstanding, or no thread was free.
    pub refused_total: AtomicU64,
}

/// The threads for calls that can hang, and what is parked on them. Clones share them.
#[derive(Clone, Default)]
pub struct Calls {
    pool: Arc<Pool>,
}

struct Pool {
    most: usize,
    state: Mutex<PoolState>,
    wake: Condvar,
    taken: Condvar,
    counters: Arc<CallCounters>,
}

impl Pool {
    fn new(most: usize, counters: Arc<CallCounters>) -> Self {
        Self {
            most,
            state: Mutex::default(),
            wake: Condvar::new(),
            taken: Condvar::new(),
            counters,
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(THREADS, Arc::default())
    }
}

#[derive(Default)]
struct PoolState {
    queue: VecDeque<Arc<dyn Work>>,
    threads: usize,
    idle: usize,
    parked: HashSet<(&'static str, Key)>,
}

trait Work: Send + Sync {
    /// Makes calls until none is left to start.
    fn work(&self, pool: &Pool);
}

enum Slot<T> {
    Waiting,
    Running,
    Done(T),
    Abandoned,
    Skipped,
}

struct Job<T, F> {
    what: &'static str,
    keys: Vec<Key>,
    slots: Mutex<Slots<T>>,
    done: Condvar,
    call: F,
}

struct Slots<T> {
    next: usize,
    left: usize,
    slots: Vec<Slot<T>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + Any, F: Fn(&OsStr) -> T + Send + Sync> Work for Job<T, F> {
    fn work(&self, pool: &Pool) {
        loop {
            let at = {
                let mut slots = lock(&self.slots);
                while matches!(slots.slots.get(slots.next), Some(Slot::Skipped)) {
                    slots.next += 1;
                }
                let at = slots.next;
                let Some(slot @ Slot::Waiting) = slots.slots.get_mut(at) else {
                    return;
                };
                *slot = Slot::Running;
                slots.next += 1;
                at
            };
            let Some(key) = self.keys.get(at) else { return };
            let value = (self.call)(key);
            let mut slots = lock(&self.slots);
            let abandoned = matches!(slots.slots.get(at), Some(Slot::Abandoned));
            if abandoned {
                lock(&pool.state)
                    .parked
                    .remove(&(self.what, Arc::clone(key)));
                pool.counters.parked.fetch_sub(1, Ordering::Relaxed);
            } else {
                if let Some(slot) = slots.slots.get_mut(at) {
                    *slot = Slot::Done(value);
                }
                slots.left -= 1;
                if slots.left == 0 {
                    self.done.notify_all();
                }
            }
        }
    }
}

impl Calls {
    /// What the calls have cost so far. Whoever waits for something outside in a way of its own (a bus) counts here too.
    #[must_use]
    pub fn counters(&self) -> &Arc<CallCounters> {
        &self.pool.counters
    }

    /// At most so many other threads, for calls that count among these.
    #[must_use]
    pub fn beside(&self, most: usize) -> Self {
        let counters = Arc::clone(self.counters());
        let pool = Arc::new(Pool::new(most, counters));
        Self { pool }
    }

    /// Calls `call` for one path, and waits for the result until `limit` without blocking who awaits it.
    pub async fn one<T, F>(
        &self,
        what: &'static str,
        path: &Path,
        limit: Instant,
        call: F,
    ) -> Called<T>
    where
        T: Send + Any,
        F: Fn(&Path) -> T + Send + Sync + 'static,
    {
        let (calls, key) = (self.clone(), Key::from(path.as_os_str()));
        let waiting = apart(what, move |_| {
            calls.each(what, vec![key], limit, move |key| call(Path::new(key)))
        });
        let called = waiting.await.ok().and_then(|mut called| called.pop());
        called.unwrap_or(Called::Busy)
    }

    /// Calls `call` for each key, in order, and waits for the results until `limit`.
    ///
    /// `what` names the kind of call: a key is parked per kind. The answer has one entry a key.
    pub fn each<T, F>(
        &self,
        what: &'static str,
        keys: Vec<Key>,
        limit: Instant,
        call: F,
    ) -> Vec<Called<T>>
    where
        T: Send + Any,
        F: Fn(&OsStr) -> T + Send + Sync + 'static,
    {
        let pool = &self.pool;
        let slots: Vec<Slot<T>> = {
            let state = lock(&pool.state);
            keys.iter()
                .map(|key| {
                    let parked =
                        !state.parked.is_empty() && state.parked.contains(&(what, Arc::clone(key)));
                    if parked { Slot::Skipped } else { Slot::Waiting }
                })
                .collect()
        };
        let left = slots.iter().filter(|s| matches!(s, Slot::Waiting)).count();
        pool.counters
            .refused_total
            .fetch_add((slots.len() - left) as u64, Ordering::Relaxed);
        let job = Arc::new(Job {
            what,
            keys,
            slots: Mutex::new(Slots {
                next: 0,
                left,
                slots,
            }),
            done: Condvar::new(),
            call,
        });
        if left > 0 && pool.submit(Arc::clone(&job) as Arc<dyn Work>) {
            self.wait(&job, limit);
        }
        let mut slots = lock(&job.slots);
        let mut answer = Vec::with_capacity(job.keys.len());
        for (slot, key) in slots.slots.iter_mut().zip(&job.keys) {
            answer.push(match std::mem::replace(slot, Slot::Abandoned) {
                Slot::Done(value) => Called::Done(value),
                Slot::Skipped => {
                    *slot = Slot::Skipped;
                    Called::Parked
                }
                Slot::Running => {
                    lock(&pool.state).parked.insert((what, Arc::clone(key)));
                    pool.counters.parked.fetch_add(1, Ordering::Relaxed);
                    pool.counters.parked_total.fetch_add(1, Ordering::Relaxed);
                    Called::Parked
                }
                Slot::Waiting | Slot::Abandoned => {
                    *slot = Slot::Skipped;
                    pool.counters.refused_total.fetch_add(1, Ordering::Relaxed);
                    Called::Busy
                }
            });
        }
        answer
    }

    fn wait<T, F>(&self, job: &Arc<Job<T, F>>, limit: Instant)
    where
        T: Send + Any,
        F: Fn(&OsStr) -> T + Send + Sync + 'static,
    {
        let mut slots = lock(&job.slots);
        let mut progress = slots.left;
        while slots.left > 0 {
            let now = Instant::now();
            if now >= limit {
                return;
            }
            let nap = PATIENCE.min(limit - now);
            let (woken, timeout) = job
                .done
                .wait_timeout(slots, nap)
                .unwrap_or_else(PoisonError::into_inner);
            slots = woken;
            if timeout.timed_out() && slots.left == progress && slots.next < slots.slots.len() {
                drop(slots);
                let more = self.pool.submit(Arc::clone(job) as Arc<dyn Work>);
                slots = lock(&job.slots);
                if !more && slots.left == progress {
                    // Every thread is held: nobody will take the rest before the limit.
                    return;
                }
            }
            progress = slots.left;
        }
    }
}

impl Pool {
    /// Hands `work` to an idle thread or a new one; false when all threads are held.
    fn submit(self: &Arc<Self>, work: Arc<dyn Work>) -> bool {
        let mut state = lock(&self.state);
        if state.threads > 0 {
            state.queue.push_back(Arc::clone(&work));
            self.wake.notify_one();
            if state.idle >= state.queue.len() {
                return true;
            }
            // A thread that has just finished is about to look here: it is worth a moment, since a
            // new thread for every scrape would pile up.
            let waiting =
                |s: &mut PoolState| s.queue.iter().any(|queued| Arc::ptr_eq(queued, &work));
            let (woken, timeout) = self
                .taken
                .wait_timeout_while(state, HANDOVER, waiting)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if !timeout.timed_out() {
                return true;
            }
            state.queue.retain(|queued| !Arc::ptr_eq(queued, &work));
        }
        if state.threads >= self.most {
            return false;
        }
        let pool = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name("nodeward-call".into())
            .stack_size(128 << 10)
            .spawn(move || pool.run(&work));
        if thread.is_ok() {
            state.threads += 1;
        }
        thread.is_ok()
    }

    fn run(self: &Arc<Self>, first: &Arc<dyn Work>) {
        self.guarded(first.as_ref());
        let mut state = lock(&self.state);
        loop {
            state.idle += 1;
            let (woken, timeout) = self
                .wake
                .wait_timeout_while(state, IDLE, |s| s.queue.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            match state.queue.pop_front() {
                Some(work) => {
                    self.taken.notify_all();
                    drop(state);
                    self.guarded(work.as_ref());
                    state = lock(&self.state);
                }
                None if timeout.timed_out() => break,
                None => {}
            }
        }
        state.threads -= 1;
    }

    fn guarded(&self, work: &dyn Work) {
        // A panicking call leaves its slot Running: it is parked and never asked again.
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work.work(self)));
        if worked.is_err() {
            tracing::error!("a call that can hang panicked; what it was asked for stays parked");
        }
    }
}

#[cfg(test)]
mod tests;
