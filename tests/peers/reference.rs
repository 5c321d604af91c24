//! node_exporter as oracle: over the same captured host both programs must tell the same page.
//!
//! Compared are the names, labels, types and values of every sample. HELP is each program's own, and
//! so is what a program says about itself. Sizes come from the live disk by statfs, times from the live
//! clock: they are read from the reference before and after ours, until ours lay in between.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;

use crate::PeerTest;
use crate::hosts::Host;
use crate::ours;
use crate::page::Page;
use crate::process::Running;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::web;

/// A place where our page differs from the reference's on purpose.
struct Difference {
    host: &'static str,
    family: &'static str,
    labels: &'static [(&'static str, &'static str)],
    #[expect(dead_code, reason = "for the reader")]
    reason: &'static str,
}

/// All of them. One that stops occurring fails the test of its host.
const DIFFERENCES: &[Difference] = &[Difference {
    host: "hostile",
    family: "node_thermal_zone_temp",
    labels: &[("zone", "5")],
    reason: "a zone that is off has no temperature; the reference tells 0 degrees",
}];
const _: () = assert!(DIFFERENCES.len() <= 5, "a drop-in has few surprises");

const NEEDS: &[Peer] = &[Peer::NodeExporter];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "reference::a_two_socket_server_reads_the_same",
        needs: NEEDS,
        run: || same_page("server"),
    },
    PeerTest {
        name: "reference::a_storage_host_reads_the_same",
        needs: NEEDS,
        run: || same_page("storage"),
    },
    PeerTest {
        name: "reference::a_container_reads_the_same",
        needs: NEEDS,
        run: || same_page("container"),
    },
    PeerTest {
        name: "reference::a_small_virtual_machine_reads_the_same",
        needs: NEEDS,
        run: || same_page("vm"),
    },
    PeerTest {
        name: "reference::an_arm_board_reads_the_same",
        needs: NEEDS,
        run: || same_page("arm"),
    },
    PeerTest {
        name: "reference::a_hostile_host_reads_the_same",
        needs: NEEDS,
        run: || same_page("hostile"),
    },
    PeerTest {
        name: "reference::a_host_with_hardly_any_files_reads_the_same",
        needs: NEEDS,
        run: || same_page("bare"),
    },
    PeerTest {
        name: "reference::cpu_counters_that_go_back_are_kept_the_same",
        needs: NEEDS,
        run: counters_go_back,
    },
    PeerTest {
        name: "reference::what_ends_the_reference_leaves_us_standing",
        needs: NEEDS,
        run: torn_files,
    },
];

/// What is on at either of the programs, over captured hosts and on a live machine.
pub const COLLECTORS: &[&str] = &[
    "--collector.disable-defaults",
    "--collector.cpu",
    "--collector.cpu.info",
    "--collector.meminfo",
    "--collector.filesystem",
    "--collector.netdev",
    "--collector.processes",
    "--collector.pressure",
    "--collector.diskstats",
    "--collector.hwmon",
    "--collector.netclass",
    "--collector.timex",
    "--collector.loadavg",
    "--collector.stat",
    "--collector.stat.softirq",
    "--collector.softnet",
    "--collector.schedstat",
    "--collector.filefd",
    "--collector.conntrack",
    "--collector.entropy",
    "--collector.time",
    "--collector.kernel_hung",
    "--collector.uname",
    "--collector.netstat",
    "--collector.sockstat",
    "--collector.vmstat",
    "--collector.udp_queues",
    "--collector.interrupts",
    "--collector.arp",
    "--collector.mdadm",
    "--collector.cpufreq",
    "--collector.edac",
    "--collector.bonding",
    "--collector.thermal_zone",
    "--collector.powersupplyclass",
    "--collector.nfs",
    "--collector.nfsd",
    "--collector.nvme",
    "--collector.dmi",
    "--collector.infiniband",
    "--collector.os",
    "--collector.selinux",
    "--collector.textfile",
];

/// What is on over captured hosts beside [`COLLECTORS`].
const MORE: &[&str] = &[
    "--collector.cpu.info.flags-include=.",
    "--collector.cpu.info.bugs-include=.",
    "--no-collector.netdev.netlink",
    "--no-collector.arp.netlink",
];

/// Families whose values come from the live disk and the live clock.
const LIVE: &[&str] = &[
    "node_time_seconds",
    "node_timex_maxerror_seconds",
    "node_timex_estimated_error_seconds",
    "node_timex_offset_seconds",
    "node_timex_frequency_adjustment_ratio",
    "node_filesystem_avail_bytes",
    "node_filesystem_files",
    "node_filesystem_files_free",
    "node_filesystem_free_bytes",
    "node_filesystem_size_bytes",
];

/// How often a moving disk is read again before a test gives up.
const ROUNDS: usize = 50;

