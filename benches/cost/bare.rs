//! The kernel's own cost: a bare open, read and close of the files the subjects are told from, and a statfs a mount. It parses nothing.

use std::fs::File;
use std::io::Read;

/// Reads what a scrape of cpu, meminfo, filesystem, netdev and processes is told from.
pub struct Bare {
    buffer: Vec<u8>,
    mounts: Vec<String>,
    processes: bool,
}

impl Bare {
    pub fn new(processes: bool) -> Self {
        let text = std::fs::read_to_string("/proc/1/mountinfo").unwrap_or_default();
        let mounts = text
            .lines()
            .filter_map(|l| l.split(' ').nth(4))
            .map(str::to_owned)
            .collect();
        Self {
            buffer: vec![0; 64 << 10],
            mounts,
            processes,
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
        if !self.processes {
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
