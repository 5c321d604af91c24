//! Network interfaces and connections: rtnetlink or /proc/net/dev, and the TCP sockets of the machine.
//!
//! Owns what is counted of each interface, and how many TCP sockets are in each state. It never reads the
//! configuration of an interface for its own sake (speed, carrier): that is `netclass`. Interfaces are told in the
//! order of the kernel; the device patterns concern Prometheus alone, as the other two dialects know no such choice.
//! Netlink is asked only for a page, which alone tells more than the file has: the file is cheaper to read.

mod details;
pub mod link;
mod otlp;
pub mod parse;
mod prometheus;
mod read;
#[cfg(test)]
mod tests;
mod zabbix;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::Pass;
use crate::model::pattern::Pattern;
use crate::subject::filter::{Filter, pattern};
use crate::subject::{
    Absent, Asker, Flag, Invalid, Item, Machine, Past, Subject, Taken, Want as Wanted,
};

use details::Details;
use link::COUNTERS;
use parse::{COLUMNS, STATES};

/// The subject.
pub struct Netdev {
    filter: Filter,
    /// Whether what netlink tells is about the machine read.
    own_network: bool,
}

/// Options of network interfaces.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Interfaces to tell Prometheus, all others left out; not together with `device_exclude`. Default: all.
    pub device_include: Option<Pattern>,
    /// Interfaces not to tell Prometheus; not together with `device_include`. Default: none.
    pub device_exclude: Option<Pattern>,
    /// Read interfaces for Prometheus by netlink, which tells packets without a handler too; /proc/net/dev is read
    /// where it is not allowed, and for a machine whose network is not ours. Default: true.
    pub netlink: bool,
    /// Tell Prometheus each error counter of the kernel under its own name instead of the sums of /proc/net/dev.
    /// Default: false.
    pub detailed_metrics: bool,
    /// Tell Prometheus the addresses of each interface of our own network. Default: false.
    pub address_info: bool,
    /// Tell Prometheus the alias of each interface with every number, as label `ifalias`. Default: false.
    pub label_ifalias: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            device_include: None,
            device_exclude: None,
            netlink: true,
            detailed_metrics: false,
            address_info: false,
            label_ifalias: false,
        }
    }
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    interfaces: Vec<Interface>,
    connections: Option<[u64; STATES.len()]>,
    addresses: Vec<Address>,
}

/// An address of an interface.
#[derive(Debug)]
struct Address {
    device: Box<str>,
    address: Box<str>,
    prefix: Box<str>,
    scope: &'static str,
}

/// What is counted of one interface.
#[derive(Debug)]
struct Interface {
    name: Box<str>,
    /// Whether the device patterns let Prometheus see it.
    shown: bool,
    /// The columns of /proc/net/dev.
    columns: [u64; COLUMNS],
    /// The counters netlink told, if it was asked.
    counters: Option<Box<[u64; COUNTERS]>>,
    /// Its alias, if it was asked for.
    alias: Box<str>,
    /// What sysfs says of it, if that was asked for.
    details: Option<Box<Details>>,
}

/// What to read beside the interfaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// The states of TCP sockets.
    connections: bool,
    /// What only netlink tells of an interface.
    counters: bool,
    /// Aliases.
    aliases: bool,
    /// Addresses.
    addresses: bool,
    /// What sysfs says of each interface.
    details: bool,
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        self.connections |= other.connections;
        self.counters |= other.counters;
        self.aliases |= other.aliases;
        self.addresses |= other.addresses;
        self.details |= other.details;
    }

    fn covers(&self, other: &Self) -> bool {
        self.connections >= other.connections
            && self.counters >= other.counters
            && self.aliases >= other.aliases
            && self.addresses >= other.addresses
            && self.details >= other.details
    }
}

fn on(value: &str) -> bool {
    value == "true"
}

impl Subject for Netdev {
    const NAME: &'static str = "netdev";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::value(
            "collector.netdev.device-include",
            "Interfaces to tell, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_include = p),
        ),
        Flag::value(
            "collector.netdev.device-exclude",
            "Interfaces not to tell, a regular expression",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        ),
        Flag::value(
            "collector.netdev.device-whitelist",
            "Old name of device-include",
            |o: &mut Options, v| pattern(v).map(|p| o.device_include = p),
        )
        .old_name_of("collector.netdev.device-include"),
        Flag::value(
            "collector.netdev.device-blacklist",
            "Old name of device-exclude",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        )
        .old_name_of("collector.netdev.device-exclude"),
        Flag::switch(
            "collector.netdev.enable-detailed-metrics",
            "Tell each error counter under its own name",
            |o: &mut Options, v| {
                o.detailed_metrics = on(v);
                Ok(())
            },
        ),
        Flag::switch(
            "collector.netdev.netlink",
            "Read interfaces by netlink instead of /proc/net/dev",
            |o: &mut Options, v| {
                o.netlink = on(v);
                Ok(())
            },
        ),
        Flag::switch(
            "collector.netdev.address-info",
            "Tell the addresses of interfaces",
            |o: &mut Options, v| {
                o.address_info = on(v);
                Ok(())
            },
        ),
        Flag::switch(
            "collector.netdev.label-ifalias",
            "Tell the alias of an interface with every number",
            |o: &mut Options, v| {
                o.label_ifalias = on(v);
                Ok(())
            },
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = prometheus::FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = otlp::INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Want;
    type Reading = Reading;

    fn new(options: &Options, machine: &Machine) -> Result<Self, Invalid> {
        Ok(Self {
            filter: Filter::new(
                Self::NAME,
                "device",
                options.device_include.as_ref(),
                options.device_exclude.as_ref(),
                None,
            )?,
            own_network: machine.host.shares_network(),
        })
    }

    fn want(options: &Options, asker: Asker) -> Want {
        let page = asker == Asker::Prometheus;
        Want {
            connections: asker == Asker::Otlp,
            counters: page && options.netlink,
            aliases: page && options.label_ifalias,
            addresses: page && options.address_info,
            details: false,
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        self.take(pass, *want)
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(options, reading, page);
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        otlp::tell(past.now, batch);
    }
}
