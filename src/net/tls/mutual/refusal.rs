//! What was wrong with a handshake, in words that name the settings of two that know each other.

use std::io;

use rustls::{CertificateError, Error};

use super::super::Refusal;
use super::super::refusal::{behind, time};

/// What an error of a stream says.
pub(super) fn of(error: &io::Error) -> Refusal {
    behind(error).map_or_else(|| Refusal::Other(error.to_string()), of_tls)
}

/// What TLS itself, or the verifier of certificates, says.
pub(super) fn of_tls(error: &Error) -> Refusal {
    let why = match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "its certificate was issued by no authority of tls.ca_file".to_owned()
        }
        Error::InvalidCertificate(CertificateError::UnknownRevocationStatus) => {
            "tls.crl_file has no list of an authority of its certificate: add it".to_owned()
        }
        Error::InvalidCertificate(CertificateError::ExpiredRevocationListContext {
            next_update,
            ..
        }) => {
            let end = time(next_update.as_secs());
            format!(
                "the list in tls.crl_file of an authority of its certificate is out of date since {end}: fetch a new one"
            )
        }
        Error::InvalidCertRevocationList(wrong) => {
            format!(
                "a list in tls.crl_file of an authority of its certificate cannot be used: {wrong:?}"
            )
        }
        error => return Refusal::from(error),
    };
    Refusal::Certificate(why)
}
