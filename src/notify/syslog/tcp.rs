//! Syslog over TCP (RFC 6587) or TLS (RFC 5425), framed by counting octets.
//!
//! Nothing comes back here either: a line that was written may still be lost with the connection. No line is kept here for that, since the
//! journal has them all: when a connection turns out dead, its last lines are asked for again, before anything else. A receiver may see
//! one twice, under the same id.
//!
//! A connection that ends soon after it began was none. A receiver that does not like nodeward's certificate says so only after the first
//! line was written (TLS 1.3), and a balancer with nobody behind it takes lines before it hangs up: both would take all that there is, and
//! keep nothing. So a new connection is watched behind its first line, longer where the ones before ended young.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::line::Format;
use crate::net::connect::connect;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::net::stream::Stream;
use crate::net::tls::{Connector, Refusal};
use crate::notify::{Delivery, Lost, Message, Sink};

/// After a connection broke, what was written on it in this time may be lost: longer than [`UNANSWERED`].
const BROKEN: Duration = Duration::from_secs(60);
/// After the receiver ended it in order, only what crossed its end may be.
const ENDED: Duration = Duration::from_secs(2);
/// A receiver whose machine acknowledges nothing for so long is gone.
const UNANSWERED: Duration = Duration::from_secs(30);
/// How long a new connection is watched behind its first line.
const WATCHED: Duration = Duration::from_secs(1);
/// A connection that ends within so long may have taken nothing, however it ends: HAProxy tries a server that does not answer for 20 s by
/// its usual settings (`timeout connect 5s`, three more tries).
const YOUNG: Duration = Duration::from_secs(30);

pub(super) struct Tcp {
    place: Place,
    tls: Option<Connector>,
    format: Format,
    timeout: Duration,
    resolver: Resolver,
    live: Option<Connection>,
    /// So many connections ended young, one after the other.
    young: u32,
}

/// One that has outlived its first line.
struct Connection {
    write: WriteHalf<Stream>,
    reading: Reading,
    since: Instant,
    /// When a line was written last.
    wrote: Instant,
}

/// Reads what a receiver should not send, up to the end: that is known when it comes, whatever else is waited for.
struct Reading(JoinSet<End>);

/// How a connection ended, and when.
struct End {
    at: Instant,
    /// An error: it was reset, or nothing was acknowledged; else the receiver hung up in order.
    how: io::Result<()>,
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
        }
    }

    async fn send(&mut self, frame: &str) -> Result<(), Delivery> {
        let deadline = Instant::now() + self.timeout;
        if let Some(mut live) = self.live.take() {
            if let Some(end) = live.reading.seen().await {
                self.died(&live, end)
                    .map(Delivery::Lost)
                    .map_or(Ok(()), Err)?;
            } else if let Err(error) = write(&mut live.write, frame, deadline).await {
                let stuck = error.kind() == io::ErrorKind::TimedOut;
                let late = stuck.then(|| Delivery::failed(self.why(&error)));
                let lost = self.died(&live, End::now(Err(error))).map(Delivery::Lost);
                // One that breaks under the frame has been dead for a while: a new one is tried at once.
                lost.or(late).map_or(Ok(()), Err)?;
            } else {
                live.wrote = Instant::now();
                self.live = Some(live);
                return Ok(());
            }
        }
        match self.begin(frame, deadline).await {
            Ok(begun) => self.live = Some(begun),
            Err(error) => return Err(Delivery::failed(self.why(&error))),
        }
        Ok(())
    }

    /// A new connection that has outlived its first line.
    async fn begin(&mut self, frame: &str, deadline: Instant) -> io::Result<Connection> {
        let stream = self.connect(deadline).await?;
        let since = Instant::now();
        let (read, mut write_half) = tokio::io::split(stream);
        let mut reading = Reading::begin(read);
        let watched = WATCHED.saturating_mul(self.young.min(2) + 1);
        let why = match write(&mut write_half, frame, deadline).await {
            Err(error) => error,
            Ok(()) => {
                let wrote = Instant::now();
                match timeout_at(wrote + watched, reading.end()).await {
                    Ok(end) => cut_off(end.how),
                    Err(_) => {
                        return Ok(Connection {
                            write: write_half,
                            reading,
                            since,
                            wrote,
                        });
                    }
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

    /// Sorts out what may be lost with a connection.
    fn died(&mut self, dead: &Connection, end: End) -> Option<Lost> {
        let End { at, how } = end;
        let young = at < dead.since + YOUNG;
        self.young = if young { self.young + 1 } else { 0 };
        let within = match how {
            // All of it.
            _ if young => YOUNG,
            Ok(()) => ENDED,
            Err(_) => BROKEN,
        };
        if dead.wrote + within < at {
            return None;
        }
        let since = at.checked_sub(within);
        let since = since.map_or(dead.since, |since| since.max(dead.since));
        let advice = match how {
            Ok(()) if young => {
                "; set its timeout for idle connections above 30 s, or have the balancer check its servers"
            }
            _ => "",
        };
        let how = how.map_or_else(|error| format!("broke: {error}"), |()| "ended".into());
        let age = at.duration_since(dead.since).as_secs();
        let why = self.named(&format!(
            "the connection {how}, {age} s after it began; what it took in the last {} s is sent again{advice}",
            at.duration_since(since).as_secs() + 1
        ));
        Some(Lost { since, why })
    }

    fn why(&self, error: &io::Error) -> String {
        let refused = Refusal::of(error);
        let why = refused.map_or_else(|| error.to_string(), |refused| refused.to_string());
        self.named(&why)
    }

    fn named(&self, why: &str) -> String {
        let scheme = self.tls.as_ref().map_or("tcp", |_| "tls");
        format!("send to {scheme}://{}: {why}", self.place)
    }
}

impl End {
    fn now(how: io::Result<()>) -> Self {
        let at = Instant::now();
        Self { at, how }
    }
}

impl Reading {
    fn begin(mut stream: ReadHalf<Stream>) -> Self {
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut space = [0; 512];
            loop {
                match stream.read(&mut space).await {
                    Ok(0) => return End::now(Ok(())),
                    Ok(_) => {}
                    Err(error) => return End::now(Err(error)),
                }
            }
        });
        Self(task)
    }

    /// Waits for the end. It may be dropped at any await.
    async fn end(&mut self) -> End {
        match self.0.join_next().await {
            Some(Ok(end)) => end,
            Some(Err(error)) => End::now(Err(error.into())),
            None => End::now(Ok(())),
        }
    }

    /// The end, if it has come.
    async fn seen(&mut self) -> Option<End> {
        // What the kernel has heard is known to the runtime only after it has looked, and to the task after that.
        tokio::task::yield_now().await;
        timeout_at(Instant::now(), self.end()).await.ok()
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

async fn write(stream: &mut WriteHalf<Stream>, frame: &str, deadline: Instant) -> io::Result<()> {
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
        let line = self.format.line(message);
        let frame = format!("{} {line}", line.len());
        match self.send(&frame).await {
            Ok(()) => super::written(),
            Err(unwritten) => unwritten,
        }
    }

    fn unsure(&self) -> Duration {
        BROKEN
    }

    async fn lost(&mut self) -> Lost {
        loop {
            let Some(live) = &mut self.live else {
                return std::future::pending().await;
            };
            let end = live.reading.end().await;
            let dead = self.live.take();
            if let Some(lost) = dead.and_then(|dead| self.died(&dead, end)) {
                return lost;
            }
        }
    }
}
