//! The task that owns the one connection: connects, sends batches, hands answers out, gives up.
//!
//! It lives on the runtime and does nothing slow there: messages are built and decoded on the
//! callers' threads. It ends with its connection, and the next batch starts another, so a broken
//! connection needs no state machine. Whatever ends the task drops the tickets it holds, and with
//! them nobody waits in vain.
//!
//! ```text
//!   first batch ──> connecting ──> serving ──┬─ the peer hangs up ─────────────┐
//!                       │                    ├─ unanswered `patience` too long ├──> ended
//!                       └── failed ──────────┴─ the owner is gone ─────────────┘
//! ```

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_core::Stream;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use zbus::address::Transport;
use zbus::address::transport::UnixSocket;
use zbus::message::Type;
use zbus::{Address, Connection, Message, MessageStream};

use super::ask::{Gauges, Job, Ticket};
use super::error::Error;
use super::socket::BoundedSocket;

/// Calls in flight on the connection before another batch is sent.
///
/// With the largest batch on top it stays below the 128 replies a system bus lets one connection
/// wait for (`max_replies_per_connection`, dbus-daemon(1)).
const IN_FLIGHT: usize = 64;

/// Messages queued between zbus's reader and this task. More than can be in flight, so that the
/// reader is never held up while a batch is being sent.
const QUEUED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);

/// How long until a peer that has no room for one more connection is tried again.
const ROOM: Duration = Duration::from_millis(20);

/// One place to connect to.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Address of a Unix socket.
    pub(super) address: Address,
    /// Whether the other end is systemd itself and not a bus: no `Hello`, no names.
    pub(super) direct: bool,
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// Tried in order.
    pub(super) addresses: Vec<Place>,
    /// How long after its deadline a call may stay unanswered before the connection is dropped.
    pub(super) patience: Duration,
}

/// Runs one connection from connecting to its end.
pub(super) async fn run(line: Line, mut jobs: mpsc::Receiver<Job>, gauges: Arc<Gauges>) {
    let give_up = Instant::now() + line.patience;
    let connected = match timeout_at(give_up, connect(&line)).await {
        Ok(connected) => connected,
        Err(_) => Err(Error::Connect {
            address: line
                .addresses
                .first()
                .map(|place| place.address.to_string())
                .unwrap_or_default()
                .into(),
            why: "the other end accepted and then said nothing".into(),
        }),
    };
    let mut in_flight = InFlight::default();
    let end = match connected {
        Ok((connection, _)) => {
            gauges.connections.fetch_add(1, Ordering::Relaxed);
            serve(&connection, &line, &mut jobs, &mut in_flight, &gauges).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = end {
        gauges.broken.fetch_add(1, Ordering::Relaxed);
        in_flight.fail(&error);
        jobs.close();
        while let Ok(job) = jobs.try_recv() {
            job.ticket.fail(&error);
        }
    }
}

/// A connection, and whether it leads to systemd itself.
pub(super) async fn connect(line: &Line) -> Result<(Connection, bool), Error> {
    // The first address is the one that was meant: its failure says most.
    let mut first = None;
    for Place { address, direct } in &line.addresses {
        match connect_to(address, *direct).await {
            Ok(connection) => return Ok((connection, *direct)),
            Err(why) => {
                first.get_or_insert_with(|| Error::Connect {
                    address: address.to_string().into(),
                    why: why.into(),
                });
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::Connect {
        address: "".into(),
        why: "no address to try".into(),
    }))
}

async fn connect_to(address: &Address, direct: bool) -> Result<Connection, String> {
    let Transport::Unix(unix) = address.transport() else {
        return Err("only unix: addresses are supported".to_owned());
    };
    let path = match unix.path() {
        UnixSocket::File(path) => path.as_os_str().to_owned(),
        // The runtime takes a path that begins with a zero byte for an abstract name.
        UnixSocket::Abstract(name) => {
            let mut path = OsString::from("\0");
            path.push(name);
            path
        }
        _ => return Err("only unix:path= and unix:abstract= can be connected to".to_owned()),
    };
    let stream = stream_to(&path).await.map_err(|e| e.to_string())?;
    let builder =
        zbus::connection::Builder::socket(BoundedSocket { stream, direct }).max_queued(QUEUED);
    let builder = if direct { builder.p2p() } else { builder };
    builder.build().await.map_err(|e| e.to_string())
}

/// Connects, and waits where the other end has no room for one more until it has: connect(2) says nothing of when that
/// will be. Whoever calls sets the deadline.
async fn stream_to(path: &OsStr) -> std::io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(full) if full.kind() == ErrorKind::WouldBlock => sleep(ROOM).await,
            outcome => return outcome,
        }
    }
}

