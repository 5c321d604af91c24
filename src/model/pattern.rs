//! Regular expressions of configs and flags.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// An unanchored regular expression, compiled when it is read. Linear in the text, bounded in size.
#[derive(Clone)]
pub struct Pattern(regex_lite::Regex);

/// Why a text is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("bad regular expression {text:?}: {source}")]
pub struct BadPattern {
    text: String,
    source: regex_lite::Error,
}

impl Pattern {
    /// Compiles an expression.
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        regex_lite::RegexBuilder::new(text)
            .size_limit(1 << 20)
            .build()
            .map(Self)
            .map_err(|source| BadPattern {
                text: text.to_owned(),
                source,
            })
    }

    /// Compiles an expression that must match the whole text.
    pub fn whole(text: &str) -> Result<Self, BadPattern> {
        Self::new(&format!("^(?:{text})$"))
    }

    /// Whether it matches anywhere in `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The expression as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl serde::Serialize for Pattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

impl schemars::JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "regex",
            "description": "regular expression, unanchored"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_unanchored_unless_whole() {
        assert!(Pattern::new("b+").unwrap().matches("abbc"));
        assert!(!Pattern::whole("b+|x").unwrap().matches("abbc"));
        assert!(Pattern::new("(").is_err());
        assert!(Pattern::new("(a{1000}){1000}").is_err());
    }
}
