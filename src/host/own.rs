//! What this process itself uses: always of the real /proc, whatever the roots are.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::parse::{fields, unsigned};

/// Kernel ticks a second in /proc/PID/stat; fixed at 100 on every Linux that Rust runs on (`USER_HZ`).
pub const USER_HZ: u64 = 100;

/// What the process uses now; what could not be read is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OwnUsage {
    /// User and system time in seconds.
    pub cpu_seconds: Option<f64>,
    /// Bytes of address space.
    pub virtual_bytes: Option<u64>,
    /// The limit of that, `u64::MAX` for none.
    pub virtual_limit: Option<u64>,
    /// Bytes resident.
    pub resident_bytes: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open descriptors.
    pub open_fds: Option<u64>,
    /// The soft limit of those.
    pub fd_limit: Option<u64>,
    /// Start, in Unix seconds.
    pub started: Option<f64>,
    /// Bytes that came in over IP; of the whole network namespace, the kernel counts no process alone.
    pub received_bytes: Option<u64>,
    /// Bytes that went out, likewise.
    pub sent_bytes: Option<u64>,
}

/// This process.
#[derive(Debug, Default)]
pub struct Own {
    stat: Option<File>,
    netstat: Option<File>,
    boot: Option<u64>,
}

impl Own {
    /// This process, on a machine that booted at `boot` (Unix seconds).
    #[must_use]
    pub fn new(boot: Option<u64>) -> Self {
        Self {
            stat: File::open("/proc/self/stat").ok(),
            netstat: File::open("/proc/self/net/netstat").ok(),
            boot,
        }
    }

    /// What it uses now.
    #[must_use]
    pub fn usage(&self) -> OwnUsage {
        let limit = |resource| {
            rustix::process::getrlimit(resource)
                .current
                .or(Some(u64::MAX))
        };
        let mut usage = OwnUsage {
            virtual_limit: limit(rustix::process::Resource::As),
            fd_limit: limit(rustix::process::Resource::Nofile),
            open_fds: open_fds(),
            ..OwnUsage::default()
        };
        let mut text = [0; 1024];
        let text = reread(self.stat.as_ref(), &mut text);
        let after = text
            .iter()
            .rposition(|b| *b == b')')
            .map_or(text.len(), |at| at + 1);
        // Fields count from 3 behind the name: proc(5), /proc/pid/stat.
        let values: Vec<_> = fields(text.get(after..).unwrap_or(&[]))
            .map(unsigned)
            .collect();
        let field = |n: usize| values.get(n - 3).copied().flatten();
        #[expect(clippy::cast_precision_loss, reason = "seconds as a double")]
        let seconds = |ticks: u64| ticks as f64 / USER_HZ as f64;
        usage.cpu_seconds = field(14)
            .zip(field(15))
            .map(|(user, system)| seconds(user + system));
        usage.threads = field(20);
        #[expect(clippy::cast_precision_loss, reason = "seconds as a double")]
        let boot = self.boot.map(|b| b as f64);
        usage.started = field(22)
            .zip(boot)
            .map(|(ticks, boot)| boot + seconds(ticks));
        usage.virtual_bytes = field(23);
        let mut text = [0; 16 << 10];
        let netstat = reread(self.netstat.as_ref(), &mut text);
        usage.received_bytes = ip(netstat, b"InOctets");
        usage.sent_bytes = ip(netstat, b"OutOctets");
        usage.resident_bytes = field(24).map(|pages| pages * rustix::param::page_size() as u64);
        usage
    }
}

/// A counter of the group `IpExt` of /proc/net/netstat: a line of names, then a line of values (proc(5)).
fn ip(netstat: &[u8], name: &[u8]) -> Option<u64> {
    let mut lines = netstat
        .split(|b| *b == b'\n')
        .filter_map(|line| line.strip_prefix(b"IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let (_, value) = fields(names)
        .zip(fields(values))
        .find(|(n, _)| *n == name)?;
    unsigned(value)
}

/// What a kept file says now, as far as it fits; nothing if it could not be opened.
fn reread<'a>(file: Option<&File>, into: &'a mut [u8]) -> &'a [u8] {
    let read = file.and_then(|f| f.read_at(into, 0).ok());
    into.get(..read.unwrap_or(0)).unwrap_or_default()
}

/// The mountinfo of this process: what its paths lead to.
pub fn own_mounts() -> std::io::Result<Vec<u8>> {
    std::fs::read("/proc/self/mountinfo")
}

/// How many descriptors are open. Kernels from 6.2 on say it as the size of the directory (proc(5)); before, it is listed.
fn open_fds() -> Option<u64> {
    const FDS: &str = "/proc/self/fd";
    match std::fs::metadata(FDS).ok()?.len() {
        0 => listed(FDS),
        count => Some(count),
    }
}

fn listed(dir: &str) -> Option<u64> {
    // The directory being listed is open while it is counted.
    let count = std::fs::read_dir(dir).ok()?.count() as u64;
    Some(count.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_counter_by_its_name_and_none_where_it_is_missing() {
        let text =
            b"TcpExt: InOctets\nTcpExt: 1\nIpExt: InNoRoutes InOctets OutOctets\nIpExt: 0 7 x\n";
        assert_eq!(ip(text, b"InOctets"), Some(7));
        assert_eq!(ip(text, b"OutOctets"), None);
        assert_eq!(ip(text, b"InMcastOctets"), None);
        assert_eq!(ip(b"IpExt: InOctets\n", b"InOctets"), None);
        assert_eq!(ip(b"", b"InOctets"), None);
    }

    #[test]
    fn descriptors_are_counted_the_same_in_both_ways() {
        let dir = std::env::temp_dir().join(format!("nodeward-fds-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["0", "1", "2", "9"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        // The fourth stands for the directory itself.
        assert_eq!(listed(dir.to_str().unwrap()), Some(3));
        std::fs::remove_dir_all(dir).unwrap();
        assert!(open_fds().unwrap() >= 3);
    }

    #[test]
    fn knows_what_this_process_uses() {
        let usage = Own::new(Some(1)).usage();
        assert!(usage.resident_bytes.unwrap() > 100_000);
        assert!(usage.open_fds.unwrap() >= 3);
        assert!(usage.threads.unwrap() >= 1);
        assert!(usage.started.unwrap() > 1.0);
    }
}
