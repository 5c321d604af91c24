//! The flags of `run` and `show`, made from the list of subjects, and read back.
//!
//! They are node_exporter's and take its place: what has no meaning here is taken and ignored, and only a flag that nobody has
//! is an error.

use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::app::Flags;
use crate::subject::{TABLE, lacking, lacks};

/// Holds the flags of collectors that nodeward lacks, which nobody has to know by name.
const FOREIGN: &str = "foreign";
/// A collector whose flags go by another name than its switch.
const NETCLASS_BY_NETLINK: &str = "netclass_rtnl";
/// Programs in whose place nodeward is when it is started under their names: what node_exporter is called upstream and by Debian.
const IN_PLACE_OF: [&str; 2] = ["node_exporter", "prometheus-node-exporter"];

/// What `--state-dir` is.
pub(super) const STATE_DIR: &str = "Where the journal lies [default: state of the config, else $STATE_DIRECTORY, else $XDG_STATE_HOME/nodeward]";

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

/// Takes the flags of collectors that nodeward lacks out of a command line, `--collector.zfs.x`, and puts their names where
/// [`read`] finds them. A word behind such a flag is its value: there are no others behind flags.
pub(super) fn foreign(args: Vec<OsString>) -> Vec<OsString> {
    let begins = |arg: &OsString| arg.to_str().is_some_and(|arg| arg.starts_with('-'));
    let runs = args.get(1).is_none_or(|first| {
        begins(first)
            || ["run", "show", "compare"]
                .iter()
                .any(|command| first == command)
    });
    if !runs {
        return args;
    }
    let mut kept = Vec::with_capacity(args.len());
    let mut args = args.into_iter().peekable();
    while let Some(arg) = args.next() {
        let Some(name) = arg.to_str().and_then(of_lacking) else {
            kept.push(arg);
            continue;
        };
        kept.push(format!("--{FOREIGN}={name}").into());
        if !arg.to_string_lossy().contains('=') {
            args.next_if(|next| !begins(next));
        }
    }
    kept
}

