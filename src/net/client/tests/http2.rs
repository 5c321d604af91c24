//! HTTP/2 with prior knowledge, as gRPC uses it, against hyper's own server.

use std::convert::Infallible;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::StatusCode;
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::super::*;
use super::listening;

/// A gRPC-like server: echoes the body with trailers, or puts its status in the headers for `/bare`.
/// Each connection goes away after `requests`.
async fn grpc(listener: TcpListener, connections: usize, requests: usize) {
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        let (done, mut finished) = mpsc::channel::<()>(16);
        let service = service_fn(move |request| answer_grpc(request, done.clone()));
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        for _ in 0..requests {
            tokio::select! {
                _ = connection.as_mut() => panic!("the client left early"),
                _ = finished.recv() => {}
            }
        }
        connection.as_mut().graceful_shutdown();
        connection.as_mut().await.ok();
    }
}

async fn answer_grpc(
    request: hyper::Request<Incoming>,
    done: mpsc::Sender<()>,
) -> Result<hyper::Response<BoxBody<Bytes, Infallible>>, Infallible> {
    assert_eq!(request.version(), hyper::Version::HTTP_2);
    assert_eq!(request.headers().get("te").unwrap(), "trailers");
    let bare = request.uri().path() == "/bare";
    let body = request.into_body().collect().await.unwrap().to_bytes();
    done.send(()).await.ok();
    let response = hyper::Response::builder();
    if bare {
        let response = response
            .header("grpc-status", "14")
            .header("grpc-message", "go%20away");
        return Ok(response.body(Empty::new().boxed()).unwrap());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = Full::new(body).with_trailers(async { Some(Ok(trailers)) });
    Ok(response.body(body.boxed()).unwrap())
}

fn call(path: &str) -> Request {
    Request::post(&b"\0\0\0\0\x01x"[..])
        .at(path)
        .header("te", "trailers")
        .header("content-type", "application/grpc")
}

#[tokio::test]
async fn reads_grpc_outcomes_from_trailers_and_from_headers() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(grpc(listener, 1, 2));
    let client = Client::new(
        endpoint,
        Protocol::Http2,
        Limits::default(),
        Resolver::default(),
    );
    let response = client.send(call("/svc/Export")).await.unwrap();
    assert_eq!(&response.body[..], b"\0\0\0\0\x01x");
    assert_eq!(response.grpc_status().unwrap().code, 0);
    let response = client.send(call("/bare")).await.unwrap();
    assert_eq!(
        response.grpc_status(),
        Some(GrpcStatus {
            code: 14,
            message: "go away".to_owned()
        })
    );
    drop(client);
    server.await.unwrap();
}

#[tokio::test]
async fn survives_a_goaway_between_calls() {
    let (listener, endpoint) = listening().await;
    // A call may still be taken on a connection that is going away, so not all of these are used.
    let server = tokio::spawn(grpc(listener, 5, 1));
    let client = Client::new(
        endpoint,
        Protocol::Http2,
        Limits::default(),
        Resolver::default(),
    );
    for _ in 0..5 {
        let response = client.send(call("/svc/Export")).await.unwrap();
        assert_eq!(response.grpc_status().unwrap().code, 0);
    }
    server.abort();
}

#[tokio::test]
async fn carries_calls_side_by_side_on_one_http2_connection() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(grpc(listener, 1, 3));
    let client = Client::new(
        endpoint,
        Protocol::Http2,
        Limits::default(),
        Resolver::default(),
    );
    client.send(call("/first")).await.unwrap();
    let (one, two) = tokio::join!(client.send(call("/one")), client.send(call("/two")));
    assert_eq!(
        (one.unwrap().status, two.unwrap().status),
        (StatusCode::OK, StatusCode::OK)
    );
    drop(client);
    server.await.unwrap();
}

#[tokio::test]
async fn says_that_a_peer_does_not_speak_http2() {
    let (listener, endpoint) = listening().await;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        let bad = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";
        stream.write_all(bad.as_bytes()).await.unwrap();
        stream
    });
    let client = Client::new(
        endpoint,
        Protocol::Http2,
        Limits::default(),
        Resolver::default(),
    );
    let error = client.send(call("/svc/Export")).await.unwrap_err();
    assert!(matches!(error, Error::BadResponse { .. }), "{error:?}");
    drop(server.await.unwrap());
}

#[tokio::test]
async fn https_is_spoken_with_http2() {
    use crate::net::tls::Connector;
    use crate::net::tls::tests::{Place, before};

    let place = Place::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap().to_string();
    tokio::spawn(grpc(listener, 1, 1));
    let at = before(
        &plain,
        place.serving(&place.authority.issue(&["localhost"])),
    )
    .await;
    let endpoint: Endpoint = format!("https://localhost:{}/call", at.port())
        .parse()
        .unwrap();
    let client = Client::new(
        endpoint,
        Protocol::Http2,
        Limits::default(),
        Resolver::default(),
    )
    .trusting(Connector::new(place.trusting()));
    let request = Request::post(&b"message"[..]).header("te", "trailers");
    let answer = client.send(request).await.unwrap();
    assert_eq!(&answer.body[..], b"message");
}

#[tokio::test]
async fn a_certificate_that_is_asked_for_is_told_under_http2_too() {
    use crate::net::tls::tests::{Place, before};
    use crate::net::tls::{Connector, ServerOptions};

    let place = Place::new();
    let (listener, _) = listening().await;
    let plain = listener.local_addr().unwrap().to_string();
    let required = ServerOptions {
        client_ca_file: Some(place.path("ca.pem")),
        ..place.serving(&place.authority.issue(&["localhost"]))
    };
    let at = before(&plain, required).await;
    let endpoint = format!("https://localhost:{}", at.port()).parse().unwrap();
    let client = Client::new(
        endpoint,
        Protocol::Http2,
        Limits::default(),
        Resolver::default(),
    )
    .trusting(Connector::new(place.trusting()));
    let why = client.send(call("/svc/Export")).await.unwrap_err();
    assert!(
        matches!(why, Error::Tls { .. }) && why.is_transient(),
        "{why:?}"
    );
    assert!(
        why.told().contains("asks for a client certificate"),
        "{}",
        why.told()
    );
}
