//! The word that a shutdown has begun, for every open connection to hear.

use tokio::sync::watch;

/// Says whether and when a connection should come to its end.
#[derive(Debug, Clone)]
pub struct Drain {
    drain: watch::Receiver<bool>,
    /// Who would begin it, if nobody else is there to.
    _kept: Option<std::sync::Arc<watch::Sender<bool>>>,
}

/// The one that says it.
#[derive(Debug)]
pub(in crate::net) struct Starter(watch::Sender<bool>);

pub(in crate::net) fn pair() -> (Starter, Drain) {
    let (sender, receiver) = watch::channel(false);
    (
        Starter(sender),
        Drain {
            drain: receiver,
            _kept: None,
        },
    )
}

impl Starter {
    pub(in crate::net) fn start(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// A drain that never begins, for serving a connection without an acceptor.
    pub fn never() -> Self {
        let (sender, receiver) = watch::channel(false);
        Self {
            drain: receiver,
            _kept: Some(std::sync::Arc::new(sender)),
        }
    }

    /// Whether the drain has begun.
    pub fn is_on(&self) -> bool {
        *self.drain.borrow()
    }

    /// Waits until the drain begins. Cancel-safe.
    pub async fn on(mut self) {
        // An error means that the acceptor is gone, which is an end as well.
        self.drain.wait_for(|on| *on).await.ok();
    }
}
