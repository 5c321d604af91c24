//! Names and passwords, and what looking at one costs.
//!
//! bcrypt is slow on purpose, so that it is never on the runtime nor on the threads that write pages: one thread at a time
//! hashes, few wait for it, and of who sends wrong ones soon none is looked at any more. What was right is
//! remembered, for one that comes every second, and what was wrong too, for one with an old password that comes as
//! often; both as hashes over name, password and the hash they were held against, which is salted.
//!
//! ```text
//!  remembered? ─ right ─> in          ─ no ─> held back? ─ no ─> room in the line? ─> my turn ─> bcrypt ─> remembered
//!        └────── wrong ─> 401                   429                 503       ≤ 10 s, 503
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::HeaderMap;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::hash::PasswordHash;
use crate::net::stream::Peer;
use crate::net::tally::Tally;
use crate::serve::guesses::Guesses;
use crate::serve::tokens::{Hash, basic};
use crate::serve::{self, FailedLogins};

/// Logins that may wait for their turn or have it.
const LINE: usize = 16;
/// How long one may wait, for the turn and for what comes of it. A hash goes on after that, and is remembered.
const PATIENCE: Duration = Duration::from_secs(10);
/// Wrong logins that are remembered, the latest.
const WRONG: usize = 64;
/// How many ways to be refused there are.
pub const REFUSALS: usize = 4;

/// Who may log in.
#[derive(Default)]
pub(super) struct Users {
    known: BTreeMap<String, PasswordHash>,
    /// What a name that nobody has costs: as much as one of somebody's, or the time would tell which there are.
    cost: u32,
}

impl Users {
    pub(super) fn new<'a>(users: impl Iterator<Item = (&'a String, &'a PasswordHash)>) -> Self {
        let known: BTreeMap<_, _> = users
            .map(|(name, hash)| (name.clone(), hash.clone()))
            .collect();
        let cost = known.values().map(PasswordHash::cost).max();
        Self {
            cost: cost.unwrap_or_default(),
            known,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Why somebody is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("a name and a password are needed")]
    Missing,
    #[error("the name or the password is wrong")]
    Wrong,
    #[error("too many wrong passwords came from this address within a minute")]
    Throttled(Duration),
    #[error("too many logins are being looked at; try again")]
    Busy,
}

/// Whether a request has no login that could be looked at.
pub(super) fn has_none(headers: &HeaderMap) -> bool {
    basic(headers).is_none()
}

/// What was looked at, and what came of it.
#[derive(Default)]
struct Seen {
    /// The right one of a name, the latest.
    right: BTreeMap<String, Hash>,
    wrong: VecDeque<Hash>,
}

impl Seen {
    fn of(&self, name: &str, login: &Hash) -> Option<bool> {
        if self.right.get(name) == Some(login) {
            return Some(true);
        }
        self.wrong.contains(login).then_some(false)
    }

    fn remember(&mut self, name: &str, login: Hash, right: bool) {
        if right {
            // Names that somebody has, so that there are no more than the file has had.
            self.right.insert(name.to_owned(), login);
        } else {
            self.wrong.truncate(WRONG - 1);
            self.wrong.push_front(login);
        }
    }
}

/// What is known of logins; it outlives a reload.
pub(super) struct Logins {
    seen: Mutex<Seen>,
    guesses: Guesses,
    failed: Arc<FailedLogins>,
    line: Semaphore,
    turn: Arc<Semaphore>,
    missing: Tally,
    wrong: Tally,
    throttled: Tally,
    busy: Tally,
}

impl Default for Logins {
    fn default() -> Self {
        Self {
            seen: Mutex::default(),
            guesses: Guesses::default(),
            failed: Arc::default(),
            line: Semaphore::new(LINE),
            turn: Arc::new(Semaphore::new(1)),
            missing: Tally::default(),
            wrong: Tally::default(),
            throttled: Tally::default(),
            busy: Tally::default(),
        }
    }
}

impl Logins {
    /// Those of which records are made of `failed`.
    pub(super) fn on_record(failed: Arc<FailedLogins>) -> Self {
        Self {
            failed,
            ..Self::default()
        }
    }

