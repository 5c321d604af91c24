//! SIGKILL at any moment: what was answered 200 is kept, and what was done is not done again.
//!
//! `NODEWARD_LONG=1` kills ten times as often. `NODEWARD_SEED` repeats the moments of a run.

use std::collections::BTreeSet;
use std::ops::Range;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;

use crate::healing::{Service, Told, body, body_since, config, guarded, post, verified};
use crate::program::{Program, Scratch, command};

/// Alerts that are sent between two kills.
const AT_ONCE: usize = 6;

/// Targets that are guarded, fewer than `rate` lets pass in a minute; of these one that nothing confirms.
const GUARDED: usize = 8;

#[cfg(feature = "faults")]
const POINTS: &[&str] = &[
    "journal.before_commit",
    "journal.after_commit",
    "heal.before_effect",
    "heal.after_effect",
];

fn rounds() -> usize {
    if std::env::var_os("NODEWARD_LONG").is_some() {
        200
    } else {
        20
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    #[allow(
        clippy::print_stderr,
        reason = "shown with a failure, so that it can be repeated"
    )]
    fn new() -> Self {
        let given = std::env::var("NODEWARD_SEED").ok();
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let seed = given.map_or((now & 0xffff_ffff) as u64, |seed| seed.parse().unwrap());
        eprintln!("NODEWARD_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// The moment of a kill.
    fn moment(&mut self, milliseconds: u64) -> Duration {
        Duration::from_micros(self.below(milliseconds * 1000))
    }
}

/// What is killed.
struct Killed<'a> {
    service: &'a Service,
    config: String,
    /// How many alerts there are, each of a target of its own.
    targets: usize,
    /// Those that are sent from a round on.
    sent: &'a dyn Fn(usize) -> Range<usize>,
    body: &'a (dyn Fn(usize) -> String + Sync),
    /// How many of them come to an end.
    end: usize,
}

/// Many alerts, and nothing that would hold any of them back.
fn killed(points: &[&str]) {
    let service = Service::start();
    let targets = rounds() * AT_ONCE;
    kill(
        points,
        &Killed {
            service: &service,
            config: config("auto", &service, targets),
            targets,
            sent: &|round| round * AT_ONCE..(round + 1) * AT_ONCE,
            body: &|number| body(&[number]),
            end: targets,
        },
    );
}

/// A few, each of which must be confirmed by a probe that fails, and is held by the guards that are there by default.
fn killed_while_guarded(points: &[&str]) {
    let service = Service::start();
    // From when it is first sent on: an alert that is old by then would be left alone.
    let since: [OnceLock<String>; GUARDED] = Default::default();
    let now = || nodeward::model::moment::Timestamp::now().to_string();
    let every = rounds() / GUARDED;
    let (_scratch, told) = kill(
        points,
        &Killed {
            service: &service,
            config: guarded(&service, GUARDED),
            targets: GUARDED,
            sent: &|round| match round % every {
                0 => (round / every).min(GUARDED)..(round / every + 1).min(GUARDED),
                _ => 0..0,
            },
            body: &|number| body_since(&[number], since[number].get_or_init(now)),
            // Nothing confirms the last one.
            end: GUARDED - 1,
        },
    );
    let sound = format!("s{}", GUARDED - 1);
    let refused = told
        .of("decision")
        .filter(|d| d["playbook"] == sound.as_str());
    let refused: Vec<_> = refused.collect();
    assert!(!refused.is_empty());
    for decision in refused {
        assert_eq!(decision["data"]["act"], false, "{decision}");
    }
    let mut healed = 0;
    for number in 0..GUARDED {
        let playbook = format!("s{number}");
        let of = |kind| told.of(kind).filter(|r| r["playbook"] == playbook.as_str());
        let intents = of("intent").count();
        assert!(intents <= 1, "{playbook}: one rung is tried once");
        healed += of("state").filter(|r| r["to"] == "healed").count();
        for decision in of("decision").filter(|d| d["data"]["act"] == true) {
            let guards = decision["data"]["guards"].as_array().unwrap();
            assert!(
                guards.iter().all(|guard| guard["passes"] == true),
                "{decision}"
            );
            let confirm = guards.iter().find(|g| g["guard"] == "confirm").unwrap();
            let value = confirm["value"].as_str().unwrap();
            assert!(value.contains("sees it too"), "{value}");
        }
    }
    assert!(healed > 0 || !points.is_empty(), "not one was healed");
}

