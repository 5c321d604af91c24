//! What is otherwise with us than with hostmetrics on purpose, each with its reason, and the comparison.
//!
//! A difference that does not occur any more fails the test as much as one that is not listed: then the list, and docs/OTLP.md
//! with it, is out of date.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Failed;

use super::{Batch, Series};

/// What is otherwise, and where.
#[derive(Clone, Copy, Debug)]
enum Otherwise {
    /// Theirs is so many times the kernel's count.
    Times(f64),
    /// Theirs has a state of this name, for which ours has the second.
    State(&'static str, &'static str),
    /// Theirs have no resource.
    Resource,
    /// Theirs has a start where a value counts from nothing.
    GaugeStart,
}

struct Difference {
    /// The metric; empty for all.
    metric: &'static str,
    otherwise: Otherwise,
    /// As it stands in docs/OTLP.md.
    why: &'static str,
}

const DECLARED: &[Difference] = &[
    Difference {
        metric: "system.paging.faults",
        otherwise: Otherwise::Times(4096.0),
        why: "counts of faults, which hostmetrics multiplies by the bytes of a page",
    },
    Difference {
        metric: "system.paging.operations",
        otherwise: Otherwise::Times(4096.0),
        why: "counts of pages (`major`) and KiB (`minor`), which hostmetrics multiplies by the bytes of a page",
    },
    Difference {
        metric: "system.network.connections",
        otherwise: Otherwise::State("FIN_WAIT2", "FIN_WAIT_2"),
        why: "sockets in these states are told there; hostmetrics tells 0 and has two states more, `FIN_WAIT1` and `FIN_WAIT2`",
    },
    Difference {
        metric: "",
        otherwise: Otherwise::Resource,
        why: "`host.*`, `os.*` and `service.*` are set; hostmetrics leaves that to the resourcedetection processor",
    },
    Difference {
        metric: "",
        otherwise: Otherwise::GaugeStart,
        why: "gauges have no start, since they count nothing; hostmetrics sends that of the boot",
    },
];

/// What stands still while the test runs: theirs and ours must be equal.
const STEADY: [&str; 7] = [
    "system.cpu.logical.count",
    "system.cpu.physical.count",
    "system.memory.limit",
    "system.memory.page_size",
    "system.memory.linux.hugepages.limit",
    "system.memory.linux.hugepages.page_size",
    "system.memory.linux.hugepages.surplus",
];

/// States that are told only while a process is in them, which is a moment.
const COMING_AND_GOING: [&str; 3] = ["zombies", "stopped", "unknown"];

/// The start of the boot, as two programs read it, may differ by the second to which the kernel rounds it.
const SECOND: u64 = 1_000_000_000;

/// Holds ours against their first and their last.
pub(super) fn compare(first: &Batch, ours: &Batch, last: &Batch) -> Result<(), Failed> {
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    shapes(first, ours, &mut complaints);
    // States, mounts and devices that were there the whole time.
    let steady = first.values.iter().filter_map(|(series, low)| {
        let high = last.values.get(series)?;
        Some((series, *low, *high))
    });
    for (series, low, high) in steady {
        value(series, (low, high), first, ours, &mut seen, &mut complaints);
    }
    for series in ours.values.keys() {
        let known = [first, last]
            .iter()
            .any(|theirs| theirs.values.contains_key(series));
        if first.shapes.contains_key(&series.0) && !known && !comes_and_goes(series) {
            complaints.push(format!("{series:?} is ours alone"));
        }
    }
    let host = |batch: &Batch| batch.resource.contains_key("host.name");
    if host(ours) && !host(first) {
        seen.insert(place(|otherwise| matches!(otherwise, Otherwise::Resource)));
    }
    for (number, declared) in DECLARED.iter().enumerate() {
        if !seen.contains(&Some(number)) {
            complaints.push(format!(
                "{} does not occur any more: {}",
                declared.metric, declared.why
            ));
        }
        let docs = include_str!("../../../docs/OTLP.md");
        if !docs.contains(declared.why) {
            complaints.push(format!("docs/OTLP.md does not say: {}", declared.why));
        }
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n").into())
    }
}

