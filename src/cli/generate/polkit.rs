//! `nodeward generate polkit`: the rule for what is named, or for what the config's playbooks may do.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::action::{self, Permission};
use crate::app::BadSettings;
use crate::cli::{self, Exit};
use crate::config;
use crate::heal::playbook;
use crate::peer::systemd::Verb;

pub(super) const NAME: &str = "polkit";

pub(super) fn command() -> Command {
    let user = Arg::new("user")
        .long("user")
        .value_name("USER")
        .default_value("nodeward")
        .help("The user that nodeward runs as");
    let file = Arg::new("config")
        .long("config")
        .short('c')
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Config file whose playbooks are read [default: $NODEWARD_CONFIG, else /etc/nodeward/nodeward.yml]");
    let allow = Arg::new("allow")
        .value_name("VERB:UNIT")
        .action(ArgAction::Append)
        .conflicts_with("config")
        .help("What it may do, such as restart:web.service; verbs: restart, start, reload, stop, reset-failed [default: what the playbooks do, whatever their mode]");
    Command::new(NAME)
        .about("A polkit rule that lets nodeward do just this with systemd's units")
        .after_help("Examples:\n  nodeward generate polkit > /etc/polkit-1/rules.d/50-nodeward.rules\n  nodeward generate polkit restart:web.service")
        .arg(user)
        .arg(file)
        .arg(allow)
}

pub(super) fn run(matches: &ArgMatches) -> Result<String, Exit> {
    let named: Vec<&String> = matches.get_many("allow").into_iter().flatten().collect();
    let allowed = if named.is_empty() {
        let file = matches.get_one::<PathBuf>("config").cloned();
        let file = config::locate(file).ok_or_else(|| {
            cli::usage("generate polkit: name VERB:UNIT, or with --config a file whose playbooks are to be allowed what they do; there is no /etc/nodeward/nodeward.yml")
        })?;
        let loaded = config::load(&file);
        let loaded = loaded.map_err(|e| cli::bad_settings(&BadSettings::Config(e.to_string())))?;
        of_playbooks(&loaded.config.playbooks)
    } else {
        let pairs = named.into_iter().map(|text| pair(text));
        pairs
            .collect::<Result<_, _>>()
            .map_err(|why| cli::usage(&why))?
    };
    let user = matches.get_one::<String>("user").map_or("", String::as_str);
    action::polkit(user, &allowed).map_err(|e| cli::usage(&e.to_string()))
}

/// A verb and a unit as they stand on the command line.
fn pair(text: &str) -> Result<(Verb, String), String> {
    let pair = text.split_once(':');
    let pair = pair.and_then(|(verb, unit)| Some((Verb::of(verb)?, unit.to_owned())));
    pair.ok_or_else(|| {
        format!("{text:?} is not VERB:UNIT, such as restart:web.service, with one of the verbs restart, start, reload, stop, reset-failed")
    })
}

/// What playbooks may do with units. A playbook heals only units that it lists, so all of them are known.
fn of_playbooks(playbooks: &playbook::Options) -> Vec<(Verb, String)> {
    let permissions = playbooks.values().flat_map(playbook::Playbook::permissions);
    let units = permissions.filter_map(|permission| match permission {
        Permission::Unit { verb, unit } => Some((verb, unit)),
        Permission::Engine | Permission::Delete(_) | Permission::Root(_) => None,
    });
    units.collect()
}
