//! `http`: one request to a fixed host.
//!
//! Owns where a request may go and what of it an alert may choose: path segments, query values and JSON strings, each encoded. Scheme and
//! host are the config's. The address is checked after the name is looked up, and the one that was checked is connected to, so that no
//! name server can turn the request inwards. No redirect is followed.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Action, Looked, Order, Outcome, Permission, Site, Strength, Word, World};
use crate::model::secret::Secret;
use crate::model::target::Target;
use crate::net::client::{Client, Error, Limits, Protocol, Request, Response};
use crate::net::endpoint::{Endpoint, Place, percent_encoded};
use crate::net::tls::{self, Connector};

/// Largest answer read.
const ANSWER: usize = 64 << 10;
/// Characters of an answer that are kept.
const KEPT: usize = 2048;
/// Longest wait for a connection to one address.
const CONNECT: Duration = Duration::from_secs(5);

/// A request. Its header `Idempotency-Key` is the attempt's name, the same after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to: `http://host:port/path` or `https://host/path`. No part of it comes from the alert.
    pub url: String,
    /// Whom to trust with `https`. Default: the authorities of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// Method. Default: POST.
    #[serde(default)]
    pub method: Method,
    /// Segments that follow the URL's path: texts, or `{from: LABEL}` for the value of a label, which must also stand in the playbook's
    /// `match`.
    #[serde(default)]
    pub path: Vec<Word>,
    /// What follows `?`: names, and texts or labels as values.
    #[serde(default)]
    pub query: BTreeMap<String, Word>,
    /// A JSON object as body: names, and texts or labels as values.
    #[serde(default)]
    pub json: BTreeMap<String, Word>,
    /// A file with the token of the header `Authorization: Bearer`.
    #[serde(default, skip_serializing)]
    pub token_file: Option<Secret>,
    /// Whether the host may be this machine. Default: false.
    #[serde(default)]
    pub allow_loopback: bool,
    /// Whether the request may simply be sent again after a crash, because the server honours `Idempotency-Key` or because twice is
    /// the same as once. Default: false.
    #[serde(default)]
    pub idempotent: bool,
}

/// An HTTP method.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET, without a body.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What stands in records for what the config wrote.
const WITHHELD: &str = "...";

/// What a word is in records: what the config wrote may be secret, and is in the config to look up.
fn shown<'a>(word: &'a Word, order: &Order<'a>) -> Result<&'a str, String> {
    match word {
        Word::Fixed(_) => Ok(WITHHELD),
        Word::Label(_) => word.resolve(order.labels),
    }
}

/// The request with its values.
struct Filled {
    endpoint: Endpoint,
    body: Option<Value>,
}

impl Http {
    fn endpoint(&self) -> Result<Endpoint, String> {
        let endpoint: Endpoint = self.url.parse().map_err(|e| format!("url: {e}"))?;
        match endpoint.place() {
            Place::Unix(_) => {
                Err("url: write http://host:port/path or https://host/path".to_owned())
            }
            Place::Tcp { .. } => Ok(endpoint),
        }
    }

    fn fill(&self, order: &Order<'_>) -> Result<Filled, String> {
        let endpoint = self.endpoint()?;
        let (base, fixed) = (endpoint.path().path(), endpoint.path().query());
        let mut path = base.trim_end_matches('/').to_owned();
        for word in &self.path {
            let segment = word.resolve(order.labels)?;
            if matches!(segment, "" | "." | "..") {
                return Err(format!("{segment:?} is no segment of a path"));
            }
            path.push('/');
            path.push_str(&percent_encoded(segment));
        }
        if path.is_empty() {
            path.push('/');
        }
        let mut parts: Vec<String> = fixed.map(str::to_owned).into_iter().collect();
        for (name, word) in &self.query {
            let value = percent_encoded(word.resolve(order.labels)?);
            parts.push(format!("{}={value}", percent_encoded(name)));
        }
        if !parts.is_empty() {
            path.push('?');
            path.push_str(&parts.join("&"));
        }
        let mut fields = serde_json::Map::new();
        for (name, word) in &self.json {
            fields.insert(name.clone(), word.resolve(order.labels)?.into());
        }
        Ok(Filled {
            endpoint: endpoint.at(&path).map_err(|e| format!("url: {e}"))?,
            body: (!fields.is_empty()).then_some(Value::Object(fields)),
        })
    }

