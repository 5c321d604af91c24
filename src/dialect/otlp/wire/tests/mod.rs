//! One exchange at a time with a scripted server on loopback, over HTTP/1.1 and HTTP/2.

mod secure;
mod server;

use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Request as Asked, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::dialect::otlp::signal::Signal;
use server::{Reply, Server, hear, raw};

fn route(address: &str, protocol: Protocol, compression: Compression) -> Route {
    let endpoint = format!("http://{address}")
        .parse::<crate::net::endpoint::Endpoint>()
        .unwrap();
    let endpoint = match protocol {
        Protocol::HttpProtobuf => endpoint.below(Signal::Metrics.http_path()),
        Protocol::Grpc => endpoint.at(Signal::Metrics.grpc_path()),
    };
    Route {
        endpoint: endpoint.unwrap(),
        tls: crate::net::tls::ClientOptions::default(),
        protocol,
        headers: [("x-tenant".parse().unwrap(), "ops".parse().unwrap())]
            .into_iter()
            .collect(),
        timeout: Duration::from_secs(30),
        compression,
    }
}

async fn exchange(route: &Route) -> Answer {
    let wire = Wire::new(route, &Resolver::default());
    let packed = wire
        .packing()
        .pack(&Bytes::from_static(b"message"))
        .unwrap();
    wire.carry(packed).await
}

async fn told_by(protocol: Protocol, reply: Reply) -> Answer {
    let server = Server::answering(protocol, reply).await;
    exchange(&route(&server.address, protocol, Compression::Gzip)).await
}

fn later(answer: Answer) -> (Reason, Option<Duration>) {
    match answer {
        Answer::Later { reason, wait, .. } => (reason, wait),
        other => panic!("{other:?}"),
    }
}

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

fn taken() -> Answer {
    Answer::Taken {
        rejected: 0,
        told: String::new(),
    }
}

