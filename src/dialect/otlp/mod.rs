//! The OTLP dialect: declared instruments, the batch, the resource, the sender.
//!
//! ```text
//!  instruments ─> batch ─┐
//!  events ──────> logs ──┤
//!                        ├─> message ─> send ─> queue ─> lane ─> wire (http, grpc) ─> receiver
//!           resource ────┘                        spool <─┘^         answer <────────────┘
//!  options + environment ─> settings ────────────────────┘
//! ```

pub mod answer;
mod batch;
mod counts;
mod cumulative;
mod endpoint;
mod environment;
mod grpc;
mod gzip;
mod headers;
mod histogram;
mod instrument;
mod keeper;
mod kept;
mod lane;
mod logs;
mod options;
mod pairs;
mod queue;
mod reason;
mod receipt;
mod resource;
mod send;
mod settings;
mod signal;
mod split;
mod status;
mod wire;

pub use batch::{Batch, Metrics, Payload, Points, SCHEMA_URL, attribute, request};
pub use counts::Counts;
pub use cumulative::Cumulative;
pub use environment::{Complaint, Origin};
pub use histogram::{Distributions, Histogram};
pub use instrument::{Form, Instrument, InstrumentDescriptor, InstrumentKind, Named};
pub use logs::{Event, Severity, logs};
pub use opentelemetry_proto::tonic::resource::v1::Resource;
pub use options::{Compression, Options, Protocol};
pub use queue::Depth;
pub use reason::Reason;
pub use receipt::Delivered;
pub use resource::{Overrides, attributes, resource};
pub use send::{Lanes, REQUEST_MOST, SPLIT_AT, Sender};
pub use settings::{Route, Settings, resolve};
pub use signal::Signal;