/// The flag that an argument gives, if it is one of a collector that nodeward lacks.
pub(super) fn of_lacking(arg: &str) -> Option<&str> {
    let flag = arg.strip_prefix("--")?;
    let flag = flag.split_once('=').map_or(flag, |(flag, _)| flag);
    let (collector, _) = flag
        .strip_prefix("no-")
        .unwrap_or(flag)
        .strip_prefix("collector.")?
        .split_once('.')?;
    (collector == NETCLASS_BY_NETLINK || lacks(collector)).then_some(flag)
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
        .arg(
            Arg::new("zabbix-conf")
                .long("zabbix-conf")
                .value_name("FILE")
                .value_parser(value_parser!(std::path::PathBuf))
                .help("Configuration file of the Zabbix agent in whose place nodeward is: it is laid over zabbix of the config"),
        )
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
        .args(switch("web.systemd-socket", "Take the sockets that systemd passes, and listen nowhere else".into(), false))
        .arg(
            Arg::new("web.config.file")
                .long("web.config.file")
                .value_name("FILE")
                .help("File of TLS, headers and logins, in the form of Prometheus' exporters [default: http.web_config of the config]"),
        )
        .arg(Arg::new("web.telemetry-path").long("web.telemetry-path").value_name("PATH").help("Path of the metrics [default: /metrics]"))
        .arg(
            Arg::new("web.max-requests")
                .long("web.max-requests")
                .value_name("COUNT")
                .allow_negative_numbers(true)
                .value_parser(value_parser!(i64))
                .help("Scrapes answered at the same time; 0 is no limit [default: 40]"),
        )
        .args(switch("web.disable-exporter-metrics", "Leave nodeward's own series off the page".into(), false))
        .arg(
            Arg::new("runtime.gomaxprocs")
                .long("runtime.gomaxprocs")
                .value_name("COUNT")
                .hide(true)
                .help("Accepted for node_exporter's sake; nodeward has one runtime thread"),
        )
        .next_help_heading("What is sent")
        .arg(
            Arg::new("otlp.endpoint")
                .long("otlp.endpoint")
                .value_name("URL")
                .help("OTLP receiver of metrics, traces and logs, http://127.0.0.1:4318 for one [default: otlp.endpoint of the config, else $OTEL_EXPORTER_OTLP_ENDPOINT, else none]"),
        )
        .next_help_heading("Logs")
        .arg(
            Arg::new("log.level")
                .long("log.level")
                .value_name("LEVEL")
                .value_parser(["error", "warn", "info", "debug", "trace"])
                .ignore_case(true)
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
        .args(switch("collector.disable-defaults", "Read only the subjects switched on by flag or config".into(), false))
        .arg(Arg::new(FOREIGN).long(FOREIGN).action(ArgAction::Append).hide(true));
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

/// Adds what node_exporter's own parser takes beside its flags.
pub(super) fn add_parsers(command: Command) -> Command {
    let hidden = |name: &'static str, action| Arg::new(name).long(name).action(action).hide(true);
    command
        .arg(hidden("no-help", ArgAction::SetTrue))
        .arg(hidden("no-version", ArgAction::SetTrue))
        .arg(hidden("help-long", ArgAction::HelpLong))
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
        zabbix_conf: dir("zabbix-conf"),
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
        systemd_socket: matches.get_flag("web.systemd-socket"),
        web_config: one("web.config.file").map(Into::into),
        telemetry_path: one("web.telemetry-path"),
        // What is below none is none.
        max_requests: matches
            .get_one("web.max-requests")
            .map(|most: &i64| u32::try_from((*most).max(0)).unwrap_or(u32::MAX)),
        disable_exporter_metrics: matches.get_flag("web.disable-exporter-metrics"),
        otlp_endpoint: one("otlp.endpoint"),
        log_level: one("log.level").map(|level| level.to_ascii_lowercase()),
        log_format: one("log.format").map(|f| if f == "logfmt" { "text".into() } else { f }),
        disable_defaults: matches.get_flag("collector.disable-defaults"),
        in_place: in_place(matches),
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
    let switched_on = lacking()
        .map(|name| format!("collector.{name}"))
        .filter(|flag| matches.get_flag(flag));
    let foreign = matches.get_many::<String>(FOREIGN);
    flags.lacking = switched_on
        .chain(foreign.into_iter().flatten().cloned())
        .collect();
    flags
}

/// Whether a flag that node_exporter has too was given, of whatever effect here. Those of logs are everybody's.
fn in_place(matches: &ArgMatches) -> bool {
    let exporters = |name: &str| {
        let name = name.strip_prefix("no-").unwrap_or(name);
        name == FOREIGN
            || ["collector.", "path.", "runtime.", "web."]
                .iter()
                .any(|start| name.starts_with(start))
    };
    let mut given = matches.ids().map(clap::Id::as_str);
    given
        .any(|name| exporters(name) && matches.value_source(name) == Some(ValueSource::CommandLine))
}

/// Whether the program was started under node_exporter's name, which says the same as a flag of it.
pub(super) fn is_named_so(program: Option<&OsString>) -> bool {
    let name = program.and_then(|program| Path::new(program).file_name());
    name.is_some_and(|name| IN_PLACE_OF.iter().any(|other| name == *other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Flags, clap::Error> {
        let command = add_parsers(add(Command::new("nodeward")));
        let args = [&["nodeward"], args].concat();
        let args = foreign(args.iter().map(OsString::from).collect());
        command.try_get_matches_from(args).map(|m| read(&m))
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
            "--web.max-requests=-1",
            "--otlp.endpoint=http://127.0.0.1:4318",
            "--log.level=WARN",
            "--web.config.file=",
        ])
        .unwrap();
        assert_eq!(flags.listen, ["127.0.0.1:1", ":2"]);
        assert_eq!(flags.procfs.as_deref(), Some("/host/proc".as_ref()));
        assert_eq!(flags.switches, [("meminfo".to_owned(), true)]);
        assert_eq!(flags.lacking, ["collector.zfs"]);
        assert!(flags.disable_defaults && flags.in_place);
        assert_eq!(flags.max_requests, Some(0));
        assert_eq!(flags.log_level.as_deref(), Some("warn"));
        assert_eq!(
            flags.otlp_endpoint.as_deref(),
            Some("http://127.0.0.1:4318")
        );
        assert_eq!(flags.web_config.as_deref(), Some("".as_ref()));
    }

    #[test]
    fn flags_of_collectors_that_are_lacking_are_taken_with_their_values() {
        let flags = parse(&[
            "--collector.zfs.new-flag=x",
            "--collector.ntp.server",
            "127.0.0.1",
            "--collector.rapl.enable-zone-label",
            "--no-collector.netclass_rtnl.with-stats",
            "--collector.meminfo",
        ])
        .unwrap();
        let lacking = [
            "collector.zfs.new-flag",
            "collector.ntp.server",
            "collector.rapl.enable-zone-label",
            "no-collector.netclass_rtnl.with-stats",
        ];
        assert_eq!(flags.lacking, lacking);
        assert_eq!(flags.switches.len(), 1);
        // Of what is here, and of nothing, they are what they are.
        assert!(parse(&["--collector.cpu.bogus=1"]).is_err());
        assert!(parse(&["--collector.bogus.x=1"]).is_err());
    }

    #[test]
    fn any_flag_of_the_exporter_puts_nodeward_in_its_place() {
        for flag in [
            "--no-collector.wifi",
            "--runtime.gomaxprocs=2",
            "--collector.zfs.x",
            "--no-web.systemd-socket",
        ] {
            assert!(parse(&[flag]).unwrap().in_place, "{flag}");
        }
        for flag in [
            "--log.level=info",
            "--otlp.endpoint=http://c:1",
            "--no-help",
        ] {
            assert!(!parse(&[flag]).unwrap().in_place, "{flag}");
        }
        assert!(is_named_so(Some(
            &"/usr/bin/prometheus-node-exporter".into()
        )));
        assert!(!is_named_so(Some(&"/usr/bin/nodeward".into())) && !is_named_so(None));
    }

    #[test]
    fn an_unknown_flag_names_the_nearest() {
        for (wrong, near) in [
            ("--collector.meminf", "--collector.meminfo"),
            ("--web.listen-adress=:1", "--web.listen-address"),
            ("--web.config=x", "--web.config.file"),
        ] {
            let error = parse(&[wrong]).unwrap_err().to_string();
            assert!(error.contains(near), "{error}");
        }
    }
}
