//! The `otlp` section of the config file.
//!
//! Owns the keys and their meaning; [`settings`](super::settings) joins them with the `OTEL_*`
//! variables. Most keys are optional because a key that is not there leaves the word to a
//! variable, while a key that is there beats every variable.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dialect::spool;
use crate::model::duration::Period;
use crate::model::secret::Secret;
use crate::model::size::Size;
use crate::net::tls;

/// Where and how telemetry is pushed over OTLP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The receiver's URL, such as `http://127.0.0.1:4318` or `https://otlp.example`; for HTTP, `v1/metrics`, `v1/traces` and
    /// `v1/logs` are appended to it. Nothing is sent over OTLP until this key or one of
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`,
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT` names a
    /// receiver. Default: none.
    pub endpoint: Option<String>,
    /// Whom to trust with `https`, and which certificate to show. Default: `OTEL_EXPORTER_OTLP_CERTIFICATE`,
    /// `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` and `OTEL_EXPORTER_OTLP_CLIENT_KEY`, else the authorities of the system and
    /// no certificate.
    pub tls: Option<tls::ClientOptions>,
    /// `http/protobuf` or `grpc`. Default: `OTEL_EXPORTER_OTLP_PROTOCOL`, else `http/protobuf`.
    pub protocol: Option<Protocol>,
    /// Headers sent with each request, for what is no secret (a tenant, say). Names that carry
    /// credentials are refused here: they belong into `headers_file`. Default:
    /// `OTEL_EXPORTER_OTLP_HEADERS`, else none.
    pub headers: BTreeMap<String, String>,
    /// A file with more headers, one `Name: value` a line, `#` begins a comment; for secrets such
    /// as `Authorization: Bearer ...`. Relative to the config file's directory, or
    /// `credential:NAME`. Default: none.
    #[serde(skip_serializing)]
    pub headers_file: Option<Secret>,
    /// The longest a request may take, connecting and answer included; `1ms` to `10m`. Default:
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, else `10s`.
    pub timeout: Option<Period>,
    /// Time between two exports of metrics; `100ms` to `1d`. Default:
    /// `OTEL_METRIC_EXPORT_INTERVAL`, else `60s`.
    pub interval: Option<Period>,
    /// `gzip` or `none`. Default: `OTEL_EXPORTER_OTLP_COMPRESSION`, else `gzip`, which every
    /// receiver must accept.
    pub compression: Option<Compression>,
    /// Memory for telemetry that the receiver has not taken yet, all signals together; when it is
    /// full, the oldest is dropped and counted. `64KiB` to `1GiB`. Default: `8MiB`.
    pub queue: Size,
    /// Metrics that the receiver has not taken yet, on the disk: the directory `spool` below the
    /// state directory; 64 MiB are about four days at an interval of 15 s. Without a state directory they wait in memory (`queue`), as the other signals do.
    pub spool: spool::Options,
    /// Whether metrics are sent. Default: unless `OTEL_SDK_DISABLED` or
    /// `OTEL_METRICS_EXPORTER=none` says no.
    pub metrics: Option<bool>,
    /// Whether traces are sent: of each healing run, and of nodeward's own work. Default: unless
    /// `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER=none` says no.
    pub traces: Option<bool>,
    /// Whether the journal is sent as log records, each record once it is written. Default: unless
    /// `OTEL_SDK_DISABLED` or `OTEL_LOGS_EXPORTER=none` says no.
    pub logs: Option<bool>,
    /// Resource attributes added to the detected ones, or put in their place; stronger than
    /// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`. An empty value removes an attribute.
    /// Default: none.
    pub resource: BTreeMap<String, String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            endpoint: None,
            tls: None,
            protocol: None,
            headers: BTreeMap::new(),
            headers_file: None,
            timeout: None,
            interval: None,
            compression: None,
            queue: Size::mib(8),
            spool: spool::Options::default(),
            metrics: None,
            traces: None,
            logs: None,
            resource: BTreeMap::new(),
        }
    }
}

/// How a request is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// A POST of the protobuf message, over HTTP/1.1.
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// A unary gRPC call, over HTTP/2 with prior knowledge.
    #[serde(rename = "grpc")]
    Grpc,
}

/// How a request's message is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// As it is.
    None,
}
