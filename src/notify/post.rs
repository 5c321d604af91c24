//! JSON by a POST, for kinds that are web servers.
//!
//! Owns what each status means. It never follows a redirect: where a notice goes is the config's to say.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use hyper::StatusCode;
use sha2::Sha256;

use super::Delivery;
use crate::model::duration::Period;
use crate::model::hex;
use crate::model::moment::Timestamp;
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

/// What a server is reached by.
pub(super) struct Options<'a> {
    pub url: &'a str,
    pub tls: Option<&'a tls::ClientOptions>,
    pub token: Option<&'a Secret>,
    pub timeout: Period,
}

impl Options<'_> {
    /// What is wrong with them; the keys are `url`, those of `tls`, `bearer_token_file` and `timeout`.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
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
        if !self.token.is_none_or(is_token) {
            let why = "the token in it has characters other than visible ASCII";
            faults.push(("bearer_token_file", why.into()));
        }
        let timeout = self.timeout.get();
        if timeout < Duration::from_millis(10) || timeout > LONGEST {
            faults.push(("timeout", "must be from 10ms to 10m".into()));
        }
        faults
    }
}

/// Posts to one server.
pub(super) struct Post {
    client: Client,
    authorization: Option<Secret>,
    /// What a body is signed with.
    mac: Option<Hmac<Sha256>>,
}

impl Post {
    /// Opens nothing yet. `below`: what follows the URL's path.
    pub fn new(
        options: &Options<'_>,
        below: Option<&str>,
        resolver: &Resolver,
    ) -> Result<Self, String> {
        let endpoint: Endpoint = options.url.parse().map_err(|why| format!("{why}"))?;
        let endpoint = match below {
            Some(below) => endpoint.below(below).map_err(|why| why.to_string())?,
            None => endpoint,
        };
        let whole = options.timeout.get();
        let limits = Limits {
            connect: whole.min(Limits::default().connect),
            whole,
            response: ANSWER,
        };
        Ok(Self {
            client: Client::new(endpoint, Protocol::Http1, limits, resolver.clone()).trusting(
                tls::Connector::new(options.tls.cloned().unwrap_or_default()),
            ),
            authorization: options.token.map(bearer),
            mac: None,
        })
    }

    /// Signs what it posts with this secret, if there is one.
    pub fn signing(self, secret: Option<&Secret>) -> Self {
        let mac = secret.map(|secret| Hmac::new_from_slice(secret.reveal().as_bytes()));
        // A key of any length is one.
        let mac = mac.and_then(Result::ok);
        Self { mac, ..self }
    }

    /// Posts a body, named by `id` however often it is sent.
    pub async fn send(&self, body: Vec<u8>, id: &str) -> Delivery {
        let signature = self
            .mac
            .clone()
            .map(|mac| signature(mac, Timestamp::now(), &body));
        let mut request = Request::post(body)
            .header("content-type", "application/json")
            .header(
                "user-agent",
                concat!("nodeward/", env!("CARGO_PKG_VERSION")),
            )
            .header("idempotency-key", id);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.reveal());
        }
        if let Some((time, signature)) = &signature {
            request = request
                .header("x-nodeward-timestamp", time)
                .header("x-nodeward-signature", signature);
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

/// The time in seconds, and the signature of that, a dot and the body: what the hook for Zabbix reads too.
fn signature(mut mac: Hmac<Sha256>, now: Timestamp, body: &[u8]) -> (String, String) {
    let time = now.0.div_euclid(1000).to_string();
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    (time, hex::written(&mac.finalize().into_bytes()))
}

/// What an answer means. Only what is said of the body itself is for ever: a token is renewed, a route comes back.
fn judge(status: StatusCode, wait: Option<Duration>, peer: &Endpoint) -> Delivery {
    let why = format!("{peer} answered {status}");
    match status.as_u16() {
        200..=299 => Delivery::Taken(why),
        408 | 429 => Delivery::Failed {
            why,
            wait: wait.map(|wait| wait.min(LONGEST_WAIT)),
        },
        400 | 413 | 422 => Delivery::Refused(why),
        401 | 403 => Delivery::failed(format!(
            "{why}: is the token of bearer_token_file still good there?"
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
            let Delivery::Taken(said) = judged(status) else {
                panic!("{status}")
            };
            assert!(said.contains(&format!("answered {status}")), "{said}");
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
}
