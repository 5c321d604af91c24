//! One pool in the config.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Way;
use crate::model::duration::Period;
use crate::model::name::{LONGEST, is_name};

/// The section `pools`: each by its name.
pub type Options = BTreeMap<String, Pool>;

/// The longest that a pool may be waited for.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// One pool that this node takes traffic in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// How the load balancers of the pool are told, each way of exactly one kind. With none, `/health/NAME` alone tells.
    #[serde(default)]
    pub gates: Vec<Way>,
    /// How long sessions may take to end before the node is out; at most 1d. It is out sooner where no session is left.
    #[serde(default = "drain")]
    pub drain: Period,
    /// What the load balancers are told after that: maint moves sessions that are bound to this node (cookies, stick tables)
    /// elsewhere, drain leaves them.
    #[serde(default)]
    pub then: Then,
    /// Sessions that are open so long after the drain began are cut; at least `drain`, at most 1d. It needs a gate that sees
    /// sessions, such as haproxy_runtime. Default: they are never cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_after: Option<Period>,
    /// How many other servers of the pool must take traffic for nodeward to take this one out by itself. It needs a gate that
    /// sees them, such as haproxy_runtime. Default: they are not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub min_healthy: Option<u32>,
    /// The share of its weight, in percent, that the node takes while what was healed is on probation. Default: it stays out
    /// until the incident is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub probation_weight: Option<u8>,
    /// How long the node takes to come back to its whole weight after the last hold was lifted; at most 1d. 0s: at once.
    #[serde(default)]
    pub ramp: Period,
    /// Local TCP ports whose established connections are the sessions of the pool, where no gate sees them: the drain ends when none is
    /// left. Where a load balancer keeps idle connections, these count too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(range(min = 1, max = 65535)))]
    pub ports: Vec<u16>,
}

/// What a pool is told after the drain.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The node takes nothing: sessions bound to it go elsewhere.
    #[default]
    Maint,
    /// It goes on as in the drain: no new sessions, those bound to it still come.
    Drain,
}

impl Default for Pool {
    /// Told by HTTP alone.
    fn default() -> Self {
        Self {
            gates: Vec::new(),
            drain: drain(),
            then: Then::default(),
            cut_after: None,
            min_healthy: None,
            probation_weight: None,
            ramp: Period::default(),
            ports: Vec::new(),
        }
    }
}

const fn drain() -> Period {
    Period::secs(20)
}

/// A pool that cannot work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its name.
    pub pool: String,
    /// The key that is wrong, from the pool on, places in lists by their number; empty for its name.
    pub keys: Vec<String>,
    /// Why.
    pub why: String,
}

/// Everything that is wrong with the pools and that their types do not show.
#[must_use]
pub fn faults(options: &Options) -> Vec<Invalid> {
    let each = options.iter().map(|(name, pool)| pool.faults(name));
    each.flatten().collect()
}

