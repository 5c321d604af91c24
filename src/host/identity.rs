//! Who the machine is: names, identifiers and boot time, read below its roots.

use std::path::PathBuf;

use super::parse::{fields, lines, trim, unsigned};
use super::{Host, Root};

/// Who the machine is; what cannot be read is absent, and never invented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The host's name.
    pub hostname: String,
    /// Its machine id: 32 hex digits.
    pub machine_id: Option<String>,
    /// The text of os-release.
    pub os_release: Option<String>,
    /// `uname -m`.
    pub machine: String,
    /// `uname -r`.
    pub kernel_release: String,
    /// Boot time in Unix seconds: `btime` of /proc/stat.
    pub boot_time: Option<u64>,
    /// The boot id of the kernel.
    pub boot_id: Option<String>,
}

impl Host {
    /// Reads who the machine is. Called once at start: boot time moves by a second when the clock is stepped, and
    /// every consumer would take that for a reset.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let text = |root: Root, name: &str| {
            std::fs::read(self.roots().dir(root).join(name))
                .ok()
                .map(|b| String::from_utf8_lossy(trim(&b)).into_owned())
                .filter(|t| !t.is_empty())
        };
        let uname = rustix::system::uname();
        let live = uname.nodename().to_string_lossy().into_owned();
        let hostname = if self.roots().are_live() {
            live
        } else {
            // The uts namespace is ours, not the host's.
            text(Root::Proc, "sys/kernel/hostname")
                .or_else(|| text(Root::Rootfs, "etc/hostname"))
                .unwrap_or(live)
        };
        let is_id = |id: &String| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        Identity {
            hostname,
            machine_id: text(Root::Rootfs, "etc/machine-id")
                .filter(is_id)
                .or_else(|| text(Root::Rootfs, "var/lib/dbus/machine-id").filter(is_id)),
            os_release: text(Root::Rootfs, "etc/os-release")
                .or_else(|| text(Root::Rootfs, "usr/lib/os-release")),
            machine: uname.machine().to_string_lossy().into_owned(),
            kernel_release: text(Root::Proc, "sys/kernel/osrelease")
                .unwrap_or_else(|| uname.release().to_string_lossy().into_owned()),
            boot_time: std::fs::read(self.roots().dir(Root::Proc).join("stat"))
                .ok()
                .and_then(|stat| boot_time(&stat)),
            boot_id: self.boot_id(),
        }
    }

    /// The boot id of the kernel: another after each boot.
    #[must_use]
    pub fn boot_id(&self) -> Option<String> {
        let path = self
            .roots()
            .dir(Root::Proc)
            .join("sys/kernel/random/boot_id");
        let text = std::fs::read(path).ok()?;
        Some(String::from_utf8_lossy(trim(&text)).into_owned()).filter(|t| !t.is_empty())
    }

    /// The process that listens on a local TCP port, as far as this process may look: its id and name.
    #[must_use]
    pub fn listener_on(&self, port: u16) -> Option<(u32, String)> {
        let proc = self.roots().dir(Root::Proc);
        let inodes: Vec<String> = ["net/tcp", "net/tcp6"]
            .iter()
            .filter_map(|name| std::fs::read(proc.join(name)).ok())
            .flat_map(|text| {
                lines(&text)
                    .filter_map(|l| listening(l, port))
                    .collect::<Vec<_>>()
            })
            .map(|inode| format!("socket:[{inode}]"))
            .collect();
        let holds = |dir: PathBuf| {
            std::fs::read_dir(dir.join("fd")).ok().is_some_and(|fds| {
                fds.flatten()
                    .filter_map(|fd| std::fs::read_link(fd.path()).ok())
                    .any(|target| inodes.iter().any(|i| target.as_os_str() == i.as_str()))
            })
        };
        if inodes.is_empty() {
            return None;
        }
        std::fs::read_dir(proc).ok()?.flatten().find_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            if !holds(entry.path()) {
                return None;
            }
            let name = std::fs::read(entry.path().join("comm")).unwrap_or_default();
            Some((pid, String::from_utf8_lossy(trim(&name)).into_owned()))
        })
    }
}

/// `btime` of /proc/stat, in Unix seconds.
#[must_use]
pub fn boot_time(stat: &[u8]) -> Option<u64> {
    lines(stat).find_map(|line| unsigned(trim(line.strip_prefix(b"btime ")?)))
}

/// The inode of a line of /proc/net/tcp that listens on `port` (proc_net_tcp.txt: state 0A).
fn listening(line: &[u8], port: u16) -> Option<u64> {
    let mut parts = fields(line);
    let local = std::str::from_utf8(parts.nth(1)?).ok()?;
    let state = parts.nth(1)?;
    let at = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (at == port && state == b"0A")
        .then(|| parts.nth(5).and_then(unsigned))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_listens_on_a_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (pid, _) = Host::default().listener_on(port).unwrap();
        assert_eq!(pid, std::process::id());
    }

    #[test]
    fn reads_boot_time() {
        assert_eq!(
            boot_time(b"cpu 1\nbtime 1700000000\nx"),
            Some(1_700_000_000)
        );
        assert_eq!(boot_time(b"btime x\n"), None);
    }
}
