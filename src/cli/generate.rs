//! `nodeward generate`: what is made from the program's own definitions.

mod alertmanager;
mod polkit;

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::Exit;
use crate::config;
use crate::notify::webhook;

/// What the command line does not say of itself (man-pages(7) has the names and order of sections).
const MAN: &str = r#".SH EXIT STATUS
.TP
.B 0
It did what was asked.
.TP
.B 1
It could not: a port is taken, nothing answers.
.TP
.B 2
The command line is wrong, the value of a flag included.
.TP
.B 69
The program to compare with could not be asked (compare).
.TP
.B 78
The config is wrong; all that is wrong is said, with line and column.
.SH ENVIRONMENT
.TP
.B NODEWARD_CONFIG
The config file, where \-\-config names none.
.TP
.BR OTEL_EXPORTER_OTLP_ENDPOINT " and its kin"
Where telemetry goes and how, as OpenTelemetry defines them; keys of the config come first.
.TP
.BR RUNTIME_DIRECTORY ", " STATE_DIRECTORY ", " XDG_STATE_HOME ", " HOME
Where the control socket lies, the first that is set, unless \-\-socket or the config says so; /run/nodeward comes after the first of them.
.TP
.B CREDENTIALS_DIRECTORY
Where secrets of systemd are (systemd.exec(5)).
.TP
.BR NOTIFY_SOCKET ", " WATCHDOG_USEC ", " WATCHDOG_PID
Set by the service manager (sd_notify(3)).
.SH FILES
.TP
.I /etc/nodeward/nodeward.yml
The config, unless another is named.
.TP
.I /etc/nodeward/nodeward.d/*.yml
Drop-ins, laid over it in the order of their names.
.TP
.I /run/nodeward/nodeward.sock
The control socket, if that directory is there.
.SH SIGNALS
.TP
.B SIGHUP
Reads the config again: all of it is taken, or nothing.
.TP
.BR SIGTERM ", " SIGINT
Ends: nothing new is taken, what is open may finish, what waits is sent.
"#;

pub(super) fn command() -> Command {
    Command::new("generate")
        .about("Print completions, the man page, the schema, a sample of the config, a polkit rule")
        .subcommand_required(true)
        .subcommand(
            Command::new("completions")
                .about("Completions for a shell")
                .arg(
                    Arg::new("shell")
                        .value_name("SHELL")
                        .required(true)
                        .value_parser(value_parser!(Shell)),
                ),
        )
        .subcommand(Command::new("man").about("The man page, in roff"))
        .subcommand(Command::new("schema").about("The JSON schema of the config"))
        .subcommand(
            Command::new("webhook-schema")
                .about("The JSON schema of what a notifier's webhook posts"),
        )
        .subcommand(Command::new("config").about("A sample config: every key at its default"))
        .subcommand(polkit::command())
        .subcommand(alertmanager::command())
        .subcommand(
            Command::new("metrics")
                .about("Every name that is told, as docs/METRICS.md")
                .hide(true),
        )
        .subcommand(
            Command::new("reference")
                .about("Every key of the config, as docs/CONFIG.md")
                .hide(true),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let mut text = Vec::new();
    match matches.subcommand() {
        Some(("completions", matches)) => {
            let Some(shell) = matches.get_one::<Shell>("shell") else {
                return Exit::Usage;
            };
            clap_complete::generate(*shell, &mut super::command(), "nodeward", &mut text);
        }
        Some(("man", _)) => {
            if let Err(error) = clap_mangen::Man::new(super::command()).render(&mut text) {
                return super::fail(&format!("write the man page: {error}"));
            }
            text.extend_from_slice(MAN.as_bytes());
        }
        Some((polkit::NAME, matches)) => match polkit::run(matches) {
            Ok(rule) => text = rule.into_bytes(),
            Err(exit) => return exit,
        },
        Some(("webhook-schema", _)) => text = webhook::schema().into_bytes(),
        Some(("schema", _)) => text = config::schema().into_bytes(),
        Some((alertmanager::NAME, matches)) => match alertmanager::run(matches) {
            Ok(page) => text = page.into_bytes(),
            Err(why) => return super::usage(&why),
        },
        Some(("metrics", _)) => text = super::names::page().into_bytes(),
        Some(("reference", _)) => text = config::page().into_bytes(),
        _ => text = config::sample().into_bytes(),
    }
    super::print(&text).err().unwrap_or(Exit::Fine)
}
