//! Where deliveries go.

use std::future::Future;
use std::pin::Pin;

use super::Delivery;

/// Takes deliveries. Implemented by what owns the journal.
pub trait Desk: Send + Sync {
    /// Takes the alerts of one body that came to `hook`; ready once all of it is durable, and only then `Ok`. It may be
    /// dropped before that, and be given the same delivery again.
    fn deliver<'a>(&'a self, hook: &'a str, delivery: Delivery) -> Delivering<'a>;
}

/// A delivery on its way into the journal.
pub type Delivering<'a> = Pin<Box<dyn Future<Output = Result<Accepted, Refused>> + Send + 'a>>;

/// What became of the alerts of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Alerts of this machine.
    pub ours: u64,
    /// Alerts of others.
    pub not_ours: u64,
    /// Alerts of this machine among them that were known already; all of them if the whole body was.
    pub repeats: u64,
}

/// Why a delivery is not taken now. It may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much waits for the journal already.
    #[error("too many alerts wait to be written")]
    Overloaded,
    /// The journal cannot be written: the disk is full, or it failed.
    #[error("the journal cannot be written")]
    Full,
    /// nodeward is ending.
    #[error("nodeward is ending")]
    Ending,
}
