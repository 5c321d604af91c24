//! Lengths of time as people write them in the config: `30s`, `500ms`, `1h30m`.
//!
//! Owns the one spelling used in YAML, messages and generated documents. A number without a unit
//! is refused, because the programs nodeward replaces disagree about what it means (seconds in
//! Zabbix, milliseconds in the `OTEL_*` variables, nanoseconds in Go).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Nothing longer than this is accepted: adding it to any clock cannot overflow.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Largest first, as they must appear in the text; nanoseconds a unit.
const UNITS: [(&str, u64); 6] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
];

/// A length of time with a unit: whole numbers followed by `d`, `h`, `m`, `s`, `ms` or `us`,
/// largest first, each at most once. From 0s to 3650d.
///
/// ```
/// use nodeward::model::duration::Period;
/// let period: Period = "1h30m".parse().unwrap();
/// assert_eq!(period.get().as_secs(), 5400);
/// assert_eq!(period.to_string(), "1h30m");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Period(Duration);

/// Why a text is no [`Period`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeriod {
    /// Nothing stands there.
    #[error("an empty text is no duration; write a number and a unit, such as 30s")]
    Empty,
    /// A bare number: its unit cannot be guessed.
    #[error("{0} has no unit; write {0}s for seconds or {0}ms for milliseconds")]
    NoUnit(String),
    /// `1.5h`.
    #[error("{0:?} has a fraction; use a smaller unit, such as 1h30m or 500ms")]
    Fraction(String),
    /// Anything else that does not parse.
    #[error(
        "{0:?} is no duration; write whole numbers with d, h, m, s, ms or us, largest first, such as 1h30m"
    )]
    Form(String),
    /// Longer than ten years.
    #[error("{0:?} is longer than 3650d")]
    TooLong(String),
}

impl Period {
    /// A period of whole seconds; for defaults.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// A period of milliseconds; for defaults.
    pub const fn millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The same length as the standard library's type.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl From<Period> for Duration {
    fn from(period: Period) -> Self {
        period.0
    }
}

impl FromStr for Period {
    type Err = NotAPeriod;

    fn from_str(text: &str) -> Result<Self, NotAPeriod> {
        let form = || NotAPeriod::Form(text.to_owned());
        if text.is_empty() {
            return Err(NotAPeriod::Empty);
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotAPeriod::NoUnit(text.to_owned()));
        }
        if text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.') {
            return Err(NotAPeriod::Fraction(text.to_owned()));
        }
        let mut units = UNITS.iter();
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(form)?;
            let (number, after) = rest.split_at(digits);
            let end = after
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            if number.is_empty() {
                return Err(form());
            }
            let (_, nanoseconds) = units.find(|(name, _)| *name == unit).ok_or_else(form)?;
            let number: u64 = number
                .parse()
                .map_err(|_| NotAPeriod::TooLong(text.to_owned()))?;
            total = number
                .checked_mul(*nanoseconds)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(|| NotAPeriod::TooLong(text.to_owned()))?;
            rest = after;
        }
        let period = Duration::from_nanos(total);
        if period > LONGEST {
            return Err(NotAPeriod::TooLong(text.to_owned()));
        }
        Ok(Self(period))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest < 1_000 {
            return f.write_str("0s");
        }
        for (unit, nanoseconds) in UNITS {
            let count = rest / u128::from(nanoseconds);
            rest %= u128::from(nanoseconds);
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration with a unit, such as 30s")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Period, E> {
                Err(E::custom(NotAPeriod::NoUnit(number.to_string())))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Period {
    fn schema_name() -> Cow<'static, str> {
        "Period".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?([0-9]+us)?$",
            "minLength": 2,
            "x-nodeward-type": "duration",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_people_write() {
        for (text, milliseconds, canonical) in [
            ("30s", 30_000, "30s"),
            ("500ms", 500, "500ms"),
            ("2m", 120_000, "2m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("1d2h3m4s5ms", 93_784_005, "1d2h3m4s5ms"),
            ("0s", 0, "0s"),
            ("3650d", 315_360_000_000, "3650d"),
        ] {
            let period: Period = text.parse().unwrap();
            assert_eq!(period, Period::millis(milliseconds), "{text}");
            assert_eq!(period.to_string(), canonical);
        }
        assert_eq!("1500us".parse::<Period>().unwrap().to_string(), "1ms500us");
    }

    #[test]
    fn refuses_with_a_hint() {
        let refused = |text: &str| text.parse::<Period>().unwrap_err().to_string();
        assert_eq!(
            refused("30"),
            "30 has no unit; write 30s for seconds or 30ms for milliseconds"
        );
        assert!(refused("1.5h").contains("smaller unit"));
        for text in [
            "", "s", "30S", "30 s", "1m1h", "1s1s", "-1s", "1s2", "é1s", "1é",
        ] {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
        for text in ["3651d", "99999999999999999999s", "18446744073709551615d"] {
            assert!(refused(text).ends_with("longer than 3650d"), "{text}");
        }
    }

    #[test]
    fn a_number_in_the_file_is_refused_with_the_same_hint() {
        let error = serde_json::from_str::<Period>("30")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("30 has no unit; write 30s"), "{error}");
        assert_eq!(
            serde_json::from_str::<Period>("\"30s\"").unwrap(),
            Period::secs(30)
        );
        assert_eq!(
            serde_json::to_string(&Period::secs(90)).unwrap(),
            "\"1m30s\""
        );
    }
}
