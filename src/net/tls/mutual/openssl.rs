//! Pre-shared keys, by OpenSSL: TLS 1.2 (RFC 4279, RFC 5489) and TLS 1.3 with an external key.
//!
//! Owns the two contexts, and the proof that a finished handshake went by the key. That it is finished is none: under TLS 1.3 a key that
//! is not used is silently left out, and a certificate takes its place. What such a certificate is worth the verifier of rustls decides
//! within the handshake, so that the peer hears it from an alert.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef,
    SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509StoreContextRef};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use subtle::ConstantTimeEq;
use tokio_openssl::SslStream;

use super::super::Refusal;
use super::super::files::{self, Fault, Pem};
use super::refusal::of_tls;
use super::{Options, named};
use crate::net::stream::Stream as Plain;

/// A connection that OpenSSL protects.
pub type Stream = SslStream<Plain>;

/// The suites of TLS 1.2 with a key that agents and servers offer, those with forward secrecy first.
const PSK: &str = "ECDHE-PSK-AES128-CBC-SHA256:ECDHE-PSK-AES128-CBC-SHA:PSK-AES128-GCM-SHA256:PSK-AES128-CBC-SHA256:PSK-AES128-CBC-SHA";
/// Those with certificates.
const CERT: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
/// Those of TLS 1.3: a key goes with SHA-256 only.
const TLS13: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

/// What both sides have in common.
fn context(suites: &str) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_options(
        SslOptions::NO_TICKET | SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION,
    );
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    context.set_cipher_list(suites)?;
    context.set_ciphersuites(TLS13)?;
    context.set_groups_list("P-256:X25519")?;
    Ok(context)
}

/// Takes handshakes by a key, and by certificates where a verifier of those is given.
pub(super) struct Acceptor {
    context: SslContext,
    identity: String,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Acceptor {
    pub(super) fn new(
        options: &Options,
        verifier: Option<Arc<dyn ClientCertVerifier>>,
    ) -> Result<Self, Fault> {
        let fault = |error: ErrorStack| Fault::new("accept", format!("OpenSSL: {error}"));
        let (key, identity) = (
            options.key()?,
            options.psk_identity.clone().unwrap_or_default(),
        );
        let mut context = match &verifier {
            Some(_) => context(&format!("{PSK}:{CERT}")),
            None => context(PSK),
        }
        .map_err(fault)?;
        let known = identity.clone();
        context.set_psk_server_callback(move |_, shown, room| {
            let shown = shown.unwrap_or_default();
            // Who has another name fails as one with another key does: by the first message that the key protects.
            if !bool::from(shown.ct_eq(known.as_bytes())) {
                let mut other = [0; 32];
                openssl::rand::rand_bytes(&mut other)?;
                return Ok(put(&other, room));
            }
            Ok(put(key.reveal(), room))
        });
        if verifier.is_some() {
            shown(options, &mut context)?;
            context.set_session_id_context(b"nodeward").map_err(fault)?;
        }
        Ok(Self {
            context: context.build(),
            identity,
            verifier,
        })
    }

    pub(super) async fn accept(&self, stream: Plain) -> Result<Plain, Refusal> {
        let mut ssl = Ssl::new(&self.context).map_err(broken)?;
        let verdict = Arc::new(Verdict::new());
        if let Some(verifier) = &self.verifier {
            let (verifier, verdict) = (Arc::clone(verifier), Arc::clone(&verdict));
            let must = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
            ssl.set_verify_callback(must, move |sound, shown| {
                // Called for each certificate that OpenSSL has put in a row, and for what it thinks is wrong with one, which nobody
                // asks for: it knows no authority. The last call is for the peer's own, the row then being whole.
                let last = sound && shown.error_depth() == 0;
                !last || verdict.get_or_init(|| judged(&*verifier, shown)).is_ok()
            });
        }
        let mut stream = SslStream::new(ssl, stream).map_err(broken)?;
        let shaken = Pin::new(&mut stream).accept().await;
        if let Some(Err(refused)) = verdict.get() {
            return Err(refused.clone());
        }
        if let Err(error) = shaken {
            let refusal = refusal(&error, &self.identity);
            return Err(match refusal {
                // Of a GnuTLS whose key is another: what it says in plain is no record to OpenSSL.
                Refusal::NotTls if has_greeted(stream.ssl()) => Refusal::Certificate(format!(
                    "the other end gave up behind its greeting, as one does whose pre-shared key or identity is another (here psk_identity is {:?})",
                    self.identity
                )),
                refusal => refusal,
            });
        }
        // Neither a key nor a certificate that was found good: nobody.
        if !by_key(stream.ssl()) && verdict.get().is_none() {
            return Err(Refusal::NoCertificate);
        }
        Ok(Plain::Psk(Box::new(stream)))
    }
}

/// What was found of the certificate that a peer has shown.
type Verdict = OnceLock<Result<(), Refusal>>;

/// What the verifier that all others have says of a row of certificates, the peer's own first.
fn judged(verifier: &dyn ClientCertVerifier, shown: &X509StoreContextRef) -> Result<(), Refusal> {
    let row = shown.chain().into_iter().flatten();
    let row: Result<Vec<_>, _> = row
        .map(|one| one.to_der().map(CertificateDer::from))
        .collect();
    let row = row.map_err(broken)?;
    let (own, behind) = row.split_first().ok_or(Refusal::NoCertificate)?;
    let taken = verifier.verify_client_cert(own, behind, UnixTime::now());
    taken.map(drop).map_err(|error| of_tls(&error))
}

/// The certificate that a listener shows.
fn shown(options: &Options, context: &mut SslContextBuilder) -> Result<(), Fault> {
    // Reads them first, for words that say what is wrong.
    options.pair()?;
    let cert = named("cert_file", &options.cert_file)?;
    let key = named("key_file", &options.key_file)?;
    let put = |context: &mut SslContextBuilder| -> Result<(), Box<dyn std::error::Error>> {
        let mut chain = X509::stack_from_pem(&files::read(cert)?)?.into_iter();
        if let Some(own) = chain.next() {
            context.set_certificate(&own)?;
        }
        for above in chain {
            context.add_extra_chain_cert(above)?;
        }
        let key = PKey::private_key_from_pem(&files::read(key)?)?;
        context.set_private_key(&key)?;
        Ok(context.check_private_key()?)
    };
    put(context).map_err(|error| {
        let shown = Pem::File(cert);
        Fault::new(
            "cert_file",
            format!("OpenSSL cannot use {shown} with its key: {error}"),
        )
    })
}

/// Makes connections by a key.
pub(super) struct Connector {
    context: SslContext,
    identity: String,
}

impl Connector {
    pub(super) fn new(options: &Options) -> Result<Self, Fault> {
        let fault = |error: ErrorStack| Fault::new("connect", format!("OpenSSL: {error}"));
        let (key, identity) = (
            options.key()?,
            options.psk_identity.clone().unwrap_or_default(),
        );
        let mut context = context(PSK).map_err(fault)?;
        // No authority is trusted: a certificate in the place of the key ends the handshake.
        context.set_verify(SslVerifyMode::PEER);
        let name = identity.clone();
        context.set_psk_client_callback(move |_, _, identity, room| {
            let Some(place) = identity.get_mut(..=name.len()) else {
                return Ok(0);
            };
            let ended = name.bytes().chain([0]);
            place
                .iter_mut()
                .zip(ended)
                .for_each(|(to, from)| *to = from);
            Ok(put(key.reveal(), room))
        });
        Ok(Self {
            context: context.build(),
            identity,
        })
    }