fn shapes(first: &Batch, ours: &Batch, complaints: &mut Vec<String>) {
    for (name, shape) in &first.shapes {
        match ours.shapes.get(name) {
            None => complaints.push(format!("{name} is missing")),
            Some(told) if told != shape => {
                complaints.push(format!("{name}: {told:?} instead of {shape:?}"));
            }
            Some(_) => {}
        }
    }
}

/// One series that was in both of theirs.
fn value(
    series: &Series,
    (low, high): (f64, f64),
    first: &Batch,
    ours: &Batch,
    seen: &mut BTreeSet<Option<usize>>,
    complaints: &mut Vec<String>,
) {
    for (number, declared) in DECLARED.iter().enumerate() {
        let Otherwise::State(theirs, right) = declared.otherwise else {
            continue;
        };
        let states: [&str; 2] = [theirs, &theirs.replace('2', "1")];
        let Some(state) = series
            .1
            .values()
            .find(|value| states.contains(&value.as_str()))
        else {
            continue;
        };
        if state == theirs && declared.metric == series.0 {
            let renamed: BTreeMap<_, _> = series
                .1
                .iter()
                .map(|(key, value)| {
                    let value = if value == theirs { right } else { value };
                    (key.clone(), value.to_owned())
                })
                .collect();
            let renamed = (series.0.clone(), renamed);
            let told = ours.values.get(&renamed).copied().unwrap_or_default();
            let theirs = first.values.get(&renamed).copied();
            if told > 0.0 && theirs == Some(0.0) {
                seen.insert(Some(number));
            }
        }
        return;
    }
    let Some(told) = ours.values.get(series) else {
        if !comes_and_goes(series) {
            complaints.push(format!("{series:?} is missing"));
        }
        return;
    };
    let counts = first
        .shapes
        .get(&series.0)
        .is_some_and(|shape| shape.kind == "sum");
    start(series, counts, first, ours, seen, complaints);
    let monotonic = first
        .shapes
        .get(&series.0)
        .is_some_and(|shape| shape.monotonic);
    if STEADY.contains(&series.0.as_str()) && *told != low {
        complaints.push(format!("{series:?}: {told} instead of {low}"));
    }
    if !monotonic {
        return;
    }
    // The reference adds doubles in another order than we do: the last digit may differ.
    let within = |times: f64| {
        let (low, high) = (low / times, high / times);
        let slack = high.abs() * 1e-12;
        (low - slack..=high + slack).contains(told)
    };
    let declared =
        DECLARED
            .iter()
            .enumerate()
            .find_map(|(number, declared)| match declared.otherwise {
                Otherwise::Times(times) if declared.metric == series.0 => Some((number, times)),
                _ => None,
            });
    match declared {
        Some((number, times)) if within(times) => {
            if !within(1.0) {
                seen.insert(Some(number));
            }
        }
        None if within(1.0) => {}
        _ => complaints.push(format!("{series:?}: {told} is not within {low} and {high}")),
    }
}

fn start(
    series: &Series,
    counts: bool,
    first: &Batch,
    ours: &Batch,
    seen: &mut BTreeSet<Option<usize>>,
    complaints: &mut Vec<String>,
) {
    let of = |batch: &Batch| batch.starts.get(series).copied().unwrap_or_default();
    let (theirs, told) = (of(first), of(ours));
    if theirs.abs_diff(told) <= SECOND {
        return;
    }
    if !counts && told == 0 {
        seen.insert(place(|otherwise| {
            matches!(otherwise, Otherwise::GaugeStart)
        }));
        return;
    }
    complaints.push(format!(
        "{series:?} counts since {told}, theirs since {theirs}"
    ));
}

/// The first of this kind in the list.
fn place(is: impl Fn(Otherwise) -> bool) -> Option<usize> {
    DECLARED.iter().position(|declared| is(declared.otherwise))
}

fn comes_and_goes(series: &Series) -> bool {
    let states = || {
        series
            .1
            .values()
            .any(|state| COMING_AND_GOING.contains(&state.as_str()))
    };
    series.0 == "system.processes.count" && states()
}
