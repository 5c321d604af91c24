//! Bearer tokens (RFC 6750), of hooks and of the API: one or two of a name, compared as hashes in constant time.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::model::secret::Secret;

/// What is compared in place of a secret: neither its content nor its length shows in how long that takes.
pub(super) type Hash = [u8; 32];

pub(super) fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// One token, or two while one takes the place of the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Tokens(pub Vec<Secret>);

impl Tokens {
    /// Whether one of them is one of `other`.
    #[must_use]
    pub fn share(&self, other: &Self) -> bool {
        self.0.iter().any(|token| other.0.contains(token))
    }

    /// Characters of the shortest.
    #[must_use]
    pub fn shortest(&self) -> usize {
        let lengths = self.0.iter().map(|token| token.reveal().chars().count());
        lengths.min().unwrap_or_default()
    }
}

/// The hashes of tokens.
pub(super) struct Known(Vec<Hash>);

impl Known {
    pub(super) fn new<'a>(tokens: impl IntoIterator<Item = &'a Tokens>) -> Self {
        let tokens = tokens.into_iter().flat_map(|tokens| &tokens.0);
        Self(tokens.map(|t| hash(t.reveal().as_bytes())).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a hash is one of them. Each is looked at, so that it does not show which one it was.
    pub(super) fn holds(&self, given: &Hash) -> Choice {
        let every = self.0.iter().map(|token| token.ct_eq(given));
        every.fold(Choice::from(0), |any, one| any | one)
    }
}

/// The scheme and the credentials of a request; none if it has none, an error if they cannot be read.
pub(super) fn credentials(headers: &HeaderMap) -> Option<Result<(&str, &str), ()>> {
    let given = headers.get(AUTHORIZATION)?;
    let given = given.to_str().ok().and_then(|text| text.split_once(' '));
    Some(given.map(|(scheme, rest)| (scheme, rest.trim())).ok_or(()))
}

/// Name and password as they were sent (RFC 7617).
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, given) = credentials(headers)?.ok()?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(given).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (name, password) = decoded.split_at(colon);
    let name = std::str::from_utf8(name).ok()?.to_owned();
    Some((name, password.get(1..)?.to_owned()))
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTwo;

        impl<'de> Visitor<'de> for OneOrTwo {
            type Value = Tokens;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a file, or a list of two")
            }

            fn visit_str<E: de::Error>(self, token: &str) -> Result<Tokens, E> {
                Ok(Tokens(vec![Secret::new(token)]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tokens, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = seq.next_element()? {
                    tokens.push(token);
                }
                Ok(Tokens(tokens))
            }
        }
        deserializer.deserialize_any(OneOrTwo)
    }
}

impl JsonSchema for Tokens {
    fn schema_name() -> Cow<'static, str> {
        "Tokens".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<Secret>();
        json_schema!({
            "anyOf": [secret, { "type": "array", "items": secret, "minItems": 1, "maxItems": 2 }]
        })
    }
}
