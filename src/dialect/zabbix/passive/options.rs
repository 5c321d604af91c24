//! The part of the config that concerns passive checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::duration::Period;
use crate::net::address::{Address, AddressError};
use crate::net::allow::{AllowList, BadEntry};

/// Passive checks of the Zabbix agent protocol: nodeward listens and a Zabbix server or proxy asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Addresses with ports to answer on, such as `10.0.0.7:10050`, or `:10050` for all addresses
    /// (10050 is the port Zabbix asks unless told otherwise). Default: none, and nothing listens.
    pub listen: Vec<String>,
    /// Who may ask: IP addresses, networks (`10.0.0.0/8`) and host names of Zabbix servers and
    /// proxies. `0.0.0.0/0` is any IPv4 address, `::/0` any address. Needed when `listen` is given.
    pub server: Vec<String>,
    /// How long a request may take to arrive, a value to be gathered and an answer to be sent; a
    /// 7.0 server gives its own time for gathering with each check. From 1s to 10m; default 3s.
    pub timeout: Period,
    /// The name of this host as it is written on the Zabbix server: up to 128 letters, digits,
    /// spaces and `.`, `_`, `-`. Default: the name of the node.
    pub hostname: Option<String>,
    /// What `agent.hostmetadata` answers, for autoregistration: up to 2034 bytes. Default: empty.
    pub host_metadata: String,
    /// How many connections may be open at once; further ones are closed. From 1 to 65535;
    /// default 256.
    pub connections: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            server: Vec::new(),
            timeout: Period::secs(3),
            hostname: None,
            host_metadata: String::new(),
            connections: 256,
        }
    }
}

/// Why options cannot be used. Each text names its key below `zabbix`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An entry of `listen` is no address.
    #[error(transparent)]
    Listen(#[from] AddressError),
    /// An entry of `listen` is a Unix socket.
    #[error("listen {0:?}: Zabbix servers ask over TCP only; write an address and a port")]
    Unix(String),
    /// `listen` without `server`.
    #[error("server is empty, so nobody could ask; list the addresses of your Zabbix servers")]
    NoServer,
    /// A bad entry of `server`.
    #[error("server {0}")]
    Server(#[from] BadEntry),
    /// `timeout` out of range.
    #[error("timeout {0} is out of range; it may be from 1s to 10m")]
    Timeout(Period),
    /// `hostname` that no Zabbix server could know.
    #[error(
        "hostname {0:?} cannot be a host on a Zabbix server: \
         1 to 128 letters, digits, spaces, '.', '_' and '-' are allowed"
    )]
    Hostname(String),
    /// `host_metadata` too long.
    #[error("host_metadata has {0} bytes; at most 2034 are allowed")]
    Metadata(usize),
    /// `connections` is 0.
    #[error("connections is 0; at least 1 is needed to answer anybody")]
    Connections,
}

impl Options {
    /// Checks across the fields.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the fields.
    pub fn check(&self) -> Result<(), Vec<Invalid>> {
        let mut invalid = Vec::new();
        for entry in &self.listen {
            match entry.parse() {
                Ok(Address::Unix(_)) => invalid.push(Invalid::Unix(entry.clone())),
                Ok(_) => {}
                Err(error) => invalid.push(Invalid::Listen(error)),
            }
        }
        if self.server.is_empty() && !self.listen.is_empty() {
            invalid.push(Invalid::NoServer);
        }
        if let Err(bad) = AllowList::parse(&self.server) {
            invalid.extend(bad.into_iter().map(Invalid::Server));
        }
        if !(Period::secs(1)..=Period::secs(600)).contains(&self.timeout) {
            invalid.push(Invalid::Timeout(self.timeout));
        }
        if let Some(name) = self.hostname.as_ref().filter(|name| !is_hostname(name)) {
            invalid.push(Invalid::Hostname(name.clone()));
        }
        if self.host_metadata.len() > 2034 {
            invalid.push(Invalid::Metadata(self.host_metadata.len()));
        }
        if self.connections == 0 {
            invalid.push(Invalid::Connections);
        }
        if invalid.is_empty() {
            Ok(())
        } else {
            Err(invalid)
        }
    }
}

fn is_hostname(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-".contains(&byte);
    (1..=128).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_listens_by_default_and_that_is_fine() {
        let options: Options = serde_json::from_str("{}").unwrap();
        assert_eq!(options, Options::default());
        assert!(options.listen.is_empty());
        assert_eq!(options.check(), Ok(()));
    }

    #[test]
    fn listening_for_nobody_is_an_error() {
        let options: Options = serde_json::from_str(r#"{"listen":["[::]:10050"]}"#).unwrap();
        assert_eq!(options.check(), Err(vec![Invalid::NoServer]));
    }

    #[test]
    fn every_fault_is_named_in_one_go() {
        let options: Options = serde_json::from_str(
            r#"{"listen":["10050","unix:/run/x"],"server":["127.0.0.1/33","a b"],"timeout":"11m",
                "hostname":"a/b","connections":0}"#,
        )
        .unwrap();
        let texts: Vec<_> = options
            .check()
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(texts.len(), 7, "{texts:?}");
        for (text, part) in
            texts
                .iter()
                .zip(["10050", "unix:/run/x", "/33", "a b", "11m", "a/b", "0"])
        {
            assert!(text.contains(part), "{text}");
        }
    }
}
