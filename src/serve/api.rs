//! What operators may see and order, as JSON: over the control socket, and over HTTP for those who have a token.
//!
//! ```text
//!  GET  /api/v1/state                     how the node is, and why
//!  GET  /api/v1/checks                    each check, and what its last probe saw
//!  GET  /api/v1/incidents ?state= &limit= those that are open, or were
//!  GET  /api/v1/incidents/ID              one with its records and guards
//!  GET  /api/v1/events    ?after= &limit= the journal, from a record on
//!  POST /api/v1/pause        {"reason": "..."}
//!  POST /api/v1/resume       {}
//!  POST /api/v1/maintenance  {"on": true, "reason": "...", "until": "2026-11-22T16:38:47Z"}
//!  POST /api/v1/approve, /api/v1/reject, /api/v1/cancel  {"incident": "ID"}
//! ```
//!
//! Owns paths, bodies and answers, and who may ask ([`Access`]); it decides nothing else. docs/API.md is for its users. What
//! reads the journal does so off the runtime thread, one at a time.

mod access;
mod journal;
mod logins;
pub mod options;
mod order;
mod query;
mod route;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode, Uri};
use serde_json::{Value, json};

pub use access::{Access, ApiRouter};
pub use logins::Logins;
pub use options::Options;

use super::{FailedLogins, answer, without_body};
use crate::check::{Check, Health, Last, State};
use crate::heal::runner::{NotDone, Order};
use journal::{NotRead, Reads, Wanted};
use query::Query;
use route::{Route, Thing, Verb};

/// Most of a body in bytes.
pub const BODY: usize = 16 << 10;
/// Incidents or records in an answer where nothing is said.
const LIMIT: i64 = 100;
/// The most that may be asked for.
const MOST: i64 = 1000;

/// What came of an order: one line about it, or why it was not done.
pub type Operating<'a> = Pin<Box<dyn Future<Output = Result<String, NotDone>> + Send + 'a>>;

/// Who knows what operators want to see, and does what they want. Implemented by the app.
pub trait Operator: Send + Sync {
    /// How the process and the node are, as JSON.
    fn state(&self) -> Value;
    /// The checks by name.
    fn checks(&self) -> Vec<(Arc<str>, Check, State)>;
    /// Where the journal lies, if there is one.
    fn journal(&self) -> Option<PathBuf>;
    /// Does it, by the wish of `by`.
    fn operate<'a>(&'a self, by: &'a str, order: Order) -> Operating<'a>;
}

/// Answers whoever may ask; outlives a reload.
pub struct Api {
    operator: Arc<dyn Operator>,
    reads: Reads,
    logins: Logins,
}

impl Api {
    /// An API for what `operator` knows and does; logins that are refused are told to `failed`.
    #[must_use]
    pub fn new(operator: Arc<dyn Operator>, failed: Arc<FailedLogins>) -> Self {
        Self {
            operator,
            reads: Reads::default(),
            logins: Logins::on_record(failed),
        }
    }

    /// Logins that failed.
    #[must_use]
    pub const fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Answers a request of `by`, who may ask all.
    pub async fn respond(
        &self,
        by: &str,
        method: &Method,
        uri: &Uri,
        body: &[u8],
    ) -> Response<Bytes> {
        let Some(route) = Route::find(uri.path()) else {
            return Route::none(uri.path());
        };
        if let Some(refused) = route.refuses(method) {
            return refused;
        }
        let answered = match route {
            Route::Order(verb) => self.order(by, verb, body).await,
            Route::Ask(thing) => self.ask(thing, uri.query()).await,
        };
        let response = answered.unwrap_or_else(|refused| refused);
        match *method == Method::HEAD {
            true => without_body(response),
            false => response,
        }
    }

    async fn order(&self, by: &str, verb: Verb<'_>, body: &[u8]) -> Answered {
        let order = order::order(verb, body).map_err(|why| bad(&why))?;
        let done = self.operator.operate(by, order).await;
        done.map(|said| json(&json!({ "done": said })))
            .map_err(|why| not_done(&why))
    }

