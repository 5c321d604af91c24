//! `nodeward doctor`: why somebody does not see this host, and what to change.
//!
//! Owns the command line and the telling. What is looked at is a room for each whom nodeward speaks to, and a line in [`ROOMS`].

mod zabbix;

use clap::{Arg, ArgMatches, Command};
use tokio::runtime::Runtime;

use super::{Exit, flags};
use crate::app::{BadSettings, Settings};

/// How one is looked at; none if the config has nothing of it.
type Room = fn(&Runtime, &Settings) -> Result<Option<Vec<Finding>>, BadSettings>;

/// Whom nodeward speaks to, by the section of the config.
const ROOMS: &[(&str, Room)] = &[("zabbix", zabbix::look)];

/// What something looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// As it should.
    Well,
    /// Not as it should.
    Ill,
    /// It does not show from here.
    Hidden,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    sight: Sight,
    /// What was seen, and of what.
    said: String,
    /// What to change.
    change: Option<String>,
}

impl Finding {
    fn well(said: impl Into<String>) -> Self {
        Self {
            sight: Sight::Well,
            said: said.into(),
            change: None,
        }
    }

    fn hidden(said: impl Into<String>) -> Self {
        Self {
            sight: Sight::Hidden,
            ..Self::well(said)
        }
    }

    fn ill(said: impl Into<String>, change: impl Into<String>) -> Self {
        Self {
            sight: Sight::Ill,
            said: said.into(),
            change: Some(change.into()),
        }
    }

    /// It as a line, with what to change below it.
    fn lines(&self) -> String {
        let word = match self.sight {
            Sight::Well => "well",
            Sight::Ill => "ILL",
            Sight::Hidden => "unknown",
        };
        let change = self.change.iter();
        let change: String = change
            .map(|text| format!("         change: {text}\n"))
            .collect();
        format!("{word:<8} {}\n{change}", self.said)
    }
}

const LONG: &str = "Looks at the way to those whom the config names, as nodeward would go it, and says of each step whether it is well, with what to change \
    where it is not. Of Zabbix: are the names of servers found, are their ports reached, is TLS agreed, does the server know this host, does its clock agree, would \
    its address be let in, does nodeward listen. It asks servers for the list of active checks, as any agent does. Exit code 0 if nothing is ill, \
    1 if something is, or if the config has nothing to look at.";

pub(super) fn command() -> Command {
    let rooms: Vec<&str> = ROOMS.iter().map(|(name, _)| *name).collect();
    flags::add(
        Command::new("doctor")
            .about("Say why a Zabbix server does not see this host, and what to change")
            .long_about(LONG)
            .arg(
                Arg::new("of")
                    .value_name("OF")
                    .value_parser(rooms)
                    .help("Look at this alone [default: all that the config names]"),
            ),
    )
}

pub(super) fn run(matches: &ArgMatches) -> Exit {
    let settings = match Settings::resolve(&flags::read(matches)) {
        Ok(settings) => settings,
        Err(bad) => return super::bad_settings(&bad),
    };
    let runtime = match super::runtime() {
        Ok(runtime) => runtime,
        Err(exit) => return exit,
    };
    let only = matches.get_one::<String>("of");
    let mut all = Vec::new();
    for (name, look) in ROOMS
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name))
    {
        match look(&runtime, &settings) {
            Ok(Some(found)) => all.extend(found),
            Ok(None) => super::say(&format!("{name}: the config has nothing of it")),
            Err(bad) => return super::bad_settings(&bad),
        }
    }
    runtime.shutdown_background();
    let text: String = all.iter().map(Finding::lines).collect();
    if let Err(exit) = super::tell(&text)
        && exit != Exit::Fine
    {
        return exit;
    }
    let ill = all.iter().filter(|found| found.sight == Sight::Ill).count();
    super::say(&format!("{} looked at, {ill} of them ill", all.len()));
    match ill == 0 && !all.is_empty() {
        true => Exit::Fine,
        false => Exit::Failed,
    }
}
