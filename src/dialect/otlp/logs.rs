//! Log records: events that have a name, in the order they happened.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::batch::{Payload, SCOPE};
use crate::model::moment::Timestamp;
use crate::model::trace::{Attribute, Attributes, TraceContext};

/// How bad an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// All is as it should be.
    Info,
    /// Something is held back or given up.
    Warn,
    /// Something failed.
    Error,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name, of a closed set.
    pub name: &'static str,
    /// When it happened.
    pub time: Timestamp,
    /// How bad it is.
    pub severity: Severity,
    /// One line for people.
    pub body: String,
    /// What is known of it, each name once.
    pub attributes: Attributes,
    /// The span it belongs to.
    pub trace: Option<TraceContext>,
}

/// The request that carries events, in their order.
#[must_use]
pub fn logs(events: Vec<Event>, resource: &Resource) -> Payload {
    let items = events.len() as u64;
    let scope = ScopeLogs {
        scope: Some(InstrumentationScope {
            name: SCOPE.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            ..InstrumentationScope::default()
        }),
        log_records: events.into_iter().map(record).collect(),
        ..ScopeLogs::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource.clone()),
            scope_logs: vec![scope],
            ..ResourceLogs::default()
        }],
    };
    Payload {
        body: request.encode_to_vec(),
        items,
    }
}

fn record(event: Event) -> LogRecord {
    let (severity_number, severity_text) = match event.severity {
        Severity::Info => (SeverityNumber::Info, "INFO"),
        Severity::Warn => (SeverityNumber::Warn, "WARN"),
        Severity::Error => (SeverityNumber::Error, "ERROR"),
    };
    let nanos = u64::try_from(event.time.0)
        .unwrap_or(0)
        .saturating_mul(1_000_000);
    let (trace_id, span_id) = event.trace.map_or_else(Default::default, |trace| {
        (trace.trace.to_vec(), trace.span.to_vec())
    });
    LogRecord {
        event_name: event.name.into(),
        time_unix_nano: nanos,
        // It is observed by who makes it; said the same way however often it is sent.
        observed_time_unix_nano: nanos,
        severity_number: severity_number.into(),
        severity_text: severity_text.into(),
        body: Some(any(Value::StringValue(event.body))),
        attributes: event.attributes.into_iter().map(attribute).collect(),
        flags: u32::from(event.trace.is_some()),
        trace_id,
        span_id,
        ..LogRecord::default()
    }
}

fn attribute((key, told): (&'static str, Attribute)) -> KeyValue {
    let value = match told {
        Attribute::Text(text) => Value::StringValue(text),
        Attribute::Number(number) => Value::IntValue(number),
        Attribute::Flag(flag) => Value::BoolValue(flag),
    };
    KeyValue {
        key: key.into(),
        value: Some(any(value)),
        ..KeyValue::default()
    }
}

const fn any(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

#[cfg(test)]
mod tests {
    use super::super::attribute as text;
    use super::*;

    fn event(number: i64, trace: Option<TraceContext>) -> Event {
        Event {
            name: "nodeward.test",
            time: Timestamp(1_700_000_000_123 + number),
            severity: Severity::Warn,
            body: format!("number {number}"),
            attributes: vec![
                ("a.number", Attribute::Number(number)),
                ("a.text", Attribute::Text("x".into())),
                ("a.flag", Attribute::Flag(true)),
            ],
            trace,
        }
    }

    #[test]
    fn events_keep_their_order_time_severity_and_span() {
        let trace = TraceContext {
            trace: [7; 16],
            span: [9; 8],
        };
        let resource = Resource {
            attributes: vec![text("host.name", "web-1")],
            ..Resource::default()
        };
        let payload = logs(vec![event(1, Some(trace)), event(2, None)], &resource);
        assert_eq!(payload.items, 2);
        let request = ExportLogsServiceRequest::decode(&payload.body[..]).unwrap();
        let of = &request.resource_logs[0];
        assert_eq!(of.resource.as_ref(), Some(&resource));
        let [first, second] = &of.scope_logs[0].log_records[..] else {
            panic!("{of:?}");
        };
        assert_eq!(first.event_name, "nodeward.test");
        assert_eq!(first.time_unix_nano, 1_700_000_000_124_000_000);
        assert_eq!(first.observed_time_unix_nano, first.time_unix_nano);
        // The data model: WARN is 13 to 16.
        assert_eq!(
            (first.severity_number, first.severity_text.as_str()),
            (13, "WARN")
        );
        assert_eq!(first.body, Some(any(Value::StringValue("number 1".into()))));
        assert_eq!(first.attributes[0].value, Some(any(Value::IntValue(1))));
        assert_eq!(
            (
                first.trace_id.as_slice(),
                first.span_id.as_slice(),
                first.flags
            ),
            (&trace.trace[..], &trace.span[..], 1)
        );
        assert!(second.trace_id.is_empty() && second.span_id.is_empty() && second.flags == 0);
    }
}
