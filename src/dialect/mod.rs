//! The writers' vocabularies and wire protocols: prometheus, otlp, zabbix. A dialect knows no
//! subject: subjects hand it declared names and values.

pub mod otlp;
pub mod prometheus;
pub mod spool;
pub mod zabbix;

mod distribution;
mod told;

pub use distribution::{Distribution, Exemplar};
pub use told::Told;

/// The value of one sample or point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count; exact in all dialects up to 2^53, and in text beyond.
    Unsigned(u64),
    /// A count that may be negative.
    Signed(i64),
    /// A measure.
    Float(f64),
}

impl Number {
    /// The value as the double that Prometheus stores.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "every Prometheus sample is a double"
    )]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(v) => v as f64,
            Self::Signed(v) => v as f64,
            Self::Float(v) => v,
        }
    }

    /// The value as OTLP's signed 64-bit integer; what does not fit becomes the nearest that does.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "casts from float saturate")]
    pub fn as_i64(self) -> i64 {
        match self {
            Self::Unsigned(v) => i64::try_from(v).unwrap_or(i64::MAX),
            Self::Signed(v) => v,
            Self::Float(v) => v as i64,
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::Unsigned(value.into())
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Signed(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Unsigned(value.into())
    }
}
