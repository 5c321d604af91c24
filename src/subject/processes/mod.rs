//! Processes and threads: /proc/PID/stat, the limits of both, and what Zabbix counts by name, user, state and command.
//!
//! Each process costs one small file, opened relative to /proc; more is read of a process only when a key's filter
//! needs it. The threads of a process with one thread are not listed on a live machine: that one is the process. On a
//! lane of its own, since ten thousand processes take a tenth of a second.

mod detail;
mod query;
mod spent;
mod stat;
mod table;
mod walk;
mod zabbix;

use std::collections::BTreeMap;

use crate::dialect::otlp::{Batch, Named};
use crate::dialect::prometheus::{Declared, Page, Samples};
use crate::host::parse::{fields, lines, trim, unsigned};
use crate::host::{Pass, PidBuffers, Root};
use crate::subject::{
    Absent, Asker, Chosen, Invalid, Item, ItemError, Lane, Machine, Past, Subject, Taken, Want,
};

use detail::{Detail, Table};
pub use query::{Command, Query};
use spent::Spent;
use stat::state_label;
#[doc(hidden)]
pub use stat::{ProcessStat, process_stat};

/// The subject.
#[derive(Default)]
pub struct Processes {
    /// For /proc and its processes.
    buffers: PidBuffers,
    /// For the threads of one process, while the process itself is in hand.
    below: PidBuffers,
    /// CPU time that queries are asked for.
    spent: Spent,
}

/// How processes are told.
#[derive(
    Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Instruments to tell over OTLP beside those that always are. Default: none.
    pub instruments: Chosen<Processes>,
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// Every process, for counts by state.
    summary: bool,
    /// Every thread too.
    threads: bool,
    /// How many processes and threads there may be.
    limits: bool,
    /// What /proc/stat says of processes.
    kernel: bool,
    /// Processes to count.
    queries: Vec<Query>,
    /// Processes to tell more of.
    listed: Vec<(Query, Detail)>,
}

impl Wanted {
    /// What is told of each process that a query takes.
    fn listing(query: Query, detail: Detail) -> Self {
        Self {
            listed: vec![(query, detail)],
            ..Self::default()
        }
    }

    /// How many processes a query takes.
    #[must_use]
    pub fn counting(query: Query) -> Self {
        Self {
            queries: vec![query],
            ..Self::default()
        }
    }
}

impl Reading {
    /// How many processes a query took; none if it was not asked for.
    #[must_use]
    pub fn count(&self, query: &Query) -> Option<u64> {
        let counted = self.counts.iter().find(|(q, _)| q == query);
        counted.map(|(_, count)| *count)
    }
}

impl Want for Wanted {
    fn merge(&mut self, other: &Self) {
        self.summary |= other.summary;
        self.threads |= other.threads;
        self.limits |= other.limits;
        self.kernel |= other.kernel;
        for query in &other.queries {
            if !self.queries.contains(query) {
                self.queries.push(query.clone());
            }
        }
        for listed in &other.listed {
            if !self.listed.contains(listed) {
                self.listed.push(listed.clone());
            }
        }
    }

    fn covers(&self, other: &Self) -> bool {
        let has = |mine: bool, theirs: bool| mine || !theirs;
        has(self.summary, other.summary)
            && has(self.threads, other.threads)
            && has(self.limits, other.limits)
            && has(self.kernel, other.kernel)
            && other.queries.iter().all(|q| self.queries.contains(q))
            && other.listed.iter().all(|l| self.listed.contains(l))
    }
}

/// How many there are in each state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct States(BTreeMap<Box<[u8]>, u64>);

impl States {
    fn add(&mut self, state: &[u8]) {
        match self.0.get_mut(state) {
            Some(count) => *count += 1,
            None => drop(self.0.insert(state.into(), 1)),
        }
    }

    fn tell(&self, into: &mut Samples<'_, 1>) {
        for (state, count) in &self.0 {
            into.push([&state_label(state)], *count);
        }
    }
}

/// All processes, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Summary {
    pids: u64,
    /// Threads the processes say they have; wraps, as the reference's sum does.
    threads: i64,
    states: States,
    thread_states: States,
}

/// What /proc/stat says of processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Kernel {
    created: Option<u64>,
    running: Option<u64>,
    blocked: Option<u64>,
}

/// What was read of the processes.
#[derive(Debug, Default)]
pub struct Reading {
    summary: Option<Summary>,
    max_threads: Option<u64>,
    max_pids: Option<u64>,
    kernel: Kernel,
    counts: Vec<(Query, u64)>,
    /// What was asked of processes.
    table: Table,
}

crate::families! { Processes:
    THREADS gauge "node_processes_threads" [] "Threads of all processes";
    MAX_THREADS gauge "node_processes_max_threads" [] "Threads there may be";
    STATE gauge "node_processes_state" ["state"] "Processes in each state";
    THREADS_STATE gauge "node_processes_threads_state" ["thread_state"] "Threads in each state";
    PIDS gauge "node_processes_pids" [] "Processes";
    MAX_PIDS gauge "node_processes_max_processes" [] "Highest process id there may be";
}

crate::instruments! { Processes:
    COUNT updown int "system.processes.count" "{processes}" ["status"] "Processes in each status";
    CREATED counter int "system.processes.created" "{processes}" [] "Processes created since boot";
    MOST updown int optional "system.process.limit" "{thread}" [] "Threads there may be: the lesser of kernel.threads-max and kernel.pid_max, since each has an id";
}

