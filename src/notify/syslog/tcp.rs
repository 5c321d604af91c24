//! Syslog over TCP (RFC 6587) or TLS (RFC 5425), framed by counting octets.
//!
//! Nothing comes back here either: a line that was written may still be lost with the connection. No line is kept here for that, since the
//! journal has them all: when a connection turns out dead, its last lines are asked for again, before anything else. A receiver may see
//! one twice, under the same id.
//!
//! A connection that ends soon after it began was none. A receiver that does not like nodeward's certificate says so only after the first
//! line was written (TLS 1.3), and a balancer with nobody behind it takes lines before it hangs up: both would take all that there is, and
//! keep nothing. So a new connection is watched behind its first line, longer where the ones before ended young.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::line::Format;
use crate::net::connect::connect;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::net::tls::{Connector, Refusal};
use crate::notify::{Delivery, Message, Sink};

/// After a connection broke, what was written on it in this time may be lost: longer than [`UNANSWERED`].
const BROKEN: Duration = Duration::from_secs(60);
/// After the receiver ended it in order, only what crossed its end may be.
const ENDED: Duration = Duration::from_secs(2);
/// A receiver whose machine acknowledges nothing for so long is gone.
const UNANSWERED: Duration = Duration::from_secs(30);
/// How long a new connection is watched behind its first line.
const WATCHED: Duration = Duration::from_secs(1);
/// A connection that ends within so long may have taken nothing, however it ends: balancers try those behind them for some seconds.
const YOUNG: Duration = Duration::from_secs(10);
/// A line is written again at most so often on connections that outlived their watch: a receiver that always breaks off, or takes idle
/// connections down at once, is no reason to go on for ever.
const AGAIN: usize = 3;

/// Why a line that was written so often is given up.
const SPENT: &str = "it was written four times, and each time the connection broke or ended within 10 s: the receiver may have it or \
                     not; its log says why, and its timeout for idle connections must be longer than that";

pub(super) struct Tcp {
    place: Place,
    tls: Option<Connector>,
    format: Format,
    timeout: Duration,
    resolver: Resolver,
    live: Option<Connection>,
    /// So many connections ended young, one after the other.
    young: u32,
    /// The last record that was written on each of the last connections with which lines may have been lost.
    broke: VecDeque<i64>,
}

/// One that has outlived its first line.
struct Connection {
    stream: Stream,
    since: Instant,
    /// When a line was written last, and the record it tells of.
    wrote: Instant,
    seq: i64,
}

/// How a connection ended.
#[derive(Clone, Copy)]
enum End {
    /// The receiver hung up.
    Ended,
    /// It was reset, or nothing was acknowledged.
    Broken,
}

