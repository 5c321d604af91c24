//! CPU time, and what is known of each CPU: /proc/stat, /proc/cpuinfo, /sys/devices/system/cpu.
//!
//! Counters never go backwards from reading to reading: the kernel's own do, by rounding, and after a hotplug ([`Kept`]).
//! All CPUs are summed where a world wants one number, from the per-CPU lines; only Zabbix gets the kernel's own sum.

mod cpuinfo;
mod hardware;
mod otlp;
mod prometheus;
mod stat;
mod sysfs;
mod zabbix;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::host::{Pass, Root};
use crate::model::pattern::Pattern;
use crate::subject::{
    Absent, Asker, Chosen, Flag, Invalid, Item, ItemError, Machine, Past, Subject, Taken, Want,
};

#[doc(hidden)]
pub use cpuinfo::{Processor, processors};
use stat::Kept;
#[doc(hidden)]
pub use stat::{Core, Stat, Ticks, stat};
#[doc(hidden)]
pub use sysfs::cpu_list;
use sysfs::{Sysfs, Topology};

/// Ticks of /proc/stat in a second: USER_HZ, 100 on every architecture Linux runs on today.
const USER_HZ: f64 = 100.0;

/// The subject.
#[derive(Default)]
pub struct Cpu {
    kept: Kept,
    sysfs: Sysfs,
}

/// How CPUs are told.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Whether time given to guests is told as `node_cpu_guest_seconds_total` (`--collector.cpu.guest`); default true.
    pub guest: bool,
    /// Whether /proc/cpuinfo is told as `node_cpu_info` (`--collector.cpu.info`); default false.
    pub info: bool,
    /// Which words of `flags` in /proc/cpuinfo are told, an unanchored expression; default none. Implies `info`.
    pub info_flags_include: Option<Pattern>,
    /// Which words of `bugs` in /proc/cpuinfo are told, an unanchored expression; default none. Implies `info`.
    pub info_bugs_include: Option<Pattern>,
    /// Whether `system.cpu.time` and `system.cpu.utilization` are told of each CPU, with the attribute `cpu`, not of all together; default false.
    pub per_cpu: bool,
    /// Instruments to tell over OTLP beside those that always are. Default: none.
    pub instruments: Chosen<Cpu>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            guest: true,
            info: false,
            info_flags_include: None,
            info_bugs_include: None,
            per_cpu: false,
            instruments: Chosen::default(),
        }
    }
}

impl Options {
    pub(in crate::subject) fn tells_info(&self) -> bool {
        self.info || self.info_flags_include.is_some() || self.info_bugs_include.is_some()
    }
}

/// What to read beside /proc/stat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// /proc/cpuinfo.
    info: bool,
    /// The directory of each CPU in sysfs.
    topology: bool,
    /// The lists of CPUs that are online and possible.
    lists: bool,
    /// How many cores there are.
    cores: bool,
    /// How fast each may run.
    clocks: bool,
}

impl Want for Wanted {
    fn merge(&mut self, other: &Self) {
        self.info |= other.info;
        self.topology |= other.topology;
        self.lists |= other.lists;
        self.cores |= other.cores;
        self.clocks |= other.clocks;
    }
    fn covers(&self, other: &Self) -> bool {
        let mut both = *self;
        both.merge(other);
        both == *self
    }
}

/// What was read of the CPUs.
#[derive(Debug, Default)]
pub struct Reading {
    stat: Stat,
    /// Ticks of each CPU that never go backwards, in the order of `stat.cores`.
    steady: Vec<Ticks>,
    info: Vec<Processor>,
    topology: Topology,
    /// Cores, if they were asked for and could be told.
    physical: Option<u64>,
    /// CPUs of the kernel's lists; none if the list is not there.
    online: Option<Vec<u32>>,
    possible: Option<Vec<u32>>,
    /// The highest frequency of each processor in Hz, where it is known.
    highest: Vec<(u32, u64)>,
}

impl Reading {
    /// Number and ticks of each CPU.
    fn each(&self) -> impl Iterator<Item = (i64, &Ticks)> {
        let numbers = self.stat.cores.iter().map(|core| core.number);
        numbers.zip(&self.steady)
    }
}

fn pattern(into: &mut Option<Pattern>, value: &str) -> Result<(), String> {
    *into = match value {
        "" => None,
        text => Some(Pattern::new(text).map_err(|why| why.to_string())?),
    };
    Ok(())
}

impl Subject for Cpu {
    const NAME: &'static str = "cpu";
    const ON: bool = true;
    const FLAGS: &'static [Flag<Options>] = &[
        Flag::switch(
            "collector.cpu.guest",
            "Tell the time given to guests",
            |options, value| {
                options.guest = value == "true";
                Ok(())
            },
        ),
        Flag::switch(
            "collector.cpu.info",
            "Tell what /proc/cpuinfo says of each CPU",
            |options, value| {
                options.info = value == "true";
                Ok(())
            },
        ),
        Flag::value(
            "collector.cpu.info.flags-include",
            "Regular expression of the CPU flags to tell",
            |options, value| pattern(&mut options.info_flags_include, value),
        ),
        Flag::value(
            "collector.cpu.info.bugs-include",
            "Regular expression of the CPU bugs to tell",
            |options, value| pattern(&mut options.info_bugs_include, value),
        ),
    ];
    const FAMILIES: &'static [&'static dyn Declared] = prometheus::FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = otlp::INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    const COLLECTED: &'static [&'static str] = &["system.cpu.util"];
    type Options = Options;
    type Want = Wanted;
    type Reading = Reading;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn want(options: &Options, asker: Asker) -> Wanted {
        match asker {
            Asker::Prometheus => Wanted {
                info: options.tells_info(),
                topology: true,
                ..Wanted::default()
            },
            Asker::Otlp => otlp::want(options),
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading::default();
        let mut errors = Vec::new();
        if want.info {
            match pass.file(Root::Proc, "cpuinfo") {
                Ok(text) => reading.info = processors(&text, &mut errors),
                Err(why) => errors.push(whole("cpuinfo", &why)),
            }
        }
        match pass.file(Root::Proc, "stat") {
            Ok(text) => reading.stat = stat(&text, &mut errors),
            // Without it there is hardly anything to tell, but for what other files say.
            Err(why) if reading.info.is_empty() => return Err(why.into()),
            Err(why) => errors.push(whole("stat", &why)),
        }
        reading.steady = self.kept.steady(&reading.stat.cores);
        if want.topology {
            reading.topology = self.sysfs.topology(pass, &mut errors);
        }
        let complete = errors.is_empty();
        if want.cores {
            reading.physical = self.sysfs.cores(pass);
        }
        if want.clocks {
            let numbers: Vec<u32> = reading.info.iter().map(|p| p.clock().1).collect();
            let highest = numbers.into_iter();
            let highest = highest.filter_map(|n| Some((n, hardware::highest(pass, n)?)));
            reading.highest = highest.collect();
        }
        if want.lists {
            reading.online = sysfs::list(pass, "online", &mut errors);
            reading.possible = sysfs::list(pass, "possible", &mut errors);
        }
        Ok(Taken {
            reading,
            errors,
            complete,
        })
    }

    fn prometheus(options: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        prometheus::tell(options, reading, page);
    }

    fn otlp(options: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        otlp::tell(options, &past, batch);
    }
}

fn whole(file: &'static str, why: &crate::host::ReadError) -> ItemError {
    ItemError {
        kind: file,
        item: file.into(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests;
