mod slow;

use std::future::pending;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

use super::*;
use crate::net::client::{self, Client, Protocol};
use crate::net::resolve::Resolver;

/// Answers by path; `/wait` waits to be told.
#[derive(Default)]
struct Site {
    entered: Notify,
    release: Notify,
}

impl Handler for Site {
    async fn handle(&self, request: Request) -> Response {
        let body = match request.uri.path() {
            "/echo" => request.body,
            "/big" => Bytes::from(vec![b'x'; 16 << 20]),
            "/never" => {
                self.entered.notify_one();
                pending().await
            }
            "/wait" => {
                self.entered.notify_one();
                self.release.notified().await;
                Bytes::from_static(b"waited")
            }
            _ => Bytes::from(format!(
                "{} {} {}",
                request.method, request.uri, request.peer
            )),
        };
        Response::new(body)
    }
}

struct Running {
    place: SocketAddr,
    site: Arc<Site>,
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn run(limits: Limits) -> Running {
    let bound = Bound::to(&"127.0.0.1:0".parse().unwrap(), &Resolver::default())
        .await
        .unwrap();
    let place = bound.local().unwrap();
    let (site, counters) = (Arc::new(Site::default()), Arc::new(Counters::default()));
    let (stop, stopped) = oneshot::channel();
    let shutdown = async { drop(stopped.await) };
    let serving = serve(
        bound,
        Arc::clone(&site),
        limits,
        Arc::clone(&counters),
        shutdown,
    );
    Running {
        place,
        site,
        counters,
        stop,
        task: tokio::spawn(serving),
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.place).await.unwrap()
    }

    fn client(&self) -> Client {
        let endpoint = format!("http://{}", self.place).parse().unwrap();
        let limits = client::Limits {
            response: 128 << 20,
            ..client::Limits::default()
        };
        Client::new(endpoint, Protocol::Http1, limits, Resolver::default())
    }

    /// Sends `text` on a connection of its own and gives what comes back until it is closed.
    async fn told(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.ok();
        rest(&mut stream).await
    }

    /// Waits until so many bad requests are counted: a refused peer is counted when it is gone.
    async fn has_refused(&self, requests: u64) {
        while self.counters.bad_requests.get() < requests {
            tokio::task::yield_now().await;
        }
        assert_eq!(self.counters.bad_requests.get(), requests);
    }

    async fn is_alive(&self) {
        assert_eq!(
            self.client()
                .send(client::Request::get())
                .await
                .unwrap()
                .status,
            200
        );
    }
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.ok();
    String::from_utf8_lossy(&rest).into_owned()
}

/// Reads one answer's head and `length` bytes of body.
async fn answer(stream: &mut TcpStream, length: usize) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    answer.extend_from_slice(&body);
    String::from_utf8(answer).unwrap()
}

fn soon() -> Duration {
    Duration::from_millis(50)
}

#[tokio::test]
async fn answers_many_requests_on_one_connection() {
    let running = run(Limits::default()).await;
    let client = running.client();
    for _ in 0..3 {
        let response = client
            .send(client::Request::post("hello").at("/echo"))
            .await
            .unwrap();
        assert_eq!(&response.body[..], b"hello");
    }
    let response = client
        .send(client::Request::get().at("/a?b"))
        .await
        .unwrap();
    let body = String::from_utf8(response.body.to_vec()).unwrap();
    assert!(body.starts_with("GET /a?b 127.0.0.1:"), "{body}");
    assert_eq!(running.counters.accepted.get(), 1);
}

#[tokio::test]
async fn sends_a_large_answer_whole_and_keeps_the_connection() {
    let running = run(Limits::default()).await;
    let client = running.client();
    for _ in 0..2 {
        let response = client
            .send(client::Request::get().at("/big"))
            .await
            .unwrap();
        assert_eq!(response.body.len(), 16 << 20);
    }
    assert_eq!(running.counters.accepted.get(), 1);
}

#[tokio::test]
async fn refuses_what_is_no_http_with_400_and_closes() {
    let running = run(Limits::default()).await;
    for garbage in [
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "ZBXD\x01agent.ping\r\n\r\n",
        "GET / HTTP/1.1\r\nbad header\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        "POST /echo HTTP/1.1\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabc",
        "POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let told = running.told(garbage).await;
        assert!(told.starts_with("HTTP/1.1 400"), "{garbage:?} {told:?}");
    }
    running.has_refused(8).await;
    running.is_alive().await;
}

#[tokio::test]
async fn takes_what_follows_a_short_content_length_for_the_next_request() {
    let running = run(Limits::default()).await;
    let told = running
        .told("POST /echo HTTP/1.1\r\ncontent-length: 2\r\n\r\nab*&^\r\n\r\n")
        .await;
    assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    assert!(told.contains("HTTP/1.1 400"), "{told}");
}

#[tokio::test]
async fn refuses_huge_and_many_headers_with_431() {
    let running = run(Limits::default()).await;
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(128 << 10));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(101));
    for text in [&huge, &many] {
        let told = running.told(text).await;
        assert!(told.starts_with("HTTP/1.1 431"), "{told:?}");
    }
    running.has_refused(2).await;
    let most = format!(
        "GET / HTTP/1.1\r\nconnection: close\r\n{}\r\n",
        "x: y\r\n".repeat(99)
    );
    assert!(running.told(&most).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn refuses_a_body_above_the_cap_with_413_announced_or_not() {
    let running = run(Limits {
        body: 10,
        ..Limits::default()
    })
    .await;
    let announced = format!(
        "POST /echo HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n{}",
        "x".repeat(1_000_000)
    );
    let chunked =
        "POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n";
    for text in [announced.as_str(), chunked] {
        let told = running.told(text).await;
        assert!(told.starts_with("HTTP/1.1 413"), "{told:?}");
        assert!(told.contains("connection: close"), "{told:?}");
    }
    running.has_refused(2).await;
    running.is_alive().await;
}

#[tokio::test]
async fn refuses_bodies_with_503_when_all_of_them_hold_too_much() {
    let running = run(Limits {
        bodies: 10,
        ..Limits::default()
    })
    .await;
    let mut first = running.connect().await;
    first
        .write_all(b"POST /wait HTTP/1.1\r\ncontent-length: 8\r\n\r\n12345678")
        .await
        .unwrap();
    running.site.entered.notified().await;
    let second = "POST /echo HTTP/1.1\r\ncontent-length: 4\r\n\r\n1234";
    let told = running.told(second).await;
    assert!(told.starts_with("HTTP/1.1 503"), "{told}");
    assert!(told.contains("retry-after: 1"), "{told}");
    running.site.release.notify_one();
    answer(&mut first, 6).await;
    let client = running.client();
    loop {
        let response = client
            .send(client::Request::post("1234").at("/echo"))
            .await
            .unwrap();
        if response.status == 200 {
            break;
        }
    }
}

#[tokio::test]
async fn answers_pipelined_requests_in_order() {
    let running = run(Limits::default()).await;
    let both = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nconnection: close\r\n\r\n";
    let told = running.told(both).await;
    let (first, second) = (told.find("GET /1"), told.find("GET /2"));
    assert!(first.is_some() && first < second, "{told}");
}
