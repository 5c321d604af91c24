//! Network interfaces and connections: /proc/net/dev, /proc/net/tcp and tcp6.
//!
//! Owns what is counted of each interface, and how many TCP sockets are in each state. It never reads the
//! configuration of an interface for its own sake (speed, carrier): that is `netclass`. Interfaces are told in the
//! order of the kernel; the device patterns concern Prometheus alone, as the other two dialects know no such choice.

mod otlp;
pub mod parse;
mod prometheus;
mod zabbix;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::{Pass, parse::label};
use crate::model::pattern::Pattern;
use crate::subject::{
    Absent, Asker, Flag, Invalid, Item, Machine, Past, Subject, Taken, Want as Wanted,
};

use parse::{COLUMNS, STATES};

/// The subject.
pub struct Netdev {
    include: Option<Pattern>,
    exclude: Option<Pattern>,
}

/// Options of network interfaces.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Interfaces to tell Prometheus, all others left out; not together with `device_exclude`. Default: all.
    pub device_include: Option<Pattern>,
    /// Interfaces not to tell Prometheus; not together with `device_include`. Default: none.
    pub device_exclude: Option<Pattern>,
    /// Tell Prometheus each error counter of the kernel under its own name instead of the sums of /proc/net/dev.
    /// Default: false.
    pub detailed_metrics: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    interfaces: Vec<Interface>,
    connections: Option<[u64; STATES.len()]>,
}

/// What is counted of one interface.
#[derive(Debug)]
struct Interface {
    name: Box<str>,
    /// Whether the device patterns let Prometheus see it.
    shown: bool,
    /// The columns of /proc/net/dev.
    columns: [u64; COLUMNS],
}

/// What to read beside the interfaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Want {
    /// The states of TCP sockets.
    connections: bool,
}

impl Wanted for Want {
    fn merge(&mut self, other: &Self) {
        self.connections |= other.connections;
    }

    fn covers(&self, other: &Self) -> bool {
        self.connections || !other.connections
    }
}

/// A pattern, with the empty one taken for none, as the flags mean it.
fn given(pattern: Option<&Pattern>) -> Option<Pattern> {
    pattern.filter(|p| !p.as_str().is_empty()).cloned()
}

fn pattern(text: &str) -> Result<Option<Pattern>, String> {
    Pattern::new(text).map(Some).map_err(|e| e.to_string())
}

impl Netdev {
    fn shows(&self, name: &str) -> bool {
        self.exclude.as_ref().is_none_or(|p| !p.matches(name))
            && self.include.as_ref().is_none_or(|p| p.matches(name))
    }

    fn connections(pass: &mut Pass<'_>) -> Option<[u64; STATES.len()]> {
        let files = ["tcp", "tcp6"].map(|name| pass.net_file(name));
        if files.iter().all(Result::is_err) {
            return None;
        }
        let mut states = [0; STATES.len()];
        for text in files.iter().flatten() {
            parse::sockets(text, &mut states);
        }
        Some(states)
    }
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
        .hidden(),
        Flag::value(
            "collector.netdev.device-blacklist",
            "Old name of device-exclude",
            |o: &mut Options, v| pattern(v).map(|p| o.device_exclude = p),
        )
        .hidden(),
        Flag::switch(
            "collector.netdev.enable-detailed-metrics",
            "Tell each error counter under its own name",
            |o: &mut Options, v| {
                o.detailed_metrics = v == "true";
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

    fn new(options: &Options, _: &Machine) -> Result<Self, Invalid> {
        let include = given(options.device_include.as_ref());
        let exclude = given(options.device_exclude.as_ref());
        if include.is_some() && exclude.is_some() {
            return Err(Invalid {
                subject: Self::NAME,
                why: "device_include and device_exclude cannot both be set; remove one".into(),
            });
        }
        Ok(Self { include, exclude })
    }

    fn want(_: &Options, asker: Asker) -> Want {
        Want {
            connections: asker == Asker::Otlp,
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Want) -> Result<Taken<Reading>, Absent> {
        let text = pass.net_file("dev")?;
        let (rows, errors) = parse::interfaces(&text);
        let interfaces = rows
            .into_iter()
            .map(|row| {
                let name = label(row.name);
                Interface {
                    shown: self.shows(&name),
                    name: name.into(),
                    columns: row.columns,
                }
            })
            .collect();
        Ok(Taken {
            reading: Reading {
                interfaces,
                connections: want.connections.then(|| Self::connections(pass)).flatten(),
            },
            complete: errors.is_empty(),
            errors,
        })
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(options, reading, page);
    }

    fn otlp(_: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        otlp::tell(past.now, batch);
    }
}
