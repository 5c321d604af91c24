//! The OTLP dialect: declared instruments, the batch, the resource, the sender.

mod batch;
mod instrument;

pub use batch::{Batch, Cumulative, Metrics, Payload, Points, SCHEMA_URL, attribute, request};
pub use instrument::{Form, Instrument, InstrumentDescriptor, InstrumentKind, Named};
