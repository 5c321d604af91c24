//! Where rules of an agent's file deny more here than they did there.

use crate::config::items;
use crate::dialect::zabbix::key::Key;
use crate::dialect::zabbix::rules::{Rule, Rules};

/// As many keys are named.
const NAMED: usize = 5;

/// Keys that an agent with these rules answers without parameters, and nodeward does not: `vfs.*[*]` means keys with parameters there,
/// and here all of the name. None if there are none.
pub(super) fn told(rules: &[Rule]) -> Option<String> {
    let with = |rule: &&Rule| {
        let pattern = rule.allow.as_ref().or(rule.deny.as_ref());
        pattern.is_some_and(|pattern| pattern.contains('['))
    };
    let theirs: Vec<Rule> = rules.iter().filter(|rule| !with(rule)).cloned().collect();
    let (ours, theirs) = (Rules::new(rules).ok()?, Rules::new(&theirs).ok()?);
    let denied: Vec<&str> = items::alone()
        .filter(|name| {
            let key = Key::parse(name).ok();
            key.is_some_and(|key| theirs.allow(&key, &|_| None) && !ours.allow(&key, &|_| None))
        })
        .collect();
    let named = denied.get(..NAMED).unwrap_or(&denied).join(", ");
    let more = match denied.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!denied.is_empty()).then(|| {
        format!(
            "DenyKey: what ends in [*] denies the same keys without parameters too, which the agent answers: {named}{more}; an AllowKey in front of it lets them through"
        )
    })
}
