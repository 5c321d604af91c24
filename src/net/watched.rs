//! A stream somebody watches: what passes is told to a [`Watch`], and goes on unchanged.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// What is told of a stream.
pub(super) trait Watch {
    /// Whether what the peer said last is read once a write has failed. Who refuses a client under TLS 1.3 closes while that is
    /// writing already, and a connection ends at a write that fails: why it was refused would lie there unread.
    const LAST_WORDS: bool = false;

    /// A read is done; `new` is empty if the peer has ended or there was an error.
    fn has_read(&self, new: &[u8]);

    /// A read failed.
    fn has_failed(&self, _why: &io::Error) {}

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
    /// Of a write, while the last words are waited for.
    failed: Option<io::Error>,
}

impl<W> Watched<W> {
    pub(super) fn new(stream: Stream, watch: Arc<W>) -> Self {
        Self {
            stream,
            watch,
            failed: None,
        }
    }
}

impl<W: Watch> Watched<W> {
    /// Writes, unless a write has failed already; one that fails has the last words of the peer heard first.
    fn write_by<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let outcome = match self.failed.take() {
            Some(why) => Poll::Ready(Err(why)),
            None => write(Pin::new(&mut self.stream), cx),
        };
        let outcome = match outcome {
            Poll::Ready(Err(why)) if W::LAST_WORDS => self.last_words(why, cx),
            outcome => outcome,
        };
        self.watch.has_written(outcome.is_pending());
        outcome
    }

    fn last_words<T>(&mut self, why: io::Error, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let mut room = [0; 1024];
        // What was under way before them is little: nobody goes on speaking for long to whom it refuses.
        for _ in 0..16 {
            let mut buf = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                // They are there; only that they are has not been told yet.
                Poll::Pending => {
                    self.failed = Some(why);
                    return Poll::Pending;
                }
                // Somebody has answered, so that what was sent is not sent anew as if nobody had.
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.watch.has_read(buf.filled())
                }
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(last)) => {
                    self.watch.has_failed(&last);
                    break;
                }
            }
        }
        Poll::Ready(Err(why))
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
        if let Poll::Ready(Err(why)) = &outcome {
            self.watch.has_failed(why);
        }
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
        self.write_by(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write_by(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Only TLS keeps what it was given, so that a flush may have to wait as a write does.
        self.write_by(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.watch.poll_shutdown(Pin::new(&mut this.stream), cx)
    }
}
