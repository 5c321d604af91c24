//! Connecting to a place: a name or address with a port, or a Unix socket.
//!
//! Owns the order in which the addresses of one name are tried and the share of the time each gets. It speaks no
//! protocol and keeps no connection.

use std::io;

use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout_at};

use super::endpoint::Place;
use super::resolve::{LookupError, Resolver};
use super::stream::Stream;

/// Whether an attempt to connect failed for want of something on this side: a name that is not looked up, a descriptor, memory, a
/// port, a permission. It then says nothing of the other end.
#[must_use]
pub fn is_ours(error: &io::Error) -> bool {
    let inner = error.get_ref();
    if inner.is_some_and(|inner| inner.is::<LookupError>()) {
        return true;
    }
    error.raw_os_error().is_some_and(|errno| {
        let errno = Errno::from_raw_os_error(errno);
        OURS.contains(&errno)
    })
}

/// What connect(2) and socket(2) say of us and not of the peer.
const OURS: [Errno; 9] = [
    Errno::MFILE,
    Errno::NFILE,
    Errno::NOBUFS,
    Errno::NOMEM,
    Errno::ADDRNOTAVAIL,
    Errno::ADDRINUSE,
    Errno::AFNOSUPPORT,
    Errno::ACCESS,
    Errno::PERM,
];

/// Which of two errors is told: where one address was refused, another that this machine cannot use (IPv6) has no say.
fn telling(before: io::Error, after: io::Error) -> io::Error {
    if is_ours(&after) && !is_ours(&before) {
        before
    } else {
        after
    }
}

/// Connects to `place`; the addresses of a name share the time until `deadline`.
///
/// # Errors
/// What the last address tried said, or the last that is not [`ours`](is_ours), `TimedOut` at the deadline, or why the name has no address.
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
    let mut last: io::Error = LookupError::Nowhere(host.to_owned()).into();
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
            Ok(Err(error)) => last = telling(last, error),
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_side_lacks_is_told_from_what_the_peer_does() {
        let of = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::ACCESS] {
            assert!(is_ours(&of(errno)), "{errno:?}");
        }
        assert!(is_ours(&LookupError::Late("web".into()).into()));
        for errno in [
            Errno::CONNREFUSED,
            Errno::CONNRESET,
            Errno::TIMEDOUT,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::NOENT,
        ] {
            assert!(!is_ours(&of(errno)), "{errno:?}");
        }
        assert!(!is_ours(&io::ErrorKind::TimedOut.into()));
        let (refused, unusable) = (Errno::CONNREFUSED, Errno::ADDRNOTAVAIL);
        for (before, after) in [(refused, unusable), (unusable, refused)] {
            assert!(!is_ours(&telling(of(before), of(after))));
        }
        assert!(is_ours(&telling(of(unusable), of(unusable))));
    }
}
