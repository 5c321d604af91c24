//! The status of a gRPC call, as headers or trailers tell it.
//!
//! Owns the reading of `grpc-status`, `grpc-message` and `grpc-status-details-bin` and of the two
//! messages inside the last (`google.rpc.Status`, `google.rpc.RetryInfo`). Those definitions are
//! three small messages, written out here instead of a dependency on all of googleapis.

use std::fmt;
use std::time::Duration;

use hyper::header::HeaderMap;
use prost::Message;

/// The header or trailer that ends every call.
pub const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
const GRPC_STATUS_DETAILS: &str = "grpc-status-details-bin";
/// Header lists are smaller than this anyway; a message is cut before it is decoded.
const MESSAGE_MOST: usize = 4096;

/// A status code of gRPC; codes it does not define count as UNKNOWN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code(u8);

/// In the order of their numbers, from 0.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl Code {
    /// The call went well.
    pub const OK: Self = Self(0);
    /// Not told, or a number that gRPC does not define.
    pub const UNKNOWN: Self = Self(2);
    /// The caller may not do this.
    pub const PERMISSION_DENIED: Self = Self(7);
    /// Out of quota or memory, or the message is too large.
    pub const RESOURCE_EXHAUSTED: Self = Self(8);
    /// No such service or method.
    pub const UNIMPLEMENTED: Self = Self(12);
    /// The caller did not say who it is.
    pub const UNAUTHENTICATED: Self = Self(16);

    fn from_text(text: &[u8]) -> Self {
        let number = std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        match number {
            Some(number) if usize::from(number) < NAMES.len() => Self(number),
            _ => Self::UNKNOWN,
        }
    }

    /// Whether OTLP lets the same request be sent again after it: CANCELLED, DEADLINE_EXCEEDED,
    /// ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. RESOURCE_EXHAUSTED depends on more.
    pub const fn is_retryable(self) -> bool {
        matches!(self.0, 1 | 4 | 10 | 11 | 14 | 15)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.get(usize::from(self.0)).unwrap_or(&"UNKNOWN"))
    }
}

/// A call's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcStatus {
    /// What happened.
    pub code: Code,
    /// The receiver's words, decoded but not cleaned.
    pub message: String,
    /// The delay of a RetryInfo, if the details hold one.
    pub delay: Option<Duration>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcStatus {
    /// Reads the status from headers or trailers that hold [`GRPC_STATUS`].
    pub fn read(headers: &HeaderMap) -> Self {
        let bytes = |name| headers.get(name).map(|value| value.as_bytes());
        let details = bytes(GRPC_STATUS_DETAILS)
            .and_then(base64)
            .unwrap_or_default();
        let details = Self::from_message(&details);
        let message = percent_decoded(bytes(GRPC_MESSAGE).unwrap_or_default());
        Self {
            code: bytes(GRPC_STATUS).map_or(Code::UNKNOWN, Code::from_text),
            message: if message.is_empty() {
                details.message
            } else {
                message
            },
            delay: details.delay,
        }
    }

    /// Reads a `google.rpc.Status`, which is also the body of a refused OTLP/HTTP request. What
    /// does not decode is an UNKNOWN without words.
    pub fn from_message(bytes: &[u8]) -> Self {
        let status = Status::decode(bytes).unwrap_or_default();
        let number = u8::try_from(status.code).ok();
        let code = number.filter(|number| usize::from(*number) < NAMES.len());
        Self {
            code: code.map_or(Code::UNKNOWN, Code),
            message: status.message,
            delay: status.details.iter().find_map(retry_delay),
        }
    }
}

/// A RetryInfo without a delay still says that trying again is welcome: a wait of nothing.
fn retry_delay(detail: &Any) -> Option<Duration> {
    let (_, name) = detail.type_url.rsplit_once('/')?;
    if name != "google.rpc.RetryInfo" {
        return None;
    }
    let delay = RetryInfo::decode(detail.value.as_slice())
        .ok()?
        .retry_delay
        .unwrap_or_default();
    let seconds = u64::try_from(delay.seconds).unwrap_or(0);
    let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
    Some(Duration::new(seconds, nanos))
}

/// `grpc-message` is percent-encoded; a bad escape stands for itself ("Responses" of the gRPC
/// protocol: it must not be an error).
fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len().min(MESSAGE_MOST));
    let mut rest = text.get(..MESSAGE_MOST).unwrap_or(text);
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let escape = match (first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escape {
            bytes.push(high << 4 | low);
            rest = after.get(2..).unwrap_or_default();
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Base64 of `-bin` headers: padding may be there or not, both must be read.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |last| last + 1);
    let mut bytes = Vec::with_capacity(end / 4 * 3 + 2);
    for group in text.get(..end)?.chunks(4) {
        let mut value = 0_u32;
        for place in 0..4 {
            let six = match group.get(place) {
                None => 0,
                Some(byte @ b'A'..=b'Z') => byte - b'A',
                Some(byte @ b'a'..=b'z') => byte - b'a' + 26,
                Some(byte @ b'0'..=b'9') => byte - b'0' + 52,
                Some(b'+' | b'-') => 62,
                Some(b'/' | b'_') => 63,
                Some(_) => return None,
            };
            value = value << 6 | u32::from(six);
        }
        let [_, decoded @ ..] = value.to_be_bytes();
        bytes.extend(decoded.iter().take(group.len() * 6 / 8));
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_base64_with_and_without_padding() {
        for (text, expected) in [
            ("", ""),
            ("Zg", "f"),
            ("Zg==", "f"),
            ("Zm8", "fo"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYmFy", "foobar"),
            ("====", ""),
        ] {
            assert_eq!(
                base64(text.as_bytes()).unwrap(),
                expected.as_bytes(),
                "{text}"
            );
        }
        assert_eq!(base64(b"+/-_").unwrap(), [0xfb, 0xff, 0xbf]);
        assert_eq!(base64(b"Zm9v!"), None);
        assert_eq!(base64(b"Z=g="), None);
    }

    #[test]
    fn decodes_messages_and_keeps_bad_escapes() {
        for (text, expected) in [
            ("all%20well", "all well"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%C3%A9%ff", "é\u{fffd}"),
        ] {
            assert_eq!(percent_decoded(text.as_bytes()), expected);
        }
    }

    #[test]
    fn knows_the_codes_that_may_be_sent_again() {
        let retryable: Vec<_> = (0..20_u8)
            .map(|number| Code::from_text(number.to_string().as_bytes()))
            .filter(|code| code.is_retryable())
            .map(|code| code.to_string())
            .collect();
        let expected = [
            "CANCELLED",
            "DEADLINE_EXCEEDED",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNAVAILABLE",
            "DATA_LOSS",
        ];
        assert_eq!(retryable, expected);
        for text in ["17", "-1", "", "x", "999", "\u{ff}"] {
            assert_eq!(Code::from_text(text.as_bytes()), Code::UNKNOWN, "{text}");
        }
    }
}
