//! One reader thread and the subjects it reads.
//!
//! A lane takes all asks that wait, reads each subject once for all of them, and answers. An ask that
//! arrives while it reads waits for the next round: an age of 0 means read after it was asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counters::SamplerCounters;
use super::gathering::Gathering;
use super::held::{AnyWant, Run};
use super::{Missing, Part};
use crate::host::{Files, Host, Pass};

/// Asks that may wait for one lane.
const WAITING: usize = 64;

/// A subject's name and reader.
pub(super) type Reader = (&'static str, Box<dyn Run>);

/// What somebody wants of one subject.
pub(super) struct Wanted {
    /// The subject's index within the lane.
    pub slot: usize,
    /// What to read of it.
    pub want: Box<dyn AnyWant>,
    /// Where the part goes among those of the asker.
    pub place: usize,
}

/// What somebody wants of a lane's subjects.
pub(super) struct Ask {
    /// The subjects.
    pub wants: Vec<Wanted>,
    /// How old the answer may be.
    pub age: Duration,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Where it goes.
    pub gathering: Arc<Gathering>,
}

/// A running lane, as who asks sees it.
#[derive(Clone)]
pub(super) struct Handle {
    /// Where asks go; the lane ends when nobody has this any more.
    pub asks: SyncSender<Ask>,
    latest: Arc<[Latest]>,
}

impl Handle {
    /// What was read of a slot at most `age` ago, if it covers `want`: for that the lane need not wake.
    pub fn latest(&self, slot: usize, age: Duration, want: &dyn AnyWant) -> Option<Part> {
        self.latest.get(slot)?.fitting(age, want)
    }
}

/// What was read last of a slot.
#[derive(Default)]
struct Latest(Mutex<Option<Taken>>);

struct Taken {
    at: Instant,
    want: Box<dyn AnyWant>,
    part: Part,
}

impl Latest {
    /// It, if it is of at most this age and covers what is wanted. An age of zero wants what is read from now on.
    fn fitting(&self, age: Duration, want: &dyn AnyWant) -> Option<Part> {
        if age.is_zero() {
            return None;
        }
        let taken = self.lock();
        let fits = |taken: &&Taken| taken.at.elapsed() <= age && taken.want.covers(want);
        taken.as_ref().filter(fits).map(|taken| taken.part.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Taken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Slot {
    name: &'static str,
    run: Box<dyn Run>,
    quarantined: bool,
}

struct Lane {
    host: Arc<Host>,
    files: Files,
    slots: Vec<Slot>,
    latest: Arc<[Latest]>,
    counters: Arc<SamplerCounters>,
}

/// Starts a lane; it ends when its handles are dropped.
pub(super) fn start(
    name: &str,
    host: Arc<Host>,
    subjects: Vec<Reader>,
    counters: Arc<SamplerCounters>,
) -> std::io::Result<Handle> {
    let (asks, waiting) = sync_channel(WAITING);
    let latest: Arc<[Latest]> = subjects.iter().map(|_| Latest::default()).collect();
    let slots = subjects
        .into_iter()
        .map(|(name, run)| Slot {
            name,
            run,
            quarantined: false,
        })
        .collect();
    let mut lane = Lane {
        host,
        files: Files::default(),
        slots,
        latest: Arc::clone(&latest),
        counters,
    };
    std::thread::Builder::new()
        .name(format!("read-{name}"))
        .stack_size(512 << 10)
        .spawn(move || lane.serve(&waiting))?;
    Ok(Handle { asks, latest })
}

impl Lane {
    fn serve(&mut self, waiting: &Receiver<Ask>) {
        while let Ok(first) = waiting.recv() {
            let mut asks = vec![first];
            asks.extend(waiting.try_iter());
            // Nobody waits for an answer that is late already.
            let now = Instant::now();
            asks.retain(|ask| ask.deadline > now && !ask.gathering.is_closed());
            let parts = self.round(&asks);
            for ask in asks {
                let read = |w: &Wanted| Some((w.place, parts.get(w.slot)?.clone()?));
                if let Some(all) = ask.gathering.answer(ask.wants.iter().filter_map(read)) {
                    all.finish();
                }
            }
        }
    }

    /// Reads once for all asks; the answer has one place a slot.
    fn round(&mut self, asks: &[Ask]) -> Vec<Option<Part>> {
        // Whoever can wait longest sets the limit: each asker gives up by itself, and nobody's haste spoils a
        // reading that others share.
        let deadline = asks.iter().map(|a| a.deadline).max();
        let deadline = deadline.unwrap_or_else(Instant::now);
        let mut pass = Pass::new(&self.host, &mut self.files, deadline);
        let mut parts = Vec::with_capacity(self.slots.len());
        for ((at, slot), latest) in self.slots.iter_mut().enumerate().zip(&*self.latest) {
            let wants = || {
                asks.iter().flat_map(move |ask| {
                    ask.wants
                        .iter()
                        .filter(move |w| w.slot == at)
                        .map(move |w| (ask.age, w.want.as_ref()))
                })
            };
            let Some((_, first)) = wants().next() else {
                parts.push(None);
                continue;
            };
            if let Some(part) = wants()
                .map(|(age, want)| latest.fitting(age, want))
                .collect::<Option<Vec<_>>>()
                .and_then(|mut all| all.pop())
            {
                parts.push(Some(part));
                continue;
            }
            let mut want = first.boxed();
            for (_, more) in wants().skip(1) {
                want.merge(more);
            }
            let part = slot.read(&mut pass, want.as_ref(), &self.counters);
            *latest.lock() = Some(Taken {
                at: Instant::now(),
                want,
                part: part.clone(),
            });
            parts.push(Some(part));
        }
        parts
    }
}

impl Slot {
    fn read(
        &mut self,
        pass: &mut Pass<'_>,
        want: &dyn AnyWant,
        counters: &SamplerCounters,
    ) -> Part {
        let started = Instant::now();
        let held = if self.quarantined {
            Err(Missing::Quarantined)
        } else {
            match catch_unwind(AssertUnwindSafe(|| self.run.read(pass, want))) {
                Ok(held) => held.map_err(Missing::from),
                Err(_) => {
                    self.quarantined = true;
                    Err(Missing::Quarantined)
                }
            }
        };
        counters.record(self.name, want, &held);
        Part {
            subject: self.name,
            took: started.elapsed(),
            held,
        }
    }
}
