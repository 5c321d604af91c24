//! When evidence is gathered, and that it is on record before anything is done.

use super::*;
use crate::heal::evidence::{Occasion, Packet};
use crate::journal::Hash;

/// A packet of evidence of an occasion.
pub(super) fn packet(occasion: Occasion) -> Packet {
    let text = format!("{{\"occasion\":\"{}\"}}\n", occasion.as_str());
    Packet {
        occasion,
        digest: Hash::of(&text),
        text: text.into(),
        missing: vec!["pool"],
    }
}

/// Numbers of the packets that the incident remembers.
fn numbers(case: &Case) -> Vec<u32> {
    let kept = case.incident.evidence.iter();
    kept.map(|kept| kept.number).collect()
}

/// A case in which evidence is gathered, and what its first look is to gather.
fn gathering(plan: Plan) -> (Case, Option<Occasion>) {
    let now = at(0);
    let mut incident = incident("I", "p", "unit:web.service", &now);
    let standing = Standing {
        gathers: true,
        ..Standing::default()
    };
    let step = open(&mut incident, &plan, &standing, &now);
    let gathers = match step.effects[..] {
        [Effect::Look(_, gathers)] => gathers,
        _ => None,
    };
    let case = Case {
        incident,
        plan,
        standing,
    };
    (case, gathers)
}

fn with(occasion: Occasion) -> Look {
    Look {
        evidence: Some(Box::new(packet(occasion))),
        ..fine()
    }
}

#[test]
fn it_is_on_record_before_the_first_action_of_a_run_and_not_before_the_second() {
    let (mut case, gathers) = gathering(plan(Mode::Auto));
    assert_eq!(gathers, Some(Occasion::BeforeAction));
    let step = case.at(0, case.look_with(with(Occasion::BeforeAction)));
    let kinds: Vec<Kind> = step.records.iter().map(|r| r.kind).collect();
    assert_eq!(
        kinds,
        [Kind::Evidence, Kind::Decision, Kind::Intent, Kind::State]
    );
    let kept = packet(Occasion::BeforeAction);
    assert_eq!(
        step.records[0].data,
        json!({"number": 1, "occasion": "before_action", "sha256": kept.digest.to_string(),
            "bytes": kept.text.len(), "missing": ["pool"]})
    );
    assert_eq!(step.evidence, [(1, kept.text)]);
    case.at(1, case.ended(Outcome::Done, Value::Null));
    let step = case.at(30, Event::Timer);
    assert!(
        matches!(step.effects[..], [Effect::Look(_, None)]),
        "{step:?}"
    );
}

#[test]
fn what_was_gathered_for_a_look_that_leads_to_nothing_is_dropped() {
    let (mut case, _) = gathering(plan(Mode::Auto));
    let refused = Look {
        confirm: vec![("web".into(), Sight::Well, "200".into())],
        ..with(Occasion::BeforeAction)
    };
    let step = case.at(0, case.look_with(refused));
    assert_eq!((step.evidence.len(), case.incident.evidence.len()), (0, 0));
    let (mut case, _) = gathering(plan(Mode::Auto));
    // What would be gathered for nothing is not.
    case.standing.paused = Some("ann".into());
    let step = case.at(1, Event::Changed);
    assert!(
        matches!(step.effects[..], [Effect::Look(_, None)]),
        "{step:?}"
    );
    case.standing.paused = None;
    let step = case.at(2, Event::Changed);
    assert!(
        matches!(step.effects[..], [Effect::Look(_, Some(_))]),
        "{step:?}"
    );
}

