//! One event as one line, in logfmt or JSON.
//!
//! Whatever an event carries, a label from an alert for instance, stays inside its own quotes on
//! its own line: quotes, line ends, control characters and those that turn the writing direction
//! are escaped, and long values are cut.

use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Format;
use crate::model::terminal::acts;

/// Longest value written, in bytes.
const LONGEST: usize = 4096;

/// The format in force, shared with [`Control`](super::Control).
#[derive(Debug)]
pub(super) struct Switch(AtomicBool);

impl Switch {
    pub(super) fn new(format: Format) -> Self {
        Self(AtomicBool::new(format == Format::Json))
    }

    pub(super) fn set(&self, format: Format) {
        self.0.store(format == Format::Json, Ordering::Relaxed);
    }

    fn is_json(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Formats events as lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) switch: std::sync::Arc<Switch>,
    /// Whether the journal reads along: a priority in front, and no time.
    pub(super) journal: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let json = self.switch.is_json();
        let mut fields = Fields {
            json,
            message: String::new(),
            rest: String::new(),
        };
        event.record(&mut fields);
        let mut time = String::new();
        if !self.journal {
            SystemTime.format_time(&mut Writer::new(&mut time))?;
        }
        let (level, priority) = match *event.metadata().level() {
            Level::ERROR => ("error", 3),
            Level::WARN => ("warn", 4),
            Level::INFO => ("info", 6),
            Level::DEBUG => ("debug", 7),
            Level::TRACE => ("trace", 7),
        };
        if self.journal {
            write!(to, "<{priority}>")?;
        }
        let target = event.metadata().target();
        let mut head = String::new();
        if json {
            if !time.is_empty() {
                write!(head, "\"time\":\"{time}\",")?;
            }
            write!(head, "\"level\":\"{level}\",\"msg\":")?;
            quoted(&mut head, &fields.message)?;
            head.push_str(",\"target\":");
            quoted(&mut head, target)?;
            writeln!(to, "{{{head}{}}}", fields.rest)
        } else {
            if !time.is_empty() {
                write!(head, "time={time} ")?;
            }
            write!(head, "level={level} msg=")?;
            plain(&mut head, &fields.message)?;
            head.push_str(" in=");
            plain(
                &mut head,
                target.strip_prefix("nodeward::").unwrap_or(target),
            )?;
            writeln!(to, "{head}{}", fields.rest)
        }
    }
}

/// The fields of one event, written out as they are visited.
struct Fields {
    json: bool,
    message: String,
    rest: String,
}

impl Fields {
    /// A field whose value needs no quotes in either format.
    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.key(field.name());
        // Writing to a String cannot fail, here and below.
        _ = write!(self.rest, "{value}");
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message = cut(value);
            return;
        }
        self.key(field.name());
        let value = cut(value);
        _ = if self.json {
            quoted(&mut self.rest, &value)
        } else {
            plain(&mut self.rest, &value)
        };
    }

    fn key(&mut self, name: &str) {
        let ours = matches!(name, "time" | "level" | "msg" | "target" | "in");
        let name = if ours {
            format!("field_{name}")
        } else {
            name.to_owned()
        };
        if self.json {
            self.rest.push(',');
            _ = quoted(&mut self.rest, &name);
            self.rest.push(':');
        } else {
            _ = write!(self.rest, " {name}=");
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut written = Bounded(String::new());
        // An error only says that the bound was reached.
        _ = write!(written, "{value:?}");
        self.text(field, &written.0);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.bare(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, &value.to_string());
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause
            && text.len() < LONGEST
        {
            _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.text(field, &text);
    }
}

/// Takes a little more than [`LONGEST`] bytes, then refuses.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(&cut(text));
        if self.0.len() > LONGEST {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

fn cut(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or_default();
    format!("{}\u{2026}", text.get(..end).unwrap_or_default())
}

/// A logfmt value: bare where that is unambiguous, else as a JSON string.
fn plain(to: &mut String, text: &str) -> fmt::Result {
    let harmless = |c: char| !c.is_whitespace() && !matches!(c, '"' | '=' | '\\') && !acts(c);
    if !text.is_empty() && text.chars().all(harmless) {
        to.push_str(text);
        Ok(())
    } else {
        quoted(to, text)
    }
}

/// A JSON string, with everything escaped that could act on a terminal.
fn quoted(to: &mut String, text: &str) -> fmt::Result {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            c if acts(c) => write!(to, "\\u{:04x}", u32::from(c))?,
            c => to.push(c),
        }
    }
    to.push('"');
    Ok(())
}
