//! Names to addresses, on threads of its own.
//!
//! Owns the calls of getaddrinfo(3), which cannot be cancelled and hang for as long as the name
//! servers are silent. They run on at most [`THREADS`] threads, started when first needed and ended
//! when idle, so that a dead name server never holds what writes pages. Addresses, and `localhost`
//! (RFC 6761 section 6.3), are known without asking. It caches nothing.
//!
//! The surprising decision: a look-up that is late is not given up. It is *parked*: whoever asks for
//! the same name again waits for the same call, and only when every thread is held by a parked call
//! are other names refused at once.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// Threads that look up names, at most.
pub const THREADS: usize = 2;
/// Names that may wait for a thread; a config names a handful.
const WAITING: usize = 64;
/// A thread without work ends after this long.
const IDLE: Duration = Duration::from_secs(10);

/// Why a name has no address now.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    /// The system's resolver said no.
    #[error(transparent)]
    Failed(Arc<io::Error>),
    /// The resolver has not answered yet; it is not asked a second time.
    #[error(
        "the name {0:?} could not be looked up in time: do the name servers answer? \
         An IP address in its place needs none"
    )]
    Late(String),
    /// Every thread waits for the name servers on behalf of other names.
    #[error(
        "the name {0:?} was not looked up, because {THREADS} look-ups of other names hang: do the \
         name servers answer? An IP address in its place needs none"
    )]
    Busy(String),
    /// It is known, and has no address.
    #[error("the name {0:?} has no address")]
    Nowhere(String),
    /// There is no thread to look it up on.
    #[error("the name {0:?} was not looked up: the system gives no thread ({1})")]
    NoThread(String, Arc<io::Error>),
}

impl From<LookupError> for io::Error {
    fn from(error: LookupError) -> Self {
        Self::other(error)
    }
}

type Found = Result<Vec<SocketAddr>, LookupError>;
type Lookup = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Looks up names. Cloning shares the threads: a process has one.
#[derive(Clone)]
pub struct Resolver(Arc<Shared>);

struct Shared {
    lookup: Box<Lookup>,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    /// The names that wait or are being looked up, and who is to be told.
    asked: HashMap<Arc<str>, Asked>,
    queue: VecDeque<Arc<str>>,
    threads: usize,
    idle: usize,
    parked: usize,
}

struct Asked {
    told: watch::Sender<Option<Found>>,
    stage: Stage,
}

#[derive(PartialEq)]
enum Stage {
    Waiting,
    Running,
    /// Running for longer than somebody was ready to wait.
    Parked,
}

impl Default for Resolver {
    /// The system's resolver: getaddrinfo(3) in its own order of addresses.
    fn default() -> Self {
        Self::over(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }
}

impl Resolver {
    /// The same over another way to look up a name, which may block.
    pub(crate) fn over(
        lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            lookup: Box::new(lookup),
            state: Mutex::default(),
            wake: Condvar::new(),
        }))
    }

    /// The addresses of `host` (a name or an IP address, IPv6 without brackets), best first, with
    /// `port`. Waits until `deadline`.
    ///
    /// # Errors
    /// See [`LookupError`].
    pub async fn lookup(&self, host: &str, port: u16, deadline: Instant) -> Found {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        if host.eq_ignore_ascii_case("localhost") {
            let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            return Ok(loopback.map(|ip| SocketAddr::new(ip, port)).to_vec());
        }
        let mut told = self.ask(host)?;
        let found = match timeout_at(deadline, told.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone(),
            Ok(Err(_)) | Err(_) => None,
        };
        let mut found = found.unwrap_or_else(|| Err(self.late(host)))?;
        found.iter_mut().for_each(|place| place.set_port(port));
        Ok(found)
    }

    /// Joins the look-up of `host`, or begins one.
    fn ask(&self, host: &str) -> Result<watch::Receiver<Option<Found>>, LookupError> {
        let mut state = self.0.lock();
        let full = state.parked >= THREADS;
        if let Some(asked) = state.asked.get(host)
            && (asked.stage != Stage::Waiting || !full)
        {
            return Ok(asked.told.subscribe());
        }
        if full || state.queue.len() >= WAITING {
            return Err(LookupError::Busy(host.to_owned()));
        }
        if state.idle <= state.queue.len() && state.threads < THREADS {
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new()
                .name("nodeward-names".into())
                .spawn(move || shared.run());
            match thread {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    return Err(LookupError::NoThread(host.to_owned(), Arc::new(error)));
                }
                // Another thread will come to it.
                Err(_) => {}
            }
        }
        let (told, receiver) = watch::channel(None);
        let (name, stage) = (Arc::<str>::from(host), Stage::Waiting);
        state.asked.insert(Arc::clone(&name), Asked { told, stage });
        state.queue.push_back(name);
        self.0.wake.notify_one();
        Ok(receiver)
    }

    /// Why there is no answer in time.
    fn late(&self, host: &str) -> LookupError {
        let mut state = self.0.lock();
        match state.asked.get_mut(host).map(|asked| &mut asked.stage) {
            Some(Stage::Waiting) => return LookupError::Busy(host.to_owned()),
            Some(stage @ Stage::Running) => {
                *stage = Stage::Parked;
                state.parked += 1;
            }
            Some(Stage::Parked) | None => {}
        }
        LookupError::Late(host.to_owned())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            state.idle += 1;
            let (woken, _) = self
                .wake
                .wait_timeout_while(state, IDLE, |state| state.queue.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            let Some(name) = state.queue.pop_front() else {
                state.threads -= 1;
                return;
            };
            match state.asked.get_mut(&name) {
                Some(asked) if asked.told.receiver_count() > 0 => asked.stage = Stage::Running,
                // Nobody waits for it any more.
                _ => {
                    state.asked.remove(&name);
                    continue;
                }
            }
            drop(state);
            let found = (self.lookup)(&name).map_err(|error| LookupError::Failed(Arc::new(error)));
            state = self.lock();
            if let Some(asked) = state.asked.remove(&name) {
                state.parked -= usize::from(asked.stage == Stage::Parked);
                asked.told.send_replace(Some(found));
            }
        }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
