//! What several lanes read for one asker, put together by the last of them.
//!
//! The surprising decision: what is made of the parts is made on the thread that read last, since handing them on to
//! yet another thread costs as much as writing a page of a small machine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::TrySendError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::held::AnyWant;
use super::lane::{Ask, Handle, Wanted};
use super::{Missing, Part};

/// What one asker wants of the lanes.
pub(super) struct Gather {
    parts: Vec<Part>,
    lanes: Vec<Vec<Wanted>>,
}

impl Gather {
    /// Nothing yet, of so many lanes; `wants` places are set aside.
    pub fn new(lanes: usize, wants: usize) -> Self {
        let mut of_lanes = Vec::new();
        of_lanes.resize_with(lanes, Vec::new);
        Self {
            parts: Vec::with_capacity(wants),
            lanes: of_lanes,
        }
    }

    /// Adds what is wanted of the subject in a slot of a lane.
    pub fn want(
        &mut self,
        subject: &'static str,
        lane: usize,
        slot: usize,
        want: Box<dyn AnyWant>,
    ) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.push(Wanted {
                slot,
                want,
                place: self.parts.len(),
            });
            self.parts.push(Part::missing(subject, Missing::Late));
        }
    }

    /// Asks the lanes, and gives what `finish` makes of the parts, which come in the order they were wanted; what is not
    /// there by the deadline is missing. None if `finish` panics.
    pub async fn ask<T: Send + 'static>(
        self,
        lanes: &[Handle],
        age: Duration,
        deadline: Instant,
        finish: impl FnOnce(Vec<Part>) -> T + Send + 'static,
    ) -> Option<T> {
        let owing = self.lanes.iter().filter(|w| !w.is_empty()).count();
        let (tell, mut told) = oneshot::channel();
        // Who asked may have given up: then nobody misses the answer.
        let finish = move |parts| drop(tell.send(finish(parts)));
        let waiting = Waiting(Arc::new(Gathering::new(
            self.parts,
            owing,
            Box::new(finish),
        )));
        // No lane is left that would do it, and the runtime's thread must not.
        let finish = |all: Gathered| drop(tokio::task::spawn_blocking(|| all.finish()));
        if owing == 0 {
            waiting.0.close().map(finish);
        }
        for (lane, wants) in lanes.iter().zip(self.lanes) {
            if wants.is_empty() {
                continue;
            }
            let asked = lane.asks.try_send(Ask {
                wants,
                age,
                deadline,
                gathering: Arc::clone(&waiting.0),
            });
            let (ask, why) = match asked {
                Ok(()) => continue,
                Err(TrySendError::Full(ask)) => (ask, Missing::Busy),
                Err(TrySendError::Disconnected(ask)) => (ask, Missing::Quarantined),
            };
            let places = ask.wants.iter().map(|w| w.place);
            waiting.0.refuse(places, &why).map(finish);
        }
        if let Ok(told) = tokio::time::timeout_at(deadline.into(), &mut told).await {
            return told.ok();
        }
        waiting.0.close().map(finish);
        told.await.ok()
    }
}

/// Closes what it waits for when nobody waits any more.
struct Waiting(Arc<Gathering>);

impl Drop for Waiting {
    fn drop(&mut self) {
        drop(self.0.close());
    }
}

/// Makes something of the parts and tells the asker.
type Finish = Box<dyn FnOnce(Vec<Part>) + Send>;

/// Parts that lanes still owe an asker.
pub(super) struct Gathering(Mutex<Option<Gathered>>);

/// The parts of one asker, and what is to be made of them.
pub(super) struct Gathered {
    parts: Vec<Part>,
    owing: usize,
    finish: Finish,
}

impl Gathered {
    /// Makes of the parts what the asker wants. A bug there costs the asker its answer, not the thread.
    pub fn finish(self) {
        let finished = catch_unwind(AssertUnwindSafe(|| (self.finish)(self.parts)));
        if finished.is_err() {
            tracing::error!("making something of a reading panicked; who asked gets no answer");
        }
    }
}

impl Gathering {
    /// `owing` lanes each replace their parts of `parts`, which say meanwhile that they are missing.
    pub fn new(parts: Vec<Part>, owing: usize, finish: Finish) -> Self {
        Self(Mutex::new(Some(Gathered {
            parts,
            owing,
            finish,
        })))
    }

    /// Takes what one lane read, each part with its place; gives everything when no lane owes any more.
    pub fn answer(&self, read: impl Iterator<Item = (usize, Part)>) -> Option<Gathered> {
        self.settle(|parts| {
            for (at, part) in read {
                if let Some(place) = parts.get_mut(at) {
                    *place = part;
                }
            }
        })
    }

    /// Says why one lane reads nothing; gives everything when no lane owes any more.
    pub fn refuse(&self, places: impl Iterator<Item = usize>, why: &Missing) -> Option<Gathered> {
        self.settle(|parts| {
            for at in places {
                if let Some(place) = parts.get_mut(at) {
                    place.held = Err(why.clone());
                }
            }
        })
    }

    fn settle(&self, with: impl FnOnce(&mut [Part])) -> Option<Gathered> {
        let mut open = self.lock();
        let gathered = open.as_mut()?;
        with(&mut gathered.parts);
        gathered.owing = gathered.owing.saturating_sub(1);
        if gathered.owing > 0 {
            return None;
        }
        open.take()
    }

    /// Takes no more answers; gives what there is, unless it was all given already.
    pub fn close(&self) -> Option<Gathered> {
        self.lock().take()
    }

    /// Whether answers are not taken any more.
    pub fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Gathered>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn late(subject: &'static str) -> Part {
        Part::missing(subject, Missing::Late)
    }

    fn busy(subject: &'static str) -> Part {
        Part::missing(subject, Missing::Busy)
    }

    /// A gathering for three subjects of two lanes, and where it tells what became of them.
    fn gathering() -> (Arc<Gathering>, mpsc::Receiver<Vec<Missing>>) {
        let (tell, told) = mpsc::channel();
        let finish = move |parts: Vec<Part>| {
            let why = parts.into_iter().filter_map(|p| p.held.err());
            tell.send(why.collect()).unwrap();
        };
        let parts = ["a", "b", "c"].map(late).into();
        let gathering = Gathering::new(parts, 2, Box::new(finish));
        (Arc::new(gathering), told)
    }

    #[test]
    fn the_last_to_answer_finishes() {
        let (gathering, told) = gathering();
        assert!(gathering.answer([(1, busy("b"))].into_iter()).is_none());
        assert!(!gathering.is_closed());
        let all = gathering.refuse([0, 2].into_iter(), &Missing::Quarantined);
        all.unwrap().finish();
        let said = [Missing::Quarantined, Missing::Busy, Missing::Quarantined];
        assert_eq!(told.recv().unwrap(), said);
        assert!(gathering.is_closed());
        assert!(gathering.close().is_none());
    }

    #[test]
    fn what_is_closed_has_what_there_was_and_takes_no_more() {
        let (gathering, told) = gathering();
        let early = gathering.answer([(0, busy("a"))].into_iter());
        assert!(early.is_none());
        let all = gathering.close().unwrap();
        let after = gathering.answer([(1, busy("b")), (2, busy("c"))].into_iter());
        assert!(after.is_none());
        all.finish();
        let said = [Missing::Busy, Missing::Late, Missing::Late];
        assert_eq!(told.recv().unwrap(), said);
    }
}
