//! The sampler: answers who asks for subjects, sharing reads.
//!
//! An idle sampler does nothing. Each lane is a thread with its subjects; the asking side is
//! async and never blocks. Dropping the sampler ends its threads once they come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use foldhash::fast::RandomState;

use super::counters::SamplerCounters;
use super::gathering::Gather;
use super::held::{AnyWant, Face, Way};
use super::lane;
use super::list::enough;
use super::{Absent, Args, Asker, Held, History, Invalid, Machine, Missing, Options};
use super::{Part, Said, Snapshot, Subject};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::Host;

/// How old a reading may be that answers a Zabbix key.
const KEY_AGE: Duration = Duration::from_secs(1);
/// How often numbers are kept for keys that tell over time.
const TICK: Duration = Duration::from_secs(1);

/// How long after a lane had too many asks it is asked again.
const AGAIN: Duration = Duration::from_millis(10);

fn switched_off(subject: &str) -> Missing {
    Missing::Absent(Absent::NotHere(format!(
        "the subject {subject} is switched off"
    )))
}

mod series;

/// Where a subject is read: its lane and its place there.
struct Place {
    face: Box<dyn Face>,
    on_pages: bool,
    in_batches: bool,
    lane: usize,
    slot: usize,
}

/// The subjects that are read, and their reader threads.
pub struct Sampler {
    host: Arc<Host>,
    places: Vec<Place>,
    /// Where each Zabbix key is told: its place, and its number there.
    keys: HashMap<&'static str, (usize, usize), RandomState>,
    lanes: Vec<lane::Handle>,
    history: Mutex<History>,
    counters: Arc<SamplerCounters>,
}

/// The lane of [`super::Lane::Drivers`].
const DRIVERS: &str = "drivers";

impl Sampler {
    /// Builds the subjects of `options` and starts their threads; all that is wrong with them in one go. In the place of a
    /// sampler of the same machine its counts go on, a subject whose own options are as they were keeps its numbers, and
    /// a thread whose subjects all are so keeps running, with what it has read.
    pub fn start(
        options: &Options,
        machine: &Machine,
        before: Option<&Self>,
    ) -> Result<Self, Vec<Invalid>> {
        let counters = before.map_or_else(Arc::default, |before| Arc::clone(&before.counters));
        let mut places = Vec::new();
        let mut groups: Vec<(&str, Vec<lane::Reader>)> = vec![("shared", Vec::new())];
        for built in options.build(machine)? {
            let (run, face) = (built.run, built.face);
            let lane = match face.lane() {
                super::Lane::Shared => 0,
                super::Lane::Drivers => {
                    match groups.iter().position(|(name, _)| *name == DRIVERS) {
                        Some(at) => at,
                        None => {
                            groups.push((DRIVERS, Vec::new()));
                            groups.len() - 1
                        }
                    }
                }
                super::Lane::Own => {
                    groups.push((face.name(), Vec::new()));
                    groups.len() - 1
                }
            };
            if let Some((_, group)) = groups.get_mut(lane) {
                places.push(Place {
                    lane,
                    slot: group.len(),
                    face,
                    on_pages: built.on_pages,
                    in_batches: built.in_batches,
                });
                if let Some(place) = places.last() {
                    group.push((place.face.name(), run));
                }
            }
        }
        let mut lanes = Vec::new();
        for (at, (name, group)) in groups.into_iter().enumerate() {
            if let Some(kept) = before.and_then(|before| before.lane_of(&places, at)) {
                lanes.push(kept);
                continue;
            }
            let lane = lane::start(
                name,
                Arc::clone(&machine.host),
                group,
                Arc::clone(&counters),
            );
            lanes.push(lane.map_err(|error| {
                vec![Invalid {
                    subject: "all",
                    why: format!("start a reader thread: {error}"),
                }]
            })?);
        }
        let host = Arc::clone(&machine.host);
        let history = before.map_or_else(History::default, |before| before.history_of(&places));
        let mut keys = HashMap::default();
        for (at, place) in places.iter().enumerate() {
            for (item, name) in place.face.items().enumerate() {
                keys.entry(name).or_insert((at, item));
            }
        }
        Ok(Self {
            host,
            places,
            keys,
            lanes,
            history: Mutex::new(history),
            counters,
        })
    }

