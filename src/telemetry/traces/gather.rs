//! Keeps finished spans until a batch is worth sending, then has it encoded and carried away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry::context::FutureExt;
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter as _, SpanProcessor};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::{Carry, Counts, Error};
use crate::telemetry::Often;

/// Most spans kept; further ones are lost and counted.
const MOST: usize = 1024;
/// A batch goes out as soon as it has this many spans...
const BATCH: usize = 128;
/// ...or this long after its first one.
const LINGER: Duration = Duration::from_secs(2);

/// The span processor, and the task behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Gather(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    waiting: Mutex<Vec<SpanData>>,
    first: Notify,
    full: Notify,
    /// `None` while off.
    exporter: Mutex<Option<Arc<SpanExporter>>>,
    /// Held across an export, so that batches keep their order.
    order: tokio::sync::Mutex<()>,
    task: Mutex<Option<AbortHandle>>,
    carried: AtomicU64,
    lost: AtomicU64,
    often: Often,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            waiting: Mutex::default(),
            first: Notify::new(),
            full: Notify::new(),
            exporter: Mutex::default(),
            order: tokio::sync::Mutex::default(),
            task: Mutex::default(),
            carried: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            often: Often::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gather {
    pub(super) fn turn_on(
        &self,
        carry: Arc<dyn Carry>,
        resource: &[(String, String)],
        handle: &Handle,
    ) -> Result<(), Error> {
        let exporter = exporter_for(carry, resource)?;
        *lock(&self.0.exporter) = Some(Arc::new(exporter));
        let this = self.clone();
        let task = handle.spawn(async move {
            loop {
                this.0.first.notified().await;
                // Whichever comes first; that the time ran out is as good.
                _ = tokio::time::timeout(LINGER, this.0.full.notified()).await;
                this.export().await;
            }
        });
        if let Some(before) = lock(&self.0.task).replace(task.abort_handle()) {
            before.abort();
        }
        // There may be spans of before whose notice the old task took.
        self.0.first.notify_one();
        Ok(())
    }

    pub(super) fn turn_off(&self) {
        if let Some(task) = lock(&self.0.task).take() {
            task.abort();
        }
        *lock(&self.0.exporter) = None;
        *lock(&self.0.waiting) = Vec::new();
    }

    /// Exports everything that waits.
    pub(super) async fn export(&self) {
        let _order = self.0.order.lock().await;
        let exporter = lock(&self.0.exporter).clone();
        let Some(exporter) = exporter else { return };
        loop {
            let batch = {
                let mut waiting = lock(&self.0.waiting);
                let kept = waiting.len().min(BATCH);
                waiting.drain(..kept).collect::<Vec<_>>()
            };
            if batch.is_empty() {
                // Give a burst's memory back.
                lock(&self.0.waiting).shrink_to(BATCH);
                return;
            }
            let count = batch.len() as u64;
            // Whatever the carrier does in this future is not traced.
            let quiet = Context::current().with_telemetry_suppressed();
            match exporter.export(batch).with_context(quiet).await {
                Ok(()) => self.0.carried.fetch_add(count, Ordering::Relaxed),
                Err(error) => {
                    if let Some(left_out) = self.0.often.say(Instant::now()) {
                        tracing::warn!(spans = count, left_out, %error, "traces were not taken");
                    }
                    self.0.lost.fetch_add(count, Ordering::Relaxed)
                }
            };
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            carried: self.0.carried.load(Ordering::Relaxed),
            lost: self.0.lost.load(Ordering::Relaxed),
        }
    }
}

impl SpanProcessor for Gather {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let waiting = {
            let mut waiting = lock(&self.0.waiting);
            if waiting.len() >= MOST {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            waiting.push(span);
            waiting.len()
        };
        match waiting {
            1 => self.0.first.notify_one(),
            BATCH => self.0.full.notify_one(),
            _ => {}
        }
    }

    // The SDK calls these two blocking; flushing and ending are `Traces::flush` and `turn_off`.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// An exporter that puts `resource` into each request and hands it to `carry`.
pub(super) fn exporter_for(
    carry: Arc<dyn Carry>,
    resource: &[(String, String)],
) -> Result<SpanExporter, Error> {
    let mut exporter = exporter(carry)?;
    let attributes = resource
        .iter()
        .map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let resource = Resource::builder_empty().with_attributes(attributes);
    exporter.set_resource(&resource.build());
    Ok(exporter)
}

/// An exporter that takes from the environment nothing that matters: the endpoint is never used,
/// and compression is the carrier's.
fn exporter(carry: Arc<dyn Carry>) -> Result<SpanExporter, Error> {
    SpanExporter::builder()
        .with_http()
        .with_http_client(Hand(carry))
        .with_endpoint("http://carried.invalid/v1/traces")
        .with_protocol(Protocol::HttpBinary)
        .with_retry_policy(RetryPolicy::disabled())
        .build()
        .map_err(|error| Error(error.to_string()))
}

/// Stands where opentelemetry-otlp expects an HTTP client.
#[derive(Debug)]
struct Hand(Arc<dyn Carry>);

#[async_trait]
impl HttpClient for Hand {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.0.carry(request.into_body()).await?;
        Ok(Response::new(Bytes::new()))
    }
}
