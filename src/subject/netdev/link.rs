//! Parsers of what rtnetlink(7) tells of interfaces (`struct ifinfomsg`, `struct rtnl_link_stats64` of
//! linux/if_link.h), and how far their addresses reach.
//!
//! A message that is cut or makes no sense is no interface.

use std::net::IpAddr;

use super::parse::COLUMNS;
use crate::host::{Dump, attributes, messages};

/// Counters of `struct rtnl_link_stats64`, up to `rx_nohandler`.
pub const COUNTERS: usize = 24;
const LINK_HEADER: usize = 16;
const IFLA_IFNAME: u16 = 3;
const IFLA_IFALIAS: u16 = 20;
const IFLA_STATS64: u16 = 23;

/// One interface.
#[derive(Debug, PartialEq, Eq)]
pub struct Link<'a> {
    /// Its number.
    pub index: u32,
    /// Its name.
    pub name: &'a [u8],
    /// Its alias, often empty.
    pub alias: &'a [u8],
    /// Its counters; some links have none.
    pub counters: Option<[u64; COUNTERS]>,
}

/// The interfaces of a dump, in the order of the kernel.
pub fn links(dump: &[u8]) -> impl Iterator<Item = Link<'_>> {
    messages(dump)
        .filter(|m| m.kind == Dump::Links.answer())
        .filter_map(|m| link(m.body))
}

fn link(body: &[u8]) -> Option<Link<'_>> {
    let mut link = Link {
        index: u32::from_ne_bytes(*body.get(4..)?.first_chunk()?),
        name: b"",
        alias: b"",
        counters: None,
    };
    for (kind, value) in attributes(body.get(LINK_HEADER..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_IFALIAS => link.alias = text(value),
            IFLA_STATS64 => link.counters = Some(counters(value)),
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// Text up to its end mark.
fn text(value: &[u8]) -> &[u8] {
    value.split(|b| *b == 0).next().unwrap_or_default()
}

/// Kernels before 4.6 tell fewer: then the last are 0.
fn counters(value: &[u8]) -> [u64; COUNTERS] {
    let mut counters = [0; COUNTERS];
    for (counter, bytes) in counters.iter_mut().zip(value.as_chunks().0) {
        *counter = u64::from_ne_bytes(*bytes);
    }
    counters
}

/// The columns /proc/net/dev has for the same interface (`dev_seq_printf_stats` of the kernel).
#[must_use]
pub fn columns(counters: &[u64; COUNTERS]) -> [u64; COLUMNS] {
    let [
        rx_packets,
        tx_packets,
        rx_bytes,
        tx_bytes,
        rx_errors,
        tx_errors,
        rx_dropped,
        tx_dropped,
        multicast,
        collisions,
        rx_length,
        rx_over,
        rx_crc,
        rx_frame,
        rx_fifo,
        rx_missed,
        tx_aborted,
        tx_carrier,
        tx_fifo,
        tx_heartbeat,
        tx_window,
        rx_compressed,
        tx_compressed,
        _,
    ] = *counters;
    let sum = |parts: [u64; 4]| parts.iter().fold(0u64, |a, b| a.wrapping_add(*b));
    [
        rx_bytes,
        rx_packets,
        rx_errors,
        rx_dropped.wrapping_add(rx_missed),
        rx_fifo,
        sum([rx_length, rx_over, rx_crc, rx_frame]),
        rx_compressed,
        multicast,
        tx_bytes,
        tx_packets,
        tx_errors,
        tx_dropped,
        tx_fifo,
        collisions,
        sum([tx_carrier, tx_aborted, tx_window, tx_heartbeat]),
        tx_compressed,
    ]
}

/// How far an address reaches, in the words of the reference.
#[must_use]
pub fn scope(address: IpAddr) -> &'static str {
    let (link_local, interface_local, special) = match address.to_canonical() {
        IpAddr::V4(a) => {
            let [first, second, third, _] = a.octets();
            let multicast = first == 224 && second == 0 && third == 0;
            (
                a.is_loopback() || a.is_link_local() || multicast,
                false,
                a.is_unspecified() || a.is_multicast() || a.is_broadcast(),
            )
        }
        IpAddr::V6(a) => {
            let [first, ..] = a.segments();
            (
                a.is_loopback() || first & 0xffc0 == 0xfe80 || first & 0xff0f == 0xff02,
                first & 0xff0f == 0xff01,
                a.is_unspecified() || a.is_multicast(),
            )
        }
    };
    match (link_local, interface_local, special) {
        (true, ..) => "link-local",
        (_, true, _) => "interface-local",
        (_, _, true) => "",
        _ => "global",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut out = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        out.extend(value);
        out.resize(out.len().next_multiple_of(4), 0);
        out
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
    fn a_link_has_its_name_alias_and_as_many_counters_as_the_kernel_knows() {
        let counters: Vec<u8> = (1..=23u64).flat_map(u64::to_ne_bytes).collect();
        let mut body = vec![0; 4];
        body.extend(7u32.to_ne_bytes());
        body.extend([0; 8]);
        body.extend(attribute(IFLA_IFNAME, b"eth0\0"));
        body.extend(attribute(IFLA_IFALIAS, b"uplink\0"));
        body.extend(attribute(IFLA_STATS64, &counters));
        body.extend(attribute(99, b"new"));
        let dump = [message(16, &body), message(16, b"cut"), message(3, &[0; 4])].concat();
        let links: Vec<_> = links(&dump).collect();
        let [link] = &links[..] else {
            panic!("one link: {links:?}");
        };
        assert_eq!(
            (link.index, link.name, link.alias),
            (7, &b"eth0"[..], &b"uplink"[..])
        );
        let counters = link.counters.unwrap();
        assert_eq!((counters[0], counters[22], counters[23]), (1, 23, 0));
        assert_eq!(
            columns(&counters),
            [
                3,
                1,
                5,
                7 + 16,
                15,
                11 + 12 + 13 + 14,
                22,
                9,
                4,
                2,
                6,
                8,
                19,
                10,
                18 + 17 + 21 + 20,
                23
            ]
        );
    }

    #[test]
    fn scopes_are_those_of_the_reference() {
        for (address, expected) in [
            ("127.0.0.1", "link-local"),
            ("169.254.3.4", "link-local"),
            ("224.0.0.1", "link-local"),
            ("224.0.1.1", ""),
            ("255.255.255.255", ""),
            ("0.0.0.0", ""),
            ("10.0.0.1", "global"),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff02::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("ff05::1", ""),
            ("fd00::1", "global"),
            ("2001:db8::1", "global"),
        ] {
            assert_eq!(scope(address.parse().unwrap()), expected, "{address}");
        }
    }
}
