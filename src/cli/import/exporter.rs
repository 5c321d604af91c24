//! node_exporter's arguments as our config.
//!
//! Owns no list of flags: what `run` takes ([`flags`]) is what can be carried over.

use clap::{ArgAction, Command};

use super::Imported;
use super::words::Word;
use crate::app::Flags;
use crate::cli::flags;
use crate::config::Config;

/// What node_exporter listens on, unless a flag says otherwise.
const LISTENS: &str = ":9100";
/// Flags of `run` that are nodeward's own, or no flags of anybody.
const OURS: [&str; 5] = ["config", "socket", "state-dir", "zabbix-conf", "foreign"];
/// Flags that have no meaning here, and why.
const MEANINGLESS: &[(&str, &str)] = &[("runtime.gomaxprocs", "nodeward has one runtime thread")];
/// One flag as it was given: its words, and its name.
struct Given {
    words: Vec<String>,
    name: String,
}

/// The config that says the same as the arguments; a first word that is no flag is the program.
pub(super) fn import(words: Vec<Word>) -> Imported {
    let command = || flags::add(Command::new("nodeward"));
    let known = command();
    // Whether a flag takes a value; none if it is not known.
    let valued = |name: &str| -> Option<bool> {
        let mut all = known.get_arguments();
        let arg = all.find(|arg| arg.get_long() == Some(name) && !OURS.contains(&name))?;
        Some(!matches!(arg.get_action(), ArgAction::SetTrue))
    };
    let mut imported = Imported::default();
    let mut good: Vec<Given> = Vec::new();
    let mut words = words.into_iter().peekable();
    words.next_if(|word| !word.text.starts_with('-'));
    while let Some(word) = words.next() {
        let Some(flag) = word.text.strip_prefix("--").filter(|rest| !rest.is_empty()) else {
            if word.text != "--" {
                imported.left.push(format!("{}: it is no flag", word.text));
            }
            continue;
        };
        let (name, joined) = match flag.split_once('=') {
            Some((name, _)) => (name.to_owned(), true),
            None => (flag.to_owned(), false),
        };
        let mut given = Given {
            words: vec![word.text.clone()],
            name,
        };
        let mut doubt = word.doubt;
        let wants = valued(&given.name);
        // Of a flag that nobody knows, what follows and is no flag is its value.
        let takes_next = wants == Some(true)
            || (wants.is_none() && words.peek().is_some_and(|next| !next.text.starts_with('-')));
        if let Some(next) = words.next_if(|_| takes_next && !joined) {
            given.words.push(next.text);
            doubt = doubt.or(next.doubt);
        }
        let once = |arg: &clap::Arg| matches!(arg.get_action(), ArgAction::Set);
        let twice = good.iter().any(|before| before.name == given.name)
            && known
                .get_arguments()
                .any(|arg| arg.get_long() == Some(&given.name) && once(arg));
        let twice = twice.then(|| "it stands there twice, and the first counts".to_owned());
        match doubt.or(twice).or_else(|| given.fault(wants, &command)) {
            Some(why) => imported.left.push(format!("{}: {why}", given.shown())),
            None => {
                let told = MEANINGLESS.iter().find(|(name, _)| *name == given.name);
                let shown = given.shown();
                let told = told.map(|(_, why)| format!("Without meaning here: {shown}: {why}."));
                imported.notes.extend(told);
                good.push(given);
            }
        }
    }
    let good: Vec<String> = good.into_iter().flat_map(|given| given.words).collect();
    let flags = read(&good, &command).unwrap_or_else(|why| {
        imported.left.push(format!("{}: {why}", good.join(" ")));
        Flags::default()
    });
    imported.left.extend(
        flags
            .lacking
            .iter()
            .map(|name| format!("--{name}: nodeward has no such subject yet")),
    );
    let mut config = Config::default();
    config.http.listen = vec![LISTENS.to_owned()];
    imported.left.extend(flags.apply(&mut config, true));
    imported.config = config;
    imported.flags = flags;
    imported
}