    /// The lane that reads just what `lane` of `places` is to read, with the same options.
    fn lane_of(&self, places: &[Place], lane: usize) -> Option<lane::Handle> {
        let wanted: Vec<_> = places.iter().filter(|p| p.lane == lane).collect();
        let first = wanted.first()?;
        let here = self
            .places
            .iter()
            .find(|p| p.face.is_same(&*first.face))?
            .lane;
        let known: Vec<_> = self.places.iter().filter(|p| p.lane == here).collect();
        let same = known.len() == wanted.len()
            && known
                .iter()
                .zip(&wanted)
                .all(|(known, wanted)| known.face.is_same(&*wanted.face));
        self.lanes.get(here).filter(|_| same).cloned()
    }

    /// The machine read.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What reading has cost and missed.
    #[must_use]
    pub fn counters(&self) -> &SamplerCounters {
        &self.counters
    }

    /// Names of the subjects that pages tell, in the order of the list.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let told = self.places.iter().filter(|p| p.on_pages);
        told.map(|p| p.face.name())
    }

    /// Reads the subjects that are told to `asker` and for which `only` says yes. What is not there by the deadline is missing, the rest is told.
    pub async fn snapshot(
        &self,
        asker: Asker,
        only: impl Fn(&str) -> bool,
        deadline: Instant,
    ) -> Snapshot {
        let at = SystemTime::now();
        let parts = self.take(self.wants(asker, only), Duration::ZERO, deadline);
        Snapshot {
            at,
            parts: parts.await,
        }
    }

    /// As [`Sampler::snapshot`], and makes something of it on the thread that read last; none if `make` panics.
    pub async fn make<T: Send + 'static>(
        &self,
        asker: Asker,
        only: impl Fn(&str) -> bool,
        deadline: Instant,
        make: impl FnOnce(Snapshot) -> T + Send + 'static,
    ) -> Option<T> {
        let at = SystemTime::now();
        let make = move |parts| make(Snapshot { at, parts });
        self.taken(self.wants(asker, only), Duration::ZERO, deadline, make)
            .await
    }

    /// What to read for `asker`: places and wants.
    fn wants(&self, asker: Asker, only: impl Fn(&str) -> bool) -> Vec<(usize, Box<dyn AnyWant>)> {
        let told = |place: &Place| match asker {
            Asker::Prometheus => place.on_pages,
            Asker::Otlp => place.in_batches,
        };
        let places = self.places.iter().enumerate();
        places
            .filter(|(_, place)| told(place) && only(place.face.name()))
            .map(|(at, place)| (at, place.face.want(asker)))
            .collect()
    }

    /// Whether a subject is read at all.
    #[must_use]
    pub fn reads(&self, subject: &str) -> bool {
        self.places.iter().any(|p| p.face.name() == subject)
    }

    /// Reads what a page tells of one subject, told there or not, or takes a reading of at most `age`. While too many
    /// ask, it asks again until `deadline`.
    ///
    /// # Errors
    /// [`Missing`]; a subject that is switched off is absent.
    pub async fn read(
        &self,
        subject: &str,
        age: Duration,
        deadline: Instant,
    ) -> Result<Arc<dyn Held>, Missing> {
        let found = self.places.iter().position(|p| p.face.name() == subject);
        let at = found.ok_or_else(|| switched_off(subject))?;
        let place = self.places.get(at).ok_or(Missing::Late)?;
        self.one(at, || place.face.want(Asker::Prometheus), age, deadline)
            .await
    }

    /// Reads what `want` says of the subject `S`, as [`Sampler::read`] does, and gives the reading to `tell`.
    ///
    /// # Errors
    /// As [`Sampler::read`].
    pub async fn ask<S: Subject, T>(
        &self,
        want: S::Want,
        age: Duration,
        deadline: Instant,
        tell: impl FnOnce(&S::Reading) -> T,
    ) -> Result<T, Missing> {
        let found = self.places.iter().position(|p| p.face.name() == S::NAME);
        let at = found.ok_or_else(|| switched_off(S::NAME))?;
        let held = self
            .one(at, || Box::new(want.clone()), age, deadline)
            .await?;
        let reading = held.as_any().downcast_ref::<S::Reading>();
        reading.map(tell).ok_or_else(|| switched_off(S::NAME))
    }

    async fn one(
        &self,
        at: usize,
        want: impl Fn() -> Box<dyn AnyWant>,
        age: Duration,
        deadline: Instant,
    ) -> Result<Arc<dyn Held>, Missing> {
        loop {
            let held = match self.latest(at, age, &*want()) {
                Some(part) => Some(part.held),
                None => {
                    let parts = self.take(vec![(at, want())], age, deadline).await;
                    parts.into_iter().next().map(|part| part.held)
                }
            };
            match held {
                Some(Err(Missing::Busy)) if Instant::now() + AGAIN < deadline => {
                    tokio::time::sleep(AGAIN).await;
                }
                Some(held) => return held,
                None => return Err(Missing::Late),
            }
        }
    }

    /// What was read of the subject at this place at most `age` ago, and covers `want`.
    fn latest(&self, at: usize, age: Duration, want: &dyn AnyWant) -> Option<Part> {
        let place = self.places.get(at)?;
        let lane = self.lanes.get(place.lane)?;
        lane.latest(place.slot, age, want)
    }

    async fn take(
        &self,
        wants: Vec<(usize, Box<dyn AnyWant>)>,
        age: Duration,
        deadline: Instant,
    ) -> Vec<Part> {
        let parts = self.taken(wants, age, deadline, |parts| parts).await;
        parts.unwrap_or_default()
    }

    /// Asks the lanes, and gives what `finish` makes of one part a want, in order; none if it panics.
    async fn taken<T: Send + 'static>(
        &self,
        wants: Vec<(usize, Box<dyn AnyWant>)>,
        age: Duration,
        deadline: Instant,
        finish: impl FnOnce(Vec<Part>) -> T + Send + 'static,
    ) -> Option<T> {
        let mut gather = Gather::new(self.lanes.len(), wants.len());
        for (at, want) in wants {
            if let Some(place) = self.places.get(at) {
                gather.want(place.face.name(), place.lane, place.slot, want);
            }
        }
        gather.ask(&self.lanes, age, deadline, finish).await
    }

    /// Whether some subject answers Zabbix keys of this name.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// Answers a Zabbix key of some subject.
    pub async fn answer(&self, key: &Args<'_>, deadline: Instant) -> Said {
        let known = self.keys.get(key.name());
        let found = known.and_then(|(at, item)| Some((*at, self.places.get(*at)?, *item)));
        let Some((at, place, item)) = found else {
            return Err(Unsupported::UNSUPPORTED_KEY);
        };
        enough(key, place.face.parameters(item))?;
        let (want, way) = place.face.ask(item, key)?;
        match way {
            Way::Now => {
                let parts = match self.latest(at, KEY_AGE, &*want) {
                    Some(part) => vec![part],
                    None => self.take(vec![(at, want)], KEY_AGE, deadline).await,
                };
                match parts.into_iter().next().map(|part| part.held) {
                    Some(Ok(held)) => held.say(item, key),
                    Some(Err(Missing::Late)) | None => Err(Unsupported::TIMED_OUT),
                    Some(Err(missing)) => Err(missing.to_string().into()),
                }
            }
            Way::Over { keep, series } => self.over(at, item, key, keep, series, deadline).await,
        }
    }
}
