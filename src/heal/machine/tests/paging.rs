//! Reminders, and their end.

use super::*;
use crate::heal::incident::Acknowledged;
use crate::heal::plan::Remind;

/// An escalated incident at second 0, of which people are reminded twice, a minute apart.
fn escalated() -> Case {
    let mut one = plan(Mode::Approve);
    one.remind = Some(Remind {
        every: 60 * SECOND,
        times: 2,
    });
    let mut case = Case::new(one);
    let step = case.at(0, Event::Reject("ann".into()));
    assert_eq!(step.notices, [What::Escalated]);
    case
}

fn by(who: &str) -> Event {
    let acknowledged = Acknowledged {
        by: who.into(),
        who: None,
        reason: Some("disk".into()),
        at: at(0).wall,
    };
    Event::Acknowledge(who.into(), acknowledged)
}

#[test]
fn people_are_reminded_as_often_as_they_want_and_no_more() {
    let mut case = escalated();
    assert!(case.at(59, Event::Timer).notices.is_empty());
    for (second, told) in [(60, 1), (61, 0), (120, 1), (180, 0), (100_000, 0)] {
        let notices = case.at(second, Event::Timer).notices;
        assert_eq!(notices, vec![What::Reminder; told], "after {second} s");
    }
    // It wakes for what it probes alone.
    assert!(case.incident.wake(&at(100_000)).is_some());
}

#[test]
fn whoever_has_it_is_on_record_and_nobody_is_reminded_any_more() {
    let mut case = escalated();
    case.at(60, Event::Timer);
    let step = case.at(70, by("ann"));
    assert_eq!(step.notices, [What::Acknowledged]);
    assert_eq!(step.records[0].kind, Kind::Operator);
    let data = json!({"did": "acknowledge", "by": "ann", "reason": "disk"});
    assert_eq!(step.records[0].data, data);
    assert_eq!(case.at(80, by("eve")), Step::default(), "once is enough");
    assert!(case.at(120, Event::Timer).notices.is_empty());
    let has = case.incident.paging.unwrap().acknowledged.unwrap();
    assert_eq!(has.who(), "ann");
}

#[test]
fn what_seems_well_is_not_reminded_of_until_it_is_ill_again() {
    let mut case = escalated();
    case.at(30, Event::Timer);
    case.probe(31, true);
    case.probe(40, true);
    assert_eq!(case.state(), "probation");
    assert!(case.at(61, Event::Timer).notices.is_empty());
    case.probe(62, false);
    case.probe(63, false);
    assert_eq!(case.state(), "escalated");
    assert_eq!(case.at(64, Event::Timer).notices, [What::Reminder]);
}

#[test]
fn what_somebody_had_taken_up_and_is_ill_again_before_its_recovery_is_proven_is_told_anew() {
    for by_alert in [true, false] {
        let mut case = escalated();
        let first = case.incident.relapses;
        case.at(10, by("eve"));
        case.probe(31, true);
        case.probe(40, true);
        assert_eq!(case.state(), "probation");
        let step = match by_alert {
            true => case.told(50, 2, Status::Firing),
            false => {
                case.probe(49, false);
                case.probe(50, false)
            }
        };
        assert_eq!((case.state(), case.cause()), ("escalated", Cause::Flapping));
        assert_eq!(step.notices, [What::Escalated]);
        assert!(case.incident.is_paged(), "eve has it no more");
        // The id of a notice is made of it.
        assert_eq!(case.incident.relapses, first + 1);
        assert_eq!(case.at(110, Event::Timer).notices, [What::Reminder]);
        assert_eq!(case.at(120, by("ann")).notices, [What::Acknowledged]);
    }
}

#[test]
fn a_reload_may_bring_reminders_and_take_them_away() {
    let mut case = escalated();
    let remind = case.plan.remind.take();
    assert!(case.at(60, Event::Timer).notices.is_empty());
    case.plan.remind = remind;
    assert!(case.at(61, Event::Timer).notices.is_empty());
    assert_eq!(case.at(121, Event::Timer).notices, [What::Reminder]);
}

#[test]
fn what_people_were_not_told_of_cannot_be_acknowledged() {
    let mut case = Case::new(plan(Mode::Auto));
    assert_eq!(case.at(1, by("ann")), Step::default());
    let mut case = escalated();
    case.at(1, Event::Cancel("ann".into(), false));
    assert_eq!(case.at(2, by("ann")), Step::default());
}
