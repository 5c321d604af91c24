//! Interfaces as rtnetlink(7) tells them (`struct ifinfomsg` and its attributes, linux/if_link.h), in the words of the files of sysfs.
//!
//! What it does not tell as a file does is left to the file: flags (which lack what the kernel adds), speed, duplex, and where names and
//! addresses come from.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::host::parse::{label, signed_of_any_base};
use crate::host::{Device, Dump, attributes, messages};

const HEADER: usize = 16;
const IFF_UP: u32 = 1;
const IFF_DORMANT: u32 = 1 << 17;

const ADDRESS: u16 = 1;
const BROADCAST: u16 = 2;
const NAME: u16 = 3;
const MTU: u16 = 4;
const LINK: u16 = 5;
const QUEUE_LENGTH: u16 = 13;
const OPERATIONAL: u16 = 16;
const LINK_MODE: u16 = 17;
const ALIAS: u16 = 20;
const GROUP: u16 = 27;
const CARRIER: u16 = 33;
const CARRIER_CHANGES: u16 = 35;
const CARRIER_UP: u16 = 47;
const CARRIER_DOWN: u16 = 48;
const KNOWN: usize = 49;

/// RFC 2863's states as the kernel numbers them.
const STATES: [&str; 7] = [
    "unknown",
    "notpresent",
    "down",
    "lowerlayerdown",
    "testing",
    "dormant",
    "up",
];

/// One interface.
#[derive(Debug)]
pub struct Link<'a> {
    hardware: u16,
    /// The number of the interface, which no other has had in this network.
    pub index: i32,
    flags: u32,
    attributes: [Option<&'a [u8]>; KNOWN],
}

/// The interfaces of a dump by name; a message that is cut or makes no sense is none.
pub fn links(dump: &[u8]) -> HashMap<&[u8], Link<'_>, RandomState> {
    messages(dump)
        .filter(|m| m.kind == Dump::Links.answer())
        .filter_map(|m| link(m.body))
        .collect()
}

fn link(body: &[u8]) -> Option<(&[u8], Link<'_>)> {
    let mut link = Link {
        hardware: u16::from_ne_bytes(*body.get(2..)?.first_chunk()?),
        index: i32::from_ne_bytes(*body.get(4..)?.first_chunk()?),
        flags: u32::from_ne_bytes(*body.get(8..)?.first_chunk()?),
        attributes: [None; KNOWN],
    };
    for (kind, value) in attributes(body.get(HEADER..)?) {
        if let Some(place) = link.attributes.get_mut(usize::from(kind)) {
            *place = Some(value);
        }
    }
    let name = link.attribute(NAME)?.split(|b| *b == 0).next()?;
    (!name.is_empty()).then_some((name, link))
}