fn start_reference(host: &Host, scratch: &Scratch) -> Result<Running, Failed> {
    let mut command = Command::new(Peer::NodeExporter.find()?);
    command
        .arg("--web.listen-address=127.0.0.1:0")
        .args(COLLECTORS)
        .args(MORE)
        .args(host.flags());
    Running::start("node_exporter", &mut command, scratch)
}

fn start_ours(host: &Host, scratch: &Scratch) -> Result<Running, Failed> {
    let flags = COLLECTORS
        .iter()
        .chain(MORE)
        .map(|flag| (*flag).to_owned())
        .chain(host.flags());
    ours::run(flags, scratch)
}

/// What a program tells of its host, without what it tells of itself.
pub fn scrape(address: SocketAddr) -> Result<Page, Failed> {
    let text = web::page(address, "/metrics")?;
    let mut page = Page::parse(&text)?;
    page.retain(|name| {
        let own = ["go_", "promhttp_", "process_", "nodeward_"];
        !own.iter().any(|prefix| name.starts_with(prefix))
            && name != "node_scrape_collector_duration_seconds"
    });
    // The version in its labels is the program's own; that it is told, and with which labels, is not.
    let build: Vec<_> = page
        .samples
        .keys()
        .filter(|s| s.name == "node_exporter_build_info")
        .cloned()
        .collect();
    for mut series in build {
        page.samples.remove(&series);
        series.labels.values_mut().for_each(String::clear);
        page.samples.insert(series, 1.0);
    }
    Ok(page)
}

/// Ours between two readings of the reference. A live value that lies between theirs counts as
/// equal to the later one; one that moved up and down in between is read again.
fn bracketed(reference: SocketAddr, ours: SocketAddr) -> Result<(Page, Page), Failed> {
    let mut before = scrape(reference)?;
    for _ in 0..ROUNDS {
        let mut page = scrape(ours)?;
        let after = scrape(reference)?;
        let mut apart = false;
        for (series, value) in &mut page.samples {
            if !LIVE.contains(&series.name.as_str()) {
                continue;
            }
            let (Some(low), Some(high)) = (before.samples.get(series), after.samples.get(series))
            else {
                continue;
            };
            if (low.min(*high)..=low.max(*high)).contains(&*value) {
                *value = *high;
            } else {
                apart = true;
            }
        }
        if !apart {
            return Ok((after, page));
        }
        before = after;
    }
    Err(format!("in {ROUNDS} rounds a live value never lay between two of the reference").into())
}

/// Every disagreement of two pages, as (family, line for people).
fn disagreements(reference: &Page, ours: &Page) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let families: BTreeSet<&String> = reference.types.keys().chain(ours.types.keys()).collect();
    for family in families {
        let (theirs, mine) = (reference.types.get(family), ours.types.get(family));
        if theirs != mine {
            let line = format!("type of {family}: reference {theirs:?}, ours {mine:?}");
            found.push((family.clone(), line));
        }
    }
    let all: BTreeSet<_> = reference
        .samples
        .keys()
        .chain(ours.samples.keys())
        .collect();
    for series in all {
        let (theirs, mine) = (reference.samples.get(series), ours.samples.get(series));
        let same = match (theirs, mine) {
            (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
            _ => false,
        };
        if !same {
            let line = format!("{series}: reference {theirs:?}, ours {mine:?}");
            found.push((series.name.clone(), line));
        }
    }
    found
}

