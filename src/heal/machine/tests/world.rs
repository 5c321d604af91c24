//! A small world with a clock of its own: incidents driven at random, with crashes at every point, duplicates, reordering and
//! jumps of the wall clock. What must always hold is asserted after each step, and in the end every incident must end.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::evidence::packet;
use super::fine;
use crate::action::Strength;
use crate::heal::evidence::Kept;
use crate::heal::history::{History, Mark};
use crate::heal::incident::{Acknowledged, Approval, Incident, State};
use crate::heal::plan::Plan;
use crate::model::alert::{Episode, Status};
use crate::model::hold::{Hold, Holds, Owner};
use crate::model::moment::{Moment, Timestamp};
use crate::model::sight::Sight;
use crate::model::target::Target;

mod counted;
mod op;
mod paged;
mod plans;
mod pool;

use op::{Op, op};
use plans::plans;

const TARGETS: [&str; 2] = ["unit:a.service", "unit:b.service"];
const PLAYBOOKS: [&str; 2] = ["p", "q"];
const POOL: &str = "web";
/// So many others must stay.
const NEED: u32 = 2;

/// What is out in the world.
#[derive(Debug, Clone, PartialEq)]
enum Out {
    Asked(Effect),
    /// An action under way: its attempt and how it will end.
    Under(u32, Outcome),
}

/// An effect of the real world.
#[derive(Debug, Clone)]
struct Done {
    attempt: String,
    target: Target,
    boot: u64,
}

struct World {
    plans: [Plan; 2],
    now: Moment,
    incidents: Vec<Incident>,
    /// The plan that each of them goes by.
    adopted: Vec<Plan>,
    history: History,
    pending: Vec<(usize, Out)>,
    paused: bool,
    maintained: bool,
    well: [bool; 2],
    blind: [bool; 2],
    /// How often the action was done on each target: the witness.
    witness: [u64; 2],
    done: Vec<Done>,
    escalated: HashMap<usize, u32>,
    /// Incidents of which an attempt may or may not have had its effect, and nothing proves which.
    unknown: HashSet<usize>,
    boots: u32,
    reminded: HashSet<paged::Told>,
    acknowledged: HashSet<(usize, u32, u32)>,
    paged: HashSet<(usize, u32, u32)>,
    last_told: HashMap<usize, Moment>,
    told: HashSet<(usize, usize, u8)>,
    /// How many others of the pool get traffic.
    healthy: Option<u32>,
    holds: Holds,
    /// The last effect on each target, and the last round of probes of each incident that passed: what came first has the lower number.
    clock: u64,
    touched: [u64; 2],
    passed: HashMap<usize, u64>,
}

impl World {
    fn new(plans: [Plan; 2]) -> Self {
        Self {
            plans,
            now: Moment {
                wall: Timestamp(1_700_000_000_000),
                boot: 1_000_000,
                boot_id: "boot-0".into(),
            },
            incidents: Vec::new(),
            adopted: Vec::new(),
            history: History::default(),
            pending: Vec::new(),
            paused: false,
            maintained: false,
            well: [false; 2],
            blind: [false; 2],
            witness: [0; 2],
            done: Vec::new(),
            escalated: HashMap::new(),
            unknown: HashSet::new(),
            boots: 0,
            reminded: HashSet::new(),
            acknowledged: HashSet::new(),
            paged: HashSet::new(),
            last_told: HashMap::new(),
            told: HashSet::new(),
            healthy: Some(2),
            holds: Holds::default(),
            clock: 0,
            touched: [0; 2],
            passed: HashMap::new(),
        }
    }

    fn plan(&self, at: usize) -> Plan {
        self.adopted[at].clone()
    }

    /// Goes by the playbook as it is now, unless an attempt is open.
    fn adopt(&mut self, at: usize) {
        let incident = &self.incidents[at];
        if !incident.state.holds_target() && !matches!(incident.state, State::Probation { .. }) {
            let name = &incident.playbook;
            let now = PLAYBOOKS.iter().position(|p| p == name).unwrap();
            self.adopted[at] = self.plans[now].clone();
        }
    }

    /// Whether nothing proves what became of the action that this incident is at.
    fn is_weak(&self, at: usize) -> bool {
        let rung = self.adopted[at].rungs.get(self.incidents[at].rung);
        rung.is_some_and(|rung| rung.strength == Strength::Weak)
    }

    fn target(&self, at: usize) -> usize {
        let target = self.incidents[at].target.to_string();
        TARGETS.iter().position(|t| *t == target).unwrap()
    }

    fn standing(&self, target: &Target, playbook: &str, since: Timestamp) -> Standing {
        let history = &self.history;
        let mut standing = history.standing(target, playbook, Some(since), &self.now);
        standing.gathers = true;
        standing.paused = self.paused.then(|| "ann".into());
        standing.maintenance = self.maintained.then(|| "ann".into());
        standing
    }

