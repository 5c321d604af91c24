//! Numbers of bytes as people write them in the config: `4MiB`, `64KiB`, `512B`.
//!
//! Owns the one spelling used in YAML, messages and generated documents. A number without a unit
//! is refused, and so is `4M`, which is 4,000,000 to some programs and 4,194,304 to others.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Largest first within each family; the first that divides a value is what it is written in.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A number of bytes with a unit: a whole number followed by `B`, `KiB`, `MiB`, `GiB`, `TiB`
/// (powers of 1024) or `kB`, `MB`, `GB`, `TB` (powers of 1000).
///
/// ```
/// use nodeward::model::size::Size;
/// let size: Size = "4MiB".parse().unwrap();
/// assert_eq!(size.bytes(), 4 * 1024 * 1024);
/// assert_eq!(size.to_string(), "4MiB");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(u64);

/// Why a text is no [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotASize {
    /// Nothing stands there.
    #[error("an empty text is no size; write a number and a unit, such as 4MiB")]
    Empty,
    /// A bare number: its unit cannot be guessed.
    #[error("{0} has no unit; write {0}B for bytes or {0}MiB for mebibytes")]
    NoUnit(String),
    /// `1.5GiB`.
    #[error("{0:?} has a fraction; use a smaller unit, such as 1536MiB")]
    Fraction(String),
    /// Anything else that does not parse.
    #[error(
        "{0:?} is no size; write a whole number with B, KiB, MiB, GiB, TiB (powers of 1024) or kB, MB, GB, TB (powers of 1000)"
    )]
    Form(String),
    /// Does not fit 64 bits.
    #[error("{0:?} is more than 16777215TiB")]
    TooLarge(String),
}

impl Size {
    /// A size of `count` bytes.
    pub const fn new(count: u64) -> Self {
        Self(count)
    }

    /// A size of kibibytes; for defaults.
    pub const fn kib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 10))
    }

    /// A size of mebibytes; for defaults.
    pub const fn mib(count: u64) -> Self {
        Self(count.saturating_mul(1 << 20))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; a size beyond it becomes the largest length.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Whether it is zero bytes.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Size {
    type Err = NotASize;

    fn from_str(text: &str) -> Result<Self, NotASize> {
        if text.is_empty() {
            return Err(NotASize::Empty);
        }
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        if number.is_empty() {
            return Err(NotASize::Form(text.to_owned()));
        }
        if unit.is_empty() {
            return Err(NotASize::NoUnit(text.to_owned()));
        }
        if unit.starts_with('.') {
            return Err(NotASize::Fraction(text.to_owned()));
        }
        let (_, bytes) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or_else(|| NotASize::Form(text.to_owned()))?;
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*bytes))
            .map(Self)
            .ok_or_else(|| NotASize::TooLarge(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let divides = |(_, bytes): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS.iter().find(divides).copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size with a unit, such as 4MiB")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
                Err(E::custom(NotASize::NoUnit(number.to_string())))
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB)$",
            "x-nodeward-type": "size",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_what_people_write() {
        for (text, bytes, canonical) in [
            ("4MiB", 4 << 20, "4MiB"),
            ("1024KiB", 1 << 20, "1MiB"),
            ("512B", 512, "512B"),
            ("5MB", 5_000_000, "5MB"),
            ("1536MiB", 1536 << 20, "1536MiB"),
            ("0B", 0, "0B"),
            ("2TiB", 2 << 40, "2TiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), canonical);
        }
    }

    #[test]
    fn refuses_with_a_hint() {
        let refused = |text: &str| text.parse::<Size>().unwrap_err().to_string();
        assert_eq!(
            refused("4096"),
            "4096 has no unit; write 4096B for bytes or 4096MiB for mebibytes"
        );
        assert!(refused("1.5GiB").contains("smaller unit"));
        assert!(refused("99999999TiB").contains("more than"));
        for text in ["", "B", "4M", "4mib", "4 MiB", "-1B", "4MiBx", "é"] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
        let error = serde_json::from_str::<Size>("4096")
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("4096 has no unit"), "{error}");
    }
}
