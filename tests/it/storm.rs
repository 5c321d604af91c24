//! Many alerts at once, from senders of all kinds: what is whole and known is taken, each alert once, and memory stays bounded.
//!
//! `NODEWARD_LONG=1` sends ten times as many: the ten thousand of the budget.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::healing::{Post, Service, Told, body, config, verified};
use crate::program::{Program, Scratch, connect, get, value};

/// Senders at once.
const SENDERS: usize = 8;
/// Those that begin a body and do not end it while the storm lasts.
const SLOW: usize = 30;

/// KiB that it may take: for itself, and for each incident that it remembers.
const BASE: u64 = 20 << 10;
const AN_INCIDENT: u64 = 8;

fn long() -> usize {
    if std::env::var_os("NODEWARD_LONG").is_some() {
        10
    } else {
        1
    }
}

/// Something to send, and what is to be answered.
struct Sent {
    post: Post,
    answer: u16,
}

fn sent(body: String, answer: u16) -> Sent {
    Sent {
        post: Post::of(body),
        answer,
    }
}

/// Alerts 0 to `count` in bodies of many sizes and shapes, each twice, with what nobody should send between them.
fn storm_of(count: usize) -> Vec<Sent> {
    let mut all = Vec::new();
    let mut at = 0;
    for size in [1, 3, 10, 40, 1, 200].into_iter().cycle() {
        let end = (at + size).min(count);
        let numbers: Vec<usize> = (at..end).collect();
        let plain = body(&numbers);
        // As it was, the very same again, and as a group that grows.
        all.push(sent(plain.clone(), 200));
        all.push(sent(plain.clone(), 200));
        let more: Vec<usize> = (at.saturating_sub(1)..end).collect();
        all.push(sent(body(&more), 200));
        all.push(sent(shaped(&plain, at), 200));
        // Cut off, but of its declared length.
        let cut = plain.get(..plain.len() / 2).unwrap();
        all.push(sent(cut.to_owned(), 400));
        for (header, answer) in [("Authorization: Bearer wrong", 401), ("X-Nothing: x", 401)] {
            let mut wrong = sent(plain.clone(), answer);
            wrong.post.header = header.to_owned();
            all.push(wrong);
        }
        at = end;
        if at == count {
            break;
        }
    }
    // Long after, what was sent first.
    all.push(sent(body(&[0]), 200));
    all
}

/// The same alerts in another shape: written wide, with more in it, in another order, with labels that say nothing.
fn shaped(plain: &str, which: usize) -> String {
    let mut value: Value = serde_json::from_str(plain).unwrap();
    match which % 4 {
        0 => serde_json::to_string_pretty(&value).unwrap(),
        1 => {
            value["notification_reason"] = json!("repeat interval elapsed");
            value["extra"] = json!({"deep": [[[{"more": "x".repeat(10_000)}]]]});
            value.to_string()
        }
        2 => {
            value["alerts"].as_array_mut().unwrap().reverse();
            value.to_string()
        }
        _ => {
            for alert in value["alerts"].as_array_mut().unwrap() {
                alert["annotations"]["description"] = json!("\u{e4}\u{1f525}\n".repeat(500));
            }
            value.to_string()
        }
    }
}

/// Sends it all, each until it is answered as it should be.
fn send(address: &str, all: &[Sent]) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(sent) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            loop {
                match sent.post.to(address) {
                    Some(code) if code == sent.answer => break,
                    Some(503) => std::thread::yield_now(),
                    other => panic!("{other:?} and not {}", sent.answer),
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

/// Senders that have sent the head and half a body.
fn begin(address: &str, plain: &str) -> Vec<TcpStream> {
    let head = Post::of(plain.to_owned()).head();
    let half = plain.get(..plain.len() / 2).unwrap();
    let begun = |_| {
        let mut stream = connect(address);
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(half.as_bytes()).unwrap();
        stream
    };
    (0..SLOW).map(begun).collect()
}

/// They send the rest; who took too long was hung up on, the others are answered 200.
fn finish(slow: Vec<TcpStream>, plain: &str) {
    let rest = plain.get(plain.len() / 2..).unwrap();
    for mut stream in slow {
        drop(stream.write_all(rest.as_bytes()));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 200"),
            "{answer}"
        );
    }
}

/// The most memory it has had beside its own program, which is large in the build of tests, in KiB.
fn most_memory(program: &Program) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    let of = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().trim_end_matches("kB").trim().parse().unwrap()
    };
    of("VmHWM:").saturating_sub(of("RssFile:"))
}

/// A storm of `count` alerts by a playbook of this mode, until each incident came to `end`.
fn storm(mode: &str, count: usize, end: &str) -> (Service, Told) {
    let (scratch, service) = (Scratch::new(), Service::start());
    let mut config: Value = serde_json::from_str(&config(mode, &service, count)).unwrap();
    scratch.write("hook.token", Post::TOKEN);
    config["hooks"]["alertmanager"]["bearer_token_file"] = json!("hook.token");
    let config = scratch.write("nodeward.yml", &config.to_string());
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    let plain = body(&[0]);
    let slow = begin(&address, &plain);
    send(&address, &storm_of(count));
    finish(slow, &plain);
    let told = Told::until(&scratch, end, |told| told.came_to(end) == count);
    let alerts = told.alerts();
    assert_eq!(alerts.len(), count);
    assert!(alerts.values().all(|times| *times == 1), "{alerts:?}");
    assert_eq!(told.states().len(), count);
    let page = get(&address, "/metrics").1;
    let refused = "nodeward_hook_refused_logins_total{hook=\"alertmanager\"}";
    assert!(
        value(&page, refused).is_some_and(|times| times > 0.0),
        "{page}"
    );
    let (memory, bound) = (most_memory(&program), BASE + AN_INCIDENT * count as u64);
    assert!(memory < bound, "{memory} KiB");
    assert_eq!(program.end(), Some(0));
    verified(&scratch);
    (service, told)
}

#[test]
fn each_alert_of_a_storm_is_taken_once() {
    let (service, told) = storm("observe", 1000 * long(), "observed");
    assert_eq!(told.intents().len(), 0);
    assert!(service.effects().is_empty(), "observe touches nothing");
}

#[test]
fn each_alert_of_a_storm_is_acted_upon_once() {
    let count = 200 * long();
    let (service, told) = storm("auto", count, "healed");
    let effects = service.effects();
    assert_eq!((told.intents().len(), effects.len()), (count, count));
    assert!(effects.values().all(|times| *times == 1), "{effects:?}");
}
