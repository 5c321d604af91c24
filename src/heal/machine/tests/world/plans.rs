//! Plans to be driven at random.

use std::time::Duration;

use proptest::prelude::*;

use super::super::plan;
use super::POOL;
use crate::action::Strength;
use crate::heal::plan::{Limits, Mode, Plan, Remind, Rung};

pub(super) fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![
        4 => Just(Mode::Auto),
        1 => Just(Mode::Approve),
        1 => Just(Mode::Observe),
        1 => Just(Mode::Off),
    ]
}

pub(super) fn plans() -> impl Strategy<Value = Plan> {
    (
        modes(),
        prop_oneof![Just(0u64), Just(10)],
        prop::collection::vec(
            (
                prop_oneof![
                    3 => Just(Strength::Strong),
                    2 => Just(Strength::Weak),
                    1 => Just(Strength::Idempotent)
                ],
                any::<bool>(),
                prop::bool::weighted(0.2),
            ),
            1..4,
        ),
        prop_oneof![Just(0u64), Just(60)],
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.7, (60..600u64, 0..4u32)),
    )
        .prop_map(
            |(mode, settle, rungs, probation, loose, isolate, resolved, remind)| {
                let mut plan = plan(mode);
                plan.settle = Duration::from_secs(settle);
                plan.rungs = rungs
                    .into_iter()
                    .map(|(strength, approve, isolates)| Rung {
                        timeout: Duration::from_secs(30),
                        strength,
                        approve: approve && mode == Mode::Approve,
                        last: false,
                        isolates: isolates.then(|| POOL.to_owned()),
                    })
                    .collect();
                plan.probation = Duration::from_secs(probation);
                plan.isolate = isolate.then(|| POOL.to_owned());
                plan.verify.resolved = resolved;
                plan.remind = remind.map(|(every, times)| Remind {
                    every: Duration::from_secs(every),
                    times,
                });
                if loose {
                    plan.limits = Limits {
                        budget: None,
                        flap: None,
                        storm: None,
                        rate: None,
                        ..Limits::default()
                    };
                }
                plan
            },
        )
}
