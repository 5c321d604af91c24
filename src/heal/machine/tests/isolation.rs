//! The way out of a pool and back, beside an attempt and in its place.

use std::collections::BTreeSet;

use super::*;
use crate::gate::View;
use crate::heal::guards::Leaving;

/// Of a pool of three that needs two others.
fn look(healthy_others: u32) -> Look {
    let view = View {
        servers: 3,
        healthy_others,
        takes_traffic: true,
        ..View::default()
    };
    Look {
        pool: Some(Ok(Leaving {
            min_healthy: Some(2),
            view: Ok(view),
            within: 20 * SECOND,
            foreign: BTreeSet::from(["one".to_owned()]),
        })),
        ..fine()
    }
}

/// The same, and here nothing is wrong any more.
fn seen_well() -> Look {
    Look {
        confirm: vec![("web".into(), Sight::Well, "200".into())],
        ..look(2)
    }
}

fn isolating(mode: Mode) -> Plan {
    Plan {
        isolate: Some("web".into()),
        ..plan(mode)
    }
}

fn place() -> Holding {
    Holding::Place {
        pool: "web".into(),
        why: "p heals unit:web.service".into(),
        foreign: BTreeSet::from(["one".to_owned()]),
    }
}

fn ease(easing: bool) -> Holding {
    let pool = "web".into();
    Holding::Ease { pool, easing }
}

fn lift() -> Holding {
    Holding::Lift { pool: "web".into() }
}

impl Case {
    fn out(&mut self, second: u64, complete: bool) -> Step {
        let asked = self.round();
        let ledger = json!({"active": 2, "finished": 2});
        self.at(second, Event::Isolated(asked, complete, ledger))
    }

    /// Out of the pool, and waiting for the guards of the first rung.
    fn isolated(plan: Plan) -> Self {
        let mut case = Self::new(plan);
        case.at(0, case.look_with(look(2)));
        case.out(5, true);
        assert_eq!(case.state(), "waiting");
        case
    }

    fn min_healthy(&self) -> (bool, String) {
        let State::Waiting { verdicts, .. } = &self.incident.state else {
            panic!("it is {}", self.state());
        };
        let last = verdicts.last().unwrap();
        assert_eq!(last.guard, Guard::MinHealthy);
        (last.passes, last.value.clone())
    }
}

#[test]
fn leaves_the_pool_heals_and_rejoins_when_that_has_lasted() {
    let mut case = Case::new(isolating(Mode::Auto));
    let step = case.at(0, case.look_with(look(2)));
    assert_eq!(case.state(), "isolating");
    assert_eq!(step.holds, [place()]);
    assert_eq!(step.effects, [Effect::Isolate(case.round())]);
    let kinds: Vec<Kind> = step.records.iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [Kind::Decision, Kind::Hold, Kind::State]);
    assert_eq!(case.made(), 0, "it is no attempt");

    let step = case.out(5, true);
    assert_eq!(case.state(), "waiting");
    let data = &step.records[0].data;
    assert_eq!(
        (&data["did"], &data["complete"]),
        (&json!("out"), &json!(true))
    );
    assert_eq!(data["detail"]["finished"], 2);
    // The guards are asked anew; that too few are left is for others to mind: this one is out.
    let step = case.at(6, case.look_with(look(1)));
    assert_eq!(
        (case.state(), &step.effects[..]),
        ("intent", &[Effect::Act][..])
    );
    assert!(step.holds.is_empty());
    case.at(7, case.began(Value::Null));
    case.at(8, case.ended(Outcome::Done, Value::Null));
    assert!(case.probe(9, true).holds.is_empty());
    assert_eq!(case.probe(10, true).holds, [ease(true)]);
    assert!(case.probe(40, true).holds.is_empty());
    assert_eq!(case.probe(71, true).holds, [lift()]);
    assert_eq!(case.state(), "healed");
    assert!(case.incident.pools.is_empty());
}

#[test]
fn too_few_others_and_an_unknown_number_refuse_and_people_are_told_in_the_end() {
    for view in [
        Ok((3, 1)),
        Ok((0, 0)),
        Err(Unseen("the socket refuses".into())),
    ] {
        let mut case = Case::new(isolating(Mode::Auto));
        let mut seen = look(1);
        let known = view.is_ok();
        let view = view.map(|(servers, healthy_others)| View {
            servers,
            healthy_others,
            takes_traffic: servers > 0,
            ..View::default()
        });
        seen.pool = Some(Ok(Leaving {
            min_healthy: Some(2),
            view,
            within: SECOND,
            foreign: BTreeSet::new(),
        }));
        let step = case.at(0, case.look_with(seen));
        assert_eq!(case.state(), "waiting");
        assert!(step.holds.is_empty());
        let (passes, words) = case.min_healthy();
        assert!(
            !passes && words.contains("refused") && words.contains("need 2"),
            "{words}"
        );
        assert_eq!(words.contains("not known"), !known, "{words}");
        case.at(1801, Event::Timer);
        let guard = "min_healthy".to_owned();
        assert_eq!(case.cause(), Cause::Refused { guard });
    }
    let mut case = Case::new(isolating(Mode::Auto));
    case.at(0, case.look_with(fine()));
    assert!(!case.min_healthy().0, "nobody looked");
    let mut case = Case::new(isolating(Mode::Auto));
    case.at(0, case.look_with(look(1)));
    let words = case.min_healthy().1;
    assert_eq!(words, "web: healthy 2 of 3, need 2 after leaving: refused");
}

