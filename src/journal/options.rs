//! The `journal` section of the config file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duration::Period;
use crate::model::size::Size;

/// How long the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Records older than this are deleted, oldest first, up to the first of an incident that is
    /// still open. `1h` to `3650d`. Default: `90d`.
    pub keep: Period,
    /// The journal's size, beyond which the oldest records are deleted whatever their age; those
    /// of open incidents only beyond one and a half times it. `16MiB` to `1TiB`. Default: `512MiB`.
    pub max_size: Size,
    /// How much of it packets of evidence may take (docs/EVIDENCE.md), beyond which the oldest are deleted; a quarter of `max_size`
    /// at most counts. `0B` gathers none. `0B`, or from `1MiB`. Default: `64MiB`.
    pub evidence: Size,
}

impl Options {
    /// What is wrong with it: key and why.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let least = Self::least();
        if self.keep < least.keep {
            let why = format!("{} is less than {}", self.keep, least.keep);
            wrong.push(("keep", why));
        }
        if self.max_size < least.max_size || self.max_size > Size::mib(1 << 20) {
            let why = format!("{} is not from {} to 1TiB", self.max_size, least.max_size);
            wrong.push(("max_size", why));
        }
        if self.evidence != Size::default() && self.evidence < Size::mib(1) {
            let why = format!("{} is neither 0B nor 1MiB or more", self.evidence);
            wrong.push(("evidence", why));
        }
        wrong
    }

    /// The least that any config keeps.
    #[must_use]
    pub fn least() -> Self {
        Self {
            keep: Period::secs(60 * 60),
            max_size: Size::mib(16),
            ..Self::default()
        }
    }

    /// Bytes that packets of evidence may take.
    #[must_use]
    pub fn evidence_bytes(&self) -> u64 {
        self.evidence.bytes().min(self.max_size.bytes() / 4)
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep: Period::secs(90 * 24 * 60 * 60),
            max_size: Size::mib(512),
            evidence: Size::mib(64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_held_and_the_default_is_within_them() {
        assert!(Options::default().check().is_empty());
        let options = Options {
            keep: Period::secs(59),
            max_size: Size::mib(15),
            evidence: "1B".parse().unwrap(),
        };
        let keys: Vec<_> = options.check().iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, ["keep", "max_size", "evidence"]);
    }
}
