//! Units under names of our own: hostmetrics knows nothing of systemd.

use super::unit::STATES;
use super::{Reading, Systemd, Used};
use crate::dialect::otlp::{Batch, Instrument};

crate::instruments! { Systemd:
    UNITS updown int "nodeward.systemd.units" "{units}" ["state"] "Units in memory by active state";
    RUNNING gauge int "nodeward.systemd.running" "1" [] "Whether the machine is up and no unit failed";
    UNIT_STATE gauge int "nodeward.systemd.unit.state" "1" ["name", "state"] "Whether a unit is in a state";
    UNIT_CPU counter double "nodeward.systemd.unit.cpu.time" "s" ["name"] "CPU time of a unit's control group";
    UNIT_MEMORY updown int "nodeward.systemd.unit.memory.usage" "By" ["name"] "Memory of a unit's control group, page cache included";
    UNIT_MEMORY_LIMIT updown int "nodeward.systemd.unit.memory.limit" "By" ["name"] "Most memory a unit may use; absent without a limit";
    UNIT_TASKS updown int "nodeward.systemd.unit.tasks" "{tasks}" ["name"] "Processes and threads of a unit's control group";
    UNIT_TASKS_LIMIT updown int "nodeward.systemd.unit.tasks.limit" "{tasks}" ["name"] "Most processes and threads a unit may have; absent without a limit";
    UNIT_IO counter int "nodeward.systemd.unit.io" "By" ["name", "direction"] "Bytes a unit read from and wrote to block devices";
    UNIT_THROTTLED counter double "nodeward.systemd.unit.cpu.throttled" "s" ["name"] "Time a unit was held back by its limit of CPU time";
    UNIT_OOM_KILLS counter int "nodeward.systemd.unit.oom_kills" "{processes}" ["name"] "Processes of a unit that the kernel ended for want of memory";
    UNIT_WAITING counter double "nodeward.systemd.unit.pressure.waiting" "s" ["name", "resource"] "Time in which some task of a unit waited for a resource: cpu, memory, io";
    UNIT_STALLED counter double "nodeward.systemd.unit.pressure.stalled" "s" ["name", "resource"] "Time in which all tasks of a unit waited for a resource: cpu, memory, io";
    UNIT_RESTARTS counter int "nodeward.systemd.unit.restarts" "{restarts}" ["name"] "How often systemd restarted a service";
    LEFT_OUT gauge int "nodeward.systemd.units.left_out" "{units}" [] "Units whose figures are not told since max_units are told already";
}

pub(super) fn tell(reading: &Reading, batch: &mut Batch<'_, '_, Systemd>) {
    let mut points = batch.instrument(&UNITS);
    for (state, count) in &reading.states {
        points.push([state], *count);
    }
    drop(points);
    if let Some(running) = reading.manager.as_ref().and_then(|manager| manager.running) {
        batch.value(&RUNNING, running);
    }
    let mut points = batch.instrument(&UNIT_STATE);
    for unit in &reading.units {
        for state in STATES {
            points.push([&unit.name, state], unit.active == state);
        }
    }
    drop(points);

    let mut points = batch.instrument(&UNIT_CPU);
    for used in &reading.used {
        if let Some(seconds) = used.figures.cpu_seconds() {
            points.push([&used.name], seconds);
        }
    }
    drop(points);
    let mut points = batch.instrument(&UNIT_THROTTLED);
    for used in &reading.used {
        if let Some(seconds) = used.figures.throttled_seconds() {
            points.push([&used.name], seconds);
        }
    }
    drop(points);
    for (instrument, all) in [(&UNIT_WAITING, false), (&UNIT_STALLED, true)] {
        let mut points = batch.instrument(instrument);
        for used in &reading.used {
            for (resource, seconds) in used.figures.stalls(all) {
                points.push([&*used.name, resource], seconds);
            }
        }
    }
    type Pick = fn(&Used) -> Option<u64>;
    let picks: [(&'static Instrument<Systemd, 1>, Pick); 6] = [
        (&UNIT_MEMORY, |used| used.figures.memory),
        (&UNIT_MEMORY_LIMIT, |used| used.figures.memory_limit),
        (&UNIT_TASKS, |used| used.figures.tasks),
        (&UNIT_TASKS_LIMIT, |used| used.figures.tasks_limit),
        (&UNIT_OOM_KILLS, |used| used.figures.oom_kills),
        (&UNIT_RESTARTS, |used| used.restarts),
    ];
    for (instrument, pick) in picks {
        let mut points = batch.instrument(instrument);
        for used in &reading.used {
            if let Some(value) = pick(used) {
                points.push([&used.name], value);
            }
        }
    }
    let mut points = batch.instrument(&UNIT_IO);
    for used in &reading.used {
        if let Some((read, written)) = used.figures.io {
            points.push([&used.name, "read"], read);
            points.push([&used.name, "write"], written);
        }
    }
    drop(points);
    if let Some(left_out) = reading.left_out {
        batch.value(&LEFT_OUT, left_out as u64);
    }
}