    pub(super) async fn connect(&self, stream: Plain) -> Result<Plain, Refusal> {
        let ssl = Ssl::new(&self.context).map_err(broken)?;
        let mut stream = SslStream::new(ssl, stream).map_err(broken)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            return Err(refusal(&error, &self.identity));
        }
        match by_key(stream.ssl()) {
            true => Ok(Plain::Psk(Box::new(stream))),
            false => Err(Refusal::Incompatible(
                "the other end did not use the pre-shared key".into(),
            )),
        }
    }
}

/// Whether the handshake that is over went by the key.
fn by_key(ssl: &SslRef) -> bool {
    match ssl.version2() {
        // No session is ever resumed here, so that one that is was made of the external key.
        Some(SslVersion::TLS1_3) => ssl.session_reused(),
        Some(SslVersion::TLS1_2) => ssl
            .current_cipher()
            .is_some_and(|suite| suite.name().contains("PSK-")),
        _ => false,
    }
}

/// Copies a key to where OpenSSL wants it; its length, 0 where it does not fit.
fn put(key: &[u8], room: &mut [u8]) -> usize {
    match room.get_mut(..key.len()) {
        Some(place) => {
            place.copy_from_slice(key);
            key.len()
        }
        None => 0,
    }
}

/// Whether the greeting of the other end came, and was one.
fn has_greeted(ssl: &SslRef) -> bool {
    let mut random = [0; 32];
    ssl.client_random(&mut random);
    random != [0; 32]
}

fn broken(error: ErrorStack) -> Refusal {
    Refusal::Other(format!("OpenSSL: {error}"))
}

/// What an error of a handshake says.
fn refusal(error: &openssl::ssl::Error, identity: &str) -> Refusal {
    if let Some(error) = error.io_error() {
        return Refusal::Other(error.to_string());
    }
    if error.code() == ErrorCode::SYSCALL || error.code() == ErrorCode::ZERO_RETURN {
        return Refusal::Other("the other end closed the connection".into());
    }
    let reasons = error
        .ssl_error()
        .map(ErrorStack::errors)
        .unwrap_or_default();
    let reason = reasons.last().and_then(openssl::error::Error::reason);
    let Some(reason) = reason else {
        return Refusal::Other("the other end closed the connection".into());
    };
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    if has(&["did not return a certificate"]) {
        return Refusal::NoCertificate;
    }
    if has(&[
        "alert bad certificate",
        "alert unsupported certificate",
        "alert certificate",
        "alert unknown ca",
        "alert access denied",
    ]) {
        return Refusal::Ours(format!(
            "the other end does not take the certificate shown to it ({reason})"
        ));
    }
    if has(&["http request", "wrong version number", "record"]) && !has(&["mac", "decrypt"]) {
        return Refusal::NotTls;
    }
    if has(&[
        "no shared cipher",
        "unsupported protocol",
        "no suitable",
        "handshake failure",
        "protocol version",
        "no cipher",
    ]) {
        return Refusal::Incompatible(format!(
            "{reason}: does the other end use a pre-shared key, or a certificate where that is taken?"
        ));
    }
    if has(&[
        "mac",
        "decrypt",
        "binder",
        "psk",
        "digest check",
        "unknown identity",
    ]) {
        return Refusal::Certificate(format!(
            "the pre-shared keys or their identities differ (here psk_identity is {identity:?}): {reason}"
        ));
    }
    Refusal::Other(reason.to_owned())
}
