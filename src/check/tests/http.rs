use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SOON: Duration = Duration::from_millis(300);

/// A server that gives each request of each connection to `answer`; its address.
async fn server<F>(answer: impl Fn(TcpStream, String) -> F + Clone + Send + 'static) -> String
where
    F: Future<Output = Option<TcpStream>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                loop {
                    let Ok(read @ 1..) = stream.read(&mut head).await else {
                        return;
                    };
                    let request = String::from_utf8_lossy(&head[..read]).into_owned();
                    match answer(stream, request).await {
                        Some(kept) => stream = kept,
                        None => return,
                    }
                }
            });
        }
    });
    format!("http://{address}/healthz")
}

/// A server that answers everything with this text.
async fn saying(text: &'static str) -> String {
    server(move |mut stream, _| async move {
        stream.write_all(text.as_bytes()).await.ok()?;
        Some(stream)
    })
    .await
}

const FINE: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\nall well";

#[tokio::test]
async fn status_headers_and_body_are_what_is_judged() {
    let url = saying(FINE).await;
    let world = world();
    for (more, fault) in [
        (json!({}), None),
        (
            json!({"expect": 200, "body_contains": "well", "response_headers": {"Content-Type": "text/plain"}}),
            None,
        ),
        (
            json!({"method": "OPTIONS", "expect": ["200-204", 301]}),
            None,
        ),
        (
            json!({"expect": "201-299"}),
            Some("status 200 where 201-299 is expected"),
        ),
        (
            json!({"body_contains": "ill"}),
            Some("\"ill\" is not in the body of 8 bytes"),
        ),
        (
            json!({"response_headers": {"content-type": "text"}}),
            Some("header content-type is \"text/plain\""),
        ),
        (
            json!({"response_headers": {"content-type": {"matches": "^text/"}, "x-a": {"present": false}}}),
            None,
        ),
        (
            json!({"response_headers": {"content-type": {"present": true}}, "body_matches": "^all +w.ll$"}),
            None,
        ),
        (
            json!({"response_headers": {"content-type": {"matches": "^image/"}}}),
            Some("where a match of /^image// is expected"),
        ),
        (
            json!({"response_headers": {"content-type": {"present": false}}}),
            Some("where no such header is expected"),
        ),
        (
            json!({"response_headers": {"x-a": {"present": true}}}),
            Some("header x-a is missing"),
        ),
        (
            json!({"body_matches": "^well"}),
            Some("/^well/ matches nothing in the body of 8 bytes"),
        ),
        (
            json!({"response_headers": {"x-a": "1"}}),
            Some("header x-a is missing"),
        ),
        (json!({"max_body": "7B"}), Some("larger than 7 bytes")),
        (json!({"slower_than": "0s"}), Some("which is more than 0")),
    ] {
        let mut options = more.clone();
        options["url"] = url.clone().into();
        let said = probe(json!({"http": options}), &world).await;
        assert_eq!(said.ok, fault.is_none(), "{more}: {}", said.why);
        assert!(
            said.why.contains(fault.unwrap_or("status 200")),
            "{more}: {}",
            said.why
        );
    }
    let said = probe(json!({"http": {"url": url}}), &world).await;
    assert_eq!(said.facts["status"], 200);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let url = saying("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n").await;
    let said = probe(json!({"http": {"url": url}}), &world()).await;
    assert!(
        !said.ok
            && said
                .why
                .contains("a redirect to \"/login\", which is not followed"),
        "{}",
        said.why
    );
    assert!(
        probe(json!({"http": {"url": url, "expect": 302}}), &world())
            .await
            .ok
    );
}

#[tokio::test]
async fn what_is_sent_is_what_the_options_say() {
    let url = server(|mut stream, request| async move {
        let asked = request.starts_with("HEAD /healthz HTTP/1.1\r\n");
        let host = request.contains("host: web.internal\r\n") && !request.contains("127.0.0.1");
        let status = if asked && host && request.contains("x-a: 1\r\n") {
            "204 No Content"
        } else {
            "400 Bad Request"
        };
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(text.as_bytes()).await.ok()?;
        Some(stream)
    })
    .await;
    let options = json!({"url": url, "method": "HEAD", "expect": 204, "request_headers": {"host": "web.internal", "x-a": "1"}});
    let said = probe(json!({"http": options}), &world()).await;
    assert!(said.ok, "{}", said.why);
}

