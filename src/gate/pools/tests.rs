use std::collections::BTreeSet;

use super::super::tests::{Fake, plan};
use super::super::{Heard, Say, Traffic, Words};
use super::*;
use crate::dialect::Told;
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::model::hold::{Hold, Owner};
use crate::model::moment::Timestamp;

mod world;
use world::*;

const S: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_hold_takes_the_node_out_and_its_end_brings_it_back() {
    let gate = Fake::new("lb", true);
    gate.with(|state| state.view.sessions = 3);
    let pools = pools(r#"{"drain": "20s", "cut_after": "60s"}"#, &[&gate]);
    let mut events = pools.events();
    pools.hold(&held(Duration::ZERO));
    let began = Instant::now();
    let out = pools.out("web").await;
    assert!(out.complete, "{out:?}");
    let ledger = out.ledger.unwrap();
    assert_eq!((ledger.active, ledger.cut, ledger.open), (3, 3, 0));
    let took = began.elapsed();
    // The hold's age is of the wall clock, in whole milliseconds.
    assert!(took >= 59 * S && took < 70 * S, "{took:?}");
    let standing = &pools.standing()["web"];
    assert_eq!(standing.traffic, Traffic::Out);
    let out = events.recv().await.unwrap();
    assert_eq!(out, Event::Out("web".into(), Some(ledger)));
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
    pools.hold(&Holds::default());
    // Told in words that lift from the first that was heard on.
    let told = gate.told();
    assert_eq!(told[0], (Say::Drain, false));
    assert!(told.contains(&(Say::Out, true)));
    assert!(told.contains(&(Say::In(100), true)), "{told:?}");
    assert!(pools.asserted(Instant::now() + S).await);
    while pools.standing()["web"].busy {
        tokio::time::sleep(S / 10).await;
    }
    assert_eq!(pools.standing()["web"].traffic, Traffic::In);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forward_cuts_no_session_early() {
    let gate = Fake::new("lb", true);
    gate.with(|state| state.view.sessions = 3);
    let pools = pools(r#"{"drain": "20s", "cut_after": "60s"}"#, &[&gate]);
    let hold = Hold {
        why: "a test".into(),
        since: Timestamp(Timestamp::now().0 - 86_400_000),
        began: Some(Clock::new().now()),
        easing: false,
    };
    let mut holds = held(Duration::ZERO);
    holds.place("web", ann(), hold, BTreeSet::new());
    pools.hold(&holds);
    let began = Instant::now();
    assert!(pools.out("web").await.complete);
    assert!(began.elapsed() >= 59 * S, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn is_out_as_soon_as_no_session_is_left() {
    let gate = Fake::new("lb", true);
    let pools = pools(r#"{"drain": "10m"}"#, &[&gate]);
    pools.hold(&held(Duration::ZERO));
    let began = Instant::now();
    assert!(pools.out("web").await.complete);
    assert!(began.elapsed() < 5 * S);
}

#[tokio::test(start_paused = true)]
async fn what_gates_forget_is_told_again_while_held_and_not_after() {
    let gate = Fake::new("lb", true);
    let pools = pools("{}", &[&gate]);
    let mut events = pools.events();
    pools.hold(&held(Duration::ZERO));
    assert!(pools.out("web").await.complete);
    gate.with(|state| state.told.clear());
    while gate.told().is_empty() {
        tokio::time::sleep(S).await;
    }
    assert_eq!(gate.told(), [(Say::Out, true)]);
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
    pools.hold(&Holds::default());
    tokio::time::sleep(10 * S).await;
    gate.with(|state| state.told.clear());
    tokio::time::sleep(60 * S).await;
    assert_eq!(gate.told(), []);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_fails_or_hangs_is_told_again_and_blocks_no_other() {
    let (good, bad, hangs) = (
        Fake::new("good", true),
        Fake::new("bad", true),
        Fake::new("hangs", true),
    );
    bad.with(|state| state.always = Some(Err("connection refused; look at sockets".into())));
    hangs.with(|state| state.hangs = true);
    let pools = pools(r#"{"drain": "1s"}"#, &[&hangs, &bad, &good]);
    pools.hold(&held(Duration::ZERO));
    let out = pools.out("web").await;
    assert!(!out.complete);
    assert!(out.why.contains("bad: connection refused"), "{out:?}");
    assert!(out.why.contains("hangs: no answer"), "{out:?}");
    assert_eq!(good.told().last(), Some(&(Say::Out, true)));
    let standing = &pools.standing()["web"];
    let ok: Vec<_> = standing.gates.iter().map(|gate| gate.ok).collect();
    assert_eq!(ok, [false, false, true]);
    bad.with(|state| state.always = None);
    hangs.with(|state| state.hangs = false);
    assert!(pools.out("web").await.complete);
    let Value(errors) = zabbix(&pools, "nodeward.pool.errors[web]");
    assert!(errors.parse::<u64>().unwrap() >= 2, "{errors}");
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_keeps_no_other_from_being_looked_at_and_cut() {
    let (hangs, good) = (Fake::new("hangs", true), Fake::new("good", true));
    hangs.with(|state| state.hangs = true);
    good.with(|state| {
        state.view.foreign = true;
        state.view.sessions = 3;
    });
    let pools = pools(r#"{"drain": "1s", "cut_after": "5s"}"#, &[&hangs, &good]);
    let (view, foreign) = pools.view("web").await;
    assert!(view.unwrap_err().contains("hangs: no answer"));
    assert_eq!(foreign, ["good".to_owned()].into());
    pools.hold(&held(Duration::ZERO));
    assert!(!pools.out("web").await.complete);
    assert_eq!(good.with(|state| state.cut), 3);
}

/// What a key is answered.
struct Value(String);

fn zabbix(pools: &Pools, key: &str) -> Value {
    let said = pools.zabbix(&Key::parse(key).unwrap()).unwrap();
    Value(said.map_or_else(|why| why.to_string(), |value| value.into_string()))
}

#[tokio::test(start_paused = true)]
async fn what_others_placed_is_left_told_once_and_not_lifted() {
    let (theirs, ours) = (Fake::new("theirs", true), Fake::new("ours", true));
    let pools = pools("{}", &[&theirs, &ours]);
    while theirs.told().is_empty() {
        tokio::time::sleep(S / 10).await;
    }
    theirs.with(|state| state.always = Some(Ok(Heard::Foreign)));
    let mut events = pools.events();
    let mut holds = held(Duration::ZERO);
    pools.hold(&holds);
    let foreign = Event::Foreign("web".into(), "theirs".into());
    assert_eq!(event(&mut events).await, foreign);
    holds.left_to_others("web", "theirs");
    pools.hold(&holds);
    assert!(pools.out("web").await.complete);
    holds.lift("web", &ann());
    pools.hold(&holds);
    assert_eq!(event(&mut events).await, heard());
    assert_eq!(theirs.told(), [(Say::In(100), false), (Say::Drain, false)]);
    assert_eq!(ours.told().last(), Some(&(Say::In(100), true)));
}

#[tokio::test(start_paused = true)]
async fn where_one_gate_sees_the_blind_ones_follow_it_and_never_lift() {
    let (sees, blind) = (Fake::new("sees", true), Fake::new("blind", false));
    let pools = pools("{}", &[&blind, &sees]);
    sees.with(|state| state.answers = [Ok(Heard::Yes), Ok(Heard::NotYet)].into());
    let mut events = pools.events();
    pools.hold(&held(Duration::ZERO));
    assert!(pools.out("web").await.complete);
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
    let lifts = |told: Vec<(Say, bool)>| told.contains(&(Say::In(100), true));
    assert!(lifts(sees.told()) && !lifts(blind.told()));
    assert_eq!(blind.told().last(), Some(&(Say::In(100), false)));
}

#[tokio::test(start_paused = true)]
async fn one_that_sees_knows_what_the_blind_ones_said_while_it_failed() {
    let (sees, blind) = (Fake::new("sees", true), Fake::new("blind", false));
    let pools = pools(r#"{"drain": "5s"}"#, &[&sees, &blind]);
    sees.with(|state| state.always = Some(Err("connection refused".into())));
    let mut events = pools.events();
    pools.hold(&held(Duration::ZERO));
    while blind.told().last() != Some(&(Say::Out, true)) {
        tokio::time::sleep(S / 10).await;
    }
    sees.with(|state| state.always = None);
    assert!(pools.out("web").await.complete);
    let maint = Words::of(Say::Out);
    assert_eq!(sees.with(|state| state.beside), maint);
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
    assert_eq!(sees.told().last(), Some(&(Say::In(100), true)));
    // Once it has lifted, what comes is another's.
    tokio::time::sleep(S).await;
    assert_eq!(sees.with(|state| state.beside), Words::default());
}

#[tokio::test(start_paused = true)]
async fn a_blind_one_says_nothing_where_somebody_else_had_the_node_out_last() {
    let (sees, blind) = (Fake::new("sees", true), Fake::new("blind", false));
    sees.with(|state| {
        state.others = Some(true);
        state.always = Some(Err("connection refused".into()));
    });
    let pools = pools(r#"{"drain": "5s"}"#, &[&sees, &blind]);
    pools.hold(&held(Duration::ZERO));
    assert!(!pools.out("web").await.complete);
    assert!(
        blind
            .told()
            .iter()
            .all(|(say, lifts)| *say == Say::In(100) && !lifts)
    );
    // It was lifted meanwhile.
    sees.with(|state| {
        state.others = Some(false);
        state.always = None;
    });
    assert!(pools.out("web").await.complete);
    assert_eq!(blind.told().last().map(|(say, _)| *say), Some(Say::Out));
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_holds_are_asserted_before_anything_else() {
    let gate = Fake::new("lb", true);
    let pools = Pools::default();
    change(&pools, "{}", &[&gate]);
    pools.hold(&held(60 * S));
    assert!(pools.asserted(Instant::now() + 2 * S).await);
    assert_eq!(gate.told(), [(Say::Out, true)], "nothing before");
    // Lifted, and nobody had heard of it when the process before ended.
    let gate = Fake::new("lb", true);
    let pools = Pools::default();
    let mut events = pools.events();
    change(&pools, "{}", &[&gate]);
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
    assert_eq!(gate.told().last(), Some(&(Say::In(100), true)));
    // One that cannot be told makes a start late, and no more.
    let gate = Fake::new("lb", true);
    gate.with(|state| state.hangs = true);
    let pools = Pools::default();
    change(&pools, "{}", &[&gate]);
    pools.hold(&held(60 * S));
    let began = Instant::now();
    assert!(!pools.asserted(Instant::now() + 2 * S).await);
    assert!(began.elapsed() < 3 * S);
}

#[tokio::test(start_paused = true)]
async fn a_gate_that_sees_says_nothing_before_that_is_on_record() {
    let gate = Fake::new("lb", true);
    let pools = pools("{}", &[&gate]);
    let mut events = pools.events();
    let mut holds = placed(Duration::ZERO);
    pools.hold(&holds);
    let telling = Event::Telling("web".into(), "lb".into());
    assert_eq!(event(&mut events).await, telling);
    assert_eq!(event(&mut events).await, telling);
    assert_eq!(gate.told(), []);
    assert!(pools.standing()["web"].gates[0].why.is_some());
    holds.telling("web", "lb");
    pools.hold(&holds);
    assert!(pools.out("web").await.complete);
    holds.lift("web", &ann());
    pools.hold(&holds);
    while event(&mut events).await != heard() {}
    assert_eq!(gate.told().last(), Some(&(Say::In(100), true)));
}

#[tokio::test(start_paused = true)]
async fn what_the_process_before_never_told_a_gate_is_not_lifted_there() {
    // It could not be looked at, or nodeward died before it was told.
    for age in [Duration::ZERO, 60 * S] {
        let (told, untold) = (Fake::new("lb", true), Fake::new("untold", true));
        let pools = Pools::default();
        let mut events = pools.events();
        change(&pools, r#"{"drain": "5s"}"#, &[&told, &untold]);
        let mut holds = held(age);
        pools.hold(&holds);
        while event(&mut events).await != Event::Telling("web".into(), "untold".into()) {}
        assert_eq!(told.told().last().map(|(_, ours)| *ours), Some(true));
        assert_eq!(untold.told(), []);
        untold.with(|state| state.always = Some(Ok(Heard::Foreign)));
        while event(&mut events).await != Event::Foreign("web".into(), "untold".into()) {}
        assert_eq!(untold.told().last().map(|(_, ours)| *ours), Some(false));
        holds.lift("web", &ann());
        let again = Fake::new("untold", true);
        let pools = Pools::default();
        let mut events = pools.events();
        change(&pools, "{}", &[&told, &again]);
        pools.hold(&holds);
        assert_eq!(event(&mut events).await, heard());
        assert_eq!(told.told().last(), Some(&(Say::In(100), true)));
        assert!(again.told().iter().all(|(_, lifts)| !lifts), "{age:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_blind_one_waits_for_what_it_may_have_another_gates_server_do_to_be_on_record() {
    let (sees, blind) = (Fake::new("sees", true), Fake::new("blind", false));
    sees.with(|state| {
        state.others = Some(false);
        state.always = Some(Err("connection refused".into()));
    });
    let pools = pools(r#"{"drain": "5s"}"#, &[&sees, &blind]);
    let mut events = pools.events();
    let mut holds = placed(Duration::ZERO);
    pools.hold(&holds);
    let telling = Event::Telling("web".into(), "sees".into());
    assert_eq!(event(&mut events).await, telling);
    tokio::time::sleep(20 * S).await;
    assert_eq!(blind.told(), []);
    holds.telling("web", "sees");
    pools.hold(&holds);
    while blind.told().last() != Some(&(Say::Out, true)) {
        tokio::time::sleep(S / 10).await;
    }
    // Alone, nothing can have reached its server, and nothing is said of it.
    let pools = self::pools("{}", &[&sees]);
    let mut events = pools.events();
    pools.hold(&placed(Duration::ZERO));
    tokio::time::sleep(20 * S).await;
    assert!(events.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn on_probation_the_pool_takes_a_share_or_none() {
    let gate = Fake::new("lb", true);
    let pools = pools(r#"{"probation_weight": 10, "ramp": "30s"}"#, &[&gate]);
    let mut events = pools.events();
    pools.hold(&held(Duration::ZERO));
    assert!(pools.out("web").await.complete);
    pools.hold(&eased());
    while gate.told().last() != Some(&(Say::In(10), true)) {
        tokio::time::sleep(S / 10).await;
    }
    assert_eq!(pools.standing()["web"].traffic, Traffic::Ramping);
    // Worse again: off at once.
    pools.hold(&held(Duration::ZERO));
    assert!(pools.out("web").await.complete);
    pools.hold(&lifted());
    let began = Instant::now();
    assert_eq!(event(&mut events).await, heard());
    assert!(began.elapsed() >= 30 * S);
    let gate = Fake::new("lb", true);
    let pools = self::pools("{}", &[&gate]);
    pools.hold(&eased());
    assert!(pools.out("web").await.complete);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_it_does_not_touch_and_takes_back_what_it_leaves() {
    let (stays, goes) = (Fake::new("stays", true), Fake::new("goes", true));
    let pools = pools("{}", &[&stays, &goes]);
    pools.hold(&held(Duration::ZERO));
    assert!(pools.out("web").await.complete);
    let before = stays.told().len();
    // The same options: the same gates go on.
    let other = Fake::new("stays", true);
    change(&pools, "{}", &[&other]);
    assert!(other.told().is_empty());
    // Other options, and one gate less.
    let now = Fake::new("stays", true);
    change(&pools, r#"{"drain": "5m"}"#, &[&now]);
    let out = pools.out("web").await;
    assert!(out.complete, "{out:?}");
    // It may be drained anew, but what is there counts as nodeward's, and it never comes in.
    assert!(
        now.told()
            .iter()
            .all(|(say, lifts)| *lifts && *say != Say::In(100)),
        "{:?}",
        now.told()
    );
    while goes.told().last() != Some(&(Say::In(100), true)) {
        tokio::time::sleep(S / 10).await;
    }
    assert_eq!(
        stays.told().len(),
        before,
        "it was taken over by the new one"
    );
    // The pool leaves.
    pools.change(&Plan::default());
    while now.told().last() != Some(&(Say::In(100), true)) {
        tokio::time::sleep(S / 10).await;
    }
    assert!(pools.standing().is_empty());
    assert!(pools.view("web").await.0.is_err());
    assert!(!pools.out("web").await.complete);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_is_not_there_is_heard_of_when_it_is_lifted() {
    let pools = Pools::default();
    let mut events = pools.events();
    pools.hold(&held(Duration::ZERO));
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
}

#[tokio::test(start_paused = true)]
async fn pools_without_gates_drain_for_their_time() {
    let pools = pools(r#"{"drain": "20s"}"#, &[]);
    let mut events = pools.events();
    // Holds are as old as the wall clock says, which runs on while the runtime's stands.
    let placed = std::time::Instant::now();
    pools.hold(&held(Duration::ZERO));
    let began = Instant::now();
    let out = pools.out("web").await;
    assert!(out.complete && out.ledger.is_none(), "{out:?}");
    let (waited, aged) = (began.elapsed(), placed.elapsed());
    assert!(waited <= 21 * S, "{waited:?}");
    assert!(
        waited + aged >= 20 * S - Duration::from_millis(2),
        "{waited:?}, {aged:?}"
    );
    assert!(
        pools
            .view("web")
            .await
            .0
            .unwrap_err()
            .contains("haproxy_runtime")
    );
    pools.hold(&lifted());
    assert_eq!(event(&mut events).await, heard());
}

#[tokio::test]
async fn connections_of_its_ports_are_the_sessions_of_a_pool_that_no_gate_sees() {
    let machine = crate::subject::Machine {
        host: Arc::new(crate::host::Host::default()),
        runtime: None,
    };
    let subjects = crate::subject::Options::default();
    let sampler = crate::subject::Sampler::start(&subjects, &machine, None).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let open = [connect(), connect(), connect()];
    let gate = Fake::new("lb", false);
    let options = format!(r#"{{"drain": "1h", "ports": [{port}]}}"#);
    let gates: Vec<Arc<dyn Gate>> = vec![Arc::clone(&gate) as Arc<dyn Gate>];
    let mut plan = plan(&options, gates);
    let planned = plan.0.get_mut("web").and_then(Arc::get_mut).unwrap();
    planned.sampler = Some(Arc::new(sampler));
    let pools = Pools::default();
    pools.change(&plan);
    pools.hold(&Holds::default());
    pools.hold(&held(Duration::ZERO));
    let sums = async |expected: Ledger| {
        let mut last = None;
        for _ in 0..600 {
            let standing = pools.standing().remove("web").unwrap();
            last = standing.ledger;
            if last == Some(expected) {
                return standing;
            }
            tokio::time::sleep(S / 10).await;
        }
        panic!("{last:?}, not {expected:?}");
    };
    let mut ledger = Ledger {
        active: 3,
        open: 3,
        ..Ledger::default()
    };
    let standing = sums(ledger).await;
    assert_eq!(standing.sessions, Some(3));
    assert_eq!(standing.traffic, Traffic::Draining);
    let mut open = open.into_iter();
    drop(open.next());
    (ledger.finished, ledger.open) = (1, 2);
    sums(ledger).await;
    // One that comes after all.
    let late = connect();
    (ledger.active, ledger.open) = (4, 3);
    assert_eq!(sums(ledger).await.traffic, Traffic::Draining);
    drop((open, late));
    let out = tokio::time::timeout(60 * S, pools.out("web"))
        .await
        .expect("a way out");
    assert!(out.complete, "{out:?}");
    (ledger.finished, ledger.open) = (4, 0);
    assert_eq!(out.ledger, Some(ledger));
    assert_eq!(gate.told().last().map(|(say, _)| *say), Some(Say::Out));
}

#[tokio::test(start_paused = true)]
async fn is_told_in_all_dialects() {
    let gate = Fake::new("lb", true);
    gate.with(|state| {
        state.view.healthy_others = 2;
        state.view.sessions = 1;
    });
    let pools = pools(r#"{"drain": "5s"}"#, &[&gate]);
    pools.hold(&held(Duration::ZERO));
    assert!(pools.out("web").await.complete);
    let mut out = Out::new(Format::Text, 0);
    pools.prometheus(&mut out);
    let page = String::from_utf8(out.finish()).unwrap();
    for line in [
        "nodeward_pool_traffic{pool=\"web\",state=\"out\"} 1",
        "nodeward_pool_traffic{pool=\"web\",state=\"in\"} 0",
        "nodeward_pool_healthy{pool=\"web\"} 2",
        "nodeward_pool_sessions_total{pool=\"web\",outcome=\"cut\"} 0",
        "nodeward_pool_gate_errors_total{pool=\"web\",gate=\"lb\"} 0",
        "nodeward_pool_agent_connections_refused_total 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    for (key, said) in [
        ("nodeward.pool.traffic[web]", "out"),
        ("nodeward.pool.healthy[web]", "2"),
        ("nodeward.pool.sessions[web,finished]", "0"),
        ("nodeward.pool.traffic[db]", "There is no such pool."),
        ("nodeward.pool.sessions[web,x]", "Invalid second parameter."),
        (
            "nodeward.pool.agent.asks[web,refused]",
            "No gate of this pool is asked.",
        ),
        ("nodeward.pool.agent.connections_refused", "0"),
        (
            "nodeward.pool.discovery",
            r##"[{"{#GATES}":"lb","{#POOL}":"web"}]"##,
        ),
    ] {
        assert_eq!(zabbix(&pools, key).0, said, "{key}");
    }
}
