//! `nodeward demo`: it heals, and what it printed is what its journal says.

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::program::{Scratch, command, output};

#[test]
fn heals_its_own_service_and_the_journal_it_leaves_says_what_was_printed() {
    let scratch = Scratch::new();
    let keep = scratch.path().join("kept");
    let keep = keep.to_str().unwrap();
    let ended = output(&scratch, &["demo", "--keep", keep]);
    let printed = String::from_utf8(ended.stdout).unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{printed}\n{said}");
    assert!(said.starts_with("healed in "), "{said}");
    assert!(said.contains("docs/HEALING.md"), "{said}");

    let state = format!("{keep}/state");
    let exported = output(&scratch, &["journal", "export", "--state-dir", &state]);
    let records: BTreeMap<String, Value> = String::from_utf8(exported.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|record| (format!("#{}", record["seq"]), record))
        .collect();
    // Each line with a number is the record of that number, at its time; state by state.
    let mut kinds = Vec::new();
    for line in printed.lines() {
        let mut words = line.split_whitespace();
        let (time, number) = (words.next().unwrap(), words.next().unwrap());
        if number.starts_with('#') {
            let record = &records[number];
            let full = record["time"].as_str().unwrap();
            assert!(full.contains(time), "{line}: {record}");
            let to = record["to"].as_str();
            kinds.push(to.or(record["kind"].as_str()).unwrap());
        }
    }
    kinds.retain(|kind| *kind != "verify");
    let before = [
        "alert", "waiting", "evidence", "decision", "intent", "started",
    ];
    let after = ["result", "probation", "healed"];
    assert!(kinds.starts_with(&before), "{printed}");
    assert!(kinds.ends_with(&after), "{printed}");

    let proven = output(&scratch, &["journal", "verify", "--state-dir", &state]);
    let proof = String::from_utf8(proven.stderr).unwrap();
    assert_eq!(proven.status.code(), Some(0), "{proof}");
    assert!(printed.contains(proof.trim()), "{printed}\n{proof}");

    let incident = records
        .values()
        .find_map(|r| r["incident"].as_str())
        .unwrap();
    let why = output(
        &scratch,
        &["why", incident.get(..20).unwrap(), "--state-dir", &state],
    );
    let story = String::from_utf8(why.stdout).unwrap();
    assert_eq!(why.status.code(), Some(0), "{story}");
    for said in ["is healed", "passes  kill_switch", "passes  confirm"] {
        assert!(story.contains(said), "{said} in {story}");
    }
    let none = output(&scratch, &["why", "nobody", "--state-dir", &state]);
    assert_eq!(none.status.code(), Some(1));

    // What it leaves is a config like any other.
    let config = format!("{keep}/nodeward.yml");
    let valid = output(&scratch, &["validate", &config]);
    assert_eq!(valid.status.code(), Some(0));
    let again = output(&scratch, &["demo", "--keep", keep]);
    assert_eq!(again.status.code(), Some(1));
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(said.contains("is not empty"), "{said}");
}

#[test]
fn an_interrupted_demo_ends_and_removes_what_it_made() {
    use std::io::{BufRead, BufReader, Read};

    let scratch = Scratch::new();
    let mut demo = command(&scratch, &["demo"])
        .env("TMPDIR", scratch.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert!(first.contains("answers 200"), "{first}");
    assert_eq!(scratch.path().read_dir().unwrap().count(), 1);
    let pid = Pid::from_raw(i32::try_from(demo.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    // The pipe's end is there only once no process of the demo holds it any more.
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert!(!rest.contains("is healed"), "{rest}");
    assert_eq!(scratch.path().read_dir().unwrap().count(), 0);
}
