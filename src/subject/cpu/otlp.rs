//! CPUs as hostmetrics tells them: the sum over the CPUs' own lines.

use super::{Cpu, Options, Reading, USER_HZ};
use crate::dialect::otlp::Batch;

crate::instruments! { Cpu:
    TIME counter double "system.cpu.time" "s" ["state", "cpu"] "Seconds the CPUs spent in each state";
    COUNT updown int "system.cpu.logical.count" "{cpu}" [] "CPUs there are";
}

/// States in the order of the columns.
const STATES: [&str; 8] = [
    "user",
    "nice",
    "system",
    "idle",
    "wait",
    "interrupt",
    "softirq",
    "steal",
];

pub(super) fn tell(options: &Options, reading: &Reading, batch: &mut Batch<'_, '_, Cpu>) {
    if reading.steady.is_empty() {
        return;
    }
    batch.value(&COUNT, reading.steady.len() as u64);
    let mut time = batch.instrument(&TIME);
    if options.per_cpu {
        for (core, ticks) in reading.stat.cores.iter().zip(&reading.steady) {
            let cpu = format!("cpu{}", core.number);
            for (state, ticks) in STATES.iter().zip(ticks) {
                time.push([state, &cpu], ticks / USER_HZ);
            }
        }
        return;
    }
    for (at, state) in STATES.iter().enumerate() {
        let ticks = reading.steady.iter().filter_map(|ticks| ticks.get(at));
        time.push([state, ""], ticks.sum::<f64>() / USER_HZ);
    }
}
