use proptest::prelude::*;

use super::*;

const PING: &[u8] = b"ZBXD\x01\x0a\0\0\0\0\0\0\0agent.ping";

fn with(flags: u8, length: u32, reserved: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"ZBXD".to_vec();
    bytes.push(flags);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&reserved.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
    match look(bytes, Limits::PASSIVE)? {
        Seen::Missing(count) => panic!("{count} bytes missing"),
        Seen::Whole(Body::Plain(at)) => Ok(bytes[at].to_vec()),
        Seen::Whole(Body::Compressed { at, inflated }) => inflate(&bytes[at], inflated),
    }
}

#[test]
fn encodes_and_decodes_the_bytes_seen_on_the_wire() {
    assert_eq!(encode(b"agent.ping"), PING);
    assert_eq!(decode(PING).unwrap(), b"agent.ping");
    assert_eq!(encode(b"1"), b"ZBXD\x01\x01\0\0\0\0\0\0\x001");
}

#[test]
fn inflates_what_a_server_compressed() {
    let bytes = b"ZBXD\x03\x1e\0\0\0\x16\0\0\0\x78\x9c\xab\x56\x2a\x4a\x2d\x2e\xc8\xcf\x2b\x4e\x55\
\xb2\x52\x2a\x2e\x4d\x4e\x4e\x2d\x2e\x56\xaa\x05\x00\x5e\x2f\x08\x23";
    assert_eq!(decode(bytes).unwrap(), br#"{"response":"success"}"#);
}

#[test]
fn every_prefix_of_a_packet_is_a_packet_still_missing_bytes() {
    for end in 0..PING.len() {
        let seen = look(&PING[..end], Limits::PASSIVE).unwrap();
        let Seen::Missing(count) = seen else {
            panic!("{end}: {seen:?}");
        };
        assert!(count > 0 && end + count <= PING.len(), "{end}: {count}");
    }
}

#[test]
fn other_protocols_are_refused_at_their_first_wrong_byte() {
    for bytes in [
        &b"a"[..],
        b"GET / HTTP/1.1",
        b"\x16\x03\x01",
        b"ZBXx",
        b"ZX",
        b"zbxd",
    ] {
        assert_eq!(
            look(bytes, Limits::PASSIVE),
            Err(Malformed::NotZabbix),
            "{bytes:?}"
        );
    }
}

#[test]
fn flags_that_agents_do_not_take_are_refused_before_the_lengths() {
    for flags in [0x00, 0x02, 0x08, 0x09, 0x11, 0x41, 0x80, 0x81] {
        let bytes = with(flags, 0, 0, b"");
        assert_eq!(
            look(&bytes[..5], Limits::PASSIVE),
            Err(Malformed::Flags(flags))
        );
    }
    for flags in [0x05, 0x07] {
        let bytes = with(flags, 0, 0, b"");
        assert_eq!(look(&bytes[..5], Limits::PASSIVE), Err(Malformed::Large));
    }
}

#[test]
fn lengths_over_the_limit_are_refused_before_their_bytes_come() {
    let limit = Limits::PASSIVE.body;
    let over = u32::try_from(limit).unwrap() + 1;
    let length = limit + 1;
    assert_eq!(
        look(&with(1, over, 0, b"")[..9], Limits::PASSIVE),
        Err(Malformed::TooLong { length, limit })
    );
    assert_eq!(
        look(&with(1, over - 1, 0, b""), Limits::PASSIVE),
        Ok(Seen::Missing(limit))
    );
    assert_eq!(
        look(&with(3, 10, over, b""), Limits::PASSIVE),
        Err(Malformed::TooLongInflated { length, limit })
    );
}

#[test]
fn the_reserved_field_means_nothing_on_a_plain_packet() {
    assert_eq!(decode(&with(1, 1, u32::MAX, b"x")).unwrap(), b"x");
}

#[test]
fn bytes_behind_the_body_are_refused() {
    let bytes = [PING, b"x"].concat();
    assert_eq!(look(&bytes, Limits::PASSIVE), Err(Malformed::Trailing));
}

#[test]
fn a_stream_that_gives_more_or_less_than_announced_is_corrupt() {
    let packet = encode_compressed(b"agent.ping");
    let stream = &packet[HEADER..];
    assert_eq!(inflate(stream, 10).unwrap(), b"agent.ping");
    for length in [0, 5, 9, 11, 50, 70_000] {
        assert_eq!(inflate(stream, length), Err(Malformed::Corrupt), "{length}");
    }
    assert_eq!(
        inflate(&stream[..stream.len() - 1], 10),
        Err(Malformed::Corrupt)
    );
    assert_eq!(inflate(b"", 10), Err(Malformed::Corrupt));
    assert_eq!(inflate(b"garbage", 10), Err(Malformed::Corrupt));
}

#[test]
fn a_bomb_stops_at_its_announced_length() {
    let bomb = encode_compressed(&vec![0; 5_000_000]);
    assert!(bomb.len() < 6_000);
    let stream = &bomb[HEADER..];
    assert_eq!(inflate(stream, 65_536), Err(Malformed::Corrupt));
    assert_eq!(
        look(&bomb, Limits::PASSIVE),
        Err(Malformed::TooLongInflated {
            length: 5_000_000,
            limit: 65_536
        })
    );
    // A header that promises much and a stream that gives little reserve little.
    let small = encode_compressed(b"x");
    assert_eq!(inflate(&small[HEADER..], 64 << 20), Err(Malformed::Corrupt));
}

fn soon() -> Instant {
    Instant::now() + std::time::Duration::from_secs(60)
}

#[tokio::test]
async fn reads_a_packet_that_comes_in_pieces() {
    for size in 1..PING.len() {
        let mut stream = tokio_pieces(PING, size);
        let body = read(&mut stream, Limits::PASSIVE, soon()).await.unwrap();
        assert_eq!(body, b"agent.ping", "in pieces of {size}");
    }
}

fn tokio_pieces(bytes: &[u8], size: usize) -> impl AsyncRead + Unpin + use<> {
    let (mut near, far) = tokio::io::duplex(size);
    let bytes = bytes.to_vec();
    tokio::spawn(async move {
        // The reader may have seen enough already.
        let _gone = tokio::io::AsyncWriteExt::write_all(&mut near, &bytes).await;
    });
    far
}

#[tokio::test]
async fn says_how_far_a_peer_came_that_closed_early() {
    for (bytes, count) in [(&b""[..], 0), (&PING[..9], 9), (&PING[..20], 20)] {
        let cut = read(&mut &*bytes, Limits::PASSIVE, soon()).await;
        assert!(
            matches!(cut, Err(NotRead::Cut(seen)) if seen == count),
            "{cut:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stalls_is_given_up_at_the_deadline() {
    let (_near, mut far) = tokio::io::duplex(64);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(3);
    let late = read(&mut far, Limits::PASSIVE, deadline.into_std()).await;
    assert!(matches!(late, Err(NotRead::Late)), "{late:?}");
}

#[tokio::test]
async fn reads_the_largest_body_allowed_plain_and_compressed() {
    let body = vec![b'a'; Limits::PASSIVE.body];
    for packet in [encode(&body), encode_compressed(&body)] {
        let mut stream = tokio_pieces(&packet, 1000);
        let read = read(&mut stream, Limits::PASSIVE, soon()).await.unwrap();
        assert_eq!(read, body);
    }
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(body in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(decode(&encode(&body)), Ok(body.clone()));
        prop_assert_eq!(decode(&encode_compressed(&body)), Ok(body));
    }

    #[test]
    fn no_header_makes_the_codec_fail_badly(
        flags: u8,
        length in 0u32..100,
        reserved in 0u32..100_000,
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = with(flags, length, reserved, &body);
        match look(&bytes, Limits::PASSIVE) {
            Ok(Seen::Whole(Body::Compressed { at, inflated })) => {
                if let Ok(out) = inflate(&bytes[at], inflated) {
                    prop_assert_eq!(out.len(), inflated);
                }
            }
            Ok(Seen::Whole(Body::Plain(at))) => prop_assert_eq!(&bytes[at], &body[..]),
            Ok(Seen::Missing(count)) => prop_assert!(count > 0),
            Err(_) => {}
        }
    }
}
