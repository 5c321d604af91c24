//! Which mounts Prometheus sees, and node_exporter's flags for it.

use super::{Filesystem, Options};
use crate::subject::filter::{Filter, pattern};
use crate::subject::{Flag, Invalid, Subject};

/// Mount points that are left out unless the options say otherwise.
const MOUNT_POINTS: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// Types that are left out unless the options say otherwise.
const TYPES: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";

/// Which mounts Prometheus sees.
pub(super) struct Selection {
    mount_points: Filter,
    types: Filter,
}

impl Selection {
    pub(super) fn new(options: &Options) -> Result<Self, Invalid> {
        Ok(Self {
            mount_points: Filter::new(
                Filesystem::NAME,
                "mount_points",
                options.mount_points_include.as_ref(),
                options.mount_points_exclude.as_ref(),
                Some(MOUNT_POINTS),
            )?,
            types: Filter::new(
                Filesystem::NAME,
                "fs_types",
                options.fs_types_include.as_ref(),
                options.fs_types_exclude.as_ref(),
                Some(TYPES),
            )?,
        })
    }

    pub(super) fn shows(&self, mount_point: &str, fstype: &str) -> bool {
        self.types.passes(fstype) && self.mount_points.passes(mount_point)
    }
}

pub(super) const FLAGS: &[Flag<Options>] = &[
    Flag::value(
        "collector.filesystem.mount-points-exclude",
        "Mount points not to tell, a regular expression",
        |o: &mut Options, v| pattern(v).map(|p| o.mount_points_exclude = p),
    ),
    Flag::value(
        "collector.filesystem.mount-points-include",
        "Mount points to tell, a regular expression",
        |o: &mut Options, v| pattern(v).map(|p| o.mount_points_include = p),
    ),
    Flag::value(
        "collector.filesystem.fs-types-exclude",
        "Types of file systems not to tell, a regular expression",
        |o: &mut Options, v| pattern(v).map(|p| o.fs_types_exclude = p),
    ),
    Flag::value(
        "collector.filesystem.fs-types-include",
        "Types of file systems to tell, a regular expression",
        |o: &mut Options, v| pattern(v).map(|p| o.fs_types_include = p),
    ),
    Flag::value(
        "collector.filesystem.ignored-mount-points",
        "Old name of mount-points-exclude",
        |o: &mut Options, v| pattern(v).map(|p| o.mount_points_exclude = p),
    )
    .old_name_of("collector.filesystem.mount-points-exclude"),
    Flag::value(
        "collector.filesystem.ignored-fs-types",
        "Old name of fs-types-exclude",
        |o: &mut Options, v| pattern(v).map(|p| o.fs_types_exclude = p),
    )
    .old_name_of("collector.filesystem.fs-types-exclude"),
    Flag::value(
        "collector.filesystem.mount-timeout",
        "How long to wait for a mount that does not answer",
        |o: &mut Options, v| {
            let period = v.parse().map_err(|e| format!("{e}"));
            period.map(|p| o.mount_timeout = p)
        },
    ),
    Flag::value(
        "collector.filesystem.stat-workers",
        "Taken and not used: at most four threads wait for mounts",
        |_: &mut Options, v| match v.parse::<usize>() {
            Ok(_) => Ok(()),
            Err(e) => Err(format!("number of workers {v:?}: {e}")),
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn set(flags: &[(&str, &str)]) -> Result<Selection, Invalid> {
        let mut options = Options::default();
        for (name, value) in flags {
            let name = format!("collector.filesystem.{name}");
            let flag = FLAGS.iter().find(|f| f.descriptor.name == name).unwrap();
            (flag.set)(&mut options, value).unwrap();
        }
        Selection::new(&options)
    }

    #[test]
    fn the_defaults_leave_out_what_the_reference_leaves_out() {
        let selection = set(&[]).unwrap();
        for (mount_point, fstype, shown) in [
            ("/", "ext4", true),
            ("/dev", "ext4", false),
            ("/dev/shm", "tmpfs", false),
            ("/devel", "ext4", true),
            ("/run/credentials", "ramfs", true),
            ("/run/credentials/x", "ramfs", false),
            ("/var/lib/docker", "ext4", true),
            ("/var/lib/docker/overlay2", "ext4", false),
            ("/a", "overlay", false),
            ("/a", "overlayfs", true),
            ("/a", "cgroup2", false),
            ("/a", "cgroup22", true),
        ] {
            assert_eq!(
                selection.shows(mount_point, fstype),
                shown,
                "{mount_point} {fstype}"
            );
        }
    }

    #[test]
    fn an_include_switches_the_default_exclude_off_and_an_empty_exclude_too() {
        let include = set(&[("mount-points-include", "^/dev")]).unwrap();
        assert!(include.shows("/dev/shm", "tmpfs"));
        assert!(!include.shows("/", "ext4"));
        let exclude = set(&[("ignored-mount-points", ""), ("ignored-fs-types", "")]).unwrap();
        assert!(exclude.shows("/proc", "proc"));
    }

    #[test]
    fn include_and_exclude_together_are_refused_by_name() {
        let flags = [("fs-types-include", "a"), ("fs-types-exclude", "b")];
        let why = set(&flags).err().unwrap().to_string();
        assert!(why.contains("fs_types_include"), "{why}");
        assert!(why.contains("fs_types_exclude"), "{why}");
    }

    #[test]
    fn timeouts_and_workers_must_be_what_they_say() {
        let mut options = Options::default();
        for (name, value, taken) in [
            ("mount-timeout", "250ms", true),
            ("mount-timeout", "soon", false),
            ("stat-workers", "4", true),
            ("stat-workers", "x", false),
        ] {
            let name = format!("collector.filesystem.{name}");
            let flag = FLAGS.iter().find(|f| f.descriptor.name == name).unwrap();
            assert_eq!(
                (flag.set)(&mut options, value).is_ok(),
                taken,
                "{name} {value}"
            );
        }
    }
}
