//! A stream somebody watches: what passes is told to a [`Watch`], and goes on unchanged.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// What is told of a stream.
pub(super) trait Watch {
    /// A read is done; `new` is empty if the peer has ended or there was an error.
    fn has_read(&self, new: &[u8]);

    /// A write was tried; `blocked` if the peer must read first.
    fn has_written(&self, _blocked: bool) {}

    /// Ends the stream.
    fn poll_shutdown(
        &self,
        stream: Pin<&mut Stream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        stream.poll_shutdown(cx)
    }
}

/// A stream and who watches it.
pub(super) struct Watched<W> {
    stream: Stream,
    watch: Arc<W>,
}

impl<W> Watched<W> {
    pub(super) fn new(stream: Stream, watch: Arc<W>) -> Self {
        Self { stream, watch }
    }
}

impl<W: Watch> AsyncRead for Watched<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if outcome.is_ready() {
            self.watch
                .has_read(buf.filled().get(before..).unwrap_or_default());
        }
        outcome
    }
}

impl<W: Watch> AsyncWrite for Watched<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch.has_written(outcome.is_pending());
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch.has_written(outcome.is_pending());
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        // Only TLS keeps what it was given, so that a flush may have to wait as a write does.
        self.watch.has_written(outcome.is_pending());
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.watch.poll_shutdown(Pin::new(&mut this.stream), cx)
    }
}
