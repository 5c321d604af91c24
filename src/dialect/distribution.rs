//! Values counted in buckets: what a histogram of any dialect tells.

use std::collections::BTreeMap;

use crate::model::moment::Timestamp;
use crate::model::trace::TraceContext;

/// A value that was counted, and the span that tells of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// The value.
    pub value: f64,
    /// When it was counted.
    pub at: Timestamp,
    /// The span.
    pub span: TraceContext,
}

/// How many values fell into each of `B` buckets and beyond the last, their sum, and the last value of each bucket that is told of
/// by a span.
///
/// The bounds stand in the declaration of the family and of the instrument, since they must not change with the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution<const B: usize> {
    within: [u64; B],
    beyond: u64,
    sum: f64,
    exemplars: BTreeMap<usize, Exemplar>,
}

impl<const B: usize> Default for Distribution<B> {
    fn default() -> Self {
        Self {
            within: [0; B],
            beyond: 0,
            sum: 0.0,
            exemplars: BTreeMap::new(),
        }
    }
}

impl<const B: usize> Distribution<B> {
    /// Of values that were counted elsewhere: how many fell into each bucket and into none below it, and beyond the last, and their sum.
    #[must_use]
    pub const fn of(within: [u64; B], beyond: u64, sum: f64) -> Self {
        let exemplars = BTreeMap::new();
        Self {
            within,
            beyond,
            sum,
            exemplars,
        }
    }

    /// Counts a value; `bounds` are the upper ones, each part of its bucket, in rising order.
    pub fn add(&mut self, bounds: &[f64; B], value: f64) {
        let mut places = self.within.iter_mut().zip(bounds);
        let place = places.find(|(_, bound)| value <= **bound);
        *place.map_or(&mut self.beyond, |(count, _)| count) += 1;
        self.sum += value;
    }

    /// Counts a value of which a span tells.
    pub fn add_told(&mut self, bounds: &[f64; B], exemplar: Exemplar) {
        self.add(bounds, exemplar.value);
        let place = bounds.iter().position(|bound| exemplar.value <= *bound);
        self.exemplars.insert(place.unwrap_or(B), exemplar);
    }

    /// The last value of each bucket that a span tells of, by the bucket's place.
    pub(super) const fn exemplars(&self) -> &BTreeMap<usize, Exemplar> {
        &self.exemplars
    }

    /// How many values there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.within.iter().sum::<u64>() + self.beyond
    }

    /// Their sum.
    #[must_use]
    pub const fn sum(&self) -> f64 {
        self.sum
    }

    /// How many fell into each bucket and into none of those below it; the last is without a bound.
    pub(super) fn counts(&self) -> impl Iterator<Item = u64> {
        self.within.iter().copied().chain([self.beyond])
    }

    /// The same with the upper bounds, the last of them infinite.
    pub(super) fn buckets(&self, bounds: &[f64; B]) -> Vec<(f64, u64)> {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counts()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_that_holds_it() {
        const BOUNDS: [f64; 2] = [0.5, 2.0];
        let mut spread = Distribution::default();
        for value in [0.0, 0.5, 0.75, 2.0, 2.5, 100.0, 3.0] {
            spread.add(&BOUNDS, value);
        }
        let expected = [(0.5, 2), (2.0, 2), (f64::INFINITY, 3)];
        assert_eq!(spread.buckets(&BOUNDS), expected);
        assert_eq!((spread.count(), spread.sum()), (7, 108.75));
        assert_eq!(Distribution::<2>::default().count(), 0);
    }

    #[test]
    fn the_last_value_of_a_bucket_that_a_span_tells_of_is_its_exemplar() {
        const BOUNDS: [f64; 2] = [0.5, 2.0];
        let exemplar = |value: f64, span: u8| Exemplar {
            value,
            at: Timestamp(1),
            span: TraceContext {
                trace: [1; 16],
                span: [span; 8],
            },
        };
        let mut spread = Distribution::default();
        spread.add_told(&BOUNDS, exemplar(0.5, 1));
        spread.add_told(&BOUNDS, exemplar(0.25, 2));
        spread.add_told(&BOUNDS, exemplar(9.0, 3));
        spread.add(&BOUNDS, 0.125);
        assert_eq!(spread.count(), 4);
        let kept: Vec<_> = spread.exemplars().iter().collect();
        assert_eq!(kept, [(&0, &exemplar(0.25, 2)), (&2, &exemplar(9.0, 3))]);
    }
}
