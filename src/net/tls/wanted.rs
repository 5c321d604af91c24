//! What is wanted of a certificate beyond that a known authority issued it.
//!
//! Owns the verifiers that look at it after the authority's signature was checked, and never instead.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};
use webpki::EndEntityCert;

use super::certificate::{self, Name};
use super::distinguished;

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of these names in it.
    Names(Vec<Name>),
    /// These texts as its issuer and its subject; none: any.
    Person {
        issuer: Option<String>,
        subject: Option<String>,
    },
}

/// A certificate whose issuer or subject is another than the one wanted.
#[derive(Debug)]
pub(super) struct Stranger {
    what: &'static str,
    found: String,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, found } = self;
        write!(
            f,
            "the {what} of its certificate is {found:?}, not the text of server_cert_{what}"
        )
    }
}

impl std::error::Error for Stranger {}

impl Wanted {
    /// Whether a certificate is as it should be.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn check(&self, der: &CertificateDer<'_>) -> Result<(), Error> {
        let (issuer, subject) = match self {
            Self::Names(allowed) => {
                return match certificate::is_one_of(der, allowed) {
                    true => Ok(()),
                    false => Err(CertificateError::ApplicationVerificationFailure.into()),
                };
            }
            Self::Person { issuer, subject } => (issuer, subject),
        };
        let shown =
            EndEntityCert::try_from(der).map_err(|_| Error::from(CertificateError::BadEncoding))?;
        for (what, wanted, name) in [
            ("issuer", issuer, shown.issuer()),
            ("subject", subject, shown.subject()),
        ] {
            if wanted
                .as_ref()
                .is_some_and(|text| !distinguished::is(name, text))
            {
                let found = distinguished::text(name).unwrap_or_default();
                let found = found.chars().take(512).collect();
                let stranger = OtherError(Arc::new(Stranger { what, found }));
                return Err(CertificateError::Other(stranger).into());
            }
        }
        Ok(())
    }
}

/// What two traits of rustls ask for alike: signatures are the verifier's own affair.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.verifier.verify_tls12_signature(message, cert, dss)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.verifier.verify_tls13_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.verifier.supported_verify_schemes()
        }
    };
}

/// Takes only clients that are wanted.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    pub(super) wanted: Wanted,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .verifier
            .verify_client_cert(end_entity, intermediates, now)?;
        self.wanted.check(end_entity).map(|()| verified)
    }

    signatures!();
}

/// Takes only servers that are wanted, whatever host their certificate is for: who they are, their authority and their subject say.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) wanted: Wanted,
}

impl ServerCertVerifier for Servers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is looked at last, when all else was found to be good.
            Ok(_)
            | Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            Err(error) => return Err(error),
        }
        let verified = ServerCertVerified::assertion();
        self.wanted.check(end_entity).map(|()| verified)
    }

    signatures!();
}
