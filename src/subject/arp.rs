//! Neighbours by interface (ARP): rtnetlink(7), or /proc/net/arp (proc(5)).

use std::collections::{BTreeMap, HashMap};

use super::filter::{Filter, pattern};
use super::netdev::link;
use crate::dialect::prometheus::{Declared, Page};
use crate::host::parse::{fields, label, lines};
use crate::host::{Dump, Pass, ReadError, messages};
use crate::model::pattern::Pattern;
use crate::subject::{Absent, Asker, Flag, Invalid, ItemError, Machine, Subject, Taken};

/// The subject.
pub struct Arp {
    filter: Filter,
    /// Whether netlink is asked: it is wanted, and tells of the machine read.
    linked: bool,
}

/// Options of neighbours.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Interfaces to tell, all others left out; not together with `device_exclude`. Default: all.
    pub device_include: Option<Pattern>,
    /// Interfaces not to tell; not together with `device_include`. Default: none.
    pub device_exclude: Option<Pattern>,
    /// Read neighbours by netlink; /proc/net/arp is read where it is not allowed, and for a machine whose network is not
    /// ours. Default: true.
    pub netlink: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device_include: None,
            device_exclude: None,
            netlink: true,
        }
    }
}

crate::families! { Arp:
    ENTRIES gauge "node_arp_entries" ["device"] "Neighbours known by ARP";
}

/// How many there are on each interface.
pub type Reading = BTreeMap<Box<str>, u64>;

/// Neighbours that need no ARP.
const NOARP: u16 = 0x40;

/// Number of the interface of a message about a neighbour (`ndmsg`); none if it needs no ARP.
fn neighbour(body: &[u8]) -> Option<u32> {
    let index = u32::from_ne_bytes(*body.get(4..)?.first_chunk()?);
    let state = u16::from_ne_bytes(*body.get(8..)?.first_chunk()?);
    (state & NOARP == 0).then_some(index)
}

fn told(pass: &mut Pass<'_>) -> Result<Reading, ReadError> {
    let names = pass.dump(Dump::Links)?;
    let names: HashMap<u32, &[u8]> = link::links(&names).map(|l| (l.index, l.name)).collect();
    let dump = pass.dump(Dump::Neighbours)?;
    let all = messages(&dump).filter(|m| m.kind == Dump::Neighbours.answer());
    let mut reading = Reading::new();
    for index in all.filter_map(|m| neighbour(m.body)) {
        if let Some(name) = names.get(&index) {
            *reading.entry(label(name).into()).or_default() += 1;
        }
    }
    Ok(reading)
}

/// More lines that cannot be read are not told one by one.
const MOST_BAD: usize = 100;

/// The entries of /proc/net/arp by interface; a line that is none joins `errors`.
pub fn entries(text: &[u8], errors: &mut Vec<ItemError>) -> Reading {
    let mut reading = Reading::new();
    for line in lines(text) {
        let parts: Vec<&[u8]> = fields(line).collect();
        match parts[..] {
            [b"IP", ..] => {}
            [_, _, _, _, _, device] => *reading.entry(label(device).into()).or_default() += 1,
            _ if errors.len() < MOST_BAD => {
                errors.push(ItemError::new("line", line, "not six columns"));
            }
            _ => {}
        }
    }
    reading
}

impl Subject for Arp {
    const NAME: &'static str = "arp";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.arp.device-include",
            "Interfaces to tell, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_include = p),
        ),
        Flag::value(
            "collector.arp.device-exclude",
            "Interfaces not to tell, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        ),
        Flag::switch(
            "collector.arp.netlink",
            "Read neighbours by netlink instead of /proc/net/arp",
            |o: &mut Options, v| {
                o.netlink = v == "true";
                Ok(())
            },
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    type Options = Options;
    type Want = ();
    type Reading = Reading;

    fn new(options: &Options, machine: &Machine) -> Result<Self, Invalid> {
        let (include, exclude) = (&options.device_include, &options.device_exclude);
        Ok(Self {
            filter: Filter::new(
                Self::NAME,
                "device",
                include.as_ref(),
                exclude.as_ref(),
                None,
            )?,
            linked: options.netlink && machine.host.shares_network(),
        })
    }

    fn want(_: &Options, _: Asker) {}

    fn read(&mut self, pass: &mut Pass<'_>, (): &()) -> Result<Taken<Reading>, Absent> {
        let mut errors = Vec::new();
        let mut refused = None;
        let mut reading = match self.linked.then(|| told(pass)) {
            Some(Ok(reading)) => reading,
            other => {
                refused = other.and_then(Result::err);
                entries(&pass.net_file("arp")?, &mut errors)
            }
        };
        reading.retain(|device, _| self.filter.passes(device));
        let mut taken = Taken::lacking(reading, errors);
        // The file says the same: nothing is lacking.
        let refused = refused.map(|e| ItemError::new("netlink", b"dump", e.to_string()));
        taken.errors.extend(refused);
        Ok(taken)
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let mut samples = page.family(&ENTRIES);
        for (device, count) in reading {
            samples.push([device], *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_by_interface() {
        let text = "IP address HW type Flags HW address Mask Device\n10.0.0.1 0x1 0x2 00:00 * eth0\n10.0.0.2 0x1 0x0 00:00 * eth0\n\
                    10.0.0.3 0x1 0x2 00:00 * br0\n10.0.0.4 0x1 0x2 00:00 *\n\n";
        let mut errors = Vec::new();
        let read = entries(text.as_bytes(), &mut errors);
        assert_eq!(
            read.into_iter().collect::<Vec<_>>(),
            [("br0".into(), 1), ("eth0".into(), 2)]
        );
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn a_neighbour_that_needs_no_arp_is_none() {
        let mut body = [0u8; 12];
        body[4] = 7;
        assert_eq!(neighbour(&body), Some(7));
        body[8] = 0x40;
        assert_eq!(neighbour(&body), None);
        assert_eq!(neighbour(&body[..9]), None);
    }
}
