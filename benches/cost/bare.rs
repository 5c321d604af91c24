//! The kernel's own cost: a bare open, read and close of the files the subjects are told from, and a statfs a mount. It parses nothing.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::scrape::Set;

/// Files of /proc that the other subjects of the default set are told from; sockets are listed by two of them.
const PROC: &[&str] = &[
    "net/netstat",
    "net/snmp",
    "net/snmp6",
    "net/sockstat",
    "net/sockstat6",
    "net/softnet_stat",
    "net/arp",
    "net/udp",
    "net/udp6",
    "net/tcp",
    "net/tcp6",
    "net/stat/nf_conntrack",
    "sys/net/netfilter/nf_conntrack_count",
    "sys/net/netfilter/nf_conntrack_max",
    "sys/fs/file-nr",
    "sys/kernel/random/entropy_avail",
    "sys/kernel/random/poolsize",
    "sys/kernel/hung_task_detect_count",
    "diskstats",
    "vmstat",
    "loadavg",
    "schedstat",
    "mdstat",
    "pressure/cpu",
    "pressure/io",
    "pressure/memory",
    "pressure/irq",
];
/// Directories of sysfs whose devices' files are read, each whole.
const DEVICES: &[&str] = &[
    "class/net",
    "class/hwmon",
    "class/thermal",
    "class/power_supply",
    "class/nvme",
    "class/dmi",
    "devices/system/clocksource",
];

/// Reads what a scrape is told from.
pub struct Bare {
    buffer: Vec<u8>,
    mounts: Vec<String>,
    set: Set,
    /// The files of the devices, as they were at the start.
    devices: Vec<String>,
}

impl Bare {
    pub fn new(set: Set) -> Self {
        let text = std::fs::read_to_string("/proc/1/mountinfo").unwrap_or_default();
        let mounts = text
            .lines()
            .filter_map(|l| l.split(' ').nth(4))
            .map(str::to_owned)
            .collect();
        Self {
            buffer: vec![0; 64 << 10],
            mounts,
            set,
            devices: match set {
                Set::Default => devices(),
                _ => Vec::new(),
            },
        }
    }

    fn read(&mut self, path: &str) {
        if let Ok(mut file) = File::open(path) {
            while file.read(&mut self.buffer).is_ok_and(|n| n > 0) {}
        }
    }

    /// Everything once.
    pub fn pass(&mut self) {
        for path in [
            "/proc/stat",
            "/proc/meminfo",
            "/proc/1/mountinfo",
            "/proc/net/dev",
            "/proc/sys/kernel/threads-max",
            "/proc/sys/kernel/pid_max",
        ] {
            self.read(path);
        }
        let cpus = std::fs::read_dir("/sys/devices/system/cpu")
            .into_iter()
            .flatten()
            .flatten();
        for cpu in cpus {
            let name = cpu.file_name().to_string_lossy().into_owned();
            if name
                .strip_prefix("cpu")
                .is_some_and(|n| n.parse::<u32>().is_ok())
            {
                self.read(&format!("/sys/devices/system/cpu/{name}/online"));
            }
        }
        for mount in &self.mounts {
            // Kernel file systems are left out by every default filter.
            if !["/proc", "/sys", "/dev"]
                .iter()
                .any(|p| mount.starts_with(p))
            {
                std::hint::black_box(rustix::fs::statfs(mount.as_str()).is_ok());
            }
        }
        if self.set == Set::Default {
            for name in PROC {
                self.read(&format!("/proc/{name}"));
            }
            for path in std::mem::take(&mut self.devices) {
                self.read(&path);
                self.devices.push(path);
            }
        }
        if self.set == Set::Four {
            return;
        }
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids: Vec<String> = entries
            .filter_map(|e| e.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
            .collect();
        for pid in pids {
            self.read(&format!("/proc/{pid}/stat"));
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
                .flatten();
            for task in tasks {
                self.read(&format!(
                    "/proc/{pid}/task/{}/stat",
                    task.file_name().to_string_lossy()
                ));
            }
        }
    }
}

/// The files of the devices that can be read.
fn devices() -> Vec<String> {
    let mut found = Vec::new();
    for class in DEVICES {
        let listed = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
        for device in listed(&Path::new("/sys").join(class)) {
            for file in listed(&device.path()) {
                if std::fs::read(file.path()).is_ok() {
                    found.push(file.path().to_string_lossy().into_owned());
                }
            }
        }
    }
    found
}
