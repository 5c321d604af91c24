use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::*;
use crate::dialect::zabbix::answer::{Answering, Value};
use crate::model::duration::Period;
use crate::net::tls::testing::Authority;

/// Knows a few keys; `hang` never comes, `slow` once somebody says so.
#[derive(Default)]
pub(super) struct Few {
    pub(super) slow: Arc<Notify>,
}

impl Answers for Few {
    fn answer<'a>(&'a self, key: &'a Key<'a>, _deadline: Instant) -> Answering<'a> {
        Box::pin(async move {
            match key.name() {
                "echo" => Ok(Value::from(key.param(0).to_owned())),
                "large" => Ok(Value::from("x".repeat(1 << 20))),
                "slow" => {
                    self.slow.notified().await;
                    Ok(Value::from("in the end"))
                }
                "hang" => std::future::pending().await,
                _ => Err(Unsupported::UNSUPPORTED_KEY),
            }
        })
    }
}

fn server(allowed: &[&str]) -> Server {
    let options = Options {
        server: allowed.iter().map(ToString::to_string).collect(),
        host_metadata: "linux".to_owned(),
        ..Options::default()
    };
    Server::new(
        &options,
        "node 1",
        Arc::new(Few::default()),
        Arc::default(),
        Resolver::default(),
    )
    .unwrap()
}

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// What comes back for these bytes, followed by the end of the stream.
async fn ask_of(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(8 << 20);
    let (mut read, mut write) = tokio::io::split(near);
    write.write_all(bytes).await.unwrap();
    write.shutdown().await.unwrap();
    server.serve_connection(&mut far, LOOPBACK).await;
    drop(far);
    let mut reply = Vec::new();
    read.read_to_end(&mut reply).await.unwrap();
    reply
}

/// The body that comes back for a body; "" if nothing does.
async fn ask(body: impl AsRef<[u8]>) -> String {
    let server = server(&["127.0.0.1"]);
    let reply = ask_of(&server, &packet::encode(body.as_ref())).await;
    let body = &reply[HEADER.min(reply.len())..];
    assert!(reply.is_empty() || reply == packet::encode(body));
    String::from_utf8(body.to_vec()).unwrap()
}

const BAD_KEY: &str = "ZBX_NOTSUPPORTED\0Invalid item key format.";

#[tokio::test]
async fn plain_keys_are_answered_as_the_classic_agent_answers_them() {
    let cases = [
        ("agent.ping", "1"),
        ("agent.ping\n", "1"),
        ("agent.ping\r\n", "1"),
        ("agent.ping\0x", "1"),
        ("agent.hostname", "node 1"),
        ("agent.variant", "2"),
        ("agent.hostmetadata", "linux"),
        (
            "agent.ping[]",
            "ZBX_NOTSUPPORTED\0Item does not allow parameters.",
        ),
        ("echo[a b]", "a b"),
        ("echo", ""),
        ("nosuch", "ZBX_NOTSUPPORTED\0Unsupported item key."),
        ("Agent.ping", "ZBX_NOTSUPPORTED\0Unsupported item key."),
        ("agent.ping ", BAD_KEY),
        ("", BAD_KEY),
        ("\n", BAD_KEY),
        ("agent.ping[", BAD_KEY),
        ("{", BAD_KEY),
    ];
    for (key, expected) in cases {
        assert_eq!(ask(key).await, expected, "{key:?}");
    }
    assert_eq!(ask(b"echo[\xff]").await, "\u{fffd}");
}

