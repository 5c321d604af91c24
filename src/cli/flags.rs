//! The flags of `run` and `show`, made from the list of subjects, and read back.

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::app::Flags;
use crate::subject::TABLE;

/// Collectors that node_exporter 1.12 has and nodeward has not yet: switching one off is silent, switching one on warns once.
const LACKING: &[&str] = &[
    "arp",
    "bcache",
    "bcachefs",
    "bonding",
    "btrfs",
    "buddyinfo",
    "cgroups",
    "conntrack",
    "cpu_vulnerabilities",
    "cpufreq",
    "diskstats",
    "dmi",
    "dmmultipath",
    "drbd",
    "drm",
    "edac",
    "entropy",
    "ethtool",
    "fibrechannel",
    "filefd",
    "hwmon",
    "infiniband",
    "interrupts",
    "ipvs",
    "kernel_hung",
    "ksmd",
    "lnstat",
    "loadavg",
    "logind",
    "mdadm",
    "meminfo_numa",
    "mountstats",
    "netclass",
    "netstat",
    "network_route",
    "nfs",
    "nfsd",
    "ntp",
    "nvme",
    "nvmesubsystem",
    "os",
    "pcidevice",
    "perf",
    "powersupplyclass",
    "pressure",
    "qdisc",
    "rapl",
    "runit",
    "schedstat",
    "selinux",
    "slabinfo",
    "sockstat",
    "softirqs",
    "softnet",
    "stat",
    "supervisord",
    "swap",
    "sysctl",
    "tapestats",
    "tcpstat",
    "textfile",
    "thermal_zone",
    "time",
    "timex",
    "udp_queues",
    "uname",
    "vmstat",
    "watchdog",
    "wifi",
    "xfrm",
    "xfs",
    "zfs",
    "zoneinfo",
];

/// What `--state-dir` is.
pub(super) const STATE_DIR: &str = "Where the journal lies [default: state of the config, else $STATE_DIRECTORY, else $XDG_STATE_HOME/nodeward]";

fn lacking() -> impl Iterator<Item = &'static str> {
    LACKING
        .iter()
        .copied()
        .filter(|name| !TABLE.iter().any(|entry| entry.name == *name))
}

/// A flag that names a directory.
pub(super) fn path(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("DIR")
        .value_parser(value_parser!(std::path::PathBuf))
        .help(help)
}

/// A switch and its `--no-` twin; the last one given counts.
fn switch(name: &'static str, help: String, hidden: bool) -> [Arg; 2] {
    let no: &'static str = leak(format!("no-{name}"));
    [
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .overrides_with(no)
            .hide(hidden)
            .help(help),
        Arg::new(no)
            .long(no)
            .action(ArgAction::SetTrue)
            .overrides_with(name)
            .hide(true),
    ]
}

/// Names for clap live as long as the program: they are made once, from the list of subjects.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

/// Adds the flags to a command.
pub(super) fn add(command: Command) -> Command {
    let mut command = command
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(value_parser!(std::path::PathBuf))
                .help("Config file [default: $NODEWARD_CONFIG, else /etc/nodeward/nodeward.yml if it exists]"),
        )
        .arg(
            Arg::new("socket")
                .long("socket")
                .value_name("PATH")
                .value_parser(value_parser!(std::path::PathBuf))
                .help("Control socket"),
        )
        .arg(path("state-dir", STATE_DIR))
        .next_help_heading("Where the machine is read")
        .arg(path("path.procfs", "Where procfs is mounted [default: /proc]"))
        .arg(path("path.sysfs", "Where sysfs is mounted [default: /sys]"))
        .arg(path("path.rootfs", "Where the root file system is mounted [default: /]"))
        .arg(path("path.udev.data", "Where udev keeps its data [default: /run/udev/data]"))
        .next_help_heading("What is served")
        .arg(
            Arg::new("web.listen-address")
                .long("web.listen-address")
                .value_name("ADDRESS")
                .action(ArgAction::Append)
                .help("Address to listen on, host:port, :port or unix:/path; may be repeated"),
        )
        .arg(Arg::new("web.telemetry-path").long("web.telemetry-path").value_name("PATH").help("Path of the metrics [default: /metrics]"))
        .arg(
            Arg::new("web.max-requests")
                .long("web.max-requests")
                .value_name("COUNT")
                .value_parser(value_parser!(u32))
                .help("Scrapes answered at the same time; 0 is no limit [default: 40]"),
        )
        .arg(
            Arg::new("web.disable-exporter-metrics")
                .long("web.disable-exporter-metrics")
                .action(ArgAction::SetTrue)
                .help("Leave nodeward's own series off the page"),
        )
        .arg(
            Arg::new("runtime.gomaxprocs")
                .long("runtime.gomaxprocs")
                .value_name("COUNT")
                .hide(true)
                .help("Accepted for node_exporter's sake; nodeward has one runtime thread"),
        )
        .next_help_heading("Logs")
        .arg(
            Arg::new("log.level")
                .long("log.level")
                .value_name("LEVEL")
                .value_parser(["error", "warn", "info", "debug", "trace"])
                .help("Least level that is logged [default: info]"),
        )
        .arg(
            Arg::new("log.format")
                .long("log.format")
                .value_name("FORMAT")
                .value_parser(["text", "json", "logfmt"])
                .help("Form of the log lines [default: text]"),
        )
        .next_help_heading("Subjects")
        .arg(
            Arg::new("collector.disable-defaults")
                .long("collector.disable-defaults")
                .action(ArgAction::SetTrue)
                .help("Read only the subjects switched on by flag or config"),
        );
    for entry in TABLE {
        let on = if entry.on { "on" } else { "off" };
        let help = format!("Read the subject {} [default: {on}]", entry.name);
        command = command.args(switch(
            leak(format!("collector.{}", entry.name)),
            help,
            false,
        ));
        for flag in (entry.flags)() {
            if flag.switch {
                command = command.args(switch(flag.name, flag.help.to_owned(), flag.hidden));
            } else {
                command = command.arg(
                    Arg::new(flag.name)
                        .long(flag.name)
                        .value_name("VALUE")
                        .allow_hyphen_values(true)
                        .action(ArgAction::Append)
                        .hide(flag.hidden)
                        .help(flag.help),
                );
            }
        }
    }
    for name in lacking() {
        command = command.args(switch(
            leak(format!("collector.{name}")),
            String::new(),
            true,
        ));
    }
    command
}

