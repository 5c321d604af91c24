//! What reading has cost and missed, and the one line the log gets of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::held::AnyWant;
use super::{Held, Missing};

/// What reading has cost and missed.
#[derive(Debug, Default)]
pub struct SamplerCounters {
    /// Reads of a subject.
    pub reads: AtomicU64,
    /// Series refused by a page or a batch because they were there already.
    pub duplicates: AtomicU64,
    errors: Mutex<BTreeMap<(&'static str, &'static str), Trouble>>,
}

#[derive(Default)]
struct Trouble {
    count: u64,
    /// What was read when it began, until a read of as much goes well: it is logged when it begins and when it ends.
    /// A key that asks for less says nothing of what it did not look at.
    since: Option<Box<dyn AnyWant>>,
}

impl std::fmt::Debug for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} times", self.count)
    }
}

impl SamplerCounters {
    /// Items that could not be read: subject, kind of item, count.
    #[must_use]
    pub fn errors(&self) -> Vec<(&'static str, &'static str, u64)> {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors
            .iter()
            .map(|((subject, kind), t)| (*subject, *kind, t.count))
            .collect()
    }

    /// Counts series that a page or a batch refused.
    pub fn refused(&self, duplicates: u64) {
        if duplicates > 0 {
            self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        }
    }

    /// Counts what a read of `want` missed, and logs what began or ended with it.
    pub(super) fn record(
        &self,
        subject: &'static str,
        want: &dyn AnyWant,
        held: &Result<Arc<dyn Held>, Missing>,
    ) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut kinds: Vec<&str> = Vec::new();
        match held {
            Ok(held) => {
                for error in held.errors() {
                    self.note(subject, error.kind, want, &error.item, &error.why);
                    kinds.push(error.kind);
                }
            }
            Err(why) => {
                self.note(subject, "subject", want, subject, why);
                kinds.push("subject");
            }
        }
        for kind in self.settle(subject, want, &kinds) {
            tracing::info!(subject, kind, "can be read again");
        }
    }

    fn note(
        &self,
        subject: &'static str,
        kind: &'static str,
        want: &dyn AnyWant,
        item: &str,
        why: &dyn std::fmt::Display,
    ) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = errors.entry((subject, kind)).or_default();
        trouble.count += 1;
        if trouble.since.is_none() {
            trouble.since = Some(want.boxed());
            tracing::warn!(subject, kind, item, %why, "cannot read; told once until it is well again");
        }
    }

    /// Ends the troubles that a read of `want` would have had and had not; their kinds.
    fn settle(&self, subject: &str, want: &dyn AnyWant, had: &[&str]) -> Vec<&'static str> {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        for ((of, kind), trouble) in errors.iter_mut() {
            let seen = trouble
                .since
                .as_ref()
                .is_some_and(|w| want.covers(w.as_ref()));
            if *of == subject && seen && !had.contains(kind) {
                trouble.since = None;
                ended.push(*kind);
            }
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Want;

    #[derive(Clone)]
    struct Parts(u8);

    impl Want for Parts {
        fn merge(&mut self, other: &Self) {
            self.0 |= other.0;
        }
        fn covers(&self, other: &Self) -> bool {
            self.0 & other.0 == other.0
        }
    }

    #[test]
    fn a_trouble_ends_with_a_read_of_as_much_and_not_with_less() {
        let counters = SamplerCounters::default();
        counters.note("s", "mount", &Parts(0b11), "a", &"gone");
        counters.note("s", "mount", &Parts(0b01), "a", &"gone");
        assert!(counters.settle("s", &Parts(0b10), &[]).is_empty());
        assert!(counters.settle("other", &Parts(0b11), &[]).is_empty());
        assert!(counters.settle("s", &Parts(0b11), &["mount"]).is_empty());
        assert_eq!(counters.settle("s", &Parts(0b111), &[]), ["mount"]);
        assert!(counters.settle("s", &Parts(0b111), &[]).is_empty());
        assert_eq!(counters.errors(), [("s", "mount", 2)]);
    }
}
