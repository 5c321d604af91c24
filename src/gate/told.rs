//! How pools are told in the three dialects. What nobody sees is left out, and unsupported in Zabbix.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::plan::Planned;
use super::pools::Pools;
use super::standing::{Counts, Sight};
use super::{Asked, Traffic};
use crate::dialect::Told;
use crate::dialect::otlp::Metrics;
use crate::dialect::prometheus::{Declared, Out};
use crate::dialect::zabbix::answer::{Unsupported, Value};
use crate::dialect::zabbix::key::Key;
use crate::subject::ItemDescriptor;

crate::families! { Pools:
    TRAFFIC gauge "nodeward_pool_traffic" ["pool", "state"] "Where this node stands in a pool: 1 for in, draining, out or ramping, 0 for the others";
    SESSIONS counter "nodeward_pool_sessions_total" ["pool", "outcome"] "Sessions that this node had when it was taken out of a pool, by what became of them until it came back: finished, moved, cut";
    HEALTHY gauge "nodeward_pool_healthy" ["pool"] "Other servers of the pool that take traffic, as its load balancers see it; absent where no gate sees them";
    ERRORS counter "nodeward_pool_gate_errors_total" ["pool", "gate"] "Times that a gate could not be told";
    ASKS counter "nodeward_pool_agent_asks_total" ["pool", "gate", "outcome"] "Agent checks: answered; refused, from where none may come; unsent, gone before the answer; crowded, from more addresses than can be kept apart";
    REFUSED counter "nodeward_pool_agent_connections_refused_total" [] "Connections of agent checks closed at once because too many are open";
}

crate::instruments! { Pools:
    STANDS gauge int "nodeward.pool.traffic" "1" ["pool", "state"] "Where this node stands in a pool: 1 for in, draining, out or ramping, 0 for the others";
    ENDED counter int "nodeward.pool.sessions" "{session}" ["pool", "outcome"] "Sessions that this node had when it was taken out of a pool, by what became of them until it came back: finished, moved, cut";
    OTHERS gauge int "nodeward.pool.healthy" "{server}" ["pool"] "Other servers of the pool that take traffic, as its load balancers see it";
    FAILED counter int "nodeward.pool.gate.errors" "{error}" ["pool", "gate"] "Times that a gate could not be told";
    ASKED counter int "nodeward.pool.agent.asks" "{ask}" ["pool", "gate", "outcome"] "Agent checks by what came of them: answered, refused, unsent, crowded";
    CLOSED counter int "nodeward.pool.agent.connections_refused" "{connection}" [] "Connections of agent checks closed at once because too many are open";
}

/// The Zabbix keys of pools.
pub static KEYS: &[ItemDescriptor] = &[
    ItemDescriptor {
        name: "nodeward.pool.traffic",
        parameters: &["pool"],
        help: "Where this node stands in a pool: in, draining, out or ramping",
    },
    ItemDescriptor {
        name: "nodeward.pool.healthy",
        parameters: &["pool"],
        help: "Other servers of the pool that take traffic",
    },
    ItemDescriptor {
        name: "nodeward.pool.sessions",
        parameters: &["pool", "outcome"],
        help: "Sessions that ended while this node was out: finished, moved or cut",
    },
    ItemDescriptor {
        name: "nodeward.pool.errors",
        parameters: &["pool"],
        help: "Times that a gate of the pool could not be told",
    },
    ItemDescriptor {
        name: "nodeward.pool.agent.asks",
        parameters: &["pool", "outcome"],
        help: "Agent checks of the pool by what came of them: answered, refused, unsent or crowded",
    },
    ItemDescriptor {
        name: "nodeward.pool.agent.connections_refused",
        parameters: &[],
        help: "Connections of agent checks closed at once because too many are open",
    },
    ItemDescriptor {
        name: "nodeward.pool.discovery",
        parameters: &[],
        help: "Pools, for low-level discovery: {#POOL}, {#GATES}",
    },
];

const NO_SUCH: Unsupported = Unsupported::new("There is no such pool.");
const NEVER_ASKED: Unsupported = Unsupported::new("No gate of this pool is asked.");
const UNSEEN: Unsupported = Unsupported::new("No gate of this pool sees its servers now.");

fn healthy(sight: &Sight) -> Option<u64> {
    let view = sight.view.as_ref()?.as_ref().ok()?;
    Some(view.healthy_others.into())
}

