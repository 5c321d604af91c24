//! Passive checks of Zabbix without end: memory, threads and descriptors are after many what they were after the first.
//!
//! `NODEWARD_LONG=1` asks 1,000,000 times; `NODEWARD_PROGRAM` names a release to be asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::program::{Program, Scratch, exchange, get, value};

/// Servers that ask at once.
const ASKERS: usize = 4;
/// KiB that may come on top: what an allocator keeps, and the past of the one rate, which grows for fifteen minutes to about 120 KiB.
const ROOM: u64 = 1 << 10;
/// Descriptors: what is kept open on purpose is at most 128 files of /proc, 256 of threads and those of 16 interfaces, of which there are
/// the more the more this machine runs.
const OPEN: usize = 640;

fn count() -> usize {
    match std::env::var_os("NODEWARD_LONG") {
        Some(_) => 1_000_000,
        None => 3_000,
    }
}

/// What is asked by the check of this number: keys of templates, keys that nobody asked before, what is wrong, and JSON.
fn body(number: usize) -> String {
    match number % 12 {
        0 | 1 => "agent.ping".into(),
        2 => "vm.memory.size[available]".into(),
        3 => "vfs.fs.get".into(),
        4 => "proc.num".into(),
        5 => "system.cpu.util".into(),
        6 => "net.if.discovery".into(),
        7 => format!("proc.num[,,,^nothing-{number}$]"),
        8 => format!("vfs.file.exists[/nonexistent/{number}]"),
        9 => format!("no.such.key[{number}]"),
        10 => format!("vm.memory.size[\"{number}"),
        _ => format!(
            r#"{{"request":"passive checks","data":[{{"key":"kernel.maxproc","timeout":3}},{{"key":"none.{number}","timeout":3}}]}}"#
        ),
    }
}

/// Asks with all numbers from `from` on, each answered.
fn ask(address: &str, from: usize, end: usize) {
    let next = AtomicUsize::new(from);
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                break;
            }
            let body = body(number);
            let length = u32::try_from(body.len()).unwrap();
            let head = [b"ZBXD\x01", &length.to_le_bytes()[..], &[0; 4]].concat();
            let answer = exchange(address, &[&head, body.as_bytes()].concat());
            assert!(answer.starts_with(b"ZBXD\x01"), "{body}: {answer:?}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..ASKERS {
            scope.spawn(work);
        }
    });
}

/// What a process holds: KiB of its own, threads, descriptors.
#[derive(Debug)]
struct Held {
    memory: u64,
    threads: usize,
    descriptors: usize,
}

impl Held {
    fn of(program: &Program) -> Self {
        let home = format!("/proc/{}", program.pid());
        let status = std::fs::read_to_string(format!("{home}/status")).unwrap();
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let memory = memory.unwrap().trim_end_matches("kB").trim().parse();
        let count = |of: &str| std::fs::read_dir(format!("{home}/{of}")).unwrap().count();
        Self {
            memory: memory.unwrap(),
            threads: count("task"),
            descriptors: count("fd"),
        }
    }
}

#[test]
#[allow(
    clippy::print_stderr,
    reason = "the figures, for who asks a million times"
)]
fn memory_stays_flat_over_many_passive_checks() {
    let scratch = Scratch::new();
    let config = "http: {listen: ['127.0.0.1:0']}\n\
        zabbix: {listen: ['127.0.0.1:0'], server: ['127.0.0.1']}\n";
    let config = scratch.write("nodeward.yml", config);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let (http, zabbix) = (program.http(), program.address("passive checks on "));
    let count = count();
    let mut asked = count / 6;
    ask(&zabbix, 0, asked);
    let first = Held::of(&program);
    eprintln!("after {asked} checks: {first:?}");
    let mut last = Held::of(&program);
    for step in 2..=6 {
        ask(&zabbix, asked, count * step / 6);
        asked = count * step / 6;
        last = Held::of(&program);
        eprintln!("after {asked} checks: {last:?}");
    }
    assert!(
        last.memory <= first.memory + ROOM
            && last.threads <= first.threads + ASKERS
            && last.descriptors <= OPEN,
        "{first:?} became {last:?}"
    );
    // All of it was answered: a request of JSON has two checks.
    let page = get(&http, "/metrics").1;
    let answered = ["answered", "unsupported"].map(|outcome| {
        let series = format!("nodeward_zabbix_checks_total{{outcome=\"{outcome}\"}}");
        value(&page, &series).unwrap()
    });
    let jsons = (0..count).filter(|number| number % 12 == 11).count();
    assert_eq!(answered.iter().sum::<f64>(), (count + jsons) as f64);
    assert_eq!(program.end(), Some(0));
}
