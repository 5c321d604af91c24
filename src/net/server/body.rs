//! Reading a request's body within bounds.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Incoming};

use super::{Response, refusal};
use crate::net::gathered::Gathered;

/// A body, and its share of what all bodies may hold together.
pub(super) struct Held<'a> {
    pub(super) bytes: Bytes,
    _share: Option<Share<'a>>,
}

impl Held<'_> {
    pub(super) fn empty() -> Self {
        Self {
            bytes: Bytes::new(),
            _share: None,
        }
    }
}

/// Why a request is refused because of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("its body is too large")]
    TooLarge,
    #[error("too many large requests are open")]
    Overload,
    #[error("its body ended early or is not framed as HTTP")]
    Broken,
}

impl Refusal {
    pub(super) fn into_response(self) -> Response {
        match self {
            Self::TooLarge => refusal(StatusCode::PAYLOAD_TOO_LARGE, "request body too large\n"),
            Self::Overload => refusal(StatusCode::SERVICE_UNAVAILABLE, "too many open requests\n"),
            Self::Broken => refusal(StatusCode::BAD_REQUEST, "request body broken\n"),
        }
    }
}

/// Reads a body of at most `limit` bytes, while all bodies in `held` stay below `total`.
pub(super) async fn whole(
    mut incoming: Incoming,
    limit: usize,
    total: usize,
    held: &AtomicUsize,
) -> Result<Held<'_>, Refusal> {
    let told = incoming.size_hint().lower();
    if told > limit as u64 {
        return Err(Refusal::TooLarge);
    }
    let mut share = Share { held, bytes: 0 };
    share.grow(told as usize, total)?;
    let mut body = Gathered::Nothing;
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::Broken)?.into_data() else {
            continue;
        };
        let length = body.len() + data.len();
        if length > limit {
            return Err(Refusal::TooLarge);
        }
        share.grow(length, total)?;
        body = body.and(data, told as usize);
    }
    Ok(Held {
        bytes: body.into(),
        _share: Some(share),
    })
}

/// Bytes counted into a sum, and out of it on drop.
struct Share<'a> {
    held: &'a AtomicUsize,
    bytes: usize,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize, total: usize) -> Result<(), Refusal> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else {
            return Ok(());
        };
        let sum = |held: usize| held.checked_add(more).filter(|held| *held <= total);
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
            .map_err(|_| Refusal::Overload)?;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
