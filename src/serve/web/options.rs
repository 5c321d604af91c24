//! The web configuration file of Prometheus' exporters (exporter-toolkit 0.17), key by key.
//!
//! Owns what its keys mean here. What cannot be done as it is asked for is refused, with what to write instead.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hyper::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;

use super::hash::PasswordHash;
use crate::model::duration::Period;
use crate::model::nearest::nearest;
use crate::net::tls::{self, ClientAuth, Curve, Inline, Name, Suite, Version};

/// The whole file. An empty one asks for nothing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// TLS. Without it plain HTTP is spoken.
    pub tls_server_config: Option<TlsServer>,
    /// HTTP.
    pub http_server_config: Option<HttpServer>,
    /// Who may ask: names with the bcrypt hashes of their passwords. Without one everybody may.
    pub basic_auth_users: Option<BTreeMap<String, PasswordHash>>,
    /// How fast all together may ask.
    pub rate_limit: Option<RateLimit>,
}

/// `tls_server_config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsServer {
    /// The certificate and those behind it, PEM.
    pub cert: Option<String>,
    /// Its private key, PEM.
    #[schemars(with = "Option<String>")]
    pub key: Option<Text>,
    /// The authorities whose client certificates are taken, PEM.
    pub client_ca: Option<String>,
    /// A file with the certificate.
    pub cert_file: Option<PathBuf>,
    /// A file with its key.
    pub key_file: Option<PathBuf>,
    /// Whether a client must have a certificate.
    pub client_auth_type: Option<String>,
    /// A file with the authorities of clients.
    pub client_ca_file: Option<PathBuf>,
    /// Names of which a client's certificate must have one.
    pub client_allowed_sans: Option<Vec<Name>>,
    /// The oldest version that is spoken.
    pub min_version: Option<String>,
    /// The newest version that is spoken.
    pub max_version: Option<String>,
    /// The suites of TLS 1.2 that are spoken.
    pub cipher_suites: Option<Vec<Suite>>,
    /// Whether the server's order of suites counts.
    pub prefer_server_cipher_suites: Option<bool>,
    /// The curves that are used.
    pub curve_preferences: Option<Vec<Curve>>,
}

/// A text that is a secret and stands in the file itself.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// `http_server_config`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpServer {
    /// Whether HTTP/2 is offered. nodeward offers HTTP/1.1 alone, which clients of HTTP/2 take.
    pub http2: Option<bool>,
    /// Headers of every answer.
    pub headers: Option<Headers>,
}

/// The headers that may be set.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Headers {
    /// CSP.
    #[serde(rename = "Content-Security-Policy")]
    pub content_security_policy: Option<String>,
    /// RFC 6797.
    #[serde(rename = "Strict-Transport-Security")]
    pub strict_transport_security: Option<String>,
    /// `nosniff`.
    #[serde(rename = "X-Content-Type-Options")]
    pub x_content_type_options: Option<String>,
    /// `deny` or `sameorigin` (RFC 7034).
    #[serde(rename = "X-Frame-Options")]
    pub x_frame_options: Option<String>,
    /// For old browsers.
    #[serde(rename = "X-XSS-Protection")]
    pub x_xss_protection: Option<String>,
}

/// `rate_limit`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimit {
    /// Between two requests; 0s is no limit.
    pub interval: Period,
    /// How many may come at once.
    pub burst: u32,
}

