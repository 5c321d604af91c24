//! What reading has cost and missed, and the lines the log gets of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::held::AnyWant;
use super::troubles::{Begun, Ended, Troubles};
use super::{Absent, Held, Missing};

/// What reading has cost and missed.
#[derive(Default)]
pub struct SamplerCounters {
    /// Reads of a subject.
    pub reads: AtomicU64,
    /// Series refused by a page or a batch because they were there already.
    pub duplicates: AtomicU64,
    missed: Mutex<Missed>,
}

#[derive(Default)]
struct Missed {
    counts: BTreeMap<(&'static str, &'static str), u64>,
    left_out: BTreeMap<&'static str, u64>,
    troubles: Troubles,
}

impl SamplerCounters {
    /// Items that could not be read: subject, kind of item, count.
    #[must_use]
    pub fn errors(&self) -> Vec<(&'static str, &'static str, u64)> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = missed.counts.iter();
        counts
            .map(|((subject, kind), n)| (*subject, *kind, *n))
            .collect()
    }

    /// Items that caps left out: subject, count.
    #[must_use]
    pub fn left_out(&self) -> Vec<(&'static str, u64)> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.left_out.iter().map(|(s, n)| (*s, *n)).collect()
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
        let now = Instant::now();
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        // Most machines lack some kind of hardware: that is neither an error nor news.
        if let Err(Missing::Absent(Absent::NotHere(why))) = held {
            tracing::debug!(subject, %why, "not on this machine");
        }
        let mut note = |kind, item: &str, why: &dyn std::fmt::Display| {
            *missed.counts.entry((subject, kind)).or_default() += 1;
            match missed.troubles.note(subject, kind, item, want, now) {
                None => {}
                Some(Begun::Item) => {
                    tracing::warn!(subject, kind, item, %why, "cannot read; told once until it is well again");
                }
                Some(Begun::TooMany) => {
                    tracing::warn!(subject, kind, item, %why, "cannot read; more of this kind are only counted for a while");
                }
            }
        };
        match held {
            Ok(held) => {
                let left_out = held.left_out();
                for error in held.errors() {
                    note(error.kind, &error.item, &error.why);
                }
                if left_out > 0 {
                    *missed.left_out.entry(subject).or_default() += left_out;
                }
            }
            Err(Missing::Absent(Absent::NotHere(_))) => {}
            Err(why) => note("subject", subject, why),
        }
        for (kind, item, how) in missed.troubles.settle(subject, want, now) {
            match how {
                Ended::Well => tracing::info!(subject, kind, item, "can be read again"),
                Ended::Forgotten => {
                    tracing::info!(
                        subject,
                        kind,
                        item,
                        "is not asked for any more; it could not be read last"
                    );
                }
            }
        }
    }
}
