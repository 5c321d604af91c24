//! What is told to people and to the SIEM.
//!
//! An [`Event`] is written into the journal's outbox in the same transaction as what it tells of; its text there is the body
//! that every format is made from. Its name stays the same however often it is sent, so that a receiver can leave out what it
//! has.

mod event;
pub mod rfc5424;

pub use event::{Event, Told};
