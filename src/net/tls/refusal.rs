//! Why there is no TLS connection, in words that name what to do.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::wanted::Stranger;

/// Why a handshake, or a connection soon after it, came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What the other end spoke is no TLS.
    #[error(
        "what came is no TLS: is that a port for plain text, or was plain text sent to one for TLS?"
    )]
    NotTls,
    /// No version or algorithm in common.
    #[error("no version of TLS or no algorithm in common: {0}")]
    Incompatible(String),
    /// The certificate of the other end, and what is wrong with it.
    #[error("{0}")]
    Certificate(String),
    /// The other end sent no certificate, and must.
    #[error("no client certificate was sent")]
    NoCertificate,
    /// The other end refused ours, or that there was none.
    #[error("{0}")]
    Ours(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Refusal {
    /// The refusal behind an error of a stream, if that is one.
    #[must_use]
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        behind(error).map(Self::from)
    }
}

/// What TLS itself found wrong, behind an error of a stream.
pub(super) fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    for _ in 0..8 {
        let error = next?;
        if let Some(refused) = error.downcast_ref::<Error>() {
            return Some(refused);
        }
        next = match error.downcast_ref::<io::Error>() {
            Some(io) => io
                .get_ref()
                .map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        match error {
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::InvalidCertificate(wrong) => Self::Certificate(certificate(wrong)),
            Error::PeerIncompatible(why) => Self::Incompatible(incompatible(why)),
            Error::NoApplicationProtocol => {
                Self::Incompatible("it offers none of the protocols spoken here (ALPN)".into())
            }
            Error::AlertReceived(alert) => alerted(*alert),
            error => Self::Other(error.to_string()),
        }
    }
}

fn incompatible(why: &PeerIncompatible) -> String {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
        | PeerIncompatible::SupportedVersionsExtensionRequired => {
            "the other end speaks none of the versions allowed here".into()
        }
        why => format!("{why:?}"),
    }
}

/// What the other end said against us.
fn alerted(alert: AlertDescription) -> Refusal {
    match alert {
        AlertDescription::CertificateRequired => Refusal::Ours(
            "the other end asks for a client certificate: set tls.cert_file and tls.key_file"
                .into(),
        ),
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => Refusal::Ours(format!(
            "the other end does not take the certificate shown to it, or that there is none ({alert:?})"
        )),
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity
        | AlertDescription::NoApplicationProtocol => {
            Refusal::Incompatible(format!("the other end says {alert:?}"))
        }
        alert => Refusal::Other(format!("the other end says {alert:?}")),
    }
}

fn certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::Expired => "its certificate has expired".into(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}", time(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "its certificate is not valid before {}: is the clock of this machine right?",
            time(not_before.as_secs())
        ),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = presented.iter().take(8).map(|name| bare(name));
            let names = names.collect::<Vec<_>>().join(", ");
            let has = match names.is_empty() {
                true => "has no name".to_owned(),
                false => format!("is for {names}"),
            };
            format!(
                "its certificate {has}, not for {}: name it as its certificate does, or set tls.server_name",
                expected.to_str()
            )
        }
        CertificateError::UnknownIssuer => {
            "its certificate was issued by no authority that is trusted here: set tls.ca_file (of a listener, client_ca_file)"
                .into()
        }
        CertificateError::ApplicationVerificationFailure => {
            "none of the names in its certificate is allowed (client_allowed_sans)".into()
        }
        CertificateError::InvalidPurposeContext { .. } => {
            format!("its certificate is for another purpose: {wrong}")
        }
        CertificateError::Other(other) if other.0.is::<Stranger>() => other.0.to_string(),
        CertificateError::Revoked => "its certificate was revoked by its authority".into(),
        // A self-signed certificate as `openssl req -x509` makes it.
        CertificateError::Other(other)
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "its certificate is that of an authority and cannot be a server's or client's own: have one issued by it \
             (basicConstraints CA:FALSE)"
                .into()
        }
        wrong => format!("its certificate cannot be used: {wrong}"),
    }
}

/// `DnsName("a.example")` and `IpAddress(10.0.0.5)` without their wrapping.
fn bare(name: &str) -> &str {
    name.split(['(', ')'])
        .nth(1)
        .unwrap_or(name)
        .trim_matches('"')
}

/// Unix seconds as people write them.
pub(super) fn time(seconds: u64) -> String {
    let at = i64::try_from(seconds).ok();
    let at = at.and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(|| seconds.to_string(), |at| at.to_string())
}
