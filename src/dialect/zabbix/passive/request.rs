//! What a request asks, and the JSON reply to it.
//!
//! Requests and the error texts follow the classic agent of Zabbix 7.0, as observed.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value as Json;

use crate::dialect::zabbix::agent::{PROTOCOL, VARIANT};
use crate::dialect::zabbix::answer::Unsupported;
use crate::dialect::zabbix::packet;

/// More checks in one request are refused; servers send one.
const MOST_CHECKS: usize = 100;
/// A reply that has grown past this many bytes takes no further values.
const MOST_REPLY: usize = 4 * 1024 * 1024;

/// What a body asks.
#[derive(Debug, PartialEq)]
pub(super) enum Request<'a> {
    /// One key, answered in plain.
    Plain(&'a [u8]),
    /// Checks, answered in JSON.
    Json(Vec<Check>),
    /// JSON that asks nothing we can answer: the error to reply.
    Bad(Cow<'static, str>),
}

/// One check of a JSON request.
#[derive(Debug, PartialEq)]
pub(super) struct Check {
    key: String,
    pub(super) timeout: Timeout,
}

/// The time a check may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timeout {
    /// Not given.
    Default,
    /// From 1 s to 600 s, what a 7.0 server allows in its frontend.
    Of(Duration),
    /// Something else.
    Unsupported,
}

impl<'a> Request<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Self {
        // A C string ends at its first NUL.
        let body = until_nul(body);
        let json = body.trim_ascii_start().first() == Some(&b'{');
        if json
            && let Ok(Json::Object(request)) = serde_json::from_str(&String::from_utf8_lossy(body))
        {
            return match checks(request) {
                Ok(checks) => Self::Json(checks),
                Err(error) => Self::Bad(error),
            };
        }
        Self::Plain(
            match body.iter().rposition(|byte| !b"\r\n".contains(byte)) {
                Some(last) => body.get(..=last).unwrap_or(body),
                None => b"",
            },
        )
    }
}

impl Check {
    pub(super) fn key(&self) -> &[u8] {
        until_nul(self.key.as_bytes())
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

fn checks(mut request: serde_json::Map<String, Json>) -> Result<Vec<Check>, Cow<'static, str>> {
    match request.get("request").map(text) {
        None => return Err(missing("object", "request")),
        Some(name) if name != "passive checks" => {
            return Err(format!("unknown request \"{name}\"").into());
        }
        Some(_) => {}
    }
    let data = match request.remove("data") {
        Some(Json::Array(data)) if !data.is_empty() => data,
        Some(Json::Array(_) | Json::Object(_)) => return Err("received empty \"data\" tag".into()),
        _ => return Err(missing("array", "data")),
    };
    if data.len() > MOST_CHECKS {
        return Err(format!("more than {MOST_CHECKS} checks in one request").into());
    }
    data.into_iter().map(check).collect()
}

fn check(check: Json) -> Result<Check, Cow<'static, str>> {
    let Json::Object(mut check) = check else {
        return Err("cannot open JSON object or array".into());
    };
    let timeout = timeout(check.get("timeout"));
    match check.remove("key") {
        Some(Json::String(key)) => Ok(Check { key, timeout }),
        Some(key) => Ok(Check {
            key: key.to_string(),
            timeout,
        }),
        None => Err(missing("object", "key")),
    }
}

fn text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn missing(kind: &str, name: &str) -> Cow<'static, str> {
    format!(
        "cannot find the \"{name}\" {kind} in the received JSON object: \
         cannot find pair with name \"{name}\""
    )
    .into()
}

fn timeout(value: Option<&Json>) -> Timeout {
    let seconds = match value {
        None | Some(Json::Null) => return Timeout::Default,
        Some(Json::Number(number)) => number.as_u64(),
        Some(Json::String(text)) => seconds(text),
        Some(_) => None,
    };
    match seconds {
        Some(seconds @ 1..=600) => Timeout::Of(Duration::from_secs(seconds)),
        _ => Timeout::Unsupported,
    }
}

/// Whole seconds, or a number with one of Zabbix's suffixes.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// A JSON reply that is being written, as a packet.
pub(super) struct Reply {
    out: Vec<u8>,
    open: packet::Open,
    any: bool,
}

