//! The word that a shutdown has begun, for every open connection to hear.

use tokio::sync::watch;

/// Says whether and when a connection should come to its end.
#[derive(Debug, Clone)]
pub struct Drain(watch::Receiver<bool>);

/// The one that says it.
#[derive(Debug)]
pub(super) struct Starter(watch::Sender<bool>);

pub(super) fn pair() -> (Starter, Drain) {
    let (sender, receiver) = watch::channel(false);
    (Starter(sender), Drain(receiver))
}

impl Starter {
    pub(super) fn start(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Whether the drain has begun.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the drain begins. Cancel-safe.
    pub async fn on(mut self) {
        // An error means that the acceptor is gone, which is an end as well.
        self.0.wait_for(|on| *on).await.ok();
    }
}
