//! How bad something is.

use serde::{Deserialize, Serialize};

/// Severity of an alert or of an event that is told to people, mildest first.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Only of use when looking for a fault.
    Debug,
    /// Normal but worth a record.
    #[default]
    Info,
    /// Wants attention, not at night.
    Warning,
    /// Wants attention now.
    Critical,
}

impl Severity {
    /// The word that stands in the config, in the journal and in what is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
