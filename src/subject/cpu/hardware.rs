//! The key `system.hw.cpu`: what each processor is, /proc/cpuinfo, and how fast it may run, cpufreq in sysfs.

use super::zabbix::NO_CPU;
use super::{Cpu, Options, Processor, Reading, Wanted};
use crate::dialect::zabbix::answer::Unsupported;
use crate::host::parse::unsigned;
use crate::host::{Pass, Root};
use crate::subject::{Answer, Args, Item, Said};

pub(super) const KEY: Item<Cpu> = Item {
    name: "system.hw.cpu",
    parameters: &["cpu", "info"],
    help: "What processors are; cpu all (default) or a number; full (default), vendor, model, curfreq and maxfreq in Hz",
    want: |_, args| {
        match args.param(0) {
            "" | "all" => {}
            text if unsigned(text.as_bytes()).is_some() => {}
            _ => return Err(Unsupported::invalid_parameter(1)),
        }
        match args.param(1) {
            "" | "full" | "vendor" | "model" | "curfreq" | "maxfreq" => Ok(Wanted {
                info: true,
                clocks: true,
                ..Wanted::default()
            }),
            _ => Err(Unsupported::invalid_parameter(2)),
        }
    },
    answer: Answer::Now(say),
};

/// The highest frequency of a processor in Hz.
pub(super) fn highest(pass: &mut Pass<'_>, number: u32) -> Option<u64> {
    let file = format!("devices/system/cpu/cpu{number}/cpufreq/cpuinfo_max_freq");
    let kilohertz = unsigned(pass.once(Root::Sys, &file).ok()?.trim_ascii())?;
    kilohertz.checked_mul(1000)
}

fn say(_: &Options, reading: &Reading, args: &Args<'_>) -> Said {
    let single = unsigned(args.param(0).as_bytes());
    let meant = reading.info.iter().filter(|processor| {
        let (_, number, ..) = processor.clock();
        single.is_none_or(|single| single == u64::from(number))
    });
    let bare = single.is_some() && !matches!(args.param(1), "" | "full");
    let told = meant.filter_map(|processor| {
        let (_, number, ..) = processor.clock();
        let text = one(reading, processor, number, args.param(1))?;
        Some(match bare {
            true => text,
            false => format!("processor {number}: {text}"),
        })
    });
    let told: Vec<String> = told.collect();
    match told.is_empty() {
        true => Err(NO_CPU),
        false => Ok(told.join("\n").into()),
    }
}

fn one(reading: &Reading, processor: &Processor, number: u32, info: &str) -> Option<String> {
    let (.., clock) = processor.clock();
    let highest = reading.highest.iter().find(|(at, _)| *at == number);
    let highest = highest.map(|(_, hertz)| *hertz);
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    // The agents leave parts of a megahertz out.
    let megahertz = (clock > 0.0).then(|| (clock / 1e6).floor());
    match info {
        "vendor" => said(&processor.vendor),
        "model" => said(&processor.model_name),
        "curfreq" => megahertz.map(|megahertz| format!("{:.0}", megahertz * 1e6)),
        "maxfreq" => highest.map(|hertz| hertz.to_string()),
        _ => {
            let mut parts: Vec<String> = [&processor.vendor, &processor.model_name]
                .into_iter()
                .filter_map(|text| said(text))
                .collect();
            parts.extend(megahertz.map(|megahertz| format!("working at {megahertz:.0}MHz")));
            parts.extend(highest.map(|hertz| format!("(maximum {}MHz)", hertz / 1_000_000)));
            (!parts.is_empty()).then(|| parts.join(" "))
        }
    }
}
