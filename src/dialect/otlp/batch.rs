//! The batch being written: points of declared instruments go in, export requests come out.
//!
//! All points of a batch carry one timestamp. Sums start at boot, those of nodeward itself at its own start; a counter
//! that falls starts anew ([`Cumulative`]). A point whose attributes were there already is refused and counted.

use std::collections::HashSet;
use std::marker::PhantomData;

use foldhash::fast::FixedState;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::cumulative::Cumulative;
use super::split::{count, groups};
use super::{Form, Instrument, InstrumentDescriptor, InstrumentKind};
use crate::dialect::Number;

/// Schema of the metric names: those hostmetrics emits today.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.9.0";
/// Who speaks.
pub(super) const SCOPE: &str = "nodeward";

/// An encoded export request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The protobuf message.
    pub body: Vec<u8>,
    /// Data points or log records in it.
    pub items: u64,
}

/// The batch of any owner: what [`Batch`] writes through.
pub struct Metrics<'a> {
    metrics: Vec<Metric>,
    cumulative: &'a mut Cumulative,
    seen: HashSet<u64, FixedState>,
    start: u64,
    now: u64,
    duplicates: u64,
}

impl<'a> Metrics<'a> {
    /// An empty batch of points taken at `now`, of a machine started at `boot`; both in Unix nanoseconds.
    pub fn new(cumulative: &'a mut Cumulative, boot: u64, now: u64) -> Self {
        cumulative.begin();
        Self {
            metrics: Vec::new(),
            cumulative,
            seen: HashSet::default(),
            start: boot,
            now,
            duplicates: 0,
        }
    }

    /// From here on sums are nodeward's own: they start when it began to count, not at boot.
    pub fn own(&mut self) {
        self.start = self.cumulative.began();
    }

    /// The batch as the owner `S` sees it.
    pub fn batch<S>(&mut self) -> Batch<'_, 'a, S> {
        Batch {
            metrics: self,
            owner: PhantomData,
        }
    }

    /// What stands for a stream that gets a point now; none, which is counted, if it has one already.
    pub(super) fn admit(&mut self, name: &str, values: &[&str]) -> Option<u64> {
        let key = self.cumulative.key(name, values);
        let fresh = self.seen.insert(key);
        self.duplicates += u64::from(!fresh);
        fresh.then_some(key)
    }

    /// Since when a cumulative stream counts whose value, which never falls but at a reset, is `value` now.
    pub(super) fn start(&mut self, key: u64, value: f64) -> u64 {
        self.cumulative.start(key, value, self.start, self.now)
    }

    /// The instant of all points, in Unix nanoseconds.
    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    /// Adds the points of an instrument.
    pub(super) fn join(&mut self, descriptor: &InstrumentDescriptor, data: metric::Data) {
        self.metrics.push(Metric {
            name: descriptor.name.into(),
            description: descriptor.description.into(),
            unit: descriptor.unit.into(),
            data: Some(data),
            ..Metric::default()
        });
    }

    /// Points refused because they were there already.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The metrics so far, for printing.
    #[must_use]
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// Encodes the batch as requests of at most about `limit` bytes each, in order.
    #[must_use]
    pub fn finish(self, resource: &Resource, limit: usize) -> Vec<Payload> {
        self.cumulative.end();
        let groups = groups(self.metrics, limit);
        let payloads = groups.into_iter().map(|group| seal(group, resource));
        payloads.collect()
    }
}

fn seal(metrics: Vec<Metric>, resource: &Resource) -> Payload {
    let items = metrics.iter().map(|metric| count(metric) as u64).sum();
    let request = request(metrics, resource);
    Payload {
        body: request.encode_to_vec(),
        items,
    }
}

/// The request message of some metrics.
#[must_use]
pub fn request(metrics: Vec<Metric>, resource: &Resource) -> ExportMetricsServiceRequest {
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: SCOPE.into(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    ..InstrumentationScope::default()
                }),
                metrics,
                schema_url: SCHEMA_URL.into(),
            }],
            schema_url: SCHEMA_URL.into(),
        }],
    }
}

