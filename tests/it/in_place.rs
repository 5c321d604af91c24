//! The command lines that node_exporter is started with by those who ship it, word for word but for the port and the place
//! where the host is mounted: nodeward takes them, and tells what they ask for.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::program::{Program, Scratch, command, get, value};

/// kube-prometheus, manifests/nodeExporter-daemonset.yaml.
const KUBE_PROMETHEUS: &[&str] = &[
    "--web.listen-address=127.0.0.1:0",
    "--path.sysfs=/host/sys",
    "--path.rootfs=/host/root",
    "--path.procfs=/host/root/proc",
    "--path.udev.data=/host/root/run/udev/data",
    "--no-collector.wifi",
    "--no-collector.hwmon",
    "--no-collector.btrfs",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run/k3s/containerd/.+|var/lib/docker/.+|var/lib/kubelet/pods/.+)($|/)",
    "--collector.netclass.ignored-devices=^(veth.*|[a-f0-9]{15})$",
    "--collector.netdev.device-exclude=^(veth.*|[a-f0-9]{15})$",
];

/// The Helm chart prometheus-node-exporter with what kube-prometheus-stack adds; HOST_IP stands in brackets.
const HELM: &[&str] = &[
    "--path.procfs=/host/proc",
    "--path.sysfs=/host/sys",
    "--path.rootfs=/host/root",
    "--path.udev.data=/host/root/run/udev/data",
    "--web.listen-address=[127.0.0.1]:0",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|run/containerd/.+|var/lib/docker/.+|var/lib/kubelet/.+)($|/)",
    "--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs|erofs)$",
];

/// The Ansible role prometheus.prometheus.node_exporter, with its defaults and a collector more of each kind.
const ANSIBLE: &[&str] = &[
    "--collector.systemd",
    "--collector.textfile",
    "--collector.textfile.directory=/host/textfile",
    "--collector.filesystem",
    "--collector.filesystem.ignored-fs-types=^(sys|proc|auto)fs$",
    "--collector.filesystem.ignored-mount-points=^/(sys|proc|dev)($|/)",
    "--no-collector.zfs",
    "--no-collector.nfs",
    "--log.level=info",
    "--log.format=json",
    "--web.listen-address=127.0.0.1:0",
    "--web.telemetry-path=/metrics",
];

/// Debian's unit runs the program under its own name with the ARGS of /etc/default, which are empty as shipped: here with the old spellings
/// that people keep there.
const DEBIAN: &[&str] = &[
    "--collector.diskstats.ignored-devices=^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$",
    "--collector.filesystem.ignored-mount-points=^/(sys|proc|dev|run)($|/)",
    "--collector.netdev.device-blacklist=^lo$",
    "--collector.systemd.unit-whitelist=.+",
    "--collector.textfile.directory=/host/textfile",
    "--collector.ntp.server=127.0.0.1",
    "--collector.runit.servicedir=/etc/service",
    "--web.listen-address=127.0.0.1:0",
];

/// The host as a container sees it: links to what is here, and a directory of text files.
fn host(scratch: &Scratch) {
    let host = scratch.path().join("host");
    std::fs::create_dir_all(host.join("textfile")).unwrap();
    std::fs::write(host.join("textfile/in_place.prom"), "in_place 1\n").unwrap();
    for (name, at) in [("root", "/"), ("proc", "/proc"), ("sys", "/sys")] {
        symlink(at, host.join(name)).unwrap();
    }
}

/// Such a command line, with the host where this test has it.
fn there(scratch: &Scratch, words: &[&str]) -> Vec<String> {
    let host = format!("={}/host/", scratch.path().display());
    let words = words.iter();
    words.map(|word| word.replace("=/host/", &host)).collect()
}

/// Starts it without a subcommand, as node_exporter is.
fn started(scratch: &Scratch, words: &[&str]) -> Program {
    host(scratch);
    Program::spawn(command(scratch, &[]).args(there(scratch, words)))
}

/// A page, where it tells what every machine has, each subject of `read` and none of `left_out`.
fn page(address: &str, read: &[&str], left_out: &[&str]) -> String {
    let (code, page) = get(address, "/metrics");
    assert_eq!(code, 200, "{page}");
    for series in ["node_load1", "node_memory_MemTotal_bytes"] {
        assert!(value(&page, series).unwrap() >= 0.0, "{series}");
    }
    for series in [
        "node_cpu_seconds_total{",
        "node_network_up{",
        "node_filesystem_size_bytes{",
    ] {
        assert!(page.contains(&format!("\n{series}")), "{series}: {page}");
    }
    let told = |name: &&&str| {
        let series = format!("node_scrape_collector_success{{collector={name:?}}}");
        value(&page, &series).is_some()
    };
    assert!(read.iter().all(|name| told(&name)), "{page}");
    assert!(!left_out.iter().any(|name| told(&name)), "{page}");
    page
}

