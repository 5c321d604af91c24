//! Statuses that pass: `200`, `200-299`, `[200, 301-308]`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A set of HTTP statuses: inclusive ranges within 100 to 599.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16)>);

impl Default for Statuses {
    /// Those that say that all is well: 200 to 299.
    fn default() -> Self {
        Self(vec![(200, 299)])
    }
}

impl Statuses {
    /// Whether a status is one of them.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&status))
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let status = |text: &str| {
        let digits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit());
        let status = digits.then(|| text.parse().ok()).flatten();
        status.filter(|status| (100..600).contains(status))
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (status(from.trim())?, status(to.trim())?);
    (from <= to).then_some((from, to))
}

fn written((from, to): &(u16, u16)) -> String {
    if from == to {
        from.to_string()
    } else {
        format!("{from}-{to}")
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(written).collect();
        f.write_str(&all.join(", "))
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => serializer.serialize_str(&written(one)),
            several => serializer.collect_seq(several.iter().map(written)),
        }
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Statuses;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a status such as 200, a range such as 200-299, or a list of them")
    }

    fn visit_u64<E: de::Error>(self, status: u64) -> Result<Statuses, E> {
        self.visit_str(&status.to_string())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Statuses, E> {
        let range = range(text).ok_or_else(|| {
            E::custom(format_args!(
                "{text:?} is no status; write a number from 100 to 599, or a range such as 200-299"
            ))
        })?;
        Ok(Statuses(vec![range]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Statuses, A::Error> {
        let mut all = Vec::new();
        while let Some(Statuses(more)) = items.next_element()? {
            all.extend(more);
        }
        if all.is_empty() {
            return Err(de::Error::custom("no status passes; write at least one"));
        }
        Ok(Statuses(all))
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let number = json_schema!({"type": "integer", "minimum": 100, "maximum": 599});
        let range =
            json_schema!({"type": "string", "pattern": "^[1-5][0-9]{2}( *- *[1-5][0-9]{2})?$"});
        let list =
            json_schema!({"type": "array", "minItems": 1, "items": {"anyOf": [number, range]}});
        json_schema!({"anyOf": [number, range, list]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_ranges_and_lists() {
        for (text, inside, outside, written) in [
            ("200", 200, 201, "\"200\""),
            ("\"200-299\"", 299, 300, "\"200-299\""),
            ("[200, \"301-308\"]", 305, 300, "[\"200\",\"301-308\"]"),
        ] {
            let statuses: Statuses = serde_json::from_str(text).unwrap();
            assert!(
                statuses.contains(inside) && !statuses.contains(outside),
                "{text}"
            );
            assert_eq!(serde_json::to_string(&statuses).unwrap(), written);
        }
        for bad in [
            "99",
            "600",
            "\"2xx\"",
            "\"299-200\"",
            "[]",
            "\"\"",
            "-1",
            "\"+20\"",
            "true",
        ] {
            assert!(serde_json::from_str::<Statuses>(bad).is_err(), "{bad}");
        }
    }
}
