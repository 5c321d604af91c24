//! nodeward's own logs, traces and word to the service manager.
//!
//! Owns the one tracing subscriber of the process and everything of the OpenTelemetry SDK; nothing
//! else imports that. Never reads the machine, never opens a connection: traces leave through
//! [`traces::Carry`], which the OTLP sender implements.
//!
//! ```text
//!   tracing events ──> logs   (filtered by level and target) ──> stderr, journald-aware
//!   tracing spans  ──> traces (target nodeward::trace only)  ──> gather ──> otlp encoder ──> Carry
//! ```
//!
//! The surprising decision: events never become span events and ordinary spans never become traces.
//! A span is exported only when its target says it is meant to be, so that instrumenting for logs
//! costs no telemetry and the export of traces cannot trace itself.

pub mod fault;
pub mod logs;
pub mod often;
pub mod service_manager;
pub mod traces;

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

pub use often::Often;

/// What can be changed about logs and traces while running.
#[derive(Debug, Clone)]
pub struct Telemetry {
    /// Level, targets and format of the logs.
    pub logs: logs::Control,
    /// Whether and where traces go.
    pub traces: traces::Traces,
}

/// The process already has a tracing subscriber.
#[derive(Debug, thiserror::Error)]
#[error("setting up logs: this process already has a subscriber")]
pub struct AlreadyInstalled;

/// Makes logs go to stderr from here on. Traces stay off until [`traces::Traces::turn_on`].
///
/// # Errors
/// [`AlreadyInstalled`] if called twice in one process.
pub fn install(options: &logs::Options) -> Result<Telemetry, AlreadyInstalled> {
    let (subscriber, telemetry) = subscriber(options, std::io::stderr, logs::stderr_is_journal());
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyInstalled)?;
    Ok(telemetry)
}

/// A subscriber that logs to `writer`. `journal`: lines get a journald priority and no time.
fn subscriber<W>(
    options: &logs::Options,
    writer: W,
    journal: bool,
) -> (impl Subscriber + Send + Sync + 'static, Telemetry)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (log_layer, logs) = logs::layer(options, writer, journal);
    let (trace_layer, traces) = traces::layer();
    let subscriber = tracing_subscriber::registry()
        .with(log_layer)
        .with(trace_layer);
    (subscriber, Telemetry { logs, traces })
}

#[cfg(test)]
pub(crate) mod capture {
    //! A writer that keeps what is written.

    use std::io;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use tracing::span::{Attributes, Id, Record};
    use tracing::subscriber::Interest;
    use tracing::{Metadata, Subscriber};

    use super::{Telemetry, logs, subscriber};

    /// Held by a test while it has a subscriber of its own: tracing keeps what subscribers want of a span or an event for the
    /// whole process, and two that come and go at once see each other's wishes. A program has one.
    pub(crate) fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        // The first time; it stays for the whole process.
        drop(tracing::subscriber::set_global_default(Undecided));
        alone
    }

    /// Wants nothing and does not say so beforehand, so that tracing asks anew each time: what it keeps of a call that
    /// another test is just making for the first time could be out of date.
    struct Undecided;

    impl Subscriber for Undecided {
        fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
            Interest::sometimes()
        }

        fn enabled(&self, _: &Metadata<'_>) -> bool {
            false
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &tracing::Event<'_>) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[derive(Debug, Clone, Default)]
    pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        /// Runs `within` with all logs going here.
        pub(crate) fn logs<T>(
            &self,
            options: &logs::Options,
            journal: bool,
            within: impl FnOnce(&Telemetry) -> T,
        ) -> T {
            let _alone = alone();
            let captured = self.clone();
            let (subscriber, telemetry) = subscriber(options, move || captured.clone(), journal);
            tracing::subscriber::with_default(subscriber, || within(&telemetry))
        }
    }

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
