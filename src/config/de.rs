//! Reads config types from the tree, and says where a value was refused.
//!
//! Owns the serde deserializer over [`Node`]. It checks no keys: the walk beside the schema has been here
//! before. What is left to fail is what only the types know (durations, addresses, patterns), and
//! such an error carries the path of the value, which a text-based deserializer would lose.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::tree::{Entry, Node, Path, Step, Value};

/// A value that its type refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why, in the type's own words.
    pub message: String,
    /// Innermost step first.
    steps: Vec<Step>,
}

impl Refused {
    /// The path of the refused value.
    pub fn path(&self) -> Path {
        Path(self.steps.iter().rev().cloned().collect())
    }

    fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path(), self.message)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            steps: Vec::new(),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::custom(format_args!("key {field:?} is missing"))
    }
}

/// The deserializer of one value.
#[derive(Debug, Clone, Copy)]
pub struct From<'a>(pub &'a Node);

impl<'de> Deserializer<'de> for From<'de> {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match &self.0.value {
            Value::Null | Value::Dropped => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(*value),
            },
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text, _) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items { items, next: 0 }),
            Value::Map(entries) => visitor.visit_map(Entries {
                rest: entries,
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.0.value {
            Value::Null | Value::Dropped => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let entries = self.0.entries().iter();
        let mut entries = entries.filter(|entry| entry.node.value != Value::Dropped);
        match (&self.0.value, entries.next(), entries.next()) {
            (Value::Text(word, _), ..) => {
                visitor.visit_enum(BorrowedStrDeserializer::<Refused>::new(word))
            }
            (Value::Map(_), Some(entry), None) => visitor.visit_enum(Tagged(entry)),
            _ => Err(de::Error::custom(
                "expected a word, or a map with exactly one key",
            )),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    items: &'a [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        while let Some(item) = self.items.get(self.next) {
            let index = self.next;
            self.next += 1;
            if item.value != Value::Dropped {
                let value = seed.deserialize(From(item));
                return value
                    .map(Some)
                    .map_err(|refused| refused.under(Step::Index(index)));
            }
        }
        Ok(None)
    }
}

struct Entries<'a> {
    rest: &'a [Entry],
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        while let Some((entry, rest)) = self.rest.split_first() {
            self.rest = rest;
            if entry.node.value != Value::Dropped {
                self.value = Some(entry);
                let key = seed.deserialize(BorrowedStrDeserializer::<Refused>::new(&entry.key));
                return key
                    .map(Some)
                    .map_err(|refused| refused.under(key_of(entry)));
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let entry = self.value.take();
        let entry =
            entry.ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(From(&entry.node))
            .map_err(|refused| refused.under(key_of(entry)))
    }
}

fn key_of(entry: &Entry) -> Step {
    Step::Key(entry.key.clone())
}

/// `systemd: {unit: web.service}`: a variant by its key.
struct Tagged<'a>(&'a Entry);

impl<'de> EnumAccess<'de> for Tagged<'de> {
    type Error = Refused;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let tag: StrDeserializer<'_, Refused> = self.0.key.as_str().into_deserializer();
        Ok((seed.deserialize(tag)?, self))
    }
}

impl<'de> VariantAccess<'de> for Tagged<'de> {
    type Error = Refused;

    fn unit_variant(self) -> Result<(), Refused> {
        match self.0.node.value {
            Value::Null => Ok(()),
            _ => Err(de::Error::custom(format_args!(
                "{:?} takes nothing",
                self.0.key
            ))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        seed.deserialize(From(&self.0.node))
            .map_err(|refused| refused.under(key_of(self.0)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        let refused = From(&self.0.node).deserialize_any(visitor);
        refused.map_err(|refused| refused.under(key_of(self.0)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let refused = From(&self.0.node).deserialize_any(visitor);
        refused.map_err(|refused| refused.under(key_of(self.0)))
    }
}
