//! What the machine is called on the network: addresses of its interfaces (`struct ifaddrmsg` of rtnetlink(7)), and its
//! full name in /etc/hosts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::Netlink;
use super::parse::{fields, lines, unsigned};
use super::{Dump, Host, Root, attributes, messages};

const HEADER: usize = 8;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// One address of an interface.
#[derive(Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// Number of the interface.
    pub index: u32,
    /// The address; of a point-to-point link the near one.
    pub address: IpAddr,
    /// Length of its prefix in bits.
    pub prefix: u8,
}

impl Host {
    /// The addresses of the machine's interfaces, now; none where its network is out of reach.
    #[must_use]
    pub fn addresses(&self) -> Vec<IpAddr> {
        if !self.shares_network() {
            return Vec::new();
        }
        let mut netlink = Netlink::ROUTE;
        let dump = netlink.dump(Dump::Addresses).unwrap_or_default();
        interface_addresses(&dump).map(|a| a.address).collect()
    }

    /// The full name of `hostname`: itself if it has a dot, else the first name with a dot on its line in /etc/hosts.
    /// The resolver is not asked: it can take long, and lie.
    #[must_use]
    pub fn full_name(&self, hostname: &str) -> Option<String> {
        if hostname.contains('.') {
            return Some(hostname.to_owned());
        }
        let hosts = std::fs::read(self.roots().dir(Root::Rootfs).join("etc/hosts")).ok()?;
        full_name(&hosts, hostname)
    }
}

/// The port of a service by its name or an alias, of whatever protocol: /etc/services of the machine we run on (services(5)).
#[must_use]
pub fn service_port(name: &str) -> Option<u16> {
    service(&std::fs::read("/etc/services").ok()?, name.as_bytes())
}

fn service(services: &[u8], name: &[u8]) -> Option<u16> {
    lines(services).find_map(|line| {
        let line = line.split(|b| *b == b'#').next()?;
        let (mut first, mut second) = (fields(line), fields(line).skip(1));
        let port = second.next()?.split(|b| *b == b'/').next()?;
        (first.next() == Some(name) || second.any(|alias| alias == name))
            .then(|| u16::try_from(unsigned(port)?).ok())?
    })
}

/// The full name of `hostname` in the text of hosts(5).
fn full_name(hosts: &[u8], hostname: &str) -> Option<String> {
    lines(hosts).find_map(|line| {
        let line = line.split(|b| *b == b'#').next()?;
        let names: Vec<_> = fields(line).skip(1).collect();
        let is_ours = |name: &&[u8]| name.eq_ignore_ascii_case(hostname.as_bytes());
        names.iter().find(|name| is_ours(name))?;
        let full = names.into_iter().find(|name| name.contains(&b'.'))?;
        String::from_utf8(full.to_vec()).ok()
    })
}

/// The addresses of a dump, in the order of the kernel. A message that is cut or makes no sense is none.
pub fn interface_addresses(dump: &[u8]) -> impl Iterator<Item = InterfaceAddress> {
    messages(dump)
        .filter(|m| m.kind == Dump::Addresses.answer())
        .filter_map(|m| address(m.body))
}

fn address(body: &[u8]) -> Option<InterfaceAddress> {
    let [family, prefix, ..] = *body.first_chunk::<2>()?;
    let index = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
    let (mut far, mut near) = (None, None);
    for (kind, value) in attributes(body.get(HEADER..)?) {
        match kind {
            IFA_ADDRESS => far = ip(family, value),
            IFA_LOCAL => near = ip(family, value),
            _ => {}
        }
    }
    Some(InterfaceAddress {
        index,
        address: near.or(far)?,
        prefix,
    })
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(*value.first_chunk::<4>()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(*value.first_chunk::<16>()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: [u8; 4]) -> Vec<u8> {
        [&8u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value].concat()
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 16).unwrap();
        let mut out = length.to_ne_bytes().to_vec();
        out.extend(kind.to_ne_bytes());
        out.extend([0; 10]);
        out.extend(body);
        out
    }

    #[test]
    fn an_address_is_the_near_one_if_there_are_two() {
        let mut body = vec![AF_INET, 24, 0, 0];
        body.extend(2u32.to_ne_bytes());
        body.extend(attribute(IFA_ADDRESS, [10, 0, 0, 2]));
        let far = message(20, &body);
        body.extend(attribute(IFA_LOCAL, [10, 0, 0, 1]));
        let dump = [far, message(20, &body), message(20, &[0; 8])].concat();
        let all: Vec<_> = interface_addresses(&dump)
            .map(|a| a.address.to_string())
            .collect();
        assert_eq!(all, ["10.0.0.2", "10.0.0.1"]);
    }

    #[test]
    fn the_machine_has_its_loopback_address() {
        let addresses = Host::default().addresses();
        assert!(
            addresses.contains(&Ipv4Addr::LOCALHOST.into()),
            "{addresses:?}"
        );
    }

    #[test]
    fn a_service_has_a_port_by_its_name_or_alias() {
        let services = b"# x 1/tcp\nhttp\t80/tcp www # web\nbad\nhttps 443/tcp\n";
        let port = |name: &str| service(services, name.as_bytes());
        assert_eq!(
            (port("http"), port("www"), port("https")),
            (Some(80), Some(80), Some(443))
        );
        assert_eq!(
            (port("web"), port("bad"), port("80/tcp")),
            (None, None, None)
        );
    }

    #[test]
    fn the_full_name_is_the_one_with_a_dot_beside_the_host_name() {
        let hosts = b"127.0.0.1 localhost localhost.localdomain\n# 1 web-1.no web-1\n\
            127.0.1.1\tWEB-1 web-1.example.com # web-1.comment\n10.0.0.2 web-2\n";
        assert_eq!(full_name(hosts, "web-1").unwrap(), "web-1.example.com");
        assert_eq!(full_name(hosts, "web-2"), None);
        assert_eq!(full_name(hosts, "web-3"), None);
        assert_eq!(
            Host::default().full_name("a.example.org").unwrap(),
            "a.example.org"
        );
    }
}
