//! Every class of answer. Messages are built field by field, not with the decoder's own types.

use super::*;

const NOW: &str = "Wed, 21 Oct 2026 07:28:00 GMT";

fn now() -> SystemTime {
    httpdate::parse_http_date(NOW).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

fn over_http(status: u16, pairs: &[(&'static str, &str)], body: &[u8]) -> Answer {
    http(
        StatusCode::from_u16(status).unwrap(),
        &headers(pairs),
        body,
        now(),
    )
}

fn over_grpc(trailers: &[(&'static str, &str)], body: &[u8]) -> Answer {
    grpc(
        StatusCode::OK,
        &HeaderMap::new(),
        &headers(trailers),
        body,
        now(),
    )
}

/// A length-delimited field of protobuf, shorter than 128 bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    field.extend(bytes);
    field
}

fn partial(rejected: u8, message: &str) -> Vec<u8> {
    let mut inner = vec![1 << 3, rejected];
    inner.extend(field(2, message.as_bytes()));
    field(1, &inner)
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    frame.extend(message);
    frame
}

/// `grpc-status-details-bin` of a RetryInfo, made by grpcio-status:
/// code 8, message "slow down", retry_delay 7.5 s.
const RETRY_INFO: &str =
    "CAgSCXNsb3cgZG93bho2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgHEIDKte4B";

fn later(reason: Reason, answer: Answer) -> Option<Duration> {
    match answer {
        Answer::Later {
            reason: found,
            wait,
            ..
        } if found == reason => wait,
        other => panic!("not later for {reason:?}: {other:?}"),
    }
}

fn never(answer: Answer) -> (Reason, String) {
    match answer {
        Answer::Never { reason, told } => (reason, told),
        other => panic!("not never: {other:?}"),
    }
}

fn taken_with(rejected: u64, told: &str) -> Answer {
    Answer::Taken {
        rejected,
        told: told.into(),
    }
}

#[test]
fn every_http_status_has_its_class() {
    for status in 200..=599 {
        let answer = over_http(status, &[], b"");
        let expected = match status {
            200..=299 => None,
            429 => Some((true, Reason::Overloaded)),
            502..=504 => Some((true, Reason::Unavailable)),
            401 | 403 => Some((false, Reason::Unauthorized)),
            300..=399 | 404 | 405 => Some((false, Reason::NotFound)),
            413 => Some((false, Reason::TooLarge)),
            _ => Some((false, Reason::Rejected)),
        };
        let found = match answer {
            Answer::Taken { .. } => None,
            Answer::Later { reason, .. } => Some((true, reason)),
            Answer::Never { reason, .. } => Some((false, reason)),
        };
        assert_eq!(found, expected, "{status}");
    }
}

#[test]
fn every_grpc_code_has_its_class() {
    for code in 0..=17_u8 {
        let answer = over_grpc(&[("grpc-status", &code.to_string())], b"");
        let expected = match code {
            0 => None,
            1 | 4 | 10 | 11 | 14 | 15 => Some((true, Reason::Unavailable)),
            7 | 16 => Some((false, Reason::Unauthorized)),
            12 => Some((false, Reason::NotFound)),
            _ => Some((false, Reason::Rejected)),
        };
        let found = match answer {
            Answer::Taken { .. } => None,
            Answer::Later { reason, .. } => Some((true, reason)),
            Answer::Never { reason, .. } => Some((false, reason)),
        };
        assert_eq!(found, expected, "{code}");
    }
}

#[test]
fn reads_retry_after_in_both_forms() {
    let wait = |value: &str| {
        later(
            Reason::Unavailable,
            over_http(503, &[("retry-after", value)], b""),
        )
    };
    assert_eq!(wait("7"), Some(Duration::from_secs(7)));
    assert_eq!(wait("0"), Some(Duration::ZERO));
    assert_eq!(
        wait("Wed, 21 Oct 2026 07:28:30 GMT"),
        Some(Duration::from_secs(30))
    );
    assert_eq!(
        wait("Wednesday, 21-Oct-26 07:28:30 GMT"),
        Some(Duration::from_secs(30))
    );
    assert_eq!(
        wait("Wed Oct 21 07:28:30 2026"),
        Some(Duration::from_secs(30))
    );
    assert_eq!(wait("Wed, 21 Oct 2020 07:28:30 GMT"), Some(Duration::ZERO));
    for endless in ["99999999999999999999999", "Wed, 21 Oct 2099 07:28:30 GMT"] {
        assert_eq!(wait(endless), Some(LONGEST_WAIT));
    }
    for nonsense in ["", "-1", "1.5", "soon"] {
        assert_eq!(wait(nonsense), None, "{nonsense:?}");
    }
}

#[test]
fn measures_a_date_by_the_receiver_s_own_clock() {
    let pairs = [
        ("retry-after", "Wed, 21 Oct 2020 00:00:09 GMT"),
        ("date", "Wed, 21 Oct 2020 00:00:00 GMT"),
    ];
    let wait = later(Reason::Overloaded, over_http(429, &pairs, b""));
    assert_eq!(wait, Some(Duration::from_secs(9)));
}

#[test]
fn reads_partial_success_over_both() {
    let message = partial(3, "too old");
    let kind = [("content-type", "application/x-protobuf")];
    assert_eq!(over_http(200, &kind, &message), taken_with(3, "too old"));
    assert_eq!(over_http(200, &[], &message), taken_with(3, "too old"));
    assert_eq!(
        over_grpc(&[("grpc-status", "0")], &framed(&message)),
        taken_with(3, "too old")
    );
    assert_eq!(
        over_http(200, &kind, &partial(0, "hint")),
        taken_with(0, "hint")
    );
}

#[test]
fn a_success_stays_one_whatever_its_body_holds() {
    let json = [("content-type", "application/json")];
    assert_eq!(over_http(200, &json, b"{}"), taken_with(0, ""));
    assert_eq!(over_http(202, &[], &[0xff; 64]), taken_with(0, ""));
    let negative = field(1, &[1 << 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    assert_eq!(over_http(200, &[], &negative), taken_with(0, ""));
    for body in [
        &[][..],
        &[0, 0],
        &[0, 0, 0, 0, 9, 1],
        &[1, 0, 0, 0, 1, 9],
        &[0, 255, 255, 255, 255],
    ] {
        assert_eq!(over_grpc(&[("grpc-status", "0")], body), taken_with(0, ""));
    }
}

#[test]
fn resource_exhausted_is_sent_again_only_with_retry_info() {
    let with = over_grpc(
        &[
            ("grpc-status", "8"),
            ("grpc-status-details-bin", RETRY_INFO),
        ],
        b"",
    );
    assert_eq!(
        later(Reason::Overloaded, with),
        Some(Duration::from_millis(7500))
    );
    let (reason, told) = never(over_grpc(
        &[("grpc-status", "8"), ("grpc-message", "quota%20used")],
        b"",
    ));
    assert_eq!(reason, Reason::Rejected);
    assert_eq!(told, "answered RESOURCE_EXHAUSTED: quota used");
    let too_large = [
        ("grpc-status", "8"),
        (
            "grpc-message",
            "grpc: received message larger than max (5 vs. 4)",
        ),
    ];
    assert_eq!(never(over_grpc(&too_large, b"")).0, Reason::TooLarge);
}

#[test]
fn retry_info_speaks_for_unavailable_too() {
    let answer = over_grpc(
        &[
            ("grpc-status", "14"),
            ("grpc-status-details-bin", RETRY_INFO),
        ],
        b"",
    );
    assert_eq!(
        later(Reason::Unavailable, answer),
        Some(Duration::from_millis(7500))
    );
    let answer = over_grpc(
        &[("grpc-status", "14"), ("grpc-status-details-bin", "!!")],
        b"",
    );
    assert_eq!(later(Reason::Unavailable, answer), None);
}

#[test]
fn reads_a_trailers_only_answer() {
    let only = headers(&[("grpc-status", "14"), ("grpc-message", "gone")]);
    let answer = grpc(StatusCode::OK, &only, &HeaderMap::new(), b"", now());
    assert_eq!(later(Reason::Unavailable, answer), None);
}

#[test]
fn maps_an_http_status_where_the_grpc_status_is_missing() {
    let answer = |status: u16, pairs: &[(&'static str, &str)]| {
        grpc(
            StatusCode::from_u16(status).unwrap(),
            &headers(pairs),
            &HeaderMap::new(),
            b"",
            now(),
        )
    };
    let wait = later(Reason::Unavailable, answer(503, &[("retry-after", "5")]));
    assert_eq!(wait, Some(Duration::from_secs(5)));
    later(Reason::Unavailable, answer(429, &[]));
    assert_eq!(never(answer(404, &[])).0, Reason::NotFound);
    assert_eq!(never(answer(401, &[])).0, Reason::Unauthorized);
    assert_eq!(never(answer(200, &[])).0, Reason::Malformed);
}

#[test]
fn a_receiver_s_words_are_bounded_and_on_one_line() {
    let text = [("content-type", "text/plain")];
    let body = format!("no\n\u{1b}[31m{}", "x".repeat(10_000));
    let (_, told) = never(over_http(400, &text, body.as_bytes()));
    assert!(
        told.starts_with("answered 400 Bad Request: no  [31mxx"),
        "{told}"
    );
    assert!(told.chars().count() < 240 && !told.chars().any(char::is_control));
    let (_, told) = never(over_http(400, &[], &field(2, b"bad metric")));
    assert_eq!(told, "answered 400 Bad Request: bad metric");
    let (reason, told) = never(over_http(308, &[("location", "http://c/x")], b""));
    assert_eq!(reason, Reason::NotFound);
    assert!(told.contains("to http://c/x;"), "{told}");
}