    /// Path and query for records: the config may keep a secret in each part of them that it wrote.
    fn shown_path(&self, order: &Order<'_>) -> Result<String, String> {
        let endpoint = self.endpoint()?;
        let mut path = match endpoint.path().path().trim_end_matches('/') {
            "" => String::new(),
            _ => format!("/{WITHHELD}"),
        };
        for word in &self.path {
            path.push('/');
            path.push_str(&percent_encoded(shown(word, order)?));
        }
        if path.is_empty() {
            path.push('/');
        }
        let fixed = endpoint.path().query().map(|_| WITHHELD.to_owned());
        let mut parts = Vec::from_iter(fixed);
        for (name, word) in &self.query {
            let value = percent_encoded(shown(word, order)?);
            parts.push(format!("{}={value}", percent_encoded(name)));
        }
        if !parts.is_empty() {
            path.push('?');
            path.push_str(&parts.join("&"));
        }
        Ok(path)
    }

    fn told(&self, url: String, body: Option<Value>) -> Value {
        let mut told = json!({"method": self.method.as_str(), "url": url});
        if let (Some(body), Some(fields)) = (body, told.as_object_mut()) {
            fields.insert("json".to_owned(), body);
        }
        json!({"http": told})
    }

    fn request(&self, filled: &Filled, order: &Order<'_>) -> Request {
        let body = filled.body.as_ref().map(Value::to_string);
        let mut request = Request::new(self.method.as_str().parse().unwrap_or_default())
            .body(body.clone().unwrap_or_default())
            .at(filled.endpoint.path().as_str())
            // The endpoint connected to is an address.
            .header("host", &filled.endpoint.authority())
            .header(
                "user-agent",
                concat!("nodeward/", env!("CARGO_PKG_VERSION")),
            )
            .header("idempotency-key", &order.attempt.to_string())
            .at_most_once();
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some(token) = &self.token_file {
            request = request.header("authorization", &format!("Bearer {}", token.reveal()));
        }
        request
    }
}

impl Action for Http {
    fn check(&self, site: &Site<'_>) -> Vec<String> {
        let mut wrong: Vec<String> = Vec::new();
        match self.endpoint() {
            Err(why) => wrong.push(why),
            Ok(endpoint) => {
                let tls = self
                    .tls
                    .iter()
                    .flat_map(|tls| tls.faults(endpoint.is_secure()));
                wrong.extend(tls.map(|fault| fault.to_string()));
                if let Place::Tcp { host, .. } = endpoint.place()
                    && let Ok(address) = host.parse()
                {
                    let why = denied(address, self.allow_loopback);
                    wrong.extend(why.map(|why| format!("url: {why}")));
                }
            }
        }
        let at = |index| format!("path[{index}]");
        let path = self.path.iter().enumerate().map(|(i, word)| (at(i), word));
        let query = self
            .query
            .iter()
            .map(|(n, word)| (format!("query.{n}"), word));
        let json = self
            .json
            .iter()
            .map(|(n, word)| (format!("json.{n}"), word));
        let words = path.chain(query).chain(json);
        wrong.extend(words.filter_map(|(what, word)| word.check(&what, site)));
        if self.method == Method::Get && !self.json.is_empty() {
            wrong.push("json: a GET has no body".to_owned());
        }
        wrong
    }

    fn render(&self, order: &Order<'_>) -> Result<Value, String> {
        // What does not do is said here.
        let filled = self.fill(order)?;
        let url = format!("{}{}", filled.endpoint, self.shown_path(order)?);
        let fields = self.json.iter().map(|(name, word)| {
            let value = shown(word, order)?;
            Ok((name.clone(), Value::from(value)))
        });
        let fields: serde_json::Map<_, _> = fields.collect::<Result<_, String>>()?;
        Ok(self.told(url, (!fields.is_empty()).then_some(Value::Object(fields))))
    }

    fn whole(&self, order: &Order<'_>) -> Result<Value, String> {
        let filled = self.fill(order)?;
        let url = format!("{}{}", filled.endpoint, filled.endpoint.path());
        Ok(self.told(url, filled.body))
    }

    fn strength(&self) -> Strength {
        if self.idempotent {
            Strength::Idempotent
        } else {
            Strength::Weak
        }
    }

    async fn look(&self, _: &World, _: &Order<'_>) -> Looked {
        Looked {
            witness: Ok(None),
            busy: None,
            lags: Duration::ZERO,
        }
    }

