//! The transitions one by one, and all of them at random in [`world`].

mod approval;
mod attempt;
mod evidence;
mod isolation;
mod paging;
mod relapse;
mod world;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::action::Strength;
use crate::heal::guards::{Guard, Rendered, Unseen};
use crate::heal::plan::{Limits, Proof, Rung};
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;
use crate::model::sight::Sight;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn plan(mode: Mode) -> Plan {
    let rung = Rung {
        timeout: 30 * SECOND,
        strength: Strength::Strong,
        approve: false,
        last: false,
        isolates: None,
    };
    Plan {
        mode,
        settle: Duration::ZERO,
        limits: Limits::default(),
        isolate: None,
        rungs: vec![rung.clone(), rung],
        verify: Proof {
            pass: 2,
            every: SECOND,
            deadline: 20 * SECOND,
            resolved: false,
        },
        probation: 60 * SECOND,
        remind: None,
    }
}

fn at(seconds: u64) -> Moment {
    Moment {
        wall: Timestamp(1_700_000_000_000 + i64::try_from(seconds).unwrap() * 1000),
        boot: 1_000_000 + seconds * 1000,
        boot_id: "a".into(),
    }
}

pub(super) fn incident(id: &str, playbook: &str, target: &str, now: &Moment) -> Incident {
    Incident {
        severity: Severity::Critical,
        episodes: [(episode(1), Status::Firing)].into(),
        ..Incident::new(IncidentId::new(id), playbook, target.parse().unwrap(), now)
    }
}

pub(super) fn episode(n: u32) -> Episode {
    Episode::new("am", "f", &n.to_string())
}

pub(super) fn fine() -> Look {
    Look {
        evidence: None,
        confirm: Vec::new(),
        busy: None,
        pool: None,
        witness: Ok(Some(json!("before"))),
        action: Ok(Rendered {
            action: json!({"restart": "web.service"}),
            hash: "h".into(),
        }),
    }
}

/// An incident with its plan, moved by hand.
struct Case {
    incident: Incident,
    plan: Plan,
    standing: Standing,
}

impl Case {
    fn new(plan: Plan) -> Self {
        let now = at(0);
        let mut incident = incident("I", "p", "unit:web.service", &now);
        let standing = Standing::default();
        open(&mut incident, &plan, &standing, &now);
        Self {
            incident,
            plan,
            standing,
        }
    }

    fn at(&mut self, second: u64, event: Event) -> Step {
        step(
            &mut self.incident,
            &self.plan,
            &self.standing,
            event,
            &at(second),
        )
    }

    fn state(&self) -> &'static str {
        self.incident.state.as_str()
    }

    fn round(&self) -> u32 {
        self.incident.asked
    }

    /// The answers of the world, as the machine asked last.
    fn look_with(&self, look: Look) -> Event {
        Event::Looked(self.incident.asked, look)
    }

    fn began(&self, data: Value) -> Event {
        Event::Started(self.made(), data)
    }

    fn ended(&self, outcome: Outcome, data: Value) -> Event {
        Event::Done(self.made(), outcome, data)
    }

    fn made(&self) -> u32 {
        self.incident.attempts.len().try_into().unwrap()
    }

    fn probe(&mut self, second: u64, passed: bool) -> Step {
        self.sees(second, passed.into())
    }

    fn sees(&mut self, second: u64, sight: Sight) -> Step {
        let round = self.round();
        self.at(second, Event::Probed(round, sight, Value::Null))
    }

    fn told(&mut self, second: u64, number: u32, status: Status) -> Step {
        self.at(second, Event::Told(episode(number), status))
    }

    fn cause(&self) -> Cause {
        match &self.incident.state {
            State::Escalated { cause, .. } => cause.clone(),
            other => panic!("it is {}", other.as_str()),
        }
    }

    /// As far as the action's end.
    fn acted(plan: Plan) -> Self {
        let mut case = Self::new(plan);
        case.at(0, case.look_with(fine()));
        case.at(1, case.began(Value::Null));
        case.at(2, case.ended(Outcome::Done, Value::Null));
        case
    }
}

