//! Where a span stands in its trace, as W3C Trace Context writes it in the header `traceparent`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex;

/// A span of a trace that is recorded: its two ids, neither of them all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// Id of the trace.
    pub trace: [u8; 16],
    /// Id of the span.
    pub span: [u8; 8],
}

impl TraceContext {
    /// Reads a `traceparent` of version 00, or the part of a later one that is like it. None if it is none, and none if its
    /// sender does not record the trace: then there is nothing to go on from.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let version = lower::<1>(parts.next()?)?;
        let (trace, span) = (lower(parts.next()?)?, lower(parts.next()?)?);
        let flags = lower::<1>(parts.next()?)?;
        let whole = parts.next().is_none();
        let valid = match version {
            [0xff] => false,
            [0] => whole,
            _ => true,
        };
        let sampled = flags.iter().all(|flags| flags & 1 == 1);
        let named = trace != [0; 16] && span != [0; 8];
        (valid && sampled && named).then_some(Self { trace, span })
    }

    /// The trace's id in hex.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex::written(&self.trace)
    }

    /// The span's id in hex.
    #[must_use]
    pub fn span_id(&self) -> String {
        hex::written(&self.span)
    }
}

impl fmt::Display for TraceContext {
    /// As a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-01", self.trace_id(), self.span_id())
    }
}

impl Serialize for TraceContext {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TraceContext {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no traceparent"))
    }
}

/// What is known of a span or an event, each name once.
pub type Attributes = Vec<(&'static str, Attribute)>;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Attribute {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Exactly so many bytes; the recommendation knows lower-case digits only.
fn lower<const N: usize>(text: &str) -> Option<[u8; N]> {
    let upper = text.bytes().any(|byte| byte.is_ascii_uppercase());
    hex::read(text.as_bytes()).filter(|_| !upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the recommendation, section 3.2.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_recommendation_is_read_and_written() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id(), "00f067aa0ba902b7");
        assert_eq!(context.to_string(), EXAMPLE);
        let json = serde_json::to_string(&context).unwrap();
        assert_eq!(
            serde_json::from_str::<TraceContext>(&json).unwrap(),
            context
        );
    }

    #[test]
    fn what_is_no_traceparent_or_is_not_recorded_is_none() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for (text, good) in [
            (format!("00-{trace}-{span}-01"), true),
            (format!("00-{trace}-{span}-03"), true),
            (format!(" 00-{trace}-{span}-01 "), true),
            (format!("cc-{trace}-{span}-01-what-comes"), true),
            (format!("00-{trace}-{span}-00"), false),
            (format!("00-{trace}-{span}-01-more"), false),
            (format!("ff-{trace}-{span}-01"), false),
            (format!("00-{}-{span}-01", trace.to_uppercase()), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{trace}-{}-01", "0".repeat(16)), false),
            (format!("00-{trace}-{span}"), false),
            (format!("00-{trace}é-{span}-01"), false),
            (String::new(), false),
            ("x".repeat(10_000), false),
        ] {
            assert_eq!(TraceContext::parse(&text).is_some(), good, "{text}");
        }
    }
}
