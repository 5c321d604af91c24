//! Zabbix keys of healing.

use serde_json::json;

use super::rows;
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::heal::incident::State;
use crate::heal::runner::Summary;
use crate::subject::ItemDescriptor;

/// The Zabbix keys of healing.
pub static KEYS: &[ItemDescriptor] = &[
    ItemDescriptor {
        name: "nodeward.state",
        parameters: &[],
        help: "How the node is: healthy, degraded, unhealthy or maintenance",
    },
    ItemDescriptor {
        name: "nodeward.incidents",
        parameters: &["state"],
        help: "Open incidents, all or those in a state",
    },
    ItemDescriptor {
        name: "nodeward.heals",
        parameters: &["playbook", "outcome"],
        help: "Incidents of a playbook, or of all, by what became of them since the start: healed unless another outcome is named",
    },
    ItemDescriptor {
        name: "nodeward.heal.attempts",
        parameters: &["playbook"],
        help: "Attempts to heal since the start, of a playbook or of all",
    },
    ItemDescriptor {
        name: "nodeward.playbook.discovery",
        parameters: &[],
        help: "Playbooks, for low-level discovery: {#PLAYBOOK}, {#MODE}",
    },
    ItemDescriptor {
        name: "nodeward.isolated",
        parameters: &[],
        help: "Whether any hold keeps this node out of a pool: 1, or 0",
    },
    ItemDescriptor {
        name: "nodeward.pool.holds",
        parameters: &["pool"],
        help: "What keeps this node out of a pool, or of all of them: how many holds",
    },
    ItemDescriptor {
        name: "nodeward.paused",
        parameters: &[],
        help: "Whether the kill switch is on: 1, or 0",
    },
];

const NO_SUCH: Unsupported = Unsupported::new("There is no such playbook.");

const NO_POOL: Unsupported = Unsupported::new("There is no such pool.");

/// The value of a key; none if it is not one of these.
pub(super) fn answer(summary: &Summary, key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
    let item = ItemDescriptor::asked(KEYS, key)?;
    Some(item.and_then(|item| value(summary, item.name, key.param(0), key.param(1))))
}

fn value(summary: &Summary, name: &str, first: &str, second: &str) -> Result<Value, Unsupported> {
    match name {
        "nodeward.state" => Ok(summary.node.as_str().into()),
        "nodeward.incidents" => incidents(summary, first),
        "nodeward.heals" => heals(summary, first, second),
        "nodeward.heal.attempts" => of(rows::attempts(summary), first),
        "nodeward.playbook.discovery" => Ok(discovery(summary)),
        "nodeward.isolated" => Ok(u64::from(summary.isolated).into()),
        "nodeward.pool.holds" => held(summary, first),
        "nodeward.paused" => Ok(u64::from(summary.paused.is_some()).into()),
        _ => Err(Unsupported::UNSUPPORTED_KEY),
    }
}

fn incidents(summary: &Summary, state: &str) -> Result<Value, Unsupported> {
    if !state.is_empty() && !State::OPEN.contains(&state) {
        return Err(Unsupported::invalid_parameter(1));
    }
    let wanted = |found: &str| state.is_empty() || found == state;
    let states = summary.states.iter().filter(|(found, _)| wanted(found));
    Ok(states.map(|(_, many)| many).sum::<u64>().into())
}

fn held(summary: &Summary, pool: &str) -> Result<Value, Unsupported> {
    if !pool.is_empty() && !summary.pools.contains_key(pool) {
        return Err(NO_POOL);
    }
    let wanted =
        |([name, _], many): ([&str; 2], u64)| (pool.is_empty() || name == pool).then_some(many);
    let many: u64 = rows::holds(summary).filter_map(wanted).sum();
    Ok(many.into())
}

fn heals(summary: &Summary, playbook: &str, outcome: &str) -> Result<Value, Unsupported> {
    let wanted = match outcome {
        "" => "healed",
        named => named,
    };
    if !rows::outcomes().any(|outcome| outcome == wanted) {
        return Err(Unsupported::invalid_parameter(2));
    }
    let rows = rows::heals(summary).filter(|([_, outcome], _)| *outcome == wanted);
    of(rows.map(|([name, _], many)| ([name], many)), playbook)
}

/// The number of a playbook, or the sum of all if none is named.
fn of<'a>(
    rows: impl Iterator<Item = ([&'a str; 1], u64)>,
    playbook: &str,
) -> Result<Value, Unsupported> {
    if playbook.is_empty() {
        return Ok(rows.map(|(_, many)| many).sum::<u64>().into());
    }
    let mut rows = rows.filter(|([name], _)| *name == playbook);
    rows.next().map(|(_, many)| many.into()).ok_or(NO_SUCH)
}

fn discovery(summary: &Summary) -> Value {
    let found = summary.playbooks.iter();
    let found = found.map(|(name, mode)| json!({"{#PLAYBOOK}": name, "{#MODE}": mode.as_str()}));
    serde_json::Value::from_iter(found).to_string().into()
}