#[test]
fn heals_in_the_order_that_is_drawn() {
    let mut case = Case::new(plan(Mode::Auto));
    assert_eq!(case.state(), "waiting");
    let step = case.at(0, case.look_with(fine()));
    assert_eq!(step.effects, [Effect::Act]);
    let kinds: Vec<Kind> = step.records.iter().map(|r| r.kind).collect();
    assert_eq!(kinds, [Kind::Decision, Kind::Intent, Kind::State]);
    case.at(1, case.began(json!({"job": 7})));
    assert_eq!(case.state(), "acting");
    let step = case.at(2, case.ended(Outcome::Done, Value::Null));
    assert_eq!(step.effects, [Effect::Probe(case.round())]);
    case.probe(3, true);
    case.probe(4, true);
    assert_eq!(case.state(), "probation");
    case.probe(5, true);
    assert_eq!(case.state(), "probation", "not before its time");
    case.probe(70, true);
    assert_eq!(case.state(), "healed");
}

#[test]
fn passes_must_come_in_a_row() {
    let mut case = Case::acted(plan(Mode::Auto));
    for (second, passed) in [(3, true), (4, false), (5, true)] {
        case.probe(second, passed);
    }
    assert_eq!(case.state(), "verifying");
    case.probe(6, true);
    assert_eq!(case.state(), "probation");
}

#[test]
fn an_answer_to_an_older_round_counts_for_nothing() {
    let mut case = Case::acted(plan(Mode::Auto));
    let old = case.round() - 1;
    for second in 3..6 {
        case.at(second, Event::Probed(old, Sight::Well, Value::Null));
    }
    assert_eq!(case.state(), "verifying");
}

#[test]
fn what_is_heard_late_of_an_earlier_attempt_or_look_counts_for_nothing() {
    let mut case = Case::new(plan(Mode::Auto));
    let old_look = case.look_with(fine());
    case.at(0, case.look_with(fine()));
    let old_end = case.ended(Outcome::Done, Value::Null);
    case.at(60, Event::Timer);
    case.at(90, Event::Timer);
    assert_eq!(case.state(), "waiting");
    assert_eq!(case.at(599, old_look), Step::default());
    case.at(600, case.look_with(fine()));
    assert_eq!((case.state(), case.made()), ("intent", 2));
    assert_eq!(case.at(601, old_end), Step::default());
}

#[test]
fn without_proof_the_next_rung_has_its_turn_and_then_people() {
    let mut case = Case::acted(plan(Mode::Auto));
    let step = case.at(30, Event::Timer);
    assert_eq!((case.state(), case.incident.rung), ("waiting", 1));
    assert!(matches!(step.effects[..], [Effect::Look(..)]));
    case.at(600, case.look_with(fine()));
    case.at(601, case.ended(Outcome::Failed, Value::Null));
    let step = case.at(700, Event::Timer);
    assert_eq!(case.state(), "escalated");
    assert_eq!(step.notices, [What::Escalated]);
    assert_eq!(case.cause(), Cause::Exhausted);
}

#[test]
fn a_weak_action_of_unknown_outcome_is_never_followed_by_another() {
    let mut weak = plan(Mode::Auto);
    weak.rungs[0].strength = Strength::Weak;
    let mut case = Case::new(weak);
    case.at(0, case.look_with(fine()));
    case.at(1, Event::Restarted(After::Unknown));
    assert_eq!(case.state(), "verifying");
    let step = case.at(60, Event::Timer);
    assert_eq!(step.notices, [What::Escalated]);
    assert_eq!(case.cause(), Cause::UnknownOutcome);
}

#[test]
fn resolved_before_the_intent_means_no_effect() {
    let mut case = Case::new(plan(Mode::Auto));
    case.told(1, 1, Status::Resolved);
    assert_eq!(case.state(), "resolved_alone");
    assert_eq!(case.at(2, case.look_with(fine())), Step::default());
    // The firing of an episode that was seen resolved, late.
    assert_eq!(case.told(3, 1, Status::Firing), Step::default());
    assert_eq!(case.state(), "resolved_alone");
}

#[test]
fn settles_first_if_asked_to() {
    let mut slow = plan(Mode::Auto);
    slow.settle = 10 * SECOND;
    let mut case = Case::new(slow);
    assert_eq!(case.state(), "settling");
    assert_eq!(case.at(5, Event::Timer), Step::default());
    assert!(matches!(
        case.at(10, Event::Timer).effects[..],
        [Effect::Look(_, _)]
    ));
}

#[test]
fn observe_mode_decides_and_touches_nothing() {
    let mut case = Case::new(plan(Mode::Observe));
    let step = case.at(0, case.look_with(fine()));
    assert_eq!(case.state(), "observed");
    assert!(step.effects.is_empty());
    assert_eq!(
        step.records[0].data["would"],
        json!({"restart": "web.service"})
    );
}

