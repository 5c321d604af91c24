//! What a web configuration file of Prometheus' exporters asks of who uses the HTTP listener: logins, headers, a rate.
//!
//! It stands before the [`Router`]. Reading the file is another's; what is in force can change under it, and whoever must look
//! at the file before a request is answered does so by [`Look`].
//!
//! ```text
//!  look at the file ─> rate? ─> a login of its own (hook, API)? ─> name and password? ─> Router ─> headers
//!                       429          yes: not asked here             401 429 503
//! ```
//!
//! The surprising decision: hooks and the API, where they ask for a login of their own, are not asked for this one beside it:
//! a request has room for one.

mod hash;
mod login;
mod options;

pub use hash::PasswordHash;
pub use login::REFUSALS;
pub use options::{File, Headers, HttpServer, RateLimit, TlsServer};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::{FailedLogins, Router, text};
use crate::net::server::{Admit, Handler, Head, Request};
use crate::net::tls::Look;
use login::{Logins, Refused, Users};

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"nodeward\", charset=\"UTF-8\"");

/// What is asked of everybody; it outlives a reload.
#[derive(Default)]
pub struct Web {
    terms: RwLock<Arc<Terms>>,
    look: RwLock<Option<Arc<dyn Look>>>,
    logins: Arc<Logins>,
    limited: AtomicU64,
    stale: AtomicBool,
}

/// What is in force.
#[derive(Default)]
pub struct Terms {
    users: Users,
    headers: Vec<(HeaderName, HeaderValue)>,
    rate: Option<Bucket>,
}

impl Terms {
    /// As a file asks for it; one that has been checked.
    #[must_use]
    pub fn new(file: &File) -> Self {
        Self {
            users: Users::new(file.basic_auth_users.iter().flatten()),
            headers: file.headers(),
            rate: file.rate_limit.as_ref().and_then(Bucket::new),
        }
    }
}

impl Web {
    /// Nothing is asked yet; logins that are refused are told to `failed`.
    #[must_use]
    pub fn new(failed: Arc<FailedLogins>) -> Self {
        Self {
            logins: Arc::new(Logins::on_record(failed)),
            ..Self::default()
        }
    }

    /// Puts other terms into force from the next request on.
    pub fn set(&self, terms: Terms) {
        *self.terms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(terms);
    }

    /// Has `look` asked before each request; none: nothing is to be looked at.
    pub fn set_look(&self, look: Option<Arc<dyn Look>>) {
        *self.look.write().unwrap_or_else(PoisonError::into_inner) = look;
        self.set_stale(false);
    }