    /// Steps one incident and puts the step on record.
    fn step(&mut self, at: usize, event: Event) {
        self.adopt(at);
        let plan = self.plan(at);
        let one = &self.incidents[at];
        let standing = self.standing(&one.target, &one.playbook, one.opened.wall);
        let mut incident = self.incidents[at].clone();
        let mark = Mark::of(&incident);
        let step = super::super::step(&mut incident, &plan, &standing, event, &self.now);
        self.commit(at, incident, mark, step);
    }

    fn commit(&mut self, at: usize, incident: Incident, mark: Mark, step: Step) {
        let of_run = |kept: &&Kept| kept.run == incident.run.number && kept.occasion.is_of_action();
        assert!(
            incident.evidence.iter().filter(of_run).count() <= 1,
            "evidence of a run's first action is gathered once"
        );
        let records = step.records.iter().filter(|r| r.kind == Kind::Evidence);
        assert_eq!(
            records.count(),
            step.evidence.len(),
            "each packet is on record"
        );
        let intends = step.records.iter().any(|r| r.kind == Kind::Intent);
        if intends {
            assert!(
                !self.paused && !self.maintained,
                "nothing starts while held"
            );
            assert!(
                incident.is_firing(),
                "resolved before the intent: no effect"
            );
            let name = &incident.playbook;
            let mode = self.plans[PLAYBOOKS.iter().position(|p| p == name).unwrap()].mode;
            assert!(
                matches!(mode, Mode::Auto | Mode::Approve),
                "nothing is done in mode {}",
                mode.as_str()
            );
            let age = self.now.wall.since(incident.opened.wall);
            assert!(age <= self.plan(at).limits.max_age, "too old: {age:?}");
            assert!(!self.blind[self.target(at)], "confirmed by nothing");
            assert!(
                !self.unknown.contains(&at),
                "an unknown outcome is never followed by another attempt before it is well"
            );
        }
        let acted = matches!(
            self.incidents[at].state,
            State::Intent { .. } | State::Acting { .. }
        );
        match incident.state {
            State::Verifying { unknown: true, .. } if acted && self.is_weak(at) => {
                self.unknown.insert(at);
            }
            // It was told late, or what it was to bring about is there.
            State::Verifying { unknown: false, .. }
            | State::Probation { .. }
            | State::Healed
            | State::ResolvedAlone => {
                self.unknown.remove(&at);
            }
            _ => {}
        }
        if step.effects.contains(&Effect::Act) {
            assert!(intends, "each effect has an intent of its own");
        }
        if incident.state == State::Healed && self.incidents[at].state != State::Healed {
            let before = &self.incidents[at];
            let plan = self.plan(at);
            let span = plan.probation_after(before.relapses);
            match before.state {
                State::Probation { .. } => assert!(
                    self.now.since(&before.changed) >= span || self.boots > 0,
                    "a full probation"
                ),
                State::Verifying { .. } | State::Escalated { .. } => assert!(span.is_zero()),
                _ => panic!("healed without proof, from {}", before.state.as_str()),
            }
            assert!(self.well[self.target(at)], "what is ill is not healed");
        }
        self.hold(at, &incident, &step);
        self.page(at, &incident, &step);
        assert!(
            incident.attempts.len() >= self.incidents[at].attempts.len(),
            "attempts are never forgotten"
        );
        self.incidents[at] = incident;
        let incident = self.incidents[at].clone();
        self.history.stepped(&incident, mark);
        self.counts_alike_after_a_start(&incident);
        if step.notices.contains(&What::Escalated) {
            *self.escalated.entry(at).or_default() += 1;
        }
        let out = step.effects.into_iter();
        self.pending
            .extend(out.map(|effect| (at, Out::Asked(effect))));
        for target in TARGETS {
            let at_work = |i: &&Incident| i.target.to_string() == target && i.state.holds_target();
            assert!(
                self.incidents.iter().filter(at_work).count() <= 1,
                "one attempt at a time on a target"
            );
        }
    }

    fn tell(&mut self, target: usize, playbook: usize, number: u8, fires: bool) {
        let status = if fires {
            Status::Firing
        } else {
            Status::Resolved
        };
        self.told.insert((target, playbook, number));
        let episode = Episode::new("am", TARGETS[target], &format!("{playbook}/{number}"));
        let quiet = self.plans[playbook].limits.quiet;
        let mine = |i: &&Incident| {
            i.playbook == PLAYBOOKS[playbook]
                && i.target.to_string() == TARGETS[target]
                && (i.state.is_open()
                    || self.now.since(&i.changed) < quiet
                    || i.episodes.contains_key(&episode))
        };
        if let Some(id) = self.incidents.iter().rev().find(mine).map(|i| i.id.clone()) {
            let at = self.incidents.iter().position(|i| i.id == id).unwrap();
            self.step(at, Event::Told(episode, status));
        } else if fires {
            let id = format!("I{}", self.incidents.len());
            let mut incident =
                super::incident(&id, PLAYBOOKS[playbook], TARGETS[target], &self.now);
            incident.episodes = [(episode, status)].into();
            self.history.opened(&incident);
            let since = self.now.wall;
            let standing = self.standing(&incident.target, PLAYBOOKS[playbook], since);
            let mark = Mark::of(&incident);
            self.incidents.push(incident.clone());
            self.adopted.push(self.plans[playbook].clone());
            let step = open(&mut incident, &self.plans[playbook], &standing, &self.now);
            self.commit(self.incidents.len() - 1, incident, mark, step);
        }
    }

