//! What became of a notice: its words, its count and its line in the log.

use std::sync::atomic::Ordering;

use super::counts::Counts;
use crate::journal::Sent;

/// What became of a notice.
#[derive(Clone)]
pub(super) enum Fate {
    Delivered,
    /// Not for all who should get it: for whom not, and why.
    InPart(String),
    Dropped(String),
}

impl Fate {
    pub(super) fn taken(but: Option<String>) -> Self {
        but.map_or(Self::Delivered, Self::InPart)
    }

    /// Its word in the journal, and why.
    pub(super) const fn told(&self) -> (&'static str, Option<&String>) {
        match self {
            Self::Delivered => ("delivered", None),
            Self::InPart(why) => ("in_part", Some(why)),
            Self::Dropped(why) => ("dropped", Some(why)),
        }
    }

    /// Counts it, and logs what is not as it should be.
    pub(super) fn count(&self, counts: &Counts, notifier: &str, id: &str) {
        match self {
            Self::Delivered => {
                counts.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Self::InPart(why) => counts.in_part.note(|left_out| {
                tracing::error!(
                    notifier,
                    id,
                    why,
                    left_out,
                    "a notification is not taken for some of those who should get it"
                );
            }),
            Self::Dropped(why) => counts.dropped.note(|left_out| {
                tracing::error!(
                    notifier,
                    id,
                    why,
                    left_out,
                    "a notification is dropped undelivered"
                );
            }),
        }
    }

    /// How the outbox marks it.
    pub(super) fn mark(self) -> Sent {
        match self {
            Self::Delivered | Self::InPart(_) => Sent::Delivered,
            Self::Dropped(why) => Sent::Dropped(why),
        }
    }
}