    /// Lets in who has a name and its password.
    pub(super) async fn check(
        this: &Arc<Self>,
        users: &Users,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<(), Refused> {
        let outcome = this.look(users, headers, peer).await;
        if let Err(refused) = &outcome {
            this.note(peer, refused);
            if let (Refused::Wrong | Refused::Throttled(_), Some((name, _))) =
                (refused, basic(headers))
            {
                this.failed.note(serve::Refused {
                    peer,
                    listener: "http",
                    at: "web_config",
                    name: Some(&name),
                    why: &refused.to_string(),
                });
            }
        }
        outcome
    }

    async fn look(
        self: &Arc<Self>,
        users: &Users,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<(), Refused> {
        let (name, password) = basic(headers).ok_or(Refused::Missing)?;
        let hash = users.known.get(&name).cloned();
        let login = digest(&name, &password, hash.as_ref());
        if let Some(right) = self.seen().of(&name, &login) {
            return judged(right);
        }
        if let Some(left) = self.guesses.wait(peer, Instant::now()) {
            return Err(Refused::Throttled(left));
        }
        let _place = self.line.try_acquire().map_err(|_| Refused::Busy)?;
        let turn = timeout(PATIENCE, Arc::clone(&self.turn).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(Refused::Busy)?;
        // Whoever had the turn before may have brought the same.
        if let Some(right) = self.seen().of(&name, &login) {
            return judged(right);
        }
        let work = Work {
            name,
            password,
            cost: users.cost,
            hash,
            login,
            peer,
        };
        let answer = work.begin(Arc::clone(self), turn).ok_or(Refused::Busy)?;
        let right = timeout(PATIENCE, answer).await;
        judged(right.ok().and_then(Result::ok).ok_or(Refused::Busy)?)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts who was not let in, and says so now and then.
    pub(super) fn note(&self, peer: Peer, refused: &Refused) {
        let tally = match refused {
            // Many clients ask once before they log in.
            Refused::Missing => return self.missing.add(),
            Refused::Wrong => &self.wrong,
            Refused::Throttled(_) => &self.throttled,
            Refused::Busy => &self.busy,
        };
        tally.note(|left_out| {
            tracing::warn!(%peer, why = %refused, left_out, "refused a login to the HTTP listener");
        });
    }

    /// How many were refused, by why, sorted.
    pub(super) fn counts(&self) -> [(&'static str, u64); REFUSALS] {
        [
            ("busy", self.busy.get()),
            ("missing", self.missing.get()),
            ("throttled", self.throttled.get()),
            ("wrong", self.wrong.get()),
        ]
    }
}

fn judged(right: bool) -> Result<(), Refused> {
    match right {
        true => Ok(()),
        false => Err(Refused::Wrong),
    }
}

/// One login, by which it is known again. Lengths keep apart what would read alike.
fn digest(name: &str, password: &[u8], hash: Option<&PasswordHash>) -> Hash {
    let hash = hash.map_or(&[][..], PasswordHash::as_bytes);
    let mut digest = Sha256::new();
    for part in [name.as_bytes(), password, hash] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// A password to be held against a hash.
struct Work {
    name: String,
    password: Vec<u8>,
    hash: Option<PasswordHash>,
    cost: u32,
    login: Hash,
    peer: Peer,
}

impl Work {
    /// Begins on a thread of its own, which keeps the turn to its end whoever waits.
    fn begin(
        self,
        logins: Arc<Logins>,
        turn: OwnedSemaphorePermit,
    ) -> Option<oneshot::Receiver<bool>> {
        let (say, answer) = oneshot::channel();
        let thread = std::thread::Builder::new().name("bcrypt".into());
        let hashing = move || {
            let right = match &self.hash {
                Some(hash) => hash.is_of(&self.password),
                None => {
                    PasswordHash::wear(self.cost, &self.password);
                    false
                }
            };
            if !right {
                logins.guesses.remember(self.peer, Instant::now());
            }
            logins.seen().remember(&self.name, self.login, right);
            drop(turn);
            // Who asked may be gone; it is remembered for when he asks again.
            say.send(right).ok();
        };
        match thread.spawn(hashing) {
            Ok(_) => Some(answer),
            Err(error) => {
                tracing::warn!(%error, "cannot start a thread to look at a password");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hyper::header::{AUTHORIZATION, HeaderValue};

    use super::*;

    const HASH: &str = "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

    fn users() -> Users {
        let users = BTreeMap::from([("ann".to_owned(), HASH.parse().unwrap())]);
        Users::new(users.iter())
    }

    fn headers(login: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(login));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&value).unwrap());
        headers
    }

    fn peer(ip: &str) -> Peer {
        Peer::Tcp((ip.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[tokio::test]
    async fn lets_in_who_has_the_password_and_nobody_else() {
        let logins = Arc::<Logins>::default();
        let users = users();
        let check = async |login: &str| {
            Logins::check(&logins, &users, &headers(login), peer("10.0.0.1")).await
        };
        for _ in 0..3 {
            assert_eq!(check("ann:abc").await, Ok(()));
            for wrong in ["ann:abcd", "ann:", "bob:abc", ":abc", "ann:abc:"] {
                assert_eq!(check(wrong).await, Err(Refused::Wrong), "{wrong}");
            }
        }
        assert_eq!(check("ann").await, Err(Refused::Missing));
        let none = HeaderMap::new();
        let nothing = Logins::check(&logins, &users, &none, peer("10.0.0.1")).await;
        assert_eq!(nothing, Err(Refused::Missing));
        let counts = [("busy", 0), ("missing", 2), ("throttled", 0), ("wrong", 15)];
        assert_eq!(logins.counts(), counts);
    }

    #[tokio::test]
    async fn who_guesses_is_held_back_and_who_was_let_in_before_is_not() {
        let logins = Arc::<Logins>::default();
        let users = users();
        let check =
            async |login: &str, ip| Logins::check(&logins, &users, &headers(login), peer(ip)).await;
        assert_eq!(check("ann:abc", "10.0.0.1").await, Ok(()));
        // An old password that is sent again and again is one guess.
        for _ in 0..50 {
            assert_eq!(check("ann:old", "10.0.0.1").await, Err(Refused::Wrong));
        }
        for guess in 0..9 {
            let login = format!("ann:{guess}");
            assert_eq!(check(&login, "10.0.0.1").await, Err(Refused::Wrong));
        }
        let held = check("ann:10", "10.0.0.1").await;
        assert!(matches!(held, Err(Refused::Throttled(_))), "{held:?}");
        assert_eq!(check("ann:abc", "10.0.0.1").await, Ok(()));
        assert_eq!(check("ann:10", "10.0.0.2").await, Err(Refused::Wrong));
    }

    #[tokio::test]
    async fn few_wait_and_one_hashes() {
        let logins = Arc::<Logins>::default();
        let users = users();
        let turn = Arc::clone(&logins.turn).acquire_owned().await.unwrap();
        let waiting = (0..LINE + 4).map(|n| {
            let (logins, users, login) = (&logins, &users, headers("ann:abc"));
            async move { Logins::check(logins, users, &login, peer(&format!("10.0.0.{n}"))).await }
        });
        let mut waiting: Vec<_> = waiting.map(Box::pin).collect();
        let mut refused = 0;
        for one in &mut waiting {
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(one.as_mut().poll(cx)));
            refused += usize::from(polled.await == std::task::Poll::Ready(Err(Refused::Busy)));
        }
        assert_eq!(refused, 4);
        drop(turn);
        for one in waiting.into_iter().take(LINE) {
            assert_eq!(one.await, Ok(()));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut seen = Seen::default();
        for n in 0..1000_u32 {
            seen.remember("ann", digest("ann", &n.to_le_bytes(), None), n % 2 == 0);
        }
        assert_eq!((seen.right.len(), seen.wrong.len()), (1, WRONG));
        let of = |n: u32| seen.of("ann", &digest("ann", &n.to_le_bytes(), None));
        assert_eq!((of(998), of(999), of(996)), (Some(true), Some(false), None));
    }
}
