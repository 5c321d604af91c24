//! What the value of a label must be.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::model::alert::Labels;
use crate::model::pattern::Pattern;

/// A line of `match` that does not fit an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The label.
    pub label: String,
    /// What the alert has there; none if it has no such label.
    pub value: Option<String>,
    /// What the line wants, in words.
    pub wants: String,
}

impl Miss {
    /// The lines of a `match` that these labels do not fit.
    pub(super) fn of<'a>(
        matching: &'a BTreeMap<String, Matcher>,
        labels: &'a Labels,
    ) -> impl Iterator<Item = Self> + 'a {
        let misses = matching.iter().filter(|(label, matcher)| {
            !matcher.matches(labels.get(*label).map_or("", String::as_str))
        });
        misses.map(|(label, matcher)| Self {
            label: label.clone(),
            value: labels.get(label).cloned(),
            wants: matcher.to_string(),
        })
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            label,
            value,
            wants,
        } = self;
        match value {
            Some(value) => write!(f, "{label} is {value:?}, wanted {wants}"),
            None => write!(f, "it has no label {label}, wanted {wants}"),
        }
    }
}

/// A text, one of several, or a pattern for the whole value.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Matcher {
    /// This text.
    Equal(String),
    /// One of these.
    OneOf(OneOf),
    /// What this pattern matches, from begin to end.
    Like(Like),
}

/// One of several texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    /// The texts.
    #[serde(rename = "in")]
    pub values: Vec<String>,
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Like {
    /// A regular expression for the whole value.
    pub re: Pattern,
    #[serde(skip)]
    whole: Option<Pattern>,
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Equal(String),
            OneOf(OneOf),
            Like { re: String },
        }
        Ok(match Written::deserialize(deserializer)? {
            Written::Equal(text) => Self::Equal(text),
            Written::OneOf(values) => Self::OneOf(values),
            Written::Like { re } => Self::Like(Like {
                whole: Some(Pattern::whole(&re).map_err(de::Error::custom)?),
                re: Pattern::new(&re).map_err(de::Error::custom)?,
            }),
        })
    }
}

impl Matcher {
    /// Whether a value is meant; that of a label which is not there is empty.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Equal(text) => text == value,
            Self::OneOf(texts) => texts.values.iter().any(|t| t == value),
            Self::Like(like) => like.whole.as_ref().is_some_and(|p| p.matches(value)),
        }
    }

    /// Whether every value that is meant stands in the config.
    #[must_use]
    pub const fn is_listed(&self) -> bool {
        !matches!(self, Self::Like(_))
    }

    /// The values that stand in the config.
    #[must_use]
    pub fn listed(&self) -> Vec<&str> {
        match self {
            Self::Equal(text) => vec![text],
            Self::OneOf(texts) => texts.values.iter().map(String::as_str).collect(),
            Self::Like(_) => Vec::new(),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(text) => write!(f, "{text:?}"),
            Self::OneOf(texts) => write!(f, "one of {:?}", texts.values),
            Self::Like(like) => write!(f, "all of it to match {:?}", like.re),
        }
    }
}
