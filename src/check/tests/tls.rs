use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::net::tls::testing::Pair;
use crate::net::tls::tests::{Place, before};

const SOON: Duration = Duration::from_millis(300);

/// Takes every connection, says `text`, and holds it.
async fn saying(text: &'static str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.write_all(text.as_bytes()).await.ok();
            held.push(stream);
        }
    });
    address
}

/// The year after this one, and its first second.
fn next_year() -> (i32, u64) {
    let now = crate::model::moment::Timestamp::now().to_string();
    let year = now.split('-').next().unwrap().parse::<i32>().unwrap() + 1;
    let start = crate::model::moment::Timestamp::parse(&format!("{year}-01-01T00:00:00Z"));
    (year, start.unwrap().seconds())
}

/// Options of `tcp` for a server at this port with a certificate for web.example.
fn tcp(place: &Place, port: u16, more: serde_json::Value) -> serde_json::Value {
    let tls = json!({"ca_file": place.path("ca.pem"), "server_name": "web.example"});
    let mut options = json!({"address": format!("127.0.0.1:{port}"), "tls": tls});
    let more = more.as_object().unwrap().clone();
    options.as_object_mut().unwrap().extend(more);
    json!({"tcp": options})
}

#[tokio::test]
async fn a_certificate_that_ends_too_soon_fails_and_says_which_and_when() {
    let (world, place) = (world(), Place::new());
    let (year, end) = next_year();
    let own = place.authority.issue_until(&["web.example"], year);
    let others = place.authority.issue_until(&["other.example"], year);
    let fine = place.authority.issue(&["web.example"]);
    let above = Pair {
        cert: format!("{}{}", fine.cert, others.cert),
        key: fine.key.clone(),
    };
    let plain = saying("").await;
    for (pair, told) in [
        (&own, Some("its certificate (web.example) ends on")),
        (
            &above,
            Some("certificate 2 of the 2 that it sends (other.example) ends on"),
        ),
        (&fine, None),
    ] {
        let at = before(&plain, place.serving(pair)).await;
        let ask = |line: &str| tcp(&place, at.port(), json!({"certificate_expires_in": line}));
        let seen = probe(ask("370d"), &world).await;
        assert_eq!(seen.ok, told.is_none(), "{seen:?}");
        assert!(!seen.blind, "{seen:?}");
        if let Some(told) = told {
            let why = format!("{told} {year}-01-01T00:00:00Z, in less than 370d");
            assert_eq!(seen.why, why);
            assert_eq!(seen.facts["certificate_expires_at"], end);
            assert_eq!(seen.certificate_end, Some(end));
            assert!(seen.facts["certificate_days_left"].as_u64().unwrap() <= 366);
        }
        let seen = probe(ask("1ms"), &world).await;
        assert!(seen.ok, "{seen:?}");
        let seen = probe(tcp(&place, at.port(), json!({})), &world).await;
        assert!(seen.ok && seen.certificate_end.is_some(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_handshake_must_be_with_whom_it_is_meant_and_in_time() {
    let (world, place) = (world(), Place::new());
    let plain = saying("").await;
    let at = before(
        &plain,
        place.serving(&place.authority.issue(&["web.example"])),
    )
    .await;
    let old = place.authority.issue_until(&["web.example"], 2020);
    let expired = before(&plain, place.serving(&old)).await;
    let ssh: std::net::SocketAddr = saying("SSH-2.0-OpenSSH_9.2\r\n").await.parse().unwrap();
    let trusting =
        |name: &str| json!({"tls": {"ca_file": place.path("ca.pem"), "server_name": name}});
    for (options, why) in [
        (tcp(&place, at.port(), json!({"tls": {}})), "no authority"),
        (
            tcp(&place, at.port(), trusting("other.example")),
            "is for web.example, not for other.example",
        ),
        (
            tcp(&place, expired.port(), json!({})),
            "expired on 2020-01-01T00:00:00Z",
        ),
        (tcp(&place, ssh.port(), json!({})), "is no TLS"),
    ] {
        let seen = probe(options, &world).await;
        assert!(!seen.ok && !seen.blind, "{seen:?}");
        assert!(seen.why.contains(why), "{seen:?}");
    }
    let silent: std::net::SocketAddr = plain.parse().unwrap();
    let seen = within(SOON, tcp(&place, silent.port(), json!({})), &world).await;
    assert!(!seen.ok && !seen.blind, "{seen:?}");
    assert!(seen.why.starts_with("timed out: no handshake"), "{seen:?}");
}

#[tokio::test]
async fn a_slow_connection_fails_though_it_is_made() {
    let (world, address) = (world(), saying("").await);
    for (line, ok) in [("0s", false), ("1h", true)] {
        let options = json!({"tcp": {"address": address, "slower_than": line}});
        let seen = probe(options, &world).await;
        assert_eq!(seen.ok, ok, "{seen:?}");
        assert!(ok || seen.why.contains("which is more than 0s"), "{seen:?}");
    }
}

#[test]
fn what_means_nothing_without_tls_is_a_fault() {
    let keys = |options: serde_json::Value| {
        let faults = check(options).probe.options().faults().into_iter();
        faults.map(|(key, _)| key).collect::<Vec<_>>()
    };
    let line = "certificate_expires_in";
    let plain = json!({"tcp": {"address": "x:1", line: "14d"}});
    assert_eq!(keys(plain), [line]);
    let plain = json!({"http": {"url": "http://x", line: "14d"}});
    assert_eq!(keys(plain), [line]);
    let socket = json!({"tcp": {"address": "unix:/x", "tls": {}}});
    assert_eq!(keys(socket), ["tls.server_name"]);
    let files = json!({"tcp": {"address": "x:1", "tls": {"ca_file": "gone.pem"}}});
    assert_eq!(keys(files), ["tls.ca_file"]);
}
