//! Which HAProxy has had which word.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::gate::Say;

/// Addresses that are kept apart; the one that has not asked for the longest makes room.
const ASKERS: usize = 256;
/// One that has not asked for so many of its own intervals is not waited for.
const MISSED: u32 = 4;
/// The shortest and the longest time that one is waited for: it may have asked once only so far, or come by chance.
const WAITED: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(2 * 60));
/// How often `ready` is said.
const LIFTS: u8 = 2;

/// An asker: the place of the address it asked at, and its own.
pub(super) type Asker = (usize, IpAddr);

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    say: Say,
    ready: bool,
    /// Of which telling.
    telling: u64,
}

/// One asker.
#[derive(Debug, Clone, Copy)]
struct Had {
    last: Instant,
    /// How long before that it had asked; none: it asked once.
    interval: Option<Duration>,
    /// The telling that it had an answer of last.
    telling: u64,
    /// It had a word of ours that takes traffic away, and has not had `ready` often enough since.
    owed: bool,
    /// How often it had `ready` since.
    lifts: u8,
}

impl Had {
    /// How long after it asked it is waited for.
    fn waited(&self) -> Duration {
        let interval = self.interval.unwrap_or_default();
        let (shortest, longest) = WAITED;
        interval.saturating_mul(MISSED).clamp(shortest, longest)
    }
}

/// What is said, and who has had it.
#[derive(Debug)]
pub(super) struct Askers {
    say: Say,
    lifts: bool,
    /// Counts what is said, so that an answer to an old word is known as one.
    telling: u64,
    /// A word that takes traffic away was said by this process.
    placed: bool,
    /// The process before may have said one, to anybody.
    before: bool,
    /// It was lifted, and is steady now: who comes late for `ready` still gets it.
    late: bool,
    had: BTreeMap<Asker, Had>,
}

impl Default for Askers {
    fn default() -> Self {
        Self {
            say: Say::In(100),
            lifts: false,
            telling: 1,
            placed: false,
            before: false,
            late: false,
            had: BTreeMap::new(),
        }
    }
}

impl Askers {
    /// Says this from now on.
    pub(super) fn tell(&mut self, say: Say, lifts: bool) {
        if (self.say, self.lifts) == (say, lifts) {
            return;
        }
        match say {
            Say::In(_) if !lifts => {
                self.late |= matches!((self.say, self.lifts), (Say::In(_), true));
                self.placed = false;
                self.before = false;
            }
            _ => {
                self.late = false;
                self.before |= lifts && !self.placed;
                self.placed |= !matches!(say, Say::In(_)) && !lifts;
            }
        }
        if self.say != say || (matches!(say, Say::In(_)) && self.lifts != lifts) {
            self.telling += 1;
        }
        self.say = say;
        self.lifts = lifts;
    }

    /// The line that answers an asker.
    pub(super) fn line(&self, asker: Asker) -> (String, Word) {
        let ready = self.needs_ready(self.had.get(&asker));
        let line = match self.say {
            Say::Drain => "drain\n".to_owned(),
            Say::Out => "maint\n".to_owned(),
            Say::In(share) if ready => format!("ready up {share}%\n"),
            // Steady: a weight that an operator has set stays.
            Say::In(100) if !self.lifts => "up\n".to_owned(),
            Say::In(share) => format!("up {share}%\n"),
        };
        let word = Word {
            say: self.say,
            ready,
            telling: self.telling,
        };
        (line, word)
    }

    fn needs_ready(&self, had: Option<&Had>) -> bool {
        let Say::In(_) = self.say else { return false };
        match had {
            Some(had) if had.owed => self.lifts || self.late,
            Some(had) => self.lifts && self.before && had.lifts < LIFTS,
            None => self.lifts && self.before,
        }
    }

    /// An asker has had this answer. False: there is no room to remember it beside all others.
    pub(super) fn had(&mut self, asker: Asker, word: Word, now: Instant) -> bool {
        let room = self.had.contains_key(&asker) || self.had.len() < ASKERS;
        if !room {
            let oldest = self.had.iter().min_by_key(|(_, had)| had.last);
            let oldest = oldest.map(|(asker, _)| *asker);
            oldest.map(|oldest| self.had.remove(&oldest));
        }
        let before = self.had.get(&asker).map(|had| had.last);
        let had = self.had.entry(asker).or_insert(Had {
            last: now,
            interval: None,
            telling: 0,
            owed: false,
            lifts: 0,
        });
        had.last = now;
        had.interval = before.map(|before| now.saturating_duration_since(before));
        had.telling = word.telling;
        match word.say {
            Say::Drain | Say::Out => {
                had.owed = true;
                had.lifts = 0;
            }
            Say::In(_) if word.ready => {
                had.lifts = had.lifts.saturating_add(1);
                had.owed &= had.lifts < LIFTS;
            }
            Say::In(_) => {}
        }
        room
    }

    /// Whether everybody who asks has had what is said, and somebody does.
    pub(super) fn have_heard(&self, now: Instant) -> bool {
        let taken = !matches!(self.say, Say::In(_));
        if !taken && !self.lifts {
            return true;
        }
        let here = |had: &&Had| now.saturating_duration_since(had.last) < had.waited();
        let mut here = self.had.values().filter(here).peekable();
        if here.peek().is_none() {
            // Nobody had anything that were to be taken back.
            return !taken && !self.before;
        }
        here.all(|had| had.telling == self.telling && !self.needs_ready(Some(had)))
    }
}
