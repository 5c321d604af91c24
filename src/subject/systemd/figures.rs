//! What a unit uses, as its control group counts it.
//!
//! A quantity whose controller is off, or that the kernel does not count, is absent; so is a limit that is off. A
//! group that ends while it is read is no error: units come and go.

use super::cgroup::Hierarchies;
use crate::host::parse::{fields, label, lines, trim, unsigned};
use crate::host::{Pass, ReadError, Root};
use crate::subject::ItemError;
use crate::subject::pressure;

/// Version 1 writes a limit that is off as the largest multiple of the page size; no machine has as much memory.
const NO_LIMIT: u64 = 1 << 62;
/// The kernel's error for a file of a group that is gone.
const ENODEV: i32 = 19;

/// What one unit uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// CPU time since the unit started, in nanoseconds.
    pub cpu: Option<u64>,
    /// Memory, page cache included, in bytes.
    pub memory: Option<u64>,
    /// Most memory it may use, in bytes.
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    pub tasks: Option<u64>,
    /// Most processes and threads it may have.
    pub tasks_limit: Option<u64>,
    /// Bytes read from and written to block devices.
    pub io: Option<(u64, u64)>,
    /// Time it was held back by its limit of CPU time, in nanoseconds.
    pub throttled: Option<u64>,
    /// Processes of it that the kernel ended for want of memory.
    pub oom_kills: Option<u64>,
    /// What it waited for, in the order of [`RESOURCES`].
    pub pressure: [Option<Stalls>; RESOURCES.len()],
}

/// What the kernel tells the pressure of.
pub const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

/// Time spent waiting for a resource, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalls {
    /// By some task of the unit.
    pub some: u64,
    /// By all that had something to do; kernels before 5.13 do not tell it of CPUs.
    pub full: Option<u64>,
}

impl Figures {
    /// CPU time in seconds.
    #[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
    pub fn cpu_seconds(&self) -> Option<f64> {
        self.cpu.map(|nanoseconds| nanoseconds as f64 / 1e9)
    }

    /// Time held back by a limit of CPU time, in seconds.
    #[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
    pub fn throttled_seconds(&self) -> Option<f64> {
        self.throttled.map(|nanoseconds| nanoseconds as f64 / 1e9)
    }

    /// Seconds some task waited, or all did, by resource.
    #[expect(clippy::cast_precision_loss, reason = "every sample is a double")]
    pub fn stalls(&self, all: bool) -> impl Iterator<Item = (&'static str, f64)> {
        let told = RESOURCES.into_iter().zip(self.pressure);
        told.filter_map(move |(resource, stalls)| {
            let stalls = stalls?;
            let time = if all { stalls.full } else { Some(stalls.some) };
            Some((resource, time? as f64 / 1e6))
        })
    }
}

/// Reads the files of one group.
pub struct Reader<'a, 'p> {
    /// Where the files are.
    pub pass: &'a mut Pass<'p>,
    /// The hierarchies.
    pub hierarchies: &'a Hierarchies,
    /// Whether pressure is wanted.
    pub pressure: bool,
    /// What could not be read.
    pub errors: &'a mut Vec<ItemError>,
}

impl Reader<'_, '_> {
    /// The figures of the group at `path`, below the root of each hierarchy.
    pub fn figures(&mut self, path: &str) -> Figures {
        let h = self.hierarchies;
        let unified = h.unified.as_deref();
        let mut waits = [None; RESOURCES.len()];
        if self.pressure {
            for (wait, resource) in waits.iter_mut().zip(RESOURCES) {
                *wait = self.file(unified, path, &format!("{resource}.pressure"), stalls);
            }
        }
        if h.alone {
            let cpu = self.file(unified, path, "cpu.stat", cpu_stats);
            return Figures {
                cpu: cpu.map(|(used, _)| used),
                throttled: cpu.and_then(|(_, throttled)| throttled),
                oom_kills: self
                    .file(unified, path, "memory.events", oom_kills)
                    .flatten(),
                pressure: waits,
                memory: self.file(unified, path, "memory.current", unsigned),
                memory_limit: self.file(unified, path, "memory.max", limit).flatten(),
                tasks: self.file(unified, path, "pids.current", unsigned),
                tasks_limit: self.file(unified, path, "pids.max", limit).flatten(),
                io: self.file(unified, path, "io.stat", io_stat),
            };
        }
        let (memory, pids) = (h.memory.as_deref(), h.pids.as_deref());
        let cpu = self.file(h.cpuacct.as_deref(), path, "cpuacct.usage", unsigned);
        let io = |reader: &mut Self, name| reader.file(h.blkio.as_deref(), path, name, io_service);
        Figures {
            // Without CPUAccounting= a unit has no group of its own there.
            cpu: cpu.or_else(|| self.file(unified, path, "cpu.stat", cpu_stat)),
            memory: self.file(memory, path, "memory.usage_in_bytes", unsigned),
            memory_limit: self
                .file(memory, path, "memory.limit_in_bytes", unsigned)
                .filter(|limit| *limit < NO_LIMIT),
            tasks: self.file(pids, path, "pids.current", unsigned),
            tasks_limit: self.file(pids, path, "pids.max", limit).flatten(),
            io: io(self, "blkio.throttle.io_service_bytes_recursive")
                .or_else(|| io(self, "blkio.throttle.io_service_bytes")),
            throttled: self
                .file(h.cpuacct.as_deref(), path, "cpu.stat", throttled_time)
                .flatten(),
            oom_kills: self
                .file(memory, path, "memory.oom_control", oom_kills)
                .flatten(),
            pressure: waits,
        }
    }