fn outcomes(counts: &Counts, sight: &Sight) -> [(&'static str, u64); 3] {
    // What became of those of a hold that stands is known already.
    let now = sight.ledger.unwrap_or_default();
    let sum = |ended: &std::sync::atomic::AtomicU64, now| ended.load(Ordering::Relaxed) + now;
    [
        ("finished", sum(&counts.finished, now.finished)),
        ("moved", sum(&counts.moved, now.moved)),
        ("cut", sum(&counts.cut, now.cut)),
    ]
}

impl Pools {
    /// Calls `each` with every number, by its series.
    fn traffic(&self, mut each: impl FnMut(&str, &'static str, bool)) {
        self.look(|pool, _, _, sight| {
            for state in Traffic::ALL {
                each(pool, state.as_str(), state == sight.traffic);
            }
        });
    }

    fn sessions(&self, mut each: impl FnMut(&str, &'static str, u64)) {
        self.look(|pool, _, counts, sight| {
            for (outcome, sessions) in outcomes(counts, sight) {
                each(pool, outcome, sessions);
            }
        });
    }

    fn healthy(&self, mut each: impl FnMut(&str, u64)) {
        self.look(|pool, _, _, sight| {
            if let Some(healthy) = healthy(sight) {
                each(pool, healthy);
            }
        });
    }

    fn errors(&self, mut each: impl FnMut(&str, &str, u64)) {
        self.look(|pool, planned, counts, _| {
            for gate in &planned.gates {
                each(pool, gate.name(), counts.errors(gate.name()));
            }
        });
    }

    fn asks(&self, mut each: impl FnMut(&str, &str, &'static str, u64)) {
        self.look(|pool, planned, _, _| {
            for gate in &planned.gates {
                let Some(asked) = gate.asked() else { continue };
                for (outcome, asks) in asked.asks() {
                    each(pool, gate.name(), outcome, asks);
                }
            }
        });
    }

    /// What is said of one pool.
    fn one(
        &self,
        pool: &str,
        say: impl Fn(&Planned, &Counts, &Sight) -> Result<Value, Unsupported>,
    ) -> Result<Value, Unsupported> {
        if pool.is_empty() {
            return Err(Unsupported::invalid_parameter(1));
        }
        let mut said = Err(NO_SUCH);
        self.look(|name, planned, counts, sight| {
            if name == pool {
                said = say(planned, counts, sight);
            }
        });
        said
    }

    fn discovery(&self) -> Value {
        let mut found = Vec::new();
        self.look(|pool, planned, _, _| {
            let gates = planned.gates.iter().map(|gate| gate.name());
            let gates: Vec<_> = gates.collect();
            found.push(json!({"{#POOL}": pool, "{#GATES}": gates.join(", ")}));
        });
        serde_json::Value::from(found).to_string().into()
    }
}

impl Told for Pools {
    fn families(&self) -> &'static [&'static dyn Declared] {
        FAMILIES
    }

    fn prometheus(&self, out: &mut Out) {
        let mut page = out.page::<Self>();
        let mut samples = page.family(&TRAFFIC);
        self.traffic(|pool, state, is| samples.push([pool, state], is));
        let mut samples = page.family(&SESSIONS);
        self.sessions(|pool, outcome, sessions| samples.push([pool, outcome], sessions));
        let mut samples = page.family(&HEALTHY);
        self.healthy(|pool, healthy| samples.push([pool], healthy));
        let mut samples = page.family(&ERRORS);
        self.errors(|pool, gate, errors| samples.push([pool, gate], errors));
        let mut samples = page.family(&ASKS);
        self.asks(|pool, gate, outcome, asks| samples.push([pool, gate, outcome], asks));
        let refused = self.connections().refused.get();
        page.value(&REFUSED, refused);
    }

    fn otlp(&self, metrics: &mut Metrics<'_>) {
        let mut batch = metrics.batch::<Self>();
        let mut points = batch.instrument(&STANDS);
        self.traffic(|pool, state, is| points.push([pool, state], is));
        drop(points);
        let mut points = batch.instrument(&ENDED);
        self.sessions(|pool, outcome, sessions| points.push([pool, outcome], sessions));
        drop(points);
        let mut points = batch.instrument(&OTHERS);
        self.healthy(|pool, healthy| points.push([pool], healthy));
        drop(points);
        let mut points = batch.instrument(&FAILED);
        self.errors(|pool, gate, errors| points.push([pool, gate], errors));
        drop(points);
        let mut points = batch.instrument(&ASKED);
        self.asks(|pool, gate, outcome, asks| points.push([pool, gate, outcome], asks));
        drop(points);
        let refused = self.connections().refused.get();
        batch.value(&CLOSED, refused);
    }

    fn zabbix(&self, key: &Key<'_>) -> Option<Result<Value, Unsupported>> {
        if let Err(wrong) = ItemDescriptor::asked(KEYS, key)? {
            return Some(Err(wrong));
        }
        let pool = key.param(0);
        Some(match key.name() {
            "nodeward.pool.traffic" => {
                self.one(pool, |_, _, sight| Ok(sight.traffic.as_str().into()))
            }
            "nodeward.pool.healthy" => self.one(pool, |_, _, sight| {
                healthy(sight).map(Into::into).ok_or(UNSEEN)
            }),
            "nodeward.pool.sessions" => self.one(pool, |_, counts, sight| {
                let wanted = outcomes(counts, sight)
                    .into_iter()
                    .find(|(outcome, _)| *outcome == key.param(1));
                wanted
                    .map(|(_, sessions)| sessions.into())
                    .ok_or(Unsupported::invalid_parameter(2))
            }),
            "nodeward.pool.errors" => self.one(pool, |planned, counts, _| {
                let errors = planned.gates.iter().map(|gate| counts.errors(gate.name()));
                Ok(errors.sum::<u64>().into())
            }),
            "nodeward.pool.agent.asks" => self.one(pool, |planned, _, _| {
                let asked = planned.gates.iter().filter_map(|gate| gate.asked());
                let asks: Vec<_> = asked.flat_map(Asked::asks).collect();
                let of =
                    |(outcome, asks): &(&str, u64)| (*outcome == key.param(1)).then_some(*asks);
                match asks.iter().filter_map(of).reduce(|sum, asks| sum + asks) {
                    Some(asks) => Ok(asks.into()),
                    None if asks.is_empty() => Err(NEVER_ASKED),
                    None => Err(Unsupported::invalid_parameter(2)),
                }
            }),
            "nodeward.pool.agent.connections_refused" => {
                Ok(self.connections().refused.get().into())
            }
            _ => Ok(self.discovery()),
        })
    }
}
