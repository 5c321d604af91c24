//! `nodeward compare`: what would change if nodeward took the place of the program that runs today.
//!
//! Owns the command line, and the list of the programs that can be compared: each is a room and a line in [`SCHEMES`].

mod agent;
mod collectors;
mod differ;
mod exporter;
mod report;
mod said;

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use tokio::runtime::Runtime;

use super::{Exit, flags};
use crate::app::{BadSettings, Settings};
use crate::config::secret::Near;
use crate::model::secret::Secret;
use crate::net::credentials::{Basic, bearer, is_token};
use crate::net::tls;
use report::Report;

/// How a program that runs today is compared.
type Compare = fn(&Runtime, &Asked, &Settings) -> Result<Report, Failed>;

/// Schemes of URLs, and how what answers there is compared.
const SCHEMES: &[(&[&str], Compare)] = &[
    (&["http", "https"], exporter::compare),
    (&["zabbix"], agent::compare),
];

/// What is asked for.
struct Asked {
    /// Where the other program is.
    url: String,
    /// Where a nodeward runs that is compared, instead of one that this process makes.
    with: Option<String>,
    /// Whom to trust.
    tls: tls::ClientOptions,
    /// Keys that a Zabbix agent is asked; none: those of usual templates.
    keys: Vec<String>,
    /// What proves to the other who asks.
    authorization: Option<String>,
}

/// Why nothing was compared.
#[derive(Debug)]
enum Failed {
    /// The other program, or a running nodeward.
    Could(String),
    /// The config or the flags.
    Settings(BadSettings),
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self::Could(why)
    }
}

impl From<BadSettings> for Failed {
    fn from(bad: BadSettings) -> Self {
        Self::Settings(bad)
    }
}

const LONG: &str = "Asks the program that runs today, a node_exporter or a Zabbix agent, and nodeward in this process. Scrapes the exporter that runs today and nodeward's own page, and tells what is missing, differs or is told here \
    only, by collector: families, types, labels, series and values. Values that move are held between two readings of the exporter; \
    what was wrong in one look only is not told. nodeward reads the machine in this process, by the config and by node_exporter's \
    flags as given here: give those that the exporter was started with. \
    A Zabbix agent (zabbix://HOST:10050) is asked the keys of usual templates, or those of --key, before and after nodeward: what is missing, is of \
    another type, or is not between its two answers is told; it is spoken to as zabbix.tls.accept says, or its own file (--zabbix-conf). Exit code 0 if nothing is missing or different, 1 if \
    something is, 69 if they could not be compared.";

const EXAMPLES: &str = "Examples:
  nodeward compare http://127.0.0.1:9100/metrics
  nodeward compare http://127.0.0.1:9100/metrics --collector.systemd --no-collector.wifi
  nodeward compare https://127.0.0.1:9100/metrics --ca-file ca.pem --username prometheus --password-file password
  nodeward compare http://web-1:9100/metrics --with http://web-1:9101/metrics
  nodeward compare zabbix://127.0.0.1:10050 --zabbix-conf /etc/zabbix/zabbix_agentd.conf";

pub(super) fn command() -> Command {
    let file = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    flags::add(
        Command::new("compare")
            .about("Say what would be missing or different with nodeward in the place of the exporter or agent that runs today")
            .long_about(LONG)
            .after_help(EXAMPLES)
            .arg(
                Arg::new("url")
                    .value_name("URL")
                    .required(true)
                    .help("The exporter's page, http://HOST:9100/metrics, or the Zabbix agent, zabbix://HOST:10050"),
            )
            .arg(
                Arg::new("with")
                    .long("with")
                    .value_name("URL")
                    .help("Compare the page of this running nodeward, instead of reading the machine here"),
            )
            .arg(
                Arg::new("key")
                    .long("key")
                    .value_name("KEY")
                    .action(clap::ArgAction::Append)
                    .help("Key that a Zabbix agent is asked, instead of those of usual templates; may be repeated"),
            )
            .arg(
                Arg::new("format")
                    .long("format")
                    .value_name("FORMAT")
                    .value_parser(["text", "json"])
                    .default_value("text")
                    .help("What to print"),
            )
            .arg(file("ca-file", "Authorities trusted with https, PEM [default: the system's]"))
            .arg(file("cert-file", "Client certificate shown with https, PEM").requires("key-file"))
            .arg(file("key-file", "Its private key, PEM").requires("cert-file"))
            .arg(
                Arg::new("server-name")
                    .long("server-name")
                    .value_name("NAME")
                    .help("Name that must be in the exporter's certificate [default: the host of the URL]"),
            )
            .arg(
                Arg::new("username")
                    .long("username")
                    .value_name("NAME")
                    .requires("password-file")
                    .help("Name for basic authentication at the exporter"),
            )
            .arg(file("password-file", "File that holds its password").requires("username"))
            .arg(
                file("bearer-token-file", "File that holds a token for the exporter")
                    .conflicts_with("username"),
            ),
    )
}

