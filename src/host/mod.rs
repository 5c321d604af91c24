//! The only reader of the machine: roots, kept files, lenient parsers, calls that can hang; and what actions change on it.
//!
//! No other layer opens a path of the machine. It knows no subject and no dialect: it gives bytes,
//! names and system facts.

mod accounts;
mod apart;
mod attribute;
mod boot;
mod calls;
mod clock;
mod database;
mod directory;
mod file;
mod identity;
mod netlink;
mod network;
mod own;
pub mod parse;
mod pass;
mod pids;
mod place;
pub mod program;
mod regular;
mod roots;
mod sockets;
mod summary;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
mod trust;

pub use accounts::Accounts;
pub use apart::{Wanted, apart};
pub use attribute::{Device, attribute, last, linked, names, resolved};
pub use boot::{kept_boot_time, known_boot_time};
pub use calls::{CallCounters, Called, Calls, Key as CallKey};
pub use clock::{Clock, discipline, local_zone};
pub use directory::{Directory, Left};
pub use file::{Files, ReadError};
pub use identity::{Identity, boot_time};
pub use netlink::{Dump, Message, attributes, messages};
pub use network::{InterfaceAddress, interface_addresses, service_port};
pub use own::{Own, OwnUsage, USER_HZ, own_mounts};
pub use pass::{Pass, Text};
pub use pids::{PidBuffers, Pids, has_ended};
pub use place::{Kind, Led, Status, numbered};
pub use regular::{Found, Hashed, Regular, Stamp, open_regular};
pub use roots::{Root, Roots};
pub use sockets::{End, Socket, Sockets, listed, told};
pub use summary::{Process, Summary, command_line};
pub use sweep::{Sweep, Swept, sweep};
// What the kernel says of itself, whatever the roots are.
pub use rustix::param::page_size;
pub use rustix::system::{Uname, sysinfo, uname};
pub use trust::{Trust, root_alone_can_change};

/// Threads for calls that take long by nature, at most.
const LONG: usize = 2;
/// Threads that follow links, at most.
const LINKS: usize = 4;
/// Threads that gather evidence, at most: two packets at a time have four things each to look at.
const EVIDENCE: usize = 8;

/// One machine, live or captured.
pub struct Host {
    roots: Roots,
    calls: Calls,
    long: Calls,
    links: Calls,
    evidence: Calls,
    trust: Trust,
}

impl Default for Host {
    fn default() -> Self {
        let calls = Calls::default();
        let (long, links) = (calls.beside(LONG), calls.beside(LINKS));
        let evidence = calls.beside(EVIDENCE);
        Self {
            roots: Roots::default(),
            calls,
            long,
            links,
            evidence,
            trust: Trust::default(),
        }
    }
}

impl Host {
    /// A machine read below `roots`.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self {
            roots,
            ..Self::default()
        }
    }

    /// Where its files lie.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// What no Linux lacks and is not below the roots, in words: a mount that is missing or mistyped.
    #[must_use]
    pub fn lacks(&self) -> Vec<String> {
        let Roots { procfs, sysfs, .. } = &self.roots;
        let mut lacks = Vec::new();
        if !procfs.join("stat").exists() && !procfs.join("meminfo").exists() {
            let procfs = procfs.display();
            lacks.push(format!("no procfs at {procfs}, roots.procfs or --path.procfs: there is neither stat nor meminfo"));
        }
        if std::fs::read_dir(sysfs).map_or(true, |mut entries| entries.next().is_none()) {
            let sysfs = sysfs.display();
            lacks.push(format!(
                "no sysfs at {sysfs}, roots.sysfs or --path.sysfs: nothing is there"
            ));
        }
        lacks
    }

    /// Whether the network namespace we are in is the machine's own, so that what the kernel tells us by
    /// netlink is about the machine read. A captured tree has none.
    #[must_use]
    pub fn shares_network(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        // Each namespace has files of its own in procfs, which anybody may look at; its link is for the privileged.
        let namespace = |dir: &std::path::Path, process: &str| {
            let file = dir.join(process).join("net/dev");
            let is_proc =
                rustix::fs::statfs(&file).is_ok_and(|on| on.f_type == rustix::fs::PROC_SUPER_MAGIC);
            let seen = std::fs::metadata(&file).ok().filter(|_| is_proc);
            seen.map(|seen| seen.ino())
        };
        let live = std::path::Path::new("/proc");
        self.roots.procfs == live
            || namespace(&self.roots.procfs, "1")
                .is_some_and(|theirs| namespace(live, "self") == Some(theirs))
    }

    /// The threads for calls that can hang.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Looks at who could change programs.
    #[must_use]
    pub const fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The threads for calls that take long by nature, such as hashing a file, so that they do not take those of the others.
    #[must_use]
    pub fn long_calls(&self) -> &Calls {
        &self.long
    }

    /// The threads that follow the links of paths that others ask for: however many of those hang, readings have their own.
    #[must_use]
    pub fn link_calls(&self) -> &Calls {
        &self.links
    }

    /// The threads that gather evidence: however long that takes, and whatever of it hangs, readings have their own.
    #[must_use]
    pub fn evidence_calls(&self) -> &Calls {
        &self.evidence
    }

    /// Whether a path names something, a link included.
    ///
    /// # Errors
    /// What the system says, but for "not found".
    pub fn has(&self, path: &std::path::Path) -> std::io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// The path below the root of the machine that another one leads to, links followed; none if it leads nowhere. It may hang
    /// where a mount does.
    #[must_use]
    pub fn real_path(&self, path: &std::path::Path) -> Option<String> {
        let root = self.roots.rootfs.canonicalize().ok()?;
        let below = path.strip_prefix("/").unwrap_or(path);
        let real = root.join(below).canonicalize().ok()?;
        let below = real.strip_prefix(&root).unwrap_or(&real);
        Some(
            std::path::Path::new("/")
                .join(below)
                .to_string_lossy()
                .into_owned(),
        )
    }

    /// Has the kernel forget the file pages in memory that are on disk as well (proc_sys_vm(5), `drop_caches`). Needs root;
    /// takes seconds on a large machine.
    ///
    /// # Errors
    /// What the system says.
    pub fn drop_page_cache(&self) -> std::io::Result<()> {
        std::fs::write(
            self.roots().dir(Root::Proc).join("sys/vm/drop_caches"),
            "1\n",
        )
    }

    /// Bytes in a page of memory.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        rustix::param::page_size() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_the_machine_read_is_known_by_whatever_way_to_its_procfs() {
        let at = |procfs: &str| {
            let roots = Roots {
                procfs: procfs.into(),
                ..Roots::default()
            };
            Host::new(roots).shares_network()
        };
        assert!(at("/proc") && at("/proc/self/root/proc"));
        assert!(!at("tests/fixtures/hosts/server/proc") && !at("/nonexistent"));
    }

    #[test]
    fn a_root_that_is_none_is_told() {
        assert_eq!(Host::default().lacks(), Vec::<String>::new());
        let lacks = Host::new(Roots {
            procfs: "/nonexistent".into(),
            sysfs: "/nonexistent".into(),
            ..Roots::default()
        })
        .lacks();
        assert!(
            matches!(&lacks[..], [procfs, sysfs] if procfs.contains("--path.procfs") && sysfs.contains("--path.sysfs"))
        );
    }
}
