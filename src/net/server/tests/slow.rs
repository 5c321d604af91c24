//! Slow, silent and leaving clients, and the end of the server.

use tokio::io::AsyncWriteExt;

use super::super::*;
use super::{answer, rest, run, soon};

#[tokio::test]
async fn closes_a_connection_whose_body_never_comes_whole() {
    let running = run(Limits {
        body_read: soon(),
        ..Limits::default()
    })
    .await;
    let told = running
        .told("POST /echo HTTP/1.1\r\ncontent-length: 20\r\n\r\nabc")
        .await;
    assert_eq!(told, "");
    assert_eq!(running.counters.timed_out.get(), 1);
    running.is_alive().await;
}

#[tokio::test]
async fn closes_those_that_send_their_headers_too_slowly_or_not_at_all() {
    let running = run(Limits {
        header_read: soon(),
        ..Limits::default()
    })
    .await;
    assert_eq!(running.told("").await, "");
    assert_eq!(running.told("GET / HTTP/1.1\r\nhost: x\r\n").await, "");
    assert_eq!(running.counters.timed_out.get(), 2);
    // A kept connection may idle longer than that, and is then held to it anew.
    let mut stream = running.connect().await;
    stream.write_all(b"HEAD / HTTP/1.1\r\n\r\n").await.unwrap();
    answer(&mut stream, 0).await;
    tokio::time::sleep(soon() * 2).await;
    stream.write_all(b"HEAD / HTTP/1.1\r\n\r\n").await.unwrap();
    answer(&mut stream, 0).await;
    stream.write_all(b"HEAD / HT").await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(running.counters.timed_out.get(), 3);
}

#[tokio::test]
async fn closes_idle_connections_quietly() {
    let running = run(Limits {
        idle: soon(),
        ..Limits::default()
    })
    .await;
    let mut stream = running.connect().await;
    stream.write_all(b"HEAD / HTTP/1.1\r\n\r\n").await.unwrap();
    answer(&mut stream, 0).await;
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(running.counters.timed_out.get(), 0);
}

#[tokio::test]
async fn gives_up_on_a_client_that_does_not_read() {
    let running = run(Limits {
        write: soon(),
        ..Limits::default()
    })
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /big HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    while running.counters.timed_out.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(rest(&mut stream).await.len() < 16 << 20);
    running.is_alive().await;
}

#[tokio::test]
async fn lets_an_open_request_finish_on_shutdown() {
    let running = run(Limits::default()).await;
    let mut idle = running.connect().await;
    idle.write_all(b"HEAD / HTTP/1.1\r\n\r\n").await.unwrap();
    answer(&mut idle, 0).await;
    let mut silent = running.connect().await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /wait HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    running.site.entered.notified().await;
    running.stop.send(()).unwrap();
    assert_eq!(rest(&mut idle).await, "");
    assert_eq!(rest(&mut silent).await, "");
    running.site.release.notify_one();
    let told = rest(&mut stream).await;
    assert!(told.ends_with("waited"), "{told}");
    running.task.await.unwrap();
    assert_eq!(running.counters.cut.get(), 0);
}

#[tokio::test]
async fn cuts_a_request_that_outlives_the_drain() {
    let accept = accept::Limits {
        drain: soon(),
        ..accept::Limits::default()
    };
    let running = run(Limits {
        accept,
        ..Limits::default()
    })
    .await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /never HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    running.site.entered.notified().await;
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    assert_eq!(running.counters.cut.get(), 1);
}

#[tokio::test]
async fn answers_a_client_that_ended_its_side_after_asking() {
    let running = run(Limits::default()).await;
    let mut stream = running.connect().await;
    stream
        .write_all(b"GET /wait HTTP/1.0\r\n\r\n")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    running.site.entered.notified().await;
    running.site.release.notify_one();
    let told = rest(&mut stream).await;
    assert!(told.ends_with("waited"), "{told}");
    assert_eq!(running.counters.bad_requests.get(), 0);
}
