//! The pools of one config, ready to be driven.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pool::Rules;
use super::{Gate, Invalid, Options, Pool, World};
use crate::subject::Sampler;

/// One pool, with its gates.
pub(super) struct Planned {
    pub(super) name: Arc<str>,
    pub(super) pool: Pool,
    pub(super) gates: Vec<Arc<dyn Gate>>,
    /// Counts the connections of its ports; none where it has none, or a gate sees its sessions.
    pub(super) sampler: Option<Arc<Sampler>>,
}

/// The pools of one config, by name.
#[derive(Default)]
pub struct Plan(pub(super) BTreeMap<Arc<str>, Arc<Planned>>);

impl Plan {
    /// Makes the gates. Opens nothing, starts nothing.
    ///
    /// # Errors
    /// Every gate that cannot work in this world.
    pub fn new(options: &Options, world: &World) -> Result<Self, Vec<Invalid>> {
        let (mut plan, mut wrong) = (BTreeMap::new(), Vec::new());
        for (name, pool) in options {
            let mut gates = Vec::new();
            for (index, way) in pool.gates.iter().enumerate() {
                match way.options().gates(world) {
                    Ok(more) => gates.extend(more),
                    Err(why) => wrong.push(Invalid {
                        pool: name.clone(),
                        keys: vec!["gates".into(), index.to_string(), way.kind().into()],
                        why,
                    }),
                }
            }
            let name: Arc<str> = name.as_str().into();
            let planned = Planned {
                name: Arc::clone(&name),
                pool: pool.clone(),
                gates,
                sampler: world.sampler.clone().filter(|_| pool.is_counted()),
            };
            plan.insert(name, Arc::new(planned));
        }
        if wrong.is_empty() {
            Ok(Self(plan))
        } else {
            Err(wrong)
        }
    }

    /// The names of the pools, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

impl Planned {
    /// A pool without a gate.
    pub(super) fn none(name: &Arc<str>) -> Self {
        Self {
            name: Arc::clone(name),
            pool: Pool::default(),
            gates: Vec::new(),
            sampler: None,
        }
    }

    /// Whether it is driven as this one is.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        let by = |planned: &Self| planned.sampler.as_ref().map(Arc::as_ptr);
        self.pool == other.pool && by(self) == by(other)
    }
}

impl Pool {
    /// What its way out and back goes by.
    pub(super) fn rules(&self) -> Rules {
        Rules {
            drain: self.drain.get(),
            then: self.then,
            cut_after: self.cut_after.map(|period| period.get()),
            share: self.probation_weight,
            ramp: self.ramp.get(),
        }
    }
}
