//! Which Zabbix keys nodeward has, as config that names one needs to know.

use crate::dialect::zabbix::agent;
use crate::dialect::zabbix::key::Key;
use crate::model::nearest::nearest;
use crate::subject::TABLE;

/// What keys of nodeward's own begin with, those that need a section of the config among them.
const OWN: &str = "nodeward.";

/// What is wrong with a key that is to say something of this host; nothing if nodeward answers keys of its name, or if it is none, which
/// is told elsewhere.
pub fn unknown(text: &str) -> Option<String> {
    let key = Key::parse(text).ok()?;
    let name = key.name();
    if name.starts_with(OWN) || names().any(|known| known == name) {
        return None;
    }
    let meant = nearest(name, names()).map(|name| format!("; did you mean {name}?"));
    Some(format!(
        "nodeward has no key {name}, and runs no command for one{}",
        meant.unwrap_or_default()
    ))
}

/// The names of all keys of subjects and of the agent itself.
pub fn names() -> impl Iterator<Item = &'static str> {
    let subjects = TABLE.iter().flat_map(|entry| (entry.items)());
    subjects.map(|item| item.name).chain(agent::KEYS)
}

/// Of these, those that mean something without parameters.
pub fn alone() -> impl Iterator<Item = &'static str> {
    let subjects = TABLE.iter().flat_map(|entry| (entry.alone)());
    subjects.chain(agent::KEYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nothing_answers_is_told_with_the_one_that_was_meant() {
        for known in [
            "agent.hostname",
            "system.hostname[host,lower]",
            "nodeward.state",
            "no key",
        ] {
            assert_eq!(unknown(known), None, "{known}");
        }
        let why = unknown("system.hostnam").unwrap();
        assert!(why.ends_with("; did you mean system.hostname?"), "{why}");
        let why = unknown("system.run[hostname -f]").unwrap();
        assert!(why.starts_with("nodeward has no key system.run"), "{why}");
    }
}