impl Subject for Processes {
    const NAME: &'static str = "processes";
    const ON: bool = true;
    const LANE: Lane = Lane::Own;
    const FAMILIES: &'static [&'static dyn Declared] = FAMILIES;
    const INSTRUMENTS: &'static [&'static dyn Named] = INSTRUMENTS;
    const KEYS: &'static [Item<Self>] = zabbix::KEYS;
    type Options = Options;
    type Want = Wanted;
    type Reading = Reading;

    fn new(_: &Options, _: &Machine) -> Result<Self, Invalid> {
        Ok(Self::default())
    }

    fn want(options: &Options, asker: Asker) -> Wanted {
        let page = asker == Asker::Prometheus;
        Wanted {
            summary: true,
            threads: page,
            limits: page || options.instruments.has(&MOST),
            kernel: !page,
            ..Wanted::default()
        }
    }

    fn read(&mut self, pass: &mut Pass<'_>, want: &Wanted) -> Result<Taken<Reading>, Absent> {
        let mut reading = Reading::default();
        let mut errors = Vec::new();
        if want.summary || !want.queries.is_empty() || !want.listed.is_empty() {
            let pids = pass.processes(&mut self.buffers)?;
            let walked = self.walk(pass, &pids, want, &mut errors);
            (reading.summary, reading.counts, reading.table) = walked;
            reading.table.know(pass);
            self.spent.add(&mut reading.table);
        }
        if want.limits {
            reading.max_threads = limit(pass, "sys/kernel/threads-max", &mut errors);
            reading.max_pids = limit(pass, "sys/kernel/pid_max", &mut errors);
        }
        if want.kernel {
            match pass.file(Root::Proc, "stat") {
                Ok(text) => reading.kernel = kernel(&text),
                Err(why) => errors.push(error("stat", "stat", &why)),
            }
        }
        let complete = errors.is_empty();
        Ok(Taken {
            reading,
            errors,
            complete,
        })
    }

    fn prometheus(_: &Options, reading: &Reading, page: &mut Page<'_, Self>) {
        let Some(summary) = &reading.summary else {
            return;
        };
        page.value(&THREADS, summary.threads);
        if let Some(most) = reading.max_threads {
            page.value(&MAX_THREADS, most);
        }
        summary.states.tell(&mut page.family(&STATE));
        summary.thread_states.tell(&mut page.family(&THREADS_STATE));
        // The reference tells of the processes only beside their limit.
        if let Some(most) = reading.max_pids {
            page.value(&PIDS, summary.pids);
            page.value(&MAX_PIDS, most);
        }
    }

    fn otlp(options: &Options, past: Past<'_, Reading>, batch: &mut Batch<'_, '_, Self>) {
        let reading = past.now;
        let limits = [reading.max_threads, reading.max_pids];
        if options.instruments.has(&MOST)
            && let Some(most) = limits.into_iter().flatten().min()
        {
            batch.value(&MOST, most);
        }
        if let Some(created) = reading.kernel.created {
            batch.value(&CREATED, created);
        }
        let Some(summary) = &reading.summary else {
            return;
        };
        let mut counts = statuses(&summary.states);
        // The kernel's own numbers of these two are of one instant; they are told at 0 too.
        for (status, count) in [
            ("blocked", reading.kernel.blocked),
            ("running", reading.kernel.running),
        ] {
            if let Some(count) = count {
                counts.insert(status, count);
            }
        }
        let known = counts.values().copied().fold(0, u64::saturating_add);
        if summary.pids > known {
            *counts.entry("unknown").or_default() += summary.pids - known;
        }
        let mut told = batch.instrument(&COUNT);
        for (status, count) in counts {
            told.push([status], count);
        }
    }
}

/// hostmetrics' words for the states of proc(5).
fn statuses(states: &States) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for (state, count) in &states.0 {
        let status = match state.as_ref() {
            b"R" => "running",
            b"S" => "sleeping",
            b"D" => "blocked",
            b"T" | b"t" => "stopped",
            b"Z" => "zombies",
            b"I" => "idle",
            b"W" => "paging",
            _ => "unknown",
        };
        *counts.entry(status).or_default() += count;
    }
    counts
}

fn limit(pass: &mut Pass<'_>, name: &'static str, errors: &mut Vec<ItemError>) -> Option<u64> {
    match pass.file(Root::Proc, name) {
        Ok(text) => {
            let most = unsigned(trim(&text));
            if most.is_none() {
                errors.push(error("limit", name, &"not a whole number of 64 bits"));
            }
            most
        }
        Err(why) => {
            errors.push(error("limit", name, &why));
            None
        }
    }
}

fn error(kind: &'static str, item: &str, why: &dyn std::fmt::Display) -> ItemError {
    ItemError {
        kind,
        item: item.to_owned(),
        why: why.to_string(),
    }
}

fn kernel(text: &[u8]) -> Kernel {
    let mut kernel = Kernel::default();
    for line in lines(text) {
        let place = match line {
            [b'p', b'r', b'o', b'c', b'e', b's', b's', b'e', b's', ..] => &mut kernel.created,
            _ if line.starts_with(b"procs_running") => &mut kernel.running,
            _ if line.starts_with(b"procs_blocked") => &mut kernel.blocked,
            _ => continue,
        };
        *place = fields(line).nth(1).and_then(unsigned);
    }
    kernel
}

#[cfg(test)]
mod tests;