/// What is wrong: the keys that lead to it, and why.
pub type Wrong = (Vec<&'static str>, String);

const TLS: &str = "tls_server_config";

impl File {
    /// What is wrong with it, and with the files it names; may block.
    #[must_use]
    pub fn faults(&self) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        match self.tls() {
            Ok(None) => {}
            Ok(Some(options)) => {
                let faults = options.faults().into_iter();
                wrong.extend(faults.map(|fault| (vec![TLS, fault.key], fault.why)));
            }
            Err(faults) => wrong.extend(faults),
        }
        for (name, value) in self.headers_as_written() {
            let allowed: &[&str] = match name {
                "X-Content-Type-Options" => &["nosniff"],
                "X-Frame-Options" => &["deny", "sameorigin"],
                _ => &[],
            };
            let path = vec!["http_server_config", "headers", name];
            if HeaderValue::from_str(value).is_err() {
                wrong.push((path, "no header can have this value".into()));
            } else if !allowed.is_empty() && !allowed.contains(&value) {
                wrong.push((path, format!("{value:?} is none of {}", allowed.join(", "))));
            }
        }
        for name in self.basic_auth_users.iter().flatten().map(|(name, _)| name) {
            if name.is_empty() || name.contains(':') {
                let why =
                    format!("{name:?} cannot be sent as a name: a colon would begin the password");
                wrong.push((vec!["basic_auth_users"], why));
            }
        }
        if self
            .rate_limit
            .as_ref()
            .is_some_and(|rate| !rate.interval.get().is_zero() && rate.burst == 0)
        {
            let why = "0 would let nobody in: write how many may come at once";
            wrong.push((vec!["rate_limit", "burst"], why.into()));
        }
        wrong
    }

    /// What is worth a warning. May block.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let tls = self.tls().ok().flatten();
        let faults = tls.iter().flat_map(tls::ServerOptions::warnings);
        let mut warnings: Vec<_> = faults.map(|fault| format!("{TLS}.{fault}")).collect();
        let http2 = self.http_server_config.as_ref().and_then(|http| http.http2);
        if http2 == Some(true) {
            warnings.push("http_server_config.http2: nodeward speaks HTTP/1.1 only, which is what clients of HTTP/2 go on with".into());
        }
        warnings
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_server_config
            .as_ref()
            .is_some_and(|tls| *tls != TlsServer::default())
    }

    /// Whether anybody must log in.
    #[must_use]
    pub fn has_users(&self) -> bool {
        self.basic_auth_users
            .as_ref()
            .is_some_and(|users| !users.is_empty())
    }

    /// Whether secrets stand in it, hashed ones included.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        let key = self
            .tls_server_config
            .as_ref()
            .and_then(|tls| tls.key.as_ref());
        key.is_some() || self.has_users()
    }

    /// The settings of a listener; none for plain text.
    ///
    /// # Errors
    /// What of it cannot be done here.
    pub fn tls(&self) -> Result<Option<tls::ServerOptions>, Vec<Wrong>> {
        match self.tls_server_config.as_ref().filter(|_| self.has_tls()) {
            Some(tls) => tls.options().map(Some),
            None => Ok(None),
        }
    }

    fn headers_as_written(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let headers = self
            .http_server_config
            .as_ref()
            .and_then(|http| http.headers.as_ref());
        let all = headers.map(|headers| {
            [
                ("Content-Security-Policy", &headers.content_security_policy),
                (
                    "Strict-Transport-Security",
                    &headers.strict_transport_security,
                ),
                ("X-Content-Type-Options", &headers.x_content_type_options),
                ("X-Frame-Options", &headers.x_frame_options),
                ("X-XSS-Protection", &headers.x_xss_protection),
            ]
        });
        let all = all.into_iter().flatten();
        // An empty one sets nothing.
        all.filter_map(|(name, value)| {
            Some((name, value.as_deref().filter(|value| !value.is_empty())?))
        })
    }

    /// The headers that every answer gets.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let pair = |(name, value): (&str, &str)| Some((name.parse().ok()?, value.parse().ok()?));
        self.headers_as_written().filter_map(pair).collect()
    }
}

