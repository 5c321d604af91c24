//! Zabbix keys a subject answers.

use std::time::Duration;

use super::{Ring, Subject};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;

/// The parameters of the key that was asked.
pub type Args<'a> = Key<'a>;

/// A value, or the agent's error text.
pub type Said = Result<Value, Unsupported>;

/// The parameters of a key that takes none and yet is asked as one that takes some: what it is given is too many, and no "Item does
/// not allow parameters."
pub const NONE_TAKEN: &[&str] = &[""];

/// One key of the subject `S`.
pub struct Item<S: Subject> {
    /// Name of the key, without parameters.
    pub name: &'static str,
    /// Its parameters, by name; more are refused with the agent's own text. See [`NONE_TAKEN`].
    pub parameters: &'static [&'static str],
    /// One line for docs/METRICS.md.
    pub help: &'static str,
    /// What to read for it; wrong parameters are refused here, before anything is read.
    pub want: fn(&S::Options, &Args<'_>) -> Result<S::Want, Unsupported>,
    /// How it is answered.
    pub answer: Answer<S>,
}

/// Takes the numbers a key is about from a reading; none if the thing is not there.
pub type Pick<S> = fn(&<S as Subject>::Reading, &Args<'_>) -> Option<Box<[u64]>>;

/// How a key is answered.
pub enum Answer<S: Subject> {
    /// From the reading at hand.
    Now(fn(&S::Options, &S::Reading, &Args<'_>) -> Said),
    /// From numbers kept once a second, since the key tells a rate or an average.
    Over {
        /// How long numbers are kept.
        keep: Duration,
        /// Which numbers the key needs: keys that name the same series share them.
        series: fn(&Args<'_>) -> String,
        /// Takes those numbers from a reading.
        pick: Pick<S>,
        /// Says the value.
        say: fn(&Ring, &Args<'_>) -> Said,
    },
    /// Either way, as its parameters say.
    Either {
        /// Whether the parameters ask for what the reading at hand has.
        at_hand: fn(&Args<'_>) -> bool,
        /// As in `Now`.
        now: fn(&S::Options, &S::Reading, &Args<'_>) -> Said,
        /// As in `Over`.
        keep: Duration,
        /// As in `Over`.
        series: fn(&Args<'_>) -> String,
        /// As in `Over`.
        pick: Pick<S>,
        /// As in `Over`.
        say: fn(&Ring, &Args<'_>) -> Said,
    },
}