#[test]
fn kube_prometheus_starts_it_unchanged() {
    let scratch = Scratch::new();
    let mut program = started(&scratch, KUBE_PROMETHEUS);
    let page = page(
        &program.http(),
        &["cpu", "netclass"],
        &["hwmon", "wifi", "btrfs"],
    );
    assert!(!page.contains("device=\"veth"));
    // Mounts go by the names that the host has for them.
    assert!(page.contains("mountpoint=\"/\""), "{page}");
    assert!(!program.log_has("no such subject"));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn the_helm_chart_starts_it_unchanged() {
    let scratch = Scratch::new();
    let mut program = started(&scratch, HELM);
    let page = page(&program.http(), &["cpu", "filesystem"], &["systemd"]);
    assert!(!page.contains("fstype=\"tracefs\"") && !page.contains("fstype=\"proc\""));
    // What its probes of liveness and readiness ask.
    assert_eq!(get(&program.http(), "/").0, 200);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn the_ansible_role_starts_it_unchanged() {
    let scratch = Scratch::new();
    host(&scratch);
    let args = there(&scratch, ANSIBLE);
    let mut program = Program::spawn(command(&scratch, &[]).args(args));
    let page = page(&program.http(), &["systemd", "textfile"], &["zfs", "nfs"]);
    assert_eq!(value(&page, "in_place"), Some(1.0));
    let line = program.line("serving ");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "info");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn debians_unit_starts_it_under_its_name_with_args() {
    let scratch = Scratch::new();
    host(&scratch);
    // The package's name of the program, as its unit has it.
    let name = scratch.path().join("prometheus-node-exporter");
    symlink(env!("CARGO_BIN_EXE_nodeward"), &name).unwrap();
    let run = |words: &[&str]| {
        let mut command = Command::new(&name);
        command
            .env_clear()
            .env("RUNTIME_DIRECTORY", scratch.path())
            .env("STATE_DIRECTORY", scratch.path())
            .args(there(&scratch, words));
        command
    };
    let mut program = Program::spawn(&mut run(DEBIAN));
    let page = page(&program.http(), &["textfile"], &["systemd", "ntp", "runit"]);
    assert_eq!(value(&page, "in_place"), Some(1.0));
    assert!(!page.contains("node_network_receive_bytes_total{device=\"lo\"}"));
    program.line("--collector.ntp.server: nodeward has no such subject yet");
    program.signal(rustix::process::Signal::HUP);
    program.line("config reloaded");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_collector_that_is_lacking_stops_neither_the_start_nor_a_scrape() {
    let scratch = Scratch::new();
    let words = [
        "--web.listen-address=127.0.0.1:0",
        "--collector.zfs",
        "--collector.zfs.never-heard-of=1",
        "--no-collector.wifi",
        "--runtime.gomaxprocs=1",
        "--web.max-requests=0",
    ];
    let mut program = started(&scratch, &words);
    let address = program.http();
    for (query, code) in [
        ("collect[]=cpu&collect[]=zfs", 200),
        ("collect[]=zfs", 200),
        ("exclude[]=zfs", 200),
        ("exclude[]=no-such", 200),
        ("collect[]=no-such", 400),
        ("collect[]=", 400),
        ("collect[]=cpu&exclude[]=meminfo", 400),
    ] {
        assert_eq!(
            get(&address, &format!("/metrics?{query}")).0,
            code,
            "{query}"
        );
    }
    let (_, page) = get(&address, "/metrics?collect[]=cpu");
    let scrapes = |code| {
        value(
            &page,
            &format!("promhttp_metric_handler_requests_total{{code={code:?}}}"),
        )
    };
    assert_eq!(scrapes("200"), Some(4.0));
    assert_eq!(scrapes("503"), Some(0.0));
    let in_flight = "promhttp_metric_handler_requests_in_flight";
    assert_eq!(value(&page, in_flight), Some(1.0));
    program.line("--collector.zfs.never-heard-of: nodeward has no such subject yet");
    assert!(!program.log_has("wifi"));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn the_exporters_own_series_can_be_left_off() {
    let scratch = Scratch::new();
    let words = [
        "--web.listen-address=127.0.0.1:0",
        "--web.disable-exporter-metrics",
        "--web.telemetry-path=/node",
    ];
    let mut program = started(&scratch, &words);
    let (_, page) = get(&program.http(), "/node");
    for start in ["process_", "promhttp_", "nodeward_http_"] {
        assert!(!page.contains(&format!("\n{start}")), "{start}");
    }
    assert!(page.contains("node_scrape_collector_success{collector=\"cpu\"} 1"));
    assert_eq!(get(&program.http(), "/metrics").0, 404);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn what_cannot_be_is_refused_with_the_flag_and_what_to_do() {
    let scratch = Scratch::new();
    for (flag, said) in [
        (
            "--web.listen-address=vsock://:9100",
            "vsock is not supported",
        ),
        ("--web.systemd-socket", "systemd passed no socket"),
        ("--web.listen-adress=:9100", "--web.listen-address"),
        (
            "--collector.diskstats.device-exclude=(",
            "--collector.diskstats.device-exclude",
        ),
        ("--web.max-requests=many", "--web.max-requests"),
    ] {
        let refused = command(&scratch, &[flag]).output().unwrap();
        assert!(!refused.status.success(), "{flag}");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(text.contains(said), "{flag}: {text}");
    }
}
