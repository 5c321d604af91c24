//! Telling one gate, again and again where it may have forgotten.
//!
//! One task a gate: one that hangs or fails delays no other. What a gate is told of what the pool wants is decided here, by what is
//! known of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Gate, Heard, Say, WORD, Wanted, Words};
use crate::net::backoff::Backoff;
use crate::telemetry::fault::fault;

/// How often a gate is told the same again: HAProxy forgets with each reload.
const AGAIN: Duration = Duration::from_secs(3);
/// How soon a gate is asked whether the load balancer has asked by now.
const SOON: Duration = Duration::from_millis(200);
/// How soon a gate that could not be told is told again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// How much later a gate is given up that does not end by itself.
const GRACE: Duration = Duration::from_millis(500);

/// What is known of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Known {
    /// The pool can be seen through it.
    pub(super) sees: bool,
    /// Somebody else has the node out there.
    pub(super) foreign: bool,
    /// It goes by a word of ours that takes traffic away, or did when the process before ended.
    pub(super) ours: bool,
    /// It was told such a word, whatever came of it.
    pub(super) told: bool,
    /// That it takes the node out is on record.
    pub(super) recorded: bool,
    /// Somebody else had the node out there when it was looked at last.
    pub(super) occupied: bool,
    /// What blind gates of the pool may have told the server of this one, and nobody has taken back yet.
    pub(super) beside: Words,
}

/// What a gate is told of what the pool wants; none: it is left alone.
pub(super) fn wanted(say: Say, why: &str, gate: Known, all: &[Known]) -> Option<Wanted> {
    if gate.foreign {
        return None;
    }
    // One that sees knows whose the maintenance is, and the weight. Another could lift that of an operator by a word to the same load
    // balancer, be it by `drain`, which takes the place of maintenance.
    let others = |known: fn(&Known) -> bool| !gate.sees && all.iter().any(known);
    let say = match say {
        Say::Drain | Say::Out if others(|other| other.foreign || other.occupied) => Say::In(100),
        Say::In(_) if others(|other| other.sees) => Say::In(100),
        say => say,
    };
    let lifts = match say {
        Say::In(_) => {
            (gate.told || gate.ours || gate.beside != Words::default())
                && !others(|other| other.sees)
                && !others(|other| other.foreign)
        }
        Say::Drain | Say::Out => gate.ours,
    };
    Some(Wanted {
        say,
        lifts,
        beside: gate.beside,
        recorded: gate.recorded,
        why: why.to_owned(),
    })
}

/// What a teller is to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Order {
    /// Which it is: reports name it.
    pub(super) number: u64,
    /// What the gate is told; none: nothing.
    pub(super) wanted: Option<Wanted>,
    /// It is told again and again.
    pub(super) insists: bool,
}

/// How telling went.
#[derive(Debug)]
pub(super) struct Report {
    /// The place of the gate in its pool.
    pub(super) gate: usize,
    pub(super) number: u64,
    pub(super) say: Say,
    /// It could have taken traffic away: that is on record.
    pub(super) recorded: bool,
    pub(super) told: Result<Heard, String>,
}

/// Tells a gate what is ordered until nobody orders any more.
pub(super) async fn tell(
    at: usize,
    gate: Arc<dyn Gate>,
    mut orders: watch::Receiver<Order>,
    reports: mpsc::Sender<Report>,
) {
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let order = orders.borrow_and_update().clone();
        let pause = match &order.wanted {
            None => None,
            Some(wanted) => {
                let told = once(&*gate, wanted).await;
                let pause = match &told {
                    Err(_) => Some(backoff.pause()),
                    Ok(Heard::NotYet) => Some(SOON),
                    // It goes on once that is on record; the record may have been refused.
                    Ok(Heard::Unrecorded) => Some(AGAIN),
                    Ok(Heard::Yes) if order.insists => Some(AGAIN),
                    Ok(Heard::Yes | Heard::Foreign) => None,
                };
                if told.is_ok() {
                    backoff.reset();
                }
                let number = order.number;
                let report = Report {
                    gate: at,
                    number,
                    say: wanted.say,
                    recorded: wanted.recorded,
                    told,
                };
                if reports.send(report).await.is_err() {
                    return;
                }
                pause
            }
        };
        let changed = match pause {
            None => orders.changed().await,
            Some(pause) => tokio::select! {
                changed = orders.changed() => changed,
                () = sleep(pause) => Ok(()),
            },
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Tells a gate once, in bounded time.
pub(super) async fn once(gate: &dyn Gate, wanted: &Wanted) -> Result<Heard, String> {
    let deadline = Instant::now() + WORD;
    let points = points(wanted);
    if let Some((before, _)) = points {
        fault(before);
    }
    let told = match timeout_at(deadline + GRACE, gate.tell(wanted, deadline)).await {
        Ok(told) => told,
        Err(_) => Err(format!("no answer within {} s", WORD.as_secs())),
    };
    if let Some((_, after)) = points {
        fault(after);
    }
    told
}

/// Takes back what is nodeward's at a gate that leaves the pool; whether that is known to have worked in time.
pub(super) async fn leave(gate: &dyn Gate, known: Known, all: &[Known], deadline: Instant) -> bool {
    let Some(wanted) = wanted(Say::In(100), "this gate is left", known, all) else {
        return true;
    };
    while Instant::now() < deadline {
        if let Ok(Heard::Yes | Heard::Foreign) = once(gate, &wanted).await {
            return true;
        }
        sleep(SOON).await;
    }
    false
}

/// Where tests have nodeward die: before and after a word that changes something.
const fn points(wanted: &Wanted) -> Option<(&'static str, &'static str)> {
    match (wanted.say, wanted.lifts) {
        (Say::Drain | Say::Out, _) if !wanted.recorded => {
            Some(("gate.before_look", "gate.after_look"))
        }
        (Say::Drain, _) => Some(("gate.before_drain", "gate.after_drain")),
        (Say::Out, _) => Some(("gate.before_out", "gate.after_out")),
        (Say::In(_), true) => Some(("gate.before_in", "gate.after_in")),
        (Say::In(_), false) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_known() -> impl Strategy<Value = Known> {
        proptest::array::uniform6(any::<bool>()).prop_map(
            |[sees, foreign, ours, told, recorded, occupied]| Known {
                sees,
                foreign,
                ours,
                told,
                recorded,
                occupied,
                beside: Words::default(),
            },
        )
    }

    fn any_say() -> impl Strategy<Value = Say> {
        prop_oneof![
            (1..=100_u8).prop_map(Say::In),
            Just(Say::Drain),
            Just(Say::Out)
        ]
    }

    proptest! {
        #[test]
        fn what_others_placed_is_never_lifted(
            say in any_say(),
            gates in proptest::collection::vec(any_known(), 1..4),
        ) {
            for gate in &gates {
                let wanted = wanted(say, "x", *gate, &gates);
                let others = gates.iter().any(|other| other.foreign || other.occupied);
                if let (Some(wanted), false, true) = (&wanted, gate.sees, others) {
                    prop_assert!(matches!(wanted.say, Say::In(_)), "it takes the place of another's");
                }
                prop_assert_eq!(wanted.is_none(), gate.foreign);
                if wanted.is_some_and(|wanted| wanted.lifts) {
                    prop_assert!(gate.ours || gate.told, "it never had a word of ours");
                    if let Say::In(_) = say {
                        let others = gates.iter().any(|other| other.foreign || other.sees);
                        prop_assert!(gate.sees || !others, "a blind one lifts what it cannot see");
                    }
                }
            }
        }
    }
}