    async fn act(
        &self,
        world: &World,
        order: &Order<'_>,
        started: impl FnOnce(Value) + Send,
    ) -> Outcome {
        let filled = match self.fill(order) {
            Ok(filled) => filled,
            Err(why) => return Outcome::failed(why),
        };
        let until = Instant::now() + order.timeout;
        let allowed = allowed(world, &filled.endpoint, until, self.allow_loopback);
        let addresses = tokio::select! {
            addresses = allowed => match addresses {
                Ok(addresses) => addresses,
                Err(why) => return Outcome::failed(why),
            },
            () = order.stop.told() => {
                return Outcome::failed("it was told to end before anything was sent");
            }
        };
        started(json!({"host": filled.endpoint.to_string()}));
        let trusted = match filled.endpoint.place() {
            Place::Tcp { host, .. } => Connector::named(self.tls.as_ref(), host),
            Place::Unix(_) => Connector::default(),
        };
        let mut last = None;
        for address in addresses {
            let left = until.saturating_duration_since(Instant::now());
            let limits = Limits {
                connect: CONNECT.min(left),
                whole: left,
                response: ANSWER,
            };
            let client = Client::new(address, Protocol::Http1, limits, world.resolver.clone())
                .trusting(trusted.clone());
            let sent = tokio::select! {
                sent = client.send(self.request(&filled, order)) => sent,
                () = order.stop.told() => {
                    let why = "it was told to end before there was an answer: what was asked may be done all the same";
                    return Outcome::unknown(why);
                }
            };
            match sent {
                Ok(answer) => return judged(&filled.endpoint, &answer),
                // Nothing was sent: another address may do.
                Err(error @ (Error::Connect { .. } | Error::BadRequest { .. })) => {
                    last = Some(error);
                }
                Err(error) => return Outcome::unknown(error.told()),
            }
        }
        Outcome::failed(last.map_or_else(
            || format!("{} has no address", filled.endpoint),
            |error| error.told(),
        ))
    }

    fn permissions(&self, _: &Target) -> Vec<Permission> {
        Vec::new()
    }
}

/// The addresses of an endpoint that may be connected to.
async fn allowed(
    world: &World,
    endpoint: &Endpoint,
    until: Instant,
    loopback: bool,
) -> Result<Vec<Endpoint>, String> {
    let Place::Tcp { host, port } = endpoint.place() else {
        return Err(format!("{endpoint} is no host"));
    };
    let found = world.resolver.lookup(host, *port, until).await;
    let found = found.map_err(|e| format!("{endpoint}: {e}"))?;
    let mut refused = None;
    let mut good = Vec::new();
    for address in found {
        match denied(address.ip(), loopback) {
            Some(why) => {
                refused.get_or_insert(why);
            }
            None => good.push(endpoint.to(address)),
        }
    }
    match refused {
        Some(why) if good.is_empty() => Err(format!("{endpoint}: {why}")),
        _ => Ok(good),
    }
}

/// Why an address is not connected to.
fn denied(address: IpAddr, loopback: bool) -> Option<String> {
    let address = inner(address);
    let (v4, v6) = match address {
        IpAddr::V4(v4) => (Some(v4), None),
        IpAddr::V6(v6) => (None, Some(v6)),
    };
    let local =
        v4.is_some_and(|v4| v4.is_link_local()) || v6.is_some_and(|v6| v6.is_unicast_link_local());
    let metadata = [
        // Where clouds tell a machine its secrets, outside the link-local range: Alibaba's, and Amazon's for IPv6.
        IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)),
    ];
    let nobody = address.is_unspecified()
        || address.is_multicast()
        || v4.is_some_and(|v4| v4.is_broadcast() || v4.octets().first() == Some(&0));
    let why = if address.is_loopback() {
        if loopback {
            return None;
        }
        "is this machine; set allow_loopback: true if that is meant"
    } else if local || metadata.contains(&address) {
        "is a link-local address or that of a cloud's metadata, which an action never asks"
    } else if nobody {
        "is the address of no single host"
    } else {
        return None;
    };
    Some(format!("{address} {why}"))
}

/// The IPv4 address inside an IPv6 one: mapped (RFC 4291), or translated by the well-known prefix (RFC 6052).
fn inner(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    if let Some(v4) = v6.to_ipv4_mapped() {
        return IpAddr::V4(v4);
    }
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => address,
    }
}

fn judged(endpoint: &Endpoint, answer: &Response) -> Outcome {
    let status = answer.status.as_u16();
    let text: String = String::from_utf8_lossy(&answer.body)
        .chars()
        .take(KEPT)
        .collect();
    let detail = json!({"status": status, "answer": text});
    let why = match status {
        200..=299 => return Outcome::Done(detail),
        // A proxy that lost the server with our request in its hands.
        502 | 504 => {
            return Outcome::Unknown {
                why: format!("{endpoint} answered {status}: the server behind it may have done it"),
                detail,
            };
        }
        300..=399 => format!(
            "{endpoint} redirects with {status}, which is not followed; write the URL it leads to"
        ),
        _ => format!("{endpoint} answered {status}"),
    };
    Outcome::Failed { why, detail }
}

#[cfg(test)]
mod tests;
