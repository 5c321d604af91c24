//! A journal that cannot be written for a while: who looks is told, whatever they look with, and it is over by itself.

use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::collector::Collector;
use crate::operate::CONFIG;
use crate::program::{Program, Scratch, exchange, get, output, value};

/// Posts an alert; the status of the answer.
fn fire(address: &str, number: u32) -> String {
    let body = format!(
        r#"{{"version": "4", "receiver": "r", "status": "firing", "alerts": [{{"status": "firing",
        "labels": {{"alertname": "Full", "instance": "here"}}, "annotations": {{}}, "startsAt": "{}",
        "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f{number}"}}]}}"#,
        nodeward::model::moment::Timestamp::now()
    );
    let length = body.len();
    let request = format!(
        "POST /hooks/am HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let answer = exchange(address, request.as_bytes());
    String::from_utf8_lossy(&answer).into_owned()[9..12].to_owned()
}

/// One whose files may be kept from growing.
fn starved(scratch: &Scratch, config: &str) -> Program {
    // A write beyond the limit of a file's size is an error only for whoever ignores the signal; that is inherited.
    let mut command = Command::new("/bin/sh");
    command
        .args([
            "-c",
            "trap '' XFSZ; exec \"$0\" run --config \"$1\"",
            env!("CARGO_BIN_EXE_nodeward"),
        ])
        .arg(scratch.write("nodeward.yml", config))
        .env_clear()
        .env("RUNTIME_DIRECTORY", scratch.path())
        .env("STATE_DIRECTORY", scratch.path())
        .stdin(Stdio::null());
    Program::spawn(&mut command)
}

/// Has no file of the process grow or be written, or lets them again.
fn room(program: &Program, room: bool) {
    let pid = Pid::from_raw(i32::try_from(program.pid()).unwrap());
    let own = getrlimit(Resource::Fsize);
    let current = if room { own.current } else { Some(0) };
    let limit = Rlimit { current, ..own };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

/// The journal in `status`, once it fails or no longer does.
fn journal(scratch: &Scratch, fails: bool) -> Value {
    // The bound is only ever used up by a failure.
    for _ in 0..3_000 {
        let text = output(scratch, &["status", "--json"]).stdout;
        let state: Value = serde_json::from_slice(&text).unwrap();
        if state["journal"]["failing"].is_object() == fails {
            return state["journal"].clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("its journal is never shown as failing: {fails}");
}

#[test]
fn a_journal_that_cannot_be_written_is_shown_and_told_until_it_can() {
    let scratch = Scratch::new();
    let mut program = starved(&scratch, CONFIG);
    let address = program.http();
    assert_eq!(fire(&address, 1), "200");
    let held = journal(&scratch, false);
    let page = || get(&address, "/metrics").1;
    let told = page();
    assert_eq!(value(&told, "nodeward_journal_failing"), Some(0.0));
    let full = "nodeward_journal_commit_failures_total{cause=\"full\"}";
    assert_eq!(value(&told, full), Some(0.0));
    for series in [
        "nodeward_journal_commits_total",
        "nodeward_journal_records_total",
        "nodeward_journal_commit_duration_seconds_count",
        "nodeward_journal_size_bytes",
    ] {
        assert!(value(&told, series) > Some(0.0), "{series}: {told}");
    }
    assert_eq!(
        value(&told, "nodeward_journal_records"),
        held["records"].as_f64()
    );

    room(&program, false);
    assert_eq!(fire(&address, 2), "503");
    let failing = journal(&scratch, true)["failing"].clone();
    assert!(
        failing["why"].as_str().unwrap().contains("no room"),
        "{failing}"
    );
    let since = failing["since"].as_str().unwrap();
    let shown = String::from_utf8(output(&scratch, &["status"]).stdout).unwrap();
    assert!(
        shown.contains(&format!("nothing can be put on record since {since}")),
        "{shown}"
    );
    let told = page();
    assert_eq!(value(&told, "nodeward_journal_failing"), Some(1.0));
    assert!(value(&told, full) >= Some(1.0), "{told}");

    // Nobody has to bring anything for it to be over.
    room(&program, true);
    journal(&scratch, false);
    assert_eq!(value(&page(), "nodeward_journal_failing"), Some(0.0));
    assert_eq!(fire(&address, 2), "200");
    program.end();
}

#[test]
fn metrics_wait_in_memory_while_the_disk_is_full_and_none_is_lost() {
    let scratch = Scratch::new();
    let collector = Collector::start();
    collector.set_away(true);
    let config = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}\notlp: {{endpoint: \"{}\", interval: 200ms, compression: none, traces: false}}\n",
        collector.url
    );
    let mut program = starved(&scratch, &config);
    let address = program.http();
    let told = |series: &str| {
        let (_, page) = get(&address, "/metrics");
        let all = page.lines().filter(|line| line.starts_with(series));
        all.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum::<f64>()
    };
    let until = |what: &str, fact: &dyn Fn() -> bool| {
        for _ in 0..3_000 {
            if fact() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("never {what}");
    };
    let batches = "nodeward_otlp_spool_batches";
    until("on the disk", &|| told(batches) >= 2.0);
    room(&program, false);
    let failed = "nodeward_otlp_spool_faults_total{signal=\"metrics\",operation=\"write\"}";
    until("in memory", &|| {
        told(failed) >= 1.0 && told("nodeward_otlp_queue_bytes") > 0.0
    });
    let before = told(batches);
    room(&program, true);
    until("on the disk again", &|| told(batches) > before);
    collector.set_away(false);
    until("delivered", &|| told(batches) == 0.0);
    assert_eq!(told("nodeward_otlp_dropped_items_total"), 0.0);
    assert!(program.log_has("the otlp spool in"));
    assert_eq!(program.end(), Some(0));
}
