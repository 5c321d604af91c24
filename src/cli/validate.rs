//! `nodeward validate`: checks a config without starting anything.

use clap::{Arg, ArgMatches, Command, value_parser};

use super::Exit;
use crate::app::{Flags, House, Settings};
use crate::config;
use crate::model::counted::counted;

pub(super) fn command() -> Command {
    Command::new("validate")
        .about("Check a config and say all that is wrong with it")
        .long_about(
            "Checks keys, types, values and what belongs together, reads the secrets the config names, and tries the \
             options of every subject. It opens no connection and binds no port.",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(value_parser!(std::path::PathBuf))
                .help("Config file [default: $NODEWARD_CONFIG, else /etc/nodeward/nodeward.yml]"),
        )
        .arg(
            Arg::new("config")
                .long("config")
                .short('c')
                .value_name("FILE")
                .value_parser(value_parser!(std::path::PathBuf))
                .conflicts_with("file")
                .help("The same, as other commands call it"),
        )
        .arg(
            Arg::new("zabbix-conf")
                .long("zabbix-conf")
                .value_name("FILE")
                .value_parser(value_parser!(std::path::PathBuf))
                .help("A Zabbix agent's configuration file to lay over it"),
        )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let named = |name: &str| matches.get_one::<std::path::PathBuf>(name).cloned();
    let flags = Flags {
        config: config::locate(named("file").or_else(|| named("config"))),
        zabbix_conf: named("zabbix-conf"),
        ..Flags::default()
    };
    let Some(file) = flags.config.as_ref().or(flags.zabbix_conf.as_ref()) else {
        return super::usage("validate: no file given, and there is no /etc/nodeward/nodeward.yml");
    };
    let settings = match Settings::resolve(&flags) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let house = match runtime.block_on(async { House::build(&settings) }) {
        Ok(house) => house,
        Err(bad) => return super::bad_settings(&bad),
    };
    for warning in &settings.warnings {
        super::say(&format!("warning: {warning}"));
    }
    let subjects: Vec<_> = house.view.sampler.names().collect();
    super::say(&format!(
        "{}: fine; {}, subjects {}",
        file.display(),
        counted(settings.files.len(), "file"),
        subjects.join(", ")
    ));
    Exit::Fine
}
