//! A connected byte stream, TCP, TLS or Unix, and who is at its other end.
//!
//! Owns the one enum that lets client, HTTP server and Zabbix server share their code for both
//! kinds of socket. It never decides whom to talk to. The surprising decision: an enum, not a boxed
//! trait, so that vectored writes and cheap polls survive.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::{early, tls};

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// Accepted TCP, not watched by the runtime before something must be waited for.
    Early(early::Stream),
    /// A Unix stream socket.
    Unix(UnixStream),
    /// TLS over one of the others. What is written may stay here until it is flushed.
    Tls(Box<tls::Stream>),
    /// TLS by a pre-shared key, which is another library's.
    #[cfg(feature = "psk")]
    Psk(Box<tls::mutual::Stream>),
}

impl Stream {
    /// The certificate that the other end has shown, verified.
    #[must_use]
    pub fn certificate(&self) -> Option<tls::Certificate> {
        match self {
            Self::Tls(stream) => tls::peer_certificate(stream),
            _ => None,
        }
    }

    /// All certificates that the other end has shown; the first was verified.
    #[must_use]
    pub fn chain(&self) -> Option<tls::Chain> {
        match self {
            Self::Tls(stream) => tls::peer_chain(stream),
            _ => None,
        }
    }

    /// Whether closing it says less than ending it: TLS has a word for its end, without which the rest may have been cut off.
    pub fn has_farewell(&self) -> bool {
        !matches!(self, Self::Tcp(_) | Self::Early(_) | Self::Unix(_))
    }

    /// Looks at the first bytes that come, and leaves them where they are; 0 if none will come any more.
    ///
    /// # Errors
    /// What recv(2) says; `Unsupported` of what is no TCP connection.
    pub(super) async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.peek(buffer).await,
            Self::Early(stream) => stream.peek(buffer).await,
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// Who is at the other end of an accepted connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Address and port; IPv4 arriving on a dual-stack socket is told as IPv4.
    Tcp(SocketAddr),
    /// A local process, as the kernel knew it when it connected (`SO_PEERCRED`, unix(7)).
    Unix {
        /// Its process id, where the kernel tells one (not across PID namespaces).
        pid: Option<i32>,
        /// Its effective user id; `None` when the kernel refused to say.
        uid: Option<u32>,
    },
}

impl Peer {
    /// The peer of a TCP connection, with an IPv4-mapped address (RFC 4291 section 2.5.5.2) made
    /// plain, so that allow lists written for IPv4 meet it.
    pub fn tcp(address: SocketAddr) -> Self {
        Self::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The IP address; none for a Unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Tcp(address) => Some(address.ip()),
            Self::Unix { .. } => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { pid: Some(pid), .. } => write!(f, "unix socket, process {pid}"),
            Self::Unix { pid: None, .. } => f.write_str("unix socket"),
        }
    }
}

macro_rules! either {
    ($self:ident, $io:ident => $call:expr) => {
        match $self.get_mut() {
            Stream::Tcp($io) => {
                let $io = Pin::new($io);
                $call
            }
            Stream::Early($io) => {
                let $io = Pin::new($io);
                $call
            }
            Stream::Unix($io) => {
                let $io = Pin::new($io);
                $call
            }
            Stream::Tls($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
            #[cfg(feature = "psk")]
            Stream::Psk($io) => {
                let $io = Pin::new(&mut **$io);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_shutdown(cx))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_ipv4_on_a_dual_stack_socket_as_ipv4() {
        let peer = Peer::tcp("[::ffff:10.0.0.5]:4711".parse().unwrap());
        assert_eq!(peer.to_string(), "10.0.0.5:4711");
        assert_eq!(peer.ip(), Some("10.0.0.5".parse().unwrap()));
    }
}
