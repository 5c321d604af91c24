//! What a key is answered with: a value, or the reason why there is none.
//!
//! Owns the types between the protocol and whoever knows values, and the agent's standard error
//! texts. It never knows a key or a subject. The texts are spelled as the classic agent of
//! Zabbix 6.0 and 7.0 spells them, full stop included: frontends and filters match on them.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use super::key::{Key, NotAKey};

/// A value as it goes on the wire: UTF-8 text without a trailing newline. It may be empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value(Cow<'static, str>);

impl Value {
    /// The text of the value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, without a copy if it was built at run time.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self(Cow::Owned(itoa::Buffer::new().format(number).to_owned()))
    }
}

/// Six decimals, as the agents send a float.
impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self(Cow::Owned(format!("{number:.6}")))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a key has no value: the text the Zabbix frontend shows beside the item.
///
/// The server marks the item unsupported and asks again later; it is never a reason to close a
/// connection, which the server would take for a dead host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(Cow<'static, str>);

impl Unsupported {
    /// No such key, or a key this node does not serve: the two look the same from outside.
    pub const UNSUPPORTED_KEY: Self = Self(Cow::Borrowed("Unsupported item key."));
    /// The text is no item key.
    pub const INVALID_FORMAT: Self = Self(Cow::Borrowed("Invalid item key format."));
    /// Parameters on a key that takes none, `agent.ping[]` included.
    pub const NO_PARAMETERS: Self = Self(Cow::Borrowed("Item does not allow parameters."));
    /// More parameters than the key takes, empty ones counted.
    pub const TOO_MANY: Self = Self(Cow::Borrowed("Too many parameters."));
    /// The value did not come before the deadline of its check.
    pub const TIMED_OUT: Self = Self(Cow::Borrowed("Timeout occurred while gathering data."));
    /// A JSON check whose `timeout` is no number of seconds from 1 to 600.
    pub const UNSUPPORTED_TIMEOUT: Self = Self(Cow::Borrowed("Unsupported timeout value."));

    /// A text of a key's own.
    pub const fn new(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// "Invalid first parameter." and so on; `position` counts from 1 as people do. Past the ninth
    /// (no agent key has so many) the ordinal is left out.
    pub const fn invalid_parameter(position: usize) -> Self {
        Self(Cow::Borrowed(match position {
            1 => "Invalid first parameter.",
            2 => "Invalid second parameter.",
            3 => "Invalid third parameter.",
            4 => "Invalid fourth parameter.",
            5 => "Invalid fifth parameter.",
            6 => "Invalid sixth parameter.",
            7 => "Invalid seventh parameter.",
            8 => "Invalid eighth parameter.",
            9 => "Invalid ninth parameter.",
            _ => "Invalid parameter.",
        }))
    }

    /// "Invalid regular expression in third parameter: ..."; `why` is in the words of the library, which are not those of the agent's.
    pub fn bad_expression(ordinal: &str, why: &dyn fmt::Display) -> Self {
        format!("Invalid regular expression in {ordinal} parameter: {why}").into()
    }

    /// The text of the error.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Unsupported {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<&'static str> for Unsupported {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<NotAKey> for Unsupported {
    /// The wire has one text for every kind of bad key; the kinds are for our own messages.
    fn from(_: NotAKey) -> Self {
        Self::INVALID_FORMAT
    }
}

/// A value on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Value, Unsupported>> + Send + 'a>>;

/// Real paths on their way.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Option<Vec<Option<String>>>> + Send + 'a>>;

/// Whoever knows values. Declared here and implemented above, because a dialect knows no subject.
pub trait Answers: Send + Sync + 'static {
    /// Answers one key. The caller drops the future once `deadline` has passed, so an answer that
    /// comes later is lost; it must never block the runtime thread.
    fn answer<'a>(&'a self, key: &'a Key<'a>, deadline: Instant) -> Answering<'a>;

    /// The paths on the machine that others lead to, links followed, each none if it leads nowhere; none at all if that is not known by
    /// the deadline. As [`answer`](Self::answer), it never blocks the runtime thread.
    fn real_paths(&self, paths: Vec<String>, _deadline: Instant) -> Looking<'_> {
        Box::pin(async move { Some(vec![None; paths.len()]) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_bad_parameter_by_its_ordinal() {
        assert_eq!(
            Unsupported::invalid_parameter(2).as_str(),
            "Invalid second parameter."
        );
        assert_eq!(
            Unsupported::invalid_parameter(10).as_str(),
            "Invalid parameter."
        );
        assert_eq!(
            Unsupported::invalid_parameter(0).as_str(),
            "Invalid parameter."
        );
    }

    #[test]
    fn every_bad_key_has_the_same_text_on_the_wire() {
        for text in ["", "a b", "a[", "a[]b"] {
            let bad = Key::parse(text).unwrap_err();
            assert_eq!(Unsupported::from(bad), Unsupported::INVALID_FORMAT);
        }
    }

    #[test]
    fn numbers_become_values_as_plain_digits() {
        assert_eq!(Value::from(u64::MAX).as_str(), "18446744073709551615");
        assert_eq!(Value::from(100.0 / 3.0).as_str(), "33.333333");
    }
}
