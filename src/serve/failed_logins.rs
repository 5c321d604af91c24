//! Logins that were refused, as records of the journal: who tries to get in is of interest to whoever audits.
//!
//! ```text
//!  API, hooks, web configuration file, client certificates ── note ──> one pile an address ── due ──> record, at once and then
//!                                                                                                      once a minute at most
//! ```
//!
//! A flood must not push out of the journal what else is in it: an address has one record a minute with a count, few addresses have
//! piles of their own and all others share one, and beyond a first handful records are so seldom that they take a share of the
//! journal at most. What waits for its record goes on counting, and nothing is left out of the counts. Of a login its name is kept,
//! never what would let somebody in.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::guesses::Place;
use crate::journal::{self, Entry, Kind};
use crate::model::moment::Timestamp;
use crate::net::stream::Peer;

/// An address has one record in so long.
const EVERY: Duration = Duration::from_secs(60);
/// Addresses with piles of their own.
const ADDRESSES: usize = 64;
/// Ways of trying that a record names; further ones are counted.
const WAYS: usize = 8;
/// Longest name or reason in bytes.
const LONGEST: usize = 128;
/// So many records may come in a row before they have to be seldom.
const BURST: u32 = 64;
/// Records are then so seldom that they take this share of `journal.max_size` within `journal.keep`.
const SHARE: u64 = 4;
/// What a record takes at most, in bytes: about eight ways, and what the database adds.
const RECORD: u64 = 4 << 10;

/// One login that was refused.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Who tried.
    pub peer: Peer,
    /// The section of the config whose listener it was: `http`, `hooks` or `api`.
    pub listener: &'static str,
    /// What he wanted to get at.
    pub at: &'a str,
    /// The name that was tried, where one was.
    pub name: Option<&'a str>,
    /// What was wrong with it.
    pub why: &'a str,
}

/// Logins that were refused and are not on record yet. It outlives a reload.
#[derive(Debug)]
pub struct FailedLogins {
    piles: Mutex<Piles>,
    /// Something came in.
    came: Notify,
}

#[derive(Debug)]
struct Piles {
    of: BTreeMap<Place, Pile>,
    others: Pile,
    /// Records that may be written now, and when there was the last one more.
    tokens: u32,
    grown: Option<Instant>,
    every: Duration,
}

/// What came from one address, or from all others.
#[derive(Debug, Default)]
struct Pile {
    /// No record of it before.
    not_before: Option<Instant>,
    count: u64,
    since: Option<Timestamp>,
    last: Timestamp,
    ways: Vec<Way>,
    left_out: u64,
}

/// One way of trying, and how often.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Way {
    listener: &'static str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    why: String,
    count: u64,
}

impl Default for FailedLogins {
    fn default() -> Self {
        let piles = Piles {
            of: BTreeMap::new(),
            others: Pile::default(),
            tokens: BURST,
            grown: None,
            every: seldom(&journal::Options::default()),
        };
        Self {
            piles: Mutex::new(piles),
            came: Notify::new(),
        }
    }
}

/// How long lies between two records in the long run, so that they take their share of such a journal.
fn seldom(options: &journal::Options) -> Duration {
    let records = (options.max_size.bytes() / SHARE / RECORD).max(1);
    let records = u32::try_from(records).unwrap_or(u32::MAX);
    (options.keep.get() / records).max(Duration::from_secs(1))
}

impl FailedLogins {
    /// Is on record in a journal of these options from here on.
    pub fn change(&self, options: &journal::Options) {
        self.piles().every = seldom(options);
    }

    fn piles(&self) -> MutexGuard<'_, Piles> {
        self.piles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of one.
    pub fn note(&self, refused: Refused<'_>) {
        let now = Instant::now();
        let mut piles = self.piles();
        let place = Place::of(refused.peer);
        if !piles.of.contains_key(&place) && piles.of.len() >= ADDRESSES {
            piles.of.retain(|_, pile| !pile.is_over(now));
        }
        let room = piles.of.len() < ADDRESSES;
        let pile = match piles.of.contains_key(&place) || room {
            true => piles.of.entry(place).or_default(),
            false => &mut piles.others,
        };
        pile.add(&refused, Timestamp::now());
        drop(piles);
        self.came.notify_one();
    }

