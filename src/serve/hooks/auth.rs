//! Who may send to a hook.
//!
//! Whoever sends a token or a name with its password is let in by either; a signature and a client certificate are asked for
//! beside them. Nothing
//! is compared but hashes, in constant time, so neither the content nor the length of a secret shows in how long a
//! refusal takes. A signature may be sent again within its window: the same body is the same delivery, and does nothing
//! twice.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::header::{HeaderMap, HeaderName};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::options::{self, Hook};
use crate::heal::intake::Kind;
use crate::model::hex;
use crate::net::tls::{Certificate, Name};
use crate::serve::tokens::{Hash, Known, basic, credentials, hash};

/// What a hook asks of who sends.
pub(super) struct Guard {
    tokens: Known,
    basic: Option<Hash>,
    signed: Option<Signed>,
    /// Names of which one must be in the certificate; empty where none is asked for.
    names: Vec<Name>,
}

struct Signed {
    /// None if the secret cannot be a key; then nothing is let in.
    mac: Option<Hmac<Sha256>>,
    header: HeaderName,
    timestamp: Option<HeaderName>,
    separator: u8,
    window: u64,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Denied {
    #[error("no token or password was sent")]
    NoCredentials,
    #[error("the token or password is wrong")]
    Credentials,
    #[error("the body is not signed, or its signature is no 64 hexadecimal digits")]
    NoSignature,
    #[error("the time of the signature is missing or too far from the time here")]
    Time,
    #[error("the signature is wrong")]
    Signature,
    #[error("no client certificate was sent")]
    NoCertificate,
    #[error("no name of the client certificate is let in here (client_certificate.names)")]
    Certificate,
}

impl Denied {
    /// Whether other credentials may help (401) or not (403).
    pub(super) fn is_of_credentials(self) -> bool {
        matches!(self, Self::NoCredentials | Self::Credentials)
    }
}

impl Guard {
    pub(super) fn new(hook: &Hook, kind: Kind) -> Self {
        let basic = hook.basic.as_ref().map(|basic| {
            hash(format!("{}:{}", basic.username, basic.password_file.reveal()).as_bytes())
        });
        Self {
            tokens: Known::new(&hook.bearer_token_file),
            basic,
            signed: hook.hmac.as_ref().map(|hmac| Signed::new(hmac, kind)),
            names: hook
                .client_certificate
                .as_ref()
                .map(|certificate| certificate.names.clone())
                .unwrap_or_default(),
        }
    }

    /// Whether it asks anything.
    pub(super) fn asks(&self) -> bool {
        let login = !self.tokens.is_empty() || self.basic.is_some() || self.signed.is_some();
        login || !self.names.is_empty()
    }

    /// The schemes to name in `WWW-Authenticate`.
    pub(super) fn schemes(&self) -> impl Iterator<Item = &'static str> {
        let bearer = (!self.tokens.is_empty()).then_some("Bearer realm=\"nodeward\"");
        let basic = self
            .basic
            .map(|_| "Basic realm=\"nodeward\", charset=\"UTF-8\"");
        bearer.into_iter().chain(basic)
    }

    /// Looks at the certificate and the headers alone, before a byte of the body is read.
    pub(super) fn head(
        &self,
        headers: &HeaderMap,
        certificate: Option<&Certificate>,
    ) -> Result<(), Denied> {
        if !self.names.is_empty() {
            match certificate {
                None => return Err(Denied::NoCertificate),
                Some(certificate) if !certificate.is_one_of(&self.names) => {
                    return Err(Denied::Certificate);
                }
                Some(_) => {}
            }
        }
        if !self.tokens.is_empty() || self.basic.is_some() {
            self.credentials(headers)?;
        }
        match &self.signed {
            Some(signed) => signed.given(headers).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The name that is sent with a password, for the record; none where it may be a secret in the wrong place.
    pub(super) fn name(&self, headers: &HeaderMap) -> Option<String> {
        self.basic?;
        let (name, _) = basic(headers)?;
        let is_token = bool::from(self.tokens.holds(&hash(name.as_bytes())));
        (!is_token).then_some(name)
    }

    fn credentials(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let given = credentials(headers).ok_or(Denied::NoCredentials)?;
        let (scheme, given) = given.map_err(|()| Denied::Credentials)?;
        let is = |name| scheme.eq_ignore_ascii_case(name);
        let matches = if is("bearer") {
            self.tokens.holds(&hash(given.as_bytes()))
        } else if is("basic") {
            let given = hash(&STANDARD.decode(given).map_err(|_| Denied::Credentials)?);
            self.basic
                .map_or(Choice::from(0), |basic| basic.ct_eq(&given))
        } else {
            Choice::from(0)
        };
        if bool::from(matches) {
            Ok(())
        } else {
            Err(Denied::Credentials)
        }
    }

    /// Looks at the signature of the body.
    pub(super) fn body(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Result<(), Denied> {
        match &self.signed {
            Some(signed) => signed.verify(headers, body, now),
            None => Ok(()),
        }
    }
}

impl Signed {
    fn new(hmac: &options::Hmac, kind: Kind) -> Self {
        let of_zabbix = kind == Kind::Zabbix;
        let named = |name: &Option<String>| name.as_ref().and_then(|name| name.parse().ok());
        let default = if of_zabbix {
            HeaderName::from_static("x-nodeward-signature")
        } else {
            HeaderName::from_static("x-grafana-alerting-signature")
        };
        let timestamp = HeaderName::from_static("x-nodeward-timestamp");
        Self {
            mac: Hmac::new_from_slice(hmac.secret_file.reveal().as_bytes()).ok(),
            header: named(&hmac.header).unwrap_or(default),
            timestamp: named(&hmac.timestamp_header).or(of_zabbix.then_some(timestamp)),
            separator: if of_zabbix { b'.' } else { b':' },
            window: hmac.window.get().as_secs(),
        }
    }

    /// The signature that was sent.
    fn given(&self, headers: &HeaderMap) -> Result<Hash, Denied> {
        let given = headers.get(&self.header).ok_or(Denied::NoSignature)?;
        hex::read(given.as_bytes()).ok_or(Denied::NoSignature)
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Result<(), Denied> {
        let given = self.given(headers)?;
        let mut mac = self.mac.clone().ok_or(Denied::Signature)?;
        if let Some(name) = &self.timestamp {
            let text = headers.get(name).ok_or(Denied::Time)?;
            let text = text.to_str().map_err(|_| Denied::Time)?;
            let sent: u64 = text.parse().map_err(|_| Denied::Time)?;
            let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            if now.abs_diff(sent) > self.window {
                return Err(Denied::Time);
            }
            mac.update(text.as_bytes());
            mac.update(&[self.separator]);
        }
        mac.update(body);
        mac.verify_slice(&given).map_err(|_| Denied::Signature)
    }
}
