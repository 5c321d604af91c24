//! Holds, pools and what is said of them.

use super::*;

pub(super) fn ann() -> Owner {
    Owner::Operator("ann".into())
}

/// One hold of the pool `web`, placed so long ago; that its gates are told is on record.
pub(super) fn held(age: Duration) -> Holds {
    let mut holds = placed(age);
    for gate in [
        "lb", "good", "bad", "hangs", "theirs", "ours", "sees", "stays", "goes",
    ] {
        holds.telling("web", gate);
    }
    holds
}

/// One that no gate was told of yet.
pub(super) fn placed(age: Duration) -> Holds {
    let mut holds = Holds::default();
    let age = i64::try_from(age.as_millis()).unwrap();
    let hold = Hold {
        why: "a test of gr\u{fc}n".into(),
        since: Timestamp(Timestamp::now().0 - age),
        began: None,
        easing: false,
    };
    holds.place("web", ann(), hold, BTreeSet::new());
    holds
}

pub(super) fn eased() -> Holds {
    let mut holds = held(Duration::ZERO);
    holds.ease("web", &ann(), true);
    holds
}

pub(super) fn lifted() -> Holds {
    let mut holds = held(Duration::ZERO);
    holds.lift("web", &ann());
    holds
}

/// Pools that nothing held before.
pub(super) fn pools(options: &str, gates: &[&Arc<Fake>]) -> Pools {
    let pools = Pools::default();
    change(&pools, options, gates);
    pools.hold(&Holds::default());
    pools
}

pub(super) fn change(pools: &Pools, options: &str, gates: &[&Arc<Fake>]) {
    let gates = gates.iter().map(|&gate| Arc::clone(gate) as Arc<dyn Gate>);
    pools.change(&plan(options, gates.collect()));
}

/// The next one but for that the node is out.
pub(super) async fn event(events: &mut broadcast::Receiver<Event>) -> Event {
    loop {
        let next = tokio::time::timeout(300 * S, events.recv()).await;
        match next.unwrap().unwrap() {
            Event::Out(..) => {}
            other => return other,
        }
    }
}

pub(super) fn heard() -> Event {
    Event::Heard("web".into())
}
