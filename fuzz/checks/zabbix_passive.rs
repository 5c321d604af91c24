//! Passive checks: any request ends in one whole packet or in nothing, and is counted.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use nodeward::dialect::zabbix::answer::{Answering, Answers, Unsupported, Value};
use nodeward::dialect::zabbix::key::Key;
use nodeward::dialect::zabbix::packet::{self, Body, Limits, Seen};
use nodeward::dialect::zabbix::passive::{Options, Outcome, Server};
use nodeward::net::resolve::Resolver;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

struct Echo;

impl Answers for Echo {
    fn answer<'a>(&'a self, key: &'a Key<'a>, _deadline: Instant) -> Answering<'a> {
        Box::pin(async move {
            match key.count() {
                0 => Err(Unsupported::UNSUPPORTED_KEY),
                _ => Ok(Value::from(key.param(0).to_owned())),
            }
        })
    }
}

/// Takes the bytes as the body of a request; the packet around it has a check of its own.
pub fn check(bytes: &[u8]) {
    if bytes.len() > Limits::PASSIVE.body {
        return;
    }
    let options = Options {
        server: vec!["127.0.0.1".to_owned()],
        ..Options::default()
    };
    let server = Server::new(
        &options,
        "node",
        Arc::new(Echo),
        Arc::default(),
        Resolver::default(),
    )
    .expect("good options");
    let request = packet::encode(bytes);
    let reply = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(converse(&server, &request));
    let Ok(Seen::Whole(Body::Plain(at))) = packet::look(&reply, Limits::ACTIVE) else {
        panic!("{reply:?} is no plain packet");
    };
    let body = reply.get(at).unwrap_or_default();
    assert!(
        body.len() <= 8 * bytes.len() + 256,
        "the answer is bounded by the request"
    );
    assert!(std::str::from_utf8(body).is_ok());
    let counted: u64 = Outcome::ALL
        .iter()
        .map(|outcome| server.counters().get(*outcome))
        .sum();
    assert!(counted > 0);
    assert_eq!(server.counters().get(Outcome::Unsent), 0);
}

async fn converse(server: &Server, request: &[u8]) -> Vec<u8> {
    let (mut near, far) = tokio::io::duplex(1 << 20);
    near.write_all(request).await.expect("room for the request");
    near.shutdown().await.expect("an end of the request");
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut reply = Vec::new();
    let serving = async {
        let far = far;
        server.serve_connection(far, peer).await;
    };
    let (_, read) = tokio::join!(serving, near.read_to_end(&mut reply));
    read.expect("the reply");
    reply
}
