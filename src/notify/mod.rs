//! Notifiers: telling people and their systems what became of an incident.
//!
//! Owns how a notice is written for each kind of receiver, how it gets there, and that it does: in order, at least once,
//! under one id. Never decides what is told, or to whom; the rows of the journal's outbox say that.
//!
//! ```text
//!   heal ── Commit (record + outbox) ──> journal ──> wake
//!                                           │          │
//!                    pages of rows <────────┘    one task a notifier ──> Sink ──> taken | refused | failed | lost
//!                                           ^          │                                          │
//!                                           └── record + `sent` <── done                 again, backoff
//! ```
//!
//! The surprising decision: a task is never ended by a reload. One whose notifier left the config waits a while, in case it
//! comes back, and then drops what waits for it, on record.
//!
//! A new kind is a room that implements [`Kind`] and a line in the list in `list.rs`.

pub mod alertmanager;
mod attempt;
mod counts;
mod deliver;
mod digest;
pub mod email;
mod fate;
mod list;
mod marks;
mod options;
mod page;
mod post;
mod records;
mod run;
pub mod syslog;
mod told;
pub mod webhook;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::journal::Hash;
use crate::model::event::Event;
use crate::net::resolve::Resolver;

pub use list::{KINDS, To};
pub use options::{Invalid, Notifier, Options, faults};
pub use records::{Telling, Which};
pub use run::{Notifiers, test};
pub use told::{FAMILIES, INSTRUMENTS};

/// The options of one kind of notifier.
pub trait Kind: Send + Sync {
    /// What is wrong with them that their types do not show; the key each is about (empty: all of them; `a.b`: b within a), and why.
    fn faults(&self) -> Vec<(&'static str, String)>;

    /// What delivers. Opens nothing yet.
    ///
    /// # Errors
    /// One of [`Kind::faults`].
    fn sink(&self, resolver: &Resolver) -> Result<Box<dyn Sink>, String>;

    /// Whether records of the journal mean something there.
    fn takes_records(&self) -> bool {
        true
    }
}

/// Delivers to one receiver, one notice after the other, each within a bounded time.
#[async_trait]
pub trait Sink: Send {
    /// Delivers a notice once. It is not cancelled.
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery;

    /// How long after a delivery what comes is gathered, to be delivered together; none: it is not.
    fn gathers(&self) -> Option<Duration> {
        None
    }

    /// Delivers several notices as one, all of them or none; for those that gather. It is not cancelled.
    async fn deliver_together(&mut self, _: &[Message<'_>]) -> Delivery {
        Delivery::failed("it does not gather")
    }

    /// How long something that was taken may turn out to be lost.
    fn unsure(&self) -> Duration {
        Duration::ZERO
    }

    /// Waits until something that was taken turns out to be lost, and says since when, and why; it is to be delivered again. It may be
    /// dropped at any await.
    async fn lost(&mut self) -> Lost {
        std::future::pending().await
    }
}

/// One event on its way.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// What is told.
    pub event: &'a Event,
    /// Number of the journal's record it tells of.
    pub seq: i64,
    /// Hash of that record.
    pub chain: Hash,
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it, as far as its protocol can tell, and what it said to that.
    Taken(String),
    /// It has it, but not for all who should get it: for whom not, and why.
    InPart(String),
    /// It will never take this one, and why.
    Refused(String),
    /// Not tried: what was taken of late may be lost, and comes before it.
    Lost(Lost),
    /// Not this time.
    Failed {
        /// Why, and which setting helps.
        why: String,
        /// How long it wants to be left alone.
        wait: Option<Duration>,
    },
}

/// Something that was taken may be lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What was taken since then.
    pub since: Instant,
    /// Why, and which setting helps.
    pub why: String,
}

impl Delivery {
    fn failed(why: impl Into<String>) -> Self {
        Self::Failed {
            why: why.into(),
            wait: None,
        }
    }
}
