//! Where a record lies, to say what became of it.

use super::Record;

/// A record that waits for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// Its file, and where in it.
    pub(super) place: (u64, u64),
    pub(super) size: u64,
    pub(super) items: u64,
    /// When the record was read, as it says itself.
    pub at: u64,
}

impl Ticket {
    pub(super) fn new(place: (u64, u64), record: &Record) -> Self {
        Self {
            place,
            size: record.size(),
            items: record.items,
            at: record.at,
        }
    }
}