#[test]
fn what_cannot_be_left_in_time_is_healed_all_the_same_and_the_hold_stands() {
    let mut case = Case::new(isolating(Mode::Auto));
    case.at(0, case.look_with(look(2)));
    assert_eq!(case.at(49, Event::Timer), Step::default());
    let step = case.at(50, Event::Timer);
    assert_eq!(step.records[0].data["complete"], false);
    assert!(case.incident.is_isolated());
    case.at(51, case.look_with(look(2)));
    assert_eq!(case.state(), "intent");
}

#[test]
fn a_rung_of_its_own_is_verified_and_does_not_lock_the_target() {
    let mut plan = plan(Mode::Auto);
    plan.rungs[0].isolates = Some("web".into());
    let mut case = Case::new(plan);
    case.at(0, case.look_with(look(2)));
    case.out(5, true);
    assert_eq!((case.state(), case.made()), ("verifying", 0));
    assert!(!case.incident.state.holds_target());
    case.at(25, Event::Timer);
    assert_eq!((case.state(), case.incident.rung), ("waiting", 1));
    assert!(case.incident.is_isolated(), "it stays out");
    case.at(26, case.look_with(look(2)));
    assert_eq!((case.state(), case.made()), ("intent", 1));
    case.at(30, case.ended(Outcome::Failed, Value::Null));
    let step = case.at(60, Event::Timer);
    assert_eq!(case.cause(), Cause::Exhausted);
    assert!(step.holds.is_empty(), "escalated: it stays out");
    // It gets well by itself.
    case.probe(90, true);
    assert_eq!(case.probe(91, true).holds, [ease(true)]);
    assert_eq!(case.probe(200, true).holds, [lift()]);
    assert_eq!(case.state(), "healed");
}

#[test]
fn what_gets_well_while_it_is_out_is_proven_before_it_rejoins() {
    for seen in [false, true] {
        let mut case = Case::isolated(isolating(Mode::Auto));
        if seen {
            case.at(6, case.look_with(seen_well()));
        } else {
            case.told(6, 1, Status::Resolved);
        }
        assert_eq!((case.state(), case.made()), ("verifying", 0));
        assert!(!case.incident.state.holds_target());
        case.probe(7, true);
        assert_eq!(case.probe(8, true).holds, [ease(true)]);
        // Ill again: the same rung, and out once more.
        case.probe(9, false);
        let step = case.probe(10, false);
        assert_eq!((case.state(), case.incident.rung), ("waiting", 0));
        assert_eq!(step.holds, [ease(false)]);
        case.at(11, case.look_with(seen_well()));
        case.probe(12, true);
        case.probe(13, true);
        let step = case.probe(200, true);
        assert_eq!(
            (case.state(), &step.holds[..]),
            ("resolved_alone", &[lift()][..])
        );
    }
}

#[test]
fn what_only_seems_to_get_well_waits_no_longer_than_it_may() {
    let mut case = Case::isolated(isolating(Mode::Auto));
    case.told(6, 1, Status::Resolved);
    let mut second = 6;
    while case.state() != "escalated" {
        assert!(second < 1_900, "it is {} for ever", case.state());
        second += 20;
        case.at(second, Event::Timer);
        let answer = case.look_with(look(2));
        case.at(second, answer);
    }
    let guard = "episode".to_owned();
    assert_eq!(case.cause(), Cause::Refused { guard });
    assert!(case.incident.is_isolated());
}

#[test]
fn a_person_is_asked_before_it_leaves_in_mode_approve_and_after_that_for_a_rung_that_asks() {
    let yes = || {
        Event::Approve(Approval {
            action: "h".into(),
            by: "ann".into(),
        })
    };
    let mut case = Case::new(isolating(Mode::Approve));
    case.at(0, case.look_with(look(2)));
    assert_eq!(case.state(), "waiting");
    case.at(1, yes());
    case.at(2, case.look_with(look(2)));
    assert_eq!(case.state(), "isolating");
    case.out(5, true);
    case.at(6, case.look_with(look(2)));
    assert_eq!(case.state(), "intent", "one yes is enough");

    let mut plan = isolating(Mode::Auto);
    plan.rungs[0].approve = true;
    let mut case = Case::isolated(plan);
    let step = case.at(6, case.look_with(look(2)));
    assert_eq!(
        (case.state(), &step.notices[..]),
        ("waiting", &[What::ApprovalWanted][..])
    );
    case.at(7, yes());
    case.at(8, case.look_with(look(2)));
    assert_eq!(case.state(), "intent");
}