fn read(words: &[String], command: &dyn Fn() -> Command) -> Result<Flags, String> {
    let all = std::iter::once("nodeward").chain(words.iter().map(String::as_str));
    let all = flags::foreign(all.map(Into::into).collect());
    let matches = command().try_get_matches_from(all);
    matches
        .map(|matches| flags::read(&matches))
        .map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned()
        })
}

impl Given {
    fn shown(&self) -> String {
        self.words.join(" ")
    }

    /// Why it cannot be carried over, taken alone.
    fn fault(&self, wants: Option<bool>, command: &dyn Fn() -> Command) -> Option<String> {
        let lacks = || {
            self.words
                .first()
                .is_some_and(|word| flags::of_lacking(word).is_some())
        };
        if wants.is_none() && !lacks() {
            return Some("nodeward has no such flag".to_owned());
        }
        match read(&self.words, command) {
            Err(why) => Some(why),
            Ok(flags) => flags.apply(&mut Config::default(), true).into_iter().next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(words: &[&str]) -> Imported {
        import(words.iter().map(|word| Word::plain(*word)).collect())
    }

    #[test]
    fn flags_become_keys() {
        let found = imported(&[
            "/usr/bin/node_exporter",
            "--web.listen-address",
            "127.0.0.1:9200",
            "--collector.systemd",
            "--no-collector.hwmon",
            "--path.rootfs=/host",
            "--collector.filesystem.mount-points-exclude=^/(dev|proc)($|/)",
            "--runtime.gomaxprocs=2",
        ]);
        assert_eq!(found.left, [] as [String; 0]);
        assert_eq!(
            found.notes,
            ["Without meaning here: --runtime.gomaxprocs=2: nodeward has one runtime thread."]
        );
        let config = &found.config;
        assert_eq!(config.http.listen, ["127.0.0.1:9200"]);
        assert_eq!(config.subjects.enable, ["systemd"]);
        assert_eq!(config.subjects.disable, ["hwmon"]);
        assert_eq!(config.roots.rootfs, std::path::Path::new("/host"));
        assert_eq!(imported(&["node_exporter"]).config.http.listen, [":9100"]);
    }

    #[test]
    fn what_cannot_be_carried_over_is_told_each() {
        let found = imported(&[
            "--collector.zfs",
            "--no-collector.zfs",
            "--collector.cpo",
            "--collector.zfs.x",
            "1",
            "--unknown",
            "value",
            "--collector.netdev.device-exclude=(",
            "--log.level=loud",
            "--web.max-requests",
            "x",
            "--config=x.yml",
            "--log.level=warn",
            "--log.level=info",
            "-v",
            "@file",
            "--collector.ntp",
        ]);
        for (left, expected) in found.left.iter().zip([
            "--collector.cpo: nodeward has no such flag",
            "--unknown value: nodeward has no such flag",
            "--collector.netdev.device-exclude=(: ",
            "--log.level=loud: ",
            "--web.max-requests x: ",
            "--config=x.yml: nodeward has no such flag",
            "--log.level=info: it stands there twice",
            "-v: it is no flag",
            "@file: it is no flag",
            "--collector.ntp: nodeward has no such subject yet",
            "--collector.zfs.x: nodeward has no such subject yet",
        ]) {
            assert!(left.starts_with(expected), "{left} instead of {expected}");
        }
        assert_eq!(found.left.len(), 11, "{:?}", found.left);
    }

    #[test]
    fn a_word_that_only_systemd_knows_is_left_out_with_its_flag() {
        let words = ["--path.rootfs", "%t/x", "--collector.systemd"];
        let found = import(
            words
                .iter()
                .map(|w| super::super::words::specified(w))
                .collect(),
        );
        assert!(found.left[0].contains("%t"), "{:?}", found.left);
        assert_eq!(found.config.subjects.enable, ["systemd"]);
        assert_eq!(found.config.roots, Config::default().roots);
    }
}
