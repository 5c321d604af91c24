//! The kinds of telemetry that are sent, and where the protocol puts each.
//!
//! Owns the names that differ by signal and nothing else.

/// One kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// `ExportMetricsServiceRequest`; an item is a data point.
    Metrics,
    /// `ExportTraceServiceRequest`; an item is a span.
    Traces,
    /// `ExportLogsServiceRequest`; an item is a log record.
    Logs,
}

impl Signal {
    /// Every signal, in the order of [`Signal::index`].
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// Position in [`Signal::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Metrics => 0,
            Self::Traces => 1,
            Self::Logs => 2,
        }
    }

    /// The word used in labels, config keys and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// The word inside `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` and its like.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Metrics => "METRICS",
            Self::Traces => "TRACES",
            Self::Logs => "LOGS",
        }
    }

    /// What is appended to a base URL (OTLP specification, "OTLP/HTTP Request").
    pub const fn http_path(self) -> &'static str {
        match self {
            Self::Metrics => "v1/metrics",
            Self::Traces => "v1/traces",
            Self::Logs => "v1/logs",
        }
    }

    /// The path of the unary call (the service definitions of opentelemetry-proto).
    pub const fn grpc_path(self) -> &'static str {
        match self {
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }
}
