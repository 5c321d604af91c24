//! The way out of a pool and back: holds are placed once the guards let it pass, ease in probation, and are lifted when all is over.

use serde_json::{Value, json};

use super::{Effect, Holding, MARGIN, Stepping};
use crate::heal::guards::{Look, Verdict};
use crate::heal::incident::{Left, State, Verified};
use crate::heal::plan::Leave;
use crate::journal::Kind;
use crate::model::hold::Owner;
use crate::model::moment::Deadline;

impl Stepping<'_> {
    /// The guards let it pass that a pool is left.
    pub(super) fn isolate(&mut self, leave: Leave<'_>, look: &Look, verdicts: &[Verdict]) {
        let pool = leave.pool.to_owned();
        self.decide(verdicts, json!({"isolate": pool}));
        if leave.rung && self.incident.pools.get(&pool) == Some(&Left::TakenBack) {
            self.next_rung(json!({"why": format!("a person had the node rejoin {pool}")}));
            return;
        }
        let (within, foreign) = match &look.pool {
            Some(Ok(leaving)) => (leaving.within, leaving.foreign.clone()),
            _ => Default::default(),
        };
        if !self.incident.held().any(|held| held == pool) {
            let why = format!("{} heals {}", self.incident.playbook, self.incident.target);
            self.hold(Holding::Place {
                pool: pool.clone(),
                why,
                foreign,
            });
        }
        let state = State::Isolating {
            pool,
            rung: leave.rung,
            limit: Deadline::new(self.now.clone(), within.saturating_add(MARGIN)),
        };
        self.enter(state, Value::Null);
        self.leave_pool();
    }

    /// nodeward has started again: what was asked of the gates is asked again, in full.
    pub(super) fn isolate_again(&mut self) {
        let now = self.now.clone();
        if let State::Isolating { limit, .. } = &mut self.incident.state {
            *limit = Deadline::new(now, limit.span());
            self.leave_pool();
        }
    }

    /// Has the node on its way out.
    pub(super) fn leave_pool(&mut self) {
        self.incident.asked = self.incident.asked.wrapping_add(1);
        self.step.effects.push(Effect::Isolate(self.incident.asked));
    }

    /// What became of leaving a pool. Where it did not work out, the hold stands, the gates go on being told, and what is ill is healed all the
    /// same.
    pub(super) fn isolated(&mut self, complete: bool, data: &Value) {
        let State::Isolating { pool, rung, .. } = &self.incident.state else {
            return;
        };
        let (pool, rung) = (pool.clone(), *rung);
        let owner = self.owner().to_string();
        self.record(
            Kind::Hold,
            json!({"did": "out", "pool": pool, "owner": owner, "complete": complete, "detail": data}),
        );
        if rung {
            self.enter_verifying(false, Verified::Isolation);
        } else {
            self.enter_waiting_because(json!({"why": "the node has left the pool"}));
        }
    }

    /// A person takes the hold of a pool back, whatever became of the incident since.
    pub(super) fn rejoin(&mut self, pool: &str, by: &str) {
        if self.incident.held().any(|held| held == pool) {
            self.record(
                Kind::Operator,
                json!({"did": "rejoin", "by": by, "pool": pool}),
            );
            self.lift(pool);
        }
    }

    /// Lifts every hold.
    pub(super) fn lift_all(&mut self) {
        let pools: Vec<String> = self.incident.held().map(str::to_owned).collect();
        pools.iter().for_each(|pool| self.lift(pool));
    }

    fn lift(&mut self, pool: &str) {
        self.incident.pools.insert(pool.to_owned(), Left::TakenBack);
        let pool = pool.to_owned();
        self.hold(Holding::Lift { pool });
    }

    /// Says of every hold whether what it is for is on probation.
    pub(super) fn ease(&mut self, easing: bool) {
        let pools: Vec<String> = self.incident.held().map(str::to_owned).collect();
        for pool in pools {
            self.hold(Holding::Ease { pool, easing });
        }
    }

    fn hold(&mut self, holding: Holding) {
        let owner = self.owner().to_string();
        let data = match &holding {
            Holding::Place { pool, why, foreign } => {
                self.incident.pools.insert(pool.clone(), Left::Held);
                json!({"did": "place", "pool": pool, "owner": owner, "why": why, "foreign": foreign})
            }
            Holding::Ease { pool, easing } => {
                json!({"did": "ease", "pool": pool, "owner": owner, "easing": easing})
            }
            Holding::Lift { pool } => json!({"did": "lift", "pool": pool, "owner": owner}),
        };
        self.record(Kind::Hold, data);
        self.step.holds.push(holding);
    }

    fn owner(&self) -> Owner {
        Owner::Incident(self.incident.id.clone())
    }

    /// It may have got well by itself while the node is out of a pool: nobody returns to that before it is proven.
    pub(super) fn verify_itself(&mut self) {
        self.enter_verifying(false, Verified::Itself);
    }
}
