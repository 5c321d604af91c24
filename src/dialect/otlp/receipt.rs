//! What became of a message, for who keeps it until then.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::reason::Reason;

/// What became of a message that was sent by [`Sender::deliver`](super::Sender::deliver).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The receiver took it.
    Taken,
    /// The receiver refused it for good. Not counted as dropped: that is for who has the message.
    Refused(Reason),
    /// It had to go before the receiver saw it: the queue is full, or the end has come.
    Not,
}

/// Goes with a message and is answered once. A copy answers for all.
#[derive(Debug, Clone)]
pub struct Receipt(Arc<Mutex<Option<oneshot::Sender<Delivered>>>>);

impl Receipt {
    pub(super) fn new() -> (Self, oneshot::Receiver<Delivered>) {
        let (answer, answered) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(answer)))), answered)
    }

    pub(super) fn answer(&self, delivered: Delivered) {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            // Who asked may be gone.
            answer.send(delivered).unwrap_or_default();
        }
    }
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Receipt {}