impl TlsServer {
    fn options(&self) -> Result<tls::ServerOptions, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut fault = |key: &'static str, why: String| wrong.push((vec![TLS, key], why));
        for (file, text, given) in [
            ("cert_file", "cert", (&self.cert_file, self.cert.is_some())),
            ("key_file", "key", (&self.key_file, self.key.is_some())),
        ] {
            match given {
                (None, false) => fault(
                    file,
                    format!(
                        "is missing: TLS needs {file}, or {text}; take the section out for plain HTTP"
                    ),
                ),
                (Some(_), true) => fault(text, format!("stands beside {file}; keep one of both")),
                _ => {}
            }
        }
        if self.client_ca_file.is_some() && self.client_ca.is_some() {
            fault(
                "client_ca",
                "stands beside client_ca_file; keep one of both".into(),
            );
        }
        let auth = self.client_auth_type.as_deref();
        let auth = auth.map_or(Ok(ClientAuth::NoClientCert), client_auth);
        let (oldest, newest) = (version(&self.min_version), version(&self.max_version));
        for (key, refused) in [
            ("client_auth_type", auth.as_ref().err()),
            ("min_version", oldest.as_ref().err()),
            ("max_version", newest.as_ref().err()),
        ] {
            if let Some(why) = refused {
                fault(key, why.clone());
            }
        }
        let (Ok(auth), Ok(oldest), Ok(newest), true) = (auth, oldest, newest, wrong.is_empty())
        else {
            return Err(wrong);
        };
        Ok(tls::ServerOptions {
            cert_file: self.cert_file.clone().unwrap_or_default(),
            key_file: self.key_file.clone().unwrap_or_default(),
            client_ca_file: self.client_ca_file.clone(),
            client_auth_type: Some(auth),
            client_allowed_sans: self.client_allowed_sans.clone().unwrap_or_default(),
            min_version: oldest.unwrap_or_default(),
            max_version: newest,
            cipher_suites: self.cipher_suites.clone().unwrap_or_default(),
            prefer_server_cipher_suites: self.prefer_server_cipher_suites,
            curve_preferences: self.curve_preferences.clone().unwrap_or_default(),
            inline: Inline {
                cert: self.cert.clone(),
                key: self
                    .key
                    .as_ref()
                    .map(|key| crate::model::secret::Secret::new(&*key.0)),
                client_ca: self.client_ca.clone(),
            },
        })
    }
}

fn client_auth(text: &str) -> Result<ClientAuth, String> {
    match text {
        "" | "NoClientCert" => Ok(ClientAuth::NoClientCert),
        "VerifyClientCertIfGiven" => Ok(ClientAuth::VerifyClientCertIfGiven),
        "RequireAndVerifyClientCert" => Ok(ClientAuth::RequireAndVerifyClientCert),
        "RequestClientCert" => Err(
            "RequestClientCert asks for certificates and looks at none: write NoClientCert, which lets the same clients in, or \
             VerifyClientCertIfGiven with client_ca_file"
                .into(),
        ),
        "RequireAnyClientCert" | "RequireClientCert" => Err(format!(
            "{text} takes certificates that nobody vouches for, and anybody can make one: write RequireAndVerifyClientCert with \
             client_ca_file"
        )),
        _ => {
            let known = ["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"];
            let meant = nearest(text, known).map(|name| format!("; did you mean {name}?"));
            let meant = meant.unwrap_or_else(|| format!("; there are {}", known.join(", ")));
            Err(format!("{text:?} is none{meant}"))
        }
    }
}

fn version(text: &Option<String>) -> Result<Option<Version>, String> {
    match text.as_deref() {
        None => Ok(None),
        Some("TLS12") => Ok(Some(Version::TLS12)),
        Some("TLS13") => Ok(Some(Version::TLS13)),
        Some(old @ ("TLS10" | "TLS11")) => Err(format!(
            "{old} is not spoken here, nor is anything older than TLS12 (RFC 8996): write TLS12; clients that know no newer one \
             cannot connect"
        )),
        Some(other) => Err(format!(
            "no version is called {other:?}; there are TLS12 and TLS13"
        )),
    }
}
