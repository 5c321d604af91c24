//! The local socket of syslog, by the crate `syslog`: its sockets and its form, which is the older one (RFC 3164 without the
//! host) that journald and rsyslog read there. The structured data begins the text.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};

use super::line::{Format, NAME};
use crate::model::severity::Severity;
use crate::notify::{Delivery, Message, Sink};

/// The facilities by their numbers, by the names that the crate knows them under.
const FACILITIES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "audit",
    "alert",
    "clock_daemon",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

type Daemon = Logger<LoggerBackend, Formatter3164>;

pub(super) struct Local {
    path: PathBuf,
    format: Format,
    timeout: Duration,
    daemon: Option<Daemon>,
}

impl Local {
    pub fn new(path: PathBuf, format: Format, timeout: Duration) -> Self {
        Self {
            path,
            format,
            timeout,
            daemon: None,
        }
    }

    fn formatter(&self) -> Formatter3164 {
        let name = FACILITIES.get(usize::from(self.format.facility));
        Formatter3164 {
            facility: name
                .and_then(|name| name.parse().ok())
                .unwrap_or(Facility::LOG_AUDIT),
            hostname: None,
            process: NAME.into(),
            pid: self.format.pid,
        }
    }
}

/// Writes on a connection that is there, else, or if the daemon was started anew meanwhile, on a new one.
fn write(
    kept: Option<Daemon>,
    connect: impl FnOnce() -> Result<Daemon, String>,
    severity: Severity,
    text: &str,
) -> Result<Daemon, String> {
    if let Some(mut daemon) = kept
        && say(&mut daemon, severity, text).is_ok()
    {
        return Ok(daemon);
    }
    let mut daemon = connect()?;
    match say(&mut daemon, severity, text) {
        Ok(()) => Ok(daemon),
        Err(error) => Err(error.to_string()),
    }
}

fn say(daemon: &mut Daemon, severity: Severity, text: &str) -> syslog::Result<()> {
    match severity {
        Severity::Critical => daemon.crit(text),
        Severity::Warning => daemon.warning(text),
        Severity::Info => daemon.info(text),
        Severity::Debug => daemon.debug(text),
    }
}

fn connect(path: &PathBuf, formatter: Formatter3164, longest: Duration) -> Result<Daemon, String> {
    let daemon = syslog::unix_custom(formatter, path).map_err(|error| error.to_string())?;
    // A daemon that does not read fills its queue, and then whoever writes waits.
    let bounded = match &daemon.backend {
        LoggerBackend::Unix(socket) => socket.set_write_timeout(Some(longest)),
        LoggerBackend::UnixStream(socket) => socket.get_ref().set_write_timeout(Some(longest)),
        LoggerBackend::Udp(..) | LoggerBackend::Tcp(_) => Ok(()),
    };
    bounded.map_err(|error| error.to_string())?;
    Ok(daemon)
}

#[async_trait]
impl Sink for Local {
    async fn deliver(&mut self, message: &Message<'_>) -> Delivery {
        let text = self.format.text(message);
        let severity = message.event.severity;
        let (kept, formatter) = (self.daemon.take(), self.formatter());
        let (path, timeout) = (self.path.clone(), self.timeout);
        let written = tokio::task::spawn_blocking(move || {
            write(kept, || connect(&path, formatter, timeout), severity, &text)
        });
        let why = match written.await {
            Ok(Ok(daemon)) => {
                self.daemon = Some(daemon);
                return super::written();
            }
            Ok(Err(why)) => why,
            Err(error) => error.to_string(),
        };
        Delivery::failed(format!("write to {}: {why}", self.path.display()))
    }
}
