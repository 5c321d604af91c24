//! A web server that takes a POST of JSON, in the form that docs/NOTIFY.md describes.
//!
//! Owns what each status means. It never follows a redirect: where a notice goes is the config's to say.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

use super::{Delivery, Kind, Message, Sink};
use crate::model::alert::Labels;
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::net::client::{self, Client, Error, Limits, Protocol, Request};
use crate::net::credentials::{bearer, is_token};
use crate::net::endpoint::Endpoint;
use crate::net::resolve::Resolver;
use crate::net::tls;

/// Nobody reads the answer; a server that sends more than this is none that was meant.
const ANSWER: usize = 1 << 20;
/// No server can silence a notifier for longer.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// The longest that one request may take.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// Options of the kind `webhook`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where it is posted to: `https://HOST/PATH`, `http://HOST:PORT/PATH`, or `unix:/PATH` for a socket.
    pub url: String,
    /// Whom to trust with `https`. Default: the authorities of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<tls::ClientOptions>,
    /// A file with the token that is sent as `Authorization: Bearer TOKEN`; relative to the config file's directory, or
    /// `credential:NAME`. Default: none.
    #[serde(default, skip_serializing)]
    pub bearer_token_file: Option<Secret>,
    /// The longest a request may take, connecting and answer included; `10ms` to `10m`.
    #[serde(default = "timeout")]
    pub timeout: Period,
}

const fn timeout() -> Period {
    Period::secs(10)
}

impl Kind for Webhook {
    fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        match self.url.parse::<Endpoint>() {
            Err(why) => faults.push(("url", why.to_string())),
            Ok(endpoint) => {
                let found = self
                    .tls
                    .iter()
                    .flat_map(|tls| tls.faults(endpoint.is_secure()));
                faults.extend(found.map(|fault| (fault.key, fault.why)));
            }
        }
        if !self.bearer_token_file.as_ref().is_none_or(is_token) {
            let why = "the token in it has characters other than visible ASCII";
            faults.push(("bearer_token_file", why.into()));
        }
        let timeout = self.timeout.get();
        if timeout < Duration::from_millis(10) || timeout > LONGEST {
            faults.push(("timeout", "must be from 10ms to 10m".into()));
        }
        faults
    }

    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String> {
        let endpoint: Endpoint = self.url.parse().map_err(|why| format!("{why}"))?;
        let whole = self.timeout.get();
        let limits = Limits {
            connect: whole.min(Limits::default().connect),
            whole,
            response: ANSWER,
        };
        Ok(Box::new(Post {
            client: Client::new(endpoint, Protocol::Http1, limits, resolver.clone())
                .trusting(tls::Connector::new(self.tls.clone().unwrap_or_default())),
            authorization: self.bearer_token_file.as_ref().map(bearer),
        }))
    }
}

struct Post {
    client: Client,
    authorization: Option<Secret>,
}

/// What is posted. Members of notices are always there, the others where there is something to say.
#[derive(Serialize)]
struct Body<'a> {
    id: &'a str,
    time: String,
    what: &'a str,
    severity: &'a str,
    node: &'a str,
    incident: &'a str,
    playbook: &'a str,
    target: &'a str,
    state: &'a str,
    attempt: Option<&'a str>,
    cause: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    outcome: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    by: &'a str,
    summary: &'a str,
    labels: &'a Labels,
    seq: i64,
    chain: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<serde_json::Value>,
}

impl<'a> Body<'a> {
    fn of(message: &Message<'a>) -> Self {
        let event = message.event;
        let record = event.record.as_deref();
        Self {
            id: &event.id,
            time: event.time.to_string(),
            what: &event.what,
            severity: event.severity.as_str(),
            node: &event.node,
            incident: &event.incident,
            playbook: &event.playbook,
            target: &event.target,
            state: &event.state,
            attempt: Some(&*event.attempt).filter(|attempt| !attempt.is_empty()),
            cause: &event.cause,
            outcome: &event.outcome,
            by: &event.by,
            summary: &event.summary,
            labels: &event.labels,
            seq: message.seq,
            chain: message.chain.to_string(),
            record: record.and_then(|record| serde_json::from_str(record).ok()),
        }
    }
}

#[async_trait]
impl Sink for Post {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        let body = match serde_json::to_vec(&Body::of(message)) {
            Ok(body) => body,
            Err(error) => return Delivery::Refused(error.to_string()),
        };
        let mut request = Request::post(body)
            .header("content-type", "application/json")
            .header(
                "user-agent",
                concat!("nodeward/", env!("CARGO_PKG_VERSION")),
            )
            .header("idempotency-key", &message.event.id);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.reveal());
        }
        match self.client.send(request).await {
            Ok(answer) => judge(
                answer.status,
                client::retry_after(&answer.headers, SystemTime::now()),
                self.client.endpoint(),
            ),
            Err(error @ Error::BadRequest { .. }) => Delivery::Refused(error.to_string()),
            Err(error) => Delivery::failed(error.told()),
        }
    }
}

/// What an answer means. Only what is said of the body itself is for ever: a token is renewed, a route comes back.
fn judge(status: StatusCode, wait: Option<Duration>, peer: &Endpoint) -> Delivery {
    let why = format!("{peer} answered {status}");
    match status.as_u16() {
        200..=299 => Delivery::Taken,
        408 | 429 => Delivery::Failed {
            why,
            wait: wait.map(|wait| wait.min(LONGEST_WAIT)),
        },
        400 | 413 | 422 => Delivery::Refused(why),
        401 | 403 => Delivery::failed(format!(
            "{why}: is the token of token_file still good there?"
        )),
        300..=399 => Delivery::failed(format!(
            "{why}, and redirects are not followed: write where it leads as url"
        )),
        _ => Delivery::Failed {
            why,
            wait: wait.map(|wait| wait.min(LONGEST_WAIT)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_fail_for_ever_is_refused() {
        let peer: Endpoint = "http://h/secret".parse().unwrap();
        let judged = |status: u16| judge(StatusCode::from_u16(status).unwrap(), None, &peer);
        for status in [200, 202, 204] {
            assert_eq!(judged(status), Delivery::Taken, "{status}");
        }
        for status in [301, 308, 401, 403, 404, 408, 410, 429, 500, 502, 503] {
            assert!(
                matches!(judged(status), Delivery::Failed { .. }),
                "{status}"
            );
        }
        for status in [400, 413, 422] {
            let Delivery::Refused(why) = judged(status) else {
                panic!("{status}")
            };
            assert!(!why.contains("secret"), "{why}");
        }
        let wait = Some(Duration::from_secs(86_400));
        let asked = judge(StatusCode::SERVICE_UNAVAILABLE, wait, &peer);
        assert!(matches!(
            asked,
            Delivery::Failed {
                wait: Some(LONGEST_WAIT),
                ..
            }
        ));
    }

    #[test]
    fn faults_never_repeat_a_secret() {
        let hook = Webhook {
            url: "ftp://hooks/T0/secret".into(),
            tls: None,
            bearer_token_file: Some(Secret::new("two words")),
            timeout: Period::secs(0),
        };
        let faults = hook.faults();
        let keys: Vec<_> = faults.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["url", "bearer_token_file", "timeout"]);
        let said = format!("{faults:?}");
        assert!(
            !said.contains("secret") && !said.contains("words"),
            "{said}"
        );
    }
}