    async fn ask(&self, thing: Thing<'_>, query: Option<&str>) -> Answered {
        let known: &[&str] = match thing {
            Thing::Incidents => &["state", "limit"],
            Thing::Events => &["after", "limit"],
            _ => &[],
        };
        let query = Query::parse(query, known).map_err(|why| bad(&why))?;
        let limit = query.number("limit", LIMIT, 1..=MOST);
        let limit = limit.map_err(|why| bad(&why))?.unsigned_abs();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        match thing {
            Thing::State => Ok(json(&self.operator.state())),
            Thing::Pools => {
                let state = self.operator.state();
                let pools = state.pointer("/healing/pools").cloned();
                let pools = pools.unwrap_or_else(|| json!({}));
                Ok(json(&json!({ "pools": pools })))
            }
            Thing::Checks => {
                let checks = self.operator.checks();
                let checks: Vec<_> = checks.iter().map(check).collect();
                Ok(json(&json!({ "checks": checks })))
            }
            Thing::Incidents => {
                let wanted = query.text("state").unwrap_or("open");
                let wanted = Wanted::parse(wanted).map_err(|why| bad(&why))?;
                let read = move |reader: &_| journal::incidents(reader, &wanted, limit).map(Some);
                self.read(read).await
            }
            Thing::Incident(id) => {
                // Ids are written in upper case.
                let id = id.to_ascii_uppercase();
                self.read(move |reader| journal::incident(reader, &id))
                    .await
            }
            Thing::Events => {
                let after = query.number("after", 0, 0..=i64::MAX);
                let after = after.map_err(|why| bad(&why))?;
                self.read(move |reader| journal::events(reader, after, limit).map(Some))
                    .await
            }
        }
    }

    /// What the journal says, as JSON text; none is told as 404.
    async fn read(
        &self,
        read: impl FnOnce(&crate::journal::Reader) -> Result<Option<String>, crate::journal::ReadError>
        + Send
        + 'static,
    ) -> Answered {
        let directory = self.operator.journal();
        let directory = directory.ok_or_else(|| not_done(&NotDone::Off))?;
        match self.reads.read(directory, read).await {
            Ok(Some(body)) => Ok(text(body)),
            Ok(None) => Err(error(
                StatusCode::NOT_FOUND,
                "the journal has no such incident; its whole id is needed",
            )),
            Err(why) => Err(match why {
                NotRead::Busy | NotRead::Late => later(&why.to_string()),
                NotRead::Failed(_) => error(StatusCode::INTERNAL_SERVER_ERROR, &why.to_string()),
            }),
        }
    }
}

/// An answer, or a refusal.
type Answered = Result<Response<Bytes>, Response<Bytes>>;

fn not_done(why: &NotDone) -> Response<Bytes> {
    let said = why.to_string();
    match why {
        NotDone::NoSuch(_) | NotDone::NoQuestion(..) | NotDone::NoPool(..) => {
            error(StatusCode::NOT_FOUND, &said)
        }
        NotDone::TooShort(_) => bad(&said),
        NotDone::State(..)
        | NotDone::Several(..)
        | NotDone::Another(..)
        | NotDone::NoHold(..)
        | NotDone::Off => error(StatusCode::CONFLICT, &said),
        NotDone::Record(_) | NotDone::Late | NotDone::Ending => later(&said),
    }
}

/// A check as it is shown.
fn check((name, check, state): &(Arc<str>, Check, State)) -> Value {
    let last = |last: &Last| {
        json!({
            "time": last.at.to_string(), "ok": last.ok, "why": last.why, "seconds": last.took.as_secs_f64(),
        })
    };
    let up = match state.health {
        Health::Up => Some(true),
        Health::Down => Some(false),
        Health::Unknown => None,
    };
    json!({
        "name": name,
        "kind": check.probe.kind(),
        "description": check.description,
        "critical": check.critical,
        "up": up,
        "since": state.since.to_string(),
        "alerting": state.alerting,
        "failing_since": state.failing_since.map(|at| at.to_string()),
        "last": state.last.as_ref().map(last),
    })
}

fn json(value: &Value) -> Response<Bytes> {
    text(value.to_string())
}

fn text(mut body: String) -> Response<Bytes> {
    body.push('\n');
    told(StatusCode::OK, body)
}

fn error(status: StatusCode, why: &str) -> Response<Bytes> {
    told(status, format!("{}\n", json!({ "error": why })))
}

fn bad(why: &str) -> Response<Bytes> {
    error(StatusCode::BAD_REQUEST, why)
}

/// A refusal of what may go well soon.
fn later(why: &str) -> Response<Bytes> {
    let mut refused = error(StatusCode::SERVICE_UNAVAILABLE, why);
    let soon = HeaderValue::from_static("1");
    refused.headers_mut().insert(RETRY_AFTER, soon);
    refused
}

fn told(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = answer(status, "application/json", body);
    let never = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, never);
    response
}