#[test]
fn nothing_is_gathered_again_while_a_check_is_well_and_all_the_same_before_the_action() {
    let well = || Look {
        confirm: vec![("web".into(), Sight::Well, "200".into())],
        ..fine()
    };
    let (mut case, gathers) = gathering(plan(Mode::Auto));
    assert_eq!(gathers, Some(Occasion::BeforeAction));
    for second in 1..20 {
        let refused = case.at(second, case.look_with(well()));
        assert_eq!(refused.effects, [], "second {second}");
        let again = case.at(second, Event::Changed);
        assert!(
            matches!(again.effects[..], [Effect::Look(_, None)]),
            "second {second}: {again:?}"
        );
    }
    // It is ill: what there is to see is gathered, and the guards look again.
    let ill = case.at(20, case.look_with(fine()));
    assert!(
        matches!(
            ill.effects[..],
            [Effect::Look(_, Some(Occasion::BeforeAction))]
        ),
        "{ill:?}"
    );
    assert_eq!(ill.records, []);
    let step = case.at(21, case.look_with(with(Occasion::BeforeAction)));
    assert_eq!(step.effects, [Effect::Act]);
    assert_eq!(numbers(&case), [1]);
}

#[test]
fn what_could_not_be_gathered_keeps_nobody_from_acting() {
    let (mut case, _) = gathering(plan(Mode::Auto));
    let well = Look {
        confirm: vec![("web".into(), Sight::Well, "200".into())],
        ..fine()
    };
    case.at(0, case.look_with(well));
    case.at(1, Event::Changed);
    case.at(2, case.look_with(fine()));
    let step = case.at(3, case.look_with(fine()));
    assert_eq!(step.effects, [Effect::Act]);
}

#[test]
fn who_waits_for_a_yes_gathers_once_it_is_there() {
    let (mut case, gathers) = gathering(plan(Mode::Approve));
    assert_eq!(gathers, None);
    case.at(0, case.look_with(fine()));
    let approval = crate::heal::incident::Approval {
        action: "h".into(),
        by: "ann".into(),
    };
    let step = case.at(1, Event::Approve(approval));
    assert!(
        matches!(
            step.effects[..],
            [Effect::Look(_, Some(Occasion::BeforeAction))]
        ),
        "{step:?}"
    );
}

#[test]
fn a_playbook_that_observes_has_it_of_what_it_would_do() {
    let (mut case, gathers) = gathering(plan(Mode::Observe));
    assert_eq!(gathers, Some(Occasion::WouldAct));
    let step = case.at(0, case.look_with(with(Occasion::WouldAct)));
    assert_eq!((case.state(), step.evidence.len()), ("observed", 1));
    assert_eq!(step.effects, []);
    let (mut case, _) = gathering(plan(Mode::Observe));
    let step = case.at(3600, Event::Timer);
    assert_eq!(step.effects, [Effect::Gather(Occasion::WouldEscalate)]);
    let step = case.at(3601, Event::Gathered(packet(Occasion::WouldEscalate)));
    assert_eq!((case.state(), step.evidence.len()), ("observed", 1));
}

#[test]
fn people_are_told_at_once_and_what_there_is_to_see_comes_behind() {
    let (mut case, _) = gathering(plan(Mode::Auto));
    case.at(0, case.look_with(with(Occasion::BeforeAction)));
    case.plan.rungs.truncate(1);
    case.at(1, case.ended(Outcome::Failed, Value::Null));
    let step = case.at(60, Event::Timer);
    assert_eq!(step.notices, [What::Escalated]);
    assert_eq!(step.effects, [Effect::Gather(Occasion::Escalated)]);
    // Whatever became of it meanwhile.
    case.at(61, Event::Cancel("ann".into(), false));
    let step = case.at(62, Event::Gathered(packet(Occasion::Escalated)));
    assert_eq!((case.state(), &step.evidence[0].0), ("cancelled", &2));
    assert_eq!(numbers(&case), [1, 2]);
}

#[test]
fn without_it_everything_goes_on_and_an_incident_remembers_the_last_ones() {
    let (mut case, _) = gathering(plan(Mode::Auto));
    let step = case.at(0, case.look_with(fine()));
    assert_eq!(step.effects, [Effect::Act]);
    for second in 1..20 {
        case.at(second, Event::Gathered(packet(Occasion::Escalated)));
    }
    assert_eq!(numbers(&case), (12..20).collect::<Vec<_>>());
}
