//! JSON read loosely and within bounds: what others write is taken as far as it can be.
//!
//! Nothing here fails for a value of an unexpected type; it is skipped or marked. Only what is no JSON, and a key that
//! stands twice in a map, fails: of two values nobody can say which one was meant.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{LONGEST_LABEL, LeftOut, MOST_ANNOTATIONS, MOST_LABELS, for_people};
use crate::model::alert::Labels;

/// Any value; what a list or a map of it becomes is `L` or `M`.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Any<L = IgnoredAny, M = IgnoredAny> {
    /// Absent or null.
    #[default]
    Nothing,
    /// A text, or a number or boolean as text.
    Text(String),
    /// A list.
    List(L),
    /// A map.
    Map(M),
}

/// A value that should be a text.
pub(super) type Text = Any;
/// A value that should be a map.
pub(super) type Map<T> = Any<IgnoredAny, T>;

impl<L, M> Any<L, M> {
    /// The text; empty if it is none.
    pub(super) fn or_empty(self) -> String {
        match self {
            Self::Text(text) => text,
            _ => String::new(),
        }
    }
}

impl<'de, L: Deserialize<'de>, M: Deserialize<'de>> Deserialize<'de> for Any<L, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor(PhantomData))
    }
}

struct AnyVisitor<L, M>(PhantomData<(L, M)>);

impl<'de, L: Deserialize<'de>, M: Deserialize<'de>> Visitor<'de> for AnyVisitor<L, M> {
    type Value = Any<L, M>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Any::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Any::Text(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Any::Text(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Any::Text(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Any::Text(value.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Any::Nothing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        L::deserialize(SeqAccessDeserializer::new(seq)).map(Any::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Any::Map)
    }
}

/// At most `MOST` items of a list; the rest is skipped.
#[derive(Debug)]
pub(super) struct List<T, const MOST: usize> {
    /// The items.
    pub(super) items: Vec<T>,
    /// Whether there are more.
    pub(super) more: bool,
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for List<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for ListVisitor<T, MOST> {
    type Value = List<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < MOST {
            match seq.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(List { items, more: false }),
            }
        }
        let mut more = false;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok(List { items, more })
    }
}

/// Labels, and why they cannot be used.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// The labels that can.
    pub(super) labels: Labels,
    /// The first that cannot.
    pub(super) trouble: Option<LeftOut>,
}

impl Pairs {
    /// Adds a label. An empty value is the same as no label, as it is in Prometheus.
    pub(super) fn add(&mut self, name: String, value: String) {
        if value.is_empty() {
            return;
        }
        let trouble = if name.len() > LONGEST_LABEL || value.len() > LONGEST_LABEL {
            LeftOut::LongLabel
        } else if self.labels.len() >= MOST_LABELS {
            LeftOut::ManyLabels
        } else {
            self.labels.insert(name, value);
            return;
        };
        self.trouble.get_or_insert(trouble);
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs = Pairs::default();
        while let Some(name) = map.next_key::<String>()? {
            match map.next_value::<Text>()? {
                Any::Text(_) if pairs.labels.contains_key(&name) => {
                    return Err(de::Error::custom("a label stands there twice"));
                }
                Any::Text(value) => pairs.add(name, value),
                Any::Nothing => {}
                Any::List(_) | Any::Map(_) => {
                    pairs.trouble.get_or_insert(LeftOut::LabelType);
                }
            }
        }
        Ok(pairs)
    }
}

/// Annotations, cut to their bounds.
#[derive(Debug, Default)]
pub(super) struct Notes(pub(super) Labels);

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NotesVisitor)
    }
}

struct NotesVisitor;

impl<'de> Visitor<'de> for NotesVisitor {
    type Value = Notes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of annotations")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Notes, A::Error> {
        let mut notes = Labels::new();
        let mut left_out = 0u64;
        while let Some(name) = map.next_key::<String>()? {
            match map.next_value::<Text>()? {
                Any::Nothing => {}
                Any::Text(text)
                    if notes.len() < MOST_ANNOTATIONS && name.len() <= LONGEST_LABEL =>
                {
                    notes.insert(name, for_people(text));
                }
                _ => left_out += 1,
            }
        }
        if left_out > 0 {
            notes.insert("nodeward_left_out".into(), left_out.to_string());
        }
        Ok(Notes(notes))
    }
}
