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

/// Words of alert servers and of people for an alert that is critical.
const CRITICAL: [&str; 2] = ["critical", "page"];
/// Words that say that nothing is wrong: `none` is what the alert that always fires (Watchdog) has.
const MILD: [&str; 4] = ["info", "information", "informational", "none"];

impl Severity {
    /// The words of the label `severity` that mean another severity than a warning, in lower case.
    pub fn words() -> impl Iterator<Item = (&'static str, Self)> {
        let critical = CRITICAL.into_iter().map(|word| (word, Self::Critical));
        critical.chain(MILD.into_iter().map(|word| (word, Self::Info)))
    }

    /// What a word of the label `severity` means, in any case. An unknown one, or none, is a warning: what is not known to be harmless
    /// is not.
    #[must_use]
    pub fn of_word(word: Option<&str>) -> Self {
        let word = word.map(|word| word.trim().to_lowercase());
        let known = Self::words().find(|(known, _)| word.as_deref() == Some(known));
        known.map_or(Self::Warning, |(_, severity)| severity)
    }
}

impl std::fmt::Display for Severity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_case_and_an_unknown_one_is_a_warning() {
        for (word, severity) in [
            (Some("critical"), Severity::Critical),
            (Some(" Page "), Severity::Critical),
            (Some("INFO"), Severity::Info),
            (Some("none"), Severity::Info),
            (Some("warning"), Severity::Warning),
            (Some("sev3"), Severity::Warning),
            (Some(""), Severity::Warning),
            (None, Severity::Warning),
        ] {
            assert_eq!(Severity::of_word(word), severity, "{word:?}");
        }
    }
}