    fn file<T>(
        &mut self,
        root: Option<&str>,
        path: &str,
        name: &str,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let root = root?;
        let why = match self.pass.once(Root::Sys, &format!("{root}{path}/{name}")) {
            Ok(text) => match parse(trim(text)) {
                Some(value) => return Some(value),
                None => format!(
                    "not what the kernel writes: {:?}",
                    label(text.get(..60).unwrap_or(text))
                ),
            },
            Err(error) if is_gone(&error) => return None,
            Err(error) => error.to_string(),
        };
        self.errors.push(ItemError {
            kind: "cgroup",
            item: format!("{path}/{name}"),
            why,
        });
        None
    }
}

fn is_gone(error: &ReadError) -> bool {
    // With psi=0, or cgroup.pressure off, the files of pressure are there and cannot be opened.
    error.is_not_found() || error.is_unsupported() || error.source.raw_os_error() == Some(ENODEV)
}

/// A limit of version 2, and of `pids` in both; none if it is off.
pub fn limit(text: &[u8]) -> Option<Option<u64>> {
    match text {
        b"max" => Some(None),
        number => unsigned(number).map(Some),
    }
}

/// CPU time of `cpu.stat` in nanoseconds; the kernel writes microseconds.
pub fn cpu_stat(text: &[u8]) -> Option<u64> {
    let used = lines(text).find_map(|line| line.strip_prefix(b"usage_usec "))?;
    unsigned(trim(used)).map(|used| used.saturating_mul(1000))
}

/// CPU time and, where the controller is on, time held back, of `cpu.stat` in nanoseconds.
fn cpu_stats(text: &[u8]) -> Option<(u64, Option<u64>)> {
    let throttled = named(text, b"throttled_usec ").map(|time| time.saturating_mul(1000));
    Some((cpu_stat(text)?, throttled))
}

/// Time held back of `cpu.stat` of version 1, in nanoseconds; none without it.
fn throttled_time(text: &[u8]) -> Option<Option<u64>> {
    Some(named(text, b"throttled_time "))
}

/// Processes ended for want of memory, of `memory.events` or version 1's `memory.oom_control`; none where the kernel does not count them.
pub fn oom_kills(text: &[u8]) -> Option<Option<u64>> {
    Some(named(text, b"oom_kill "))
}

/// The number of the line that begins with `name`.
fn named(text: &[u8], name: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| unsigned(trim(line.strip_prefix(name)?)))
}

/// Time spent waiting, of a file such as `memory.pressure`.
pub fn stalls(text: &[u8]) -> Option<Stalls> {
    Some(Stalls {
        some: pressure::total(text, "some").ok()?,
        full: pressure::total(text, "full").ok(),
    })
}

/// Bytes read and written of `io.stat`, all devices together. A group that did no IO has an empty file.
pub fn io_stat(text: &[u8]) -> Option<(u64, u64)> {
    let (mut read, mut written) = (0u64, 0u64);
    for field in lines(text).flat_map(|line| fields(line).skip(1)) {
        if let Some(bytes) = field.strip_prefix(b"rbytes=") {
            read = read.saturating_add(unsigned(bytes)?);
        } else if let Some(bytes) = field.strip_prefix(b"wbytes=") {
            written = written.saturating_add(unsigned(bytes)?);
        }
    }
    Some((read, written))
}

