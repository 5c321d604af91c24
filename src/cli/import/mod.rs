//! `nodeward import`: the arguments of node_exporter, or the configuration file of a Zabbix agent, as our YAML.
//!
//! Owns the command line, the list of what can be read (each a room and a line in [`SOURCES`]), and the proof: what is printed was read
//! back, came to the very same config, and its subjects take their options.

mod agentd;
#[doc(hidden)]
pub mod environment;
mod exporter;
mod unit;
#[doc(hidden)]
pub mod words;
mod yaml;

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};

use super::Exit;
use crate::app::{Flags, House, Settings};
use crate::config::bounded::text;
use crate::config::fault::{Source as File, Sources};
use crate::config::{self, Config};
use crate::model::counted::counted;
use crate::model::terminal;
use words::Word;

/// Something that can be read.
struct Source {
    /// What it is.
    name: &'static str,
    /// Whether a file is one.
    takes: fn(&Path, &str) -> bool,
    /// Reads it.
    import: fn(&Path, &str) -> Result<Imported, String>,
}

/// What can be read; the first that takes a file reads it.
const SOURCES: &[Source] = &[
    Source {
        name: "a unit of systemd",
        takes: unit::takes,
        import: unit::import,
    },
    Source {
        name: "a configuration file of a Zabbix agent",
        takes: agentd::takes,
        import: agentd::import,
    },
    Source {
        name: "a file of variables with flags",
        takes: environment::takes,
        import: environment::import,
    },
];

/// What came of reading.
#[derive(Debug, Default)]
struct Imported {
    config: Config,
    /// The flags that it is made from.
    flags: Flags,
    /// What is worth a comment.
    notes: Vec<String>,
    /// What could not be carried over, and why.
    left: Vec<String>,
}

const LONG: &str = "Prints the config that makes nodeward tell what node_exporter tells with its arguments: given after --, or read from a \
    systemd unit with its drop-ins and variables, or from a file of variables such as /etc/default/prometheus-node-exporter; or in the place of \
    a Zabbix agent, from its configuration file with what that includes. What has no \
    meaning here and what could not be carried over stands in comments. Exit code 0 if all was carried over, 1 if something was not.";

const EXAMPLES: &str = "Examples:
  nodeward import /etc/systemd/system/node_exporter.service >nodeward.yml
  nodeward import /etc/default/prometheus-node-exporter
  nodeward import /etc/zabbix/zabbix_agentd.conf
  nodeward import -- --web.listen-address=:9100 --collector.systemd";

pub(super) fn command() -> Command {
    Command::new("import")
        .about("Print the config that says the same as node_exporter's arguments or a Zabbix agent's file")
        .long_about(LONG)
        .after_help(EXAMPLES)
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A unit of systemd, a file of variables, or a Zabbix agent's configuration file"),
        )
        .arg(
            Arg::new("arguments")
                .value_name("ARGUMENT")
                .last(true)
                .num_args(1..)
                .conflicts_with("file")
                .help("node_exporter's arguments"),
        )
}

fn read(path: &Path) -> Result<Imported, String> {
    let text = text(path)?;
    let source = SOURCES.iter().find(|source| (source.takes)(path, &text));
    let Some(source) = source else {
        let known: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
        let known = known.join(", nor ");
        return Err(format!("{}: it is neither {known}", path.display()));
    };
    (source.import)(path, &text).map_err(|why| format!("{}: {why}", path.display()))
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let arguments = matches.get_many::<String>("arguments");
    let (from, imported) = match (matches.get_one::<PathBuf>("file"), arguments) {
        (Some(path), _) => (path.display().to_string(), read(path)),
        (None, Some(words)) => {
            let words = words.map(Word::plain).collect();
            ("arguments".to_owned(), Ok(exporter::import(words)))
        }
        (None, None) => {
            let why = "import: name a unit or a file of variables, or give node_exporter's arguments after --";
            return super::usage(why);
        }
    };
    let mut imported = match imported {
        Ok(imported) => imported,
        Err(why) => return super::fail(&format!("import: {why}")),
    };
    // What the file says is not part of what is printed, and it may lie on another machine.
    let web = imported.flags.web_config.take();
    let web = web.filter(|path| !path.as_os_str().is_empty());
    let broken = web.and_then(|path| Some((config::web::read(&path).err()?, path)));
    let broken = broken.map(|(why, path)| {
        let why = why.without_lines().to_string();
        let why = why.lines().next().unwrap_or_default().to_owned();
        format!(
            "{}: carried over by its name only, and nodeward does not start before it is right: {why}",
            path.display()
        )
    });
    imported.notes.extend(broken.clone());
    let text = match written(&from, &imported) {
        Ok(text) => text,
        Err(why) => return super::fail(&format!("import: {why}")),
    };
    // A reader that went away changes nothing of what could be carried over.
    if super::tell(&text).is_err_and(|exit| exit != Exit::Fine) {
        return Exit::Failed;
    }
    if let Some(broken) = &broken {
        super::say(&terminal::line(broken));
    }
    for left in &imported.left {
        super::say(&format!("not carried over: {}", terminal::line(left)));
    }
    let many = counted(imported.left.len(), "thing");
    super::say(&format!("imported {from}; {many} not carried over"));
    match imported.left.is_empty() {
        true => Exit::Fine,
        false => Exit::Failed,
    }
}

/// The config as YAML, once it is proven that it says what was read.
fn written(from: &str, imported: &Imported) -> Result<String, String> {
    let mut text = String::new();
    let mut comment = |line: String| text.push_str(&format!("# {}\n", terminal::line(&line)));
    comment(format!("Made by nodeward import of {from}."));
    imported.notes.iter().for_each(|note| comment(note.clone()));
    let left = imported.left.iter();
    left.for_each(|left| comment(format!("Not carried over: {left}")));
    let json = |config: &Config| serde_json::to_value(config).map_err(|why| why.to_string());
    // Where it listens is always said: the default of a config is another one than node_exporter's.
    let mut default = Config::default();
    default.http.listen.clear();
    text.push_str(&yaml::changed(&json(&imported.config)?, &json(&default)?));
    let file = File {
        path: PathBuf::from("the imported config"),
        text: text.clone(),
    };
    let read = config::read(Sources(vec![file]), Path::new("."));
    let read = read.map_err(|why| format!("what was made of it is no config: {why}"))?;
    if read.config != imported.config {
        return Err("what was made of it says something else".into());
    }
    let settings = Settings::from(&imported.flags, None, &|_| None);
    let settings = settings.map_err(|why| why.to_string())?;
    let runtime = super::runtime().map_err(|_| "the runtime did not start".to_owned())?;
    let house = runtime.block_on(async { House::build(&settings) });
    house.map_err(|why| why.to_string())?;
    Ok(text)
}
