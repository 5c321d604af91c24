mod http2;

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;

use super::*;

async fn listening() -> (TcpListener, Endpoint) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, format!("http://{address}/base").parse().unwrap())
}

fn client(endpoint: Endpoint) -> Client {
    Client::new(
        endpoint,
        Protocol::Http1,
        Limits::default(),
        Resolver::default(),
    )
}

/// Reads one request head without a body and gives it back as text.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

async fn answer(stream: &mut TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn asks_twice_on_one_connection() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let first = head(&mut stream).await;
        answer(&mut stream, OK).await;
        let second = head(&mut stream).await;
        answer(&mut stream, OK).await;
        (first, second)
    });
    let host = endpoint.authority();
    let client = client(endpoint);
    let response = client
        .send(Request::get().header("x-a", "b"))
        .await
        .unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.body[..]),
        (200, &b"ok"[..])
    );
    client.send(Request::get().at("/other?q=1")).await.unwrap();
    let (first, second) = server.await.unwrap();
    assert!(first.starts_with("GET /base HTTP/1.1\r\n"), "{first}");
    assert!(first.contains(&format!("host: {host}\r\n")), "{first}");
    assert!(first.contains("x-a: b\r\n"), "{first}");
    assert!(
        second.starts_with("GET /other?q=1 HTTP/1.1\r\n"),
        "{second}"
    );
}

#[tokio::test]
async fn remakes_a_kept_connection_that_the_server_closed() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            answer(&mut stream, OK).await;
        }
    });
    let client = client(endpoint);
    for _ in 0..3 {
        assert_eq!(client.send(Request::get()).await.unwrap().status, 200);
    }
    server.await.unwrap();
}

#[tokio::test]
async fn sends_once_more_when_a_kept_connection_dies_under_the_request() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        answer(&mut stream, OK).await;
        // The second request is read, then the connection goes without a byte of answer.
        head(&mut stream).await;
        drop(stream);
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        answer(
            &mut stream,
            "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
    });
    let client = client(endpoint);
    client.send(Request::get()).await.unwrap();
    assert_eq!(client.send(Request::get()).await.unwrap().status, 201);
    server.await.unwrap();
}

#[tokio::test]
async fn does_not_repeat_a_request_whose_answer_had_begun() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        answer(&mut stream, OK).await;
        head(&mut stream).await;
        answer(&mut stream, "HTTP/1.1 2").await;
    });
    let client = client(endpoint);
    client.send(Request::get()).await.unwrap();
    let error = client.send(Request::get()).await.unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn sends_a_request_with_an_effect_at_most_once() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        let (mut kept, _) = listener.accept().await.unwrap();
        head(&mut kept).await;
        answer(&mut kept, OK).await;
        let (mut own, _) = listener.accept().await.unwrap();
        head(&mut own).await;
        drop(own);
        // Were it sent again, this would answer it.
        kept
    });
    let client = client(endpoint);
    client.send(Request::get()).await.unwrap();
    let error = client
        .send(Request::post("x").at_most_once())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    drop(server.await.unwrap());
}

#[tokio::test]
async fn refuses_an_answer_above_the_cap_by_its_announced_and_by_its_real_length() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nabcdef\r\n4\r\nghij\r\n0\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            answer(&mut stream, text).await;
        }
    });
    let limits = Limits {
        response: 10,
        ..Limits::default()
    };
    let client = Client::new(endpoint, Protocol::Http1, limits, Resolver::default());
    for _ in 0..2 {
        let error = client.send(Request::get()).await.unwrap_err();
        assert!(
            matches!(error, Error::TooLarge { limit: 10, .. }),
            "{error:?}"
        );
    }
    assert_eq!(
        &client.send(Request::get()).await.unwrap().body[..],
        b"abcdefghij"
    );
    server.await.unwrap();
}

#[tokio::test]
async fn tells_garbage_cut_answers_and_bad_chunks_apart() {
    for (text, closed) in [
        ("", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", true),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n", false),
        ("HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", false),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            false,
        ),
    ] {
        let (listener, endpoint) = listening().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            answer(&mut stream, text).await;
        });
        let error = client(endpoint).send(Request::get()).await.unwrap_err();
        match error {
            Error::Closed { .. } => assert!(closed, "{text}"),
            Error::BadResponse { .. } => assert!(!closed, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
        server.await.unwrap();
    }
}

