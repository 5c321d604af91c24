//! Names of backends and servers.

use std::fmt;
use std::str::FromStr;

/// Longest name taken, in bytes.
const LONGEST: usize = 255;

/// The name of a backend or a server as HAProxy's config allows one (configuration manual section 2.2): ASCII letters, digits, `-`, `_`,
/// `.` and `:`, at most 255 of them. So none can hold another command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be a name in HAProxy, which allows letters, digits, -, _, . and :, at most {LONGEST}; write it as it stands after \
     `backend` or `server` in HAProxy's config"
)]
pub struct NotAName(String);

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if (1..=LONGEST).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAName(text.chars().take(LONGEST).collect()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