    /// The next record, once there is one to write. Cancel-safe.
    pub async fn due(&self) -> Entry {
        loop {
            let next = self.piles().next(Instant::now());
            match next {
                Ok(entry) => return entry,
                Err(Some(at)) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.came.notified() => {}
                },
                Err(None) => self.came.notified().await,
            }
        }
    }

    /// All that waits, whenever its record would be due: nobody will write one later.
    pub fn rest(&self) -> Vec<Entry> {
        let mut piles = self.piles();
        let now = Instant::now();
        let mut rest = Vec::new();
        let Piles { of, others, .. } = &mut *piles;
        for (place, pile) in of {
            rest.extend(pile.record(Some(place), now));
        }
        rest.extend(others.record(None, now));
        rest
    }
}

impl Piles {
    /// The next record, or when to look again.
    fn next(&mut self, now: Instant) -> Result<Entry, Option<Instant>> {
        self.grow(now);
        let piles = self.of.iter_mut().map(|(place, pile)| (Some(place), pile));
        let piles = piles.chain([(None, &mut self.others)]);
        let waiting = piles.filter(|(_, pile)| pile.count > 0);
        let first = waiting.min_by_key(|(_, pile)| (pile.not_before, pile.since));
        let Some((place, pile)) = first else {
            return Err(None);
        };
        if let Some(at) = pile.not_before.filter(|at| now < *at) {
            return Err(Some(at));
        }
        if self.tokens == 0 {
            return Err(self.grown.map(|grown| grown + self.every));
        }
        let entry = pile.record(place, now).ok_or(None)?;
        self.tokens -= 1;
        Ok(entry)
    }

    /// Records that may be written again.
    fn grow(&mut self, now: Instant) {
        let grown = self.grown.get_or_insert(now);
        while *grown + self.every <= now && self.tokens < BURST {
            *grown += self.every;
            self.tokens += 1;
        }
        if self.tokens >= BURST {
            *grown = now;
        }
    }
}

impl Pile {
    fn is_over(&self, now: Instant) -> bool {
        self.count == 0 && self.not_before.is_none_or(|at| at <= now)
    }

    fn add(&mut self, refused: &Refused<'_>, at: Timestamp) {
        self.count = self.count.saturating_add(1);
        self.since.get_or_insert(at);
        self.last = at;
        let name = refused.name.map(short);
        let (place, why) = (short(refused.at), short(refused.why));
        let same = |way: &&mut Way| {
            (way.listener, &way.at, &way.name, &way.why) == (refused.listener, &place, &name, &why)
        };
        let full = self.ways.len() >= WAYS;
        match self.ways.iter_mut().find(same) {
            Some(way) => way.count = way.count.saturating_add(1),
            None if !full => self.ways.push(Way {
                listener: refused.listener,
                at: place,
                name,
                why,
                count: 1,
            }),
            None => self.left_out = self.left_out.saturating_add(1),
        }
    }

    /// What waits as a record; none where nothing does.
    fn record(&mut self, place: Option<&Place>, now: Instant) -> Option<Entry> {
        let pile = std::mem::take(self);
        self.not_before = Some(now + EVERY);
        let since = pile.since?;
        let mut data = json!({
            "count": pile.count,
            "since": since.to_string(),
            "last": pile.last.to_string(),
            "tried": pile.ways,
        });
        if let Some(data) = data.as_object_mut() {
            if let Some(place) = place {
                data.insert("from".into(), place.to_string().into());
            }
            if pile.left_out > 0 {
                data.insert("left_out".into(), pile.left_out.into());
            }
        }
        Some(Entry::new(Kind::Login).data(data))
    }
}