impl<'a> Link<'a> {
    fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes.get(usize::from(kind)).copied().flatten()
    }

    /// A number of 32 bits as the files write it, which take each for signed.
    fn word(&self, kind: u16) -> Option<i64> {
        let value = self.attribute(kind)?.first_chunk()?;
        Some(i32::from_ne_bytes(*value).into())
    }

    fn byte(&self, kind: u16) -> Option<u8> {
        self.attribute(kind)?.first().copied()
    }

    /// An address as the files write it.
    fn address(&self, kind: u16) -> Option<String> {
        let bytes = self.attribute(kind)?.iter();
        let parts: Vec<_> = bytes.map(|byte| format!("{byte:02x}")).collect();
        Some(parts.join(":"))
    }

    /// The number that a file has; the inner none where reading the file is an error, the outer where only the file knows.
    pub fn number(&self, file: &str) -> Option<Option<i64>> {
        let up = self.flags & IFF_UP != 0;
        let known = match file {
            "carrier" | "dormant" if !up => return Some(None),
            "carrier" => self.byte(CARRIER)?.into(),
            "dormant" => (self.flags & IFF_DORMANT != 0).into(),
            "carrier_changes" => self.word(CARRIER_CHANGES)?,
            "carrier_up_count" => self.word(CARRIER_UP)?,
            "carrier_down_count" => self.word(CARRIER_DOWN)?,
            "ifindex" => self.index.into(),
            "iflink" => self.word(LINK).unwrap_or(self.index.into()),
            "link_mode" => self.byte(LINK_MODE)?.into(),
            "mtu" => self.word(MTU)?,
            "netdev_group" => self.word(GROUP)?,
            "tx_queue_len" => self.word(QUEUE_LENGTH)?,
            "type" => self.hardware.into(),
            _ => return None,
        };
        Some(Some(known))
    }

    /// The text that a file has; none where only the file knows.
    pub fn text(&self, file: &str) -> Option<String> {
        match file {
            "address" => self.address(ADDRESS),
            "broadcast" => self.address(BROADCAST),
            "operstate" => {
                let state = STATES.get(usize::from(self.byte(OPERATIONAL)?))?;
                Some((*state).to_owned())
            }
            "ifalias" => {
                let alias = self.attribute(ALIAS).unwrap_or_default();
                let alias = alias.split(|b| *b == 0).next().unwrap_or_default();
                Some(label(alias.trim_ascii()).into_owned())
            }
            _ => None,
        }
    }

    /// Whether this is the interface whose files these are.
    pub fn is(&self, device: &Device) -> bool {
        let index = device.attribute("ifindex").ok();
        let index = index.and_then(|text| signed_of_any_base(&text));
        let address = device.attribute("address").unwrap_or_default();
        index == Some(self.index.into())
            && self.address(ADDRESS).unwrap_or_default().as_bytes() == address
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(flags: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0, 0];
        body.extend(772u16.to_ne_bytes());
        body.extend(7i32.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.resize(HEADER, 0);
        for (kind, value) in attributes {
            body.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = u32::try_from(16 + body.len())
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        message.extend(Dump::Links.answer().to_ne_bytes());
        message.resize(16, 0);
        [message, body].concat()
    }

    #[test]
    fn what_a_file_refuses_is_nothing_and_what_is_not_told_is_left_to_the_file() {
        let down = message(
            0,
            &[(NAME, b"a\0"), (CARRIER, &[1]), (ADDRESS, &[2, 0, 171])],
        );
        let up = message(
            IFF_UP | IFF_DORMANT,
            &[
                (NAME, b"b\0"),
                (CARRIER, &[1]),
                (LINK, &3i32.to_ne_bytes()),
                (MTU, &u32::MAX.to_ne_bytes()),
                (OPERATIONAL, &[6]),
                (ALIAS, b" up \0"),
            ],
        );
        let dump = [down, up].concat();
        let links = links(&dump);
        let (a, b) = (&links[&b"a"[..]], &links[&b"b"[..]]);
        assert_eq!(
            (a.number("carrier"), a.number("dormant")),
            (Some(None), Some(None))
        );
        assert_eq!(
            (a.number("ifindex"), a.number("iflink")),
            (Some(Some(7)), Some(Some(7)))
        );
        assert_eq!((a.number("mtu"), a.number("speed")), (None, None));
        assert_eq!(a.text("address").as_deref(), Some("02:00:ab"));
        assert_eq!((a.text("broadcast"), a.text("operstate")), (None, None));
        assert_eq!(a.text("ifalias").as_deref(), Some(""));
        assert_eq!(
            (b.number("carrier"), b.number("dormant")),
            (Some(Some(1)), Some(Some(1)))
        );
        assert_eq!(
            (b.number("iflink"), b.number("mtu")),
            (Some(Some(3)), Some(Some(-1)))
        );
        assert_eq!(
            (b.number("type"), b.text("operstate").as_deref()),
            (Some(Some(772)), Some("up"))
        );
        assert_eq!(b.text("ifalias").as_deref(), Some("up"));
    }

    #[test]
    fn what_is_cut_is_no_interface() {
        let whole = message(1, &[(NAME, b"eth0\0")]);
        assert_eq!(links(&whole).len(), 1);
        for end in 0..whole.len() {
            assert!(links(&whole[..end]).is_empty(), "{end}");
        }
        for bad in [message(1, &[]), message(1, &[(NAME, b"\0")])] {
            assert!(links(&bad).is_empty());
        }
    }
}
