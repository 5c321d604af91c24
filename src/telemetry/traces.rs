//! Traces of what nodeward does: config reloads, metric exports, webhooks, healing runs.
//!
//! A span is exported if its target is [`TARGET`] or begins with it followed by `::`, and its level
//! is info, warn or error:
//!
//! ```
//! # use nodeward::telemetry::traces;
//! let span = tracing::info_span!(target: traces::TARGET, "config.reload", error = tracing::field::Empty);
//! ```
//!
//! tracing-opentelemetry makes the span, the SDK its identifiers, `gather` keeps it for some
//! seconds, opentelemetry-otlp encodes the batch, and [`Carry`] takes it away. Off by default, and
//! off means: no span is made, no task runs, nothing is kept.
//!
//! A healing run is told by spans made afterwards ([`Past`], [`encode`]), whose ids outlive the process. They are not gathered here:
//! who makes them keeps what they are made from until the receiver has them.
//!
//! Two of the SDK's parts are left out on purpose. Its batch processor is a thread that wakes every
//! five seconds and blocks on the exporter; ours is a task that runs only when there are spans. And
//! its retries sleep on whatever thread they are on; they are off, since the sender behind
//! [`Carry`] has its own queue.

mod gather;
mod past;
mod request;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::Bytes;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use gather::Gather;

pub use past::{Happened, Parent, Past, encode};
pub use request::{Served, served};

/// Target of the spans that are exported.
pub const TARGET: &str = "nodeward::trace";

/// What [`Carry::carry`] returns.
pub type Carried<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// Takes encoded traces away.
///
/// Implemented by the OTLP sender. It must make no span with target [`TARGET`] while it carries
/// traces, or every batch is followed by one about itself.
pub trait Carry: std::fmt::Debug + Send + Sync + 'static {
    /// Takes one `ExportTraceServiceRequest`, protobuf, not compressed.
    ///
    /// `Ok` once it is queued: delivering it, and trying again, is the carrier's. An error is the
    /// reason it was not taken; the batch is lost and counted. Polled on the runtime.
    fn carry(&self, body: Bytes) -> Carried<'_>;
}

/// Plain counters since start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Spans handed to the carrier.
    pub carried: u64,
    /// Spans lost: too many waited, or the carrier did not take them.
    pub lost: u64,
}

/// The exporter could not be made.
#[derive(Debug, thiserror::Error)]
#[error("setting up the export of traces: {0}")]
pub struct Error(String);

/// Turns traces on and off, and flushes them.
#[derive(Debug, Clone)]
pub struct Traces {
    gather: Gather,
    on: Arc<AtomicBool>,
    // Keeps the provider alive: spans are no longer made once it is dropped.
    _provider: SdkTracerProvider,
}

impl Traces {
    /// Exports spans from here on, with `resource` as the attributes of the resource, by a task on
    /// `handle`. Replaces what was on before; its spans that still wait go out the new way.
    ///
    /// # Errors
    /// [`Error`], and what was on before stays on.
    pub fn turn_on(
        &self,
        carry: Arc<dyn Carry>,
        resource: &[(String, String)],
        handle: &Handle,
    ) -> Result<(), Error> {
        self.gather.turn_on(carry, resource, handle)?;
        self.switch(true);
        Ok(())
    }

    /// Exports no more. Spans that still wait are dropped; [`flush`](Self::flush) first.
    pub fn turn_off(&self) {
        self.switch(false);
        self.gather.turn_off();
    }

    /// Hands all finished spans to the carrier. Returns whether that was done within `patience`.
    pub async fn flush(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.gather.export())
            .await
            .is_ok()
    }

    /// Counters so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.gather.counts()
    }

    fn switch(&self, on: bool) {
        if self.on.swap(on, Ordering::Relaxed) != on {
            tracing::callsite::rebuild_interest_cache();
        }
    }
}

/// The layer that makes spans of `S`, off, and its control.
pub(super) fn layer<S>() -> (impl Layer<S> + Send + Sync + 'static, Traces)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let gather = Gather::default();
    let provider = SdkTracerProvider::builder()
        .with_resource(opentelemetry_sdk::Resource::builder_empty().build())
        .with_span_processor(gather.clone())
        .build();
    let on = Arc::new(AtomicBool::new(false));
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("nodeward"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(Marked(Arc::clone(&on)));
    (
        layer,
        Traces {
            gather,
            on,
            _provider: provider,
        },
    )
}

/// Lets only spans with our target through, and only while traces are on.
#[derive(Debug)]
struct Marked(Arc<AtomicBool>);

impl Marked {
    fn lets(&self, metadata: &Metadata<'_>) -> bool {
        self.0.load(Ordering::Relaxed) && metadata.is_span() && is_marked(metadata.target())
    }
}

impl<S> Filter<S> for Marked {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.lets(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.lets(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

fn is_marked(target: &str) -> bool {
    target
        .strip_prefix(TARGET)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests;
