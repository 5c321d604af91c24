//! Instruments that are told only where the config names them (`subjects.NAME.instruments`).
//!
//! Owns which of a subject's there are: those it declares as optional. A name that is none of them is no option.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Subject;
use crate::dialect::otlp::Instrument;

/// Which of the optional instruments of the subject `S` are told.
pub struct Chosen<S>(BTreeSet<&'static str>, PhantomData<fn() -> S>);

/// The optional instruments of a subject.
pub(super) fn optional<S: Subject>() -> impl Iterator<Item = &'static str> {
    let all = S::INSTRUMENTS.iter().map(|named| named.descriptor());
    all.filter(|named| named.optional).map(|named| named.name)
}

impl<S> Chosen<S> {
    /// Whether this one is told.
    pub(super) fn has<const N: usize>(&self, instrument: &Instrument<S, N>) -> bool {
        self.0.contains(instrument.name())
    }
}

#[cfg(test)]
impl<S: Subject> Chosen<S> {
    /// Every one there is.
    pub(super) fn all() -> Self {
        Self(optional::<S>().collect(), PhantomData)
    }
}

impl<S> Default for Chosen<S> {
    fn default() -> Self {
        Self(BTreeSet::new(), PhantomData)
    }
}

impl<S> Clone for Chosen<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<S> PartialEq for Chosen<S> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<S> fmt::Debug for Chosen<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

impl<S> Serialize for Chosen<S> {
    fn serialize<W: Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, S: Subject> Deserialize<'de> for Chosen<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let known = |name: &String| {
            let found = optional::<S>().find(|known| known == name);
            found.ok_or_else(|| {
                let all = optional::<S>().collect::<Vec<_>>().join(", ");
                D::Error::custom(format!("{name:?} is none of {all}"))
            })
        };
        let chosen: Result<_, _> = names.iter().map(known).collect();
        Ok(Self(chosen?, PhantomData))
    }
}

impl<S: Subject> JsonSchema for Chosen<S> {
    fn schema_name() -> Cow<'static, str> {
        format!("Instruments of {}", S::NAME).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = optional::<S>().collect();
        json_schema!({ "type": "array", "items": { "type": "string", "enum": names } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::meminfo::Meminfo;

    #[test]
    fn names_of_optional_instruments_are_taken_and_no_others() {
        let read = |text: &str| serde_json::from_str::<Chosen<Meminfo>>(text);
        let two = r#"["system.memory.limit","system.paging.utilization"]"#;
        let chosen = read(two).unwrap();
        assert_eq!(serde_json::to_string(&chosen).unwrap(), two);
        for wrong in ["system.memory.usage", "system.cpu.utilization", ""] {
            let why = read(&format!("[{wrong:?}]")).unwrap_err().to_string();
            assert!(why.contains("system.memory.limit"), "{why}");
        }
    }
}
