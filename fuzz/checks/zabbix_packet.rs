//! Packets: limits hold, pieces read as the whole does, and what decodes encodes back.

use nodeward::dialect::zabbix::packet::{self, Body, Limits, Seen};

const LIMITS: Limits = Limits {
    body: 4096,
    inflated: 8192,
};

/// Takes the bytes as what a peer sent.
pub fn check(bytes: &[u8]) {
    let seen = packet::look(bytes, LIMITS);
    if let Ok(Seen::Missing(count)) = seen {
        assert!(count > 0);
    }
    let is_part = !matches!(seen, Err(_) | Ok(Seen::Whole(_)));
    for end in 0..bytes.len().min(64) {
        let part = packet::look(bytes.get(..end).unwrap_or_default(), LIMITS);
        // A shorter piece may know less, never something else.
        if is_part || matches!(seen, Ok(Seen::Whole(_))) {
            assert!(matches!(part, Ok(Seen::Missing(_))), "{end}: {part:?}");
        }
    }
    let Ok(Seen::Whole(body)) = seen else {
        return;
    };
    let body = match body {
        Body::Plain(at) => bytes.get(at).unwrap_or_default().to_vec(),
        Body::Compressed { at, inflated } => {
            assert!(inflated <= LIMITS.inflated);
            match packet::inflate(bytes.get(at).unwrap_or_default(), inflated) {
                Ok(body) => body,
                Err(_) => return,
            }
        }
    };
    assert!(body.len() <= LIMITS.inflated);
    let limits = Limits::PASSIVE;
    for packet in [packet::encode(&body), packet::encode_compressed(&body)] {
        let again = match packet::look(&packet, limits) {
            Ok(Seen::Whole(Body::Plain(at))) => packet.get(at).map(<[u8]>::to_vec),
            Ok(Seen::Whole(Body::Compressed { at, inflated })) => {
                packet::inflate(packet.get(at).unwrap_or_default(), inflated).ok()
            }
            _ => None,
        };
        assert_eq!(again.as_ref(), Some(&body));
    }
}
