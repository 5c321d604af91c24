//! The `hooks` section of the config file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use hyper::header::HeaderName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::super::Options as Http;
use crate::heal::intake::{Kind, Severities};
use crate::heal::runner::LOCAL;
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::model::severity::Severity;
use crate::net::address::Address;
pub use crate::net::credentials::Basic;
use crate::net::tls;
use crate::peer::alertmanager;
use crate::serve::tokens::Tokens;

/// Longest name of a hook: it is a label of metrics and a part of every episode.
const LONGEST_NAME: usize = 64;
/// The keys beside the names of hooks.
const LISTEN: &str = "listen";
const TLS: &str = "tls";

/// Webhooks by which alert servers tell their alerts: `POST /hooks/NAME`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    /// Addresses where only hooks are served, and then nowhere else. Default: none, hooks are served on `http.listen`.
    pub listen: Vec<String>,
    /// TLS on `listen`. Default: none.
    pub tls: Option<tls::ServerOptions>,
    /// The hooks by name. One named alertmanager, grafana or zabbix is of that kind.
    pub named: BTreeMap<String, Hook>,
}

/// One webhook. Without bearer_token_file, basic, hmac and client_certificate everybody who reaches it may send.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hook {
    /// Whose format it takes. Default: the one the hook is named after.
    pub kind: Option<Kind>,
    /// Who sends `Authorization: Bearer TOKEN` with the token in this file may send. A list of two files takes either
    /// token, so that one can be changed without losing an alert.
    #[serde(skip_serializing)]
    pub bearer_token_file: Option<Tokens>,
    /// Who sends this name and password may send, too.
    pub basic: Option<Basic>,
    /// Every body must be signed with this secret, whatever else is asked for. Grafana and Zabbix can, Alertmanager cannot.
    pub hmac: Option<Hmac>,
    /// Who sends must have a client certificate with one of these names, whatever else is asked for. It needs
    /// `tls.client_ca_file` where the hook is served.
    pub client_certificate: Option<ClientCertificate>,
    /// The playbooks that alerts of this hook may start. Default: all.
    pub playbooks: Option<Vec<String>>,
    /// The API of the Alertmanager that sends to this hook, where alerts are found to be over of which nobody said so.
    /// Default: none, and nothing is asked.
    pub api: Option<alertmanager::Options>,
    /// The label that says how bad an alert is. Default: severity.
    pub severity_label: Option<String>,
    /// What its words mean, in any case; any other is a warning. What is milder than a warning never makes the node
    /// degraded. Default: critical and page are critical, and of Zabbix high and disaster; info, information,
    /// informational and none are info.
    pub severities: Option<BTreeMap<String, Severity>>,
}

/// A signature of the body: HMAC with SHA-256 (RFC 2104), in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    /// The file that holds the secret both sides know.
    #[serde(skip_serializing)]
    pub secret_file: Secret,
    /// The header with the signature. Default: X-Grafana-Alerting-Signature, of Zabbix X-Nodeward-Signature.
    #[serde(default)]
    pub header: Option<String>,
    /// The header with the time of sending in Unix seconds, which is then signed too: `TIME:BODY`, of Zabbix `TIME.BODY`.
    /// Default: none, of Zabbix X-Nodeward-Timestamp.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// How far that time may be from ours, before or after. From 1s to 1h; default 5m.
    #[serde(default = "window")]
    pub window: Period,
}

/// A client certificate, verified with the connection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// Names that are let in: DNS names, URIs and IP addresses, of which one must be a subject alternative name of the
    /// certificate. They are compared as texts; a wildcard matches nothing but itself.
    #[schemars(length(min = 1))]
    pub names: Vec<tls::Name>,
}

fn window() -> Period {
    Period::secs(300)
}

