//! Requests counted by path and code.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many requests were answered, by path and code. Paths are a closed set, since anybody can ask for any path.
#[derive(Debug, Default)]
pub struct Requests {
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
    scraping: AtomicU32,
}

impl Requests {
    /// Counts one answer.
    pub fn count(&self, path: &'static str, code: u16) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((path, code)).or_default() += 1;
    }

    /// One more scrape is being answered, until what is given here is dropped.
    pub(super) fn scraping(&self) -> Scraping<'_> {
        let now = self.scraping.fetch_add(1, Ordering::Relaxed) + 1;
        Scraping {
            of: &self.scraping,
            now,
        }
    }

    /// How many scrapes are being answered now.
    #[must_use]
    pub fn scrapes(&self) -> u32 {
        self.scraping.load(Ordering::Relaxed)
    }

    /// Path, code and count, sorted.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, u16, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .map(|((path, code), n)| (*path, *code, *n))
            .collect()
    }
}

/// A scrape that is being answered.
pub(super) struct Scraping<'a> {
    of: &'a AtomicU32,
    /// How many there were with it when it came.
    pub(super) now: u32,
}

impl Drop for Scraping<'_> {
    fn drop(&mut self) {
        self.of.fetch_sub(1, Ordering::Relaxed);
    }
}