/// Why a line was not written.
enum Unwritten {
    /// What was taken since then may be lost.
    Lost(Instant),
    Failed(io::Error),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Tcp {
    pub fn new(
        place: Place,
        tls: Option<Connector>,
        format: Format,
        timeout: Duration,
        resolver: Resolver,
    ) -> Self {
        Self {
            place,
            tls,
            format,
            timeout,
            resolver,
            live: None,
            young: 0,
            broke: VecDeque::new(),
        }
    }

    async fn send(&mut self, frame: &str, seq: i64) -> Result<(), Unwritten> {
        let deadline = Instant::now() + self.timeout;
        if let Some(mut live) = self.live.take() {
            if let Some(end) = look(&mut live.stream).await {
                self.died(&live, end)?;
            } else {
                match write(&mut live.stream, frame, deadline).await {
                    Ok(()) => {
                        (live.wrote, live.seq) = (Instant::now(), seq);
                        self.live = Some(live);
                        return Ok(());
                    }
                    Err(error) => {
                        self.died(&live, End::Broken)?;
                        // One that breaks under the frame has been dead for a while: a new one is tried at once.
                        if error.kind() == io::ErrorKind::TimedOut {
                            return Err(error.into());
                        }
                    }
                }
            }
        }
        self.live = Some(self.begin(frame, seq, deadline).await?);
        Ok(())
    }

    /// A new connection that has outlived its first line.
    async fn begin(&mut self, frame: &str, seq: i64, deadline: Instant) -> io::Result<Connection> {
        let mut stream = self.connect(deadline).await?;
        let since = Instant::now();
        let written = write(&mut stream, frame, deadline).await;
        let watched = WATCHED.saturating_mul(self.young.min(2) + 1);
        let why = match written {
            Err(error) => error,
            Ok(()) => {
                let wrote = Instant::now();
                match timeout_at(wrote + watched, end(&mut stream)).await {
                    Err(_) => {
                        return Ok(Connection {
                            stream,
                            since,
                            wrote,
                            seq,
                        });
                    }
                    Ok(ended) => cut_off(ended),
                }
            }
        };
        self.young += 1;
        Err(why)
    }

    async fn connect(&self, deadline: Instant) -> io::Result<Stream> {
        let stream = connect(&self.place, deadline, &self.resolver).await?;
        bound(&stream)?;
        let (Some(tls), Place::Tcp { host, .. }) = (&self.tls, &self.place) else {
            return Ok(stream);
        };
        match timeout_at(deadline, tls.connect(stream, host, None)).await {
            Ok(connected) => connected,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Sorts out what may be lost with a connection; an error: what was taken since then.
    fn died(&mut self, dead: &Connection, end: End) -> Result<(), Unwritten> {
        let now = Instant::now();
        let young = now < dead.since + YOUNG;
        self.young = if young { self.young + 1 } else { 0 };
        let within = match end {
            // All of it.
            _ if young => YOUNG,
            End::Ended => ENDED,
            End::Broken => BROKEN,
        };
        if dead.wrote + within < now {
            return Ok(());
        }
        self.broke.push_back(dead.seq);
        if self.broke.len() > AGAIN + 1 {
            self.broke.pop_front();
        }
        let since = now.checked_sub(within);
        Err(Unwritten::Lost(
            since.map_or(dead.since, |since| since.max(dead.since)),
        ))
    }

    /// Whether what tells of a record was written so often that it is given up.
    fn is_spent(&self, seq: i64) -> bool {
        self.broke.len() > AGAIN && self.broke.iter().all(|last| seq <= *last)
    }

    fn why(&self, error: &io::Error) -> String {
        let scheme = self.tls.as_ref().map_or("tcp", |_| "tls");
        let refused = Refusal::of(error);
        let why = refused.map_or_else(|| error.to_string(), |refused| refused.to_string());
        format!("send to {scheme}://{}: {why}", self.place)
    }
}

/// What to say of a connection that ended behind its first line.
fn cut_off(ended: io::Result<()>) -> io::Error {
    const SEE: &str = "on the first line: its log says why; it may not take this node's address or certificate, or nobody is behind it";
    match ended {
        Ok(()) => io::Error::other(format!("it hung up {SEE}")),
        Err(error) if Refusal::of(&error).is_some() => error,
        Err(error) => io::Error::other(format!("it broke off ({error}) {SEE}")),
    }
}

/// Whether the connection has ended, as far as is known here; reads what a receiver should not have sent.
async fn look(stream: &mut Stream) -> Option<End> {
    // What the kernel has heard since is known to the runtime only after it has looked.
    tokio::task::yield_now().await;
    let mut space = [0; 512];
    loop {
        let mut buffer = ReadBuf::new(&mut space);
        let read = poll_fn(
            |cx| match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(Some(read)),
                Poll::Pending => Poll::Ready(None),
            },
        );
        match read.await {
            None => return None,
            Some(Ok(())) if buffer.filled().is_empty() => return Some(End::Ended),
            Some(Ok(())) => {}
            Some(Err(_)) => return Some(End::Broken),
        }
    }
}

/// Waits for the end of a connection; an error: it was broken off, and why. It may be dropped at any await.
async fn end(stream: &mut Stream) -> io::Result<()> {
    let mut space = [0; 512];
    while stream.read(&mut space).await? > 0 {}
    Ok(())
}

async fn write(stream: &mut Stream, frame: &str, deadline: Instant) -> io::Result<()> {
    let writing = async {
        stream.write_all(frame.as_bytes()).await?;
        // TLS may keep a part of it.
        stream.flush().await
    };
    match timeout_at(deadline, writing).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// A receiver that lost its power says nothing.
fn bound(stream: &Stream) -> io::Result<()> {
    if let Stream::Tcp(socket) = stream {
        let millis = u32::try_from(UNANSWERED.as_millis()).unwrap_or(u32::MAX);
        rustix::net::sockopt::set_tcp_user_timeout(socket, millis)?;
        rustix::net::sockopt::set_socket_keepalive(socket, true)?;
        rustix::net::sockopt::set_tcp_keepidle(socket, UNANSWERED)?;
    }
    Ok(())
}

#[async_trait]
impl Sink for Tcp {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        if self.is_spent(message.seq) {
            return Delivery::Refused(SPENT.into());
        }
        let line = self.format.line(message);
        let frame = format!("{} {line}", line.len());
        match self.send(&frame, message.seq).await {
            Ok(()) => super::written(),
            Err(Unwritten::Lost(since)) => Delivery::Lost(since),
            Err(Unwritten::Failed(error)) => Delivery::failed(self.why(&error)),
        }
    }

    fn unsure(&self) -> Duration {
        BROKEN
    }

    async fn lost(&mut self) -> Instant {
        loop {
            let Some(live) = &mut self.live else {
                return std::future::pending().await;
            };
            let end = match end(&mut live.stream).await {
                Ok(()) => End::Ended,
                Err(_) => End::Broken,
            };
            let dead = self.live.take();
            if let Some(Err(Unwritten::Lost(since))) = dead.map(|dead| self.died(&dead, end)) {
                return since;
            }
        }
    }
}