impl Reply {
    fn head() -> (Vec<u8>, packet::Open) {
        let mut out = Vec::with_capacity(128);
        let open = packet::begin(&mut out);
        for part in ["{\"version\":\"", PROTOCOL, "\",\"variant\":"] {
            out.extend_from_slice(part.as_bytes());
        }
        out.push(b'0' + VARIANT);
        (out, open)
    }

    pub(super) fn begin() -> Self {
        let (mut out, open) = Self::head();
        out.extend_from_slice(b",\"data\":[");
        let any = false;
        Self { out, open, any }
    }

    /// Whether the values so far are as much as one request may ask for.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() > MOST_REPLY
    }

    pub(super) fn push(&mut self, answer: Result<&str, &Unsupported>) {
        if std::mem::replace(&mut self.any, true) {
            self.out.push(b',');
        }
        let (name, text) = match answer {
            Ok(value) => (&b"{\"value\":"[..], value),
            Err(why) => (&b"{\"error\":"[..], why.as_str()),
        };
        self.out.extend_from_slice(name);
        string(&mut self.out, text);
        self.out.push(b'}');
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}");
        self.open.seal(&mut self.out);
        self.out
    }

    pub(super) fn error(error: &str) -> Vec<u8> {
        let (mut out, open) = Self::head();
        out.extend_from_slice(b",\"error\":");
        string(&mut out, error);
        out.push(b'}');
        open.seal(&mut out);
        out
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Writing text to memory cannot fail.
    serde_json::to_writer(out, text).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeout_of(json: &str) -> Timeout {
        timeout(Some(&serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn timeouts_are_whole_seconds_as_number_or_text_from_1_to_600() {
        for (json, seconds) in [
            ("3", 3),
            ("600", 600),
            (r#""3""#, 3),
            (r#""3s""#, 3),
            (r#""1m""#, 60),
            (r#""10m""#, 600),
        ] {
            assert_eq!(
                timeout_of(json),
                Timeout::Of(Duration::from_secs(seconds)),
                "{json}"
            );
        }
        let bad = [
            "0",
            "601",
            "-1",
            "1.5",
            "1e2",
            "[]",
            "{}",
            "true",
            r#""""#,
            r#""x""#,
            r#""500ms""#,
            r#""1h""#,
            r#""+3""#,
            r#"" 3""#,
            r#""3 s""#,
            r#""s""#,
            r#""99999999999999999999""#,
            r#""9999999999999999w""#,
        ];
        for json in bad {
            assert_eq!(timeout_of(json), Timeout::Unsupported, "{json}");
        }
        assert_eq!(timeout_of("null"), Timeout::Default);
        assert_eq!(timeout(None), Timeout::Default);
    }

    #[test]
    fn plain_keys_lose_line_ends_and_whatever_follows_a_nul() {
        for body in [
            &b"k"[..],
            b"k\n",
            b"k\r\n",
            b"k\n\n",
            b"k\0",
            b"k\0x",
            b"k\n\0x",
        ] {
            assert_eq!(Request::parse(body), Request::Plain(b"k"), "{body:?}");
        }
        for body in [&b""[..], b"\n", b"\0", b"\0k"] {
            assert_eq!(Request::parse(body), Request::Plain(b""), "{body:?}");
        }
        assert_eq!(Request::parse(b"k "), Request::Plain(b"k "));
    }

    #[test]
    fn what_looks_like_json_and_is_none_is_a_plain_key() {
        for body in [
            &b"{"[..],
            b"{a",
            b"{}x",
            br#"{"request":"passive checks","data":[]"#,
        ] {
            assert_eq!(Request::parse(body), Request::Plain(body));
        }
        assert_eq!(Request::parse(b"[]"), Request::Plain(b"[]"));
    }

    #[test]
    fn deep_nesting_ends_in_an_error_and_not_in_the_stack() {
        let body = [b"{\"data\":".to_vec(), b"[".repeat(60_000)].concat();
        assert_eq!(Request::parse(&body), Request::Plain(&body));
    }
}
