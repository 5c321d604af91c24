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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_for_those_who_switch_lists_what_is_not_here_and_nothing_else() {
        let page = include_str!("../../docs/NODE_EXPORTER.md");
        let (_, rest) = page.split_once("\nNot here yet").unwrap();
        let (listed, _) = rest.split_once("\n## ").unwrap();
        let words = |text: &'static str| text.split(|c: char| !c.is_alphanumeric() && c != '_');
        for name in lacking() {
            assert!(
                words(listed).any(|word| word == name),
                "{name} is not listed"
            );
        }
        for name in TABLE.iter().map(|entry| entry.name) {
            let named = words(listed).any(|word| word == name);
            assert!(!named, "{name} is here, and listed as not");
        }
    }
}
