//! Why a Zabbix server does not see this host.
//!
//! Goes the way of active checks, a step at a time, to each server, and looks at what passive checks would meet: the list of who may ask, and
//! who answers at the port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::app::{BadSettings, House, Settings};
use crate::dialect::zabbix::active::target::{Target, shown};
use crate::dialect::zabbix::active::wire::{Failure, Wire};
use crate::dialect::zabbix::agent::{PROTOCOL, VARIANT, VERSION};
use crate::dialect::zabbix::options::Options;
use crate::model::moment::Timestamp;
use crate::net::address::Address;
use crate::net::allow::AllowList;
use crate::net::connect::connect;
use crate::net::endpoint::Place;
use crate::net::resolve::Resolver;
use crate::net::tls::mutual::Kind;

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many seconds clocks may be apart.
const APART: u64 = 5;

/// This host, to servers.
struct Patient<'a> {
    options: &'a Options,
    name: String,
    resolver: Resolver,
    found: Vec<Finding>,
}

/// Looks at all that the config has of Zabbix.
pub(super) fn look(
    runtime: &Runtime,
    settings: &Settings,
) -> Result<Option<Vec<Finding>>, BadSettings> {
    let options = &settings.config.zabbix;
    if options.listen.is_empty() && !options.is_active() {
        return Ok(None);
    }
    runtime.block_on(async {
        let house = Arc::new(House::build(settings)?);
        let named = house.named(options).await;
        let server = house.passive(&named, Arc::default());
        let server = server.map_err(BadSettings::Config)?;
        let mut patient = Patient {
            options,
            name: server.values().hostname().to_owned(),
            resolver: Resolver::default(),
            found: Vec::new(),
        };
        let trapper = options.trapper.iter();
        let trapper = trapper.flat_map(|own| own.targets(&options.server_active));
        let mut seen: Vec<Place> = Vec::new();
        for text in options.server_active.iter().chain(trapper) {
            let asked = options.server_active.contains(text);
            // What is none was refused with the config.
            for node in Target::parse(text).iter().flat_map(Target::nodes) {
                if !seen.contains(node) {
                    seen.push(node.clone());
                    patient.server(node, asked).await;
                }
            }
        }
        patient.allowed().await;
        for text in &options.listen {
            if let Ok(address) = text.parse() {
                patient.listener(text, &address).await;
            }
        }
        Ok(Some(patient.found))
    })
}

