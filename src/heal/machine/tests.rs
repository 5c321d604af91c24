//! The transitions one by one, and all of them at random in [`world`].

mod world;

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::action::Strength;
use crate::heal::guards::{self, Rendered, Unseen};
use crate::heal::plan::{Limits, Proof, Rung};
use crate::heal::run::Run;
use crate::model::alert::Labels;
use crate::model::id::IncidentId;
use crate::model::moment::Timestamp;
use crate::model::severity::Severity;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn plan(mode: Mode) -> Plan {
    let rung = Rung {
        timeout: 30 * SECOND,
        strength: Strength::Strong,
        approve: false,
        last: false,
    };
    Plan {
        mode,
        settle: Duration::ZERO,
        limits: Limits::default(),
        rungs: vec![rung.clone(), rung],
        verify: Proof {
            pass: 2,
            every: SECOND,
            deadline: 20 * SECOND,
        },
        probation: 60 * SECOND,
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
        id: IncidentId::new(id),
        playbook: playbook.into(),
        revision: String::new(),
        target: target.parse().unwrap(),
        severity: Severity::Critical,
        labels: Labels::new(),
        opened: now.clone(),
        changed: now.clone(),
        episodes: [(episode(1), Status::Firing)].into(),
        attempts: Vec::new(),
        acted: None,
        rung: 0,
        relapses: 0,
        escalated: false,
        asked: 0,
        approval: None,
        run: Run::default(),
        state: received(now),
    }
}

pub(super) fn episode(n: u32) -> Episode {
    Episode::new("am", "f", &n.to_string())
}

pub(super) fn fine() -> Look {
    Look {
        confirm: Vec::new(),
        busy: None,
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
        let round = self.round();
        self.at(second, Event::Probed(round, passed, Value::Null))
    }

    fn told(&mut self, second: u64, number: u32, status: Status) -> Step {
        self.at(second, Event::Told(episode(number), status))
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
        case.at(second, Event::Probed(old, true, Value::Null));
    }
    assert_eq!(case.state(), "verifying");
}

#[test]
fn what_is_heard_late_of_an_earlier_attempt_or_look_counts_for_nothing() {
    let mut case = Case::new(plan(Mode::Auto));
    let old_look = case.look_with(fine());
    case.at(0, case.look_with(fine()));
    let old_end = case.ended(Outcome::Done, Value::Null);
    case.at(50, Event::Timer);
    case.at(80, Event::Timer);
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
    assert!(matches!(step.effects[..], [Effect::Look(_)]));
    case.at(600, case.look_with(fine()));
    case.at(601, case.ended(Outcome::Failed, Value::Null));
    let step = case.at(700, Event::Timer);
    assert_eq!(case.state(), "escalated");
    assert_eq!(step.effects, [Effect::Escalate(Cause::Exhausted)]);
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
    assert_eq!(step.effects, [Effect::Escalate(Cause::UnknownOutcome)]);
}

#[test]
fn after_a_crash_the_witness_decides() {
    for (after, state, acts) in [
        (After::DidNot, "intent", true),
        (After::Happened, "verifying", false),
        (After::Unknown, "verifying", false),
    ] {
        let mut case = Case::new(plan(Mode::Auto));
        case.at(0, case.look_with(fine()));
        let step = case.at(5, Event::Restarted(after));
        assert_eq!(case.state(), state, "{after:?}");
        assert_eq!(step.effects.contains(&Effect::Act), acts, "{after:?}");
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
        [Effect::Look(_)]
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
fn approve_mode_waits_for_a_person_and_for_this_very_action() {
    let mut case = Case::new(plan(Mode::Approve));
    let step = case.at(0, case.look_with(fine()));
    assert_eq!(step.effects, [Effect::AskApproval]);
    let approve = |action: &str| {
        Event::Approve(Approval {
            action: action.into(),
            by: "ann".into(),
        })
    };
    case.at(1, approve("another"));
    case.at(2, case.look_with(fine()));
    assert_eq!(case.state(), "waiting");
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
fn each_guard_refuses_and_says_why() {
    let minute = 60 * SECOND;
    type Change = (&'static str, fn(&mut Standing, &mut Look));
    let changes: [Change; 11] = [
        ("kill_switch", |s, _| s.paused = Some("ann".into())),
        ("maintenance", |s, _| s.maintenance = Some("disk".into())),
        ("confirm", |_, l| {
            l.confirm = vec![("web".into(), false, "200".into())];
        }),
        ("busy", |_, l| l.busy = Some("systemd restarts it".into())),
        ("cooldown", |s, _| s.target_attempts = vec![5 * SECOND]),
        ("budget", |s, _| s.target_attempts = vec![600 * SECOND; 3]),
        ("playbook_budget", |s, _| {
            s.playbook_attempts = vec![600 * SECOND; 3];
        }),
        ("rate", |s, _| s.node_attempts = vec![SECOND; 10]),
        ("lock", |s, _| s.holder = Some(IncidentId::new("other"))),
        ("storm", |s, _| s.node_incidents = vec![SECOND; 21]),
        ("action", |_, l| l.action = Err(Unseen("no label".into()))),
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
        let refusing: Vec<&str> = verdicts
            .iter()
            .filter(|v| !v.passes)
            .map(|v| v.guard.as_str())
            .collect();
        assert_eq!(refusing, [guard]);
        let asked: Vec<&str> = verdicts.iter().map(|v| v.guard.as_str()).collect();
        assert_eq!(asked, guards::NAMES, "all are evaluated");
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
    assert!(step.effects.is_empty(), "people know already");
    case.probe(90, true);
    case.probe(91, true);
    let step = case.probe(200, true);
    assert_eq!(case.state(), "healed");
    assert_eq!(step.effects, [Effect::TellRecovered]);
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
