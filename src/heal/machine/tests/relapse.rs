//! Alerts that begin before it is proven that the last attempt helped; and a playbook that only observes.

use super::*;

/// Verified, and so on probation from second 4 to 64.
fn in_probation(mut plan: Plan) -> Case {
    plan.limits.cooldown = Duration::ZERO;
    let mut case = Case::acted(plan);
    case.probe(3, true);
    case.probe(4, true);
    assert_eq!(case.state(), "probation");
    case
}

#[test]
fn an_alert_that_begins_in_probation_is_a_relapse() {
    let mut case = in_probation(plan(Mode::Auto));
    case.told(20, 2, Status::Firing);
    assert_eq!((case.state(), case.incident.rung), ("waiting", 1));
    assert_eq!(case.incident.relapses, 1);
    // On the last rung people are told.
    case.at(600, case.look_with(fine()));
    case.at(601, case.ended(Outcome::Done, Value::Null));
    case.probe(602, true);
    case.probe(603, true);
    let step = case.told(610, 3, Status::Firing);
    assert_eq!(
        (case.state(), case.cause()),
        ("escalated", Cause::Exhausted)
    );
    assert_eq!(step.notices, [What::Escalated]);
}

#[test]
fn one_that_began_before_the_attempt_and_is_told_late_is_none() {
    let mut case = in_probation(plan(Mode::Auto));
    case.standing.told = Some(60 * SECOND);
    case.told(20, 2, Status::Firing);
    assert_eq!(case.state(), "probation");
    case.probe(70, true);
    assert_eq!(case.state(), "healed");
}

#[test]
fn one_that_begins_while_it_is_verified_has_until_the_end_of_probation_to_end() {
    for ends in [true, false] {
        let mut case = Case::acted(plan(Mode::Auto));
        case.told(3, 2, Status::Firing);
        assert_eq!(case.state(), "verifying");
        case.told(3, 1, Status::Resolved);
        case.probe(4, true);
        case.probe(5, true);
        case.probe(20, true);
        assert_eq!(case.state(), "probation");
        if ends {
            case.told(30, 2, Status::Resolved);
        }
        case.probe(70, true);
        let expected = if ends { "healed" } else { "waiting" };
        assert_eq!(case.state(), expected);
    }
}

#[test]
fn who_was_told_hears_no_more_of_it_when_it_fires_again_before_its_recovery_is_proven() {
    let mut case = Case::acted(plan(Mode::Auto));
    case.at(3, Event::Timer);
    case.incident.rung = 1;
    case.at(30, Event::Timer);
    assert_eq!(case.state(), "escalated");
    case.probe(60, true);
    case.probe(61, true);
    assert_eq!(case.state(), "probation");
    let step = case.told(70, 2, Status::Firing);
    assert_eq!((case.state(), step.notices.len()), ("escalated", 0));
}

#[test]
fn what_fires_again_after_its_recovery_is_another_run_of_which_nobody_was_told() {
    let mut case = in_probation(plan(Mode::Auto));
    case.incident.escalated = true;
    let step = case.probe(70, true);
    assert_eq!(step.notices, [What::Recovered]);
    case.told(80, 2, Status::Firing);
    case.at(600, case.look_with(fine()));
    case.at(601, case.ended(Outcome::Done, Value::Null));
    case.probe(602, true);
    case.probe(603, true);
    let step = case.probe(900, true);
    assert_eq!((case.state(), step.notices.len()), ("healed", 0));
}

#[test]
fn a_playbook_that_observes_tells_nobody() {
    let mut case = Case::new(plan(Mode::Observe));
    let refused = Look {
        confirm: vec![("web".into(), Sight::Well, "200".into())],
        ..fine()
    };
    case.at(1, case.look_with(refused));
    assert_eq!(case.state(), "waiting");
    let step = case.at(3600, Event::Timer);
    assert_eq!((case.state(), step.notices.len()), ("observed", 0));
    let record = step.records.last().unwrap();
    assert_eq!(record.data["would"], "escalate");
}
