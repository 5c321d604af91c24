//! More of single processes: memory, CPU time, and all that `proc.get` tells of them. What else cannot be read of one is 0.

use super::query::{Query, full_name, joined};
use crate::host::parse::{fields, label, lines, unsigned};
use crate::host::{Accounts, Pass, PidBuffers, Pids, Root};

/// What is read of each process that a query takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// /proc/PID/status.
    Memory,
    /// CPU time, from /proc/PID/stat.
    Times,
    /// All there is, /proc/PID/smaps_rollup included.
    Whole,
    /// The same of each thread, but for memory.
    Threads,
}

/// Lines of /proc/PID/status that are kilobytes, in the order of [`Process::memory`].
const MEMORY: [&[u8]; MEMORIES] = [
    b"VmPeak", b"VmSize", b"VmLck", b"VmPin", b"VmHWM", b"VmRSS", b"VmData", b"VmStk", b"VmExe",
    b"VmLib", b"VmPTE", b"VmSwap",
];
const MEMORIES: usize = 12;
pub(super) const PEAK: usize = 0;
pub(super) const VSIZE: usize = 1;
pub(super) const LCK: usize = 2;
pub(super) const PIN: usize = 3;
pub(super) const HWM: usize = 4;
pub(super) const RSS: usize = 5;
pub(super) const DATA: usize = 6;
pub(super) const STK: usize = 7;
pub(super) const EXE: usize = 8;
pub(super) const LIB: usize = 9;
pub(super) const PTE: usize = 10;
pub(super) const SWAP: usize = 11;

/// A process, or one of its threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: i64,
    pub tid: i64,
    pub ppid: u64,
    /// The process's name, whole.
    pub name: String,
    /// The kernel's for the thread.
    pub thread_name: String,
    pub command: String,
    pub uid: u32,
    pub gid: u32,
    /// Bytes; threads of the kernel and what has ended have none.
    pub memory: [Option<u64>; MEMORIES],
    /// Proportional share of memory in bytes; all of it where the share may not be read.
    pub pss: u64,
    /// When it began, and CPU time as user and for it in the kernel, in ticks.
    pub began: u64,
    pub user: u64,
    pub system: u64,
    pub state: u8,
    pub switches: u64,
    pub threads: u64,
    /// Faults for which a page was read from a disk.
    pub faults: u64,
}

/// What was asked of processes, and what they are.
#[derive(Debug, Default)]
pub(super) struct Table {
    lists: Vec<(Query, Detail, Vec<Process>)>,
    /// CPU time of queries since they were first asked for: as user, in the kernel.
    pub spent: Vec<(Query, [u64; 2])>,
    /// Memory of the machine in bytes, if it is known.
    pub total: Option<u64>,
    /// If they are told.
    pub accounts: Accounts,
}

impl Table {
    pub(super) fn new(listed: &[(Query, Detail)]) -> Self {
        let lists = listed.iter().cloned();
        Self {
            lists: lists
                .map(|(query, detail)| (query, detail, Vec::new()))
                .collect(),
            ..Self::default()
        }
    }

    pub(super) fn push(&mut self, at: usize, process: Process) {
        if let Some((_, _, list)) = self.lists.get_mut(at) {
            list.push(process);
        }
    }

    /// Reads what is told beside them.
    pub(super) fn know(&mut self, pass: &mut Pass<'_>) {
        let details = |wanted: &[Detail]| self.lists.iter().any(|(_, d, _)| wanted.contains(d));
        let (memory, names) = (
            details(&[Detail::Memory, Detail::Whole]),
            details(&[Detail::Whole, Detail::Threads]),
        );
        if memory && let Ok(text) = pass.file(Root::Proc, "meminfo") {
            self.total = kilobytes(&text, b"MemTotal");
        }
        if names {
            self.accounts = Accounts::read(pass);
        }
    }

    /// The processes of a query; none if it was not asked for.
    pub(super) fn list(&self, query: &Query, detail: Detail) -> Option<&[Process]> {
        let found = self
            .lists
            .iter()
            .find(|(q, d, _)| q == query && *d == detail);
        found.map(|(_, _, list)| list.as_slice())
    }

