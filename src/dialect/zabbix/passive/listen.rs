//! Taking the connections of passive checks.
//!
//! Owns which server serves a connection, and the cap. Accepting, what happens when it fails and the
//! drain are [`net::accept`](crate::net::accept)'s.
//!
//! The surprising decision: the cap is the server's and not the acceptor's, so that a reload changes
//! it without closing the socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Server;
use crate::net::accept::{self, Drain, Limits};
use crate::net::bind::Bound;
use crate::net::stream::{Peer, Stream};

/// Serves passive checks on a socket until `stop` is done, each connection by the server that is
/// current when it comes: a reload sends another one. Then no more are taken, and those that are
/// open have `grace` to end.
pub async fn serve(
    bound: Bound,
    servers: watch::Receiver<Arc<Server>>,
    grace: Duration,
    stop: impl Future<Output = ()>,
) {
    let counters = Arc::clone(servers.borrow().counters().connections());
    let limits = Limits {
        connections: usize::MAX,
        drain: grace,
    };
    accept::accept(bound, Arc::new(Current(servers)), limits, counters, stop).await;
}

struct Current(watch::Receiver<Arc<Server>>);

impl accept::Serve for Current {
    fn serve(
        self: Arc<Self>,
        stream: Stream,
        peer: Peer,
        _: Drain,
    ) -> impl Future<Output = ()> + Send + 'static {
        let server = Arc::clone(&self.0.borrow());
        async move {
            // None: a Unix socket, which no server of the field knows how to ask.
            let Some(peer) = peer.ip() else { return };
            if server.counters().connections().open() > server.connections {
                server.turn_away(peer);
            } else {
                server.take(stream, peer).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::super::tests::Few;
    use super::super::{Counters, Options, Outcome};
    use super::*;
    use crate::dialect::zabbix::packet;
    use crate::net::resolve::Resolver;

    struct Running {
        address: SocketAddr,
        current: watch::Sender<Arc<Server>>,
        counters: Arc<Counters>,
        stop: oneshot::Sender<()>,
        serving: tokio::task::JoinHandle<()>,
    }

    fn server(hostname: &str, connections: u16, counters: &Arc<Counters>) -> Arc<Server> {
        server_over(Few::default(), hostname, connections, counters)
    }

    fn server_over(
        few: Few,
        hostname: &str,
        connections: u16,
        counters: &Arc<Counters>,
    ) -> Arc<Server> {
        let options = Options {
            server: vec!["127.0.0.1".to_owned()],
            hostname: Some(hostname.to_owned()),
            connections,
            ..Options::default()
        };
        let (few, resolver) = (Arc::new(few), Resolver::default());
        Arc::new(Server::new(&options, "n", few, Arc::clone(counters), resolver).unwrap())
    }

    async fn run(connections: u16, grace: Duration) -> Running {
        let counters = Arc::default();
        let (current, servers) = watch::channel(server("one", connections, &counters));
        let bound = Bound::to(&"127.0.0.1:0".parse().unwrap(), &Resolver::default())
            .await
            .unwrap();
        let address = bound.local().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            stopped.await.unwrap();
        };
        let serving = tokio::spawn(serve(bound, servers, grace, stopped));
        Running {
            address,
            current,
            counters,
            stop,
            serving,
        }
    }

    impl Running {
        async fn connect(&self, key: &str) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream
                .write_all(&packet::encode(key.as_bytes()))
                .await
                .unwrap();
            stream
        }

        async fn ask(&self, key: &str) -> String {
            rest(self.connect(key).await).await
        }
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut reply = Vec::new();
        // A peer turned away with its request unread may see a reset.
        let _count = stream.read_to_end(&mut reply).await.unwrap_or(0);
        String::from_utf8(reply.split_off(packet::HEADER.min(reply.len()))).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn serves_one_connection_after_another_until_it_is_stopped() {
        let running = run(10, LONG).await;
        for _ in 0..3 {
            assert_eq!(running.ask("agent.ping").await, "1");
        }
        running.stop.send(()).unwrap();
        running.serving.await.unwrap();
        assert!(TcpStream::connect(running.address).await.is_err());
        assert_eq!(running.counters.get(Outcome::Answered), 3);
    }

    #[tokio::test]
    async fn a_reload_serves_the_next_connection() {
        let running = run(10, LONG).await;
        assert_eq!(running.ask("agent.hostname").await, "one");
        running
            .current
            .send_replace(server("two", 10, &running.counters));
        assert_eq!(running.ask("agent.hostname").await, "two");
        assert_eq!(running.counters.get(Outcome::Answered), 2);
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_counted() {
        let running = run(2, LONG).await;
        let first = running.connect("hang").await;
        let second = running.connect("hang").await;
        assert_eq!(running.ask("agent.ping").await, "", "the third");
        assert_eq!(running.counters.get(Outcome::TooMany), 1);
        // With room again, others are served: how soon the end is noticed is up to the deadline.
        running
            .current
            .send_replace(server("one", 3, &running.counters));
        assert_eq!(running.ask("agent.ping").await, "1");
        drop((first, second));
    }

    #[tokio::test]
    async fn an_answer_under_way_is_sent_before_the_end() {
        let running = run(10, LONG).await;
        let slow = Arc::default();
        let few = Few {
            slow: Arc::clone(&slow),
        };
        running
            .current
            .send_replace(server_over(few, "one", 10, &running.counters));
        let asked = running.connect("slow").await;
        running.ask("agent.ping").await;
        running.stop.send(()).unwrap();
        while TcpStream::connect(running.address).await.is_ok() {}
        slow.notify_one();
        assert_eq!(rest(asked).await, "in the end");
        running.serving.await.unwrap();
    }

    #[tokio::test]
    async fn what_does_not_end_in_its_grace_is_cut_off_and_counted() {
        let running = run(10, Duration::ZERO).await;
        let _hanging = running.connect("hang").await;
        running.ask("agent.ping").await;
        running.stop.send(()).unwrap();
        running.serving.await.unwrap();
        assert_eq!(running.counters.connections().cut.get(), 1);
    }
}
