//! SIGKILL at any moment: what was answered 200 is kept, and what was done is not done again.
//!
//! `NODEWARD_LONG=1` kills ten times as often. `NODEWARD_SEED` repeats the moments of a run.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::healing::{Service, Told, body, config, post, verified};
use crate::program::{Program, Scratch, command};

/// Alerts that are sent between two kills.
const AT_ONCE: usize = 6;

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

/// Starts it, sends alerts, kills it, again and again; or has it die by itself at one of `points` after the other. Then
/// lets it finish, and looks at what is on record, and at what was done.
fn killed(points: &[&str]) {
    let mut random = Random::new();
    let (scratch, service) = (Scratch::new(), Service::start());
    let targets = rounds() * AT_ONCE;
    let config = scratch.write("nodeward.yml", &config("auto", &service, targets));
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
            match post(address, &body(&[number])) {
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

        unanswered.extend(round * AT_ONCE..(round + 1) * AT_ONCE);
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
        let end = |states: &Vec<&str>| states.contains(&"healed") || states.contains(&"escalated");
        states.len() == targets && states.values().all(end)
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
}

#[test]
fn killed_at_any_moment_it_keeps_what_it_took_and_repeats_nothing() {
    killed(&[]);
}

#[cfg(feature = "faults")]
#[test]
fn dead_between_a_record_and_its_effect_it_keeps_what_it_took_and_repeats_nothing() {
    killed(&[
        "journal.before_commit",
        "journal.after_commit",
        "heal.before_effect",
        "heal.after_effect",
    ]);
}
