//! Webhooks: what alert servers POST.
//!
//! Owns who may send, the methods and the codes of the answers; what a body means is [`intake`](crate::heal::intake)'s,
//! and whether it is taken the [`Desk`]'s.
//!
//! ```text
//!  head: hook? method? credentials? ─> body, bounded ─> signature? ─> Kind::read ─> Desk::deliver ─> 200
//!         404   405     401                413            403           400            503
//! ```
//!
//! Who is no sender is turned away before a byte of his body is read. 200 means durable. What may go well later is 503,
//! never 4xx: Alertmanager takes a 4xx for final. Nothing is ever redirected: it would follow with an empty GET and take
//! the answer to that for its delivery.

mod auth;
mod counts;
mod options;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hyper::body::Bytes;
use hyper::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Response, StatusCode};
use tracing::Instrument;

use super::{FailedLogins, Refused, answer, text};
use crate::heal::intake::{Accepted, Delivery, Desk, Kind, Severities, Unreadable};
use crate::model::alert::Status;
use crate::model::trace::TraceContext;
use crate::net::server::{Admit, Handler, Head, Request};
use crate::net::stream::Peer;
use crate::net::tls::Certificate;
use crate::telemetry::traces;

pub use counts::Counts;
pub use options::{Basic, ClientCertificate, Hmac, Hook, Invalid, Options};

use auth::{Denied, Guard};
use counts::Trouble;

/// How long a delivery may take to become durable. Alertmanager hangs up after 10 s at the earliest.
const PATIENCE: Duration = Duration::from_secs(9);
/// What is told to wait is told to wait so many seconds.
const RETRY: HeaderValue = HeaderValue::from_static("5");
/// A larger body is read on a blocking thread.
const LARGE: usize = 64 << 10;

/// The hooks of one config.
pub struct Hooks {
    named: BTreeMap<String, Entry>,
    /// Where they are served, if nowhere else.
    apart: Vec<String>,
    inbox: Inbox,
}

/// Where what comes in goes; it outlives a reload.
#[derive(Clone, Default)]
pub struct Inbox {
    /// Who takes deliveries. Without one, each is answered 503.
    pub desk: Option<Arc<dyn Desk>>,
    /// What came in.
    pub counts: Arc<Counts>,
    /// Who was not let in.
    pub failed: Arc<FailedLogins>,
}

struct Entry {
    kind: Kind,
    severities: Severities,
    guard: Guard,
}

impl Hooks {
    /// Hooks that deliver to `inbox`. Options must have passed [`Options::check`].
    #[must_use]
    pub fn new(options: &Options, inbox: Inbox) -> Self {
        let named = options.named.iter().filter_map(|(name, hook)| {
            let kind = hook.kind(name)?;
            let entry = Entry {
                kind,
                severities: hook.severities(kind),
                guard: Guard::new(hook, kind),
            };
            Some((name.clone(), entry))
        });
        Self {
            named: named.collect(),
            apart: options.listen.clone(),
            inbox,
        }
    }

    /// Whether they have a listener of their own and are served nowhere else.
    #[must_use]
    pub fn are_apart(&self) -> bool {
        !self.apart.is_empty()
    }