/// Reads the flags back.
pub(super) fn read(matches: &ArgMatches) -> Flags {
    let one = |name: &str| matches.get_one::<String>(name).cloned();
    let dir = |name: &str| matches.get_one::<std::path::PathBuf>(name).cloned();
    let switched = |name: &str| {
        let no = format!("no-{name}");
        (matches.get_flag(name), matches.get_flag(&no))
    };
    let mut flags = Flags {
        config: dir("config"),
        socket: dir("socket"),
        state_dir: dir("state-dir"),
        procfs: dir("path.procfs"),
        sysfs: dir("path.sysfs"),
        rootfs: dir("path.rootfs"),
        udev_data: dir("path.udev.data"),
        listen: matches
            .get_many::<String>("web.listen-address")
            .map(|all| all.cloned().collect())
            .unwrap_or_default(),
        telemetry_path: one("web.telemetry-path"),
        max_requests: matches.get_one("web.max-requests").copied(),
        disable_exporter_metrics: matches.get_flag("web.disable-exporter-metrics"),
        log_level: one("log.level"),
        log_format: one("log.format").map(|f| if f == "logfmt" { "text".into() } else { f }),
        disable_defaults: matches.get_flag("collector.disable-defaults"),
        ..Flags::default()
    };
    for entry in TABLE {
        match switched(&format!("collector.{}", entry.name)) {
            (true, _) => flags.switches.push((entry.name.into(), true)),
            (_, true) => flags.switches.push((entry.name.into(), false)),
            _ => {}
        }
        for flag in (entry.flags)() {
            if flag.switch {
                match switched(flag.name) {
                    (true, _) => flags.subject_flags.push((flag.name.into(), "true".into())),
                    (_, true) => flags.subject_flags.push((flag.name.into(), "false".into())),
                    _ => {}
                }
            } else {
                for value in matches.get_many::<String>(flag.name).into_iter().flatten() {
                    flags.subject_flags.push((flag.name.into(), value.clone()));
                }
            }
        }
    }
    flags.lacking = lacking()
        .filter(|name| matches.get_flag(&format!("collector.{name}")))
        .map(str::to_owned)
        .collect();
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        let command = add(Command::new("nodeward"));
        command
            .try_get_matches_from([&["nodeward"], args].concat())
            .map(|m| read(&m))
    }

    #[test]
    fn takes_node_exporters_spellings() {
        let flags = parse(&[
            "--web.listen-address=127.0.0.1:1",
            "--web.listen-address",
            ":2",
            "--path.procfs=/host/proc",
            "--no-collector.wifi",
            "--collector.zfs",
            "--no-collector.meminfo",
            "--collector.meminfo",
            "--collector.disable-defaults",
        ])
        .unwrap();
        assert_eq!(flags.listen, ["127.0.0.1:1", ":2"]);
        assert_eq!(flags.procfs.as_deref(), Some("/host/proc".as_ref()));
        assert_eq!(flags.switches, [("meminfo".to_owned(), true)]);
        assert_eq!(flags.lacking, ["zfs"]);
        assert!(flags.disable_defaults && flags.are_exporters());
    }

    #[test]
    fn an_unknown_flag_names_the_nearest() {
        let error = parse(&["--collector.meminf"]).unwrap_err().to_string();
        assert!(error.contains("--collector.meminfo"), "{error}");
    }
}