    /// Does what an effect asks for and brings its answer.
    fn answer(&mut self, at: usize, out: &Out, how: u8) {
        let target = self.target(at);
        let seen = match (self.blind[target], self.well[target]) {
            (true, _) => Sight::Blind,
            (false, well) => well.into(),
        };
        match out {
            Out::Under(attempt, outcome) => {
                self.step(at, Event::Done(*attempt, *outcome, Value::Null));
            }
            Out::Asked(Effect::Gather(occasion)) => {
                // 3: it is lost.
                if how != 3 {
                    self.step(at, Event::Gathered(packet(*occasion)));
                }
            }
            Out::Asked(Effect::Look(asked, gathers)) => {
                let mut look = fine();
                look.evidence = gathers.map(|occasion| Box::new(packet(occasion)));
                look.witness = Ok(Some(json!(self.witness[target])));
                look.confirm = vec![("probe".into(), seen, String::new())];
                look.pool = Some(Ok(self.leaving()));
                self.step(at, Event::Looked(*asked, look));
            }
            Out::Asked(Effect::Isolate(asked)) => {
                // 3: it is lost.
                if how != 3 {
                    self.step(at, Event::Isolated(*asked, how == 0, Value::Null));
                }
            }
            Out::Asked(Effect::Act) => {
                if !matches!(self.incidents[at].state, State::Intent { .. }) {
                    return;
                }
                let attempt = self.incidents[at].attempt().unwrap().to_string();
                let target_name = self.incidents[at].target.clone();
                let nth = self.incidents[at].attempts.len();
                let number = u32::try_from(nth).unwrap();
                let limits = self.plan(at).limits;
                let before: Vec<&Done> = self
                    .done
                    .iter()
                    .filter(|d| d.target == target_name)
                    .collect();
                assert!(
                    before.iter().all(|d| d.attempt != attempt),
                    "an attempt has one effect"
                );
                if let (Some(last), true) = (before.last(), nth > 0) {
                    // Without a reboot, which takes the clock with it.
                    if self.now.boot >= last.boot && self.boots == 0 {
                        let begun = self.incidents[at].attempts.last().unwrap().boot;
                        assert!(
                            begun.saturating_sub(last.boot) + 60_000
                                >= u64::try_from(limits.cooldown.as_millis()).unwrap(),
                            "spacing: {begun} after {}",
                            last.boot
                        );
                    }
                }
                self.witness[target] += 1;
                self.touch(target);
                self.done.push(Done {
                    attempt,
                    target: target_name,
                    boot: self.now.boot,
                });
                if how == 0 {
                    self.well[target] = true;
                }
                if how != 3 {
                    self.step(at, Event::Started(number, Value::Null));
                }
                let outcome =
                    [Outcome::Done, Outcome::Failed, Outcome::Unknown][usize::from(how % 3)];
                // Its end comes later, if ever.
                self.pending.push((at, Out::Under(number, outcome)));
            }
            Out::Asked(Effect::Probe(round)) => {
                self.clock += 1;
                if seen == Sight::Well && *round == self.incidents[at].asked {
                    self.passed.insert(at, self.clock);
                }
                self.step(at, Event::Probed(*round, seen, Value::Null));
            }
        }
    }

    fn timers(&mut self) {
        for at in 0..self.incidents.len() {
            self.step(at, Event::Timer);
        }
    }

