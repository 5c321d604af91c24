//! Where Alertmanager's API is, and how it is asked (`hooks.NAME.api`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::net::credentials::{Basic, is_token};
use crate::net::endpoint::Endpoint;
use crate::net::tls;

/// Most members of one cluster.
const MOST: usize = 16;

/// The Alertmanager that sends to this hook, asked now and then which alerts it has: one that fires here and that it has no
/// longer is over, although nobody said so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Where it is, with its path prefix if it has one: `http://HOST:PORT`. Of a cluster all members, at most 16; one that
    /// answers is enough.
    #[schemars(length(min = 1, max = 16))]
    pub urls: Vec<String>,
    /// A file with the token that is sent as `Authorization: Bearer TOKEN`. Default: none.
    #[serde(default, skip_serializing)]
    pub bearer_token_file: Option<Secret>,
    /// The name and password that are sent instead.
    #[serde(default)]
    pub basic: Option<Basic>,
    /// Whom to trust with `https://`, and which certificate to show. Files are read again when they change.
    #[serde(default)]
    pub tls: Option<tls::ClientOptions>,
    /// How often it is asked, a fifth more or less: `1s` to `1d`. Default: 5m.
    #[serde(default = "five_minutes")]
    pub every: Period,
    /// How long it must have run before what it does not list counts as over: longer than Prometheus takes to send all
    /// its alerts again, which is the longest `interval` of its rules or a minute. `0s` to `1d`. Default: 5m.
    #[serde(default = "five_minutes")]
    pub settle: Period,
}

const fn five_minutes() -> Period {
    Period::secs(300)
}

impl Options {
    /// What is wrong with them: key and why.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.urls.is_empty() || self.urls.len() > MOST {
            faults.push(("urls", format!("from 1 to {MOST} are needed")));
        }
        let mut secure = false;
        for url in &self.urls {
            match url.parse::<Endpoint>() {
                Ok(endpoint) => secure |= endpoint.is_secure(),
                Err(why) => faults.push(("urls", why.to_string())),
            }
        }
        let found = self.tls.iter().flat_map(|tls| tls.faults(secure));
        faults.extend(found.map(|fault| (fault.key, fault.why)));
        if !self.bearer_token_file.as_ref().is_none_or(is_token) {
            let why = "the token in it has characters other than visible ASCII";
            faults.push(("bearer_token_file", why.into()));
        }
        match &self.basic {
            Some(_) if self.bearer_token_file.is_some() => faults.push((
                "basic",
                "bearer_token_file stands beside it; keep one of both".into(),
            )),
            Some(basic) if !basic.has_name() => faults.push((
                "basic",
                "username must not be empty and has no colon".into(),
            )),
            _ => {}
        }
        let day = Period::secs(24 * 60 * 60);
        if !(Period::secs(1)..=day).contains(&self.every) {
            let why = format!("{} is not from 1s to 1d", self.every);
            faults.push(("every", why));
        }
        if self.settle > day {
            let why = format!("{} is longer than 1d", self.settle);
            faults.push(("settle", why));
        }
        faults
    }
}
