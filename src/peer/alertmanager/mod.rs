//! A client of Alertmanager's API, version 2: which alerts it has, and how long it has run.
//!
//! Owns what its answers mean. It never sends an alert and never silences one. The surprising decision: an answer is
//! taken whole or not at all. Whoever compares takes what is missing for over, so that half a list, an error page or a
//! list in another form must be an error and never a short list.
//!
//! Alertmanager 0.16 and later, `/api/v2/alerts` and `/api/v2/status`.

mod options;
#[cfg(test)]
pub(crate) mod tests;

use std::time::{Duration, SystemTime};

use hyper::header::DATE;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::alert::Labels;
use crate::model::moment::Timestamp;
use crate::model::secret::Secret;
use crate::net::client::{self, Client, Limits, Protocol, Request, Response};
use crate::net::credentials::{Basic, bearer};
use crate::net::endpoint::{Endpoint, EndpointError};
use crate::net::resolve::Resolver;
use crate::net::tls;

pub use options::Options;

/// Largest answer read; 10,000 alerts take about 8 MiB.
const ANSWER: usize = 16 << 20;
/// How long one answer may take.
const WHOLE: Duration = Duration::from_secs(30);

/// One alert that Alertmanager has: active, or suppressed by a silence or another alert.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Hash of its labels, as in its webhooks.
    pub fingerprint: String,
    /// Its labels.
    pub labels: Labels,
}

/// All alerts that one Alertmanager has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The alerts; those that are over are not among them.
    pub alerts: Vec<Listed>,
    /// How long it has run.
    pub up: Duration,
}

/// Why it is not known which alerts there are.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No whole answer.
    #[error("{}", .0.told())]
    Http(#[from] client::Error),
    /// It said no.
    #[error("{peer} answered {status}{}", help(*status))]
    Refused {
        /// Whom.
        peer: String,
        /// Status of the answer.
        status: u16,
    },
    /// The answer is not what the API promises.
    #[error("{peer} does not answer as Alertmanager's API does: {why}")]
    Unexpected {
        /// Whom.
        peer: String,
        /// What is wrong with it.
        why: String,
    },
}

fn help(status: u16) -> &'static str {
    match status {
        401 | 403 => " (api.bearer_token_file, api.basic)",
        404 => " (is its path prefix in api.urls?)",
        300..=399 => ", and redirects are not followed: write where it leads in api.urls",
        _ => "",
    }
}

/// A client of one Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    alerts: Client,
    status: Client,
    authorization: Option<Secret>,
}

/// Who it is: another process differs in one of these at least.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    /// When it started, whatever the name says.
    uptime: String,
    #[serde(default)]
    cluster: Cluster,
    #[serde(default)]
    version_info: Value,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
struct Cluster {
    /// What it is called among its members; none where it has none.
    #[serde(default)]
    name: String,
}

impl Alertmanager {
    /// Clients of all members of a cluster; they open nothing yet.
    ///
    /// # Errors
    /// An address that is none.
    pub fn all(options: &Options, resolver: &Resolver) -> Result<Vec<Self>, EndpointError> {
        let limits = Limits {
            whole: WHOLE,
            response: ANSWER,
            ..Limits::default()
        };
        let connector = tls::Connector::new(options.tls.clone().unwrap_or_default());
        let of = |url: &String| {
            let endpoint: Endpoint = url.parse()?;
            let client = |path| {
                let endpoint = endpoint.below(path)?;
                let resolver = resolver.clone();
                Ok(Client::new(endpoint, Protocol::Http1, limits, resolver)
                    .trusting(connector.clone()))
            };
            let token = options.bearer_token_file.as_ref().map(bearer);
            Ok(Self {
                alerts: client("api/v2/alerts")?,
                status: client("api/v2/status")?,
                authorization: token.or_else(|| options.basic.as_ref().map(Basic::authorization)),
            })
        };
        options.urls.iter().map(of).collect()
    }

    /// Which alerts it has.
    ///
    /// # Errors
    /// [`Error`]: nothing is known.
    pub async fn list(&self) -> Result<Listing, Error> {
        let (before, _) = self.get::<Status>(&self.status).await?;
        let (alerts, _) = self.get::<Vec<Listed>>(&self.alerts).await?;
        if alerts.iter().any(|alert| alert.fingerprint.is_empty()) {
            return Err(self.unexpected("an alert without a fingerprint"));
        }
        // Behind one address there may be several who take turns. The list is between the first two questions, and a third makes the
        // number of turns odd and even: whoever answered the list of two or more is asked who it is.
        let (after, _) = self.get::<Status>(&self.status).await?;
        let (last, answer) = self.get::<Status>(&self.status).await?;
        if before != after || after != last {
            return Err(self.unexpected(
                "several of it answer in turn, or it was started anew meanwhile; api.urls must name each member, not an address that stands for all",
            ));
        }
        let uptime = last.uptime;
        let started = Timestamp::parse(&uptime)
            .ok_or_else(|| self.unexpected(format!("its uptime is {uptime:?}")))?;
        Ok(Listing {
            alerts,
            up: their_time(&answer).since(started),
        })
    }

    async fn get<T: DeserializeOwned>(&self, client: &Client) -> Result<(T, Response), Error> {
        // Each look on a connection of its own: they are minutes apart.
        let mut request = Request::get()
            .header("accept", "application/json")
            .header("connection", "close")
            .header(
                "user-agent",
                concat!("nodeward/", env!("CARGO_PKG_VERSION")),
            )
            .at_most_once();
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.reveal());
        }
        let answer = client.send(request).await?;
        if answer.status.as_u16() != 200 {
            return Err(Error::Refused {
                peer: self.peer(),
                status: answer.status.as_u16(),
            });
        }
        let kind = answer.header("content-type").unwrap_or_default();
        if !kind.starts_with("application/json") {
            return Err(self.unexpected(format!("its content-type is {kind:?}")));
        }
        match serde_json::from_slice(&answer.body) {
            Ok(read) => Ok((read, answer)),
            Err(error) => Err(self.unexpected(error)),
        }
    }

    fn unexpected(&self, why: impl ToString) -> Error {
        Error::Unexpected {
            peer: self.peer(),
            why: why.to_string(),
        }
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn peer(&self) -> String {
        self.alerts.endpoint().to_string()
    }
}

/// The time by its own clock, which counted its uptime; by ours if it does not say.
fn their_time(answer: &Response) -> Timestamp {
    let date = answer.headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|text| httpdate::parse_http_date(text).ok());
    let since = date.and_then(|date| date.duration_since(SystemTime::UNIX_EPOCH).ok());
    let millis = since.and_then(|since| i64::try_from(since.as_millis()).ok());
    millis.map_or_else(Timestamp::now, Timestamp)
}
