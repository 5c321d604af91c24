//! Which series: a name and conditions on labels, as Prometheus writes them (`node_load1`,
//! `node_filesystem_avail_bytes{mountpoint="/", fstype!~"tmpfs|ramfs"}`).

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::dialect::prometheus::Sample;
use crate::model::pattern::Pattern;

/// Longest selector.
const LONGEST: usize = 4096;

/// A family and conditions on its labels, all of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// The family.
    pub name: String,
    conditions: Vec<Condition>,
    text: String,
}

#[derive(Debug, Clone, PartialEq)]
struct Condition {
    label: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Is(String),
    IsNot(String),
    /// The expression must match the whole value.
    Matches(Pattern),
    MatchesNot(Pattern),
}

/// Why a text is no [`Selector`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} selects no metric: {why}; write NAME or NAME{{label=\"value\", ...}} with =, !=, =~ or !~"
)]
pub struct NotASelector {
    text: String,
    why: String,
}

impl Selector {
    /// The labels that conditions are put on.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.conditions.iter().map(|c| c.label.as_str())
    }

    /// Whether a sample of the family is selected. A label that the family lacks is empty, as in Prometheus.
    #[must_use]
    pub fn takes(&self, sample: &Sample) -> bool {
        self.conditions.iter().all(|condition| {
            let value = sample
                .labels
                .iter()
                .find(|(name, _)| *name == condition.label)
                .map_or("", |(_, value)| value);
            match &condition.test {
                Test::Is(text) => value == text,
                Test::IsNot(text) => value != text,
                Test::Matches(pattern) => pattern.matches(value),
                Test::MatchesNot(pattern) => !pattern.matches(value),
            }
        })
    }
}

impl FromStr for Selector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        let wrong = |why: String| NotASelector {
            text: text.chars().take(200).collect(),
            why,
        };
        if text.len() > LONGEST {
            return Err(wrong(format!("it is longer than {LONGEST} bytes")));
        }
        let mut reader = Reader(text.trim());
        let name = reader.word(true);
        if name.is_empty() {
            return Err(wrong("it does not begin with a name".into()));
        }
        let mut conditions = Vec::new();
        if reader.skip("{") {
            while !reader.skip("}") {
                conditions.push(reader.condition().map_err(wrong)?);
                if !reader.skip(",") {
                    if reader.skip("}") {
                        break;
                    }
                    return Err(wrong("a comma or } is missing".into()));
                }
            }
        }
        if !reader.0.is_empty() {
            return Err(wrong(format!("{:?} is left over", reader.0)));
        }
        Ok(Self {
            name: name.to_owned(),
            conditions,
            text: text.trim().to_owned(),
        })
    }
}

/// What is left to read.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn skip(&mut self, token: &str) -> bool {
        match self.0.strip_prefix(token) {
            Some(rest) => {
                self.0 = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn word(&mut self, colons: bool) -> &'a str {
        let inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
        let end = self.0.find(|c| !inside(c)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            return "";
        }
        self.0 = rest.trim_start();
        word
    }

    fn condition(&mut self) -> Result<Condition, String> {
        let label = self.word(false);
        if label.is_empty() {
            return Err("the name of a label is missing".into());
        }
        // The longer signs first: `=` begins `=~`.
        let signs = ["=~", "!~", "!=", "="];
        let Some(sign) = signs.into_iter().find(|sign| self.skip(sign)) else {
            return Err(format!("=, !=, =~ or !~ is missing after {label}"));
        };
        let value = self.quoted()?;
        let whole = |text: &str| Pattern::whole(text).map_err(|why| why.to_string());
        Ok(Condition {
            label: label.to_owned(),
            test: match sign {
                "=" => Test::Is(value),
                "!=" => Test::IsNot(value),
                "=~" => Test::Matches(whole(&value)?),
                _ => Test::MatchesNot(whole(&value)?),
            },
        })
    }

    /// A text in double or single quotes, with `\\`, `\"`, `\'` and `\n` in it.
    fn quoted(&mut self) -> Result<String, String> {
        let mut chars = self.0.char_indices();
        let quote = match chars.next() {
            Some((_, quote @ ('"' | '\''))) => quote,
            _ => return Err("a value stands in quotes".into()),
        };
        let mut value = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                c if c == quote => {
                    let rest = self.0.get(at + 1..).unwrap_or_default();
                    self.0 = rest.trim_start();
                    return Ok(value);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c @ ('\\' | '"' | '\''))) => value.push(c),
                    // Regular expressions are full of these, and Prometheus wants them doubled; both are meant.
                    Some((_, c)) => value.extend(['\\', c]),
                    None => break,
                },
                c => value.push(c),
            }
        }
        Err("a quote is not closed".into())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(selector: &str, mountpoint: &str) -> bool {
        let sample = Sample {
            labels: vec![("mountpoint", mountpoint.to_owned())],
            value: 1.0,
        };
        selector.parse::<Selector>().unwrap().takes(&sample)
    }

    #[test]
    fn selects_as_prometheus_does() {
        for (selector, mountpoint, taken) in [
            ("m", "/", true),
            ("m{}", "/", true),
            (r#"m{mountpoint="/"}"#, "/", true),
            (r#" m { mountpoint = '/' , } "#, "/", true),
            (r#"m{mountpoint="/"}"#, "/a", false),
            (r#"m{mountpoint!="/"}"#, "/a", true),
            (r#"m{mountpoint=~"/|/a"}"#, "/a", true),
            (r#"m{mountpoint=~"/"}"#, "/a", false),
            (r#"m{mountpoint!~"/.*"}"#, "/a", false),
            (r#"m{mountpoint=~"/\d"}"#, "/1", true),
            (r#"m{mountpoint=~"/\\d"}"#, "/1", true),
            (r#"m{mountpoint="a\"\\\n"}"#, "a\"\\\n", true),
            (r#"m{other=""}"#, "/", true),
            (r#"m{other="x"}"#, "/", false),
            (r#"m{mountpoint="/",other="x"}"#, "/", false),
        ] {
            assert_eq!(
                takes(selector, mountpoint),
                taken,
                "{selector} {mountpoint}"
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (selector, why) in [
            ("", "begin with a name"),
            ("1m", "begin with a name"),
            ("m{", "label is missing"),
            ("m{a}", "=, !="),
            ("m{a=x}", "in quotes"),
            (r#"m{a="x}"#, "not closed"),
            (r#"m{a="x" b="y"}"#, "comma"),
            (r#"m{a=~"("}"#, "regular expression"),
            (r#"m{a=~"(x{1000}){1000}"}"#, "regular expression"),
            ("m > 5", "left over"),
        ] {
            let said = selector.parse::<Selector>().unwrap_err().to_string();
            assert!(said.contains(why), "{selector}: {said}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_what_it_takes_it_takes_again(text in "m?[{}=!~,\"'\\\\a-cé ]{0,30}") {
            if let Ok(selector) = text.parse::<Selector>() {
                prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
            }
        }
    }
}
