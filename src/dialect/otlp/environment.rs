//! The `OTEL_*` variables of the OpenTelemetry specification.
//!
//! Owns how one is read: empty is unset, a signal's own variable beats the general one, words are
//! compared without regard to case, and a value that cannot be used is reported and then treated
//! as if it were not set, as the specification asks. It never touches the process environment:
//! the caller hands in a lookup.

use std::time::Duration;

use super::options::{Compression, Protocol};
use super::signal::Signal;

/// Something that was set and cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong with it and what would be right; begins with the key's or the variable's name.
    /// Never holds the value of a header.
    pub text: String,
}

/// Where a [`Complaint`]'s value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A key below `otlp` in the config: an error, nodeward does not start with it.
    Key(&'static str),
    /// A variable: a warning, the variable is ignored.
    Variable(String),
}

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.origin {
            Origin::Key(_) => write!(f, "otlp.{}", self.text),
            Origin::Variable(_) => f.write_str(&self.text),
        }
    }
}

/// The variables, and what was found wrong with them so far.
pub struct Variables<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    complaints: Vec<Complaint>,
}

impl<'a> Variables<'a> {
    /// Reads through `lookup`, which gives a variable's value by its name.
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            lookup,
            complaints: Vec::new(),
        }
    }

    /// The value of `name`, trimmed; an empty one counts as not set.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// The value of `name` if it parses; else it is reported and counts as not set.
    pub fn parsed<T, E: ToString>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.text(name)?;
        match parse(&value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.complain(name, &error.to_string());
                None
            }
        }
    }

    /// `OTEL_EXPORTER_OTLP_<SIGNAL>_<suffix>`, else `OTEL_EXPORTER_OTLP_<suffix>`.
    pub fn of<T, E: ToString>(
        &mut self,
        signal: Signal,
        suffix: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        self.parsed(&own(signal, suffix), &parse)
            .or_else(|| self.parsed(&general(suffix), &parse))
    }

    /// Whether `OTEL_SDK_DISABLED` and `OTEL_<SIGNAL>_EXPORTER` leave this signal on.
    pub fn wanted(&mut self, signal: Signal) -> bool {
        if self.are_disabled() {
            return false;
        }
        let name = format!("OTEL_{}_EXPORTER", signal.variable());
        self.parsed(&name, exporters).unwrap_or(true)
    }

    /// Whether `OTEL_SDK_DISABLED` switches all signals off.
    pub fn are_disabled(&mut self) -> bool {
        self.parsed("OTEL_SDK_DISABLED", boolean) == Some(true)
    }

    /// Reports that `name` is ignored because of `text`, once.
    pub fn complain(&mut self, name: &str, text: &str) {
        let complaint = Complaint {
            origin: Origin::Variable(name.to_owned()),
            text: format!("{name}: {text}; the variable is ignored"),
        };
        if !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    /// Everything found wrong, in the order of reading.
    pub fn into_complaints(self) -> Vec<Complaint> {
        self.complaints
    }
}

/// The variable for one signal.
pub fn own(signal: Signal, suffix: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{}_{suffix}", signal.variable())
}

/// The variable for all signals.
pub fn general(suffix: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{suffix}")
}

/// `true` or `false`.
///
/// # Errors
/// A text that names both words.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("{text:?} is neither true nor false")),
    }
}

/// `grpc` or `http/protobuf`.
///
/// # Errors
/// A text that names both words.
pub fn protocol(text: &str) -> Result<Protocol, String> {
    match text.to_ascii_lowercase().as_str() {
        "grpc" => Ok(Protocol::Grpc),
        "http/protobuf" => Ok(Protocol::HttpProtobuf),
        _ => Err(format!(
            "nodeward does not speak {text:?}; it speaks http/protobuf and grpc"
        )),
    }
}

/// `gzip` or `none`.
///
/// # Errors
/// A text that names both words.
pub fn compression(text: &str) -> Result<Compression, String> {
    match text.to_ascii_lowercase().as_str() {
        "gzip" => Ok(Compression::Gzip),
        "none" => Ok(Compression::None),
        _ => Err(format!(
            "nodeward does not compress by {text:?}; it knows gzip and none"
        )),
    }
}

/// Whole milliseconds, more than none.
///
/// # Errors
/// A text that names the unit.
pub fn milliseconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(Duration::from_millis(number)),
        _ => Err(format!(
            "{text:?} is no number of milliseconds from 1 upwards"
        )),
    }
}

/// `cumulative`, the only temporality that is sent.
///
/// # Errors
/// A text that says so.
pub fn temporality(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "cumulative" => Ok(()),
        "delta" | "lowmemory" => Err(format!(
            "nodeward sends cumulative sums only, not {text:?}; the Collector's cumulativetodelta \
             processor makes deltas of them"
        )),
        _ => Err(format!(
            "{text:?} is no temporality; nodeward sends cumulative sums"
        )),
    }
}

/// A sampler that records everything, as nodeward does.
///
/// # Errors
/// A text that says so.
pub fn sampler(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "always_on" | "parentbased_always_on" => Ok(()),
        "always_off" => Err("nodeward records every trace; otlp.traces: false or OTEL_TRACES_EXPORTER=none sends none".into()),
        _ => Err(format!(
            "nodeward records every trace, whatever {text:?} would leave out; the Collector's tail_sampling processor can"
        )),
    }
}

/// Whether a list of exporters holds `otlp`. Exporters of other kinds are no error: they ask that
/// the signal goes elsewhere, and nodeward then does not push it.
fn exporters(text: &str) -> Result<bool, String> {
    let mut otlp = false;
    for word in text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        match word.to_ascii_lowercase().as_str() {
            "otlp" => otlp = true,
            "none" | "console" | "logging" | "prometheus" | "zipkin" | "jaeger" => {}
            _ => {
                return Err(format!(
                    "{word:?} is no exporter that nodeward knows; write otlp or none"
                ));
            }
        }
    }
    Ok(otlp)
}
