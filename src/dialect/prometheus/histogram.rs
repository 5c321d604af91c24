//! Classic histograms: `NAME_bucket` with the label `le`, cumulative, `NAME_sum` and `NAME_count`.

use super::page::{Form, Page, Samples};
use super::{Declared, Descriptor, Family, Kind};
use crate::dialect::Distribution;

/// The label of a bucket's upper bound; no histogram may have it as one of its own.
pub(super) const LE: &str = "le";
/// What follows the family's name in the names of its samples: those of the buckets, the sum and the count.
pub(super) const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// A histogram of the subject or component `S` with `N` labels and `B` bounds.
pub struct Histogram<S, const N: usize, const B: usize> {
    family: Family<S, N>,
    bounds: &'static [f64; B],
}

impl<S, const N: usize, const B: usize> Histogram<S, N, B> {
    /// Declares a histogram; see [`Family::new`]. `bounds` are the upper ones in rising order, without the infinite one.
    #[must_use]
    pub const fn new(
        name: &'static str,
        bounds: &'static [f64; B],
        labels: [&'static str; N],
        help: &'static str,
    ) -> Self {
        Self {
            family: Family::new(name, Kind::Histogram, labels, help),
            bounds,
        }
    }
}

impl<S, const N: usize, const B: usize> Declared for Histogram<S, N, B> {
    fn descriptor(&self) -> Descriptor<'_> {
        self.family.descriptor()
    }
}

impl<S> Page<'_, S> {
    /// Opens a histogram, as [`Page::family`] does a family.
    pub fn histogram<const N: usize, const B: usize>(
        &mut self,
        histogram: &'static Histogram<S, N, B>,
    ) -> Distributions<'_, N, B> {
        Distributions {
            samples: self.family(&histogram.family),
            bounds: histogram.bounds,
        }
    }
}

/// The distributions of one open histogram.
pub struct Distributions<'a, const N: usize, const B: usize> {
    samples: Samples<'a, N>,
    bounds: &'static [f64; B],
}

impl<const N: usize, const B: usize> Distributions<'_, N, B> {
    /// Writes one distribution; one with labels that are there already is refused and counted.
    pub fn push(&mut self, labels: [&str; N], spread: &Distribution<B>) {
        let lines = B as u64 + 3;
        let names = self.samples.labels();
        let Some(form) = self.samples.admit(&labels, lines) else {
            return;
        };
        let (buckets, sum) = (spread.buckets(self.bounds), spread.sum());
        match form {
            Form::Text(text) => {
                let count: u64 = buckets.iter().map(|(_, count)| count).sum();
                let below = cumulative(&buckets).map(|(bound, below)| (bound, below.into()));
                text.distribution((&names, &labels), below, sum, count.into());
            }
            Form::OpenMetrics(open) => {
                open.distribution(&labels, buckets, sum, spread.exemplars().clone());
            }
            Form::Picked(picked) => picked.distribution(&labels, &buckets, sum),
        }
    }
}