#[tokio::test]
async fn json_requests_are_answered_as_the_7_0_agent_answers_them() {
    let request = |data: &str| format!(r#"{{"request":"passive checks","data":[{data}]}}"#);
    let data = |data: &str| format!(r#"{{"version":"7.0.0","variant":2,"data":[{data}]}}"#);
    let error = |text: &str| format!(r#"{{"version":"7.0.0","variant":2,"error":"{text}"}}"#);
    let missing = |kind: &str, name: &str| {
        error(&format!(
            r#"cannot find the \"{name}\" {kind} in the received JSON object: cannot find pair with name \"{name}\""#
        ))
    };
    let one = data(r#"{"value":"1"}"#);
    let ping = r#"{"key":"agent.ping","timeout":3}"#;
    let cases = [
        (request(ping), one.clone()),
        (format!(" {}\n", request(ping)), one.clone()),
        (request(r#"{"key":"agent.ping"}"#), one.clone()),
        (
            request(r#"{"key":"agent.ping","timeout":"3s","x":1}"#),
            one.clone(),
        ),
        (request(r#"{"key":"agent.ping\u0000","timeout":3}"#), one),
        (
            request(r#"{"key":"agent.ping","timeout":0}"#),
            data(r#"{"error":"Unsupported timeout value."}"#),
        ),
        (
            request(r#"{"key":"agent.ping\n","timeout":3}"#),
            data(r#"{"error":"Invalid item key format."}"#),
        ),
        (
            request(r#"{"key":"nosuch","timeout":3}"#),
            data(r#"{"error":"Unsupported item key."}"#),
        ),
        (
            request(r#"{"key":5,"timeout":3}"#),
            data(r#"{"error":"Unsupported item key."}"#),
        ),
        (
            request(r#"{"key":"echo[\"a/\\\"<\u20ac\t\u0001\"]","timeout":3}"#),
            data("{\"value\":\"a/\\\"<€\\t\\u0001\"}"),
        ),
        (
            request(&format!(r#"{ping},{{"key":"nosuch"}},{{"key":"echo[b]"}}"#)),
            data(r#"{"value":"1"},{"error":"Unsupported item key."},{"value":"b"}"#),
        ),
        (request(""), error(r#"received empty \"data\" tag"#)),
        (request("5"), error("cannot open JSON object or array")),
        (request("{}"), missing("object", "key")),
        ("{}".to_owned(), missing("object", "request")),
        (
            r#"{"request":"passive checks"}"#.to_owned(),
            missing("array", "data"),
        ),
        (
            r#"{"request":"passive checks","data":{}}"#.to_owned(),
            error(r#"received empty \"data\" tag"#),
        ),
        (
            r#"{"request":"other"}"#.to_owned(),
            error(r#"unknown request \"other\""#),
        ),
        (
            r#"{"request":5}"#.to_owned(),
            error(r#"unknown request \"5\""#),
        ),
        (
            request(&[ping; 101].join(",")),
            error("more than 100 checks in one request"),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(ask(&body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn bad_bytes_in_json_do_not_make_it_a_bad_key() {
    let body = b"{\"request\":\"passive checks\",\"data\":[{\"key\":\"nosuch[\xff]\"}]}";
    let expected = r#"{"version":"7.0.0","variant":2,"data":[{"error":"Unsupported item key."}]}"#;
    assert_eq!(ask(body).await, expected);
}

#[tokio::test]
async fn many_large_values_in_one_request_end_in_errors_and_not_in_memory() {
    let checks = [r#"{"key":"large"}"#; 100].join(",");
    let reply = ask(format!(
        r#"{{"request":"passive checks","data":[{checks}]}}"#
    ))
    .await;
    assert!(reply.len() < 6 << 20, "{} bytes", reply.len());
    assert_eq!(reply.matches("\"value\"").count(), 4);
    assert_eq!(reply.matches("\"Too much for one reply.\"").count(), 96);
}

#[tokio::test]
async fn compressed_requests_are_answered_uncompressed() {
    let server = server(&["127.0.0.1"]);
    let reply = ask_of(&server, &packet::encode_compressed(b"agent.ping")).await;
    assert_eq!(reply, packet::encode(b"1"));
}

#[tokio::test]
async fn bytes_that_are_no_packet_get_no_byte_back() {
    let server = server(&["127.0.0.1"]);
    let ping = packet::encode(b"agent.ping");
    let mut large = ping.clone();
    large[4] = 0x05;
    let mut unknown = ping.clone();
    unknown[4] = 0x09;
    let bomb = packet::encode_compressed(&vec![b'a'; 1 << 20]);
    let trailing = [&ping[..], b"x"].concat();
    let oversized = packet::encode(&vec![b'a'; Limits::PASSIVE.body + 1]);
    let cases: [&[u8]; 9] = [
        b"agent.ping\n",
        b"GET / HTTP/1.0\r\n\r\n",
        &ping[..9],
        &ping[..20],
        &large,
        &unknown,
        &bomb,
        &trailing,
        &oversized,
    ];
    for bytes in cases {
        assert_eq!(ask_of(&server, bytes).await, b"", "{bytes:?}");
    }
    assert_eq!(server.counters().get(Outcome::Malformed), 9);
    assert_eq!(server.counters().get(Outcome::Answered), 0);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_answered_as_an_empty_key() {
    let server = server(&["127.0.0.1"]);
    assert_eq!(
        ask_of(&server, b"").await,
        packet::encode(BAD_KEY.as_bytes())
    );
}

#[tokio::test]
async fn a_peer_that_is_not_listed_is_closed_without_a_byte() {
    let server = server(&["10.0.0.1"]);
    assert_eq!(ask_of(&server, &packet::encode(b"agent.ping")).await, b"");
    assert_eq!(server.counters().get(Outcome::Refused), 1);
}

#[tokio::test]
async fn every_outcome_is_counted_once() {
    let server = server(&["127.0.0.1"]);
    let two = r#"{"request":"passive checks","data":[{"key":"agent.ping"},{"key":"nosuch"}]}"#;
    for body in ["agent.ping", "nosuch", two, "{}"] {
        ask_of(&server, &packet::encode(body.as_bytes())).await;
    }
    server.turn_away(LOOPBACK);
    let counts = Outcome::ALL.map(|outcome| (outcome.name(), server.counters().get(outcome)));
    let expected = [
        ("answered", 2),
        ("unsupported", 2),
        ("timed_out", 0),
        ("malformed", 1),
        ("refused", 0),
        ("too_many", 1),
        ("tls", 0),
        ("unsent", 0),
    ];
    assert_eq!(counts, expected);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_does_not_come_is_an_answer_at_its_deadline() {
    let server = server(&["127.0.0.1"]);
    let start = tokio::time::Instant::now();
    let reply = ask_of(&server, &packet::encode(b"hang")).await;
    let expected = b"ZBX_NOTSUPPORTED\0Timeout occurred while gathering data.";
    assert_eq!(reply, packet::encode(expected));
    assert_eq!(start.elapsed().as_secs(), 3);

    let body = r#"{"request":"passive checks","data":[{"key":"hang","timeout":7},{"key":"hang","timeout":5}]}"#;
    let start = tokio::time::Instant::now();
    let reply = ask_of(&server, &packet::encode(body.as_bytes())).await;
    assert!(String::from_utf8_lossy(&reply).contains("Timeout occurred"));
    assert_eq!(
        start.elapsed().as_secs(),
        7,
        "each counts from the arrival of the request"
    );
    assert_eq!(server.counters().get(Outcome::TimedOut), 3);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_half_a_request_is_closed_after_the_timeout() {
    let server = server(&["127.0.0.1"]);
    let (mut near, mut far) = tokio::io::duplex(64);
    near.write_all(b"ZBXD\x01").await.unwrap();
    let start = tokio::time::Instant::now();
    server.serve_connection(&mut far, LOOPBACK).await;
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(server.counters().get(Outcome::TimedOut), 1);
}

/// A server that wants certificates, with this `timeout`.
fn protected(seconds: u64, directory: &Path) -> Server {
    let authority = Authority::new("ours");
    let ca_file = authority.write(directory, "ours");
    let (cert_file, key_file) = authority.issue(&["a.example"]).write(directory, "ours");
    let options = Options {
        server: vec!["127.0.0.1".to_owned()],
        timeout: Period::secs(seconds),
        tls: Some(mutual::Options {
            accept: vec![mutual::Kind::Cert],
            ca_file: Some(ca_file),
            cert_file: Some(cert_file),
            key_file: Some(key_file),
            ..mutual::Options::default()
        }),
        ..Options::default()
    };
    let few = Arc::new(Few::default());
    Server::new(&options, "node 1", few, Arc::default(), Resolver::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_end_is_waited_for_ten_seconds_whatever_a_check_may_take() {
    let directory = tempfile::tempdir().unwrap();
    for (timeout, waited) in [(3, 3), (10, 10), (30, 10)] {
        // Nothing at all, and half a greeting.
        for said in [
            &b""[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03half",
        ] {
            let server = protected(timeout, directory.path());
            server.prepare().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            peer.write_all(said).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let start = tokio::time::Instant::now();
            server.take(Stream::Tcp(stream), LOOPBACK).await;
            let about = format!("{timeout} s, {} bytes", said.len());
            assert_eq!(start.elapsed().as_secs(), waited, "{about}");
            assert_eq!(server.counters().get(Outcome::TimedOut), 1, "{about}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_answer_is_closed_after_the_timeout() {
    let server = server(&["127.0.0.1"]);
    let (mut near, mut far) = tokio::io::duplex(1024);
    near.write_all(&packet::encode(b"large")).await.unwrap();
    server.serve_connection(&mut far, LOOPBACK).await;
    assert_eq!(server.counters().get(Outcome::Unsent), 1);
}

#[tokio::test]
async fn agent_ping_does_not_wait_for_keys_that_hang() {
    let server = Arc::new(server(&["127.0.0.1"]));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let server = Arc::clone(&server);
            tokio::spawn(async move { server.serve_connection(stream, peer.ip()).await });
        }
    });
    let mut hanging = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&packet::encode(b"hang")).await.unwrap();
        hanging.push(stream);
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(&packet::encode(b"agent.ping"))
        .await
        .unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    assert_eq!(reply, packet::encode(b"1"));
    for stream in &hanging {
        let nothing = stream.try_read(&mut [0; 1]).unwrap_err();
        assert_eq!(
            nothing.kind(),
            std::io::ErrorKind::WouldBlock,
            "it hangs still"
        );
    }
    accepting.abort();
}

#[test]
fn a_server_is_not_made_from_bad_options() {
    let options = Options {
        server: vec!["127.0.0.1/33".to_owned()],
        timeout: Period::secs(0),
        ..Options::default()
    };
    let answers = Arc::new(Few::default());
    let invalid = Server::new(&options, "n", answers, Arc::default(), Resolver::default())
        .err()
        .unwrap();
    assert_eq!(invalid.len(), 2);
}
