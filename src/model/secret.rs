//! A secret in memory: a token, a password, a pre-shared key.
//!
//! Owns the promise that no log line, error or dump shows it. It never reads files: in the config
//! a secret is always the *name* of a file (`token_file: hook.token`) or of a systemd credential,
//! and the config layer puts the content in its place before the component sees it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// The content of a secret file, without the line break at its end.
///
/// `Debug` prints `[secret]`; there is no `Display` and no `Serialize`, so that it cannot leave by
/// accident. Comparing two with `==` is for "did the config change" only: it takes longer the more
/// they have in common, so whoever checks a caller's token must compare in constant time.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text that was read from a secret's file.
    pub fn new(content: impl Into<String>) -> Self {
        Self(content.into())
    }

    /// The secret itself, for the one place that sends or compares it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "x-nodeward-type": "secret-file" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret:?} {:?}", Some(&secret)),
            "[secret] Some([secret])"
        );
        assert_eq!(secret.reveal(), "hunter2");
    }
}