impl Patient<'_> {
    fn note(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// The way to a server; the steps behind one that is ill are not taken.
    async fn server(&mut self, place: &Place, asked: bool) {
        let at = shown(place);
        let Place::Tcp { host, port } = place else {
            return;
        };
        let deadline = Instant::now() + PATIENCE;
        let addresses = match self.resolver.lookup(host, *port, deadline).await {
            Ok(addresses) => addresses,
            Err(error) => {
                let said = format!("server {at}: its name is not found: {error}");
                let change = "the name in zabbix.server_active, or what the name servers or /etc/hosts say of it";
                return self.note(Finding::ill(said, change));
            }
        };
        if host.parse::<IpAddr>().is_err() {
            let all: Vec<String> = addresses.iter().map(|at| at.ip().to_string()).collect();
            self.note(Finding::well(format!(
                "server {at}: its name leads to {}",
                all.join(", ")
            )));
        }
        let stream = match connect(place, Instant::now() + PATIENCE, &self.resolver).await {
            Ok(stream) => stream,
            Err(error) => {
                let said = format!("server {at}: cannot connect: {error}");
                let change = "the port in zabbix.server_active (servers and proxies take values at 10051, ListenPort there), or a firewall between; does the server run?";
                return self.note(Finding::ill(said, change));
            }
        };
        self.note(Finding::well(format!("server {at}: the port is reached")));
        let client = self.options.client();
        if let Some(client) = &client {
            let shaken = timeout_at(Instant::now() + PATIENCE, client.connect(stream)).await;
            let why = match shaken {
                Ok(Ok(_)) => None,
                Ok(Err(refusal)) => Some(refusal.to_string()),
                Err(_) => Some("no end of the handshake in time".to_owned()),
            };
            if let Some(why) = why {
                let said = format!("server {at}: TLS is not agreed: {why}");
                return self.note(Finding::ill(said, self.encryption()));
            }
            self.note(Finding::well(format!("server {at}: TLS is agreed")));
        }
        let wire = Wire::new(self.resolver.clone(), PATIENCE, client);
        if asked {
            self.known(&at, place, &wire).await;
        }
        self.clock(&at, place, &wire).await;
    }

    /// What to change where the two ends do not agree on how to protect a connection.
    fn encryption(&self) -> String {
        let tls = self.options.tls.as_ref();
        let same = match tls.and_then(|tls| tls.connect) {
            Some(Kind::Psk) => {
                "that zabbix.tls.psk_identity and the key in psk_file are those of this host there"
            }
            Some(Kind::Cert) => {
                "that zabbix.tls.ca_file holds the authority of the server's certificate, server_cert_issuer and server_cert_subject are its own, and the server's TLSCAFile that of cert_file"
            }
            _ => "that zabbix.tls.connect is what the host takes",
        };
        format!(
            "look at the host on the server (Encryption, \"Connections from host\"), and {same}"
        )
    }

    /// Whether the server knows this host: what it answers when it is asked for active checks.
    async fn known(&mut self, at: &str, place: &Place, wire: &Wire) {
        let (name, metadata) = (&self.name, &self.options.host_metadata);
        let mut request = json!({
            "request": "active checks", "host": name, "version": PROTOCOL, "variant": VARIANT,
        });
        if let Some(request) = request.as_object_mut().filter(|_| !metadata.is_empty()) {
            request.insert("host_metadata".into(), json!(metadata));
        }
        let answer = wire.ask(place, request.to_string().as_bytes()).await;
        let answer: Value = match answer {
            Ok(body) => serde_json::from_slice(&body).unwrap_or_default(),
            Err(failure) => {
                let change = match failure {
                    Failure::Tls(_) => self.encryption(),
                    _ => format!(
                        "whether {at} is a Zabbix server or proxy (agents have 10050), and takes connections as zabbix.tls.connect has them"
                    ),
                };
                let said =
                    format!("server {at}: no answer to a request for active checks: {failure}");
                return self.note(Finding::ill(said, change));
            }
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        let info = text("info");
        let finding = match text("response") {
            "success" => {
                let many = answer
                    .get("data")
                    .and_then(Value::as_array)
                    .map_or(0, Vec::len);
                Finding::well(format!(
                    "server {at}: it knows the host {name:?}, and asks for {many} active items"
                ))
            }
            "failed" if info.contains("not found") => Finding::ill(
                format!("server {at}: it says {info:?}"),
                format!(
                    "make a host there whose \"Host name\" is {name:?} letter by letter, or set zabbix.hostname to the name that it has; or have the server register hosts by themselves (zabbix.host_metadata)"
                ),
            ),
            "failed" if info.contains("not allowed") => {
                Finding::ill(format!("server {at}: it says {info:?}"), self.encryption())
            }
            "failed" if info.contains("not monitored") => Finding::ill(
                format!("server {at}: it says {info:?}"),
                "enable the host there, or name the server or proxy in zabbix.server_active that watches it",
            ),
            "failed" if answer.get("redirect").is_some() => Finding::well(format!(
                "server {at}: it knows the host {name:?}, and names another proxy of its group"
            )),
            "failed" => Finding::ill(
                format!("server {at}: it says {info:?}"),
                "the host there, as the server says",
            ),
            _ => Finding::ill(
                format!("server {at}: what it answers is no answer of a Zabbix server"),
                "the port in zabbix.server_active: servers and proxies take values at 10051",
            ),
        };
        self.note(finding);
    }

    /// How far the server's clock is from ours, where it tells: it stamps values by ours.
    async fn clock(&mut self, at: &str, place: &Place, wire: &Wire) {
        let stats = br#"{"request":"zabbix.stats"}"#;
        let answer = wire.ask(place, stats).await.ok();
        let now = Timestamp::now().seconds();
        let answer = answer.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        let data = answer.as_ref().and_then(|answer| answer.get("data"));
        let number = |key: &str| data.and_then(|data| data.get(key)?.as_u64());
        let Some((boot, uptime)) = number("boottime").zip(number("uptime")) else {
            let said = format!(
                "server {at}: it does not tell its clock to this host (StatsAllowedIP there would allow it); values carry the time of this host"
            );
            return self.note(Finding::hidden(said));
        };
        let theirs = boot.saturating_add(uptime);
        let apart = theirs.abs_diff(now);
        self.note(match apart <= APART {
            true => Finding::well(format!("server {at}: the clocks are {apart} s apart")),
            false => Finding::ill(
                format!("server {at}: its clock is {apart} s {} ours", match theirs > now {
                    true => "ahead of",
                    false => "behind",
                }),
                "the clock that is wrong: values are stamped here, and triggers with nodata() go by the server's clock",
            ),
        });
    }

    /// Whether the servers that are brought values might ask as well.
    async fn allowed(&mut self) {
        if self.options.listen.is_empty() {
            return;
        }
        let deadline = Instant::now() + PATIENCE;
        for entry in &self.options.server {
            let is_name = !entry.contains(['/', ':']) && entry.parse::<IpAddr>().is_err();
            if is_name && let Err(error) = self.resolver.lookup(entry, 0, deadline).await {
                let said = format!("zabbix.server: {entry:?} is not found: {error}");
                let change = "the name in zabbix.server: who has it is refused until it is found";
                self.found.push(Finding::ill(said, change));
            }
        }
        let Ok(list) = AllowList::parse(&self.options.server) else {
            return;
        };
        for text in &self.options.server_active {
            for node in Target::parse(text).iter().flat_map(Target::nodes) {
                let Place::Tcp { host, port } = node else {
                    continue;
                };
                // A name that is not found is told on the way to it.
                let Ok(found) = self.resolver.lookup(host, *port, deadline).await else {
                    continue;
                };
                let mut refused = Vec::new();
                for address in &found {
                    if !list
                        .allows(address.ip(), &self.resolver, deadline.into_std())
                        .await
                    {
                        refused.push(address.ip().to_string());
                    }
                }
                // One of its addresses is enough: the others may be of a protocol that it does not ask by.
                let finding = match refused.len() == found.len() && !found.is_empty() {
                    false => Finding::well(format!("server {}: it may ask passively", shown(node))),
                    true => Finding::ill(
                        format!(
                            "server {}: zabbix.server does not list {}, so that its passive checks would be refused",
                            shown(node),
                            refused.join(", ")
                        ),
                        "add the address that the server asks from to zabbix.server",
                    ),
                };
                self.found.push(finding);
            }
        }
    }

    /// Who answers where nodeward is to listen.
    async fn listener(&mut self, text: &str, address: &Address) {
        let (host, port) = match address {
            Address::All(port) => (Ipv4Addr::LOCALHOST.to_string(), *port),
            Address::Ip(at) if at.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                (Ipv6Addr::LOCALHOST.to_string(), at.port())
            }
            Address::Ip(at) if at.ip().is_unspecified() => {
                (Ipv4Addr::LOCALHOST.to_string(), at.port())
            }
            Address::Ip(at) => (at.ip().to_string(), at.port()),
            Address::Name { host, port } => (host.clone(), *port),
            Address::Unix(_) | Address::Passed => return,
        };
        let away =
            |entry: &String| !entry.starts_with("127.") && entry != "::1" && entry != "localhost";
        let near = matches!(address, Address::Ip(at) if at.ip().is_loopback());
        if near && self.options.server.iter().any(away) {
            self.note(Finding::ill(
                format!("listen {text}: nobody but this machine reaches it, while zabbix.server lists others"),
                "the address in zabbix.listen: `:10050` for all addresses",
            ));
        }
        let place = Place::Tcp { host, port };
        if let Err(error) = connect(&place, Instant::now() + PATIENCE, &self.resolver).await {
            return self.note(Finding::ill(
                format!("listen {text}: nobody listens there: {error}"),
                "start nodeward with this config (systemctl status nodeward, or its log, says why it does not run)",
            ));
        }
        let asking = self.options.asking();
        let wire = Wire::new(self.resolver.clone(), PATIENCE, asking);
        let version = wire.ask(&place, b"agent.version").await;
        let said = match version {
            Ok(version) => wire.ask(&place, b"agent.hostname").await.map(|name| {
                [version, name].map(|said| String::from_utf8_lossy(&said).into_owned())
            }),
            Err(failure) => Err(failure),
        };
        let change = "stop the agent that has the port, and start nodeward with this config";
        self.note(match said {
            Err(Failure::Tls(refusal)) => Finding::ill(
                format!("listen {text}: somebody listens there with whom TLS is not agreed: {refusal}"),
                "look whether nodeward was started with this zabbix.tls, or an agent with another key or certificate has the port",
            ),
            Err(failure) => Finding::hidden(format!(
                "listen {text}: somebody listens there and does not answer this machine itself, which zabbix.server may not list: {failure}"
            )),
            Ok([version, name]) if [&version, &name].iter().any(|s| s.starts_with("ZBX_NOTSUPPORTED")) => {
                Finding::hidden(format!(
                    "listen {text}: an agent answers there, and does not say which"
                ))
            }
            Ok([version, _]) if version != VERSION => Finding::ill(
                format!("listen {text}: another agent answers there, of version {version:?}"),
                change,
            ),
            Ok([_, name]) if name != self.name => Finding::ill(
                format!("listen {text}: another agent answers there, as {name:?}"),
                change,
            ),
            Ok([_, name]) => Finding::well(format!("listen {text}: nodeward answers there as {name:?}")),
        });
    }
}