    /// All that is only in memory is gone.
    fn restart(&mut self) {
        self.pending.clear();
        self.history = History::of(&self.incidents);
        for at in 0..self.incidents.len() {
            let target = self.target(at);
            let after = match &self.incidents[at].state {
                State::Intent { witness, .. } | State::Acting { witness, .. } => {
                    if self.is_weak(at) {
                        After::Unknown
                    } else if *witness == Some(json!(self.witness[target])) {
                        After::DidNot
                    } else {
                        After::Happened
                    }
                }
                _ => After::Nothing,
            };
            self.step(at, Event::Restarted(after));
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Tell(target, playbook, number, fires) => {
                self.tell(*target, *playbook, *number, *fires);
            }
            Op::Advance(millis) => {
                self.now.boot += u64::from(*millis);
                self.now.wall.0 += i64::from(*millis);
                self.timers();
            }
            Op::Jump(millis) => self.now.wall.0 += i64::from(*millis),
            Op::Answer(which, how) => {
                if !self.pending.is_empty() {
                    let which = which % self.pending.len();
                    let (at, out) = self.pending.remove(which);
                    self.answer(at, &out, *how);
                }
            }
            Op::Crash(after_effect) => {
                // The effect that was next happens, and its answer is lost.
                let act = |(_, out): &(usize, Out)| *out == Out::Asked(Effect::Act);
                if *after_effect && let Some(n) = self.pending.iter().position(act) {
                    let (at, _) = self.pending.remove(n);
                    let target = self.target(at);
                    let attempt = self.incidents[at].attempt().unwrap().to_string();
                    if matches!(self.incidents[at].state, State::Intent { .. })
                        && self.done.iter().all(|d| d.attempt != attempt)
                    {
                        self.witness[target] += 1;
                        self.touch(target);
                        self.done.push(Done {
                            attempt,
                            target: self.incidents[at].target.clone(),
                            boot: self.now.boot,
                        });
                    }
                }
                self.restart();
            }
            Op::Reboot => {
                self.boots += 1;
                self.now.boot = 10_000;
                self.now.boot_id = format!("boot-{}", self.boots).into();
                self.restart();
            }
            Op::Pause(on) => self.paused = *on,
            Op::Maintain(on) => self.maintained = *on,
            Op::Approve => {
                for at in 0..self.incidents.len() {
                    let approval = Approval {
                        action: "h".into(),
                        by: "ann".into(),
                    };
                    self.step(at, Event::Approve(approval));
                }
            }
            Op::Acknowledge(which) => {
                if !self.incidents.is_empty() {
                    let at = which % self.incidents.len();
                    let acknowledged = Acknowledged {
                        by: "ann".into(),
                        who: None,
                        reason: None,
                        at: self.now.wall,
                    };
                    self.step(at, Event::Acknowledge("ann".into(), acknowledged));
                }
            }
            Op::Cancel(which, release) => {
                if !self.incidents.is_empty() {
                    let at = which % self.incidents.len();
                    self.step(at, Event::Cancel("ann".into(), *release));
                }
            }
            Op::Rejoin(which) => {
                if !self.incidents.is_empty() {
                    let at = which % self.incidents.len();
                    self.step(at, Event::Rejoin(POOL.into(), "ann".into()));
                }
            }
            Op::Pool(healthy) => self.healthy = *healthy,
            Op::Hold(true) => {
                let hold = Hold {
                    why: "patch".into(),
                    since: self.now.wall,
                    began: Some(self.now.clone()),
                    easing: false,
                };
                let owner = Owner::Operator("ann".into());
                self.holds.place(POOL, owner, hold, BTreeSet::new());
            }
            Op::Hold(false) => {
                drop(self.holds.lift(POOL, &Owner::Operator("ann".into())));
                self.holds.heard(POOL);
            }
            Op::Turn(target, well) => self.well[*target] = *well,
            Op::Blind(target, blind) => self.blind[*target] = *blind,
            Op::Mode(playbook, mode) => {
                self.plans[*playbook].mode = *mode;
                for at in 0..self.incidents.len() {
                    self.step(at, Event::Changed);
                }
            }
        }
    }

    /// Lets time pass and answers come until everything has ended or been told to people.
    fn settle(&mut self) {
        let ends = |i: &Incident| !i.state.is_open() || matches!(i.state, State::Escalated { .. });
        for _ in 0..10_000 {
            while let Some((at, out)) = self.pending.pop() {
                self.answer(at, &out, 1);
            }
            if self.incidents.iter().all(ends) {
                return;
            }
            self.now.boot += 5_000;
            self.now.wall.0 += 5_000;
            self.timers();
        }
        let open: Vec<_> = self.incidents.iter().filter(|i| !ends(i)).collect();
        panic!("these never end: {open:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_invariant_holds_whatever_happens(
        first in plans(),
        second in plans(),
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let mut world = World::new([first, second]);
        for op in &ops {
            world.run(op);
        }
        world.paused = false;
        world.maintained = false;
        world.settle();
        world.wait_for_reminders();
        for (at, times) in &world.escalated {
            let incident = &world.incidents[*at];
            let lives = 1 + incident.relapses + incident.run.number;
            prop_assert!(*times <= lives, "told {times} times over {lives} lives");
        }
    }
}

/// Few by default; `NODEWARD_LONG` says how many times more.
fn cases() -> u32 {
    let long = std::env::var("NODEWARD_LONG")
        .ok()
        .and_then(|n| n.parse::<u32>().ok());
    64 * long.unwrap_or(1)
}
