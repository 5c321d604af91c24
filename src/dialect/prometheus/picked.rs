//! Samples of a few families in place of a page: what a threshold is held against.

use super::histogram::{LE, SUFFIXES, cumulative};
use super::text::number;
use super::{Descriptor, Kind};
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
    /// Where the samples of the open family go: all, or those of a histogram by their suffix.
    open: [Option<usize>; 3],
}

impl Picked {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self {
            samples: names.iter().map(|_| Vec::new()).collect(),
            names,
            labels: Vec::new(),
            open: [None; 3],
        }
    }

    pub(super) fn open(&mut self, family: Descriptor<'_>) {
        let find = |wanted: &str| self.names.iter().position(|name| name == wanted);
        self.open = match family.kind {
            Kind::Histogram => SUFFIXES.map(|suffix| find(&format!("{}{suffix}", family.name))),
            Kind::Counter | Kind::Gauge | Kind::Untyped | Kind::Summary => {
                [find(family.name), None, None]
            }
        };
        if self.open.iter().any(Option::is_some) {
            self.labels.clear();
            self.labels.extend_from_slice(family.labels);
        }
    }

    pub(super) fn sample(&mut self, labels: &[&str], value: Number) {
        let [all, ..] = self.open;
        self.put(all, labels, None, value);
    }

    pub(super) fn distribution(&mut self, labels: &[&str], buckets: &[(f64, u64)], sum: f64) {
        let [bucket, total, count] = self.open;
        let mut all = 0;
        for (bound, below) in cumulative(buckets) {
            self.put(bucket, labels, Some(bound), below.into());
            all = below;
        }
        self.put(total, labels, None, sum.into());
        self.put(count, labels, None, all.into());
    }

    fn put(&mut self, at: Option<usize>, labels: &[&str], bound: Option<f64>, value: Number) {
        let Some(into) = at.and_then(|at| self.samples.get_mut(at)) else {
            return;
        };
        let bound = bound.map(|bound| {
            let mut text = Vec::new();
            number(Number::Float(bound), &mut text);
            (LE, String::from_utf8(text).unwrap_or_default())
        });
        let labels = self.labels.iter().zip(labels);
        let labels = labels.map(|(n, v)| (*n, (*v).to_owned()));
        into.push(Sample {
            labels: labels.chain(bound).collect(),
            value: value.as_f64(),
        });
    }

    pub(super) fn finish(self) -> Vec<Vec<Sample>> {
        self.samples
    }
}