/// The same of version 1: `8:0 Read 123` a line, and a sum of everything at the end.
pub fn io_service(text: &[u8]) -> Option<(u64, u64)> {
    let (mut read, mut written) = (0u64, 0u64);
    for line in lines(text) {
        let mut parts = fields(line).skip(1);
        let sum = match parts.next() {
            Some(b"Read") => &mut read,
            Some(b"Write") => &mut written,
            _ => continue,
        };
        *sum = sum.saturating_add(unsigned(parts.next()?)?);
    }
    Some((read, written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_the_sum_the_kernel_tells_and_nothing_else() {
        let told = b"usage_usec 69943441\nuser_usec 14064602\nsystem_usec 55878839\n";
        assert_eq!(cpu_stat(told), Some(69_943_441_000));
        assert_eq!(cpu_stat(b"nr_periods 0\nusage_usec 7"), Some(7000));
        for bad in [
            &b""[..],
            b"usage_usec",
            b"usage_usec \n",
            b"usage_usec\nuser_usec -1\n",
            b"usage_usec -1",
            b"usage_usec 18446744073709551616",
            b"usage_usec 1 2",
            b"user_usec 5",
        ] {
            assert_eq!(cpu_stat(bad), None, "{bad:?}");
        }
        assert_eq!(cpu_stat(b"usage_usec 18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn what_the_controller_of_cpu_time_adds_is_told_where_it_is_on() {
        let on = b"usage_usec 7\nnr_periods 4\nnr_throttled 2\nthrottled_usec 1500\n";
        assert_eq!(cpu_stats(on), Some((7000, Some(1_500_000))));
        assert_eq!(cpu_stats(b"usage_usec 7\n"), Some((7000, None)));
        assert_eq!(
            throttled_time(b"nr_throttled 2\nthrottled_time 9\n"),
            Some(Some(9))
        );
        assert_eq!(throttled_time(b""), Some(None));
    }

    #[test]
    fn ends_for_want_of_memory_are_counted_by_both_versions() {
        let events = b"low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(oom_kills(events), Some(Some(3)));
        let control = b"oom_kill_disable 0\nunder_oom 0\noom_kill 2\n";
        assert_eq!(oom_kills(control), Some(Some(2)));
        assert_eq!(oom_kills(b"oom_kill_disable 0\nunder_oom 0\n"), Some(None));
    }

    #[test]
    fn pressure_is_of_some_tasks_and_of_all() {
        let some = b"some avg10=0.00 avg60=0.10 avg300=0.02 total=1500000\n";
        let full = b"full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        let both = [&some[..], full].concat();
        let (some_only, full) = (stalls(some).unwrap(), stalls(&both).unwrap());
        assert_eq!((some_only.some, some_only.full), (1_500_000, None));
        assert_eq!((full.some, full.full), (1_500_000, Some(7)));
        assert_eq!(stalls(b"full avg10=0 total=7\n"), None);
        let figures = Figures {
            pressure: [Some(some_only), None, Some(full)],
            ..Figures::default()
        };
        let told = |all| figures.stalls(all).collect::<Vec<_>>();
        assert_eq!(told(false), [("cpu", 1.5), ("io", 1.5)]);
        assert_eq!(told(true), [("io", 0.000_007)]);
    }

    #[test]
    fn a_limit_is_a_number_or_off() {
        assert_eq!(limit(b"max"), Some(None));
        assert_eq!(limit(b"64"), Some(Some(64)));
        for bad in [&b""[..], b"Max", b"-1", b"6 4", b"99999999999999999999"] {
            assert_eq!(limit(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn io_of_all_devices_is_summed() {
        let two = b"259:0 rbytes=5 wbytes=7 rios=1 wios=1 dbytes=9 dios=0\n8:0 rbytes=1 wbytes=2\n";
        assert_eq!(io_stat(two), Some((6, 9)));
        assert_eq!(io_stat(b""), Some((0, 0)));
        assert_eq!(io_stat(b"8:0 \n8:16 rbytes=1"), Some((1, 0)));
        assert_eq!(io_stat(b"8:0 rbytes=x wbytes=1"), None);
        assert_eq!(io_stat(b"8:0 rbytes=5 wbytes="), None);
        let most = b"8:0 rbytes=18446744073709551615\n8:1 rbytes=1";
        assert_eq!(io_stat(most), Some((u64::MAX, 0)));
    }

    #[test]
    fn io_of_version_1_is_the_same_in_other_words() {
        let two = b"8:0 Read 5\n8:0 Write 7\n8:0 Sync 12\n8:0 Total 12\n8:16 Read 1\nTotal 13\n";
        assert_eq!(io_service(two), Some((6, 7)));
        assert_eq!(io_service(b"Total 0"), Some((0, 0)));
        assert_eq!(io_service(b""), Some((0, 0)));
        assert_eq!(io_service(b"8:0 Read"), None);
        assert_eq!(io_service(b"8:0 Read -5"), None);
    }
}
