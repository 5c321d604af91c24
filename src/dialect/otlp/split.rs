//! Metrics with more points than one request should carry, and requests with more than a receiver takes.

use hyper::body::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Request;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics, metric};
use prost::Message as _;

use super::batch::Payload;

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

/// Metrics in groups of at most about `limit` bytes each, in order.
pub(super) fn groups(metrics: Vec<Metric>, limit: usize) -> Vec<Vec<Metric>> {
    let (mut groups, mut group, mut size) = (Vec::new(), Vec::new(), 0);
    for metric in metrics.into_iter().flat_map(|metric| split(metric, limit)) {
        let bytes = metric.encoded_len() + 8;
        if size + bytes > limit && !group.is_empty() {
            groups.push(std::mem::take(&mut group));
            size = 0;
        }
        size += bytes;
        group.push(metric);
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// An encoded request as smaller ones of the same points, about half as large each; none if it cannot be taken apart.
pub(super) fn apart(message: &Bytes) -> Option<Vec<Payload>> {
    let request = Request::decode(message.clone()).ok()?;
    let mut payloads = Vec::new();
    for resource in request.resource_metrics {
        for scope in &resource.scope_metrics {
            let bytes: usize = scope.metrics.iter().map(|m| m.encoded_len() + 8).sum();
            for metrics in groups(scope.metrics.clone(), bytes.div_ceil(2)) {
                let items = metrics.iter().map(|metric| count(metric) as u64).sum();
                let scope_metrics = vec![ScopeMetrics {
                    metrics,
                    ..scope.clone()
                }];
                let resource_metrics = vec![ResourceMetrics {
                    scope_metrics,
                    ..resource.clone()
                }];
                let body = Request { resource_metrics }.encode_to_vec();
                payloads.push(Payload { body, items });
            }
        }
    }
    (payloads.len() > 1).then_some(payloads)
}

/// Leaves `each` of the points, from that at `from` on.
fn cut<T>(points: &mut Vec<T>, from: usize, each: usize) {
    points.truncate(from.saturating_add(each));
    points.drain(..from.min(points.len()));
}
