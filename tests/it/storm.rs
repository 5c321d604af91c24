//! Many alerts at once: all are taken, each once, and memory stays bounded.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::healing::{Service, Told, body, config, post, verified};
use crate::program::{Program, Scratch};

/// Senders at once.
const SENDERS: usize = 8;

/// Posts alerts 0 to `count` in bodies of several sizes, each body twice, until each was answered 200.
fn send(address: &str, count: usize) {
    let mut bodies = Vec::new();
    let mut at = 0;
    for size in [1, 3, 10, 40].into_iter().cycle() {
        let end = (at + size).min(count);
        let numbers: Vec<usize> = (at..end).collect();
        // Once as it was, once with the alert before in it, as a group that grows.
        bodies.push(body(&numbers));
        let more: Vec<usize> = (at.saturating_sub(1)..end).collect();
        bodies.push(body(&more));
        at = end;
        if at == count {
            break;
        }
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
            loop {
                match post(address, body) {
                    Some(200) => break,
                    Some(503) => std::thread::yield_now(),
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(work);
        }
    });
}

/// The most memory it has had, in KiB.
fn most_memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().trim_end_matches("kB").trim().parse().unwrap()
}

/// A storm of `count` alerts by a playbook of this mode, until each incident came to `end`.
fn storm(mode: &str, count: usize, end: &str) -> (Service, Told) {
    let (scratch, service) = (Scratch::new(), Service::start());
    let config = scratch.write("nodeward.yml", &config(mode, &service, count));
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    send(&address, count);
    let told = Told::until(&scratch, end, |told| told.came_to(end) == count);
    let alerts = told.alerts();
    assert_eq!(alerts.len(), count);
    assert!(alerts.values().all(|times| *times == 1), "{alerts:?}");
    assert_eq!(told.states().len(), count);
    let memory = most_memory(&program);
    assert!(memory < 64 * 1024, "{memory} KiB");
    assert_eq!(program.end(), Some(0));
    verified(&scratch);
    (service, told)
}

#[test]
fn each_alert_of_a_storm_is_taken_once() {
    let (service, told) = storm("observe", 1000, "observed");
    assert_eq!(told.intents().len(), 0);
    assert!(service.effects().is_empty(), "observe touches nothing");
}

#[test]
fn each_alert_of_a_storm_is_acted_upon_once() {
    let (service, told) = storm("auto", 200, "healed");
    let effects = service.effects();
    assert_eq!((told.intents().len(), effects.len()), (200, 200));
    assert!(effects.values().all(|times| *times == 1), "{effects:?}");
}