#[tokio::test]
async fn posts_protobuf_over_http() {
    let server = Server::answering(Protocol::HttpProtobuf, Reply::http(200)).await;
    for compression in [Compression::Gzip, Compression::None] {
        let answer = exchange(&route(&server.address, Protocol::HttpProtobuf, compression)).await;
        assert_eq!(answer, taken());
        let [(parts, body)] = server.asked().try_into().unwrap();
        assert_eq!(
            (parts.method.as_str(), parts.uri.path()),
            ("POST", "/v1/metrics")
        );
        assert_eq!(parts.headers["content-type"], "application/x-protobuf");
        assert_eq!(parts.headers["x-tenant"], "ops");
        let agent = format!("OTel-OTLP-Exporter-nodeward/{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(parts.headers["user-agent"], agent.as_str());
        if compression == Compression::Gzip {
            assert_eq!(parts.headers["content-encoding"], "gzip");
            assert_eq!(gunzipped(&body), b"message");
        } else {
            assert!(!parts.headers.contains_key("content-encoding"));
            assert_eq!(body, &b"message"[..]);
        }
    }
}

#[tokio::test]
async fn calls_the_service_over_grpc() {
    let server = Server::answering(Protocol::Grpc, Reply::grpc(0)).await;
    for compression in [Compression::Gzip, Compression::None] {
        let answer = exchange(&route(&server.address, Protocol::Grpc, compression)).await;
        assert_eq!(answer, taken());
        let [(parts, body)] = server.asked().try_into().unwrap();
        assert_eq!(parts.uri.path(), Signal::Metrics.grpc_path());
        assert_eq!(parts.uri.authority().unwrap().as_str(), server.address);
        assert_eq!(parts.headers["content-type"], "application/grpc");
        assert_eq!(parts.headers["te"], "trailers");
        assert_eq!(parts.headers["x-tenant"], "ops");
        let message = match (compression, body[0]) {
            (Compression::Gzip, 1) => gunzipped(&body[5..]),
            (Compression::None, 0) => body[5..].to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(message, b"message");
        let encoding = parts
            .headers
            .get("grpc-encoding")
            .map(|value| value.to_str().unwrap());
        assert_eq!(
            encoding,
            (compression == Compression::Gzip).then_some("gzip")
        );
    }
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let reply = match protocol {
            Protocol::HttpProtobuf => Reply::http(503),
            Protocol::Grpc => Reply::grpc(14),
        };
        let server = Server::answering(protocol, reply).await;
        let wire = Wire::new(
            &route(&server.address, protocol, Compression::None),
            &Resolver::default(),
        );
        for _ in 0..5 {
            assert_eq!(later(wire.carry(Bytes::new()).await).0, Reason::Unavailable);
        }
        assert_eq!(*server.connections.lock().unwrap(), 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn http_answers_come_through_with_their_waits() {
    let http = |reply| told_by(Protocol::HttpProtobuf, reply);
    let wait = later(http(Reply::http(429).header("retry-after", "7")).await);
    assert_eq!(wait, (Reason::Overloaded, Some(Duration::from_secs(7))));
    let date = Reply::http(503)
        .header("date", "Wed, 21 Oct 2026 07:28:00 GMT")
        .header("retry-after", "Wed, 21 Oct 2026 07:28:09 GMT");
    assert_eq!(
        later(http(date).await),
        (Reason::Unavailable, Some(Duration::from_secs(9)))
    );
    for status in [502, 504] {
        assert_eq!(
            later(http(Reply::http(status)).await),
            (Reason::Unavailable, None)
        );
    }
    for (status, expected) in [
        (400, Reason::Rejected),
        (413, Reason::TooLarge),
        (404, Reason::NotFound),
    ] {
        let answer = http(Reply::http(status)).await;
        assert!(
            matches!(answer, Answer::Never { reason, .. } if reason == expected),
            "{answer:?}"
        );
    }
    let partial = Reply {
        body: b"\x0a\x05\x08\x03\x12\x01x".to_vec(),
        ..Reply::http(200)
    };
    assert_eq!(
        http(partial).await,
        Answer::Taken {
            rejected: 3,
            told: "x".into()
        }
    );
}

#[tokio::test]
async fn grpc_answers_come_through_in_trailers_and_in_headers() {
    let grpc = |reply| told_by(Protocol::Grpc, reply);
    assert_eq!(
        later(grpc(Reply::grpc(14)).await),
        (Reason::Unavailable, None)
    );
    let only = Reply::http(200)
        .header("grpc-status", "14")
        .header("grpc-message", "gone%20away");
    let Answer::Later { told, .. } = grpc(only).await else {
        panic!()
    };
    assert_eq!(told, "answered UNAVAILABLE: gone away");
    let refused = grpc(Reply::grpc(3)).await;
    assert!(
        matches!(
            refused,
            Answer::Never {
                reason: Reason::Rejected,
                ..
            }
        ),
        "{refused:?}"
    );
    let details = "CAgSCXNsb3cgZG93bho2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgHEIDKte4B";
    let mut exhausted = Reply::grpc(8);
    exhausted
        .trailers
        .push(("grpc-status-details-bin", details.into()));
    let wait = Some(Duration::from_millis(7500));
    assert_eq!(later(grpc(exhausted).await), (Reason::Overloaded, wait));
    let for_good = grpc(Reply::grpc(8)).await;
    assert!(
        matches!(for_good, Answer::Never { .. }),
        "without RetryInfo: {for_good:?}"
    );
    let partial = Reply {
        body: b"\0\0\0\0\x07\x0a\x05\x08\x03\x12\x01x".to_vec(),
        ..Reply::grpc(0)
    };
    assert_eq!(
        grpc(partial).await,
        Answer::Taken {
            rejected: 3,
            told: "x".into()
        }
    );
}

#[tokio::test]
async fn no_answer_is_no_verdict_on_the_telemetry() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let reset = raw(async |mut stream| {
        hear(&mut stream).await;
        stream.set_zero_linger().ok();
    })
    .await;
    let half = raw(async |mut stream| {
        hear(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
            .await
            .ok();
    })
    .await;
    let half_closed = raw(async |mut stream| {
        hear(&mut stream).await;
        stream.shutdown().await.ok();
        while hear(&mut stream).await > 0 {}
    })
    .await;
    let other = raw(async |mut stream| {
        hear(&mut stream).await;
        stream.write_all(b"220 mail ESMTP\r\n").await.ok();
        hear(&mut stream).await;
    })
    .await;
    let http = Protocol::HttpProtobuf;
    for (address, protocol, expected) in [
        (&free, http, Reason::Connect),
        (&free, Protocol::Grpc, Reason::Connect),
        (&reset, http, Reason::Broken),
        (&reset, Protocol::Grpc, Reason::Broken),
        (&half, http, Reason::Broken),
        (&half_closed, http, Reason::Broken),
        (&half_closed, Protocol::Grpc, Reason::Broken),
        (&other, http, Reason::Malformed),
    ] {
        let answer = exchange(&route(address, protocol, Compression::None)).await;
        assert_eq!(later(answer), (expected, None), "{protocol:?} {expected:?}");
    }
}

#[tokio::test]
async fn a_silent_receiver_is_given_up_after_the_timeout() {
    let silent = raw(async |mut stream| {
        // Reads for as long as the other side holds the connection, and says nothing.
        while hear(&mut stream).await > 0 {}
    })
    .await;
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let mut route = route(&silent, protocol, Compression::None);
        route.timeout = Duration::from_millis(50);
        assert_eq!(later(exchange(&route).await), (Reason::Timeout, None));
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let endless = raw(async |mut stream| {
        hear(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
        while stream.write_all(&[b'x'; 65536]).await.is_ok() {}
    })
    .await;
    let answer = exchange(&route(&endless, Protocol::HttpProtobuf, Compression::None)).await;
    assert!(
        matches!(
            answer,
            Answer::Never {
                reason: Reason::Malformed,
                ..
            }
        ),
        "{answer:?}"
    );
}

/// Serves one request a connection over HTTP/2, then says GOAWAY and closes.
#[tokio::test]
async fn a_connection_told_to_go_away_is_replaced_without_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            *seen.lock().unwrap() += 1;
            let service = service_fn(async |_: Asked<Incoming>| {
                Ok::<_, Infallible>(Reply::grpc(0).into_response())
            });
            let answered = Arc::new(tokio::sync::Notify::new());
            let told = Arc::clone(&answered);
            let service = service_fn(move |request: Asked<Incoming>| {
                told.notify_one();
                hyper::service::Service::call(&service, request)
            });
            tokio::spawn(async move {
                let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let mut connection =
                    std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
                tokio::select! {
                    _ = connection.as_mut() => return,
                    () = answered.notified() => {}
                }
                connection.as_mut().graceful_shutdown();
                connection.await.ok();
            });
        }
    });
    let wire = Wire::new(
        &route(&address, Protocol::Grpc, Compression::None),
        &Resolver::default(),
    );
    for _ in 0..5 {
        let packed = wire
            .packing()
            .pack(&Bytes::from_static(b"message"))
            .unwrap();
        assert_eq!(wire.carry(packed).await, taken());
    }
    assert!(*connections.lock().unwrap() >= 2);
}

#[tokio::test]
async fn never_shows_the_user_s_headers() {
    let mut route = route("c:1", Protocol::HttpProtobuf, Compression::None);
    route.headers = crate::dialect::otlp::headers::from_file("authorization: hunter2").unwrap();
    let wire = Wire::new(&route, &Resolver::default());
    let shown = format!("{wire:?} {:?}", wire.request(Bytes::new()));
    assert!(!shown.contains("hunter2"), "{shown}");
}