/// Why options cannot be used. Each text names its key below `hooks`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// A name of a hook.
    #[error(
        "{0:?} cannot be the name of a hook: 1 to 64 of a-z, 0-9, - and _ are allowed, and check is the checks' own"
    )]
    Name(String),
    /// A free name without a kind.
    #[error("{0}: kind is missing; write one of alertmanager, grafana, zabbix")]
    NoKind(String),
    /// A signature asked of Alertmanager.
    #[error(
        "{0}: Alertmanager cannot sign what it sends; use bearer_token_file or basic, not hmac"
    )]
    Unsigned(String),
    /// A name of a header.
    #[error("{0}: {1:?} is no name of a header")]
    Header(String, String),
    /// A window.
    #[error("{0}: hmac.window {1} is out of range; it may be from 1s to 1h")]
    Window(String, Period),
    /// A user's name.
    #[error("{0}: basic.username must not be empty and has no colon")]
    Username(String),
    /// A certificate that nobody asks for; and which keys name the listener's TLS.
    #[error(
        "{0}: client_certificate needs {1}.client_ca_file: without it the listener asks no client for a certificate"
    )]
    NoAuthority(String, &'static str),
    /// No name is right.
    #[error("{0}: client_certificate.names is empty, and lets nobody in")]
    NoNames(String),
    /// TLS where hooks have no listener of their own.
    #[error(
        "tls is given, but no listen that it could be for; TLS of http.listen is set by http.tls"
    )]
    TlsAlone,
    /// An API of something else than Alertmanager.
    #[error("{0}: api is Alertmanager's; a hook of another kind cannot ask it")]
    NoApi(String),
    /// A key of `api`.
    #[error("{0}: api.{1}: {2}")]
    Api(String, &'static str, String),
    /// `listen` and no hook.
    #[error("listen is given, but no hook that could be served there")]
    Nothing,
}

impl Invalid {
    /// The hook it is about.
    #[must_use]
    pub fn hook(&self) -> Option<&str> {
        match self {
            Self::Name(hook)
            | Self::NoKind(hook)
            | Self::Unsigned(hook)
            | Self::Header(hook, _)
            | Self::Window(hook, _)
            | Self::Username(hook)
            | Self::NoAuthority(hook, _)
            | Self::NoNames(hook)
            | Self::NoApi(hook)
            | Self::Api(hook, ..) => Some(hook),
            Self::Nothing | Self::TlsAlone => None,
        }
    }
}

impl Invalid {
    /// The key of the hook, or of the section, that it is about, where its text does not begin with it.
    #[must_use]
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::NoAuthority(..) | Self::NoNames(_) => Some("client_certificate"),
            Self::TlsAlone => Some(TLS),
            _ => None,
        }
    }
}

impl Hook {
    /// Whose format a hook of this name takes.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<Kind> {
        let named = || Kind::ALL.into_iter().find(|kind| kind.as_str() == name);
        self.kind.or_else(named)
    }

    /// Whether somebody who sends has to prove who he is.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.bearer_token_file.is_some()
            || self.basic.is_some()
            || self.hmac.is_some()
            || self.client_certificate.is_some()
    }

    /// Whether an alert of this hook may start a playbook.
    #[must_use]
    pub fn may_start(&self, playbook: &str) -> bool {
        let listed = |names: &Vec<String>| names.iter().any(|name| name == playbook);
        self.playbooks.as_ref().is_none_or(listed)
    }

    /// Which words of its alerts mean which severity.
    #[must_use]
    pub fn severities(&self, kind: Kind) -> Severities {
        let mut severities = Severities::of(kind);
        if let Some(label) = &self.severity_label {
            severities = severities.by_label(label);
        }
        match &self.severities {
            Some(words) => severities.with_words(words.clone()),
            None => severities,
        }
    }
}