#[test]
fn each_guard_refuses_and_says_why() {
    let minute = 60 * SECOND;
    type Change = (Guard, fn(&mut Standing, &mut Look));
    let changes: [Change; 12] = [
        (Guard::KillSwitch, |s, _| s.paused = Some("ann".into())),
        (Guard::Maintenance, |s, _| {
            s.maintenance = Some("disk".into())
        }),
        (Guard::Confirm, |_, l| {
            l.confirm = vec![("web".into(), Sight::Well, "200".into())];
        }),
        (Guard::Confirm, |_, l| {
            let other = ("api".into(), Sight::Ill, "refused".into());
            l.confirm = vec![other, ("web".into(), Sight::Blind, "gone".into())];
        }),
        (Guard::Busy, |_, l| {
            l.busy = Some("systemd restarts it".into())
        }),
        (Guard::Cooldown, |s, _| s.target_attempts = vec![5 * SECOND]),
        (Guard::Budget, |s, _| {
            s.target_attempts = vec![600 * SECOND; 3]
        }),
        (Guard::PlaybookBudget, |s, _| {
            s.playbook_attempts = vec![600 * SECOND; 3];
        }),
        (Guard::Rate, |s, _| s.node_attempts = vec![SECOND; 10]),
        (Guard::Lock, |s, _| {
            s.holder = Some(IncidentId::new("other"))
        }),
        (Guard::Storm, |s, _| s.node_incidents = vec![SECOND; 21]),
        (Guard::Action, |_, l| {
            l.action = Err(Unseen("no label".into()))
        }),
    ];
    for (guard, change) in changes {
        let mut case = Case::new(plan(Mode::Auto));
        let mut look = fine();
        change(&mut case.standing, &mut look);
        let step = case.at(0, case.look_with(look));
        assert_eq!(case.state(), "waiting", "{guard}");
        let State::Waiting { verdicts, .. } = &case.incident.state else {
            panic!("{guard}");
        };
        let refusing = verdicts.iter().filter(|v| !v.passes).map(|v| v.guard);
        assert_eq!(refusing.collect::<Vec<_>>(), [guard]);
        let asked: Vec<Guard> = verdicts.iter().map(|v| v.guard).collect();
        assert_eq!(asked, Guard::ALL, "all are evaluated");
        assert_eq!(step.records[0].kind, Kind::Decision);
        case.at(1801, Event::Timer);
        assert_eq!(case.state(), "escalated", "{guard} past max_wait");
    }
    let mut flapping = Case::new(plan(Mode::Auto));
    flapping.standing.target_heals = vec![minute; 3];
    flapping.at(0, flapping.look_with(fine()));
    assert_eq!(flapping.state(), "escalated");
}

#[test]
fn ill_again_in_probation_goes_on_with_the_next_rung_and_a_longer_probation() {
    let mut case = Case::acted(plan(Mode::Auto));
    case.probe(3, true);
    case.probe(4, true);
    case.probe(5, false);
    case.probe(6, false);
    assert_eq!((case.state(), case.incident.rung), ("waiting", 1));
    assert_eq!(
        case.plan.probation_after(case.incident.relapses),
        120 * SECOND
    );
}

#[test]
fn what_recovers_after_escalation_is_told_as_recovered_once() {
    let mut one = plan(Mode::Auto);
    one.rungs.truncate(1);
    let mut case = Case::acted(one);
    case.at(30, Event::Timer);
    assert_eq!(case.state(), "escalated");
    case.probe(60, true);
    case.probe(61, true);
    assert_eq!(case.state(), "probation");
    case.probe(62, false);
    let step = case.probe(63, false);
    assert_eq!(case.state(), "escalated");
    assert!(step.notices.is_empty(), "people know already");
    case.probe(90, true);
    case.probe(91, true);
    let step = case.probe(200, true);
    assert_eq!(case.state(), "healed");
    assert_eq!(step.notices, [What::Recovered]);
}

#[test]
fn a_stale_alert_is_not_acted_upon() {
    let now = at(0);
    let mut incident = incident("I", "p", "node", &now);
    let standing = Standing {
        age: Some(7200 * SECOND),
        ..Standing::default()
    };
    open(&mut incident, &plan(Mode::Auto), &standing, &now);
    assert_eq!(incident.state.as_str(), "suppressed");
}