/// The batch as one owner sees it: it takes only that owner's instruments.
pub struct Batch<'b, 'a, S> {
    metrics: &'b mut Metrics<'a>,
    owner: PhantomData<fn() -> S>,
}

impl<'a, S> Batch<'_, 'a, S> {
    pub(super) fn metrics(&mut self) -> &mut Metrics<'a> {
        self.metrics
    }

    /// Opens an instrument; it is left out of the batch if no point follows.
    pub fn instrument<const N: usize>(
        &mut self,
        instrument: &'static Instrument<S, N>,
    ) -> Points<'_, 'a, N> {
        Points {
            metrics: self.metrics,
            descriptor: instrument.descriptor(),
            attributes: instrument.attributes(),
            points: Vec::new(),
        }
    }

    /// Writes an instrument of one point without attributes.
    pub fn value(&mut self, instrument: &'static Instrument<S, 0>, value: impl Into<Number>) {
        self.instrument(instrument).push([], value);
    }
}

/// The points of one open instrument; they join the batch when this is dropped.
pub struct Points<'b, 'a, const N: usize> {
    metrics: &'b mut Metrics<'a>,
    descriptor: &'static InstrumentDescriptor,
    attributes: &'static [&'static str; N],
    points: Vec<NumberDataPoint>,
}

impl<const N: usize> Points<'_, '_, N> {
    /// Writes one point. An attribute with an empty value is left out.
    pub fn push(&mut self, values: [&str; N], value: impl Into<Number>) {
        let value = value.into();
        let Some(key) = self.metrics.admit(self.descriptor.name, &values) else {
            return;
        };
        let start = match self.descriptor.kind {
            InstrumentKind::Counter | InstrumentKind::Histogram => {
                self.metrics.start(key, value.as_f64())
            }
            InstrumentKind::UpDown => self.metrics.start,
            InstrumentKind::Gauge => 0,
        };
        self.points.push(NumberDataPoint {
            attributes: pairs(self.descriptor, self.attributes, values),
            start_time_unix_nano: start,
            time_unix_nano: self.metrics.now,
            value: Some(match self.descriptor.form {
                Form::Int => number_data_point::Value::AsInt(value.as_i64()),
                Form::Double => number_data_point::Value::AsDouble(value.as_f64()),
            }),
            ..NumberDataPoint::default()
        });
    }
}

impl<const N: usize> Drop for Points<'_, '_, N> {
    fn drop(&mut self) {
        if self.points.is_empty() {
            return;
        }
        let data_points = std::mem::take(&mut self.points);
        let sum = |is_monotonic| Sum {
            data_points: data_points.clone(),
            aggregation_temporality: AggregationTemporality::Cumulative.into(),
            is_monotonic,
        };
        let data = match self.descriptor.kind {
            // A histogram is no `Instrument` but a type of its own, so that no single value can be written to it.
            InstrumentKind::Counter | InstrumentKind::Histogram => metric::Data::Sum(sum(true)),
            InstrumentKind::UpDown => metric::Data::Sum(sum(false)),
            InstrumentKind::Gauge => metric::Data::Gauge(Gauge { data_points }),
        };
        self.metrics.join(self.descriptor, data);
    }
}

/// Attributes with values; those with an empty one are left out.
pub(super) fn pairs<const N: usize>(
    descriptor: &InstrumentDescriptor,
    keys: &[&str; N],
    values: [&str; N],
) -> Vec<KeyValue> {
    let each = keys.iter().zip(values).filter(|(_, v)| !v.is_empty());
    let told = each.map(|(key, value)| {
        let numbered = descriptor.numbered.contains(key);
        match numbered.then(|| value.parse()) {
            Some(Ok(number)) => with(key, any_value::Value::IntValue(number)),
            _ => attribute(key, value),
        }
    });
    told.collect()
}

/// A string attribute.
#[must_use]
pub fn attribute(key: &str, value: &str) -> KeyValue {
    with(key, any_value::Value::StringValue(value.into()))
}

