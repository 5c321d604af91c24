//! CPUs as Prometheus sees them, under the reference's names.

use super::{Cpu, Options, Processor, Reading, USER_HZ};
use crate::dialect::prometheus::Page;
use crate::model::pattern::Pattern;

crate::families! { Cpu:
    INFO gauge "node_cpu_info" ["cachesize", "core", "cpu", "family", "microcode", "model", "model_name", "package", "stepping", "vendor"] "What /proc/cpuinfo says of a CPU";
    FLAG gauge "node_cpu_flag_info" ["flag"] "Flags of the first CPU";
    BUG gauge "node_cpu_bug_info" ["bug"] "Bugs of the first CPU";
    SECONDS counter "node_cpu_seconds_total" ["cpu", "mode"] "Seconds a CPU spent in each mode";
    GUEST counter "node_cpu_guest_seconds_total" ["cpu", "mode"] "Seconds a CPU spent running guests, which user and nice contain too";
    ISOLATED gauge "node_cpu_isolated" ["cpu"] "Whether a CPU is kept out of scheduling";
    CORE_THROTTLES counter "node_cpu_core_throttles_total" ["core", "package"] "Times a core was slowed since it was too hot";
    PACKAGE_THROTTLES counter "node_cpu_package_throttles_total" ["package"] "Times a package was slowed since it was too hot";
    ONLINE gauge "node_cpu_online" ["cpu"] "Whether a CPU is online";
}

/// Modes in the order of the columns.
const MODES: [&str; 8] = [
    "user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal",
];

pub(super) fn tell(options: &Options, reading: &Reading, page: &mut Page<'_, Cpu>) {
    info(options, reading, page);
    seconds(options, reading, page);
    let topology = &reading.topology;
    let mut number = itoa::Buffer::new();
    let mut other = itoa::Buffer::new();
    let mut isolated = page.family(&ISOLATED);
    for cpu in &topology.isolated {
        isolated.push([number.format(*cpu)], true);
    }
    let mut cores = page.family(&CORE_THROTTLES);
    for (package, core, count) in &topology.cores {
        cores.push([number.format(*core), other.format(*package)], *count);
    }
    let mut packages = page.family(&PACKAGE_THROTTLES);
    for (package, count) in &topology.packages {
        packages.push([number.format(*package)], *count);
    }
    let mut online = page.family(&ONLINE);
    for (cpu, is) in &topology.online {
        online.push([cpu], *is);
    }
}

fn seconds(options: &Options, reading: &Reading, page: &mut Page<'_, Cpu>) {
    let mut number = itoa::Buffer::new();
    let cores = || reading.stat.cores.iter().zip(&reading.steady);
    let mut seconds = page.family(&SECONDS);
    for (core, ticks) in cores() {
        let cpu = number.format(core.number);
        for (mode, ticks) in MODES.iter().zip(ticks) {
            seconds.push([cpu, mode], ticks / USER_HZ);
        }
    }
    if !options.guest {
        return;
    }
    let mut guest = page.family(&GUEST);
    for (core, ticks) in cores() {
        let cpu = number.format(core.number);
        for (mode, ticks) in ["user", "nice"].iter().zip(ticks.iter().skip(MODES.len())) {
            guest.push([cpu, mode], ticks / USER_HZ);
        }
    }
}

fn info(options: &Options, reading: &Reading, page: &mut Page<'_, Cpu>) {
    let Some(first) = reading.info.first() else {
        return;
    };
    let mut number = itoa::Buffer::new();
    let mut info = page.family(&INFO);
    for p in &reading.info {
        let Processor {
            package,
            core,
            vendor,
            family,
            model,
            model_name,
            microcode,
            stepping,
            cache_size,
            ..
        } = p;
        let cpu = number.format(p.number);
        info.push(
            [
                cache_size, core, cpu, family, microcode, model, model_name, package, stepping,
                vendor,
            ],
            true,
        );
    }
    let chosen = |words: &[String], include: &Option<Pattern>| -> Vec<String> {
        let Some(include) = include else {
            return Vec::new();
        };
        let mut chosen: Vec<String> = Vec::new();
        for word in words {
            if include.matches(word) && !chosen.contains(word) {
                chosen.push(word.clone());
            }
        }
        chosen
    };
    let mut flags = page.family(&FLAG);
    for flag in chosen(&first.flags, &options.info_flags_include) {
        flags.push([&flag], true);
    }
    let mut bugs = page.family(&BUG);
    for bug in chosen(&first.bugs, &options.info_bugs_include) {
        bugs.push([&bug], true);
    }
}
