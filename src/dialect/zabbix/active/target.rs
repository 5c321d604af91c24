//! Which servers are asked: the entries of `server_active`.

use std::fmt;

use crate::net::endpoint::{Place, decimal, host_name};

/// The port of servers and proxies for what agents bring.
pub const PORT: u16 = 10051;
/// More nodes of one cluster are refused.
const MOST_NODES: usize = 32;

/// One server, or the nodes of one cluster with `;` between them: one of them answers at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    name: String,
    nodes: Vec<Place>,
}

/// Why a text is no [`Target`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no server: write a name or an address, with :PORT if it is not {PORT}; IPv6 with a port in brackets; nodes of one cluster with ; between them"
)]
pub struct NotATarget(String);

/// Why an entry of a list of servers cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no server.
    #[error(transparent)]
    NotATarget(#[from] NotATarget),
    /// One server twice: each would take the other's numbers for its own.
    #[error("{0:?} stands there twice; keep one")]
    Twice(String),
}

/// What is wrong with a list of servers, in its order.
pub fn check(texts: &[String]) -> Vec<Unusable> {
    let (mut known, mut wrong) = (Vec::<Place>::new(), Vec::new());
    for text in texts {
        match Target::parse(text) {
            Ok(target) if target.nodes.iter().any(|node| known.contains(node)) => {
                wrong.push(Unusable::Twice(text.clone()));
            }
            Ok(target) => known.extend(target.nodes),
            Err(error) => wrong.push(error.into()),
        }
    }
    wrong
}

impl Target {
    /// Reads an entry.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, NotATarget> {
        let wrong = || NotATarget(text.chars().take(120).collect());
        let nodes: Option<Vec<Place>> = text.split(';').map(|node| place(node.trim())).collect();
        let nodes = nodes
            .filter(|nodes| nodes.len() <= MOST_NODES)
            .ok_or_else(wrong)?;
        let name = nodes.iter().map(shown).collect::<Vec<_>>().join(";");
        Ok(Self { name, nodes })
    }

    /// Its one spelling.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nodes, in the order in which they are tried.
    pub fn nodes(&self) -> &[Place] {
        &self.nodes
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// `name`, `name:port`, `v4:port`, `v6`, `[v6]:port`.
pub(super) fn place(text: &str) -> Option<Place> {
    let bare = |host: &str| Some((host.to_owned(), PORT));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            match port.strip_prefix(':') {
                Some(port) => Some((host.to_owned(), decimal(port)?)),
                None if port.is_empty() => bare(host),
                None => None,
            }
        }
        None if text.parse::<std::net::Ipv6Addr>().is_ok() => bare(text),
        None => match text.split_once(':') {
            Some((host, port)) => Some((host.to_owned(), decimal(port)?)),
            None => bare(text),
        },
    }?;
    let good = host.parse::<std::net::IpAddr>().is_ok() || host_name(&host);
    (good && port > 0).then_some(Place::Tcp { host, port })
}

/// A place as it is written.
pub fn shown(place: &Place) -> String {
    match place {
        Place::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        Place::Tcp { host, port } => format!("{host}:{port}"),
        Place::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_a_port_of_their_own_and_clusters_several_nodes() {
        for (text, name) in [
            ("10.0.0.5", "10.0.0.5:10051"),
            ("zabbix.example:20051", "zabbix.example:20051"),
            ("::1", "[::1]:10051"),
            ("[2001:db8::1]", "[2001:db8::1]:10051"),
            ("[2001:db8::1]:30051", "[2001:db8::1]:30051"),
            ("a; b:1;[::1]:2", "a:10051;b:1;[::1]:2"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.name(), name);
            assert_eq!(Target::parse(name).as_ref(), Ok(&target));
        }
        let long = "a;".repeat(40);
        for text in [
            "", ";", "a;", "a:0", "a:65536", "a:b", "[a]:1", "[::1", "[::1]x", "http://a", "a b",
            "a,b", &long,
        ] {
            let said = Target::parse(text).unwrap_err().to_string();
            assert!(said.contains("is no server"), "{said}");
        }
    }
}
