//! Asks an HTTP server and judges its answer: status, headers, body, time.
//!
//! A redirect is an answer like any other and is never followed. The connection is kept between scheduled probes, unless
//! the options say otherwise; a probe that heals or verifies makes its own.

mod header;
mod statuses;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::tcp::{ready, slow};
use super::{Ask, Kind, Outcome, Prober, World, certificate};
use crate::model::duration::Period;
use crate::model::moment::Timestamp;
use crate::model::pattern::Pattern;
use crate::model::size::Size;
use crate::net::client::{Client, Error, Limits, Protocol, Request, Response};
use crate::net::endpoint::{Endpoint, Place};
use crate::net::tls;

pub use header::Header;
pub use statuses::Statuses;

/// The longest body that an expression is held against at once.
const SHORT: usize = 8 << 10;
/// Longest part of a header that is told.
const TOLD: usize = 200;

/// An HTTP server answers as expected.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// What is asked for: `http://host:port/path`, `https://host/path` or `unix:/path` (then `/` is asked for).
    pub url: String,
    /// Whom to trust with `https`; a certificate that is not valid fails the check. Default: the authorities of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// How it is asked.
    #[serde(default)]
    pub method: Verb,
    /// Headers to send, by name; `host` replaces the one of the URL.
    #[serde(default)]
    pub request_headers: BTreeMap<String, String>,
    /// The statuses that pass: a number, a range such as `200-299`, or a list of both. A redirect is not followed.
    #[serde(default)]
    pub expect: Statuses,
    /// Headers of the answer, by name: a text for exactly this value, `{matches: EXPRESSION}` for one that a regular expression matches
    /// anywhere, `{present: true}` for any value, `{present: false}` for a header that must not be there.
    #[serde(default)]
    pub response_headers: BTreeMap<String, Header>,
    /// What must stand somewhere in the body, as it is sent; no body is unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_contains: Option<String>,
    /// A regular expression that must match somewhere in the body, as it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_matches: Option<Pattern>,
    /// With `https`, a certificate that ends sooner than this fails: each that the server sends counts, and not the authority that is
    /// trusted here. Each probe then makes a connection of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_expires_in: Option<Period>,
    /// An answer that takes longer than this fails, though it is complete; connecting included. Default: only the check's
    /// `timeout` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slower_than: Option<Period>,
    /// The largest body that is read; an answer with a larger one fails.
    #[serde(default = "max_body")]
    pub max_body: Size,
    /// Whether the connection is kept from one probe to the next. `false` tests each time that the server takes new ones.
    #[serde(default = "keep_alive")]
    pub keep_alive: bool,
}

const fn max_body() -> Size {
    Size::mib(1)
}

const fn keep_alive() -> bool {
    true
}

/// Methods that change nothing.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Status, headers and body.
    #[default]
    Get,
    /// Status and headers.
    Head,
    /// What the server can do.
    Options,
}

impl From<Verb> for Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Head => Self::HEAD,
            Verb::Options => Self::OPTIONS,
        }
    }
}

impl Http {
    fn endpoint(&self) -> Result<Endpoint, String> {
        let parsed: Result<Endpoint, _> = self.url.parse();
        parsed.map_err(|why| why.to_string())
    }
}

fn is_header(name: &str, value: &str) -> bool {
    hyper::header::HeaderName::try_from(name).is_ok()
        && hyper::header::HeaderValue::try_from(value).is_ok()
}

impl Kind for Http {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match self.endpoint() {
            Err(why) => faults.push(("url", why)),
            Ok(endpoint) => {
                let found = self
                    .tls
                    .iter()
                    .flat_map(|tls| tls.faults(endpoint.is_secure()));
                faults.extend(found.map(|fault| (fault.key, fault.why)));
                let secure = endpoint.is_secure();
                faults.extend(certificate::fault(self.certificate_expires_in, secure));
            }
        }
        let asked = self.request_headers.iter();
        let asked = asked.map(|(name, value)| ("request_headers", name, value.as_str()));
        let told = self.response_headers.iter().map(|(name, header)| {
            let value = match header {
                Header::Equals(value) => value.as_str(),
                Header::Matches(_) | Header::Present(_) => "",
            };
            ("response_headers", name, value)
        });
        let bad = asked
            .chain(told)
            .filter(|(_, name, value)| !is_header(name, value));
        faults.extend(
            bad.map(|(key, name, _)| (key, format!("{name:?} is no header, or its value is none"))),
        );
        let of_body = [
            ("body_contains", self.body_contains.is_some()),
            ("body_matches", self.body_matches.is_some()),
        ];
        for (key, _) in of_body.into_iter().filter(|(_, given)| *given) {
            if self.method == Verb::Head {
                let why = "an answer to HEAD has no body; use method: GET";
                faults.push((key, why.into()));
            }
        }
        faults
    }

    fn port(&self) -> Option<u16> {
        match *self.endpoint().ok()?.place() {
            Place::Tcp { port, .. } => Some(port),
            Place::Unix(_) => None,
        }
    }

    fn prober(&self, timeout: Duration, world: &World) -> Result<Box<dyn Prober>, String> {
        let limits = Limits {
            connect: timeout,
            whole: timeout,
            response: self.max_body.len(),
        };
        let mut request = Request::new(self.method.into()).header(
            "user-agent",
            concat!("nodeward/", env!("CARGO_PKG_VERSION")),
        );
        if !self.keep_alive || self.certificate_expires_in.is_some() {
            request = request.header("connection", "close").at_most_once();
        }
        for (name, value) in &self.request_headers {
            request = request.header(name, value);
        }
        let endpoint = self.endpoint()?;
        let tls = tls::Connector::new(self.tls.clone().unwrap_or_default());
        let client = Client::new(endpoint, Protocol::Http1, limits, world.resolver.clone());
        Ok(Box::new(Asking {
            client: client.trusting(tls.clone()),
            tls,
            request,
            options: self.clone(),
        }))
    }
}

