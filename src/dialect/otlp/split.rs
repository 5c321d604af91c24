//! Metrics with more points than one request should carry.

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric};
use prost::Message as _;

/// How many points it has.
pub(super) fn count(metric: &Metric) -> usize {
    match &metric.data {
        Some(metric::Data::Gauge(g)) => g.data_points.len(),
        Some(metric::Data::Sum(s)) => s.data_points.len(),
        Some(metric::Data::Histogram(h)) => h.data_points.len(),
        _ => 0,
    }
}

/// A metric too large for one request, in parts.
pub(super) fn split(metric: Metric, limit: usize) -> Vec<Metric> {
    let size = metric.encoded_len();
    if size <= limit {
        return vec![metric];
    }
    let all = count(&metric);
    let each = all.div_ceil(size.div_ceil(limit.max(1)) + 1).max(1);
    (0..all)
        .step_by(each)
        .map(|from| {
            let mut part = metric.clone();
            match &mut part.data {
                Some(metric::Data::Gauge(g)) => cut(&mut g.data_points, from, each),
                Some(metric::Data::Sum(s)) => cut(&mut s.data_points, from, each),
                Some(metric::Data::Histogram(h)) => cut(&mut h.data_points, from, each),
                _ => {}
            }
            part
        })
        .collect()
}

/// Leaves `each` of the points, from that at `from` on.
fn cut<T>(points: &mut Vec<T>, from: usize, each: usize) {
    points.truncate(from.saturating_add(each));
    points.drain(..from.min(points.len()));
}
