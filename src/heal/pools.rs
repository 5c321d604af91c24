//! What healing asks of the pools that this node belongs to.

use serde_json::{Value, json};

use super::guards::{Leaving, Unseen};
use super::hands::Later;
use crate::gate;
use crate::model::hold::Holds;

/// Pools that follow holds.
pub trait Pools: Send + Sync + 'static {
    /// These holds are on record, all of them: the pools are to follow. Returns at once; what the gates heard is reported.
    fn hold(&self, holds: &Holds);
    /// Waits until the node is out of a pool that is held, or until that did not work out in its time; whether it is out, and what is known of
    /// the sessions.
    fn out(&self, pool: &str) -> Later<(bool, Value)>;
    /// Looks at a pool now. An error: there is no such pool.
    fn look(&self, pool: &str) -> Later<Result<Leaving, Unseen>>;
}

/// The pools as their gates have them.
impl Pools for gate::Pools {
    fn hold(&self, holds: &Holds) {
        Self::hold(self, holds);
    }

    fn out(&self, pool: &str) -> Later<(bool, Value)> {
        let (pools, pool) = (self.clone(), pool.to_owned());
        Box::pin(async move {
            let isolated = Self::out(&pools, &pool).await;
            let known = json!({"ledger": isolated.ledger, "why": isolated.why});
            (isolated.complete, known)
        })
    }

    fn look(&self, pool: &str) -> Later<Result<Leaving, Unseen>> {
        let (pools, pool) = (self.clone(), pool.to_owned());
        Box::pin(async move {
            let Some((min_healthy, within)) = pools.leaving(&pool) else {
                return Err(Unseen(none(&pool)));
            };
            let (view, foreign) = pools.view(&pool).await;
            Ok(Leaving {
                min_healthy,
                view: view.map_err(Unseen),
                within,
                foreign,
            })
        })
    }
}

/// No pool at all.
pub struct NoPools;

fn none(pool: &str) -> String {
    format!("there is no pool {pool:?} (pools)")
}

impl Pools for NoPools {
    fn hold(&self, _: &Holds) {}

    fn out(&self, pool: &str) -> Later<(bool, Value)> {
        let known = json!({"why": none(pool)});
        Box::pin(std::future::ready((false, known)))
    }

    fn look(&self, pool: &str) -> Later<Result<Leaving, Unseen>> {
        Box::pin(std::future::ready(Err(Unseen(none(pool)))))
    }
}
