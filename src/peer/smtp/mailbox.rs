//! Addresses of mail.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::net::endpoint::host_name;

/// The longest address in bytes, and the longest part before its `@` (RFC 5321 section 4.5.3.1).
const LONGEST: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// An address such as `oncall@example.org`: ASCII without blanks, quotes or brackets, so that it can stand in a command and a header as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(String);

/// What is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no mail address: write NAME@DOMAIN in ASCII (RFC 5321), without a name beside it"
)]
pub struct NotAMailbox(String);

impl Mailbox {
    /// It.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is behind its `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Mailbox {
    type Err = NotAMailbox;

    fn from_str(text: &str) -> Result<Self, NotAMailbox> {
        let wrong = || NotAMailbox(text.chars().take(80).collect());
        let (local, domain) = text.split_once('@').ok_or_else(wrong)?;
        // RFC 5322 section 3.2.3: a dot-atom.
        let atom = |part: &str| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
            !part.is_empty() && part.bytes().all(letter)
        };
        let fits = text.len() <= LONGEST && local.len() <= LONGEST_LOCAL;
        match fits && local.split('.').all(atom) && host_name(domain) {
            true => Ok(Self(text.to_owned())),
            false => Err(wrong()),
        }
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Mailbox {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Mailbox {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Mailbox {
    fn schema_name() -> Cow<'static, str> {
        "Mailbox".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[^@]+@[^@]+$", "x-nodeward-type": "mail address" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_command_or_a_header_is_no_address() {
        for good in ["a@b", "on.call+db@mail-1.example.org", "o'neil@example.org"] {
            assert_eq!(good.parse::<Mailbox>().unwrap().as_str(), good);
        }
        let long = format!("{}@example.org", "x".repeat(65));
        for bad in [
            "",
            "a",
            "@b",
            "a@",
            "a b@c",
            "a@b>",
            "a@b\r\nRCPT TO:<c@d>",
            "a@b\n",
            "\"a b\"@c",
            "<a@b>",
            "A <a@b>",
            "a..b@c",
            ".a@c",
            "a@b@c",
            "ä@b",
            "a@ä",
            "a,b@c",
            &long,
        ] {
            assert!(bad.parse::<Mailbox>().is_err(), "{bad:?}");
        }
    }
}
