//! What a person is asked, and what a yes holds for.

use super::*;

/// What would be done, as another action than [`fine`] has.
fn other() -> Look {
    let rendered = Rendered {
        action: json!({"restart": "other.service"}),
        hash: "o".into(),
    };
    Look {
        action: Ok(rendered),
        ..fine()
    }
}

fn approve(action: &str) -> Event {
    Event::Approve(Approval {
        action: action.into(),
        by: "ann".into(),
    })
}

#[test]
fn approve_mode_waits_for_a_person_and_for_this_very_action() {
    let mut case = Case::new(plan(Mode::Approve));
    assert_eq!(case.at(0, approve("h")), Step::default(), "nobody asked");
    let step = case.at(0, case.look_with(fine()));
    assert_eq!(step.notices, [What::ApprovalWanted]);
    assert_eq!(case.at(1, approve("another")), Step::default());
    case.at(3, approve("h"));
    case.at(4, case.look_with(fine()));
    assert_eq!(case.state(), "intent");
    assert_eq!(case.incident.approval, None, "good for one attempt");

    let mut case = Case::new(plan(Mode::Approve));
    case.at(0, case.look_with(fine()));
    case.at(1, Event::Reject("bob".into()));
    assert_eq!(case.state(), "escalated");
}

#[test]
fn an_action_that_changes_is_asked_for_anew_and_the_yes_before_is_void() {
    let mut case = Case::new(plan(Mode::Approve));
    case.at(0, case.look_with(fine()));
    assert_eq!(case.at(10, case.look_with(fine())).notices, []);
    case.at(11, approve("h"));
    let step = case.at(12, case.look_with(other()));
    assert_eq!(
        (case.state(), &*step.notices),
        ("waiting", &[What::ApprovalWanted][..])
    );
    assert_eq!(step.records[0].data["question"]["id"], "I-2");
    // The one that was approved comes back: it is another question all the same.
    let step = case.at(20, case.look_with(fine()));
    assert_eq!(
        (case.state(), &*step.notices),
        ("waiting", &[What::ApprovalWanted][..])
    );
    assert_eq!(case.incident.questions, 3);
    case.at(21, approve("h"));
    case.at(22, case.look_with(fine()));
    assert_eq!(case.state(), "intent");
    // The next rung asks for itself.
    case.at(23, case.ended(Outcome::Failed, Value::Null));
    case.at(90, Event::Timer);
    let step = case.at(900, case.look_with(fine()));
    assert_eq!(step.notices, [What::ApprovalWanted]);
    assert_eq!(case.incident.questions, 4);
}

#[test]
fn a_yes_ends_with_what_it_was_said_to() {
    let mut case = Case::new(plan(Mode::Approve));
    case.at(0, case.look_with(fine()));
    case.at(1, approve("h"));
    case.told(2, 1, Status::Resolved);
    assert_eq!(case.state(), "resolved_alone");
    case.told(3, 2, Status::Firing);
    let step = case.at(4, case.look_with(fine()));
    assert_eq!(
        (case.state(), &*step.notices),
        ("waiting", &[What::ApprovalWanted][..])
    );
}

#[test]
fn a_question_is_put_while_another_guard_refuses_and_told_once_none_does() {
    let mut case = Case::new(plan(Mode::Approve));
    case.standing.target_attempts = vec![5 * SECOND];
    assert_eq!(case.at(0, case.look_with(fine())).notices, []);
    case.at(1, approve("h"));
    case.standing.target_attempts.clear();
    case.at(2, case.look_with(fine()));
    assert_eq!(case.state(), "intent");
}
