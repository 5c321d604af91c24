//! Request headers from the config, a file or a variable.
//!
//! Owns their grammar and the list of names that are not the user's to set. Values are marked
//! sensitive as soon as they are read, so that no `Debug` output shows them, and no message here
//! repeats one.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::pairs;

/// Why a header was not taken; never holds its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAHeader {
    /// The name has characters that HTTP does not allow.
    #[error("{0:?} is no header name")]
    Name(String),
    /// The value has a line break, another control character, or is not ASCII.
    #[error("the value of header {0:?} has characters other than visible ASCII")]
    Value(String),
    /// The protocol sets it.
    #[error("header {0:?} is set by the protocol itself; leave it out")]
    Reserved(String),
    /// A credential in a place that is read and copied by many.
    #[error(
        "header {0:?} carries a credential; write it into a file and name that as headers_file"
    )]
    Secret(String),
    /// A line of the headers file without a colon.
    #[error("line {0} is no header; write \"Name: value\"")]
    Line(usize),
    /// The variable does not follow `key=value,key=value`.
    #[error(transparent)]
    Pairs(#[from] pairs::NotPairs),
}

/// What the sender or HTTP itself writes. `grpc-` names are reserved by the gRPC protocol.
const RESERVED: [&str; 11] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// Refused inline in the config, where secrets have no place.
const SECRET: [&str; 6] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
];

/// Takes the `headers` key of the config. All wrong entries are reported.
///
/// # Errors
/// One [`NotAHeader`] for each entry that cannot be used.
pub fn from_config(entries: &BTreeMap<String, String>) -> Result<HeaderMap, Vec<NotAHeader>> {
    let mut headers = HeaderMap::new();
    let mut wrong = Vec::new();
    for (name, value) in entries {
        if SECRET.contains(&name.to_ascii_lowercase().as_str()) {
            wrong.push(NotAHeader::Secret(name.clone()));
            continue;
        }
        match header(name, value) {
            Ok((name, value)) => _ = headers.insert(name, value),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() {
        Ok(headers)
    } else {
        Err(wrong)
    }
}

/// Reads the text of a headers file: one `Name: value` a line; empty lines and lines that begin
/// with `#` are skipped.
///
/// # Errors
/// One [`NotAHeader`] for each line that cannot be used.
pub fn from_file(text: &str) -> Result<HeaderMap, Vec<NotAHeader>> {
    let mut headers = HeaderMap::new();
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once(':') else {
            wrong.push(NotAHeader::Line(number + 1));
            continue;
        };
        match header(name.trim(), value.trim()) {
            Ok((name, value)) => _ = headers.insert(name, value),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() {
        Ok(headers)
    } else {
        Err(wrong)
    }
}

/// Reads the value of an `OTEL_EXPORTER_OTLP_*HEADERS` variable: `key=value,key=value`,
/// percent-encoded.
///
/// # Errors
/// The first [`NotAHeader`]; the specification takes all of a variable or nothing.
pub fn from_variable(text: &str) -> Result<HeaderMap, NotAHeader> {
    pairs::parse(text)?
        .iter()
        .map(|(name, value)| header(name, value))
        .collect()
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), NotAHeader> {
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| NotAHeader::Name(name.chars().take(64).collect()))?;
    if RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("grpc-") {
        return Err(NotAHeader::Reserved(name.to_owned()));
    }
    let value = HeaderValue::from_str(value).ok();
    // HTTP itself would let other bytes pass, of which nobody can say what they mean.
    let value = value.filter(|value| value.to_str().is_ok());
    let mut value = value.ok_or_else(|| NotAHeader::Value(name.to_owned()))?;
    value.set_sensitive(true);
    Ok((parsed, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_file_of_headers() {
        let headers =
            from_file("# for the gateway\nAuthorization: Bearer a:b=c\n\n X-Scope-OrgID :ops \r\n")
                .unwrap();
        assert_eq!(headers.get("authorization").unwrap(), "Bearer a:b=c");
        assert_eq!(headers.get("x-scope-orgid").unwrap(), "ops");
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn never_shows_a_value() {
        let headers = from_file("authorization: hunter2").unwrap();
        assert!(!format!("{headers:?}").contains("hunter2"));
        for text in ["hunter2", "x: hunter2\u{1}", "te: hunter2", "a b: hunter2"] {
            let wrong = from_file(text).unwrap_err();
            assert_eq!(wrong.len(), 1, "{text}");
            assert!(!wrong[0].to_string().contains("hunter2"), "{}", wrong[0]);
        }
    }

    #[test]
    fn reports_every_wrong_line_at_once() {
        let wrong = from_file("one\nContent-Type: x\ngrpc-timeout: 1\nfine: yes\n").unwrap_err();
        assert_eq!(
            wrong,
            [
                NotAHeader::Line(1),
                NotAHeader::Reserved("Content-Type".into()),
                NotAHeader::Reserved("grpc-timeout".into()),
            ]
        );
    }

    #[test]
    fn refuses_credentials_inside_the_config() {
        let entries = [("Authorization", "Basic eA=="), ("X-Scope-OrgID", "ops")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let wrong = from_config(&entries.into()).unwrap_err();
        assert_eq!(wrong, [NotAHeader::Secret("Authorization".into())]);
        assert!(wrong[0].to_string().contains("headers_file"));
    }

    #[test]
    fn decodes_a_variable() {
        let headers = from_variable("api-key=a%20b%2Cc, x-tenant = ops").unwrap();
        assert_eq!(headers.get("api-key").unwrap(), "a b,c");
        assert_eq!(headers.get("x-tenant").unwrap(), "ops");
        for unreadable in ["x=%0A", "x=%C3%A9", "x=é"] {
            let wrong = from_variable(unreadable);
            assert_eq!(wrong, Err(NotAHeader::Value("x".into())), "{unreadable}");
        }
        assert!(from_variable("x=%zz").is_err());
    }
}
