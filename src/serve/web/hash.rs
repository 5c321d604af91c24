//! A password as the file holds it: hashed with bcrypt.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use bcrypt::HashParts;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// The highest cost that is taken: one look at a password takes a quarter of a minute then. Each one more doubles it.
const MOST: u32 = 18;

/// A bcrypt hash: `$2y$10$...`, of a cost from 4 to 18.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    cost: u32,
}

impl PasswordHash {
    /// What guessing it costs.
    #[must_use]
    pub const fn cost(&self) -> u32 {
        self.cost
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// Whether it is of this password, of which bcrypt sees 72 bytes. Takes as long as its cost says.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        bcrypt::verify(password, &self.text).unwrap_or(false)
    }

    /// Takes as long as [`is_of`](Self::is_of) does, for nothing.
    pub(super) fn wear(cost: u32, password: &[u8]) {
        drop(std::hint::black_box(bcrypt::hash_with_salt(
            password, cost, [0; 16],
        )));
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hash]")
    }
}

impl FromStr for PasswordHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: HashParts = text.parse().map_err(|_| {
            "this is no bcrypt hash; make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'".to_owned()
        })?;
        let cost = parts.get_cost();
        match cost {
            4..=MOST => Ok(Self {
                text: text.to_owned(),
                cost,
            }),
            cost => Err(format!(
                "the cost of this hash is {cost}, and 4 to {MOST} can be used; make it anew with a cost of 10 to 12"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for PasswordHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for PasswordHash {
    fn schema_name() -> Cow<'static, str> {
        "PasswordHash".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "x-nodeward-type": "bcrypt" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_password_of_hashes_that_others_made() {
        // jBCrypt's test vectors, and one of htpasswd's form.
        for (password, hash) in [
            (
                "",
                "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.",
            ),
            (
                "a",
                "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
            ),
            (
                "abc",
                "$2y$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i",
            ),
        ] {
            let hash: PasswordHash = hash.parse().unwrap();
            assert_eq!(hash.cost(), 6);
            assert!(hash.is_of(password.as_bytes()) && !hash.is_of(b"other"));
            assert_eq!(format!("{hash:?}"), "[hash]");
        }
    }

    #[test]
    fn what_is_no_hash_or_would_take_for_ever_is_refused_without_showing_it() {
        let hash = "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.";
        for text in [
            "",
            "secret",
            "$1$abc",
            hash.trim_end_matches('.'),
            &hash.replace("$06$", "$31$"),
            &hash.replace("$06$", "$03$"),
        ] {
            let wrong = text.parse::<PasswordHash>().unwrap_err();
            assert!(text.is_empty() || !wrong.contains(text), "{wrong}");
        }
        assert!(hash.replace("$06$", "$18$").parse::<PasswordHash>().is_ok());
    }
}