#[test]
fn observe_mode_says_that_it_would_leave_and_does_not() {
    let mut case = Case::new(isolating(Mode::Observe));
    let step = case.at(0, case.look_with(look(2)));
    assert_eq!(case.state(), "observed");
    assert_eq!(step.records[0].data["isolate"], "web");
    assert!(step.holds.is_empty() && step.effects.is_empty());
}

#[test]
fn who_turns_it_off_while_it_is_out_hears_of_it() {
    for mode in [Mode::Off, Mode::Observe] {
        let mut case = Case::isolated(isolating(Mode::Auto));
        case.plan.mode = mode;
        case.at(6, Event::Changed);
        case.at(7, case.look_with(look(2)));
        let guard = "mode".to_owned();
        assert_eq!(case.cause(), Cause::Refused { guard }, "{}", mode.as_str());
        assert!(case.incident.is_isolated());
    }
}

#[test]
fn a_cancelled_one_stays_out_unless_the_order_says_otherwise() {
    let mut case = Case::isolated(isolating(Mode::Auto));
    let step = case.at(6, Event::Cancel("ann".into(), false));
    assert!(step.holds.is_empty() && case.incident.is_isolated());
    // Who takes it back later, takes it back.
    let step = case.at(7, Event::Rejoin("web".into(), "bob".into()));
    assert_eq!(
        (case.state(), &step.holds[..]),
        ("cancelled", &[lift()][..])
    );
    assert_eq!(step.records[0].data["by"], "bob");
    let rejoin = Event::Rejoin("web".into(), "bob".into());
    assert_eq!(case.at(8, rejoin), Step::default(), "once");

    let mut case = Case::isolated(isolating(Mode::Auto));
    let step = case.at(6, Event::Cancel("ann".into(), true));
    assert_eq!(
        (case.state(), &step.holds[..]),
        ("cancelled", &[lift()][..])
    );
}

#[test]
fn what_a_person_took_back_is_not_left_again() {
    let mut case = Case::isolated(isolating(Mode::Auto));
    case.at(6, Event::Rejoin("web".into(), "bob".into()));
    let step = case.at(7, case.look_with(look(2)));
    assert_eq!((case.state(), step.holds.len()), ("intent", 0));

    let mut plan = isolating(Mode::Auto);
    plan.rungs[0].isolates = Some("web".into());
    let mut case = Case::isolated(plan);
    case.at(6, Event::Rejoin("web".into(), "bob".into()));
    case.at(7, case.look_with(look(2)));
    assert_eq!((case.state(), case.incident.rung), ("waiting", 1));
    assert!(!case.incident.is_isolated());
}

#[test]
fn a_restart_asks_the_gates_again_and_an_answer_to_the_first_time_counts_for_nothing() {
    let mut case = Case::new(isolating(Mode::Auto));
    case.at(0, case.look_with(look(2)));
    let old = case.round();
    let step = case.at(40, Event::Restarted(After::Nothing));
    assert_eq!(step.effects, [Effect::Isolate(case.round())]);
    assert!(step.holds.is_empty(), "it stands");
    let answer = Event::Isolated(old, true, Value::Null);
    assert_eq!(case.at(41, answer), Step::default());
    assert_eq!(
        case.at(89, Event::Timer),
        Step::default(),
        "its time is whole"
    );
    case.out(89, true);
    assert_eq!(case.state(), "waiting");
}

#[test]
fn probation_waits_for_the_alert_where_that_is_asked_for_but_not_for_ever() {
    let mut plan = plan(Mode::Auto);
    plan.verify.resolved = true;
    let mut case = Case::acted(plan);
    case.probe(3, true);
    case.probe(4, true);
    case.probe(70, true);
    assert_eq!(case.state(), "probation", "it fires still");
    let mut other = Case {
        incident: case.incident.clone(),
        plan: case.plan.clone(),
        standing: case.standing.clone(),
    };
    case.told(71, 1, Status::Resolved);
    case.probe(72, true);
    assert_eq!(case.state(), "healed");
    other.probe(4 + 60 + 1800, true);
    assert_eq!(other.state(), "probation");
    other.probe(4 + 60 + 1801, true);
    assert_eq!((other.state(), other.incident.rung), ("waiting", 1));
}

#[test]
fn what_bounds_attempts_keeps_nobody_in_a_pool() {
    let mut plan = isolating(Mode::Auto);
    plan.limits.budget = None;
    let mut case = Case::new(plan);
    case.standing.target_heals = vec![SECOND; 3];
    let step = case.at(0, case.look_with(look(2)));
    assert_eq!((case.state(), step.holds), ("isolating", vec![place()]));
    case.out(5, true);
    // Nothing may be tried on it: it is held out, and people are told.
    let step = case.at(6, case.look_with(look(2)));
    assert_eq!((case.state(), case.cause()), ("escalated", Cause::Flapping));
    assert!(step.holds.is_empty() && case.incident.is_isolated());
    // The kill switch still does.
    let mut case = Case::new(isolating(Mode::Auto));
    case.standing.paused = Some("ann".into());
    case.at(0, case.look_with(look(2)));
    assert_eq!(case.state(), "waiting");
}
