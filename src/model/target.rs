//! What is healed, by kind and name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name of a target; systemd allows 255 for a unit, an engine fewer for a container.
const LONGEST: usize = 255;

/// Typed name of what is healed: `unit:web.service`, `container:api`, `service:batch`, `pool:web`, `node`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A systemd unit.
    Unit(String),
    /// A container, by name or id.
    Container(String),
    /// Anything else that has a name; no guard looks at it.
    Service(String),
    /// A load balancer's pool.
    Pool(String),
    /// This machine.
    Node,
}

/// Why a text is no [`Target`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotATarget {
    /// No such kind.
    #[error("{0:?} is no target; write unit:NAME, container:NAME, service:NAME, pool:NAME or node")]
    Kind(String),
    /// A name that no such thing can have.
    #[error("{name:?} cannot be the name of a {kind}: {why}")]
    Name {
        /// The kind.
        kind: &'static str,
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Target {
    /// A target of a kind, its name checked: no blank, slash or control character, no leading dash or dot, at most 255 bytes; a unit
    /// with its suffix.
    ///
    /// # Errors
    /// [`NotATarget`].
    pub fn new(kind: &str, name: &str) -> Result<Self, NotATarget> {
        let (kind, make): (&'static str, fn(String) -> Self) = match kind {
            "unit" => ("unit", Self::Unit),
            "container" => ("container", Self::Container),
            "service" => ("service", Self::Service),
            "pool" => ("pool", Self::Pool),
            other => return Err(NotATarget::Kind(other.to_owned())),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.@:\\".contains(&b);
        let why = match name {
            "" => Some("it is empty"),
            _ if name.len() > LONGEST => Some("it is longer than 255 bytes"),
            _ if name.starts_with(['-', '.']) => Some("it begins with a dash or a dot"),
            _ if !name.bytes().all(allowed) => {
                Some("only letters, digits and -_.@:\\ may stand in it")
            }
            _ if kind == "unit" && !name.contains('.') => {
                Some("a unit has a suffix, such as .service")
            }
            _ => None,
        };
        match why {
            Some(why) => Err(NotATarget::Name {
                kind,
                name: name.chars().take(LONGEST).collect(),
                why,
            }),
            None => Ok(make(name.to_owned())),
        }
    }

    /// Its kind, as it stands in the config.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unit(_) => "unit",
            Self::Container(_) => "container",
            Self::Service(_) => "service",
            Self::Pool(_) => "pool",
            Self::Node => "node",
        }
    }

    /// Its name; empty for the node.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Unit(name) | Self::Container(name) | Self::Service(name) | Self::Pool(name) => {
                name
            }
            Self::Node => "",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.write_str("node"),
            named => write!(f, "{}:{}", named.kind(), named.name()),
        }
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        match text.split_once(':') {
            Some((kind, name)) => Self::new(kind, name),
            None if text == "node" => Ok(Self::Node),
            None => Err(NotATarget::Kind(text.chars().take(LONGEST).collect())),
        }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_and_reads_each_kind() {
        for text in [
            "unit:web.service",
            "unit:getty@tty1.service",
            "container:api",
            "service:batch",
            "pool:web",
            "node",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_could_be_a_path_an_option_or_two_words() {
        for text in [
            "unit:web",
            "unit:-x.service",
            "unit:a/b.service",
            "unit:a b.service",
            "unit:",
            "unit:..service",
            "container:a\nb",
            "service:\u{e9}",
            "disk:a",
            "web.service",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text:?}");
        }
        assert!(Target::new("unit", &format!("{}.service", "x".repeat(300))).is_err());
    }
}