    pub(super) fn lists(&self, detail: Detail) -> impl Iterator<Item = (&Query, &[Process])> {
        let of = self.lists.iter().filter(move |(_, d, _)| *d == detail);
        of.map(|(query, _, list)| (query, list.as_slice()))
    }
}

/// The bytes of a line of kilobytes.
fn kilobytes(text: &[u8], name: &[u8]) -> Option<u64> {
    value(text, name)
        .and_then(|value| unsigned(fields(value).next()?))?
        .checked_mul(1024)
}

/// What stands behind a name and a colon.
fn value<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    lines(text).find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"))
}

/// Reads a process, or its thread, which has no name of its process yet; none if it has ended.
pub(super) fn read(
    pids: &Pids,
    pid: i64,
    tid: Option<i64>,
    detail: Detail,
    buffers: &mut PidBuffers,
) -> Option<Process> {
    let file = |name: &str| match tid {
        Some(tid) => format!("task/{tid}/{name}"),
        None => name.to_owned(),
    };
    let mut process = Process {
        pid,
        tid: tid.unwrap_or(pid),
        ..Process::default()
    };
    if detail != Detail::Memory {
        process.times(pids.read(pid, &file("stat"), buffers).ok()?)?;
    }
    let mut comm = Vec::new();
    if detail != Detail::Times {
        let text = pids.read(pid, &file("status"), buffers).ok()?;
        process.status(text);
        if detail == Detail::Whole {
            name(text).clone_into(&mut comm);
        }
    }
    if detail != Detail::Whole {
        return Some(process);
    }
    let command = pids.read(pid, "cmdline", buffers).unwrap_or_default();
    process.name = label(full_name(&comm, command)).into_owned();
    process.command = label(&joined(command)).into_owned();
    if let Some(all) = process.bytes(&[RSS]) {
        let rollup = pids.read(pid, "smaps_rollup", buffers).ok();
        let share = rollup.and_then(|text| kilobytes(text, b"Pss"));
        // The kernel cuts a part of a kilobyte off, of which the agents put half of one back.
        process.pss = share.map_or(all, |share| share + 512);
    }
    Some(process)
}

fn name(status: &[u8]) -> &[u8] {
    let name = value(status, b"Name").unwrap_or_default();
    name.strip_prefix(b"\t").unwrap_or(name)
}

impl Process {
    /// Fields of proc_pid_stat(5) behind the name, from the third on.
    fn times(&mut self, text: &[u8]) -> Option<()> {
        let close = text.iter().rposition(|b| *b == b')')?;
        let fields: Vec<&[u8]> = fields(text.get(close + 1..)?).collect();
        let number = |field: usize| fields.get(field - 3).and_then(|text| unsigned(text));
        self.state = *fields.first()?.first()?;
        self.ppid = number(4).unwrap_or_default();
        self.faults = number(12)?;
        (self.user, self.system, self.began) = (number(14)?, number(15)?, number(22)?);
        Some(())
    }

    fn status(&mut self, text: &[u8]) {
        let number = |name: &[u8]| {
            let first = value(text, name).and_then(|value| fields(value).next());
            first.and_then(unsigned).unwrap_or_default()
        };
        let id = |name: &[u8]| u32::try_from(number(name)).unwrap_or_default();
        self.thread_name = label(name(text)).into_owned();
        (self.uid, self.gid) = (id(b"Uid"), id(b"Gid"));
        self.threads = number(b"Threads");
        self.switches = number(b"voluntary_ctxt_switches")
            .saturating_add(number(b"nonvoluntary_ctxt_switches"));
        self.memory = MEMORY.map(|name| kilobytes(text, name));
    }

    /// Bytes of some kinds of memory; none of what lacks one of them.
    pub(super) fn bytes(&self, kinds: &[usize]) -> Option<u64> {
        let of = |at: &usize| self.memory.get(*at).copied().flatten();
        kinds.iter().map(of).sum()
    }
}