/// Starts it, sends alerts, kills it, again and again; or has it die by itself at one of `points` after the other. Then
/// lets it finish, and looks at what is on record, and at what was done.
fn kill(points: &[&str], what: &Killed<'_>) -> (Scratch, Told) {
    let mut random = Random::new();
    let scratch = Scratch::new();
    let Killed {
        service,
        targets,
        end,
        ..
    } = *what;
    let config = scratch.write("nodeward.yml", &what.config);
    let run = ["run", "--config", config.to_str().unwrap()];
    let mut unanswered: BTreeSet<usize> = BTreeSet::new();
    let mut answered = BTreeSet::new();
    let started = |round: usize| {
        let mut start = command(&scratch, &run);
        if let Some(point) = points.get(round % points.len().max(1)) {
            // The first time that it is passed, the second, ...
            let time = round / points.len() % 4 + 1;
            start.env("NODEWARD_FAULT", format!("{point}:{time}"));
        }
        start
    };
    let mut send = |address: &str, unanswered: &mut BTreeSet<usize>| {
        for number in unanswered.clone() {
            match post(address, &(what.body)(number)) {
                Some(200) => {
                    unanswered.remove(&number);
                    answered.insert(number);
                }
                Some(503) | None => {}
                Some(other) => panic!("alert {number} was answered {other}"),
            }
        }
    };
    for round in 0..rounds() {
        // While it starts, with what the round before has left open.
        let mut starting = started(round).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(random.moment(400));
        starting.kill().unwrap();
        starting.wait().unwrap();

        unanswered.extend((what.sent)(round));
        let Some(mut program) = Program::begin(&mut started(round)) else {
            assert!(!points.is_empty(), "it died by itself");
            continue;
        };
        let address = program.http();
        let moment = random.moment(if points.is_empty() { 150 } else { 1000 });
        std::thread::scope(|scope| {
            scope.spawn(|| send(&address, &mut unanswered));
            std::thread::sleep(moment);
            program.signal(Signal::KILL);
        });
    }
    let mut program = Program::start(&scratch, &run[1..]);
    let address = program.http();
    while !unanswered.is_empty() {
        send(&address, &mut unanswered);
    }
    let over = |told: &Told| {
        let states = told.states();
        let over =
            |states: &&Vec<&str>| states.contains(&"healed") || states.contains(&"escalated");
        states.len() == targets && states.values().filter(over).count() == end
    };
    let told = Told::until(&scratch, "an end of every incident", over);
    assert_eq!(answered.len(), targets);
    for number in &answered {
        assert_eq!(told.alerts().get(number), Some(&1), "alert {number}");
    }
    let (effects, intents) = (service.effects(), told.intents());
    let done: BTreeSet<&str> = effects.keys().map(String::as_str).collect();
    let meant: BTreeSet<&str> = intents.iter().copied().collect();
    assert_eq!(meant.len(), intents.len(), "an attempt was meant twice");
    assert!(done.is_subset(&meant), "{done:?} without {meant:?}");
    let twice: Vec<_> = effects.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "done twice: {twice:?}");
    assert!(!done.is_empty());
    assert_eq!(program.end(), Some(0));
    verified(&scratch);
    (scratch, told)
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_took_and_repeats_nothing() {
    killed(&[]);
}

#[test]
fn killed_at_any_moment_it_does_nothing_that_is_not_confirmed_and_let_pass() {
    killed_while_guarded(&[]);
}

#[cfg(feature = "faults")]
#[test]
fn dead_between_a_record_and_its_effect_it_does_nothing_that_is_not_confirmed_and_let_pass() {
    killed_while_guarded(POINTS);
}

#[cfg(feature = "faults")]
#[test]
fn dead_between_a_record_and_its_effect_it_keeps_what_it_took_and_repeats_nothing() {
    killed(POINTS);
}