impl Options {
    /// Checks across the fields, but for the addresses of `listen` and the files of `tls`, given the TLS of HTTP.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self, http: Option<&tls::ServerOptions>) -> Result<(), Vec<Invalid>> {
        let mut invalid = Vec::new();
        let section = if self.listen.is_empty() {
            "http.tls"
        } else {
            "tls"
        };
        let asks = self
            .tls(http)
            .is_some_and(|tls| tls.client_ca_file.is_some());
        for (name, hook) in &self.named {
            let allowed =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
            if !(1..=LONGEST_NAME).contains(&name.len())
                || !name.bytes().all(allowed)
                || name == LOCAL
            {
                invalid.push(Invalid::Name(name.clone()));
            }
            match hook.kind(name) {
                None => invalid.push(Invalid::NoKind(name.clone())),
                Some(Kind::Alertmanager) if hook.hmac.is_some() => {
                    invalid.push(Invalid::Unsigned(name.clone()));
                }
                Some(_) => {}
            }
            if let Some(hmac) = &hook.hmac {
                for header in [&hmac.header, &hmac.timestamp_header].into_iter().flatten() {
                    if header.parse::<HeaderName>().is_err() {
                        invalid.push(Invalid::Header(name.clone(), header.clone()));
                    }
                }
                if !(Period::secs(1)..=Period::secs(3600)).contains(&hmac.window) {
                    invalid.push(Invalid::Window(name.clone(), hmac.window));
                }
            }
            if hook.basic.as_ref().is_some_and(|basic| !basic.has_name()) {
                invalid.push(Invalid::Username(name.clone()));
            }
            if let Some(certificate) = &hook.client_certificate {
                if !asks {
                    invalid.push(Invalid::NoAuthority(name.clone(), section));
                }
                if certificate.names.is_empty() {
                    invalid.push(Invalid::NoNames(name.clone()));
                }
            }
            if let Some(api) = &hook.api {
                if hook.kind(name) != Some(Kind::Alertmanager) {
                    invalid.push(Invalid::NoApi(name.clone()));
                }
                let faults = api.faults().into_iter();
                invalid.extend(faults.map(|(key, why)| Invalid::Api(name.clone(), key, why)));
            }
        }
        if self.tls.is_some() && self.listen.is_empty() {
            invalid.push(Invalid::TlsAlone);
        }
        if self.named.is_empty() && !self.listen.is_empty() {
            invalid.push(Invalid::Nothing);
        }
        if invalid.is_empty() {
            Ok(())
        } else {
            Err(invalid)
        }
    }

    /// Where hooks are served, given where HTTP is.
    #[must_use]
    pub fn places<'a>(&'a self, http: &'a [String]) -> &'a [String] {
        if self.listen.is_empty() {
            http
        } else {
            &self.listen
        }
    }

    /// The TLS spoken where hooks are served, given that of HTTP.
    #[must_use]
    pub fn tls<'a>(
        &'a self,
        http: Option<&'a tls::ServerOptions>,
    ) -> Option<&'a tls::ServerOptions> {
        if self.listen.is_empty() {
            http
        } else {
            self.tls.as_ref()
        }
    }

    /// The hooks that take alerts from everybody, each with a place where others than this machine reach it. In auto
    /// mode such a hook is a button for disruption that anybody may press.
    #[must_use]
    pub fn exposed<'a>(&'a self, http: &'a Http) -> Vec<(&'a str, &'a str)> {
        let open = |text: &&String| Address::or_passed(text).is_ok_and(|a| !a.is_local());
        let Some(place) = self.places(&http.listen).iter().find(open) else {
            return Vec::new();
        };
        let known_only = |tls: &tls::ServerOptions| {
            tls.client_auth() == tls::ClientAuth::RequireAndVerifyClientCert
        };
        if self.tls(http.tls.as_ref()).is_some_and(known_only) {
            return Vec::new();
        }
        let unguarded = self.named.iter().filter(|(_, hook)| !hook.is_guarded());
        unguarded
            .map(|(name, _)| (name.as_str(), place.as_str()))
            .collect()
    }
}

impl Serialize for Options {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.listen.is_empty() {
            map.serialize_entry(LISTEN, &self.listen)?;
        }
        if let Some(tls) = &self.tls {
            map.serialize_entry(TLS, tls)?;
        }
        for entry in &self.named {
            map.serialize_entry(entry.0, entry.1)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Options;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of hooks")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Options, A::Error> {
                let mut options = Options::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == LISTEN {
                        options.listen = map.next_value()?;
                    } else if name == TLS {
                        options.tls = map.next_value()?;
                    } else {
                        // A drop-in takes a hook away with null; that must not leave one without a guard.
                        let hook: Option<Hook> = map.next_value()?;
                        options.named.extend(hook.map(|hook| (name, hook)));
                    }
                }
                Ok(options)
            }
        }
        deserializer.deserialize_map(Named)
    }
}

impl JsonSchema for Options {
    fn schema_name() -> Cow<'static, str> {
        "Hooks".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "listen": {
                    "type": "array",
                    "items": { "type": "string" },
                    "default": [],
                    "description": "Addresses where only hooks are served, and then nowhere else. Default: none, and hooks are \
                        served on `http.listen`."
                },
                "tls": generator.subschema_for::<Option<tls::ServerOptions>>()
            },
            "additionalProperties": generator.subschema_for::<Option<Hook>>(),
        })
    }
}
