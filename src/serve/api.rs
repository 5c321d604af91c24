//! What operators may see and order, as JSON: over the control socket, and over HTTP for those who have a token.
//!
//! ```text
//!  GET  /api/v1/state                     how the node is, and why
//!  GET  /api/v1/checks                    each check, and what its last probe saw
//!  GET  /api/v1/incidents ?state= &limit= those that are open, or were
//!  GET  /api/v1/incidents/ID              one with its records and guards
//!  GET  /api/v1/incidents/ID/evidence     how things were before its first action, and when people were told
//!  GET  /api/v1/events    ?after= &limit= the journal, from a record on
//!  GET  /api/v1/openapi.json              all of this, for programs
//!  POST /api/v1/plan      ?hook= &as_new= what would be done about alerts
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
pub mod openapi;
pub mod options;
mod order;
mod query;
mod route;
pub mod shown;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode, Uri};
use serde::Serialize;
use serde_json::{Value, json};

use tokio::sync::Semaphore;

pub use access::{Access, ApiRouter};
pub use logins::Logins;
pub use options::Options;

use super::{FailedLogins, answer, without_body};
use crate::check::{Check, Health, Last, State};
use crate::heal::runner::{NotDone, Order};
use crate::model::moment::Timestamp;
use journal::{NotRead, Reads, Wanted};
use query::Query;
use route::{Route, Thing, Verb};

/// How long a plan may take: its probes have 25 s.
const PATIENCE: Duration = Duration::from_secs(28);
/// Most of a body in bytes.
pub const BODY: usize = 16 << 10;
/// Incidents or records in an answer where nothing is said.
const LIMIT: i64 = 100;
/// The most that may be asked for.
const MOST: i64 = 1000;

/// What came of an order: one line about it, or why it was not done.
pub type Operating<'a> = Pin<Box<dyn Future<Output = Result<String, NotDone>> + Send + 'a>>;

/// Alerts of which somebody wants to know what would be done.
#[derive(Debug)]
pub struct Alerts {
    /// As an alert server sends them, one alert, or a list.
    pub body: Vec<u8>,
    /// The hook they come by; else the one that takes such bodies.
    pub hook: Option<String>,
    /// As if they had begun now.
    pub as_new: bool,
}

/// Why there is no plan.
#[derive(Debug)]
pub enum NotPlanned {
    /// Nothing is healed here.
    Off,
    /// There is no hook of this name.
    NoHook(String),
    /// The body cannot be used.
    Unreadable(String),
    /// What is needed for it could not be read now.
    Failed(String),
}

/// What would be done.
pub type Planning<'a> =
    Pin<Box<dyn Future<Output = Result<shown::Planned, NotPlanned>> + Send + 'a>>;

/// Who knows what operators want to see, and does what they want. Implemented by the app.
pub trait Operator: Send + Sync {
    /// How the process and the node are, as JSON.
    fn state(&self) -> Value;
    /// The checks by name.
    fn checks(&self) -> Vec<(Arc<str>, Check, State)>;
    /// Where the journal lies, if there is one.
    fn journal(&self) -> Option<PathBuf>;
    /// Says what would be done about alerts, and does nothing.
    fn plan(&self, alerts: Alerts) -> Planning<'_>;
    /// Does it, by the wish of `by`.
    fn operate<'a>(&'a self, by: &'a str, order: Order) -> Operating<'a>;
}

/// Answers whoever may ask; outlives a reload.
pub struct Api {
    operator: Arc<dyn Operator>,
    reads: Reads,
    /// One plan at a time: each has probes made.
    planning: Semaphore,
    logins: Logins,
}

