//! The journal: the durable, hash-chained record of everything decided and done, and the state to resume from.
//!
//! ```text
//!  heal, notify ── Commit ──> bounded queue ──> the one writer thread ── one transaction for all that waits ──> SQLite
//!       ^                                                                                             │
//!       └───────────── Committed: only once it is on the disk (WAL, synchronous=FULL) ────────────────┘
//!  why, journal list, verify ── Reader: a connection of its own, read-only, while another process writes
//! ```
//!
//! Owns the database file, its lock and its chain. It never interprets what it keeps: bodies are JSON texts of those who
//! wrote them. The surprising decision: state and record are written in one transaction, so that after a crash neither
//! can be ahead of the other.

mod age;
mod anchor;
mod chain;
mod commit;
mod counters;
mod entry;
mod error;
mod handle;
mod lock;
mod options;
mod place;
mod reader;
mod restore;
mod retain;
mod schema;
mod verify;
mod writer;

pub use anchor::{Anchor, LONGEST_LINE};
pub use chain::{Hash, Head, exported};
pub use commit::{
    Commit, Committed, EpisodeRow, Evidence, IncidentRow, Outgoing, Sent, Undelivered,
};
pub use counters::{COMMIT_BOUNDS, Counts, Failing, Proven};
pub use entry::{Entry, Kind};
pub use error::{CommitError, OpenError, ReadError};
pub use handle::{Clock, Journal};
pub use options::Options;
pub use place::directory;
pub use reader::{Filter, Followed, Reader, Stored};
pub use restore::Restored;
pub use verify::{Anchors, Broken, Verified, verify};

#[cfg(test)]
mod tests;
