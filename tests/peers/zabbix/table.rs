//! Every key of tiers 1 and 2, with good and with bad parameters: one row a key, in a table for each kind. `{dir}` is a directory of
//! the test's own, `{port}` a port at which an agent listens, and `{odd}` and `{ended}` the names of processes of the test's own, of
//! which the second has ended.

mod differences;
mod files;
mod machine;
mod network;
mod processes;
mod storage;

use super::told::Told;
use crate::zabbix_server::Release;

pub use differences::{DIFFERENCES, SINCE_7};

/// A key, and how its answers are compared. Nodeward answers as one of the agents of each release does.
pub type Row = (&'static str, Told);

pub const ROWS: &[&[Row]] = &[
    machine::ROWS,
    network::ROWS,
    storage::ROWS,
    files::ROWS,
    processes::ROWS,
];

/// Every row.
pub fn rows() -> impl Iterator<Item = Row> {
    ROWS.iter().flat_map(|rows| rows.iter().copied())
}

/// A key that nodeward does not answer as any agent of some releases does, and why. One that no longer differs fails.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    pub key: &'static str,
    /// Where it differs; none: in every release. A key of one release alone stands in a table too, for the other.
    pub only: Option<Release>,
    pub why: &'static str,
}

impl Difference {
    /// The one of a key beside a release.
    pub fn of(key: &str, release: Release) -> Option<Self> {
        let here = |one: &&Self| one.key == key && one.only.is_none_or(|only| only == release);
        DIFFERENCES.iter().find(here).copied()
    }
}