    /// Says whether the file has changed and cannot be used, so that something older is in force.
    pub fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Relaxed);
    }

    /// Whether what is in force is what the file says; none without a file.
    #[must_use]
    pub fn is_current(&self) -> Option<bool> {
        self.look().map(|_| !self.stale.load(Ordering::Relaxed))
    }

    /// How many logins were refused, by why.
    #[must_use]
    pub fn refused(&self) -> [(&'static str, u64); REFUSALS] {
        self.logins.counts()
    }

    /// How many requests came faster than the rate.
    #[must_use]
    pub fn limited(&self) -> u64 {
        self.limited.load(Ordering::Relaxed)
    }

    fn look(&self) -> Option<Arc<dyn Look>> {
        self.look
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn terms(&self) -> Arc<Terms> {
        Arc::clone(&self.terms.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Answers the requests of the HTTP listener, to whom may ask.
pub struct WebRouter {
    router: Arc<Router>,
    web: Arc<Web>,
}

impl WebRouter {
    /// Puts `web` before `router`.
    #[must_use]
    pub fn new(router: Arc<Router>, web: Arc<Web>) -> Self {
        Self { router, web }
    }

    /// The answer to who may not ask.
    async fn refuse(&self, terms: &Terms, request: &Request) -> Option<Response<Bytes>> {
        if let Some(rate) = &terms.rate
            && !rate.take(Instant::now())
        {
            self.web.limited.fetch_add(1, Ordering::Relaxed);
            return Some(text(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests (rate_limit)\n",
            ));
        }
        if terms.users.is_empty() || self.router.has_login(&request.uri) {
            return None;
        }
        let checked = Logins::check(
            &self.web.logins,
            &terms.users,
            &request.headers,
            request.peer,
        );
        checked.await.err().map(|refused| denied(&refused))
    }
}

impl Handler for WebRouter {
    fn admit(&self, head: &Head<'_>) -> Admit {
        let terms = self.web.terms();
        let asked = !terms.users.is_empty() && !self.router.has_login(head.uri);
        let mut admitted = match asked && login::has_none(head.headers) {
            true => {
                self.web.logins.note(head.peer, &Refused::Missing);
                Admit::Refused(denied(&Refused::Missing))
            }
            false => self.router.admit(head),
        };
        if let Admit::Refused(response) = &mut admitted {
            terms.dress(response);
        }
        admitted
    }

    async fn handle(&self, request: Request) -> Response<Bytes> {
        if let Some(look) = self.web.look() {
            look.look().await;
        }
        let terms = self.web.terms();
        let mut response = match self.refuse(&terms, &request).await {
            Some(refused) => refused,
            None => self.router.handle(request).await,
        };
        terms.dress(&mut response);
        response
    }
}

impl Terms {
    fn dress(&self, response: &mut Response<Bytes>) {
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
    }
}

fn denied(refused: &Refused) -> Response<Bytes> {
    let status = match refused {
        Refused::Missing | Refused::Wrong => StatusCode::UNAUTHORIZED,
        Refused::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
        Refused::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = text(status, format!("{refused}\n"));
    let (name, value) = match refused {
        Refused::Missing | Refused::Wrong => (WWW_AUTHENTICATE, CHALLENGE),
        Refused::Throttled(left) => (RETRY_AFTER, left.as_secs().saturating_add(1).into()),
        Refused::Busy => (RETRY_AFTER, HeaderValue::from_static("1")),
    };
    response.headers_mut().insert(name, value);
    response
}

/// A token bucket: full at first, one token an interval.
struct Bucket {
    every: Duration,
    most: u32,
    /// Tokens, and up to when their growth was counted.
    state: Mutex<(u32, Option<Instant>)>,
}

impl Bucket {
    /// None where nothing is limited.
    fn new(limit: &RateLimit) -> Option<Self> {
        (!limit.interval.get().is_zero()).then(|| Self {
            every: limit.interval.get(),
            most: limit.burst,
            state: Mutex::new((limit.burst, None)),
        })
    }

    /// Takes a token, if there is one.
    fn take(&self, now: Instant) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, counted) = &mut *state;
        let since = counted.get_or_insert(now);
        let grown = now.saturating_duration_since(*since).as_nanos() / self.every.as_nanos().max(1);
        let grown = u32::try_from(grown).unwrap_or(u32::MAX);
        *since = match tokens.checked_add(grown).filter(|sum| *sum < self.most) {
            Some(_) => *since + self.every * grown,
            None => now,
        };
        *tokens = tokens.saturating_add(grown).min(self.most);
        let taken = *tokens > 0;
        *tokens = tokens.saturating_sub(1);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_one_an_interval() {
        let limit = serde_json::from_str(r#"{"interval": "1s", "burst": 3}"#).unwrap();
        let bucket = Bucket::new(&limit).unwrap();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let taken = |ms: u64, times: usize| (0..times).filter(|_| bucket.take(at(ms))).count();
        assert_eq!(taken(0, 10), 3);
        assert_eq!(taken(500, 1), 0);
        assert_eq!(taken(1000, 2), 1);
        assert_eq!(taken(2500, 2), 1);
        // The half second before is not lost.
        assert_eq!(taken(3000, 2), 1);
        assert_eq!(taken(60_000, 10), 3);
        let none = serde_json::from_str(r#"{"interval": "0s", "burst": 0}"#).unwrap();
        assert!(Bucket::new(&none).is_none());
    }
}
