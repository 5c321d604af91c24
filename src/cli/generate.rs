//! `nodeward generate`: what is made from the program's own definitions.

use clap::{Arg, ArgMatches, Command, value_parser};
use clap_complete::Shell;

use super::Exit;
use crate::config;

pub(super) fn command() -> Command {
    Command::new("generate")
        .about("Print completions, the man page, the schema or a sample of the config")
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
        .subcommand(Command::new("config").about("A sample config: every key at its default"))
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
        }
        Some(("schema", _)) => text = config::schema().into_bytes(),
        Some(("metrics", _)) => text = super::names::page().into_bytes(),
        Some(("reference", _)) => text = config::page().into_bytes(),
        _ => text = config::sample().into_bytes(),
    }
    super::print(&text).err().unwrap_or(Exit::Fine)
}