impl Api {
    /// An API for what `operator` knows and does; logins that are refused are told to `failed`.
    #[must_use]
    pub fn new(operator: Arc<dyn Operator>, failed: Arc<FailedLogins>) -> Self {
        Self {
            operator,
            reads: Reads::default(),
            planning: Semaphore::new(1),
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
            Route::Plan => self.plan(uri.query(), body).await,
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
        if let Some(why) = order::over(&order, Timestamp::now()) {
            return Err(error(StatusCode::CONFLICT, &why));
        }
        let done = self.operator.operate(by, order).await;
        done.map(|done| json(&shown::Done { done }))
            .map_err(|why| not_done(&why))
    }

    async fn plan(&self, query: Option<&str>, body: &[u8]) -> Answered {
        let query = Query::parse(query, &["hook", "as_new"]).map_err(|why| bad(&why))?;
        let as_new = match query.text("as_new") {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(bad("as_new is true or false")),
        };
        let alerts = Alerts {
            body: body.to_vec(),
            hook: query.text("hook").map(str::to_owned),
            as_new,
        };
        let _turn = (self.planning.try_acquire())
            .map_err(|_| later("another plan is being made; one at a time"))?;
        let planned = tokio::time::timeout(PATIENCE, self.operator.plan(alerts)).await;
        match planned {
            Ok(Ok(planned)) => Ok(json(&planned)),
            Ok(Err(NotPlanned::NoHook(name))) => Err(error(
                StatusCode::NOT_FOUND,
                &format!("hook: no hook is called {name:?}"),
            )),
            Ok(Err(NotPlanned::Unreadable(why))) => Err(bad(&why)),
            Ok(Err(NotPlanned::Off)) => Err(not_done(&NotDone::Off)),
            Ok(Err(NotPlanned::Failed(why))) => Err(later(&why)),
            Err(_) => Err(later(&format!(
                "it took longer than {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    async fn ask(&self, thing: Thing<'_>, query: Option<&str>) -> Answered {
        let known: &[&str] = match thing {
            Thing::Incidents => &["state", "limit"],
            Thing::Events => &["after", "limit"],
            Thing::Evidence(_, None) => &["after"],
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
                Ok(json(&shown::Pools { pools }))
            }
            Thing::Checks => {
                let checks = self.operator.checks();
                let checks = checks.iter().map(check).collect();
                Ok(json(&shown::Checks { checks }))
            }
            Thing::OpenApi => Ok(json(&openapi::document())),
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
            Thing::Evidence(id, number) => {
                let id = id.to_ascii_uppercase();
                let after = query.number("after", 0, 0..=u32::MAX.into());
                let after = after.map_err(|why| bad(&why))?.unsigned_abs();
                let after = u32::try_from(after).unwrap_or(u32::MAX);
                let read = move |reader: &_| match number {
                    Some(number) => journal::packet(reader, &id, number),
                    None => journal::evidence(reader, &id, after),
                };
                self.read(read).await
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
                "the journal has no such incident, or no such packet of it; the whole id is needed",
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
fn check((name, check, state): &(Arc<str>, Check, State)) -> shown::Check {
    let last = |last: &Last| shown::Probe {
        time: last.at.to_string(),
        ok: last.ok,
        why: last.why.to_string(),
        seconds: last.took.as_secs_f64(),
    };
    shown::Check {
        name: name.to_string(),
        kind: check.probe.kind().to_owned(),
        description: check.description.clone(),
        critical: check.critical,
        up: match state.health {
            Health::Up => Some(true),
            Health::Down => Some(false),
            Health::Unknown => None,
        },
        since: state.since.to_string(),
        alerting: state.alerting,
        failing_since: state.failing_since.map(|at| at.to_string()),
        last: state.last.as_ref().map(last),
    }
}

fn json(value: &impl Serialize) -> Response<Bytes> {
    match serde_json::to_string(value) {
        Ok(body) => text(body),
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, &why.to_string()),
    }
}

fn text(mut body: String) -> Response<Bytes> {
    body.push('\n');
    told(StatusCode::OK, body)
}

fn error(status: StatusCode, why: &str) -> Response<Bytes> {
    let error = json!(shown::Error { error: why.into() });
    told(status, format!("{error}\n"))
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
