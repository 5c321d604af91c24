//! The keys that are about the agent itself: `agent.ping` and its kin.
//!
//! Owns their names and answers. They need no reading, so they are answered before anything else
//! and never wait: `agent.ping` tells that the process lives even while every subject hangs.
//!
//! The surprising decision: the version. Servers from 7.0 decide by the `version` of a reply how
//! they talk to its sender, and take nothing below 7.0; so replies carry [`PROTOCOL`], the version
//! of the protocol spoken, never nodeward's own. `agent.version` starts with it, because templates
//! and scripts compare what stands there with Zabbix versions, and then says who is really there.

use super::answer::Unsupported;
use super::key::Key;

/// The version of the agent protocol spoken, as Zabbix counts.
pub const PROTOCOL: &str = "7.0.0";
/// The kind of agent: 2, as agent 2 answers. 1 would be the classic agent.
pub const VARIANT: u8 = 2;

/// What `agent.version` answers.
pub const VERSION: &str = concat!("7.0.0 (nodeward ", env!("CARGO_PKG_VERSION"), ")");

/// Every key of this module, in the order of the documentation.
pub const KEYS: [&str; 5] = [
    "agent.ping",
    "agent.hostname",
    "agent.version",
    "agent.variant",
    "agent.hostmetadata",
];

/// What the agent says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The host's name, as it is written on the server.
    pub hostname: String,
    /// Free text for autoregistration; may be empty.
    pub metadata: String,
}

impl Agent {
    /// Answers a key about the agent; None for any other key.
    pub fn answer(&self, key: &Key<'_>) -> Option<Result<&str, Unsupported>> {
        let value = match key.name().strip_prefix("agent.")? {
            "ping" => "1",
            "hostname" => &self.hostname,
            "version" => VERSION,
            "variant" => "2",
            "hostmetadata" => &self.metadata,
            _ => return None,
        };
        Some(match key.count() {
            0 => Ok(value),
            _ => Err(Unsupported::NO_PARAMETERS),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(key: &str) -> Option<Result<String, Unsupported>> {
        let agent = Agent {
            hostname: "web 1".to_owned(),
            metadata: "linux".to_owned(),
        };
        let answer = agent.answer(&Key::parse(key).unwrap())?;
        Some(answer.map(str::to_owned))
    }

    #[test]
    fn answers_every_key_it_lists() {
        let values: Vec<_> = KEYS.iter().map(|key| ask(key).unwrap().unwrap()).collect();
        assert_eq!(values, ["1", "web 1", VERSION, "2", "linux"]);
        assert!(VERSION.starts_with(PROTOCOL));
        assert_eq!(VARIANT.to_string(), ask("agent.variant").unwrap().unwrap());
    }

    #[test]
    fn takes_no_parameters_not_even_an_empty_one() {
        for key in KEYS {
            let empty = ask(&format!("{key}[]"));
            assert_eq!(empty, Some(Err(Unsupported::NO_PARAMETERS)), "{key}");
        }
    }

    #[test]
    fn leaves_every_other_key_to_others() {
        for key in [
            "agent.pin",
            "Agent.ping",
            "agent.",
            "system.uptime",
            "agent.ping.x",
        ] {
            assert_eq!(ask(key), None, "{key}");
        }
    }
}
