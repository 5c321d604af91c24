//! The only reader of the machine: roots, kept files, lenient parsers, calls that can hang.
//!
//! No other layer opens a path of the machine. It knows no subject and no dialect: it gives bytes,
//! names and system facts.

mod calls;
mod file;
mod identity;
mod netlink;
mod network;
mod own;
pub mod parse;
mod pass;
mod pids;
mod roots;

pub use calls::{CallCounters, Called, Calls, Key as CallKey};
pub use file::{Files, ReadError};
pub use identity::{Identity, boot_time};
pub use netlink::{Dump, Message, attributes, messages};
pub use network::{InterfaceAddress, interface_addresses};
pub use own::{Own, OwnUsage, USER_HZ};
pub use pass::{Pass, Text};
pub use pids::{PidBuffers, Pids, has_ended};
pub use roots::{Root, Roots};

/// One machine, live or captured.
#[derive(Default)]
pub struct Host {
    roots: Roots,
    calls: Calls,
}

impl Host {
    /// A machine read below `roots`.
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self {
            roots,
            calls: Calls::default(),
        }
    }

    /// Where its files lie.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Whether the network namespace we are in is the machine's own, so that what the kernel tells us by
    /// netlink is about the machine read. A captured tree has none.
    #[must_use]
    pub fn shares_network(&self) -> bool {
        let namespace = |dir: &std::path::Path, process: &str| {
            std::fs::read_link(dir.join(process).join("ns/net")).ok()
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

    /// Bytes in a page of memory.
    #[must_use]
    pub fn page_size(&self) -> u64 {
        rustix::param::page_size() as u64
    }
}
