//! Telling an action that it is to end.

use tokio::sync::watch;

/// Tells an action that runs here to end. Dropped, it never will.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// What an action hears of that.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    /// One, and what an action hears of it.
    #[must_use]
    pub fn new() -> (Self, Stop) {
        let (stopper, stop) = watch::channel(false);
        (Self(stopper), Stop(stop))
    }

    /// The action is to end. A second time says nothing new.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Nobody will ever say so.
    #[must_use]
    pub fn never() -> Self {
        Stopper::new().1
    }

    /// Whether it was said.
    #[must_use]
    pub fn is_told(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is said.
    pub async fn told(&self) {
        let told = self.0.clone().wait_for(|told| *told).await.is_ok();
        if !told {
            std::future::pending::<()>().await;
        }
    }
}
