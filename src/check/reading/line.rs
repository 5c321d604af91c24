//! A line for values: a number, or one with a unit that Prometheus's base units know.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::model::duration::Period;
use crate::model::size::Size;

/// A line as it was written, and its value in base units: bytes, seconds, ratios.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its value; always finite.
    pub value: f64,
    text: Option<String>,
}

impl Line {
    fn plain(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self { value, text: None })
    }

    #[expect(clippy::cast_precision_loss, reason = "it is compared with doubles")]
    fn parse(text: &str) -> Option<Self> {
        let value = if let Some(percent) = text.strip_suffix('%') {
            percent.trim().parse::<f64>().ok()? / 100.0
        } else if let Ok(size) = text.parse::<Size>() {
            size.bytes() as f64
        } else if let Ok(period) = text.parse::<Period>() {
            period.get().as_secs_f64()
        } else {
            text.parse().ok()?
        };
        let text = Some(text.to_owned());
        value.is_finite().then_some(Self { value, text })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => self.value.fmt(f),
        }
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.text {
            Some(text) => serializer.serialize_str(text),
            None => serializer.serialize_f64(self.value),
        }
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a size such as 100MiB, a share such as 10%, or a duration such as 5m")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Line, E> {
                Line::plain(value).ok_or_else(|| E::custom("a line is a finite number"))
            }

            #[expect(clippy::cast_precision_loss, reason = "it is compared with doubles")]
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Line, E> {
                self.visit_f64(value as f64)
            }

            #[expect(clippy::cast_precision_loss, reason = "it is compared with doubles")]
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Line, E> {
                self.visit_f64(value as f64)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Line, E> {
                Line::parse(text).ok_or_else(|| {
                    E::custom(format_args!(
                        "{text:?} is no line; write a number, a size such as 100MiB, a share such as 10%, or a duration such as 5m"
                    ))
                })
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Line {
    fn schema_name() -> Cow<'static, str> {
        "Line".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "number"}, {"type": "string", "pattern": "^-?[0-9.]+ *(%|[A-Za-z0-9]+)?$"}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_numbers_sizes_shares_and_durations() {
        for (json, value) in [
            ("5", 5.0),
            ("-1.5", -1.5),
            ("\"100MiB\"", 104_857_600.0),
            ("\"10%\"", 0.1),
            ("\"5m\"", 300.0),
            ("\"0.9\"", 0.9),
        ] {
            let line: Line = serde_json::from_str(json).unwrap();
            assert!((line.value - value).abs() < 1e-12, "{json}");
            let again: Line = serde_json::from_str(&serde_json::to_string(&line).unwrap()).unwrap();
            assert_eq!(again, line);
        }
        for bad in [
            "\"\"",
            "\"5x\"",
            "\"NaN\"",
            "\"inf\"",
            "\"nan%\"",
            "\"1e999\"",
            "true",
        ] {
            assert!(serde_json::from_str::<Line>(bad).is_err(), "{bad}");
        }
    }
}
