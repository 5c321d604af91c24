//! What was missing how often.

use std::collections::{HashMap, HashSet};

use crate::model::alert::Episode;

/// So many looks in a row in which an alert is missing make it over: one may fall between two sendings of Prometheus.
const ENOUGH: u32 = 2;

/// Episodes that were missing at the last look, each with for how many in a row.
#[derive(Debug, Default)]
pub(super) struct Looks(HashMap<Episode, u32>);

impl Looks {
    /// Takes a look: which of those that fire are over.
    ///
    /// Fingerprints are compared, not starts: while the alert fires again under another start, the old one is left alone.
    pub(super) fn take(&mut self, firing: &[Episode], present: &HashSet<String>) -> Vec<Episode> {
        let missing = firing
            .iter()
            .filter(|episode| !present.contains(episode.fingerprint()));
        let counted = missing.map(|episode| {
            let before = self.0.get(episode).copied().unwrap_or(0);
            (episode.clone(), before.saturating_add(1))
        });
        self.0 = counted.collect();
        let over = self.0.iter().filter(|(_, times)| **times >= ENOUGH);
        let mut over: Vec<_> = over.map(|(episode, _)| episode.clone()).collect();
        over.sort();
        over
    }

    /// Begins anew.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_in_a_row_without_it_make_an_alert_over() {
        let episode = |fingerprint: &str| Episode::new("am", fingerprint, "2026-11-22T16:43:32Z");
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|n| (*n).to_owned())
                .collect::<HashSet<_>>()
        };
        let firing = [episode("a"), episode("b")];
        let mut looks = Looks::default();
        assert!(looks.take(&firing, &set(&["b", "c"])).is_empty());
        assert_eq!(looks.take(&firing, &set(&["b"])), [episode("a")]);
        // Until somebody has taken it for over, it stays so.
        assert_eq!(looks.take(&firing, &set(&["b"])), [episode("a")]);
        assert!(looks.take(&firing, &set(&["a"])).is_empty());
        assert!(looks.take(&firing, &set(&["a", "b"])).is_empty());
        assert!(looks.take(&firing, &set(&["a"])).is_empty());
        looks.forget();
        assert!(looks.take(&firing, &set(&["a"])).is_empty());
        assert_eq!(looks.take(&firing, &set(&["a"])), [episode("b")]);
    }
}
