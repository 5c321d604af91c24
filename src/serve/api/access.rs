//! Who may use the API over HTTP.
//!
//! ```text
//!  held back? ─> token? whose? ─> path? ─> method? ─> role? ─> body, bounded ─> Api::respond
//!     429           401            404       405       403        413
//! ```
//!
//! All of that is decided by the head, before a byte of the body is read; who has no token is not even told which paths there
//! are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::logins::Failed;
use super::options::{Options, Role};
use super::route::Route;
use super::{Api, BODY, error};
use crate::net::server::{Admit, Handler, Head, Request};
use crate::net::stream::Peer;
use crate::serve::Router;
use crate::serve::tokens::{Known, credentials, hash};

const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"nodeward\"");
const WRONG: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"nodeward\", error=\"invalid_token\"");
const TOO_LITTLE: HeaderValue =
    HeaderValue::from_static("Bearer realm=\"nodeward\", error=\"insufficient_scope\"");

/// The API and who may use it, by one config.
pub struct Access {
    known: Vec<Entry>,
    apart: bool,
    /// What answers; without it there is no API.
    api: Option<Arc<Api>>,
}

struct Entry {
    name: Arc<str>,
    tokens: Known,
    role: Role,
}

impl Access {
    /// Access for those whom the options name.
    #[must_use]
    pub fn new(options: &Options, api: Option<Arc<Api>>) -> Self {
        let known = options.tokens.iter().map(|(name, token)| Entry {
            name: name.as_str().into(),
            tokens: Known::new([&token.token_file]),
            role: token.role,
        });
        Self {
            known: known.collect(),
            apart: !options.listen.is_empty(),
            api,
        }
    }

    /// Whether a path is the API's.
    pub(in crate::serve) fn is_api(path: &str) -> bool {
        path.strip_prefix("/api")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether it is served beside the rest.
    pub(in crate::serve) fn is_beside(&self) -> bool {
        !self.known.is_empty() && !self.apart
    }

    /// Lets in the body of who may send it.
    pub(in crate::serve) fn admit(&self, head: &Head<'_>) -> Admit {
        match self.who(head) {
            Ok(_) => Admit::AtMost(BODY),
            Err(refused) => Admit::Refused(*refused),
        }
    }

    /// Answers a whole request.
    pub(in crate::serve) async fn respond(&self, request: &Request) -> Response<Bytes> {
        let head = request.head();
        match (self.who(&head), &self.api) {
            (Ok(name), Some(api)) => {
                let (method, uri) = (&request.method, &request.uri);
                api.respond(&name, method, uri, &request.body).await
            }
            (Err(refused), _) => *refused,
            (Ok(_), None) => error(StatusCode::NOT_FOUND, "there is no API here"),
        }
    }

    /// The name of who asks, if he may ask this.
    fn who(&self, head: &Head<'_>) -> Result<Arc<str>, Box<Response<Bytes>>> {
        let Some(api) = self.api.as_ref().filter(|_| !self.known.is_empty()) else {
            return Err(Box::new(error(
                StatusCode::NOT_FOUND,
                "there is no API here (api)",
            )));
        };
        if let Some(left) = api.logins.wait(head.peer, Instant::now()) {
            return Err(self.refuse(api, head.peer, Failed::Throttled, left));
        }
        let entry = self
            .entry(head.headers)
            .map_err(|failed| self.refuse(api, head.peer, failed, Duration::ZERO))?;
        let path = head.uri.path();
        let route = Route::find(path).ok_or_else(|| Box::new(Route::none(path)))?;
        if let Some(refused) = route.refuses(head.method) {
            return Err(Box::new(refused));
        }
        if entry.role < route.role() {
            let why = format!(
                "the token {} may only read: its role is read, and this takes operate",
                entry.name
            );
            let mut refused = error(StatusCode::FORBIDDEN, &why);
            refused.headers_mut().insert(WWW_AUTHENTICATE, TOO_LITTLE);
            return Err(Box::new(refused));
        }
        Ok(Arc::clone(&entry.name))
    }

    fn refuse(
        &self,
        api: &Api,
        peer: Peer,
        failed: Failed,
        left: Duration,
    ) -> Box<Response<Bytes>> {
        let listener = if self.apart { "api" } else { "http" };
        api.logins.note(peer, failed, listener, Instant::now());
        Box::new(refusal(failed, left))
    }

    /// Whose token was sent. All are looked at, so that it does not show which one it was.
    fn entry(&self, headers: &HeaderMap) -> Result<&Entry, Failed> {
        let given = credentials(headers).ok_or(Failed::Missing)?;
        let (scheme, token) = given.map_err(|()| Failed::Wrong)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Failed::Wrong);
        }
        let given = hash(token.as_bytes());
        let mut found = None;
        for entry in &self.known {
            if bool::from(entry.tokens.holds(&given)) {
                found = Some(entry);
            }
        }
        found.ok_or(Failed::Wrong)
    }
}

/// The answer to a login that failed.
fn refusal(failed: Failed, left: Duration) -> Response<Bytes> {
    let status = match failed {
        Failed::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Failed::Missing | Failed::Wrong => StatusCode::UNAUTHORIZED,
    };
    let mut refused = error(status, &failed.to_string());
    let (name, value) = match failed {
        Failed::Throttled => {
            let seconds = left.as_secs().saturating_add(1);
            (RETRY_AFTER, HeaderValue::from(seconds))
        }
        Failed::Missing => (WWW_AUTHENTICATE, CHALLENGE),
        Failed::Wrong => (WWW_AUTHENTICATE, WRONG),
    };
    refused.headers_mut().insert(name, value);
    refused
}

/// Answers the requests of a listener for the API alone.
pub struct ApiRouter {
    router: Arc<Router>,
}

impl ApiRouter {
    /// Serves the API of what `router` serves.
    #[must_use]
    pub fn new(router: Arc<Router>) -> Self {
        Self { router }
    }
}

impl Handler for ApiRouter {
    fn admit(&self, head: &Head<'_>) -> Admit {
        self.router.admit_api(head)
    }

    async fn handle(&self, request: Request) -> Response<Bytes> {
        self.router.api(&request).await
    }
}
