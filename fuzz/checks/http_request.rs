//! The HTTP server: any bytes on a connection end in whole answers or in nothing, and in an end.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Bytes;
use nodeward::net::accept::{Counters, Drain, Serve};
use nodeward::net::server::{Handler, Http, Limits, Request, Response};
use nodeward::net::stream::{Peer, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

struct Echo;

impl Handler for Echo {
    async fn handle(&self, request: Request) -> Response {
        assert!(request.headers.len() <= 100);
        assert!(request.body.len() <= 1000);
        let mut response = Response::new(request.body);
        if request.uri.path() != "/" {
            *response.status_mut() = StatusCode::NOT_FOUND;
            *response.body_mut() = Bytes::from_static(b"no such page\n");
        }
        response
    }
}

/// Sends the bytes to the server, which handles them as it would on a socket of a stranger.
pub fn check(bytes: &[u8]) {
    let reply = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(converse(bytes));
    assert!(
        reply.is_empty() || reply.starts_with(b"HTTP/1."),
        "{reply:?}"
    );
    let heads = reply.windows(7).filter(|part| part == b"HTTP/1.").count();
    assert!(
        heads <= bytes.len() / 8 + 1,
        "an answer for each request at most"
    );
}

async fn converse(bytes: &[u8]) -> Vec<u8> {
    let (near, far) = UnixStream::pair().expect("a pair of sockets");
    let counters = Arc::new(Counters::default());
    let limits = Limits {
        body: 1000,
        header_size: 8192,
        ..Limits::default()
    };
    let http = Arc::new(Http::new(Arc::new(Echo), limits, counters));
    let peer = Peer::Unix {
        pid: None,
        uid: None,
    };
    let (mut reading, mut writing) = near.into_split();
    let mut reply = Vec::new();
    let sending = async {
        writing.write_all(bytes).await.ok();
        writing.shutdown().await.ok();
    };
    let receiving = async {
        reading.read_to_end(&mut reply).await.ok();
    };
    let serving = http.serve(Stream::Unix(far), peer, Drain::never());
    tokio::join!(serving, sending, receiving);
    reply
}