struct Asking {
    client: Client,
    tls: tls::Connector,
    request: Request,
    options: Http,
}

#[async_trait]
impl Prober for Asking {
    async fn probe(&self, ask: Ask) -> Outcome {
        let endpoint = self.client.endpoint();
        if let (true, Place::Tcp { host, .. }) = (endpoint.is_secure(), endpoint.place())
            && let Err(blind) = ready(&self.tls, host, ask.deadline).await
        {
            return blind;
        }
        let began = Instant::now();
        let left = ask.deadline.saturating_duration_since(began);
        let mut request = self.request.clone().within(left);
        if ask.age.is_zero() {
            request = request.at_most_once();
        }
        match self.client.send(request).await {
            Ok(response) => {
                let took = began.elapsed();
                self.options.judge(&response, took).await
            }
            Err(late @ Error::TimedOut { .. }) => Outcome::silent(format!("timed out: {late}")),
            Err(error) if error.is_ours() => Outcome::blind(error.told()),
            Err(error) => Outcome::silent(error.told()),
        }
    }
}

impl Http {
    async fn judge(&self, response: &Response, took: Duration) -> Outcome {
        let status = response.status.as_u16();
        let facts = json!({"status": status, "body_bytes": response.body.len()});
        let fault = match self.fault(response) {
            None => self.unmatched(&response.body).await,
            fault => fault,
        };
        let outcome = match fault {
            Some(why) => Outcome::failed(why, facts),
            None => Outcome::passed(format!("status {status}"), facts),
        };
        let (line, now) = (self.certificate_expires_in, Timestamp::now().seconds());
        let judged = certificate::judged(outcome, response.chain.as_deref(), line, now);
        slow(judged, self.slower_than, took)
    }

    fn fault(&self, response: &Response) -> Option<String> {
        let status = response.status.as_u16();
        if !self.expect.contains(status) {
            let to = response
                .header("location")
                .filter(|_| response.status.is_redirection());
            let to = to.map(|to| format!(": a redirect to {:?}, which is not followed", cut(to)));
            let expect = &self.expect;
            return Some(format!(
                "status {status} where {expect} is expected{}",
                to.unwrap_or_default()
            ));
        }
        let mut headers = self.response_headers.iter();
        if let Some(why) = headers.find_map(|(name, header)| header.fault(name, response)) {
            return Some(why);
        }
        match &self.body_contains {
            Some(part) if !contains(&response.body, part.as_bytes()) => Some(format!(
                "{part:?} is not in the body of {} bytes",
                response.body.len()
            )),
            _ => None,
        }
    }

    /// Why the body does not match, if it must and does not.
    async fn unmatched(&self, body: &Bytes) -> Option<String> {
        let pattern = self.body_matches.as_ref()?;
        let matched = if body.len() <= SHORT {
            pattern.matches(&String::from_utf8_lossy(body))
        } else {
            // A long one costs more than the runtime's thread has time for.
            let (pattern, body) = (pattern.clone(), body.clone());
            let matching = move || pattern.matches(&String::from_utf8_lossy(&body));
            spawn_blocking(matching).await.unwrap_or(false)
        };
        (!matched).then(|| {
            let length = body.len();
            format!("{pattern:?} matches nothing in the body of {length} bytes")
        })
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

fn contains(body: &[u8], part: &[u8]) -> bool {
    let Some((first, _)) = part.split_first() else {
        return true;
    };
    let mut rest = body;
    while let Some(at) = rest.iter().position(|b| b == first) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.starts_with(part) {
            return true;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}
