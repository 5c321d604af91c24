//! Which alerts are this machine's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::alert::Alert;

/// Labels and the values of which one makes an alert ours. Empty: the default of [`Ours`].
pub type Matching = BTreeMap<String, Vec<String>>;

/// Labels that name a machine, in Prometheus, in Kubernetes and of Zabbix.
const LABELS: [&str; 5] = ["instance", "host", "hostname", "node", "ip"];

/// Tells alerts of this machine from those of others.
#[derive(Debug, Clone)]
pub struct Ours {
    matching: Matching,
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl Ours {
    /// By `matching`: an alert is ours if one of these labels has one of its values, exactly. Without it: if one of the
    /// labels instance, host, hostname, node and ip is one of `names` (in any case, also up to its first dot) or of
    /// `addresses`, with or without a port. Names and addresses that every machine has, such as localhost and
    /// 127.0.0.1, are nobody's.
    #[must_use]
    pub fn new<'a>(
        matching: &Matching,
        names: impl IntoIterator<Item = &'a str>,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let mut all = BTreeSet::new();
        for name in names {
            let name = plain(name);
            if let Some((short, _)) = name.split_once('.') {
                all.insert(short.to_owned());
            }
            all.insert(name);
        }
        all.retain(|name| !matches!(name.as_str(), "" | "localhost" | "localhost.localdomain"));
        let addresses = addresses.into_iter().map(|a| a.to_canonical());
        Self {
            matching: matching.clone(),
            names: all,
            addresses: addresses.filter(is_of_one_machine).collect(),
        }
    }

    /// Whether an alert is this machine's.
    #[must_use]
    pub fn is(&self, alert: &Alert) -> bool {
        if self.matching.is_empty() {
            let values = LABELS.iter().filter_map(|name| alert.labels.get(*name));
            return values.into_iter().any(|value| self.names_us(value));
        }
        self.matching.iter().any(|(name, values)| {
            let value = alert.labels.get(name);
            value.is_some_and(|value| values.contains(value))
        })
    }

    /// What an alert needs to be this machine's, in words.
    #[must_use]
    pub fn wants(&self) -> String {
        if self.matching.is_empty() {
            let addresses = self.addresses.iter().map(ToString::to_string);
            let known: Vec<String> = self.names.iter().cloned().chain(addresses).collect();
            return format!(
                "one of the labels {} to be {}",
                LABELS.join(", "),
                known.join(" or ")
            );
        }
        let wanted = self.matching.iter();
        let wanted = wanted.map(|(label, values)| format!("{label} to be one of {values:?}"));
        wanted.collect::<Vec<_>>().join(", or ")
    }

    fn names_us(&self, value: &str) -> bool {
        let host = without_port(value.trim());
        match host.parse::<IpAddr>() {
            Ok(address) => self.addresses.contains(&address.to_canonical()),
            Err(_) => self.names.contains(&plain(host)),
        }
    }
}

/// A host's name as it is compared (RFC 4343): the case is nothing, nor is the dot of the root.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// `web-1:9100`, `10.0.0.7:9100`, `[fd00::7]:9100`, `fd00::7`: the part that is the host.
fn without_port(value: &str) -> &str {
    if let Some((host, _)) = value.strip_prefix('[').and_then(|v| v.split_once(']')) {
        return host;
    }
    match value.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            host
        }
        _ => value,
    }
}

fn is_of_one_machine(address: &IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    !(address.is_loopback() || address.is_unspecified() || link_local)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heal::intake::{Kind, Severities};

    fn alert(labels: serde_json::Value) -> Alert {
        let body = serde_json::json!({"alerts": [
            {"status": "firing", "labels": labels, "startsAt": "2026-11-22T16:43:32Z"}
        ]});
        let kind = Kind::Alertmanager;
        let read = kind.read("x", body.to_string().as_bytes(), &Severities::of(kind));
        read.unwrap().alerts.remove(0)
    }

    fn ours(matching: &Matching) -> Ours {
        let addresses = ["10.0.0.7", "fd00::7", "127.0.0.1", "::1", "fe80::1"];
        Ours::new(
            matching,
            ["Web-1.example.com", "localhost"],
            addresses.map(|a| a.parse().unwrap()),
        )
    }

    #[test]
    fn by_default_names_and_addresses_of_the_machine_count_with_or_without_a_port() {
        let ours = ours(&Matching::new());
        for (label, value, expected) in [
            ("instance", "web-1:9100", true),
            ("instance", "WEB-1.Example.com.", true),
            ("instance", "10.0.0.7:9100", true),
            ("instance", "[fd00::7]:9100", true),
            ("instance", "fd00::7", true),
            ("instance", "::ffff:10.0.0.7", true),
            ("host", "web-1", true),
            ("hostname", "web-1", true),
            ("node", "web-1.example.com", true),
            ("ip", "10.0.0.7", true),
            ("pod", "web-1", false),
            ("instance", "web-10:9100", false),
            ("instance", "web-1.example.org", false),
            ("instance", "10.0.0.70:9100", false),
            ("instance", "http://web-1:9100", false),
            ("instance", "web-1:http", false),
            // Everybody is called so.
            ("instance", "localhost:9100", false),
            ("instance", "127.0.0.1:9100", false),
            ("instance", "[::1]:9100", false),
            ("ip", "fe80::1", false),
            ("instance", ":9100", false),
        ] {
            let alert = alert(serde_json::json!({"alertname": "x", label: value}));
            assert_eq!(ours.is(&alert), expected, "{label}={value}");
        }
    }

    #[test]
    fn what_the_config_lists_takes_the_place_of_the_default() {
        let matching = Matching::from([
            ("instance".into(), vec!["localhost:9100".into()]),
            ("service".into(), vec!["a".into(), "b".into()]),
        ]);
        let ours = ours(&matching);
        let is = |labels| ours.is(&alert(labels));
        assert!(is(serde_json::json!({"instance": "localhost:9100"})));
        assert!(is(serde_json::json!({"instance": "else", "service": "b"})));
        assert!(!is(serde_json::json!({"instance": "web-1:9100"})));
        assert!(!is(serde_json::json!({"service": "B"})));
    }
}
