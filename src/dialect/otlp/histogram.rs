//! Histograms with explicit bounds, cumulative.

use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, Histogram as Message, HistogramDataPoint, exemplar, metric,
};

use super::batch::{Batch, Metrics, pairs};
use super::{Instrument, InstrumentDescriptor, Named};
use crate::dialect::{self, Distribution};

/// A histogram of the subject or component `S` with `N` attributes and `B` bounds.
pub struct Histogram<S, const N: usize, const B: usize> {
    instrument: Instrument<S, N>,
    bounds: &'static [f64; B],
}

impl<S, const N: usize, const B: usize> Histogram<S, N, B> {
    /// Declares a histogram. `bounds` are the upper ones in rising order, without the infinite one.
    #[must_use]
    pub const fn new(
        descriptor: InstrumentDescriptor,
        bounds: &'static [f64; B],
        attributes: [&'static str; N],
    ) -> Self {
        Self {
            instrument: Instrument::new(descriptor, attributes),
            bounds,
        }
    }
}

impl<S, const N: usize, const B: usize> Named for Histogram<S, N, B> {
    fn descriptor(&self) -> InstrumentDescriptor {
        *self.instrument.descriptor()
    }
    fn attributes(&self) -> &[&'static str] {
        self.instrument.attributes()
    }
}

impl<'a, S> Batch<'_, 'a, S> {
    /// Opens a histogram; it is left out of the batch if no distribution follows.
    pub fn histogram<const N: usize, const B: usize>(
        &mut self,
        histogram: &'static Histogram<S, N, B>,
    ) -> Distributions<'_, 'a, N, B> {
        Distributions {
            metrics: self.metrics(),
            descriptor: histogram.instrument.descriptor(),
            attributes: histogram.instrument.attributes(),
            bounds: histogram.bounds,
            points: Vec::new(),
        }
    }
}

/// The distributions of one open histogram; they join the batch when this is dropped.
pub struct Distributions<'b, 'a, const N: usize, const B: usize> {
    metrics: &'b mut Metrics<'a>,
    descriptor: &'static InstrumentDescriptor,
    attributes: &'static [&'static str; N],
    bounds: &'static [f64; B],
    points: Vec<HistogramDataPoint>,
}

impl<const N: usize, const B: usize> Distributions<'_, '_, N, B> {
    /// Writes one distribution. An attribute with an empty value is left out.
    #[expect(
        clippy::cast_precision_loss,
        reason = "whether a count fell is seen up to 2^53"
    )]
    pub fn push(&mut self, values: [&str; N], spread: &Distribution<B>) {
        let Some(key) = self.metrics.admit(self.descriptor.name, &values) else {
            return;
        };
        let count = spread.count();
        self.points.push(HistogramDataPoint {
            attributes: pairs(self.descriptor, self.attributes, values),
            start_time_unix_nano: self.metrics.start(key, count as f64),
            time_unix_nano: self.metrics.now(),
            count,
            sum: Some(spread.sum()),
            exemplars: spread.exemplars().values().map(exemplar).collect(),
            bucket_counts: spread.counts().collect(),
            explicit_bounds: self.bounds.to_vec(),
            ..HistogramDataPoint::default()
        });
    }
}

fn exemplar(told: &dialect::Exemplar) -> Exemplar {
    let millis = u64::try_from(told.at.0).unwrap_or(0);
    Exemplar {
        time_unix_nano: millis.saturating_mul(1_000_000),
        trace_id: told.span.trace.to_vec(),
        span_id: told.span.span.to_vec(),
        value: Some(exemplar::Value::AsDouble(told.value)),
        ..Exemplar::default()
    }
}

