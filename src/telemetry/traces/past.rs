//! Spans of what is over, told afterwards: with ids and times of the teller's own.
//!
//! tracing-opentelemetry makes a span of what a process does while it does it. A run of healing lasts longer than a process may, so
//! that its spans are made from its record; the SDK has them as [`SpanData`], and opentelemetry-otlp encodes them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_http::Bytes;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};

use super::{Carried, Carry, Error, gather};
use crate::model::moment::Timestamp;
use crate::model::trace::{Attribute, Attributes, TraceContext};

/// Who speaks.
const SCOPE: &str = "nodeward";

/// A span of something that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its own ids.
    pub context: TraceContext,
    /// The span it is part of; none for the first of its trace.
    pub parent: Option<Parent>,
    /// What it is, of few different names.
    pub name: String,
    /// Whether it is a call of something outside.
    pub calls: bool,
    /// When it began.
    pub start: Timestamp,
    /// When it was over; taken for its start if that is later, which a clock that was set back makes.
    pub end: Timestamp,
    /// What is known of it.
    pub attributes: Attributes,
    /// What happened within it.
    pub events: Vec<Happened>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<TraceContext>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// The span that another is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub span: [u8; 8],
    /// Whether another program made it.
    pub remote: bool,
}

/// Something that happened within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    /// What.
    pub name: &'static str,
    /// When.
    pub at: Timestamp,
    /// What is known of it.
    pub attributes: Attributes,
}

/// Encodes spans as one `ExportTraceServiceRequest`, protobuf, not compressed.
///
/// # Errors
/// The exporter refused them.
pub async fn encode(spans: Vec<Past>, resource: &[(String, String)]) -> Result<Bytes, Error> {
    let kept = Arc::<Kept>::default();
    let carry: Arc<dyn Carry> = Arc::<Kept>::clone(&kept);
    let exporter = gather::exporter_for(carry, resource)?;
    let spans = spans.into_iter().map(data).collect();
    // Nothing is waited for: what carries only keeps.
    let encoded = exporter.export(spans).await;
    encoded.map_err(|error| Error(error.to_string()))?;
    let body = kept.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    body.ok_or_else(|| Error("nothing came of it".into()))
}

/// Keeps what it is given.
#[derive(Debug, Default)]
struct Kept(Mutex<Option<Bytes>>);

impl Carry for Kept {
    fn carry(&self, body: Bytes) -> Carried<'_> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn data(past: Past) -> SpanData {
    let mut events = SpanEvents::default();
    events.events = past
        .events
        .into_iter()
        .map(|it| Event::new(it.name, time(it.at), pairs(it.attributes), 0))
        .collect();
    let mut links = SpanLinks::default();
    links.links = past
        .links
        .into_iter()
        .map(|context| Link::new(recorded(context, true), Vec::new(), 0))
        .collect();
    let parent = past
        .parent
        .map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.span));
    SpanData {
        span_context: recorded(past.context, false),
        parent_span_id: parent,
        parent_span_is_remote: past.parent.is_some_and(|parent| parent.remote),
        span_kind: match past.calls {
            true => SpanKind::Client,
            false => SpanKind::Internal,
        },
        name: past.name.into(),
        start_time: time(past.start),
        end_time: time(past.end.max(past.start)),
        attributes: pairs(past.attributes),
        dropped_attributes_count: 0,
        events,
        links,
        status: past.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

fn recorded(context: TraceContext, remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace),
        SpanId::from_bytes(context.span),
        TraceFlags::SAMPLED,
        remote,
        TraceState::default(),
    )
}

fn time(at: Timestamp) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    SystemTime::UNIX_EPOCH + since
}

fn pairs(attributes: Attributes) -> Vec<KeyValue> {
    let pairs = attributes.into_iter().map(|(name, attribute)| {
        let value = match attribute {
            Attribute::Text(text) => Value::from(text),
            Attribute::Number(number) => Value::from(number),
            Attribute::Flag(flag) => Value::from(flag),
        };
        KeyValue::new(name, value)
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{span, status};
    use prost::Message;

    use super::*;

    fn context(span: u8) -> TraceContext {
        TraceContext {
            trace: [7; 16],
            span: [span; 8],
        }
    }

    #[tokio::test]
    async fn a_span_keeps_its_ids_times_events_links_and_error() {
        let past = Past {
            context: context(1),
            parent: Some(Parent {
                span: [2; 8],
                remote: true,
            }),
            name: "attempt".into(),
            calls: true,
            start: Timestamp(2_000),
            end: Timestamp(3_500),
            attributes: vec![
                ("a.text", Attribute::Text("x".into())),
                ("a.number", Attribute::Number(3)),
            ],
            events: vec![Happened {
                name: "started",
                at: Timestamp(2_100),
                attributes: Vec::new(),
            }],
            links: vec![context(9)],
            error: Some("it failed".into()),
        };
        let first = Past {
            context: context(3),
            parent: None,
            calls: false,
            // The clock was set back meanwhile.
            end: Timestamp(1),
            error: None,
            ..past.clone()
        };
        let resource = [("host.name".to_owned(), "web-1".to_owned())];
        let body = encode(vec![past, first], &resource).await.unwrap();
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let of = &request.resource_spans[0];
        assert_eq!(of.resource.as_ref().unwrap().attributes[0].key, "host.name");
        let [told, first] = &of.scope_spans[0].spans[..] else {
            panic!("{of:?}");
        };
        assert_eq!(
            (&told.trace_id[..], &told.span_id[..]),
            (&[7; 16][..], &[1; 8][..])
        );
        assert_eq!(told.parent_span_id, [2; 8]);
        assert_eq!(told.kind(), span::SpanKind::Client);
        assert_eq!(
            (told.start_time_unix_nano, told.end_time_unix_nano),
            (2_000_000_000, 3_500_000_000)
        );
        assert_eq!(told.attributes.len(), 2);
        assert_eq!(told.events[0].time_unix_nano, 2_100_000_000);
        assert_eq!(told.links[0].span_id, [9; 8]);
        // Recorded, and the parent is remote (W3C flags and bits 8 and 9 of opentelemetry-proto).
        assert_eq!(told.flags, 0x301);
        let status = told.status.as_ref().unwrap();
        assert_eq!(status.code(), status::StatusCode::Error);
        assert_eq!(status.message, "it failed");
        assert!(first.parent_span_id.is_empty());
        assert_eq!(first.kind(), span::SpanKind::Internal);
        assert_eq!(first.end_time_unix_nano, first.start_time_unix_nano);
        assert_eq!(
            first.status.clone().unwrap_or_default().code(),
            status::StatusCode::Unset
        );
    }
}
