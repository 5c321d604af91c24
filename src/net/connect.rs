//! Connecting to a place: a name or address with a port, or a Unix socket.
//!
//! Owns the order in which the addresses of one name are tried and the share of the time each gets. It speaks no
//! protocol and keeps no connection.

use std::io;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use super::endpoint::Place;
use super::resolve::Resolver;
use super::stream::Stream;

/// Connects to `place`; the addresses of a name share the time until `deadline`.
///
/// # Errors
/// What the last address tried said, `TimedOut` at the deadline, or why the name has no address.
pub async fn connect(place: &Place, deadline: Instant, resolver: &Resolver) -> io::Result<Stream> {
    let (host, port) = match place {
        Place::Unix(path) => {
            return match timeout_at(deadline, UnixStream::connect(path)).await {
                Ok(stream) => stream.map(Stream::Unix),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            };
        }
        Place::Tcp { host, port } => (host.as_str(), *port),
    };
    let addresses = resolver.lookup(host, port, deadline).await?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut left = addresses.len() as u32;
    for address in addresses {
        // An address that swallows packets (often the IPv6 one) must leave time for the next.
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / left.max(1);
        left = left.saturating_sub(1);
        match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(Stream::Tcp(stream));
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}
