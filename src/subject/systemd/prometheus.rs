//! Units as node_exporter names them, and their figures under names of our own.

use super::unit::{Field, STATES, Unit};
use super::{Options, Reading, Systemd, Used};
use crate::dialect::prometheus::{Family, Page};

crate::families! { Systemd:
    VERSION gauge "node_systemd_version" ["version"] "Version of systemd: major, and minor as decimals";
    VIRTUALIZATION gauge "node_systemd_virtualization_info" ["virtualization_type"] "What kind of virtual machine or container this is";
    UNITS gauge "node_systemd_units" ["state"] "Units in memory by active state";
    UNIT_STATE gauge "node_systemd_unit_state" ["name", "state", "type"] "Whether a unit is in a state";
    RESTARTS counter "node_systemd_service_restart_total" ["name"] "How often systemd restarted a service";
    START gauge "node_systemd_unit_start_time_seconds" ["name"] "When a unit became active, in seconds since 1970; 0 if it is not";
    TASKS gauge "node_systemd_unit_tasks_current" ["name"] "Tasks of a service";
    TASKS_MAX gauge "node_systemd_unit_tasks_max" ["name"] "Most tasks a service may have";
    LAST_TRIGGER gauge "node_systemd_timer_last_trigger_seconds" ["name"] "When a timer fired last, in seconds since 1970";
    ACCEPTED counter "node_systemd_socket_accepted_connections_total" ["name"] "Connections a socket accepted";
    CONNECTIONS gauge "node_systemd_socket_current_connections" ["name"] "Connections a socket has now";
    REFUSED gauge "node_systemd_socket_refused_connections_total" ["name"] "Connections a socket refused";
    RUNNING gauge "node_systemd_system_running" [] "Whether the machine is up and no unit failed";
    UNIT_CPU counter "nodeward_systemd_unit_cpu_seconds_total" ["name"] "CPU time of a unit's control group";
    UNIT_MEMORY gauge "nodeward_systemd_unit_memory_bytes" ["name"] "Memory of a unit's control group, page cache included";
    UNIT_MEMORY_LIMIT gauge "nodeward_systemd_unit_memory_limit_bytes" ["name"] "Most memory a unit may use; absent without a limit";
    UNIT_TASKS gauge "nodeward_systemd_unit_tasks" ["name"] "Processes and threads of a unit's control group";
    UNIT_TASKS_LIMIT gauge "nodeward_systemd_unit_tasks_limit" ["name"] "Most processes and threads a unit may have; absent without a limit";
    UNIT_IO counter "nodeward_systemd_unit_io_bytes_total" ["name", "direction"] "Bytes a unit read from and wrote to block devices";
    UNIT_THROTTLED counter "nodeward_systemd_unit_cpu_throttled_seconds_total" ["name"] "Time a unit was held back by its limit of CPU time";
    UNIT_OOM_KILLS counter "nodeward_systemd_unit_oom_kills_total" ["name"] "Processes of a unit that the kernel ended for want of memory";
    UNIT_WAITING counter "nodeward_systemd_unit_pressure_waiting_seconds_total" ["name", "resource"] "Time in which some task of a unit waited for a resource: cpu, memory, io";
    UNIT_STALLED counter "nodeward_systemd_unit_pressure_stalled_seconds_total" ["name", "resource"] "Time in which all tasks of a unit waited for a resource: cpu, memory, io";
    UNIT_RESTARTS counter "nodeward_systemd_unit_restarts_total" ["name"] "How often systemd restarted a service";
    LEFT_OUT gauge "nodeward_systemd_units_left_out" [] "Units whose figures are not told since max_units are told already";
}

/// What systemd says for a count it does not know, and for a limit that is off.
const UNKNOWN: u64 = u64::MAX;

