//! What can happen in the small world.

use proptest::prelude::*;

use super::plans::modes;
use crate::heal::plan::Mode;

/// What can happen next.
#[derive(Debug, Clone)]
pub(super) enum Op {
    /// An episode is told: target, playbook, number, whether it fires.
    Tell(usize, usize, u8, bool),
    Advance(u32),
    Jump(i32),
    /// One of the answers that are out arrives; which one, and how it went.
    Answer(usize, u8),
    /// kill -9 and start again; whether it was before the last step was on record.
    Crash(bool),
    Reboot,
    Pause(bool),
    Maintain(bool),
    Approve,
    Acknowledge(usize),
    /// Whether the pools are rejoined.
    Cancel(usize, bool),
    /// How many others of the pool get traffic; none: nobody knows.
    Pool(Option<u32>),
    /// An operator holds the pool, or lifts that.
    Hold(bool),
    /// An operator takes back the hold of an incident.
    Rejoin(usize),
    /// The service of a target gets well or ill by itself.
    Turn(usize, bool),
    /// What it is seen by is gone, or there again.
    Blind(usize, bool),
    /// A reload: a playbook has another mode.
    Mode(usize, Mode),
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..2usize, 0..2usize, 0..4u8, prop::bool::weighted(0.7)).prop_map(|(t, p, n, f)| Op::Tell(t, p, n, f)),
        6 => (1..400_000u32).prop_map(Op::Advance),
        1 => (-100_000_000..100_000_000i32).prop_map(Op::Jump),
        16 => (0..8usize, 0..4u8).prop_map(|(i, how)| Op::Answer(i, how)),
        2 => any::<bool>().prop_map(Op::Crash),
        1 => Just(Op::Reboot),
        1 => any::<bool>().prop_map(Op::Pause),
        1 => any::<bool>().prop_map(Op::Maintain),
        1 => Just(Op::Approve),
        1 => (0..4usize).prop_map(Op::Acknowledge),
        1 => (0..4usize, any::<bool>()).prop_map(|(i, release)| Op::Cancel(i, release)),
        2 => prop::option::weighted(0.8, 0..4u32).prop_map(Op::Pool),
        1 => any::<bool>().prop_map(Op::Hold),
        1 => (0..4usize).prop_map(Op::Rejoin),
        2 => (0..2usize, any::<bool>()).prop_map(|(t, well)| Op::Turn(t, well)),
        1 => (0..2usize, any::<bool>()).prop_map(|(t, blind)| Op::Blind(t, blind)),
        1 => (0..2usize, modes()).prop_map(|(p, mode)| Op::Mode(p, mode)),
    ]
}
