//! The lines of an agent's file about encryption, as `zabbix.tls`.

use super::lines::Line;
use crate::dialect::zabbix::options::Options;
use crate::net::tls::mutual::Kind;

/// Whether a name says how connections are protected.
pub(super) fn says_how(name: &str) -> bool {
    matches!(name, "TLSAccept" | "TLSConnect")
}

/// The kind of encryption that a name is about, if it is about one.
fn kind(name: &str) -> Option<Kind> {
    match name {
        "TLSCAFile"
        | "TLSCRLFile"
        | "TLSCertFile"
        | "TLSKeyFile"
        | "TLSServerCertIssuer"
        | "TLSServerCertSubject" => Some(Kind::Cert),
        "TLSPSKFile" | "TLSPSKIdentity" => Some(Kind::Psk),
        _ => None,
    }
}

/// Whether a name is about a kind that nothing asks for, neither the file nor what it was laid over; the lines that say how connections
/// are protected are in the options already. Where none says that, nothing is idle: an agent would not start.
pub(super) fn is_idle(name: &str, options: &Options) -> bool {
    let Some((kind, tls)) = kind(name).zip(options.tls.as_ref()) else {
        return false;
    };
    let says = !tls.accept.is_empty() || tls.connect.is_some();
    says && !tls.accept.contains(&kind) && tls.connect != Some(kind)
}

/// What an agent takes for granted where its file has neither a key nor a certificate: whichever way no line speaks of is not protected.
pub(super) fn complete(options: &mut Options, lines: &[Line]) {
    if lines.iter().any(|line| kind(&line.name).is_some()) {
        return;
    }
    if let Some(tls) = options.tls.as_mut().filter(|tls| !tls.protects())
        && lines.iter().any(|line| says_how(&line.name))
    {
        if tls.accept.is_empty() {
            tls.accept = vec![Kind::Unencrypted];
        }
        tls.connect.get_or_insert(Kind::Unencrypted);
    }
}

/// Sets what a line says.
pub(super) fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    let known = says_how(name) || kind(name).is_some();
    if !known {
        return Ok(());
    }
    // Taken as none, it would let in whom the line was to keep out; an agent does not start either.
    if value.is_empty() {
        return Err(format!(
            "{name} is set and says nothing; take the line away or give it a value"
        ));
    }
    let tls = options.tls.get_or_insert_default();
    let text = || Some(value.to_owned());
    // Of the directory that it is started in; names in a config begin at that of the config.
    let file = || Some(std::path::absolute(value).unwrap_or_else(|_| value.into()));
    match name {
        "TLSAccept" => tls.accept = kinds(value)?,
        "TLSConnect" => match kinds(value)?[..] {
            [kind] => tls.connect = Some(kind),
            _ => return Err(format!("{value:?} is not one of unencrypted, psk, cert")),
        },
        "TLSCAFile" => tls.ca_file = file(),
        "TLSCRLFile" => tls.crl_file = file(),
        "TLSCertFile" => tls.cert_file = file(),
        "TLSKeyFile" => tls.key_file = file(),
        "TLSServerCertIssuer" => tls.server_cert_issuer = text(),
        "TLSServerCertSubject" => tls.server_cert_subject = text(),
        "TLSPSKFile" => tls.psk_file = file(),
        "TLSPSKIdentity" => tls.psk_identity = text(),
        _ => {}
    }
    Ok(())
}

fn kinds(value: &str) -> Result<Vec<Kind>, String> {
    let words = value.split(',').map(str::trim);
    let kinds = words.map(|word| match word {
        "unencrypted" => Ok(Kind::Unencrypted),
        "psk" => Ok(Kind::Psk),
        "cert" => Ok(Kind::Cert),
        _ => Err(format!("{word:?} is not one of unencrypted, psk, cert")),
    });
    kinds.collect()
}
