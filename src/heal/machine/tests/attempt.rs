//! Attempts that a reload, a crash, blindness or a late word comes in between of.

use super::*;

#[test]
fn after_a_crash_the_witness_decides() {
    for (after, state) in [
        (After::DidNot, "waiting"),
        (After::Happened, "verifying"),
        (After::Unknown, "verifying"),
    ] {
        let mut case = Case::new(plan(Mode::Auto));
        case.at(0, case.look_with(fine()));
        let step = case.at(5, Event::Restarted(after));
        assert_eq!(case.state(), state, "{after:?}");
        assert!(!step.effects.contains(&Effect::Act), "{after:?}");
        assert_eq!(case.incident.attempts.len(), 1, "{after:?}");
    }
    let mut case = Case::new(plan(Mode::Auto));
    case.at(0, case.look_with(fine()));
    case.at(1, case.began(Value::Null));
    let step = case.at(5, Event::Restarted(After::DidNot));
    assert!(
        !step.effects.contains(&Effect::Act),
        "once started, never again"
    );
}

#[test]
fn the_kill_switch_holds_over_a_restart() {
    let mut case = Case::new(plan(Mode::Auto));
    case.at(0, case.look_with(fine()));
    case.standing.paused = Some("root".into());
    let step = case.at(5, Event::Restarted(After::DidNot));
    assert!(!step.effects.contains(&Effect::Act));
    assert_eq!(case.state(), "waiting");
}

#[test]
fn an_open_incident_whose_playbook_is_turned_off_is_over() {
    type Next = fn(&Case) -> Event;
    let slow = Plan {
        settle: 10 * SECOND,
        ..plan(Mode::Auto)
    };
    let looked = |case: &Case| case.look_with(fine());
    let cases: [(Plan, Next); 5] = [
        (plan(Mode::Auto), looked),
        (plan(Mode::Auto), |_| Event::Changed),
        (plan(Mode::Auto), |_| Event::Timer),
        (plan(Mode::Auto), |_| Event::Restarted(After::Nothing)),
        (slow, |_| Event::Timer),
    ];
    for (plan, event) in cases {
        let mut case = Case::new(plan);
        case.plan.mode = Mode::Off;
        let event = event(&case);
        let step = case.at(100, event.clone());
        assert_eq!(case.state(), "suppressed", "{event:?}");
        assert_eq!(step.effects, [], "{event:?}");
    }
    // What is under way goes on to its end, and nothing follows.
    let mut case = Case::acted(plan(Mode::Auto));
    case.plan.mode = Mode::Off;
    case.at(90, Event::Timer);
    assert_eq!(case.state(), "suppressed");
}

#[test]
fn an_intent_that_was_not_carried_out_is_asked_of_all_guards_again() {
    let mut case = Case::new(plan(Mode::Auto));
    case.at(0, case.look_with(fine()));
    let step = case.at(5, Event::Restarted(After::DidNot));
    assert_eq!(step.records[0].data["outcome"], "not_done");
    case.standing.node_incidents = vec![SECOND; 21];
    case.at(6, case.look_with(fine()));
    assert_eq!((case.state(), case.made()), ("waiting", 1), "a storm");
    case.standing.node_incidents.clear();
    case.at(900, case.look_with(fine()));
    assert_eq!((case.state(), case.made()), ("intent", 1), "the same one");

    // By another playbook it is another action, under another name.
    let mut case = Case::new(plan(Mode::Auto));
    case.at(0, case.look_with(fine()));
    case.at(5, Event::Restarted(After::DidNot));
    case.incident.revision = "other".into();
    case.at(900, case.look_with(fine()));
    assert_eq!((case.state(), case.made()), ("intent", 2));

    let mut case = Case::new(plan(Mode::Auto));
    case.at(0, case.look_with(fine()));
    case.told(1, 1, Status::Resolved);
    case.at(5, Event::Restarted(After::DidNot));
    assert_eq!(case.state(), "resolved_alone");
}

#[test]
fn what_nobody_can_see_is_neither_healed_nor_acted_upon_again() {
    let mut case = Case::acted(plan(Mode::Auto));
    case.sees(3, Sight::Blind);
    let step = case.at(30, Event::Timer);
    assert_eq!(step.notices, [What::Escalated]);
    assert_eq!(case.cause(), Cause::Unproven);
    // Seen again, it is well after all.
    case.probe(60, true);
    case.probe(61, true);
    assert_eq!(case.state(), "probation");

    let mut case = Case::acted(plan(Mode::Auto));
    case.probe(3, true);
    case.probe(4, true);
    for second in 5..20 {
        case.sees(second, Sight::Blind);
    }
    assert_eq!(case.state(), "probation");
    case.sees(70, Sight::Blind);
    assert_eq!(case.cause(), Cause::Unproven);
    // Neither a playbook nor a check is left.
    case.plan.mode = Mode::Off;
    case.sees(100, Sight::Blind);
    assert_eq!(case.state(), "suppressed");
}

#[test]
fn an_attempt_has_its_whole_time_from_its_start_and_its_late_end_is_on_record() {
    let mut case = Case::new(plan(Mode::Auto));
    case.at(0, case.look_with(fine()));
    // The record of the intent took long.
    case.at(25, case.began(Value::Null));
    case.at(25 + 30 + 29, Event::Timer);
    assert_eq!(case.state(), "acting");
    case.at(25 + 30 + 30, Event::Timer);
    assert_eq!(case.state(), "verifying");
    let step = case.at(90, case.ended(Outcome::Failed, json!({"why": "killed"})));
    let result = &step.records[0];
    assert_eq!(
        (result.kind, &result.data["late"]),
        (Kind::Result, &json!(true))
    );
    assert!(matches!(
        case.incident.state,
        State::Verifying { unknown: false, .. }
    ));
}