fn with(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Owner;
    crate::instruments! { Owner:
        TIME counter double "t.time" "s" ["state"] "Time";
        COUNT updown int "t.count" "{thing}" [] "Things";
        LEVEL gauge double "t.level" "1" ["state" int] "Level";
    }

    fn batch(cumulative: &mut Cumulative, now: u64, idle: f64, limit: usize) -> Vec<Payload> {
        assert_eq!(INSTRUMENTS.len(), 3);
        let mut metrics = Metrics::new(cumulative, 10, now);
        let mut batch = metrics.batch::<Owner>();
        let mut points = batch.instrument(&TIME);
        points.push(["idle"], idle);
        points.push(["user"], 5.0);
        points.push(["user"], 6.0);
        drop(points);
        batch.value(&COUNT, 7u64);
        drop(batch.instrument(&LEVEL));
        assert_eq!(metrics.duplicates(), 1);
        metrics.finish(&Resource::default(), limit)
    }

    fn points(metric: &Metric) -> &[NumberDataPoint] {
        match &metric.data {
            Some(metric::Data::Gauge(g)) => &g.data_points,
            Some(metric::Data::Sum(s)) => &s.data_points,
            _ => &[],
        }
    }

    fn decode(payload: &Payload) -> Vec<Metric> {
        let request = ExportMetricsServiceRequest::decode(&payload.body[..]).unwrap();
        request.resource_metrics[0].scope_metrics[0].metrics.clone()
    }

    #[test]
    fn sums_start_at_boot_and_anew_after_a_fall() {
        let mut cumulative = Cumulative::default();
        for (now, idle, start) in [
            (100, 3.0, 10),
            (200, 4.0, 10),
            (300, 1.0, 200),
            (400, 2.0, 200),
        ] {
            let payloads = batch(&mut cumulative, now, idle, 1 << 20);
            assert_eq!(payloads.len(), 1);
            assert_eq!(payloads[0].items, 3);
            let metrics = decode(&payloads[0]);
            assert_eq!(metrics.len(), 2, "an instrument without points is left out");
            let point = &points(&metrics[0])[0];
            assert_eq!(
                (point.start_time_unix_nano, point.time_unix_nano),
                (start, now)
            );
            assert_eq!(points(&metrics[0])[1].start_time_unix_nano, 10);
        }
    }

    #[test]
    fn sums_of_nodeward_itself_start_with_it() {
        let mut cumulative = Cumulative::default();
        let began = cumulative.began();
        assert!(began > 0);
        let mut metrics = Metrics::new(&mut cumulative, 10, began + 5);
        let mut batch = metrics.batch::<Owner>();
        batch.instrument(&TIME).push(["machine"], 1.0);
        metrics.own();
        let mut batch = metrics.batch::<Owner>();
        batch.instrument(&TIME).push(["own"], 1.0);
        batch.value(&COUNT, 7u64);
        let starts = metrics
            .metrics()
            .iter()
            .map(|m| points(m)[0].start_time_unix_nano);
        assert_eq!(starts.collect::<Vec<_>>(), [10, began, began]);
    }

    #[test]
    fn an_attribute_that_is_a_number_is_sent_as_one() {
        let mut cumulative = Cumulative::default();
        let mut metrics = Metrics::new(&mut cumulative, 10, 20);
        let mut batch = metrics.batch::<Owner>();
        let mut levels = batch.instrument(&LEVEL);
        levels.push(["4"], 1.0);
        levels.push(["four"], 1.0);
        drop(levels);
        let told = points(&metrics.metrics()[0]).iter();
        let told: Vec<_> = told.map(|p| p.attributes[0].clone()).collect();
        let number = with("state", any_value::Value::IntValue(4));
        assert_eq!(told, [number, attribute("state", "four")]);
    }

    #[test]
    fn a_large_batch_is_split_and_loses_no_point() {
        let mut cumulative = Cumulative::default();
        let payloads = batch(&mut cumulative, 100, 3.0, 60);
        assert!(payloads.len() > 1);
        assert_eq!(payloads.iter().map(|p| p.items).sum::<u64>(), 3);
        let total: usize = payloads
            .iter()
            .flat_map(decode)
            .map(|m| points(&m).len())
            .sum();
        assert_eq!(total, 3);
    }
}
