//! What a header of an answer must be.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::cut;
use crate::model::pattern::Pattern;
use crate::net::client::Response;

/// What a header must be. Where it stands more than once, one that does is enough.
#[derive(Debug, Clone, PartialEq)]
pub enum Header {
    /// Exactly this.
    Equals(String),
    /// What the expression matches anywhere.
    Matches(Pattern),
    /// There with any value, or not there.
    Present(bool),
}

impl Header {
    /// What is wrong with the header of this name in an answer.
    pub(super) fn fault(&self, name: &str, response: &Response) -> Option<String> {
        let mut all = response.headers.get_all(name).iter();
        let has = response.headers.get(name);
        let has = has.map(|has| String::from_utf8_lossy(has.as_bytes()));
        let wanted = match (self, &has) {
            (Self::Present(false), None) => return None,
            (Self::Present(false), Some(_)) => "no such header".to_owned(),
            (_, None) => return Some(format!("header {name} is missing")),
            (Self::Present(true), Some(_)) => return None,
            (Self::Equals(value), _) if all.any(|has| has.as_bytes() == value.as_bytes()) => {
                return None;
            }
            (Self::Equals(value), _) => format!("{value:?}"),
            (Self::Matches(pattern), _) => {
                if all.any(|has| pattern.matches(&String::from_utf8_lossy(has.as_bytes()))) {
                    return None;
                }
                format!("a match of {pattern:?}")
            }
        };
        let has = cut(&has.unwrap_or_default());
        Some(format!(
            "header {name} is {has:?} where {wanted} is expected"
        ))
    }
}

impl Serialize for Header {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = match self {
            Self::Equals(value) => return serializer.serialize_str(value),
            Self::Matches(_) | Self::Present(_) => serializer.serialize_map(Some(1))?,
        };
        match self {
            Self::Equals(_) => {}
            Self::Matches(pattern) => map.serialize_entry("matches", pattern)?,
            Self::Present(present) => map.serialize_entry("present", present)?,
        }
        map.end()
    }
}

/// The forms that are a map.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Rule {
    /// A regular expression that matches it anywhere.
    Matches(Pattern),
    /// Whether it must be there, or must not.
    Present(bool),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, {matches: EXPRESSION}, {present: true} or {present: false}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Header, E> {
                Ok(Header::Equals(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Header, A::Error> {
                let rule = Rule::deserialize(MapAccessDeserializer::new(map))?;
                Ok(match rule {
                    Rule::Matches(pattern) => Header::Matches(pattern),
                    Rule::Present(present) => Header::Present(present),
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Header {
    fn schema_name() -> Cow<'static, str> {
        "ResponseHeader".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<Rule>();
        json_schema!({
            "description": "Exactly this text, or what the map says; of several headers of the name, one that fits is enough.",
            "anyOf": [{"type": "string"}, rule],
        })
    }
}
