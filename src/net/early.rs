//! TCP connections that are tried before the runtime is asked to watch them.
//!
//! Owns the accepting and the accepted streams; the socket and its options are made in
//! [`super::bind`]. For a protocol with one short request and one short reply a connection, such as
//! passive checks of Zabbix, the request is there as soon as the connection is: it is read,
//! answered and closed without ever being registered with epoll, which would be a quarter of its
//! cost.
//!
//! The surprising decision: a stream that has nothing to read yet, or cannot take all that is
//! written, registers itself then and goes on as any other, so whoever serves it need not know.

use std::io::{self, IoSlice, Read, Write};
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::{SocketFlags, acceptfrom_with};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A listening TCP socket.
#[derive(Debug)]
pub struct Listener(AsyncFd<net::TcpListener>);

impl Listener {
    /// Watches a listening socket, which must be non-blocking. Must be called on the runtime.
    ///
    /// # Errors
    /// What epoll_ctl(2) says; in practice only that memory or watches have run out.
    pub fn watch(listener: net::TcpListener) -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for owners that may swap their descriptor; a standard listener never does"
        )]
        let watched = AsyncFd::with_interest(listener, Interest::READABLE)?;
        Ok(Self(watched))
    }

    /// The next connection and who made it. Nothing is lost when this is dropped.
    ///
    /// # Errors
    /// What accept(2) says. ECONNABORTED and the like concern one peer that is gone already; EMFILE
    /// and its kin last, so wait before accepting again.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let accept = |listener: &net::TcpListener| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            Ok(acceptfrom_with(listener.as_fd(), flags)?)
        };
        let (socket, peer) = self.0.async_io(Interest::READABLE, accept).await?;
        let peer = peer
            .and_then(|peer| SocketAddr::try_from(peer).ok())
            .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))?;
        Ok((Stream(State::Early(net::TcpStream::from(socket))), peer))
    }
}

/// An accepted connection. Dropping it closes it.
#[derive(Debug)]
pub struct Stream(State);

#[derive(Debug)]
enum State {
    /// Nothing has been waited for yet.
    Early(net::TcpStream),
    /// Watched by the runtime.
    Watched(TcpStream),
    /// Could not be registered.
    Lost,
}

impl Stream {
    /// Tries what is asked for at once; None if it must be waited for, or is watched already.
    fn early<T>(
        &mut self,
        attempt: impl FnOnce(&mut net::TcpStream) -> io::Result<T>,
    ) -> Option<io::Result<T>> {
        let State::Early(stream) = &mut self.0 else {
            return None;
        };
        match attempt(stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            done => Some(done),
        }
    }

    /// Looks at the first bytes that come, and leaves them where they are; 0 if none will come any more.
    ///
    /// # Errors
    /// What recv(2) says.
    pub async fn peek(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.early(|stream| stream.peek(buffer)) {
            Some(done) => done,
            None => self.watched()?.peek(buffer).await,
        }
    }

    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Early(_) = self.0
            && let State::Early(stream) = std::mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Watched(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(Pin::new(stream)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(done) = self.early(|stream| stream.read(buf.initialize_unfilled())) {
            return Poll::Ready(done.map(|count| buf.advance(count)));
        }
        self.watched()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(done) = self.early(|stream| stream.write(bytes)) {
            return Poll::Ready(done);
        }
        self.watched()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(done) = self.early(|stream| stream.write_vectored(parts)) {
            return Poll::Ready(done);
        }
        self.watched()?.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket holds nothing back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(done) = self.early(|stream| stream.shutdown(net::Shutdown::Write)) {
            return Poll::Ready(done);
        }
        self.watched()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn pair() -> (net::TcpStream, Stream) {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let near = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, peer) = Listener::watch(listener).unwrap().accept().await.unwrap();
        assert_eq!(peer, near.local_addr().unwrap());
        (near, far)
    }

    #[tokio::test]
    async fn what_is_there_already_is_read_and_answered_without_being_watched() {
        let (mut near, mut far) = pair().await;
        near.write_all(b"ping").unwrap();
        let mut buffer = [0; 4];
        far.read_exact(&mut buffer).await.unwrap();
        far.write_all(b"pong").await.unwrap();
        assert!(matches!(far.0, State::Early(_)));
        near.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"pong");
        drop(far);
        assert_eq!(near.read(&mut buffer).unwrap(), 0);
    }

    #[tokio::test]
    async fn what_comes_later_is_waited_for() {
        let (mut near, mut far) = pair().await;
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 4];
            far.read_exact(&mut buffer).await.map(|_| (buffer, far))
        });
        tokio::task::yield_now().await;
        near.write_all(b"pi").unwrap();
        tokio::task::yield_now().await;
        near.write_all(b"ng").unwrap();
        let (buffer, far) = reading.await.unwrap().unwrap();
        assert_eq!(&buffer, b"ping");
        assert!(matches!(far.0, State::Watched(_)));
    }

    #[tokio::test]
    async fn what_the_socket_cannot_take_at_once_is_written_in_the_end() {
        let (mut near, mut far) = pair().await;
        let much = vec![7; 16 << 20];
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            near.read_to_end(&mut all).map(|_| all)
        });
        far.write_all(&much).await.unwrap();
        far.shutdown().await.unwrap();
        assert!(reader.join().unwrap().unwrap() == much);
    }
}
