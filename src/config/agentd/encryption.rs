//! The lines of an agent's file about encryption, as `zabbix.tls`.

use super::lines::Line;
use crate::dialect::zabbix::options::Options;
use crate::net::tls::mutual::Kind;

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

/// Whether a name is about a kind that no line asks for. Where none says how connections are protected, nothing is idle: an agent would
/// not start.
pub(super) fn is_idle(name: &str, lines: &[Line]) -> bool {
    let Some(kind) = kind(name) else { return false };
    let asking = lines
        .iter()
        .filter(|line| matches!(line.name.as_str(), "TLSAccept" | "TLSConnect"));
    let mut asked = asking.map(|line| kinds(&line.value)).peekable();
    asked.peek().is_some() && !asked.any(|asked| asked.is_ok_and(|asked| asked.contains(&kind)))
}

/// Sets what a line says.
pub(super) fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    let known = matches!(name, "TLSAccept" | "TLSConnect") || kind(name).is_some();
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
    let file = || Some(value.into());
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
