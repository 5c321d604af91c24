//! What is made of records for each signal.

use std::ops::ControlFlow;

use crate::dialect::otlp::{self, Event, Payload, Signal};
use crate::heal::told::{log, runs};
use crate::journal::{ReadError, Reader, Stored};
use crate::telemetry::traces::{self, Past};

/// Records are read until their texts are about so long.
const AT_ONCE: usize = 256 << 10;
/// What a record costs beyond its text.
const OVERHEAD: usize = 1 << 10;

/// What is told, and the record with which it was known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item<T> {
    pub seq: i64,
    pub told: T,
}

/// What was made of some records.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub items: Vec<Item<T>>,
    /// The last record that was looked at.
    pub last: i64,
    /// Records that were deleted before anybody looked at them.
    pub missed: u64,
}

/// Makes of records what a signal tells.
pub(super) trait Teller: Default + Send + 'static {
    /// What is told.
    type Told: Clone + Send + 'static;
    /// Under which signal.
    const SIGNAL: Signal;
    /// Under which name the journal keeps how far it was told.
    const CURSOR: &'static str;

    /// Makes of a record what there is to tell with it. `reader`: for what came before.
    fn take(&mut self, stored: &Stored, reader: &Reader) -> Result<Vec<Self::Told>, ReadError>;

    /// The request for some of it.
    fn encode(
        told: Vec<Item<Self::Told>>,
        resource: &[(String, String)],
    ) -> impl Future<Output = Result<Payload, String>> + Send;

    /// Reads records after one, a bounded part of them. Blocks for the disk.
    fn read(&mut self, reader: &Reader, after: i64) -> Result<Part<Self::Told>, ReadError> {
        let mut records = Vec::new();
        let mut bytes = 0;
        let followed = reader.at_once(|reader| {
            reader.follow(after, &mut |stored| {
                bytes += stored.line.len() + OVERHEAD;
                records.push(stored.clone());
                match bytes < AT_ONCE {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            })
        })?;
        let mut part = Part {
            items: Vec::new(),
            last: followed.last,
            missed: followed.missed,
        };
        for stored in &records {
            let told = self.take(stored, reader)?.into_iter();
            let seq = stored.seq;
            part.items.extend(told.map(|told| Item { seq, told }));
        }
        Ok(part)
    }
}

/// Each record, as a log record.
#[derive(Debug, Default)]
pub(super) struct Logs;

impl Teller for Logs {
    type Told = Event;
    const SIGNAL: Signal = Signal::Logs;
    const CURSOR: &'static str = "otlp_logs_sent";

    fn take(&mut self, stored: &Stored, _: &Reader) -> Result<Vec<Event>, ReadError> {
        Ok(log::event(stored).into_iter().collect())
    }

    async fn encode(
        told: Vec<Item<Event>>,
        resource: &[(String, String)],
    ) -> Result<Payload, String> {
        let events = told.into_iter().map(|item| item.told).collect();
        Ok(otlp::logs(events, &otlp::resource(resource)))
    }
}

/// Each step of a run, once it is over, as a span.
#[derive(Debug, Default)]
pub(super) struct Runs(runs::Runs);

impl Teller for Runs {
    type Told = Past;
    const SIGNAL: Signal = Signal::Traces;
    const CURSOR: &'static str = "otlp_traces_sent";

    fn take(&mut self, stored: &Stored, reader: &Reader) -> Result<Vec<Past>, ReadError> {
        self.0.take(stored, reader)
    }

    async fn encode(
        told: Vec<Item<Past>>,
        resource: &[(String, String)],
    ) -> Result<Payload, String> {
        let items = told.len() as u64;
        let spans = told.into_iter().map(|item| item.told).collect();
        let body = traces::encode(spans, resource).await;
        let body = body.map_err(|error| error.to_string())?.into();
        Ok(Payload { body, items })
    }
}
