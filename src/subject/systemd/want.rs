//! What to read of systemd: each asker needs a little of it.

use std::collections::BTreeSet;

use super::Options;
use crate::subject::{Asker, Want as Wanted};

/// A part of the reading that a page or a batch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Version, virtualization and state of the manager.
    Manager,
    /// The list of units.
    Units,
    /// The type of each service and mount.
    Kinds,
    /// How often each service was restarted.
    Restarts,
    /// When each unit became active.
    Starts,
    /// How many tasks each service has, as systemd says.
    Tasks,
    /// When each timer fired last.
    Timers,
    /// Connections of each socket.
    Sockets,
    /// What units use: their control groups, and their restarts.
    Figures,
}

const PARTS: usize = Part::Figures as usize + 1;

/// Unit and interface.
pub(super) type Whole = (String, String);
/// Unit, interface and property.
pub(super) type Single = (String, String, String);

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Want {
    pub(super) parts: [bool; PARTS],
    /// Types of units to discover, as endings of their names; an empty one means all.
    pub(super) discovery: BTreeSet<&'static str>,
    /// Units and interfaces of which all properties are asked.
    pub(super) whole: BTreeSet<Whole>,
    /// Single properties.
    pub(super) single: BTreeSet<Single>,
    /// Units whose figures are asked, whatever the patterns say.
    pub(super) named: BTreeSet<String>,
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        for (part, more) in self.parts.iter_mut().zip(other.parts) {
            *part |= more;
        }
        self.discovery.extend(&other.discovery);
        self.whole.extend(other.whole.iter().cloned());
        self.single.extend(other.single.iter().cloned());
        self.named.extend(other.named.iter().cloned());
    }

    fn covers(&self, other: &Self) -> bool {
        self.parts.iter().zip(other.parts).all(|(a, b)| *a >= b)
            && self.discovery.is_superset(&other.discovery)
            && self.whole.is_superset(&other.whole)
            && self.single.is_superset(&other.single)
            && self.named.is_superset(&other.named)
    }
}

impl Want {
    /// Single properties of one unit, each of an interface by its short name: `("Unit", "ActiveState")`.
    #[must_use]
    pub fn properties(unit: &str, properties: &[(&str, &str)]) -> Self {
        let single = |(interface, name): &(&str, &str)| {
            (unit.to_owned(), (*interface).to_owned(), (*name).to_owned())
        };
        Self {
            single: properties.iter().map(single).collect(),
            ..Self::default()
        }
    }

    /// These parts.
    pub(super) fn parts(parts: &[Part]) -> Self {
        let mut want = Self::default();
        for part in parts {
            if let Some(place) = want.parts.get_mut(*part as usize) {
                *place = true;
            }
        }
        want
    }

    /// What a page or a batch needs.
    pub(super) fn page(options: &Options, asker: Asker) -> Self {
        use Part::{Figures, Kinds, Manager, Restarts, Sockets, Starts, Tasks, Timers, Units};
        let reference = asker == Asker::Prometheus;
        let parts = [
            (Manager, true),
            (Units, true),
            (Kinds, reference),
            (Timers, reference),
            (Sockets, reference),
            (Restarts, reference && options.enable_restarts_metrics),
            (Starts, reference && options.enable_start_time_metrics),
            (Tasks, reference && options.enable_task_metrics),
            (Figures, options.unit_figures),
        ];
        let wanted = parts.iter().filter(|(_, wanted)| *wanted);
        Self::parts(&wanted.map(|(part, _)| *part).collect::<Vec<_>>())
    }

    pub(super) fn has(&self, part: Part) -> bool {
        self.parts.get(part as usize).is_some_and(|has| *has)
    }

    /// Whether control groups are needed.
    pub(super) fn groups(&self) -> bool {
        self.has(Part::Figures) || !self.named.is_empty()
    }

    /// Whether only pages and batches ask: a key has a text of its own for every failure.
    pub(super) fn is_of_pages(&self) -> bool {
        let parts = Self {
            parts: self.parts,
            ..Self::default()
        };
        *self == parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_merged_covers_both_and_neither_covers_the_other() {
        let page = Want::page(&Options::default(), Asker::Prometheus);
        let key = Want {
            discovery: [".service"].into(),
            named: ["a.service".to_owned()].into(),
            ..Want::default()
        };
        assert!(!page.covers(&key) && !key.covers(&page));
        let mut both = page.clone();
        both.merge(&key);
        assert!(both.covers(&page) && both.covers(&key));
        assert!(page.is_of_pages() && !both.is_of_pages());
    }

    #[test]
    fn a_batch_needs_no_properties_that_only_the_reference_tells() {
        let options = Options {
            enable_task_metrics: true,
            ..Options::default()
        };
        let [page, batch] = [Asker::Prometheus, Asker::Otlp].map(|a| Want::page(&options, a));
        assert!(page.has(Part::Tasks) && !page.has(Part::Starts));
        assert!(!batch.has(Part::Tasks) && !batch.has(Part::Kinds) && batch.has(Part::Figures));
        assert!(page.covers(&batch));
    }
}
