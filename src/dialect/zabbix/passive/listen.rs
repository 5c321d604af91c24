//! Listening for passive checks: accept, hand over, and an orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::{Notify, watch};

use super::Server;
use super::outcome::Trouble;
use crate::net::early;

/// How long accepting rests when something lasting is wrong: no descriptors or no memory left.
const REST: Duration = Duration::from_millis(100);

/// Why passive checks cannot be listened for.
#[derive(Debug, thiserror::Error)]
#[error("could not listen for Zabbix checks on {address}; see zabbix.listen")]
pub struct NotListening {
    /// The address as configured.
    pub address: String,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// Sockets that listen for passive checks.
#[derive(Debug)]
pub struct Listening {
    sockets: Vec<early::Listener>,
}

impl Listening {
    /// Binds every address of [`Options::listen`](super::Options::listen), all or none. Must be
    /// called on the runtime.
    ///
    /// # Errors
    /// The first address that cannot be listened on, and why.
    pub fn bind<S: AsRef<str>>(addresses: &[S]) -> Result<Self, NotListening> {
        let bind = |address: &str| {
            let parsed = address.parse().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidInput, "no IP address with a port")
            });
            let bound = parsed.and_then(early::Listener::bind);
            bound.map_err(|source| NotListening {
                address: address.to_owned(),
                source,
            })
        };
        let sockets = addresses.iter().map(|address| bind(address.as_ref()));
        Ok(Self {
            sockets: sockets.collect::<Result<_, _>>()?,
        })
    }

    /// Where it listens, with the ports that were taken for port 0.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets
            .iter()
            .filter_map(|socket| socket.address().ok())
            .collect()
    }

    /// Serves until `stop` is done, with whatever server is current when a connection comes: a
    /// reload sends another one. Then no more are accepted, and those that are open have `grace` to
    /// end. Tells how many had to be cut off.
    pub async fn serve(
        self,
        server: watch::Receiver<Arc<Server>>,
        stop: impl Future<Output = ()>,
        grace: Duration,
    ) -> usize {
        let open = Arc::new(Open::default());
        let mut tasks = tokio::task::JoinSet::new();
        for socket in self.sockets {
            tasks.spawn(accept(socket, server.clone(), Arc::clone(&open)));
        }
        stop.await;
        // Dropping the set ends accepting and closes the sockets.
        tasks.shutdown().await;
        let _cut_off = tokio::time::timeout(grace, open.none_left()).await;
        open.count()
    }
}

/// Accepts until it is dropped.
async fn accept(socket: early::Listener, server: watch::Receiver<Arc<Server>>, open: Arc<Open>) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let server = Arc::clone(&server.borrow());
                match open.one_more(server.connections) {
                    Some(guard) => {
                        tokio::spawn(async move {
                            server.serve_connection(stream, peer.ip()).await;
                            drop(guard);
                        });
                    }
                    None => server.turned_away(peer.ip()),
                }
            }
            Err(error) if lasts(&error) => {
                server.borrow().troubles.tell(Trouble::Accept, None, &error);
                tokio::time::sleep(REST).await;
            }
            Err(_) => {}
        }
    }
}

/// Whether accepting again at once would only fail again: anything but a peer that is gone already
/// or a network error of its own, which accept(2) passes on.
fn lasts(error: &io::Error) -> bool {
    let passing = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PERM,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
    ];
    !Errno::from_io_error(error).is_some_and(|errno| passing.contains(&errno))
}

/// How many connections are open.
#[derive(Debug, Default)]
struct Open {
    count: AtomicUsize,
    /// Told when the last one ends.
    none: Notify,
}

impl Open {
    /// Counts one more until the guard is dropped; None if that would be more than `most`.
    fn one_more(self: &Arc<Self>, most: usize) -> Option<Guard> {
        let more = |count| (count < most).then_some(count + 1);
        let order = Ordering::Relaxed;
        self.count.fetch_update(order, order, more).ok()?;
        Some(Guard(Arc::clone(self)))
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    async fn none_left(&self) {
        while self.count() > 0 {
            self.none.notified().await;
        }
    }
}

struct Guard(Arc<Open>);

impl Drop for Guard {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Kept for a waiter that has not come yet.
            self.0.none.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::super::tests::Few;
    use super::super::{Counters, Options, Outcome};
    use super::*;
    use crate::dialect::zabbix::packet;

    struct Running {
        address: SocketAddr,
        current: watch::Sender<Arc<Server>>,
        counters: Arc<Counters>,
        stop: oneshot::Sender<()>,
        serving: tokio::task::JoinHandle<usize>,
    }

    fn server(hostname: &str, connections: u16, counters: &Arc<Counters>) -> Arc<Server> {
        let options = Options {
            server: vec!["127.0.0.1".to_owned()],
            hostname: Some(hostname.to_owned()),
            connections,
            ..Options::default()
        };
        Arc::new(Server::new(&options, "n", Arc::new(Few), Arc::clone(counters)).unwrap())
    }

    fn run(connections: u16, grace: Duration) -> Running {
        let counters = Arc::default();
        let (current, receiver) = watch::channel(server("one", connections, &counters));
        let listening = Listening::bind(&["127.0.0.1:0"]).unwrap();
        let address = listening.addresses()[0];
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            stopped.await.unwrap();
        };
        let serving = tokio::spawn(listening.serve(receiver, stopped, grace));
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
        let running = run(10, LONG);
        for _ in 0..3 {
            assert_eq!(running.ask("agent.ping").await, "1");
        }
        running.stop.send(()).unwrap();
        assert_eq!(running.serving.await.unwrap(), 0);
        assert!(TcpStream::connect(running.address).await.is_err());
        assert_eq!(running.counters.get(Outcome::Answered), 3);
    }

    #[tokio::test]
    async fn a_reload_serves_the_next_connection() {
        let running = run(10, LONG);
        assert_eq!(running.ask("agent.hostname").await, "one");
        running
            .current
            .send_replace(server("two", 10, &running.counters));
        assert_eq!(running.ask("agent.hostname").await, "two");
        assert_eq!(running.counters.get(Outcome::Answered), 2);
    }

    #[tokio::test]
    async fn one_connection_too_many_is_closed_and_counted() {
        let running = run(2, LONG);
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
        let running = run(10, LONG);
        let asked = running.connect("slow").await;
        running.ask("agent.ping").await;
        running.stop.send(()).unwrap();
        assert_eq!(rest(asked).await, "in the end");
        assert_eq!(running.serving.await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_does_not_end_in_its_grace_is_cut_off_and_counted() {
        let running = run(10, Duration::ZERO);
        let _hanging = running.connect("hang").await;
        running.ask("agent.ping").await;
        running.stop.send(()).unwrap();
        assert_eq!(running.serving.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = Listening::bind(&["127.0.0.1:0".to_owned(), address.clone()]).unwrap_err();
        assert!(error.to_string().contains(&address), "{error}");
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn accepting_rests_when_descriptors_run_out_and_not_when_a_peer_is_gone() {
        assert!(lasts(&Errno::MFILE.into()));
        assert!(lasts(&Errno::NOMEM.into()));
        assert!(!lasts(&Errno::CONNABORTED.into()));
    }
}
