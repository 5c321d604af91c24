//! What proves to a server who asks: the header `Authorization`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::secret::Secret;

/// A name and a password (RFC 7617).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The name, without a colon.
    pub username: String,
    /// The file that holds the password.
    #[serde(skip_serializing)]
    pub password_file: Secret,
}

impl Basic {
    /// Whether its name can be sent: a colon would begin the password.
    #[must_use]
    pub fn has_name(&self) -> bool {
        !self.username.is_empty() && !self.username.contains(':')
    }

    /// The value of the header.
    #[must_use]
    pub fn authorization(&self) -> Secret {
        let pair = format!("{}:{}", self.username, self.password_file.reveal());
        Secret::new(format!("Basic {}", STANDARD.encode(pair)))
    }
}

/// The value of the header for a token (RFC 6750).
#[must_use]
pub fn bearer(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.reveal()))
}

/// Whether a token can be sent in a header.
#[must_use]
pub fn is_token(token: &Secret) -> bool {
    token.reveal().bytes().all(|b| b.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_the_rfcs_write_it() {
        // RFC 7617 section 2, RFC 6750 section 2.1.
        let basic = Basic {
            username: "Aladdin".into(),
            password_file: Secret::new("open sesame"),
        };
        let sent = basic.authorization();
        assert_eq!(sent.reveal(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(bearer(&Secret::new("mF_9.B5f")).reveal(), "Bearer mF_9.B5f");
        assert!(!is_token(&Secret::new("two words")));
    }
}