pub(super) fn tell(options: &Options, reading: &Reading, page: &mut Page<'_, Systemd>) {
    if let Some(manager) = &reading.manager {
        page.family(&VERSION)
            .push([&manager.version], manager.number);
        page.family(&VIRTUALIZATION)
            .push([&manager.virtualization], 1u64);
    }
    let mut samples = page.family(&UNITS);
    for (state, count) in &reading.states {
        samples.push([state], *count);
    }
    let mut samples = page.family(&UNIT_STATE);
    for unit in &reading.units {
        for state in STATES {
            samples.push([&unit.name, state, &unit.kind], unit.active == state);
        }
    }
    if options.enable_restarts_metrics {
        count(page, reading, &RESTARTS, |unit| {
            unit.number(Field::Restarts)
        });
    }
    if options.enable_start_time_metrics {
        seconds(page, reading, &START, |unit| match &*unit.active {
            "active" => unit.number(Field::Start),
            _ => Some(0),
        });
    }
    if options.enable_task_metrics {
        for (family, field) in [(&TASKS, Field::Tasks), (&TASKS_MAX, Field::TasksMax)] {
            let known = |number: &u64| *number != UNKNOWN;
            count(page, reading, family, |unit| {
                unit.number(field).filter(known)
            });
        }
    }
    let manager = reading
        .manager
        .as_ref()
        .filter(|manager| manager.has_state());
    if manager.is_some() {
        seconds(page, reading, &LAST_TRIGGER, |unit| {
            unit.number(Field::LastTrigger)
        });
    }
    count(page, reading, &ACCEPTED, |unit| {
        unit.number(Field::Accepted)
    });
    count(page, reading, &CONNECTIONS, |unit| {
        unit.number(Field::Connections)
    });
    count(page, reading, &REFUSED, |unit| unit.number(Field::Refused));
    if let Some(running) = manager.and_then(|manager| manager.running) {
        page.value(&RUNNING, running);
    }
    figures(reading, page);
}

type PerUnit = &'static Family<Systemd, 1>;

fn count(
    page: &mut Page<'_, Systemd>,
    reading: &Reading,
    family: PerUnit,
    number: impl Fn(&Unit) -> Option<u64>,
) {
    let mut samples = page.family(family);
    for unit in &reading.units {
        if let Some(number) = number(unit) {
            samples.push([&unit.name], number);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds since 1970 are exact until 2255"
)]
fn seconds(
    page: &mut Page<'_, Systemd>,
    reading: &Reading,
    family: PerUnit,
    microseconds: impl Fn(&Unit) -> Option<u64>,
) {
    let mut samples = page.family(family);
    for unit in &reading.units {
        if let Some(microseconds) = microseconds(unit) {
            samples.push([&unit.name], microseconds as f64 / 1e6);
        }
    }
}

fn figures(reading: &Reading, page: &mut Page<'_, Systemd>) {
    let mut samples = page.family(&UNIT_CPU);
    for used in &reading.used {
        if let Some(seconds) = used.figures.cpu_seconds() {
            samples.push([&used.name], seconds);
        }
    }
    type Pick = fn(&Used) -> Option<u64>;
    let mut samples = page.family(&UNIT_THROTTLED);
    for used in &reading.used {
        if let Some(seconds) = used.figures.throttled_seconds() {
            samples.push([&used.name], seconds);
        }
    }
    for (family, all) in [(&UNIT_WAITING, false), (&UNIT_STALLED, true)] {
        let mut samples = page.family(family);
        for used in &reading.used {
            for (resource, seconds) in used.figures.stalls(all) {
                samples.push([&*used.name, resource], seconds);
            }
        }
    }
    let picks: [(PerUnit, Pick); 6] = [
        (&UNIT_MEMORY, |used| used.figures.memory),
        (&UNIT_MEMORY_LIMIT, |used| used.figures.memory_limit),
        (&UNIT_TASKS, |used| used.figures.tasks),
        (&UNIT_TASKS_LIMIT, |used| used.figures.tasks_limit),
        (&UNIT_OOM_KILLS, |used| used.figures.oom_kills),
        (&UNIT_RESTARTS, |used| used.restarts),
    ];
    for (family, pick) in picks {
        let mut samples = page.family(family);
        for used in &reading.used {
            if let Some(value) = pick(used) {
                samples.push([&used.name], value);
            }
        }
    }
    let mut samples = page.family(&UNIT_IO);
    for used in &reading.used {
        if let Some((read, written)) = used.figures.io {
            samples.push([&used.name, "read"], read);
            samples.push([&used.name, "write"], written);
        }
    }
    if let Some(left_out) = reading.left_out {
        page.value(&LEFT_OUT, left_out as u64);
    }
}
