//! CPUs as hostmetrics tells them: the sum over the CPUs' own lines.

use super::stat::Ticks;
use super::{Cpu, Options, Reading, USER_HZ, Wanted};
use crate::dialect::otlp::Batch;
use crate::subject::Past;

crate::instruments! { Cpu:
    TIME counter double "system.cpu.time" "s" ["state", "cpu"] "Seconds the CPUs spent in each state";
    COUNT updown int "system.cpu.logical.count" "{cpu}" [] "CPUs there are";
    UTILIZATION gauge double optional "system.cpu.utilization" "1" ["state", "cpu"] "Share of the time since the export before in each state";
    PHYSICAL updown int optional "system.cpu.physical.count" "{cpu}" [] "Cores there are";
    FREQUENCY gauge double optional "system.cpu.frequency" "Hz" ["cpu"] "Frequency that /proc/cpuinfo has of a CPU";
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

pub(super) fn want(options: &Options) -> Wanted {
    Wanted {
        info: options.instruments.has(&FREQUENCY),
        cores: options.instruments.has(&PHYSICAL),
        ..Wanted::default()
    }
}

/// Ticks of each CPU under its name, or of all together under none.
fn told<'a>(
    options: &Options,
    cores: impl Iterator<Item = (i64, &'a Ticks)>,
) -> Vec<(String, Ticks)> {
    if options.per_cpu {
        return cores
            .map(|(number, ticks)| (format!("cpu{number}"), *ticks))
            .collect();
    }
    let mut sum = Ticks::default();
    for (_, ticks) in cores {
        sum.iter_mut()
            .zip(ticks)
            .for_each(|(sum, ticks)| *sum += ticks);
    }
    vec![(String::new(), sum)]
}

pub(super) fn tell(options: &Options, past: &Past<'_, Reading>, batch: &mut Batch<'_, '_, Cpu>) {
    let reading = past.now;
    if options.instruments.has(&PHYSICAL)
        && let Some(cores) = reading.physical
    {
        batch.value(&PHYSICAL, cores);
    }
    if options.instruments.has(&FREQUENCY) {
        let mut frequency = batch.instrument(&FREQUENCY);
        for processor in &reading.info {
            let (_, number, _, hertz) = processor.clock();
            if hertz > 0.0 {
                frequency.push([&format!("cpu{number}")], hertz);
            }
        }
    }
    if reading.steady.is_empty() {
        return;
    }
    batch.value(&COUNT, reading.steady.len() as u64);
    let mut time = batch.instrument(&TIME);
    for (cpu, ticks) in told(options, reading.each()) {
        for (state, ticks) in STATES.iter().zip(ticks) {
            time.push([state, &cpu], ticks / USER_HZ);
        }
    }
    drop(time);
    let Some(before) = past
        .before
        .filter(|_| options.instruments.has(&UTILIZATION))
    else {
        return;
    };
    let spent: Vec<_> = reading
        .each()
        .filter_map(|(number, now)| {
            let (_, before) = before.each().find(|(other, _)| *other == number)?;
            let mut spent = *now;
            for (spent, before) in spent.iter_mut().zip(before) {
                // A CPU that was taken out and put back begins at 0.
                *spent = (*spent - before).max(0.0);
            }
            Some((number, spent))
        })
        .collect();
    let mut utilization = batch.instrument(&UTILIZATION);
    let spent = spent.iter().map(|(number, ticks)| (*number, ticks));
    for (cpu, ticks) in told(options, spent) {
        let states = ticks.iter().take(STATES.len());
        let whole: f64 = states.clone().sum();
        if whole > 0.0 {
            for (state, ticks) in STATES.iter().zip(states) {
                utilization.push([state, &cpu], ticks / whole);
            }
        }
    }
}