impl<const N: usize, const B: usize> Drop for Distributions<'_, '_, N, B> {
    fn drop(&mut self) {
        if self.points.is_empty() {
            return;
        }
        let message = Message {
            data_points: std::mem::take(&mut self.points),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
        };
        self.metrics
            .join(self.descriptor, metric::Data::Histogram(message));
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message as _;

    use super::super::{Cumulative, InstrumentKind, Payload, Resource};
    use super::*;
    use crate::model::moment::Timestamp;
    use crate::model::trace::TraceContext;

    struct Owner;
    const BOUNDS: [f64; 2] = [0.5, 2.0];
    crate::instruments! { Owner:
        SPAN histogram(BOUNDS) double "t.span" "s" ["stage"] "Spans";
        LEVEL gauge double "t.level" "1" [] "Level";
    }

    fn batch(cumulative: &mut Cumulative, now: u64, values: &[f64], limit: usize) -> Vec<Payload> {
        let mut spread = Distribution::default();
        for value in values {
            spread.add(&BOUNDS, *value);
        }
        let mut metrics = Metrics::new(cumulative, 10, now);
        let mut batch = metrics.batch::<Owner>();
        let mut spans = batch.histogram(&SPAN);
        spans.push(["a"], &spread);
        spans.push(["a"], &spread);
        spans.push([""], &Distribution::default());
        drop(spans);
        batch.value(&LEVEL, 1.0);
        assert_eq!(metrics.duplicates(), 1);
        metrics.finish(&Resource::default(), limit)
    }

    fn points(payload: &Payload) -> Vec<HistogramDataPoint> {
        let request = ExportMetricsServiceRequest::decode(&payload.body[..]).unwrap();
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let histogram = |metric: &opentelemetry_proto::tonic::metrics::v1::Metric| {
            let Some(metric::Data::Histogram(histogram)) = metric.data.clone() else {
                return Vec::new();
            };
            assert_eq!(
                (metric.name.as_str(), metric.unit.as_str()),
                ("t.span", "s")
            );
            let cumulative = AggregationTemporality::Cumulative;
            assert_eq!(histogram.aggregation_temporality(), cumulative);
            histogram.data_points
        };
        metrics.iter().flat_map(histogram).collect()
    }

    #[test]
    fn a_point_has_a_count_for_each_bucket_and_one_beyond() {
        let kinds = INSTRUMENTS.iter().map(|i| i.descriptor().kind);
        let expected = [InstrumentKind::Histogram, InstrumentKind::Gauge];
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        let mut cumulative = Cumulative::default();
        let payloads = batch(&mut cumulative, 100, &[0.25, 1.0, 1.5, 3.0], 1 << 20);
        assert_eq!(payloads[0].items, 3);
        let points = points(&payloads[0]);
        assert_eq!(points.len(), 2);
        assert_eq!(points[0].bucket_counts, [1, 2, 1]);
        assert_eq!(points[0].explicit_bounds, BOUNDS);
        assert_eq!((points[0].count, points[0].sum), (4, Some(5.75)));
        assert_eq!(points[0].attributes.len(), 1);
        assert!(points[1].attributes.is_empty());
    }

    #[test]
    fn a_point_names_the_span_that_tells_of_one_of_its_values() {
        let mut spread = Distribution::default();
        spread.add_told(
            &BOUNDS,
            dialect::Exemplar {
                value: 1.5,
                at: Timestamp(1_700_000_000_042),
                span: TraceContext {
                    trace: [7; 16],
                    span: [9; 8],
                },
            },
        );
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 10, 100);
        let mut batch = metrics.batch::<Owner>();
        batch.histogram(&SPAN).push(["a"], &spread);
        let payloads = metrics.finish(&Resource::default(), 1 << 20);
        let point = &points(&payloads[0])[0];
        let expected = Exemplar {
            time_unix_nano: 1_700_000_000_042_000_000,
            trace_id: vec![7; 16],
            span_id: vec![9; 8],
            value: Some(exemplar::Value::AsDouble(1.5)),
            ..Exemplar::default()
        };
        assert_eq!(point.exemplars, [expected]);
    }

    #[test]
    fn a_count_that_falls_starts_anew() {
        let mut cumulative = Cumulative::default();
        for (now, values, start) in [
            (100, &[1.0, 1.0][..], 10),
            (200, &[1.0, 1.0, 9.0], 10),
            (300, &[1.0], 200),
        ] {
            let payloads = batch(&mut cumulative, now, values, 1 << 20);
            let point = &points(&payloads[0])[0];
            let times = (point.start_time_unix_nano, point.time_unix_nano);
            assert_eq!(times, (start, now));
        }
    }

    #[test]
    fn a_large_histogram_is_split_and_loses_no_point() {
        let mut cumulative = Cumulative::default();
        let payloads = batch(&mut cumulative, 100, &[1.0], 100);
        let each: Vec<_> = payloads.iter().map(|p| points(p).len()).collect();
        assert!(
            each.iter().filter(|many| **many > 0).count() > 1,
            "{each:?}"
        );
        assert_eq!(each.iter().sum::<usize>(), 2);
        assert_eq!(payloads.iter().map(|p| p.items).sum::<u64>(), 3);
    }
}
