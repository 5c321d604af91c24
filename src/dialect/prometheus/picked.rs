//! Samples of a few families in place of a page: what a threshold is held against.

use super::Descriptor;
use crate::dialect::Number;

/// One sample as a page would have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Names and values of its labels, in the order they are declared.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

/// The samples of the families of some names; all others are left out.
pub(super) struct Picked {
    names: Vec<String>,
    samples: Vec<Vec<Sample>>,
    labels: Vec<&'static str>,
    open: Option<usize>,
}

impl Picked {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self {
            samples: names.iter().map(|_| Vec::new()).collect(),
            names,
            labels: Vec::new(),
            open: None,
        }
    }

    pub(super) fn open(&mut self, family: Descriptor<'_>) {
        self.open = self.names.iter().position(|name| name == family.name);
        if self.open.is_some() {
            self.labels.clear();
            self.labels.extend_from_slice(family.labels);
        }
    }

    pub(super) fn sample(&mut self, labels: &[&str], value: Number) {
        let Some(into) = self.open.and_then(|at| self.samples.get_mut(at)) else {
            return;
        };
        let labels = self.labels.iter().zip(labels);
        into.push(Sample {
            labels: labels.map(|(n, v)| (*n, (*v).to_owned())).collect(),
            value: value.as_f64(),
        });
    }

    pub(super) fn finish(self) -> Vec<Vec<Sample>> {
        self.samples
    }
}
