//! Answers of an OTLP receiver: the status alone decides, waits and words are bounded.
//!
//! The bytes are read as: a status (2 bytes), `grpc-status` (1), then up to three texts for
//! `Retry-After`, `grpc-message` and `grpc-status-details-bin`, each with its length before it (1), and
//! the rest is the body.

use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{HeaderMap, HeaderValue};
use nodeward::dialect::otlp::answer::{self, Answer, LONGEST_WAIT};

/// Judges the bytes as an answer over HTTP and over gRPC.
pub fn check(bytes: &[u8]) {
    let Some((&[high, low, code], mut rest)) = bytes.split_first_chunk() else {
        return;
    };
    let number = u16::from_be_bytes([high, low]) % 500 + 100;
    let Ok(status) = StatusCode::from_u16(number) else {
        return;
    };
    let mut fields = HeaderMap::new();
    for name in ["retry-after", "grpc-message", "grpc-status-details-bin"] {
        let Some((&length, after)) = rest.split_first() else {
            break;
        };
        let Some((text, body)) = after.split_at_checked(length.into()) else {
            break;
        };
        rest = body;
        if let Ok(value) = HeaderValue::from_bytes(text) {
            fields.insert(name, value);
        }
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let over_http = answer::http(status, &fields, rest, now);
    match number {
        200..=299 => assert!(matches!(over_http, Answer::Taken { .. })),
        429 | 502..=504 => assert!(matches!(over_http, Answer::Later { .. })),
        _ => assert!(matches!(over_http, Answer::Never { .. })),
    }
    bounded(&over_http);

    bounded(&answer::grpc(status, &fields, &HeaderMap::new(), rest, now));
    fields.insert("grpc-status", HeaderValue::from(u16::from(code)));
    let in_trailers = answer::grpc(status, &HeaderMap::new(), &fields, rest, now);
    let in_headers = answer::grpc(status, &fields, &HeaderMap::new(), rest, now);
    assert_eq!(in_trailers, in_headers);
    match code {
        0 => assert!(matches!(in_trailers, Answer::Taken { .. })),
        1 | 4 | 10 | 11 | 14 | 15 => assert!(matches!(in_trailers, Answer::Later { .. })),
        8 => assert!(!matches!(in_trailers, Answer::Taken { .. })),
        _ => assert!(matches!(in_trailers, Answer::Never { .. })),
    }
    bounded(&in_trailers);
}

fn bounded(answer: &Answer) {
    let (Answer::Taken { told, .. } | Answer::Later { told, .. } | Answer::Never { told, .. }) =
        answer;
    assert!(told.chars().count() <= 320, "{told}");
    assert!(!told.chars().any(char::is_control), "{told:?}");
    if let Answer::Later {
        wait: Some(wait), ..
    } = answer
    {
        assert!(*wait <= LONGEST_WAIT);
    }
}