/// What the command line asks for; an error is its fault.
fn asked(matches: &ArgMatches) -> Result<(Compare, Asked), String> {
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    let url = text("url").unwrap_or_default();
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    let room = SCHEMES.iter().find(|(names, _)| names.contains(&scheme));
    let Some((_, compare)) = room else {
        let known = SCHEMES.iter().flat_map(|(names, _)| *names);
        let known: Vec<String> = known.map(|name| format!("{name}://")).collect();
        return Err(format!(
            "{url}: what is compared is named by a URL that begins with {}",
            known.join(" or ")
        ));
    };
    let keys: Vec<String> = matches
        .get_many::<String>("key")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    if !keys.is_empty() && scheme != "zabbix" {
        return Err("--key: only Zabbix agents are asked keys".into());
    }
    let file = |name: &str| matches.get_one::<PathBuf>(name).cloned();
    let tls = tls::ClientOptions {
        ca_file: file("ca-file"),
        cert_file: file("cert-file"),
        key_file: file("key-file"),
        server_name: text("server-name"),
    };
    if tls != tls::ClientOptions::default() {
        let with = text("with").unwrap_or_default();
        let secure = scheme == "https" || with.starts_with("https:");
        let faults = tls.faults(secure);
        if let Some(fault) = faults.first() {
            // Without a name of its own a fault is of them all.
            let flag = match fault.key.strip_prefix("tls.") {
                Some(key) => format!("--{}", key.replace('_', "-")),
                None => "--ca-file, --cert-file, --key-file, --server-name".to_owned(),
            };
            return Err(format!("{flag}: {}", fault.why));
        }
    }
    let directory = std::env::current_dir().unwrap_or_default();
    let secret = |name: &str| match matches.get_one::<PathBuf>(name) {
        Some(path) => {
            let near = Near::new(&directory, None);
            let read = near.secret(&path.to_string_lossy());
            let read = read.map_err(|why| format!("--{name}: {why}"))?;
            Ok::<_, String>(Some(Secret::new(read)))
        }
        None => Ok(None),
    };
    let authorization = match (text("username"), secret("password-file")?) {
        (Some(username), Some(password_file)) => {
            let basic = Basic {
                username,
                password_file,
            };
            if !basic.has_name() {
                return Err("--username: it is empty, or has a colon".into());
            }
            Some(basic.authorization())
        }
        _ => match secret("bearer-token-file")? {
            Some(token) if !is_token(&token) => {
                return Err("--bearer-token-file: what it holds is no token".into());
            }
            token => token.as_ref().map(bearer),
        },
    };
    let asked = Asked {
        url,
        with: text("with"),
        tls,
        keys,
        authorization: authorization.map(|secret| secret.reveal().to_owned()),
    };
    Ok((*compare, asked))
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let (compare, asked) = match asked(matches) {
        Ok(asked) => asked,
        Err(why) => return super::usage(&format!("compare: {why}")),
    };
    let flags = flags::read(matches);
    if asked.with.is_some() && flags.in_place {
        let why = "compare: with --with the running nodeward reads the machine, as its own flags say: leave out node_exporter's";
        return super::usage(why);
    }
    let settings = match Settings::resolve(&flags) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let compared = compare(&runtime, &asked, &settings);
    runtime.shutdown_background();
    match compared {
        Ok(report) => tell(&report, matches),
        Err(Failed::Settings(bad)) => super::bad_settings(&bad),
        Err(Failed::Could(why)) => {
            super::say(&format!("nodeward: compare: {why}"));
            Exit::Unavailable
        }
    }
}

fn tell(report: &Report, matches: &ArgMatches) -> Exit {
    let told = match matches.get_one::<String>("format").map(String::as_str) {
        Some("json") => super::print(format!("{:#}\n", report.json()).as_bytes()),
        _ => super::tell(&report.text()),
    };
    // A reader that went away changes no verdict.
    if told.is_err_and(|exit| exit != Exit::Fine) {
        return Exit::Unavailable;
    }
    super::say(&format!("compared {}", report.there.name));
    match report.is_same() {
        true => Exit::Fine,
        false => Exit::Failed,
    }
}