impl Pool {
    /// Whether a gate sees servers and sessions of the pool.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        self.gates.iter().any(|way| way.options().sees())
    }

    /// Whether its sessions are the connections of `ports`.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        !self.ports.is_empty() && !self.is_seen()
    }

    /// Where its gates listen: the keys of each address, from the pool on, and the address.
    pub fn listens(&self) -> impl Iterator<Item = (Vec<String>, &str)> {
        self.gates.iter().enumerate().flat_map(|(index, way)| {
            let listen = way.options().listens().iter().enumerate();
            listen.map(move |(at, address)| {
                let keys = keys(index, way, &format!("listen.{at}"));
                (keys, address.as_str())
            })
        })
    }

    fn faults(&self, name: &str) -> Vec<Invalid> {
        let mut faults = Vec::new();
        let mut fault = |keys: Vec<String>, why: String| {
            faults.push(Invalid {
                pool: name.to_owned(),
                keys,
                why,
            });
        };
        let key = |key: &str| vec![key.to_owned()];
        if !is_name(name) {
            let why = format!(
                "the name of a pool has up to {LONGEST} letters, digits, dots, dashes and underscores"
            );
            fault(Vec::new(), why);
        }
        for (index, way) in self.gates.iter().enumerate() {
            for (at, why) in way.options().faults() {
                fault(keys(index, way, &at), why);
            }
            if self.gates.iter().take(index).any(|before| before == way) {
                let gate = vec!["gates".to_owned(), index.to_string()];
                fault(gate, "this gate stands here already; remove one".into());
            }
        }
        for (at, period) in [
            ("drain", Some(self.drain)),
            ("cut_after", self.cut_after),
            ("ramp", Some(self.ramp)),
        ] {
            if period.is_some_and(|period| period.get() > PATIENCE) {
                fault(key(at), "must be at most 1d".into());
            }
        }
        if self.cut_after.is_some_and(|cut| cut < self.drain) {
            let why = format!(
                "counts from the beginning of the drain, so it must be at least drain ({})",
                self.drain
            );
            fault(key("cut_after"), why);
        }
        let seen = self.is_seen();
        if !seen {
            let needs = "needs a gate that sees the servers and sessions of the pool; add haproxy_runtime to gates";
            if self.min_healthy.is_some() {
                fault(key("min_healthy"), needs.into());
            }
            if self.cut_after.is_some() {
                fault(key("cut_after"), needs.into());
            }
        }
        if self.gates.is_empty() {
            let needs = "needs a gate: /health tells in or out, and no share";
            if self.probation_weight.is_some() {
                fault(key("probation_weight"), needs.into());
            }
            if !self.ramp.get().is_zero() {
                fault(key("ramp"), needs.into());
            }
        }
        if seen && !self.ports.is_empty() {
            let why = "a gate of this pool sees its sessions, so that ports would not be counted; remove it";
            fault(key("ports"), why.into());
        }
        for (index, port) in self.ports.iter().enumerate() {
            if self.ports.iter().take(index).any(|before| before == port) {
                let at = vec!["ports".to_owned(), index.to_string()];
                fault(at, format!("{port} stands here already; remove one"));
            }
        }
        faults
    }
}

/// The keys of what a gate's options call `at`, from the pool on.
fn keys(index: usize, way: &Way, at: &str) -> Vec<String> {
    let below = at.split('.').filter(|key| !key.is_empty());
    let index = index.to_string();
    let above = ["gates", &index, way.kind()];
    above.into_iter().chain(below).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(pool: &str) -> Vec<(String, String)> {
        let pool: Pool = serde_json::from_str(pool).unwrap();
        let faults = faults(&Options::from([("web".to_owned(), pool)]));
        let each = faults.into_iter().map(|f| (f.keys.join("."), f.why));
        each.collect()
    }

    #[test]
    fn a_pool_without_gates_is_told_by_http_alone() {
        assert!(wrong("{}").is_empty());
        assert!(wrong(r#"{"gates": [], "drain": "0s", "ports": [8080]}"#).is_empty());
    }

    #[test]
    fn all_that_does_not_fit_is_said_at_once_each_with_its_key() {
        let agent = r#"{"haproxy_agent": {"listen": ["127.0.0.1:9201"]}}"#;
        let said = wrong(&format!(
            r#"{{"gates": [{agent}, {agent}], "drain": "30s", "cut_after": "20s", "min_healthy": 2, "ramp": "25h", "ports": [1, 2, 1]}}"#
        ));
        let keys: Vec<_> = said.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "gates.1",
            "ramp",
            "cut_after",
            "min_healthy",
            "cut_after",
            "ports.2",
        ];
        assert_eq!(keys, expected, "{said:?}");
        assert!(said[2].1.contains("at least drain (30s)"), "{said:?}");
        assert!(said[3].1.contains("haproxy_runtime"), "{said:?}");
    }

    #[test]
    fn a_share_needs_somebody_who_can_be_told_of_it() {
        let said = wrong(r#"{"probation_weight": 10, "ramp": "30s"}"#);
        let keys: Vec<_> = said.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["probation_weight", "ramp"]);
    }

    #[test]
    fn what_a_gate_finds_wrong_has_its_place_in_the_list() {
        let bad = r#"{"haproxy_agent": {"listen": ["9201"], "allow": ["10.0.0.0/33"]}}"#;
        let said = wrong(&format!(r#"{{"gates": [{bad}]}}"#));
        let keys: Vec<_> = said.iter().map(|(key, _)| key.as_str()).collect();
        let expected = [
            "gates.0.haproxy_agent.listen.0",
            "gates.0.haproxy_agent.allow.0",
        ];
        assert_eq!(keys, expected);
    }
}
