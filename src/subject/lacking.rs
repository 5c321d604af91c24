//! Collectors of node_exporter that nodeward has no subject for: their names are known, so that command lines and scrape
//! jobs that name them go on working.

use super::TABLE;

/// Those that node_exporter 1.12 has and nodeward did not have from the start, in the order of the alphabet.
#[rustfmt::skip]
const COLLECTORS: &[&str] = &[
    "arp", "bcache", "bcachefs", "bonding", "btrfs", "buddyinfo", "cgroups", "conntrack",
    "cpu_vulnerabilities", "cpufreq", "diskstats", "dmi", "dmmultipath", "drbd", "drm", "edac",
    "entropy", "ethtool", "fibrechannel", "filefd", "hwmon", "infiniband", "interrupts", "ipvs",
    "kernel_hung", "ksmd", "lnstat", "loadavg", "logind", "mdadm", "meminfo_numa", "mountstats",
    "netclass", "netstat", "network_route", "nfs", "nfsd", "ntp", "nvme", "nvmesubsystem", "os",
    "pcidevice", "perf", "powersupplyclass", "pressure", "qdisc", "rapl", "runit", "schedstat",
    "selinux", "slabinfo", "sockstat", "softirqs", "softnet", "stat", "supervisord", "swap",
    "sysctl", "tapestats", "tcpstat", "textfile", "thermal_zone", "time", "timex", "udp_queues",
    "uname", "vmstat", "watchdog", "wifi", "xfrm", "xfs", "zfs", "zoneinfo",
];

/// Whether node_exporter has a collector of this name, and nodeward has not.
#[must_use]
pub fn lacks(name: &str) -> bool {
    COLLECTORS.contains(&name) && !TABLE.iter().any(|entry| entry.name == name)
}

/// All of them.
pub fn lacking() -> impl Iterator<Item = &'static str> {
    COLLECTORS.iter().copied().filter(|name| lacks(name))
}
