//! Load averages: /proc/loadavg (proc(5)).

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::host::parse::{fields, float};
use crate::host::{Pass, Root, sysinfo};
use crate::subject::cpu::cpu_list;
use crate::subject::{
    Absent, Answer, Args, Asker, Invalid, Item, Machine, NoOptions, Past, Said, Subject, Taken,
};

/// The subject.
pub struct Loadavg;

/// Runnable and uninterruptible tasks, averaged over 1, 5 and 15 minutes.
pub struct Reading {
    loads: [f64; 3],
    /// The same before the kernel rounds them to hundredths for the file, as sysinfo(2) tells them; on a live machine.
    exact: [f64; 3],
    /// CPUs that are online, if they were asked for and are known.
    cpus: Option<usize>,
}

crate::families! { Loadavg:
    LOAD1 gauge "node_load1" [] "Load average over 1 minute";
    LOAD5 gauge "node_load5" [] "Load average over 5 minutes";
    LOAD15 gauge "node_load15" [] "Load average over 15 minutes";
}
crate::instruments! { Loadavg:
    OVER1 gauge double "system.cpu.load_average.1m" "{thread}" [] "Load average over 1 minute";
    OVER5 gauge double "system.cpu.load_average.5m" "{thread}" [] "Load average over 5 minutes";
    OVER15 gauge double "system.cpu.load_average.15m" "{thread}" [] "Load average over 15 minutes";
}

/// What sysinfo(2) counts a load of 1 as.
const SHARES: f64 = 65_536.0;

fn parse(text: &[u8]) -> Option<[f64; 3]> {
    let mut values = fields(text).map(float);
    Some([values.next()??, values.next()??, values.next()??])
}

fn load(_: &NoOptions, reading: &Reading, args: &Args<'_>) -> Said {
    let [one, five, fifteen] = reading.exact;
    let load = match args.param(1) {
        "avg5" => five,
        "avg15" => fifteen,
        _ => one,
    };
    if args.param(0) != "percpu" {
        return Ok(Value::from(load));
    }
    let cpus = reading.cpus.and_then(|cpus| u32::try_from(cpus).ok());
    let cpus = cpus.filter(|cpus| *cpus > 0);
    let cpus = cpus.ok_or(Unsupported::new("Cannot obtain number of CPUs."))?;
    Ok(Value::from(load / f64::from(cpus)))
}

impl Subject for Loadavg {
    const NAME: &'static str = "loadavg";
    const ON: bool = true;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = &[Item {
        name: "system.cpu.load",
        parameters: &["cpu", "mode"],
        help: "Load average; cpu all (default) or percpu, divided by the CPUs online; modes avg1 (default), avg5, avg15",
        want: |_, args| {
            let divided = match args.param(0) {
                "" | "all" => false,
                "percpu" => true,
                _ => return Err(Unsupported::invalid_parameter(1)),
            };
            match args.param(1) {
                "" | "avg1" | "avg5" | "avg15" => Ok(divided),
                _ => Err(Unsupported::invalid_parameter(2)),
            }
        },
        answer: Answer::Now(load),
    }];
    type Options = NoOptions;
    /// Whether CPUs are counted.
    type Want = bool;
    type Reading = Reading;

    fn new(_: &NoOptions, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self)
    }

    fn want(_: &NoOptions, _: Asker) -> bool {
        false
    }

    #[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
    fn read(&mut self, pass: &mut Pass<'_>, cpus: &bool) -> Result<Taken<Reading>, Absent> {
        let text = pass.file(Root::Proc, "loadavg")?;
        let loads =
            parse(&text).ok_or_else(|| Absent::Failed("loadavg: not three numbers".into()))?;
        let online = cpus.then(|| pass.file(Root::Sys, "devices/system/cpu/online").ok());
        let cpus = online.flatten().map(|list| cpu_list(&list).0.len());
        let exact = match pass.host().roots().are_live() {
            true => sysinfo().loads.map(|load| load as f64 / SHARES),
            false => loads,
        };
        Ok(Reading { loads, exact, cpus }.into())
    }

    fn prometheus(_: &NoOptions, reading: &Reading, page: &mut Page<'_, Self>) {
        for (family, value) in [&LOAD1, &LOAD5, &LOAD15].into_iter().zip(reading.loads) {
            page.value(family, value);
        }
    }

    fn otlp(_: &NoOptions, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        for (instrument, value) in [&OVER1, &OVER5, &OVER15].into_iter().zip(past.now.loads) {
            batch.value(instrument, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_three_numbers_or_nothing() {
        assert_eq!(
            parse(b"0.50 1.25 2.00 2/345 6789\n"),
            Some([0.5, 1.25, 2.0])
        );
        assert_eq!(parse(b"1 -2.5 1e3"), Some([1.0, -2.5, 1000.0]));
        for bad in ["", "1 2", "1 2 z", "1 0x2 3"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
