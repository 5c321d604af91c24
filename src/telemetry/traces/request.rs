//! The span of a request that is served.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::TARGET;
use crate::model::trace::TraceContext;

/// A request under way, named as the semantic conventions for HTTP servers have it.
#[derive(Debug)]
pub struct Served {
    /// Its span; none while traces are off.
    pub span: Span,
    /// What is part of it: its span or, while traces are off, that of the client, if it traces.
    pub context: Option<TraceContext>,
}

/// Begins the span of a request; it goes on with the trace that the client's `traceparent` names.
#[must_use]
pub fn served(method: &str, route: &str, traceparent: Option<&str>) -> Served {
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        error.type = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    let client = traceparent.and_then(TraceContext::parse);
    if span.is_disabled() {
        return Served {
            span,
            context: client,
        };
    }
    if let Some(client) = client {
        let remote = SpanContext::new(
            TraceId::from_bytes(client.trace),
            SpanId::from_bytes(client.span),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        let parent = opentelemetry::Context::new().with_remote_span_context(remote);
        if let Err(error) = span.set_parent(parent) {
            tracing::debug!(%error, "a request's traceparent is not gone on with");
        }
    }
    let own = span.context();
    let own = own.span();
    let own = own.span_context();
    let context = (own.is_valid() && own.is_sampled()).then(|| TraceContext {
        trace: own.trace_id().to_bytes(),
        span: own.span_id().to_bytes(),
    });
    Served {
        span,
        context: context.or(client),
    }
}

impl Served {
    /// Notes how it was answered; a server's own failure is an error.
    pub fn answered(&self, status: u16) {
        self.span
            .record("http.response.status_code", i64::from(status));
        if status >= 500 {
            self.span.record("error.type", status.to_string());
            self.span.record("otel.status_code", "ERROR");
        }
    }
}
