//! The list of kinds of notifiers, and the config's choice among them.

use super::Kind;

macro_rules! notifiers {
    ($($name:ident: $variant:ident($options:ty) $about:literal;)*) => {
        /// Who is told: exactly one kind.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum To {
            $(#[doc = $about] $variant($options),)*
        }

        /// The kinds there are.
        pub static KINDS: &[&str] = &[$(stringify!($name)),*];

        impl To {
            /// Its kind, as it stands in the config.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => stringify!($name),)*
                }
            }

            /// Its options.
            #[must_use]
            pub fn options(&self) -> &dyn Kind {
                match self {
                    $(Self::$variant(options) => options,)*
                }
            }
        }
    };
}

notifiers! {
    syslog: Syslog(super::syslog::Syslog) "A syslog server or SIEM (RFC 5424), or the local socket.";
    webhook: Webhook(super::webhook::Webhook) "A web server that takes a POST of JSON.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_in_the_list_is_the_key_in_the_config() {
        let to: To = serde_json::from_str(r#"{"syslog": {"address": "local"}}"#).unwrap();
        assert_eq!(to.kind(), "syslog");
        let schema = serde_json::to_string(&schemars::schema_for!(To)).unwrap();
        for kind in KINDS {
            assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
        }
    }
}