/// The beginning of a text that a stranger may have written.
fn short(text: &str) -> String {
    let end = text.floor_char_boundary(LONGEST);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use serde_json::Value;

    use super::*;
    use crate::model::size::Size;

    fn refused(ip: u32, name: &str) -> (Peer, String) {
        let address = (Ipv4Addr::from_bits(0x0a00_0000 + ip), 1).into();
        (Peer::Tcp(address), name.to_owned())
    }

    fn note(logins: &FailedLogins, (peer, name): &(Peer, String)) {
        logins.note(Refused {
            peer: *peer,
            listener: "http",
            at: "/metrics",
            name: Some(name),
            why: "the name or the password is wrong",
        });
    }

    /// All records that come within a time.
    async fn within(logins: &FailedLogins, time: Duration) -> Vec<Value> {
        let end = Instant::now() + time;
        let mut records = Vec::new();
        while let Ok(entry) = tokio::time::timeout_at(end, logins.due()).await {
            records.push(entry.data);
        }
        records
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_from_an_address_is_one_record_at_once_and_one_a_minute_with_all_of_them_counted()
     {
        let logins = FailedLogins::default();
        note(&logins, &refused(1, "ann"));
        let first = within(&logins, Duration::from_secs(1)).await;
        assert_eq!((first.len(), &first[0]["count"]), (1, &json!(1)));
        assert_eq!(first[0]["from"], "10.0.0.1");
        assert_eq!(first[0]["tried"][0]["name"], "ann");
        for n in 0..10_000 {
            note(&logins, &refused(1, ["ann", "bob"][n % 2]));
        }
        let more = within(&logins, Duration::from_secs(58)).await;
        assert!(more.is_empty(), "{more:?}");
        let more = within(&logins, Duration::from_secs(10)).await;
        assert_eq!((more.len(), &more[0]["count"]), (1, &json!(10_000)));
        assert_eq!(
            more[0]["tried"][1],
            json!({"listener": "http", "at": "/metrics", "name": "bob",
            "why": "the name or the password is wrong", "count": 5_000})
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_day_of_guesses_from_everywhere_takes_its_share_of_the_journal_and_all_are_counted() {
        let logins = FailedLogins::default();
        let options = journal::Options {
            max_size: Size::mib(16),
            ..journal::Options::default()
        };
        logins.change(&options);
        let (mut records, mut sent) = (Vec::new(), 0u64);
        for minute in 0..24 * 60 {
            for n in 0..100 {
                note(
                    &logins,
                    &refused(minute * 100 + n, &format!("{n}\u{e9}").repeat(100)),
                );
                sent += 1;
            }
            records.extend(within(&logins, Duration::from_secs(60)).await);
        }
        records.extend(logins.rest().into_iter().map(|entry| entry.data));
        let counted = records.iter().map(|r| r["count"].as_u64().unwrap());
        assert_eq!(counted.sum::<u64>(), sent);
        let longest = records.iter().map(|r| r.to_string().len()).max().unwrap();
        assert!(longest as u64 + 300 < RECORD, "{longest}");
        // A ninetieth of a quarter of 16 MiB, beside what may come at once and what is left at the end.
        let bytes: usize = records.iter().map(|r| r.to_string().len() + 300).sum();
        let most = (16 << 20) / 4 / 90 + (2 * BURST as usize + 1) * RECORD as usize;
        assert!(bytes < most, "{bytes} of {most}, {}", records.len());
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_at_the_end_is_not_lost() {
        let logins = FailedLogins::default();
        note(&logins, &refused(1, "ann"));
        assert_eq!(within(&logins, Duration::from_secs(1)).await.len(), 1);
        note(&logins, &refused(1, "ann"));
        let rest = logins.rest();
        assert_eq!((rest.len(), &rest[0].data["count"]), (1, &json!(1)));
        assert!(logins.rest().is_empty());
    }
}
