//! Where the machine's files lie: the four roots, so that a container can read its host and a test
//! a captured tree.

use std::path::{Path, PathBuf};

/// One of the four trees a subject may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Root {
    /// `--path.procfs`, default `/proc`.
    Proc,
    /// `--path.sysfs`, default `/sys`.
    Sys,
    /// `--path.rootfs`, default `/`: prefixed to mount points and to files under `/etc`.
    Rootfs,
    /// `--path.udev.data`, default `/run/udev/data`.
    Udev,
}

/// The directories the four roots stand for.
#[derive(
    Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Roots {
    /// Where procfs is mounted (`--path.procfs`).
    pub procfs: PathBuf,
    /// Where sysfs is mounted (`--path.sysfs`).
    pub sysfs: PathBuf,
    /// Where the host's root file system is mounted (`--path.rootfs`); stripped from mount points.
    pub rootfs: PathBuf,
    /// Where udev keeps its data (`--path.udev.data`).
    pub udev_data: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self {
            procfs: "/proc".into(),
            sysfs: "/sys".into(),
            rootfs: "/".into(),
            udev_data: "/run/udev/data".into(),
        }
    }
}

impl Roots {
    /// The directory of one root.
    #[must_use]
    pub fn dir(&self, root: Root) -> &Path {
        match root {
            Root::Proc => &self.procfs,
            Root::Sys => &self.sysfs,
            Root::Rootfs => &self.rootfs,
            Root::Udev => &self.udev_data,
        }
    }

    /// Whether the roots are those of the machine we run on, so that system calls that know no
    /// root (uname, D-Bus) tell of the same machine as the files.
    #[must_use]
    pub fn are_live(&self) -> bool {
        self.procfs == Path::new("/proc") && self.rootfs == Path::new("/")
    }
}
