//! Keys that tell over time: the series whose numbers are kept, and what is said of them.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::{Place, Sampler, TICK};
use crate::dialect::zabbix::answer::Unsupported;
use crate::dialect::zabbix::key::Key;
use crate::subject::held::{AnyWant, Way};
use crate::subject::history::{Kept, SERIES};
use crate::subject::{Args, History, Ring, Said};

impl Sampler {
    /// The numbers kept of those of `places` that are here with the same options.
    pub(super) fn history_of(&self, places: &[Place]) -> History {
        let history = self.history();
        let kept = history.series.iter().filter_map(|((at, series), kept)| {
            let face = &self.places.get(*at)?.face;
            let subject = places.iter().position(|p| p.face.is_same(&**face))?;
            let kept = Kept {
                subject,
                ..kept.clone()
            };
            Some(((subject, series.clone()), kept))
        });
        History {
            series: kept.collect(),
        }
    }

    /// Answers a key that tells over time. The first to ask for a series waits until two samples are there.
    pub(super) async fn over(
        &self,
        at: usize,
        item: usize,
        key: &Args<'_>,
        keep: Duration,
        series: String,
        deadline: Instant,
    ) -> Said {
        let face = &self
            .places
            .get(at)
            .ok_or(Unsupported::UNSUPPORTED_KEY)?
            .face;
        let id = (at, series);
        loop {
            let samples = {
                let mut history = self.history();
                let full = history.series.len() >= SERIES;
                if full && !history.series.contains_key(&id) {
                    return Err("Too many series are kept already.".into());
                }
                let kept = history
                    .series
                    .entry(id.clone())
                    .or_insert_with(|| Kept::new(at, item, key.clone().into_owned(), keep));
                kept.asked = Instant::now();
                kept.keep = kept.keep.max(keep);
                if kept.ring.len() >= 2 {
                    return face.say_over(item, &kept.ring, key);
                }
                kept.ring.len()
            };
            if samples == 0 {
                self.tick_series(|known| known == &id, deadline).await;
                if self
                    .history()
                    .series
                    .get(&id)
                    .is_none_or(|kept| kept.ring.is_empty())
                {
                    // Nothing to keep: the thing asked for is not there.
                    let mut history = self.history();
                    let answer = face.say_over(item, &Ring::default(), key);
                    history.series.remove(&id);
                    return answer;
                }
            }
            if Instant::now() + TICK > deadline {
                return face.say_over(item, &Ring::default(), key);
            }
            tokio::time::sleep(TICK).await;
            self.tick_series(|known| known == &id, deadline).await;
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps numbers of every series that was asked for. Called once a second while Zabbix is configured.
    pub async fn tick(&self) {
        {
            let mut history = self.history();
            self.collect(&mut history);
            history.forget(Instant::now());
        }
        self.tick_series(|_| true, Instant::now() + TICK).await;
    }

    /// Keeps the series that are kept without being asked for.
    fn collect(&self, history: &mut History) {
        for (at, place) in self.places.iter().enumerate() {
            for name in place.face.collected() {
                let item = place.face.items().position(|known| known == *name);
                let (Some(item), Ok(key)) = (item, Key::parse(name)) else {
                    continue;
                };
                if let Ok((_, Way::Over { keep, series })) = place.face.ask(item, &key) {
                    let kept = || Kept::new(at, item, key.into_owned(), keep);
                    let kept = history.series.entry((at, series)).or_insert_with(kept);
                    // Never forgotten.
                    kept.asked = Instant::now();
                }
            }
        }
    }

    async fn tick_series(&self, which: impl Fn(&(usize, String)) -> bool, deadline: Instant) {
        let mut wants: HashMap<usize, Box<dyn AnyWant>> = HashMap::new();
        {
            let history = self.history();
            for (id, kept) in history.series.iter().filter(|(id, _)| which(id)) {
                let Some(place) = self.places.get(id.0) else {
                    continue;
                };
                let Ok((want, _)) = place.face.ask(kept.item, &kept.key) else {
                    continue;
                };
                match wants.get_mut(&kept.subject) {
                    Some(known) => known.merge(want.as_ref()),
                    None => drop(wants.insert(kept.subject, want)),
                }
            }
        }
        if wants.is_empty() {
            return;
        }
        let mut wants: Vec<_> = wants.into_iter().collect();
        wants.sort_by_key(|(at, _)| *at);
        let subjects: Vec<usize> = wants.iter().map(|(at, _)| *at).collect();
        let parts = self.take(wants, Duration::ZERO, deadline).await;
        let now = Instant::now();
        let mut history = self.history();
        for (subject, part) in subjects.into_iter().zip(parts) {
            let Ok(held) = part.held else { continue };
            for (id, kept) in &mut history.series {
                if id.0 == subject
                    && which(id)
                    && let Some(numbers) = held.pick(kept.item, &kept.key)
                {
                    kept.ring.push(now, numbers, kept.keep);
                }
            }
        }
    }
}
