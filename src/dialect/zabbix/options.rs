//! The `zabbix` section of the config: passive checks, active checks and what both tell of this host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::active::target::{self, Unusable};
use super::active::trapper;
use super::key::Key;
use super::rules::{NotARule, Rule, Rules};
use crate::dialect::spool;
use crate::model::duration::Period;
use crate::net::address::{Address, AddressError};
use crate::net::allow::{AllowList, BadEntry};
use crate::net::tls::{Fault, mutual};

/// In the place of a Zabbix agent: passive checks (`listen`: a Zabbix server or proxy asks) and active checks (`server_active`:
/// nodeward asks what to collect, and brings it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Addresses with ports to answer on, such as `10.0.0.7:10050`, or `:10050` for all addresses
    /// (10050 is the port Zabbix asks unless told otherwise). Default: none, and nothing listens.
    pub listen: Vec<String>,
    /// Who may ask: IP addresses, networks (`10.0.0.0/8`) and host names of Zabbix servers and
    /// proxies. `0.0.0.0/0` is any IPv4 address, `::/0` any address. Needed when `listen` is given.
    pub server: Vec<String>,
    /// Encryption of both: of who asks, and of connections to servers. Default: none, all is plain.
    pub tls: Option<mutual::Options>,
    /// How long a request may take to arrive, a value to be gathered and an answer to be sent; a
    /// 7.0 server gives its own time for gathering with each check. From 1s to 10m; default 3s.
    pub timeout: Period,
    /// Servers and proxies that are asked what to collect, and are brought it: `10.0.0.5`, `zabbix.example:20051`, `[2001:db8::5]:10051`
    /// (10051 is the port of servers unless told otherwise). Each has a session of its own. Nodes of one cluster, or proxies of one
    /// group, stand in one entry with `;` between them: one that answers is used. Default: none.
    pub server_active: Vec<String>,
    /// The name of this host as it is written on the Zabbix server: up to 128 letters, digits,
    /// spaces and `.`, `_`, `-`. Default: the value of `hostname_item`, else the name of the node.
    pub hostname: Option<String>,
    /// A key whose value at the start is the name of this host, where there is no `hostname`: `system.hostname[shorthost]`, say.
    /// Default: none.
    pub hostname_item: Option<String>,
    /// What `agent.hostmetadata` answers, for autoregistration: up to 2034 bytes; servers of 6.0 take 255. Default: empty.
    pub host_metadata: String,
    /// A key whose value is told in the place of `host_metadata`, each time anew. Default: none.
    pub host_metadata_item: Option<String>,
    /// The address or name under which the server is to register this host, up to 255 bytes. Default: empty, and the server takes the
    /// address that the connection comes from.
    pub host_interface: String,
    /// A key whose value is told in the place of `host_interface`, each time anew. Default: none.
    pub host_interface_item: Option<String>,
    /// How often the list of active checks is asked for, from 1s to 1d. Default: 5s from servers that tell whether it changed (7.0), 2m
    /// from others.
    pub refresh_active_checks: Option<Period>,
    /// How often a server is told that this host lives, up to 1h; only servers that tell a revision of their config (7.0) are. 0s tells
    /// nobody. Default: 1m.
    pub heartbeat: Period,
    /// How long a value waits for others before it is brought, from 1s to 1h. Default: 5s.
    pub buffer_send: Period,
    /// How many values wait in memory for each server; once half as many wait for a server that is away, they go to the spool.
    /// From 2 to 65535; default 1000.
    pub buffer_size: u16,
    /// Values that a server has not taken yet, on the disk: a directory for each server in `zabbix-spool` below the state directory.
    /// Without a state directory they wait in memory (`buffer_size`).
    pub spool: spool::Options,
    /// Which keys may be asked, passively and actively, the agent's own included: the first rule that fits decides, and what none fits
    /// may be asked. Paths are held against rules with `..` and links resolved. Default: none.
    pub rules: Vec<Rule>,
    /// Values of nodeward's own that it brings by itself, to trapper items: `{}` for the usual ones. Default: none.
    pub trapper: Option<trapper::Options>,
    /// How many connections may be open at once; further ones are closed. From 1 to 65535;
    /// default 256.
    pub connections: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            server: Vec::new(),
            tls: None,
            timeout: Period::secs(3),
            server_active: Vec::new(),
            hostname: None,
            hostname_item: None,
            host_metadata: String::new(),
            host_metadata_item: None,
            host_interface: String::new(),
            host_interface_item: None,
            refresh_active_checks: None,
            heartbeat: Period::secs(60),
            buffer_send: Period::secs(5),
            buffer_size: 1000,
            spool: spool::Options::default(),
            rules: Vec::new(),
            trapper: None,
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
    /// A fault of `tls`.
    #[error("tls.{0}")]
    Tls(Fault),
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
    /// An entry of `server_active` cannot be used.
    #[error("server_active {0}")]
    Active(Unusable),
    /// A text where a key belongs.
    #[error("{0} {1:?}: {2}")]
    Item(&'static str, String, super::key::NotAKey),
    /// `host_interface` too long.
    #[error("host_interface has {0} bytes; at most 255 are allowed")]
    Interface(usize),
    /// `refresh_active_checks` out of range.
    #[error("refresh_active_checks {0} is out of range; it may be from 1s to 1d")]
    Refresh(Period),
    /// `heartbeat` out of range.
    #[error("heartbeat {0} is out of range; it may be from 1s to 1h, or 0s for none")]
    Heartbeat(Period),
    /// `buffer_send` out of range.
    #[error("buffer_send {0} is out of range; it may be from 1s to 1h")]
    BufferSend(Period),
    /// `buffer_size` out of range.
    #[error("buffer_size is {0}; at least 2 values have to fit")]
    BufferSize(u16),
    /// A fault of `spool`.
    #[error("spool.{0}: {1}")]
    Spool(&'static str, &'static str),
    /// A rule that is none.
    #[error("rules: {0}")]
    Rules(NotARule),
    /// A fault of `trapper`.
    #[error("trapper.{0}: {1}")]
    Trapper(&'static str, String),
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
        let tls = self.tls.iter();
        let tls = tls.flat_map(|tls| tls.check(!self.listen.is_empty(), self.is_active()));
        invalid.extend(tls.map(Invalid::Tls));
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
        self.check_active(&mut invalid);
        if invalid.is_empty() {
            Ok(())
        } else {
            Err(invalid)
        }
    }
}

