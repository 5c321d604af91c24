//! A server that the tests play.

mod asked;
mod kept;

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::dialect::zabbix::agent::Agent;
use crate::dialect::zabbix::answer::{Answering, Answers, Unsupported};
use crate::dialect::zabbix::packet::{self, Limits};
use crate::model::duration::Period;

/// Numbers each answer of one key, and knows no other but one that hangs.
#[derive(Default)]
struct Few(std::sync::atomic::AtomicU64);

impl Answers for Few {
    fn answer<'a>(&'a self, key: &'a Key<'a>, _: std::time::Instant) -> Answering<'a> {
        Box::pin(async move {
            match key.name() {
                "count" | "nodeward.count" => Ok(self
                    .0
                    .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                    .into()),
                "metadata" => Ok("os=\"linux\"".into()),
                "hang" => std::future::pending().await,
                _ => Err(Unsupported::UNSUPPORTED_KEY),
            }
        })
    }
}

fn values() -> Arc<Values> {
    let agent = Agent {
        hostname: "web 1".to_owned(),
        metadata: String::new(),
    };
    Arc::new(Values::new(
        agent,
        Arc::new(Few::default()),
        crate::dialect::zabbix::rules::Rules::default(),
    ))
}

fn options(servers: &[SocketAddr]) -> Options {
    Options {
        server_active: servers.iter().map(ToString::to_string).collect(),
        buffer_send: Period::millis(10),
        refresh_active_checks: Some(Period::secs(1)),
        timeout: Period::secs(20),
        ..Options::default()
    }
}

async fn start(options: &Options, state: Option<&Path>, before: Option<Active>) -> Active {
    let resolver = Resolver::default();
    Active::start(options, &values(), &resolver, state, before)
        .await
        .unwrap()
}

/// A request, and where its answer goes; dropped, the connection is closed without one.
struct Asked {
    request: Value,
    stream: TcpStream,
}

impl Asked {
    fn kind(&self) -> &str {
        self.request["request"].as_str().unwrap()
    }

    async fn answer(mut self, body: &Value) -> Value {
        self.bytes(&packet::encode_compressed(body.to_string().as_bytes()))
            .await;
        self.request
    }

    /// Whoever asked may not want to read all of it.
    async fn bytes(&mut self, bytes: &[u8]) {
        drop(self.stream.write_all(bytes).await);
        drop(self.stream.shutdown().await);
    }
}

/// What a server hears.
struct Server {
    address: SocketAddr,
    asked: mpsc::Receiver<Asked>,
    put_off: VecDeque<Asked>,
}

impl Server {
    async fn new() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap()).await
    }

    async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = mpsc::channel(64);
        tokio::spawn(async move {
            while !tell.is_closed() {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = tell.closed() => return,
                };
                let (mut stream, _) = accepted.unwrap();
                let deadline = std::time::Instant::now() + Duration::from_secs(20);
                let Ok(body) = packet::read(&mut stream, Limits::ACTIVE, deadline).await else {
                    continue;
                };
                let request = serde_json::from_slice(&body).unwrap();
                drop(tell.send(Asked { request, stream }).await);
            }
        });
        Self {
            address,
            asked,
            put_off: VecDeque::new(),
        }
    }

    /// The next request of a kind; others are put off.
    async fn hears(&mut self, kind: &str) -> Asked {
        if let Some(at) = self.put_off.iter().position(|asked| asked.kind() == kind) {
            return self.put_off.remove(at).unwrap();
        }
        loop {
            let asked = tokio::time::timeout(Duration::from_secs(60), self.asked.recv()).await;
            let asked = asked.expect("a request within a minute").unwrap();
            if asked.kind() == kind {
                return asked;
            }
            self.put_off.push_back(asked);
        }
    }

    /// The next request of whatever kind, one that was put off first.
    async fn next(&mut self) -> Asked {
        if let Some(asked) = self.put_off.pop_front() {
            return asked;
        }
        let asked = tokio::time::timeout(Duration::from_secs(60), self.asked.recv()).await;
        asked.expect("a request within a minute").unwrap()
    }

    /// The next that asks for the list; data that is brought meanwhile is taken.
    async fn hears_checks(&mut self) -> Asked {
        loop {
            let asked = self.next().await;
            match asked.kind() {
                "active checks" => return asked,
                "agent data" => {
                    let answer = taken(&asked);
                    drop(asked.answer(&answer).await);
                }
                _ => {}
            }
        }
    }

    /// The next data; lists that are asked for meanwhile are as they were.
    async fn hears_data(&mut self) -> Asked {
        loop {
            let asked = self.next().await;
            match asked.kind() {
                "agent data" => return asked,
                "active checks" => drop(asked.answer(&json!({"response": "success"})).await),
                _ => {}
            }
        }
    }
}

fn list(items: &[(u64, &str, &str)]) -> Value {
    let items: Vec<Value> = items
        .iter()
        .map(|(id, key, delay)| json!({"key": key, "itemid": id, "delay": delay, "lastlogsize": 0, "mtime": 0, "timeout": "3s"}))
        .collect();
    json!({"response": "success", "config_revision": 7, "data": items})
}

fn taken(asked: &Asked) -> Value {
    let many = asked.request["data"].as_array().unwrap().len();
    json!({"response": "success", "info": format!("processed: {many}; failed: 0; total: {many}; seconds spent: 0.000091")})
}

fn told(active: &Active) -> Told {
    active.told().remove(0)
}

async fn until(what: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    waited.await.expect("within a minute");
}
