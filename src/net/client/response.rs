//! What a peer answered, whole, and how gRPC says its outcome in it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{DATE, HeaderMap, RETRY_AFTER};
use hyper::{StatusCode, http};

use http_body_util::BodyExt;

use super::connection::Failure;
use super::error::Cause;
use crate::net::gathered::Gathered;
use crate::net::tls::Chain;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// Any status; 4xx and 5xx are answers too.
    pub status: StatusCode,
    /// Headers before the body.
    pub headers: HeaderMap,
    /// The body after transfer decoding; a content coding is still on it.
    pub body: Bytes,
    /// Fields after the body; empty for most peers, the outcome for gRPC.
    pub trailers: HeaderMap,
    /// The certificates that the peer has shown when the connection was made; none without TLS.
    pub chain: Option<Arc<Chain>>,
}

/// The outcome of a gRPC call (gRPC over HTTP/2, "Responses").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcStatus {
    /// 0 is OK; the numbers of gRPC's "Status codes" page.
    pub code: u32,
    /// What the server said of it, percent-decoded; often empty.
    pub message: String,
}

impl Response {
    /// A header as text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// A trailer, or the header of that name: gRPC's trailers-only answers put theirs in the headers.
    pub fn trailer(&self, name: &str) -> Option<&str> {
        self.trailers
            .get(name)
            .or_else(|| self.headers.get(name))?
            .to_str()
            .ok()
    }

    /// The outcome of a gRPC call; none when the peer gave no `grpc-status`, as a proxy's own error
    /// page does.
    pub fn grpc_status(&self) -> Option<GrpcStatus> {
        let code = self.trailer("grpc-status")?.parse().ok()?;
        let message = self
            .trailer("grpc-message")
            .map(percent_decoded)
            .unwrap_or_default();
        Some(GrpcStatus { code, message })
    }
}

/// `Retry-After` (RFC 9110 section 10.2.3) in seconds or as a date. A date is measured against the peer's own `Date`
/// where it sent one, so that a clock that is off does no harm. As long as the peer likes: callers bound it.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let theirs = headers
        .get(DATE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| httpdate::parse_http_date(text).ok());
    Some(at.duration_since(theirs.unwrap_or(now)).unwrap_or_default())
}

/// Reads the body up to `limit` bytes. Failures here are final: an answer had begun.
pub(super) async fn whole(
    response: http::Response<Incoming>,
    limit: usize,
) -> Result<Response, Failure> {
    let (head, mut incoming) = response.into_parts();
    let told = incoming.size_hint().lower();
    if told > limit as u64 {
        return Err(Failure::Final(Cause::TooLarge(limit)));
    }
    let mut body = Gathered::Nothing;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| Failure::Final(Cause::of(error)))?;
        match frame.into_data() {
            Ok(data) if body.len() + data.len() > limit => {
                return Err(Failure::Final(Cause::TooLarge(limit)));
            }
            Ok(data) => body = body.and(data, told as usize),
            Err(frame) => {
                if let Ok(fields) = frame.into_trailers() {
                    trailers = fields;
                }
            }
        }
    }
    Ok(Response {
        status: head.status,
        headers: head.headers,
        body: body.into(),
        trailers,
        chain: None,
    })
}

/// Undoes gRPC's encoding of `grpc-message`; what is no `%XX` stays as it is, as the protocol asks.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let hex = (first == b'%').then(|| after.split_at_checked(2)).flatten();
        let decoded = hex.and_then(|(digits, beyond)| {
            let digits = std::str::from_utf8(digits).ok()?;
            let plain = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            Some((
                plain
                    .then(|| u8::from_str_radix(digits, 16).ok())
                    .flatten()?,
                beyond,
            ))
        });
        match decoded {
            Some((byte, beyond)) => {
                bytes.push(byte);
                rest = beyond;
            }
            None => bytes.push(first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn decodes_grpc_messages_and_leaves_broken_escapes_alone() {
        assert_eq!(percent_decoded("not%20found%E2%80%A6"), "not found…");
        assert_eq!(percent_decoded("100% %zz %4 %"), "100% %zz %4 %");
        assert_eq!(percent_decoded("%+1"), "%+1");
        assert_eq!(percent_decoded("%FF"), "\u{FFFD}");
    }
}