/// Serves batches until the owner is gone (`Ok`) or the connection is of no more use.
async fn serve(
    connection: &Connection,
    line: &Line,
    jobs: &mut mpsc::Receiver<Job>,
    in_flight: &mut InFlight,
    gauges: &Gauges,
) -> Result<(), Error> {
    let mut incoming = MessageStream::from(connection);
    // Only runs while something is in flight; the first setting never fires.
    let mut give_up = pin!(sleep_until(Instant::now()));
    loop {
        let (idle, room) = (in_flight.is_empty(), in_flight.calls.len() < IN_FLIGHT);
        tokio::select! {
            biased;
            message = next(&mut incoming) => in_flight.take(message?),
            job = jobs.recv(), if room => {
                let Some(job) = job else { return Ok(()) };
                if job.ticket.is_abandoned() {
                    continue;
                }
                let until = Instant::from_std(job.ticket.deadline) + line.patience;
                if idle {
                    give_up.as_mut().reset(until);
                }
                in_flight.add(&job);
                gauges.calls.fetch_add(job.calls.len() as u64, Ordering::Relaxed);
                match timeout_at(until, connection.send_all(&job.calls)).await {
                    Ok(sent) => sent.map_err(|e| Error::Broken { why: e.to_string().into() })?,
                    Err(_) => return Err(unanswered()),
                }
            }
            () = &mut give_up, if !idle => match in_flight.first_deadline() {
                Some(first) if Instant::from_std(first) + line.patience > Instant::now() => {
                    give_up.as_mut().reset(Instant::from_std(first) + line.patience);
                }
                _ => return Err(unanswered()),
            }
        }
    }
}

fn unanswered() -> Error {
    Error::Broken {
        why: "a call stayed unanswered for too long".into(),
    }
}

pub(super) async fn next(incoming: &mut MessageStream) -> Result<Message, Error> {
    match poll_fn(|context| Pin::new(&mut *incoming).poll_next(context)).await {
        Some(Ok(message)) => Ok(message),
        Some(Err(error)) => Err(Error::Broken {
            why: error.to_string().into(),
        }),
        None => Err(Error::Broken {
            why: "the other end closed it".into(),
        }),
    }
}

/// Calls sent and not answered, by serial number.
#[derive(Debug, Default)]
struct InFlight {
    calls: HashMap<NonZeroU32, (Arc<Ticket>, usize)>,
}

impl InFlight {
    fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    fn add(&mut self, job: &Job) {
        for (index, call) in job.calls.iter().enumerate() {
            let serial = call.primary_header().serial_num();
            self.calls.insert(serial, (Arc::clone(&job.ticket), index));
        }
    }

    /// Hands a reply to the call it answers; anything else (signals, strangers) is dropped.
    fn take(&mut self, message: Message) {
        if !matches!(message.message_type(), Type::MethodReturn | Type::Error) {
            return;
        }
        let serial = message.header().reply_serial();
        if let Some((ticket, index)) = serial.and_then(|serial| self.calls.remove(&serial)) {
            ticket.answer(index, message);
        }
    }

    fn first_deadline(&self) -> Option<std::time::Instant> {
        self.calls.values().map(|(ticket, _)| ticket.deadline).min()
    }

    fn fail(&mut self, error: &Error) {
        for (_, (ticket, _)) in self.calls.drain() {
            ticket.fail(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_backlog_is_waited_for_and_holds_up_nobody_else() {
        let name = OsString::from(format!("\0nodeward-full-{}", std::process::id()));
        let socket = tokio::net::UnixSocket::new_stream().unwrap();
        socket.bind(&name).unwrap();
        let listener = socket.listen(0).unwrap();
        let _first = UnixStream::connect(&name).await.unwrap();
        let full = UnixStream::connect(&name).await.unwrap_err();
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        let waiting = tokio::spawn(async move { stream_to(&name).await });
        tokio::task::yield_now().await;
        for _ in 0..2 {
            listener.accept().await.unwrap();
        }
        assert!(waiting.await.unwrap().is_ok());
    }
}
