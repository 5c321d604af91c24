//! The files of /proc/net/rpc: lines of a word and its numbers (net/sunrpc/stats.c, fs/nfs, fs/nfsd of the kernel).
//!
//! Owns their parsing and the names of calls. A line that is not there is told to Prometheus as 0, as the reference tells it, and not over
//! OTLP, as hostmetrics does; one that cannot be read costs itself and not the file.

pub mod calls;

use crate::dialect::otlp::{Batch, Instrument};
use crate::dialect::prometheus::{Family, Page, Samples};
use crate::host::parse::{LONGEST_TEXT, cut, fields, lines, unsigned};
use crate::subject::{ItemError, Taken};
use calls::Call;

/// How many numbers a line has.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// So many.
    Of(usize),
    /// So many, and more that are not read.
    First(usize),
    /// As many as the first of them says, and at least so many.
    Said(usize),
}

/// A line that is read: its word, and what follows.
pub struct Line(pub &'static str, pub Count);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Missing,
    Bad,
    Numbers(Box<[u64]>),
}

/// The lines of a file, in the order in which they were asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct Lines(Vec<Found>);

/// Columns of a line, and what each is.
pub type Columns = &'static [(usize, &'static str)];
/// Calls on a line, with their version.
pub type Counted = (usize, &'static str, &'static [Call]);

impl Lines {
    /// Reads the lines that are `known` and passes over others.
    pub fn parse(text: &[u8], known: &[Line]) -> Taken<Self> {
        let (mut found, mut errors) = (vec![Found::Missing; known.len()], Vec::new());
        for line in lines(cut(text, LONGEST_TEXT)) {
            let mut parts = fields(line);
            let Some(word) = parts.next() else {
                continue;
            };
            let at = known
                .iter()
                .position(|Line(name, _)| name.as_bytes() == word);
            let Some((place, Line(_, count))) =
                at.and_then(|at| Some((found.get_mut(at)?, known.get(at)?)))
            else {
                continue;
            };
            *place = match numbers(parts, *count) {
                Some(numbers) => Found::Numbers(numbers),
                None => {
                    errors.push(ItemError::new(
                        "line",
                        word,
                        "not the numbers it should have",
                    ));
                    Found::Bad
                }
            };
        }
        Taken::lacking(Self(found), errors)
    }

    /// A number for Prometheus; none if its line cannot be read.
    pub fn shown(&self, line: usize, column: usize) -> Option<u64> {
        match self.0.get(line) {
            Some(Found::Bad) | None => None,
            Some(Found::Missing) => Some(0),
            Some(Found::Numbers(numbers)) => Some(numbers.get(column).copied().unwrap_or_default()),
        }
    }

    /// A number for OTLP; none if there is none.
    pub fn counted(&self, line: usize, column: usize) -> Option<u64> {
        match self.0.get(line) {
            Some(Found::Numbers(numbers)) => numbers.get(column).copied(),
            _ => None,
        }
    }

    /// Tells Prometheus numbers that have no label.
    pub fn values<S>(
        &self,
        page: &mut Page<'_, S>,
        numbers: &[(usize, usize, &'static Family<S, 0>)],
    ) {
        for (line, column, family) in numbers {
            if let Some(number) = self.shown(*line, *column) {
                page.value(family, number);
            }
        }
    }

    /// Puts numbers that have no attribute into a batch.
    pub fn counts<S>(
        &self,
        batch: &mut Batch<'_, '_, S>,
        numbers: &[(usize, usize, &'static Instrument<S, 0>)],
    ) {
        for (line, column, instrument) in numbers {
            if let Some(number) = self.counted(*line, *column) {
                batch.value(instrument, number);
            }
        }
    }

    /// Tells Prometheus numbers of a line, by what their columns are.
    pub fn label<S>(
        &self,
        page: &mut Page<'_, S>,
        (family, line, columns): (&'static Family<S, 1>, usize, Columns),
    ) {
        let mut samples = page.family(family);
        for (column, label) in columns {
            if let Some(number) = self.shown(line, *column) {
                samples.push([label], number);
            }
        }
    }

    /// Puts numbers of a line into a batch, by what their columns are.
    pub fn attribute<S>(
        &self,
        batch: &mut Batch<'_, '_, S>,
        (instrument, line, columns): (&'static Instrument<S, 1>, usize, Columns),
    ) {
        let mut points = batch.instrument(instrument);
        for (column, value) in columns {
            if let Some(number) = self.counted(line, *column) {
                points.push([value], number);
            }
        }
    }

    /// Tells Prometheus calls that were counted, by version and method, but for those of the name `left_out`.
    pub fn methods(&self, samples: &mut Samples<'_, 2>, all: &[Counted], left_out: &str) {
        for (line, version, calls) in all {
            for (at, Call(method, _)) in calls.iter().enumerate() {
                let told = !method.is_empty() && *method != left_out;
                if let Some(number) = self.shown(*line, at).filter(|_| told) {
                    samples.push([version, method], number);
                }
            }
        }
    }

    /// Puts calls that were counted into a batch, by version and name.
    pub fn names<S>(
        &self,
        batch: &mut Batch<'_, '_, S>,
        instrument: &'static Instrument<S, 2>,
        all: &[Counted],
    ) {
        let mut points = batch.instrument(instrument);
        for (line, version, calls) in all {
            for (at, Call(_, name)) in calls.iter().enumerate() {
                let number = self.counted(*line, at).filter(|_| !name.is_empty());
                if let Some(number) = number {
                    points.push([version, name], number);
                }
            }
        }
    }
}

/// The numbers of a line; of calls those alone, without how many they are.
fn numbers<'a>(parts: impl Iterator<Item = &'a [u8]>, count: Count) -> Option<Box<[u64]>> {
    let most = match count {
        Count::First(most) => most,
        Count::Of(_) | Count::Said(_) => usize::MAX,
    };
    let mut numbers = parts.take(most).map(unsigned).collect::<Option<Vec<_>>>()?;
    let whole = match count {
        Count::Of(count) | Count::First(count) => numbers.len() == count,
        Count::Said(least) => {
            if numbers.is_empty() {
                return None;
            }
            let said = usize::try_from(numbers.remove(0)).ok()?;
            numbers.len() == said && said >= least
        }
    };
    whole.then(|| numbers.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_costs_itself_and_a_missing_one_counts_nothing() {
        let known = [
            Line("net", Count::Of(2)),
            Line("th", Count::First(1)),
            Line("proc3", Count::Said(2)),
            Line("proc4", Count::Said(2)),
            Line("rpc", Count::Of(1)),
        ];
        let text = b"net 1 2\nth 8 0.000 x\nnew 1 2 3\n\nproc3 2 5 6\nproc4 3 5 6\n";
        let taken = Lines::parse(text, &known);
        let (read, errors) = (&taken.reading, &taken.errors);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].item, "proc4");
        let both = |line, column| (read.shown(line, column), read.counted(line, column));
        assert_eq!(both(0, 1), (Some(2), Some(2)));
        assert_eq!(both(1, 0), (Some(8), Some(8)));
        assert_eq!(both(2, 1), (Some(6), Some(6)));
        assert_eq!(both(2, 2), (Some(0), None), "an older kernel");
        assert_eq!(both(3, 0), (None, None));
        assert_eq!(both(4, 0), (Some(0), None));
        for bad in [
            "proc3\n",
            "proc3 x\n",
            "proc3 1 7\n",
            "net 1\n",
            "net 1 2 3\n",
            "th\n",
        ] {
            assert_eq!(
                Lines::parse(bad.as_bytes(), &known).errors.len(),
                1,
                "{bad}"
            );
        }
    }
}