#[tokio::test]
async fn gives_up_at_the_deadline_and_takes_a_new_connection_afterwards() {
    let (listener, endpoint) = listening().await;
    let (release, mut released) = mpsc::channel::<()>(1);
    let server = tokio::spawn(async move {
        let (mut silent, _) = listener.accept().await.unwrap();
        head(&mut silent).await;
        released.recv().await;
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        answer(&mut stream, OK).await;
    });
    let client = client(endpoint);
    let asked = Request::get().within(Duration::from_millis(50));
    let error = client.send(asked).await.unwrap_err();
    assert!(
        matches!(error, Error::TimedOut { .. }) && error.is_transient(),
        "{error:?}"
    );
    drop(release);
    client.send(Request::get()).await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn says_whom_it_cannot_connect_to_and_keeps_secrets_to_itself() {
    let (listener, endpoint) = listening().await;
    drop(listener);
    let secret = endpoint.at("/SECRET?token=SECRET").unwrap();
    let asked = Request::get().header("authorization", "Bearer SECRET");
    assert!(!format!("{asked:?}").contains("SECRET"));
    let error = client(secret).send(asked).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("SECRET"));
    assert!(error.to_string().contains(&endpoint.to_string()), "{error}");
    match error {
        Error::Connect { source, .. } => {
            assert_eq!(source.kind(), io::ErrorKind::ConnectionRefused)
        }
        other => panic!("{other:?}"),
    }
    let error = client(endpoint)
        .send(Request::get().header("x", "a\nb"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::BadRequest { .. }));
}

#[tokio::test]
async fn talks_over_a_unix_socket() {
    let directory = std::env::temp_dir().join(format!("nodeward-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("peer.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let asked = head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        asked
    });
    let client = client(format!("unix:{}", path.display()).parse().unwrap());
    let response = client
        .send(Request::get().at("/v1.41/containers/json"))
        .await
        .unwrap();
    assert_eq!(response.status, 200);
    let asked = server.await.unwrap();
    assert!(
        asked.starts_with("GET /v1.41/containers/json HTTP/1.1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("host: localhost\r\n"), "{asked}");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn finds_localhost_on_either_family_without_a_resolver() {
    for place in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(place).await else {
            // A machine without IPv6.
            continue;
        };
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            answer(&mut stream, OK).await;
        });
        let client = client(format!("http://localhost:{port}").parse().unwrap());
        assert_eq!(client.send(Request::get()).await.unwrap().status, 200);
        server.await.unwrap();
    }
}

#[test]
fn can_be_sent_between_threads() {
    fn sendable<T: Send>(_: T) {}
    let client = client("http://127.0.0.1:1".parse().unwrap());
    sendable(client.send(Request::get()));
}

#[tokio::test]
async fn https_is_spoken_to_who_is_trusted() {
    use crate::net::tls::Connector;
    use crate::net::tls::tests::{Place, before};

    let place = Place::new();
    let (listener, _) = listening().await;
    let plain = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 1024];
            while let Ok(1..) = stream.read(&mut head).await {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
                stream.write_all(answer).await.unwrap();
            }
        }
    });
    let required = crate::net::tls::ServerOptions {
        client_ca_file: Some(place.path("ca.pem")),
        ..place.serving(&place.authority.issue(&["localhost"]))
    };
    let at = before(&plain, required).await;
    let endpoint: Endpoint = format!("https://localhost:{}", at.port()).parse().unwrap();
    let client = |tls| {
        let resolver = Resolver::default();
        Client::new(
            endpoint.clone(),
            Protocol::Http1,
            Limits::default(),
            resolver,
        )
        .trusting(tls)
    };
    let mine = place.authority.issue(&["mine.example"]);
    let known = client(Connector::new(place.showing("mine", &mine)));
    for _ in 0..2 {
        let answer = known.send(Request::get()).await.unwrap();
        assert_eq!(&answer.body[..], b"hi");
    }
    let why = client(Connector::new(place.trusting()))
        .send(Request::get())
        .await;
    let why = why.unwrap_err();
    assert!(
        matches!(why, Error::Tls { .. }) && why.is_transient(),
        "{why:?}"
    );
    assert!(
        why.told().contains("asks for a client certificate"),
        "{}",
        why.told()
    );
    let why = client(Connector::default())
        .send(Request::get())
        .await
        .unwrap_err();
    let told = why.told();
    assert!(
        told.starts_with(&format!("cannot connect to {endpoint}: ")),
        "{told}"
    );
    assert!(told.contains("set tls.ca_file"), "{told}");
}
