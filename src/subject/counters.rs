//! What reading has cost and missed, and the one line the log gets of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Debug, Default)]
struct Trouble {
    count: u64,
    /// Whether the last read had it: it is logged when it begins and when it ends.
    now: bool,
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

    pub(super) fn record(&self, subject: &'static str, held: &Result<Arc<dyn Held>, Missing>) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let mut note = |kind: &'static str, item: &str, why: &dyn std::fmt::Display| {
            let trouble = errors.entry((subject, kind)).or_default();
            trouble.count += 1;
            if !std::mem::replace(&mut trouble.now, true) {
                tracing::warn!(subject, kind, item, %why, "cannot read; told once until it is well again");
            }
        };
        let mut kinds: Vec<&str> = Vec::new();
        match held {
            Ok(held) => {
                for error in held.errors() {
                    note(error.kind, &error.item, &error.why);
                    kinds.push(error.kind);
                }
            }
            Err(why) => {
                note("subject", subject, why);
                kinds.push("subject");
            }
        }
        for ((s, kind), trouble) in errors.iter_mut() {
            if *s == subject && trouble.now && !kinds.contains(kind) {
                trouble.now = false;
                tracing::info!(subject, kind, "can be read again");
            }
        }
    }
}
