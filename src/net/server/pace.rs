//! How fast a connection moves: its phase, kept by the stream and the service, read by the watch.
//!
//! The surprising decision: no timer is touched while a request passes. Phases are two relaxed
//! stores; the one timer of a connection is looked at only when nothing moves.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Limits;
use crate::net::stream::Stream;
use crate::net::watched::Watch;

/// How long a refused peer is listened to after its answer, so that the answer is not lost in the
/// reset that unread bytes cause (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(1);

/// Reads at a turn while lingering: a peer that never stops sending must not hold the thread.
const READS: usize = 16;

/// Where a connection is between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Waiting for the next request.
    Idle,
    /// Request line and headers are coming.
    Head,
    /// The body is coming.
    Body,
    /// The handler has it.
    Handle,
    /// Refused and answered; reading away what still comes.
    Linger,
}

/// The phase of one connection and when it began.
#[derive(Debug)]
pub(super) struct Pace {
    base: Instant,
    phase: AtomicU8,
    /// Milliseconds after `base` at which the phase began.
    since: AtomicU64,
    /// Whether a write waits for the peer to read, and since when.
    blocked: AtomicBool,
    blocked_since: AtomicU64,
    /// Whether a byte of the current request came; false on a connection that never spoke.
    spoken: AtomicBool,
    unread: AtomicBool,
    /// Nothing more will come.
    ended: AtomicBool,
    bad_head: AtomicBool,
}

/// What a connection waits for too long, and when that becomes too long.
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) waiting_for: Option<&'static str>,
}

impl Pace {
    /// A new connection owes its first request as if it had begun it: those that say nothing are
    /// closed early.
    pub(super) fn new() -> Self {
        Self {
            base: Instant::now(),
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            blocked_since: AtomicU64::new(0),
            spoken: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            bad_head: AtomicBool::new(false),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        if phase != Phase::Handle {
            self.since.store(self.now(), Relaxed);
        }
    }

    fn is_in(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) == phase as u8
    }

    /// Notes that the request was answered before it was read to its end.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether the connection ended because its headers are no HTTP, too many or too large.
    pub(super) fn has_bad_head(&self) -> bool {
        self.bad_head.load(Relaxed)
    }

    /// What the connection waits for; nothing while a handler has its request.
    pub(super) fn due(&self, limits: &Limits) -> Option<Due> {
        if self.blocked.load(Relaxed) {
            let at = self.at(&self.blocked_since) + limits.write;
            return Some(Due {
                at,
                waiting_for: Some("the peer to read its answer"),
            });
        }
        let (limit, waiting_for) = if self.is_in(Phase::Idle) {
            (limits.idle, None)
        } else if self.is_in(Phase::Head) {
            (limits.header_read, Some("request headers"))
        } else if self.is_in(Phase::Body) {
            (limits.body_read, Some("a request body"))
        } else if self.is_in(Phase::Linger) {
            (LINGER, None)
        } else {
            return None;
        };
        Some(Due {
            at: self.at(&self.since) + limit,
            waiting_for,
        })
    }

    fn now(&self) -> u64 {
        self.base.elapsed().as_millis() as u64
    }

    fn at(&self, since: &AtomicU64) -> Instant {
        self.base + Duration::from_millis(since.load(Relaxed))
    }
}

impl Watch for Pace {
    fn has_read(&self, new: &[u8]) {
        if new.is_empty() {
            self.ended.store(true, Relaxed);
            return;
        }
        if self.is_in(Phase::Idle) {
            self.enter(Phase::Head);
        }
        self.spoken.store(true, Relaxed);
    }

    fn has_written(&self, blocked: bool) {
        let was = self.blocked.load(Relaxed);
        if blocked && !was {
            self.blocked.store(true, Relaxed);
            self.blocked_since.store(self.now(), Relaxed);
        } else if was && !blocked {
            self.blocked.store(false, Relaxed);
            // A long answer must not count as idling once it is through.
            if self.is_in(Phase::Idle) {
                self.enter(Phase::Idle);
            }
        }
    }

    /// Ends the connection. hyper comes here after refusing a head with 400 or 431 as well, and
    /// then, as after a body left unread, the peer is still sending: its bytes are read away for a
    /// moment. Otherwise closing the socket says all there is to say, without a call of its own.
    fn poll_shutdown(
        &self,
        mut stream: Pin<&mut Stream>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_in(Phase::Linger) {
            let bad_head = self.is_in(Phase::Head) && self.spoken.load(Relaxed);
            self.bad_head.store(bad_head, Relaxed);
            if self.ended.load(Relaxed) || !(bad_head || self.unread.load(Relaxed)) {
                if stream.has_farewell() {
                    // A peer that does not take it has no need of it.
                    drop(stream.poll_shutdown(cx));
                }
                return Poll::Ready(Ok(()));
            }
            ready!(stream.as_mut().poll_shutdown(cx))?;
            self.enter(Phase::Linger);
        }
        let mut away = [0_u8; 4096];
        for _ in 0..READS {
            let mut buf = ReadBuf::new(&mut away);
            ready!(stream.as_mut().poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