/// Fails with every disagreement that is not declared for this host.
pub fn compare(host: &str, reference: &Page, ours: &Page) -> Result<(), Failed> {
    let mut found = disagreements(reference, ours);
    for difference in DIFFERENCES
        .iter()
        .filter(|difference| difference.host == host)
    {
        let labels: Vec<String> = difference
            .labels
            .iter()
            .map(|(name, value)| format!("{name:?}: {value:?}"))
            .collect();
        let before = found.len();
        found.retain(|(family, line)| {
            family != difference.family || !labels.iter().all(|label| line.contains(label))
        });
        if found.len() == before {
            let family = difference.family;
            return Err(format!("{family} no longer differs: strike it off the list").into());
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    let lines: Vec<&str> = found
        .iter()
        .take(60)
        .map(|(_, line)| line.as_str())
        .collect();
    Err(format!(
        "{host}: {} disagreements\n{}",
        found.len(),
        lines.join("\n")
    )
    .into())
}

fn same_page(name: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let host = Host::copy(name, &scratch)?;
    let mut reference = start_reference(&host, &scratch)?;
    let mut ours = start_ours(&host, &scratch)?;
    let (theirs, mine) = bracketed(reference.address()?, ours.address()?)?;
    compare(name, &theirs, &mine)
}

/// Idle a second back is kept, three seconds back resets that CPU, a CPU that is gone is forgotten.
fn counters_go_back() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let host = Host::copy("vm", &scratch)?;
    let mut reference = start_reference(&host, &scratch)?;
    let mut ours = start_ours(&host, &scratch)?;
    let (theirs, mine) = (reference.address()?, ours.address()?);
    for cpus in [
        "cpu0 500 10 300 9000 40 0 20 5 3 1\ncpu1 100 100 100 100\n",
        "cpu0 499 11 299 8900 41 0 19 5 2 1\ncpu1 100 100 100 100\n",
        "cpu0 400 11 299 8600 41 0 19 5 2 1\ncpu1 90 90 90 99\n",
        "cpu0 401 11 300 8601 41 0 19 5 2 1\n",
        "cpu0 401 11 300 8601 41 0 19 5 2 1\ncpu1 1 1 1 1\n",
        "cpu2 7 7 7 7\ncpu0 401 11 300 8300 41 0 19 5 2 1\n",
    ] {
        host.rewrite("proc/stat", |_| cpus.to_owned())?;
        let (theirs, mine) = (scrape(theirs)?, scrape(mine)?);
        let only_cpu = |mut page: Page| {
            page.retain(|name| name.starts_with("node_cpu_"));
            page
        };
        compare("vm", &only_cpu(theirs), &only_cpu(mine)).map_err(|failed| {
            format!("after {cpus:?}: {}", failed.message().unwrap_or_default())
        })?;
    }
    Ok(())
}

/// Files cut in the middle: the reference ends, we leave out what cannot be read and tell the rest.
fn torn_files() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let host = Host::copy("torn", &scratch)?;
    let mut reference = start_reference(&host, &scratch)?;
    if reference.ended()?.success() {
        return Err("the reference survives this host: compare the pages instead".into());
    }
    let mut ours = start_ours(&host, &scratch)?;
    let address = ours.address()?;
    for _ in 0..3 {
        let page = scrape(address)?;
        for subject in [
            "cpu",
            "meminfo",
            "filesystem",
            "netdev",
            "processes",
            "pressure",
        ] {
            let labels = [("collector", subject)];
            if page
                .value("node_scrape_collector_success", &labels)
                .is_none()
            {
                return Err(format!("nothing is said of whether {subject} was read").into());
            }
        }
        let disk = |device, mountpoint| {
            [
                ("device", device),
                ("device_error", ""),
                ("fstype", "ext4"),
                ("mountpoint", mountpoint),
            ]
        };
        for (name, labels, value) in [
            (
                "node_cpu_seconds_total",
                &[("cpu", "0"), ("mode", "idle")][..],
                0.04,
            ),
            (
                "node_cpu_seconds_total",
                &[("cpu", "3"), ("mode", "user")],
                0.07,
            ),
            ("node_memory_MemTotal_bytes", &[], 1_024_000.0),
            ("node_memory_Mapped_bytes", &[], 71_680.0),
            ("node_network_receive_bytes_total", &[("device", "lo")], 1.0),
            (
                "node_network_receive_bytes_total",
                &[("device", "eth2")],
                1.0,
            ),
            ("node_filesystem_readonly", &disk("/dev/root", "/"), 0.0),
            ("node_filesystem_readonly", &disk("/dev/sdb1", "/mnt"), 1.0),
            ("node_processes_max_processes", &[], 4_194_304.0),
            ("node_pressure_io_waiting_seconds_total", &[], 9.0),
            ("node_context_switches_total", &[], 0.0),
            ("node_vmstat_oom_kill", &[], 3.0),
            ("node_arp_entries", &[("device", "eth0")], 1.0),
            ("node_netstat_IpExt_InOctets", &[], 5.0),
            ("node_netstat_Tcp_InSegs", &[], 7.0),
            ("node_sockstat_RAW_inuse", &[], 2.0),
            ("node_udp_queues", &[("queue", "rx"), ("ip", "v4")], 2.0),
            (
                "node_interrupts_total",
                &[
                    ("cpu", "1"),
                    ("devices", "kbd"),
                    ("info", "edge"),
                    ("type", "1"),
                ],
                4.0,
            ),
            ("node_filefd_allocated", &[], 1024.0),
            (
                "node_os_version",
                &[("id", ""), ("id_like", ""), ("name", "x")],
                12.0,
            ),
            ("node_entropy_available_bits", &[], 256.0),
            ("node_nf_conntrack_entries", &[], 1203.0),
            ("node_nf_conntrack_stat_found", &[], 3.0),
            ("node_schedstat_running_seconds_total", &[("cpu", "0")], 1.0),
            ("node_softnet_dropped_total", &[("cpu", "0")], 2.0),
            (
                "node_time_clocksource_current_info",
                &[("device", "1"), ("clocksource", "hpet")],
                1.0,
            ),
        ] {
            let told = page.value(name, labels);
            if told != Some(value) {
                return Err(format!("{name}{labels:?}: {told:?} instead of {value}").into());
            }
        }
    }
    if !ours.terminate()?.success() {
        return Err("nodeward did not end well".into());
    }
    Ok(())
}
