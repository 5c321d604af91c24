//! The pool of the small world, and what must hold of the holds on it.

use super::*;
use crate::gate::View;
use crate::heal::guards::{Leaving, Unseen};

impl World {
    /// Does to the holds what a step says, and looks at what must hold of them.
    pub(super) fn hold(&mut self, at: usize, incident: &Incident, step: &Step) {
        let owner = Owner::Incident(incident.id.clone());
        let operators = |holds: &Holds| {
            let held = holds.get(POOL).map(|held| held.holds.clone());
            let operators = held.unwrap_or_default().into_iter();
            operators
                .filter(|(owner, _)| matches!(owner, Owner::Operator(_)))
                .collect::<Vec<_>>()
        };
        let before = operators(&self.holds);
        let was = &self.incidents[at];
        for holding in &step.holds {
            match holding {
                Holding::Place { pool, why, foreign } => {
                    assert!(
                        self.healthy.is_some_and(|healthy| healthy >= NEED),
                        "no isolation with {:?} others",
                        self.healthy
                    );
                    assert!(
                        !self.paused && !self.maintained && incident.is_firing(),
                        "no isolation while held, or of what is over"
                    );
                    assert_eq!(was.attempts, incident.attempts, "it is no attempt");
                    let hold = Hold {
                        why: why.clone(),
                        since: self.now.wall,
                        began: Some(self.now.clone()),
                        easing: false,
                    };
                    let foreign = foreign.clone();
                    self.holds.place(pool, owner.clone(), hold, foreign);
                }
                Holding::Ease { pool, easing } => {
                    assert!(self.holds.ease(pool, &owner, *easing), "it is held");
                }
                Holding::Lift { pool } => {
                    assert!(self.holds.lift(pool, &owner).is_some(), "it is held");
                    let by_operator = step.records.iter().any(|r| r.kind == Kind::Operator);
                    if !by_operator {
                        assert!(
                            incident.state == State::Healed
                                || incident.state == State::ResolvedAlone
                        );
                        let span = self.plan(at).probation_after(was.relapses);
                        let full = self.now.since(&was.changed) >= span || self.boots > 0;
                        let probation = matches!(was.state, State::Probation { .. });
                        assert!(span.is_zero() || probation && full, "a full probation");
                        let touched = self.touched[self.target(at)];
                        assert!(
                            self.passed.get(&at) > Some(&touched),
                            "proven after the last effect"
                        );
                    }
                }
            }
        }
        assert_eq!(
            operators(&self.holds),
            before,
            "whose hold it is not, lifts none"
        );
        let hold = self.holds.get(POOL).and_then(|held| held.holds.get(&owner));
        assert_eq!(hold.is_some(), incident.is_isolated(), "{incident:?}");
        let eases = matches!(incident.state, State::Probation { .. });
        assert!(hold.is_none_or(|hold| hold.easing == eases));
        if matches!(
            incident.state,
            State::Healed | State::ResolvedAlone | State::Observed
        ) {
            assert!(hold.is_none(), "no hold outlives its incident");
        }
    }

    pub(super) fn touch(&mut self, target: usize) {
        self.clock += 1;
        self.touched[target] = self.clock;
    }

    pub(super) fn leaving(&self) -> Leaving {
        let view = self.healthy.map(|healthy| View {
            servers: healthy + 1,
            healthy_others: healthy,
            takes_traffic: true,
            ..View::default()
        });
        Leaving {
            min_healthy: Some(NEED),
            view: view.ok_or_else(|| Unseen("refused".into())),
            within: Duration::from_secs(20),
            foreign: BTreeSet::new(),
        }
    }
}
