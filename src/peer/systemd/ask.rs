//! One batch of calls on its way between a plain thread and the connection's task.
//!
//! The thread keeps a [`Slot`] and waits on it; the task keeps one [`Ticket`] for each call in
//! flight. When the last ticket is gone (all answered, or the connection dropped) the batch has
//! ended. A thread whose deadline passes first walks away, and the batch is *parked* from then
//! until its end. Both sides decide under one lock, so the count of parked batches never drifts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use zbus::Message;

use super::error::Error;
use crate::host::CallCounters;

/// Plain counters of one [`Systemd`](super::Systemd), told by whoever owns it.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    /// Batches given up by their caller and not ended yet.
    pub(super) parked: AtomicUsize,
    /// Method calls sent since start.
    pub(super) calls: AtomicU64,
    /// Batches whose deadline passed before all answers were there, since start.
    pub(super) late: AtomicU64,
    /// Batches not sent because one was parked or too many waited, since start.
    pub(super) refused: AtomicU64,
    /// Connections made since start.
    pub(super) connections: AtomicU64,
    /// Connections, or attempts at one, that ended in an error, since start.
    pub(super) broken: AtomicU64,
    /// The machine's counters of calls that can hang, which ours are part of.
    pub(super) machine: Arc<CallCounters>,
}

impl Gauges {
    /// Counts a batch whose caller walks away.
    fn park(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
        self.late.fetch_add(1, Ordering::Relaxed);
        self.machine.parked.fetch_add(1, Ordering::Relaxed);
        self.machine.parked_total.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the end of a batch that was parked.
    fn unpark(&self) {
        self.parked.fetch_sub(1, Ordering::Relaxed);
        self.machine.parked.fetch_sub(1, Ordering::Relaxed);
    }

    /// Counts a batch that was not sent.
    pub(super) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.machine.refused_total.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Progress {
    answers: Vec<Option<Message>>,
    missing: usize,
    ended: bool,
    abandoned: bool,
    failure: Option<Error>,
}

/// The caller's side of a batch.
#[derive(Debug)]
pub(super) struct Slot {
    progress: Mutex<Progress>,
    changed: Condvar,
    gauges: Arc<Gauges>,
}

/// What became of a batch by the time its caller looked.
#[derive(Debug)]
pub(super) struct Answers {
    /// One entry for each call, in order; `None` where no answer came.
    pub(super) messages: Vec<Option<Message>>,
    /// Why answers are missing, unless the deadline is the reason.
    pub(super) failure: Option<Error>,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the batch has ended or `deadline` passes; in the latter case parks it.
    pub(super) fn wait(&self, deadline: Instant) -> Answers {
        let mut progress = self.lock();
        while progress.missing > 0 && !progress.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                progress.abandoned = true;
                self.gauges.park();
                return Answers {
                    messages: std::mem::take(&mut progress.answers),
                    failure: None,
                };
            }
            progress = self
                .changed
                .wait_timeout(progress, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        let failure = (progress.missing > 0).then(|| {
            progress.failure.take().unwrap_or_else(|| Error::Broken {
                why: "its task was stopped".into(),
            })
        });
        Answers {
            messages: std::mem::take(&mut progress.answers),
            failure,
        }
    }
}

/// The connection's side of a batch; dropping the last one ends it.
#[derive(Debug)]
pub(super) struct Ticket {
    slot: Arc<Slot>,
    /// When the caller stops waiting.
    pub(super) deadline: Instant,
}

impl Ticket {
    /// Whether the caller has walked away.
    pub(super) fn is_abandoned(&self) -> bool {
        self.slot.lock().abandoned
    }

    /// Delivers the answer to call number `index` of the batch.
    pub(super) fn answer(&self, index: usize, message: Message) {
        let mut progress = self.slot.lock();
        if let Some(entry @ None) = progress.answers.get_mut(index) {
            *entry = Some(message);
            progress.missing = progress.missing.saturating_sub(1);
        }
        if progress.missing == 0 {
            self.slot.changed.notify_all();
        }
    }

    /// Notes why the remaining calls will have no answer.
    pub(super) fn fail(&self, why: &Error) {
        self.slot.lock().failure = Some(why.clone());
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut progress = self.slot.lock();
        progress.ended = true;
        if progress.abandoned {
            self.slot.gauges.unpark();
        }
        self.slot.changed.notify_all();
    }
}

/// A batch of calls for the connection's task.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) calls: Vec<Message>,
    pub(super) ticket: Arc<Ticket>,
}

/// Makes the two sides of a batch.
pub(super) fn batch(
    calls: Vec<Message>,
    deadline: Instant,
    gauges: &Arc<Gauges>,
) -> (Arc<Slot>, Job) {
    let slot = Arc::new(Slot {
        progress: Mutex::new(Progress {
            answers: vec![None; calls.len()],
            missing: calls.len(),
            ended: false,
            abandoned: false,
            failure: None,
        }),
        changed: Condvar::new(),
        gauges: Arc::clone(gauges),
    });
    let ticket = Arc::new(Ticket {
        slot: Arc::clone(&slot),
        deadline,
    });
    (slot, Job { calls, ticket })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn call() -> Message {
        Message::method_call("/", "Ping").build(&()).unwrap()
    }

    fn parked(gauges: &Gauges) -> usize {
        gauges.parked.load(Ordering::Relaxed)
    }

    #[test]
    fn a_batch_is_parked_from_its_deadline_until_the_last_ticket_is_gone() {
        let gauges = Arc::new(Gauges::default());
        let (slot, job) = batch(vec![call(), call()], Instant::now(), &gauges);
        job.ticket.answer(1, call());
        let answers = slot.wait(Instant::now());
        assert!(answers.messages[0].is_none() && answers.messages[1].is_some());
        assert_eq!((answers.failure, parked(&gauges)), (None, 1));
        assert!(job.ticket.is_abandoned());
        job.ticket.answer(0, call());
        let other = Arc::clone(&job.ticket);
        drop(job);
        assert_eq!(parked(&gauges), 1);
        drop(other);
        assert_eq!(parked(&gauges), 0);
        let machine = &gauges.machine;
        assert_eq!(machine.parked.load(Ordering::Relaxed), 0);
        assert_eq!(machine.parked_total.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_batch_that_ends_early_says_why() {
        let gauges = Arc::new(Gauges::default());
        let far = Instant::now() + Duration::from_secs(3600);
        let (slot, job) = batch(vec![call()], far, &gauges);
        job.ticket.fail(&Error::Busy { call: "Ping" });
        drop(job);
        let answers = slot.wait(far);
        assert_eq!(answers.failure, Some(Error::Busy { call: "Ping" }));
        assert_eq!(parked(&gauges), 0);
    }

    #[test]
    fn an_answer_wakes_the_thread_that_waits() {
        let gauges = Arc::new(Gauges::default());
        let far = Instant::now() + Duration::from_secs(3600);
        let (slot, job) = batch(vec![call()], far, &gauges);
        let waiting = std::thread::spawn(move || slot.wait(far).messages.len());
        job.ticket.answer(0, call());
        assert_eq!(waiting.join().unwrap(), 1);
    }
}