impl Options {
    fn check_active(&self, invalid: &mut Vec<Invalid>) {
        let servers = target::check(&self.server_active);
        invalid.extend(servers.into_iter().map(Invalid::Active));
        for (name, item) in [
            ("hostname_item", &self.hostname_item),
            ("host_metadata_item", &self.host_metadata_item),
            ("host_interface_item", &self.host_interface_item),
        ] {
            let wrong = item
                .as_ref()
                .and_then(|text| Some((text, Key::parse(text).err()?)));
            invalid.extend(wrong.map(|(text, why)| Invalid::Item(name, text.clone(), why)));
        }
        if self.host_interface.len() > 255 {
            invalid.push(Invalid::Interface(self.host_interface.len()));
        }
        let day = Period::secs(1)..=Period::secs(86_400);
        if let Some(refresh) = self.refresh_active_checks.filter(|p| !day.contains(p)) {
            invalid.push(Invalid::Refresh(refresh));
        }
        let hour = Period::secs(1)..=Period::secs(3600);
        if self.heartbeat != Period::secs(0) && !hour.contains(&self.heartbeat) {
            invalid.push(Invalid::Heartbeat(self.heartbeat));
        }
        if !hour.contains(&self.buffer_send) {
            invalid.push(Invalid::BufferSend(self.buffer_send));
        }
        if self.buffer_size < 2 {
            invalid.push(Invalid::BufferSize(self.buffer_size));
        }
        invalid.extend(Rules::new(&self.rules).err().map(Invalid::Rules));
        let trapper = self.trapper.iter();
        let trapper = trapper.flat_map(|trapper| trapper.check(&self.server_active));
        invalid.extend(trapper.map(|(key, why)| Invalid::Trapper(key, why)));
        invalid.extend(
            self.spool
                .check()
                .map(|(key, why)| Invalid::Spool(key, why)),
        );
    }

    /// How connections to servers are protected, if they are.
    pub fn client(&self) -> Option<mutual::Client> {
        let tls = self.tls.clone();
        tls.filter(|tls| {
            tls.connect
                .is_some_and(|kind| kind != mutual::Kind::Unencrypted)
        })
        .map(mutual::Client::new)
    }

    /// How an agent is asked that takes what is taken here, if that is protected.
    pub fn asking(&self) -> Option<mutual::Client> {
        let mut tls = self.tls.clone()?;
        if tls.accepts(mutual::Kind::Unencrypted) {
            return None;
        }
        tls.connect = tls.accept.first().copied();
        // These are the server's, and who answers here shows a certificate of its own.
        (tls.server_cert_issuer, tls.server_cert_subject) = (None, None);
        Some(mutual::Client::new(tls))
    }

    /// Whether any server is brought values.
    pub const fn is_active(&self) -> bool {
        !self.server_active.is_empty() || self.trapper.is_some()
    }
}

/// Whether a Zabbix server could have a host of this name.
pub fn is_hostname(name: &str) -> bool {
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
                "hostname":"a/b","connections":0,"server_active":["a","http://b","c;a:10051"],"hostname_item":"a b",
                "refresh_active_checks":"2d","heartbeat":"2h","buffer_send":"0s","buffer_size":1,"spool":{"keep":"1s"},
                "trapper":{"servers":["http://c","d","d:10051"],"keys":["system.uptime","nodeward.x["],"interval":"0s"}}"#,
        )
        .unwrap();
        let texts: Vec<_> = options
            .check()
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        let parts = [
            "10050",
            "unix:/run/x",
            "/33",
            "a b",
            "11m",
            "a/b",
            "connections is 0",
            "http://b",
            "c;a:10051",
            "hostname_item",
            "2d",
            "2h",
            "buffer_send",
            "buffer_size",
            "http://c",
            "trapper.servers: \"d:10051\" stands there twice",
            "system.uptime",
            "nodeward.x[",
            "trapper.interval",
            "spool.keep",
        ];
        assert_eq!(texts.len(), parts.len(), "{texts:?}");
        for (text, part) in texts.iter().zip(parts) {
            assert!(text.contains(part), "{text}");
        }
    }
}
