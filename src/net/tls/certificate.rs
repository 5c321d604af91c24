//! Who the other end says it is.
//!
//! Owns the comparison of names, as texts and whole: a wildcard in a certificate is no name of a client, unless the very same
//! text is listed. E-mail addresses and the common name are never looked at.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use webpki::{EndEntityCert, Error, KeyUsage};

/// Longest name in a list; a certificate with a longer one is not ours to expect.
const LONGEST: usize = 1024;
/// No certificate is valid any more then: RFC 5280 section 4.1.2.5 ends with the year 9999.
const END_OF_TIME: Duration = Duration::from_secs(253_402_300_800);

/// A subject alternative name (RFC 5280 section 4.2.1.6) that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `alertmanager.example`, in any case.
    Dns(String),
    /// `spiffe://example/alertmanager`, exactly.
    Uri(String),
    /// `10.0.0.5`.
    Ip(IpAddr),
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let visible = text.bytes().all(|b| b.is_ascii_graphic());
        if text.is_empty() || text.len() > LONGEST || !visible || text.contains('@') {
            return Err(format!(
                "{text:?} is no DNS name, URI or IP address of a certificate, such as alertmanager.example"
            ));
        }
        Ok(match text.parse() {
            Ok(address) => Self::Ip(address),
            Err(_) if text.contains(':') => Self::Uri(text.to_owned()),
            Err(_) => Self::Dns(text.to_ascii_lowercase()),
        })
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Uri(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "CertificateName".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// The certificate of a peer, verified when the connection was made.
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate(CertificateDer<'static>);

impl Certificate {
    pub(super) fn new(der: CertificateDer<'static>) -> Self {
        Self(der)
    }

    /// Whether one of `allowed` is a name of it.
    #[must_use]
    pub fn is_one_of(&self, allowed: &[Name]) -> bool {
        is_one_of(&self.0, allowed)
    }

    /// The DNS names and URIs in it, for logs: at most eight.
    #[must_use]
    pub fn names(&self) -> String {
        let Ok(certificate) = EndEntityCert::try_from(&self.0) else {
            return String::new();
        };
        let names = certificate.valid_dns_names();
        let names = names.chain(certificate.valid_uri_names());
        names.take(8).collect::<Vec<_>>().join(", ")
    }
}

/// The certificates that a peer has shown, its own first, as far as their ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// How many it has shown.
    count: usize,
    first: Option<End>,
}

/// The end of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The second of the epoch after which it is not valid any more.
    pub at: u64,
    /// Its place in the chain, from 0 on; 0 is the peer's own.
    pub position: usize,
    names: String,
}

impl Chain {
    pub(super) fn new(shown: &[CertificateDer<'static>]) -> Self {
        let ends = shown.iter().enumerate().filter_map(|(position, der)| {
            let names = Certificate(der.clone()).names();
            let at = not_after(der)?;
            Some(End {
                at,
                position,
                names,
            })
        });
        Self {
            count: shown.len(),
            first: ends.min_by_key(|end| end.at),
        }
    }

    /// The certificate that ends before all others, whether it is needed or merely sent along; none if none can be read.
    #[must_use]
    pub const fn first_end(&self) -> Option<&End> {
        self.first.as_ref()
    }

    /// Which certificate an end is of, and when that is, for people.
    #[must_use]
    pub fn told(&self, end: &End) -> String {
        let names = match end.names.as_str() {
            "" => String::new(),
            names => format!(" ({names})"),
        };
        let at = super::refusal::time(end.at);
        match end.position {
            0 => format!("its certificate{names} ends on {at}"),
            position => {
                let (nth, of) = (position + 1, self.count);
                format!("certificate {nth} of the {of} that it sends{names} ends on {at}")
            }
        }
    }
}

/// Whether one of `allowed` is a name in a certificate.
pub(super) fn is_one_of(der: &CertificateDer<'_>, allowed: &[Name]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(der) else {
        return false;
    };
    allowed.iter().any(|name| match name {
        Name::Dns(name) => certificate
            .valid_dns_names()
            .any(|has| has.eq_ignore_ascii_case(name)),
        Name::Uri(name) => certificate.valid_uri_names().any(|has| has == name),
        Name::Ip(address) => {
            let address = ServerName::IpAddress((*address).into());
            certificate
                .verify_is_valid_for_subject_name(&address)
                .is_ok()
        }
    })
}

/// When a certificate ends, in Unix seconds; none if it cannot be read.
pub(super) fn not_after(der: &CertificateDer<'_>) -> Option<u64> {
    let certificate = EndEntityCert::try_from(der).ok()?;
    let then = UnixTime::since_unix_epoch(END_OF_TIME);
    // Its validity is looked at before anything else, and the end told with the refusal.
    let usage = KeyUsage::server_auth();
    match certificate.verify_for_usage(&[], &[], &[], then, usage, None, None) {
        Err(Error::CertExpired { not_after, .. }) => Some(not_after.as_secs()),
        _ => None,
    }
}