#[tokio::test]
async fn a_server_that_hangs_floods_or_breaks_off_fails_in_time() {
    let world = world();
    let silent = server(|stream, _| async move {
        std::future::pending::<()>().await;
        Some(stream)
    })
    .await;
    let said = within(SOON, json!({"http": {"url": silent}}), &world).await;
    assert!(
        !said.ok && said.why.starts_with("timed out"),
        "{}",
        said.why
    );

    assert!(!said.blind, "silence tells how it is");

    let slow_head = server(|mut stream, _| async move {
        loop {
            stream.write_all(b"H").await.ok()?;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let said = within(SOON, json!({"http": {"url": slow_head}}), &world).await;
    assert!(
        !said.ok && said.why.starts_with("timed out"),
        "{}",
        said.why
    );

    let endless = server(|mut stream, _| async move {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).await.ok()?;
        loop {
            stream.write_all(b"1000\r\n").await.ok()?;
            stream.write_all(&[b'x'; 0x1000]).await.ok()?;
            stream.write_all(b"\r\n").await.ok()?;
        }
    })
    .await;
    let said = probe(json!({"http": {"url": endless}}), &world).await;
    assert!(
        !said.ok && said.why.contains("larger than 1048576 bytes"),
        "{}",
        said.why
    );

    let reset = server(|_, _| async { None }).await;
    let said = probe(json!({"http": {"url": reset}}), &world).await;
    assert!(
        !said.ok && said.why.contains("closed the connection"),
        "{}",
        said.why
    );

    let garbage = saying("SSH-2.0-OpenSSH_9.2\r\n").await;
    let said = probe(json!({"http": {"url": garbage}}), &world).await;
    assert!(!said.ok && said.why.contains("valid HTTP"), "{}", said.why);
}

#[tokio::test]
async fn a_name_server_that_hangs_says_nothing_of_the_server() {
    let (release, world) = over_names_that_hang();
    let said = within(
        SOON,
        json!({"http": {"url": "http://hangs.invalid/"}}),
        &world,
    )
    .await;
    assert!(
        said.blind && said.why.contains("could not be looked up in time"),
        "{said:?}"
    );
    drop(release);
}

#[tokio::test]
async fn scheduled_probes_keep_their_connection_and_others_make_their_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let mut head = [0; 4096];
                while let Ok(1..) = stream.read(&mut head).await {
                    if stream.write_all(FINE.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    for (keep_alive, age, expected) in [(true, 1, 1), (true, 0, 3), (false, 1, 3)] {
        let options = check(json!({"http": {"url": url, "keep_alive": keep_alive}}));
        let plan = Plan::new(&Options::from([("it".to_owned(), options)]), &world()).unwrap();
        connections.store(0, Ordering::Relaxed);
        for _ in 0..3 {
            let deadline = Instant::now() + Duration::from_secs(60);
            let said = plan.0["it"].probe(deadline, Duration::from_secs(age)).await;
            assert!(said.ok, "{}", said.why);
        }
        assert_eq!(
            connections.load(Ordering::Relaxed),
            expected,
            "{keep_alive} {age}"
        );
    }
}

#[tokio::test]
async fn a_certificate_must_be_for_the_name_and_of_a_trusted_authority() {
    use crate::net::tls::tests::{Place, before};

    let world = world();
    let place = Place::new();
    let url = saying(FINE).await;
    let plain = url
        .strip_prefix("http://")
        .and_then(|url| url.strip_suffix("/healthz"));
    let at = before(
        plain.unwrap(),
        place.serving(&place.authority.issue(&["web.example"])),
    )
    .await;
    let url = format!("https://localhost:{}/healthz", at.port());
    let tls = |name: Option<&str>| json!({"ca_file": place.path("ca.pem"), "server_name": name});
    let named = json!({"http": {"url": url, "tls": tls(Some("web.example"))}});
    let seen = probe(named, &world).await;
    assert!(seen.ok, "{seen:?}");
    for (probed, why) in [
        (
            json!({"http": {"url": url, "tls": tls(None)}}),
            "is for web.example, not for localhost",
        ),
        (
            json!({"http": {"url": url}}),
            "no authority that is trusted here",
        ),
    ] {
        let seen = probe(probed, &world).await;
        assert!(
            !seen.ok && !seen.blind && seen.why.contains(why),
            "{seen:?}"
        );
    }
    // Here when the config was read, and gone when the first probe needs it.
    let gone = place.path("gone.pem");
    std::fs::copy(place.path("ca.pem"), &gone).unwrap();
    let options = check(json!({"http": {"url": url, "tls": {"ca_file": gone}}}));
    let options = Options::from([("it".to_owned(), options)]);
    assert_eq!(faults(&options), []);
    std::fs::remove_file(&gone).unwrap();
    let plan = Plan::new(&options, &world).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let seen = plan.probe("it", deadline).await.unwrap();
    assert!(
        seen.blind && seen.why.contains("tls.ca_file: cannot read"),
        "{seen:?}"
    );
    let line = |line: &str| {
        let tls = tls(Some("web.example"));
        json!({"http": {"url": url, "tls": tls, "certificate_expires_in": line}})
    };
    let seen = probe(line("14d"), &world).await;
    assert!(seen.ok && seen.certificate_end.is_some(), "{seen:?}");
    let ends = seen.certificate_end;
    let seen = probe(line("3650d"), &world).await;
    assert_eq!(seen.certificate_end, ends);
    let bad = check(json!({"http": {"url": "http://x", "tls": {"ca_file": "gone.pem"}}}));
    let bad = faults(&Options::from([("it".to_owned(), bad)]));
    let keys: Vec<_> = bad.iter().map(|fault| fault.keys.join(".")).collect();
    assert_eq!(keys, ["probe.http.tls", "probe.http.tls.ca_file"]);
}

#[tokio::test]
async fn a_long_body_is_held_against_an_expression_too() {
    let url = server(|mut stream, _| async move {
        let body = format!("{}end", "x".repeat(100_000));
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
        Some(stream)
    })
    .await;
    for (pattern, ok) in [("xend$", true), ("yend$", false)] {
        let options = json!({"http": {"url": url, "body_matches": pattern}});
        let seen = probe(options, &world()).await;
        assert_eq!(seen.ok, ok, "{seen:?}");
    }
}

#[test]
fn a_header_is_read_and_written_in_each_form_and_no_other() {
    for text in [
        r#""text/plain""#,
        r#"{"matches":"^text/"}"#,
        r#"{"present":true}"#,
        r#"{"present":false}"#,
    ] {
        let header: crate::check::http::Header = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&header).unwrap(), text);
    }
    for bad in [
        "{}",
        "1",
        r#"{"matches":"("}"#,
        r#"{"absent":true}"#,
        r#"{"present":true,"matches":"x"}"#,
    ] {
        assert!(
            serde_json::from_str::<crate::check::http::Header>(bad).is_err(),
            "{bad}"
        );
    }
}
