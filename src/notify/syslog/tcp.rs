//! Syslog over TCP (RFC 6587) or TLS (RFC 5425), framed by counting octets.
//!
//! Nothing comes back here either: a line that was written may still be lost with the connection. So the last ones are kept
//! a while, and when the connection turns out dead they are written again on the next, before anything else. A receiver
//! may see one twice, under the same id.
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
const WATCHED: Duration = Duration::from_millis(if cfg!(test) { 200 } else { 1_000 });
/// A connection that ends within so long may have taken nothing, however it ends: balancers try those behind them for some seconds.
const YOUNG: Duration = Duration::from_millis(if cfg!(test) { 1_000 } else { 10_000 });
/// At most so many lines are kept, and each is written again at most so often on connections that outlived their watch: a receiver that always
/// breaks off, or takes idle connections down at once, is no reason to go on for ever.
const KEPT: usize = 256;
const AGAIN: u8 = 3;

/// Why a delivery failed where a receiver hung up without a word.
const HUNG_UP: &str = "it hung up on the first line: its log says why; it may not take this node's address or certificate, or nobody is \
                       behind it";

/// A line that was written.
struct Written {
    frame: String,
    at: Instant,
    again: u8,
}

pub(super) struct Tcp {
    place: Place,
    tls: Option<Connector>,
    format: Format,
    timeout: Duration,
    resolver: Resolver,
    stream: Option<Stream>,
    /// When that began.
    since: Option<Instant>,
    /// So many connections ended young, one after the other.
    young: u32,
    /// On this connection.
    written: VecDeque<Written>,
    /// On an earlier one, and perhaps lost.
    lost: VecDeque<Written>,
    /// When the last line was written that is not kept any more, though it may be lost.
    unkept: Option<Instant>,
    /// Some of those may be lost.
    missed: bool,
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
            stream: None,
            since: None,
            young: 0,
            written: VecDeque::new(),
            lost: VecDeque::new(),
            unkept: None,
            missed: false,
        }
    }

    /// Writes what was lost, and then the frame.
    async fn send(&mut self, frame: Option<String>) -> io::Result<()> {
        let deadline = Instant::now() + self.timeout;
        if let Some(mut stream) = self.stream.take() {
            match look(&mut stream).await {
                None => self.stream = Some(stream),
                Some(end) => self.died(end),
            }
        }
        if frame.is_none() && self.lost.is_empty() {
            return Ok(());
        }
        // One that breaks under the frame has been dead for a while: a new one is tried at once.
        if let (Some(stream), Some(frame)) = (self.stream.take(), &frame)
            && self.lost.is_empty()
        {
            match write(stream, frame, deadline).await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.keep(frame.clone(), 0);
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.died(End::Broken);
                    return Err(error);
                }
                Err(_) => self.died(End::Broken),
            }
        }
        let first = self.lost.front().map(|lost| lost.frame.clone());
        let Some(first) = first.or_else(|| frame.clone()) else {
            return Ok(());
        };
        let mut stream = self.begin(&first, deadline).await?;
        let deadline = Instant::now() + self.timeout;
        let mut begun = true;
        while let Some(lost) = self.lost.pop_front() {
            if !std::mem::take(&mut begun) {
                match write(stream, &lost.frame, deadline).await {
                    Ok(still) => stream = still,
                    Err(error) => {
                        self.lost.push_front(lost);
                        self.died(End::Broken);
                        return Err(error);
                    }
                }
            }
            self.keep(lost.frame, lost.again + 1);
        }
        if let Some(frame) = frame {
            if !begun {
                stream = write(stream, &frame, deadline)
                    .await
                    .inspect_err(|_| self.died(End::Broken))?;
            }
            self.keep(frame, 0);
        }
        self.stream = Some(stream);
        Ok(())
    }

    /// A new connection that has outlived its first line, which is on no list yet.
    async fn begin(&mut self, first: &str, deadline: Instant) -> io::Result<Stream> {
        let stream = self.connect(deadline).await?;
        self.since = Some(Instant::now());
        let mut stream = write(stream, first, deadline)
            .await
            .inspect_err(|_| self.died(End::Broken))?;
        let watched = WATCHED.saturating_mul(self.young.min(2) + 1);
        match timeout_at(Instant::now() + watched, end(&mut stream)).await {
            Err(_) => Ok(stream),
            Ok(ended) => {
                self.died(End::Broken);
                let refused = ended.err().filter(|error| Refusal::of(error).is_some());
                Err(refused.unwrap_or_else(|| io::Error::other(HUNG_UP)))
            }
        }
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

    fn keep(&mut self, frame: String, again: u8) {
        let at = Instant::now();
        self.written.push_back(Written { frame, at, again });
        while self.written.len() > KEPT
            || self
                .written
                .front()
                .is_some_and(|w| w.at.elapsed() > BROKEN)
        {
            self.unkept = self.written.pop_front().map(|written| written.at);
        }
    }

    /// Sorts out what may be lost with the connection.
    fn died(&mut self, end: End) {
        let young = self.since.take().is_some_and(|at| at.elapsed() < YOUNG);
        self.young = if young { self.young + 1 } else { 0 };
        let within = match end {
            End::Ended if !young => ENDED,
            _ => BROKEN,
        };
        self.missed |= self.unkept.is_some_and(|at| at.elapsed() <= within);
        let mut written = std::mem::take(&mut self.written);
        written.retain(|w| w.at.elapsed() <= within);
        let lines = written.len();
        written.retain(|w| w.again < AGAIN);
        let lines = lines - written.len();
        if lines > 0 {
            tracing::error!(
                receiver = %self.place,
                lines,
                "these lines of syslog were written {} times, and each time the connection broke: they may be lost",
                AGAIN + 1
            );
        }
        // They come before what still waits to be written again.
        written.append(&mut self.lost);
        self.lost = written;
    }

    fn why(&self, error: &io::Error) -> String {
        let scheme = self.tls.as_ref().map_or("tcp", |_| "tls");
        let refused = Refusal::of(error);
        let why = refused.map_or_else(|| error.to_string(), |refused| refused.to_string());
        format!("send to {scheme}://{}: {why}", self.place)
    }
}

/// How a connection ended.
#[derive(Clone, Copy)]
enum End {
    /// The receiver hung up.
    Ended,
    /// It was reset, or nothing was acknowledged.
    Broken,
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

async fn write(mut stream: Stream, frame: &str, deadline: Instant) -> io::Result<Stream> {
    let writing = async {
        stream.write_all(frame.as_bytes()).await?;
        // TLS may keep a part of it.
        stream.flush().await
    };
    match timeout_at(deadline, writing).await {
        Ok(written) => written.map(|()| stream),
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
        let line = self.format.line(message);
        let frame = format!("{} {line}", line.len());
        match self.send(Some(frame)).await {
            Ok(()) => super::written(),
            Err(error) => Delivery::failed(self.why(&error)),
        }
    }

    fn unsure(&self) -> Duration {
        BROKEN
    }

    fn missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    async fn lost(&mut self) {
        while self.lost.is_empty() {
            let Some(stream) = &mut self.stream else {
                return std::future::pending().await;
            };
            let end = match end(stream).await {
                Ok(()) => End::Ended,
                Err(_) => End::Broken,
            };
            self.died(end);
            self.stream = None;
        }
    }

    async fn again(&mut self) -> Result<(), String> {
        let sent = self.send(None).await;
        sent.map_err(|error| {
            self.lost.clear();
            self.why(&error)
        })
    }
}
