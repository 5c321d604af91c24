//! What a receiver's answer means: taken, to be sent again, or dropped.
//!
//! Owns the retry rules of the OTLP specification ("Failures" and "Partial Success" of OTLP/gRPC
//! and OTLP/HTTP) and the reading of the few messages an answer may hold. Pure: no clock, no
//! socket. Whatever a receiver writes is bounded and cleaned before it can reach a log line, and a
//! message that does not decode never changes what its status said.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use prost::Message;

use super::grpc::unframed;
use super::reason::Reason;
use super::status::{Code, GRPC_STATUS, RpcStatus};
use crate::net::client;

/// No receiver can silence nodeward for longer than this.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Letters of a receiver's own words that are kept for a message.
const WORDS: usize = 200;

/// What follows from an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver has it. Nothing of it is sent again.
    Taken {
        /// Items it did not want (partial success).
        rejected: u64,
        /// Its words about them, or a warning; often empty.
        told: String,
    },
    /// The receiver may take the same request later.
    Later {
        /// Which failure it was.
        reason: Reason,
        /// How long it asked to be left alone; at most [`LONGEST_WAIT`].
        wait: Option<Duration>,
        /// What happened.
        told: String,
    },
    /// The receiver will never take this request.
    Never {
        /// Which failure it was.
        reason: Reason,
        /// What happened.
        told: String,
    },
}

impl Answer {
    /// What follows from a failure: `reason` says whether it passes.
    pub(super) fn not_taken(reason: Reason, wait: Option<Duration>, told: String) -> Self {
        match reason.passes() {
            true => Self::Later { reason, wait, told },
            false => Self::Never { reason, told },
        }
    }
}

/// The body of every `Export...ServiceResponse`: the messages of the signals differ in names only.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// Judges the answer to an OTLP/HTTP request. `now` is the wall clock, for a `Retry-After` that
/// names a date.
pub fn http(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Answer {
    if status.is_success() {
        return match protobuf(headers) {
            true => taken(body),
            false => Answer::Taken {
                rejected: 0,
                told: String::new(),
            },
        };
    }
    let reason = match status.as_u16() {
        429 => Reason::Overloaded,
        502..=504 => Reason::Unavailable,
        401 | 403 => Reason::Unauthorized,
        404 | 405 | 300..=399 => Reason::NotFound,
        413 => Reason::TooLarge,
        _ => Reason::Rejected,
    };
    let told = http_told(status, headers, body);
    Answer::not_taken(reason, retry_after(headers, now), told)
}

/// Judges the answer to a gRPC call. `trailers` are those after the body; a call that fails at
/// once has its status among `headers` instead ("Trailers-Only").
pub fn grpc(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Answer {
    let found = [trailers, headers]
        .into_iter()
        .find(|fields| fields.contains_key(GRPC_STATUS));
    let Some(found) = found else {
        return without_status(status, headers, now);
    };
    let RpcStatus {
        code,
        message,
        delay,
    } = RpcStatus::read(found);
    let told = match message.is_empty() {
        true => format!("answered {code}"),
        false => format!("answered {code}: {}", clean(&message)),
    };
    let wait = delay.map(|delay| delay.min(LONGEST_WAIT));
    let reason = match code {
        Code::OK => return taken(unframed(body).unwrap_or_default()),
        Code::RESOURCE_EXHAUSTED if wait.is_some() => Reason::Overloaded,
        // What grpc-go, grpcio and grpc-java say of a message over their limit.
        Code::RESOURCE_EXHAUSTED if message.to_ascii_lowercase().contains("larger than") => {
            Reason::TooLarge
        }
        code if code.is_retryable() => Reason::Unavailable,
        Code::UNAUTHENTICATED | Code::PERMISSION_DENIED => Reason::Unauthorized,
        Code::UNIMPLEMENTED => Reason::NotFound,
        _ => Reason::Rejected,
    };
    Answer::not_taken(reason, wait, told)
}

/// An answer without `grpc-status`, mostly by a proxy: the gRPC protocol maps the HTTP status
/// ("HTTP to gRPC Status Code Mapping").
fn without_status(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Answer {
    let told = format!("answered {status} without a gRPC status; is it a gRPC receiver?");
    let reason = match status.as_u16() {
        429 | 502..=504 => Reason::Unavailable,
        401 | 403 => Reason::Unauthorized,
        404 => Reason::NotFound,
        _ => Reason::Malformed,
    };
    Answer::not_taken(reason, retry_after(headers, now), told)
}

fn taken(message: &[u8]) -> Answer {
    let partial = Response::decode(message)
        .ok()
        .and_then(|response| response.partial_success)
        .unwrap_or_default();
    Answer::Taken {
        rejected: u64::try_from(partial.rejected).unwrap_or(0),
        told: clean(&partial.error_message),
    }
}

fn protobuf(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_none_or(|value| value.trim_start().starts_with("application/x-protobuf"))
}

fn http_told(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    if status.is_redirection() {
        let target = headers
            .get(LOCATION)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        return match target {
            Some(target) => format!(
                "answered {status} to {}; redirects are not followed, name that address",
                clean(&target)
            ),
            None => format!("answered {status}; redirects are not followed"),
        };
    }
    let words = match protobuf(headers) {
        true => RpcStatus::from_message(body).message,
        false => String::from_utf8_lossy(body.get(..4 * WORDS).unwrap_or(body)).into_owned(),
    };
    match clean(&words) {
        words if words.is_empty() => format!("answered {status}"),
        words => format!("answered {status}: {words}"),
    }
}

fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    client::retry_after(headers, now).map(|wait| wait.min(LONGEST_WAIT))
}

/// A receiver's words, fit for one line of a log.
fn clean(text: &str) -> String {
    let mut words: String = text
        .trim()
        .chars()
        .take(WORDS)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if text.trim().chars().nth(WORDS).is_some() {
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests;