/// How many values lie at or below each bound.
pub(super) fn cumulative(buckets: &[(f64, u64)]) -> impl Iterator<Item = (f64, u64)> {
    buckets.iter().scan(0, |sum, (bound, count)| {
        *sum += count;
        Some((*bound, *sum))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Format, Out};
    use super::*;
    use crate::dialect::Exemplar;
    use crate::model::moment::Timestamp;
    use crate::model::trace::TraceContext;

    struct Owner;
    const BOUNDS: [f64; 2] = [0.5, 2.0];
    crate::families! { Owner:
        SPAN histogram(BOUNDS) "span_seconds" ["stage"] "How long it took";
        ALONE histogram(BOUNDS) "alone_seconds" [] "Without a label";
        PLAIN gauge "plain" [] "A plain one";
    }

    fn fill(out: &mut Out) {
        let mut spread = Distribution::default();
        for value in [0.25, 1.0, 1.5, 3.0] {
            spread.add(&BOUNDS, value);
        }
        let mut page = out.page::<Owner>();
        let mut spans = page.histogram(&SPAN);
        spans.push(["a"], &spread);
        spans.push(["b"], &Distribution::default());
        spans.push(["a"], &spread);
        page.histogram(&ALONE).push([], &spread);
        page.histogram(&ALONE).push([], &spread);
        page.value(&PLAIN, 1u64);
        assert_eq!((out.samples(), out.duplicates()), (16, 2));
    }

    fn page(format: Format) -> String {
        let mut out = Out::new(format, 0);
        fill(&mut out);
        String::from_utf8(out.finish()).unwrap()
    }

    #[test]
    fn text_has_cumulative_buckets_sum_and_count() {
        assert_eq!(FAMILIES.len(), 3);
        assert_eq!(FAMILIES[0].descriptor().kind, Kind::Histogram);
        assert_eq!(
            page(Format::Text),
            "# HELP span_seconds How long it took\n# TYPE span_seconds histogram\n\
             span_seconds_bucket{stage=\"a\",le=\"0.5\"} 1\n\
             span_seconds_bucket{stage=\"a\",le=\"2\"} 3\n\
             span_seconds_bucket{stage=\"a\",le=\"+Inf\"} 4\n\
             span_seconds_sum{stage=\"a\"} 5.75\n\
             span_seconds_count{stage=\"a\"} 4\n\
             span_seconds_bucket{stage=\"b\",le=\"0.5\"} 0\n\
             span_seconds_bucket{stage=\"b\",le=\"2\"} 0\n\
             span_seconds_bucket{stage=\"b\",le=\"+Inf\"} 0\n\
             span_seconds_sum{stage=\"b\"} 0\n\
             span_seconds_count{stage=\"b\"} 0\n\
             # HELP alone_seconds Without a label\n# TYPE alone_seconds histogram\n\
             alone_seconds_bucket{le=\"0.5\"} 1\n\
             alone_seconds_bucket{le=\"2\"} 3\n\
             alone_seconds_bucket{le=\"+Inf\"} 4\n\
             alone_seconds_sum 5.75\n\
             alone_seconds_count 4\n\
             # HELP plain A plain one\n# TYPE plain gauge\nplain 1\n"
        );
    }

    #[test]
    fn openmetrics_says_the_same_with_canonical_bounds() {
        let text = page(Format::OpenMetrics);
        for line in [
            "# TYPE span_seconds histogram\n",
            "span_seconds_bucket{le=\"0.5\",stage=\"a\"} 1\n",
            "span_seconds_bucket{le=\"2.0\",stage=\"a\"} 3\n",
            "span_seconds_bucket{le=\"+Inf\",stage=\"a\"} 4\n",
            "span_seconds_sum{stage=\"a\"} 5.75\n",
            "span_seconds_count{stage=\"a\"} 4\n",
            "alone_seconds_bucket{le=\"2.0\"} 3\n",
            "plain 1\n",
        ] {
            assert_eq!(text.matches(line).count(), 1, "{line}{text}");
        }
    }

    #[test]
    fn exemplars_stand_behind_their_buckets_in_openmetrics_and_nowhere_else() {
        let exemplar = |value: f64, span: u8| Exemplar {
            value,
            at: Timestamp(1_700_000_000_042),
            span: TraceContext {
                trace: [0x4b; 16],
                span: [span; 8],
            },
        };
        let page = |format| {
            let mut spread = Distribution::default();
            spread.add_told(&BOUNDS, exemplar(1.5, 1));
            spread.add_told(&BOUNDS, exemplar(30.0, 2));
            let mut plain = Distribution::default();
            plain.add(&BOUNDS, 1.5);
            let mut out = Out::new(format, 0);
            let mut page = out.page::<Owner>();
            let mut spans = page.histogram(&SPAN);
            spans.push(["a"], &plain);
            spans.push(["b"], &spread);
            page.histogram(&ALONE).push([], &plain);
            String::from_utf8(out.finish()).unwrap()
        };
        let open = page(Format::OpenMetrics);
        let trace = "4b".repeat(16);
        for line in [
            "span_seconds_bucket{le=\"2.0\",stage=\"a\"} 1\n".to_owned(),
            "span_seconds_bucket{le=\"0.5\",stage=\"b\"} 0\n".to_owned(),
            // OpenMetrics 1.0: value # {labels} value timestamp.
            format!(
                "span_seconds_bucket{{le=\"2.0\",stage=\"b\"}} 1 # {{trace_id=\"{trace}\",span_id=\"{}\"}} 1.5 1700000000.042\n",
                "01".repeat(8)
            ),
            format!(
                "span_seconds_bucket{{le=\"+Inf\",stage=\"b\"}} 2 # {{trace_id=\"{trace}\",span_id=\"{}\"}} 30 1700000000.042\n",
                "02".repeat(8)
            ),
            "alone_seconds_bucket{le=\"2.0\"} 1\n".to_owned(),
        ] {
            assert_eq!(open.matches(&line).count(), 1, "{line}{open}");
        }
        assert_eq!(open.matches("trace_id").count(), 2, "{open}");
        assert!(open.ends_with("# EOF\n"));
        assert!(!page(Format::Text).contains("trace_id"));
    }

    #[test]
    fn samples_are_picked_by_their_own_names() {
        let names = ["span_seconds", "span_seconds_bucket", "span_seconds_count"];
        let mut out = Out::picking(names.map(str::to_owned).into());
        fill(&mut out);
        let picked = out.picked();
        assert!(picked[0].is_empty(), "no sample has the family's bare name");
        let labels = vec![("stage", "a".to_owned()), (LE, "2".to_owned())];
        assert_eq!((&picked[1][1].labels, picked[1][1].value), (&labels, 3.0));
        let counts: Vec<f64> = picked[2].iter().map(|s| s.value).collect();
        assert_eq!(counts, [4.0, 0.0]);
    }
}