    /// Where that is, for whoever looks elsewhere; none if they have no listener of their own.
    pub(super) fn apart(&self) -> Option<String> {
        self.are_apart().then(|| self.apart.join(", "))
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Whether a path is one of theirs.
    pub(super) fn is_hook(path: &str) -> bool {
        path.strip_prefix("/hooks")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether the hook at this path asks who sends.
    pub(super) fn has_login(&self, path: &str) -> bool {
        self.find(path).is_some_and(|(_, hook)| hook.guard.asks())
    }

    fn find(&self, path: &str) -> Option<(&str, &Entry)> {
        let name = path.strip_prefix("/hooks/")?.trim_end_matches('/');
        self.named
            .get_key_value(name)
            .map(|(name, entry)| (name.as_str(), entry))
    }

    /// Answers who may not send, by the head of the request alone.
    pub(super) fn refuse(&self, head: &Head<'_>) -> Option<Response<Bytes>> {
        let Some((name, entry)) = self.find(head.uri.path()) else {
            let said = "there is no hook of this name in the config (hooks)\n";
            return Some(text(StatusCode::NOT_FOUND, said));
        };
        let response = match entry.allows(head.method) {
            false => entry.wrong_method(),
            true => match entry.guard.head(head.headers, head.certificate) {
                Ok(()) => return None,
                Err(denied) => self.deny(name, entry, denied, head),
            },
        };
        self.inbox.counts.answered(name, response.status().as_u16());
        Some(response)
    }

    /// Answers a whole request.
    pub(super) async fn respond(&self, request: &Request) -> Response<Bytes> {
        let head = request.head();
        if let Some(refused) = self.refuse(&head) {
            return refused;
        }
        let Some((name, entry)) = self.find(request.uri.path()) else {
            return text(StatusCode::NOT_FOUND, "");
        };
        let signed = entry
            .guard
            .body(&request.headers, &request.body, SystemTime::now());
        let response = match signed {
            Err(denied) => self.deny(name, entry, denied, &head),
            Ok(()) => {
                let traceparent = request.headers.get("traceparent");
                let traceparent = traceparent.and_then(|value| value.to_str().ok());
                let route = format!("/hooks/{name}");
                let served = traces::served(request.method.as_str(), &route, traceparent);
                let span = served.span.clone();
                let response = self.use_body(name, entry, request, served.context);
                let response = response.instrument(span).await;
                served.answered(response.status().as_u16());
                response
            }
        };
        self.inbox.counts.answered(name, response.status().as_u16());
        response
    }

    /// Reads the body of who may send, and hands on what is in it.
    async fn use_body(
        &self,
        name: &str,
        entry: &Entry,
        request: &Request,
        trace: Option<TraceContext>,
    ) -> Response<Bytes> {
        match read(name, entry, &request.body).await {
            Ok(delivery) => {
                let delivery = Delivery { trace, ..delivery };
                self.take(name, delivery, request.peer).await
            }
            Err(why) => {
                let counts = &self.inbox.counts;
                if let Unreadable::Nothing { alerts, .. } = &why {
                    counts.alerts(name, "left_out", *alerts);
                }
                if let Some(left_out) = self.may_say(name, Trouble::Body, request.peer) {
                    tracing::warn!(hook = name, peer = %request.peer, %why, left_out, "cannot use a webhook");
                }
                text(StatusCode::BAD_REQUEST, format!("{why}\n"))
            }
        }
    }

    /// Hands a delivery to the desk, and waits until it is durable.
    async fn take(&self, name: &str, delivery: Delivery, peer: Peer) -> Response<Bytes> {
        let tally = Tally::of(&delivery);
        let taken = match &self.inbox.desk {
            _ if delivery.alerts.is_empty() => Ok(Accepted::default()),
            None => Err("nodeward heals nothing yet".to_owned()),
            Some(desk) => {
                match tokio::time::timeout(PATIENCE, desk.deliver(name, delivery)).await {
                    Ok(taken) => taken.map_err(|refused| refused.to_string()),
                    Err(_) => Err(format!("not written within {} s", PATIENCE.as_secs())),
                }
            }
        };
        match taken {
            Ok(accepted) => {
                self.note(name, &tally, peer);
                answer(StatusCode::OK, "application/json", tally.said(accepted))
            }
            Err(why) => {
                if let Some(left_out) = self.may_say(name, Trouble::NotTaken, peer) {
                    tracing::warn!(hook = name, %peer, %why, left_out, "did not take alerts; they may be sent again");
                }
                let mut refused = text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
                refused.headers_mut().insert(RETRY_AFTER, RETRY);
                refused
            }
        }
    }

    fn may_say(&self, name: &str, trouble: Trouble, peer: Peer) -> Option<u64> {
        let counts = &self.inbox.counts;
        counts.may_say(name, trouble, peer.ip(), Instant::now())
    }

    /// Counts what was taken, and says what was not.
    fn note(&self, name: &str, tally: &Tally, peer: Peer) {
        for (status, count) in [
            ("firing", tally.firing),
            ("resolved", tally.resolved),
            ("left_out", tally.left_out),
            ("ignored", tally.ignored),
            ("truncated", tally.truncated),
        ] {
            self.inbox.counts.alerts(name, status, count);
        }
        if tally.left_out + tally.truncated > 0
            && let Some(unsaid) = self.may_say(name, Trouble::Body, peer)
        {
            tracing::warn!(
                hook = name, %peer, unusable = tally.left_out, not_sent = tally.truncated, unsaid,
                why = tally.why.as_deref().unwrap_or("max_alerts of the sender"),
                "some alerts of a webhook did not come in"
            );
        }
    }

    fn deny(&self, name: &str, entry: &Entry, denied: Denied, head: &Head<'_>) -> Response<Bytes> {
        let peer = head.peer;
        self.inbox.counts.refused_login(name);
        let shown = head.certificate.map(Certificate::names).unwrap_or_default();
        let tried = entry
            .guard
            .name(head.headers)
            .or_else(|| Some(shown.clone()));
        self.inbox.failed.note(Refused {
            peer,
            listener: if self.are_apart() { "hooks" } else { "http" },
            at: &format!("/hooks/{name}"),
            name: tried.as_deref().filter(|name| !name.is_empty()),
            why: &denied.to_string(),
        });
        if let Some(left_out) = self.may_say(name, Trouble::Login, peer) {
            tracing::warn!(hook = name, %peer, why = %denied, certificate = shown, left_out, "refused a webhook");
        }
        if !denied.is_of_credentials() {
            return text(StatusCode::FORBIDDEN, format!("{denied}\n"));
        }
        let mut response = text(StatusCode::UNAUTHORIZED, format!("{denied}\n"));
        for scheme in entry.guard.schemes() {
            let scheme = HeaderValue::from_static(scheme);
            response.headers_mut().append(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

impl Entry {
    fn allows(&self, method: &Method) -> bool {
        *method == Method::POST || (self.kind == Kind::Grafana && *method == Method::PUT)
    }

    fn wrong_method(&self) -> Response<Bytes> {
        let allow = match self.kind {
            Kind::Grafana => "POST, PUT",
            Kind::Alertmanager | Kind::Zabbix => "POST",
        };
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, format!("{allow} only\n"));
        let allow = HeaderValue::from_static(allow);
        refused.headers_mut().insert(ALLOW, allow);
        refused
    }
}

/// Reads a body; a large one beside the runtime, which has others to serve.
async fn read(name: &str, entry: &Entry, body: &Bytes) -> Result<Delivery, Unreadable> {
    if body.len() < LARGE {
        return entry.kind.read(name, body, &entry.severities);
    }
    let (kind, severities) = (entry.kind, entry.severities.clone());
    let (name, body) = (name.to_owned(), body.clone());
    let reading = tokio::task::spawn_blocking(move || kind.read(&name, &body, &severities));
    reading.await.unwrap_or_else(|failed| {
        let kind = kind.as_str();
        let why = format!("reading it failed: {failed}");
        Err(Unreadable::Form { kind, why })
    })
}

/// How many alerts of a delivery are what.
struct Tally {
    firing: u64,
    resolved: u64,
    left_out: u64,
    ignored: u64,
    truncated: u64,
    /// Why the first was left out.
    why: Option<String>,
}

impl Tally {
    fn of(delivery: &Delivery) -> Self {
        let is = |status| move |alert: &&crate::model::alert::Alert| alert.status == status;
        let count = |status| delivery.alerts.iter().filter(is(status)).count() as u64;
        Self {
            firing: count(Status::Firing),
            resolved: count(Status::Resolved),
            left_out: delivery.left_out.len() as u64,
            ignored: delivery.ignored,
            truncated: delivery.truncated,
            why: delivery.left_out.first().map(ToString::to_string),
        }
    }

    fn said(&self, accepted: Accepted) -> String {
        let mut said = serde_json::json!({
            "accepted": self.firing + self.resolved,
            "ours": accepted.ours,
            "not_ours": accepted.not_ours,
            "repeats": accepted.repeats,
            "left_out": self.left_out,
            "ignored": self.ignored,
        });
        if let (Some(why), Some(said)) = (&self.why, said.as_object_mut()) {
            said.insert("why".into(), why.as_str().into());
        }
        format!("{said}\n")
    }
}

/// Answers the requests of a listener for hooks alone.
pub struct HookRouter {
    router: Arc<super::Router>,
}

impl HookRouter {
    /// Serves the hooks of what `router` serves.
    #[must_use]
    pub fn new(router: Arc<super::Router>) -> Self {
        Self { router }
    }
}

impl Handler for HookRouter {
    fn admit(&self, head: &Head<'_>) -> Admit {
        self.router.admit_hook(head)
    }

    async fn handle(&self, request: Request) -> Response<Bytes> {
        self.router.hook(&request).await
    }
}

/// An answer where there is no hook.
pub(super) fn nothing() -> Response<Bytes> {
    text(
        StatusCode::NOT_FOUND,
        "only POST /hooks/NAME is served here\n",
    )
}
