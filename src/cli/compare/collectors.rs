//! Which collector of node_exporter a family belongs to.

use crate::subject::{TABLE, lacking};

/// Where a page's families without a collector are put: what others wrote to text files, what programs tell of themselves.
pub(super) const OTHERS: &str = "others";

/// How families begin of collectors that nodeward may lack, where that is not `node_` and the collector's name; before shorter ones.
const BEGINNINGS: &[(&str, &str)] = &[
    ("node_cpu_vulnerabilities_", "cpu_vulnerabilities"),
    ("node_fibrechannel_", "fibrechannel"),
    ("node_memory_numa_", "meminfo_numa"),
    ("node_network_route", "network_route"),
    ("node_nfsd_", "nfsd"),
    ("node_nvmesubsystem_", "nvmesubsystem"),
    ("node_bcachefs_", "bcachefs"),
    ("node_service_", "runit"),
    ("node_tape_", "tapestats"),
    ("node_mountstats_", "mountstats"),
];

/// The collector that tells the family, and this series of it where it tells of collectors.
pub(super) fn of<'a>(family: &str, series: &'a str) -> &'a str {
    if family.starts_with("node_scrape_collector_") {
        let name = series.strip_prefix("{collector=\"");
        return name
            .and_then(|name| name.strip_suffix("\"}"))
            .unwrap_or(OTHERS);
    }
    let beginning = BEGINNINGS
        .iter()
        .find(|(start, _)| family.starts_with(start));
    if let Some((_, collector)) = beginning {
        return collector;
    }
    // One family by its name before all that a rule makes.
    let exactly = TABLE.iter().find(|entry| {
        let mut families = entry.families.iter();
        families.any(|declared| declared.descriptor().name == family)
    });
    let by_rule = || {
        let mut all = TABLE.iter();
        all.find(|entry| entry.families.iter().any(|declared| declared.tells(family)))
    };
    if let Some(entry) = exactly.or_else(by_rule) {
        return entry.name;
    }
    let rest = family.strip_prefix("node_").unwrap_or_default();
    let ours = TABLE.iter().map(|entry| entry.name);
    let mut all = lacking().chain(ours);
    let named = all.find(|name| {
        let behind = rest.strip_prefix(name);
        behind.is_some_and(|behind| behind.starts_with('_'))
    });
    named.unwrap_or(OTHERS)
}

/// Whether nodeward has a subject of this name.
pub(super) fn is_known(collector: &str) -> bool {
    TABLE.iter().any(|entry| entry.name == collector)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_the_collector_that_tells_it() {
        for (family, collector) in [
            ("node_cpu_seconds_total", "cpu"),
            ("node_memory_MemFree_bytes", "meminfo"),
            ("node_memory_numa_MemFree", "meminfo_numa"),
            ("node_nf_conntrack_entries", "conntrack"),
            ("node_load1", "loadavg"),
            ("node_nfs_requests_total", "nfs"),
            ("node_nfsd_requests_total", "nfsd"),
            ("node_bcache_active_journal_entries", "bcache"),
            ("node_tape_io_now", "tapestats"),
            ("node_hwmon_temp_celsius", "hwmon"),
            ("node_os_not_there_yet", "os"),
            ("backup_age_seconds", OTHERS),
            ("node_exporter_build_info", OTHERS),
        ] {
            assert_eq!(of(family, ""), collector, "{family}");
        }
        let success = "node_scrape_collector_success";
        assert_eq!(of(success, "{collector=\"zfs\"}"), "zfs");
        assert_eq!(of(success, ""), OTHERS);
    }
}
