//! Where the control groups of units lie: below `fs/cgroup` of sysfs, in one hierarchy (v2), one a controller (v1), or
//! both (hybrid).
//!
//! Units are found by walking the slices, not by asking systemd for the `ControlGroup` of each: a dozen directories
//! cost less than a hundred calls to process 1, and a captured tree has no systemd to ask. Only slices are entered.
//! What lies below a service or a scope (user managers, containers) belongs to somebody else, even where it is called
//! like a unit. Sources: cgroups(7), the kernel's admin-guide/cgroup-v2 and cgroup-v1.

use crate::host::parse::{fields, lines};
use crate::host::{Pass, Root};

/// Where the hierarchies are mounted, below sysfs.
const MOUNTS: &str = "fs/cgroup";
/// Directories a walk enters at most; a machine has about one for each hundred units.
const MOST_SLICES: usize = 4096;
/// Types of units that have a control group; slices have one too.
const TYPES: [&str; 5] = ["service", "scope", "socket", "mount", "swap"];

/// The hierarchies of the machine. Each is a directory below sysfs: where the groups of process 1's units begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hierarchies {
    /// Of version 2. With hybrid it has no controllers, but the kernel counts CPU time there all the same.
    pub unified: Option<String>,
    /// Whether version 2 is the only one, controllers included.
    pub alone: bool,
    /// Of version 1: systemd's own, without a controller.
    pub named: Option<String>,
    /// Of version 1: CPU time.
    pub cpuacct: Option<String>,
    /// Of version 1: memory.
    pub memory: Option<String>,
    /// Of version 1: tasks.
    pub pids: Option<String>,
    /// Of version 1: IO.
    pub blkio: Option<String>,
}

/// A unit and its control group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    /// The unit's name.
    pub name: String,
    /// Its directory below the root of each hierarchy.
    pub path: String,
}

impl Hierarchies {
    /// Finds what is mounted; nothing where there are no control groups.
    pub fn find(pass: &mut Pass<'_>) -> Self {
        let Ok(names) = pass.names(Root::Sys, MOUNTS) else {
            return Self::default();
        };
        let names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).collect();
        let roots = pass.once(Root::Proc, "1/cgroup").map(roots);
        let roots = roots.unwrap_or_default();
        let at = |mount: String, controller: &str| {
            let root = roots.iter().find(|(c, _)| c == controller);
            root.map(|(_, root)| format!("{mount}{root}"))
                // In a namespace of its own, process 1 is told of a path that cannot be seen from here.
                .filter(|dir| *dir != mount && pass.names(Root::Sys, dir).is_ok())
                .unwrap_or(mount)
        };
        if names.contains(&"cgroup.controllers") {
            return Self {
                unified: Some(at(MOUNTS.into(), "")),
                alone: true,
                ..Self::default()
            };
        }
        let of = |controller: &str, root: &str| {
            let exact = names.iter().find(|name| **name == controller);
            let shared = || {
                let among = |name: &&&str| name.split(',').any(|c| c == controller);
                names.iter().find(among)
            };
            let mount = exact.or_else(shared)?;
            Some(at(format!("{MOUNTS}/{mount}"), root))
        };
        Self {
            unified: of("unified", ""),
            alone: false,
            named: of("systemd", "name=systemd"),
            cpuacct: of("cpuacct", "cpuacct"),
            memory: of("memory", "memory"),
            pids: of("pids", "pids"),
            blkio: of("blkio", "blkio"),
        }
    }

    /// The hierarchy every unit has a group in.
    fn complete(&self) -> Option<&str> {
        let unified = || self.unified.as_deref();
        let any = || self.pids.as_deref().or(self.memory.as_deref());
        self.named.as_deref().or_else(unified).or_else(any)
    }

    /// The units that have a group, by name; false if there were too many slices to see them all.
    pub fn units(&self, pass: &Pass<'_>) -> (Vec<Group>, bool) {
        let mut found = Vec::new();
        let Some(root) = self.complete() else {
            return (found, true);
        };
        let mut slices = vec![String::new()];
        let mut entered = 0;
        while let Some(slice) = slices.pop()
            && entered < MOST_SLICES
        {
            entered += 1;
            // A slice may end while it is looked at.
            let names = pass.names(Root::Sys, &format!("{root}{slice}"));
            for name in names.unwrap_or_default() {
                // Names of units are ASCII.
                let Some((name, kind)) =
                    name.to_str().and_then(|n| Some((n, n.rsplit_once('.')?.1)))
                else {
                    continue;
                };
                let path = format!("{slice}/{name}");
                if kind == "slice" {
                    slices.push(path.clone());
                } else if !TYPES.contains(&kind) {
                    continue;
                }
                found.push(Group {
                    // systemd escapes so what could be taken for a file of the kernel's.
                    name: name.strip_prefix('_').unwrap_or(name).to_owned(),
                    path,
                });
            }
        }
        found.sort_unstable();
        found.dedup_by(|a, b| a.name == b.name);
        (found, slices.is_empty())
    }
}

/// Of each controller (none for version 2) where the groups of process 1's units begin: the group it started in. It
/// moves itself into `init.scope` there.
pub fn roots(text: &[u8]) -> Vec<(String, String)> {
    let mut roots = Vec::new();
    for line in lines(text) {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let path = path.strip_suffix("/init.scope").unwrap_or(path);
        let path = path.trim_end_matches('/');
        if path.split('/').any(|part| part == "..") || fields(path.as_bytes()).count() > 1 {
            continue;
        }
        for controller in controllers.split(',') {
            roots.push((controller.to_owned(), path.to_owned()));
        }
    }
    roots
}
