//! `nodeward plan` decides as live does, and touches nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Program, Scratch, exchange, output};

/// Two playbooks; the first takes the alert, the second misses it by one line.
const CONFIG: &str = r#"
http: {listen: ['127.0.0.1:0']}
node: {match: {instance: [here]}}
hooks:
  am: {kind: alertmanager}
  narrow: {kind: alertmanager, playbooks: [other]}
checks: {alive: {probe: {process: {name: nodeward}}, every: 1h}}
playbooks:
  clear:
    mode: MODE
    match: {alertname: Full, fs: {in: [/srv]}}
    target: node
    confirm: [{check: alive}]
    ladder: [{do: {command: {argv: [/bin/touch, SCRATCH/touched, {from: fs}]}}, timeout: 10s}]
    verify: {all: [{check: alive}], pass: 1, every: 100ms}
  other:
    match: {alertname: Empty}
    target: node
    ladder: [{do: {command: {argv: [/bin/true]}}}]
    verify: {all: [{check: alive}]}
"#;

fn config(scratch: &Scratch, mode: &str, confirm: bool) -> String {
    let place = scratch.path().to_str().unwrap();
    let mut text = CONFIG.replace("MODE", mode).replace("SCRATCH", place);
    if !confirm {
        text = text.replace("confirm: [{check: alive}]", "confirm: []");
    }
    let path = scratch.write("nodeward.yml", &text);
    path.to_str().unwrap().to_owned()
}

/// What Alertmanager sends.
fn body(number: u32) -> String {
    json!({"version": "4", "receiver": "r", "status": "firing", "alerts": [{"status": "firing",
        "labels": {"alertname": "Full", "instance": "here", "fs": "/srv", "severity": "page"}, "annotations": {},
        "startsAt": nodeward::model::moment::Timestamp::now().to_string(), "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": format!("{number:016x}")}]})
    .to_string()
}

fn send(address: &str, body: &str) {
    let request = format!(
        "POST /hooks/am HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = String::from_utf8_lossy(&exchange(address, request.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

/// All it printed, and its last line.
fn said(scratch: &Scratch, args: &[&str], code: i32) -> (String, String) {
    let ended = output(scratch, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(ended.stdout), text(ended.stderr));
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {out}{err}");
    (out, err)
}

fn planned(scratch: &Scratch, args: &[&str]) -> Value {
    let (out, _) = said(scratch, &[&["plan", "--json"], args].concat(), 0);
    serde_json::from_str(&out).unwrap()
}

/// Every file below a directory with its bytes and when it changed last.
fn files(place: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let files = std::fs::read_dir(place).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let changed = entry.metadata().unwrap().modified().unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, (bytes, changed))
    });
    files.collect()
}

/// What guards said; how long an alert fires is another thing a moment later.
fn said_by(guards: &Value) -> Vec<(String, bool, String)> {
    let text = |guard: &Value, name: &str| guard[name].as_str().unwrap().to_owned();
    let guards = guards.as_array().unwrap().iter().map(|guard| {
        let name = text(guard, "guard");
        let value = match name.as_str() {
            "freshness" => String::new(),
            _ => text(guard, "value"),
        };
        (name, guard["passes"] == json!(true), value)
    });
    guards.collect()
}

/// The guards of the newest decision on record.
fn decided(scratch: &Scratch, state: &str) -> Vec<(String, bool, String)> {
    let args = [
        "journal",
        "list",
        "--kind",
        "decision",
        "--state-dir",
        state,
    ];
    let (out, _) = said(scratch, &args, 0);
    let last: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    said_by(&last["data"]["guards"])
}

/// Waits for a state of an incident to be on record, so often.
fn until(scratch: &Scratch, state: &str, to: &str, times: usize) {
    // The bound is only ever used up by a failure.
    for _ in 0..3_000 {
        let (out, _) = said(
            scratch,
            &["journal", "list", "--kind", "state", "--state-dir", state],
            0,
        );
        if out.matches(&format!("\"to\":\"{to}\"")).count() >= times {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("no {to} came");
}

#[test]
fn it_decides_as_live_does_on_the_same_alert_and_leaves_every_byte_as_it_was() {
    let scratch = Scratch::new();
    let path = config(&scratch, "observe", false);
    let state = scratch.path().join("state");
    let state = state.to_str().unwrap();
    let with = ["--config", &path, "--state-dir", state];

    // Without a journal there is none afterwards either.
    let alert = scratch.write("alert.json", &body(1));
    let alert = alert.to_str().unwrap();
    let before = planned(&scratch, &[&[alert, "--hook", "am"], &with[..]].concat());
    assert!(!Path::new(state).exists());
    assert_eq!(before["incidents"][0]["would"], "record");

    let mut program = Program::start(&scratch, &with);
    let address = program.http();
    send(&address, &std::fs::read_to_string(alert).unwrap());
    until(&scratch, state, "observed", 1);
    let guards = said_by(&before["incidents"][0]["guards"]);
    assert_eq!(guards.len(), nodeward::heal::guards::Guard::ALL.len());
    assert_eq!(guards, decided(&scratch, state));
    let live = said(
        &scratch,
        &[
            "journal",
            "list",
            "--kind",
            "decision",
            "--state-dir",
            state,
        ],
        0,
    )
    .0;
    let live: Value = serde_json::from_str(live.trim()).unwrap();
    let argv = |action: &Value| action["command"]["argv"].clone();
    assert_eq!(
        argv(&before["incidents"][0]["ladder"][0]["action"]),
        argv(&live["data"]["would"])
    );

    // While it runs: with its history, and without leaving anything in it.
    let known = planned(&scratch, &[&[alert, "--hook", "am"], &with[..]].concat());
    assert!(known["alerts"][0]["known"].is_string(), "{known}");
    assert_eq!(known["incidents"][0]["would"], "go_on");
    let other = scratch.write("other.json", &body(2));
    let other = [&[other.to_str().unwrap(), "--hook", "am"], &with[..]].concat();
    let second = planned(&scratch, &other);
    assert_eq!(second["journal"], state);
    // It joins the incident that has just ended, as it would live.
    assert_eq!(second["incidents"][0]["before"], "observed");
    send(&address, &body(2));
    until(&scratch, state, "observed", 2);
    let guards = said_by(&second["incidents"][0]["guards"]);
    assert_eq!(guards, decided(&scratch, state));
    assert_eq!(program.end(), Some(0));

    // At rest, byte for byte; and as a copy that may only be read.
    let before = files(Path::new(state));
    planned(&scratch, &other);
    assert_eq!(files(Path::new(state)), before);
    let copy = scratch.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(format!("{state}/journal.db"), copy.join("journal.db")).unwrap();
    for (place, mode) in [(copy.join("journal.db"), 0o444), (copy.clone(), 0o555)] {
        std::fs::set_permissions(place, PermissionsExt::from_mode(mode)).unwrap();
    }
    let copied = [
        other[0],
        "--hook",
        "am",
        "--config",
        &path,
        "--state-dir",
        copy.to_str().unwrap(),
    ];
    let copied = planned(&scratch, &copied);
    assert_eq!(copied["incidents"][0]["before"], "observed");
    std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    assert!(!scratch.path().join("touched").exists());
}

#[test]
fn it_says_in_words_why_and_what() {
    let scratch = Scratch::new();
    let path = config(&scratch, "auto", true);
    let state = scratch.path().join("state");
    let with = [
        "--config",
        path.as_str(),
        "--state-dir",
        state.to_str().unwrap(),
    ];
    let plan = |args: &[&str], code| said(&scratch, &[&["plan"], args, &with[..]].concat(), code);
    let write = |value: Value| {
        let file = scratch.write("a.json", &value.to_string());
        file.to_str().unwrap().to_owned()
    };
    // The check passes here, so the guard that wants it confirmed refuses.
    let full = write(json!({"labels": {"alertname": "Full", "instance": "here", "fs": "/srv"}}));
    let (out, end) = plan(&[&full, "--hook", "am"], 0);
    let touched = format!(
        "1. run /bin/touch {}/touched /srv (at most",
        scratch.path().display()
    );
    for words in [
        "playbook clear (auto) takes it, to heal node",
        "playbook other does not: alertname is \"Full\", wanted \"Empty\"",
        "REFUSES confirm          alive does not see it (",
        "passes  cooldown         no attempt on this target yet",
        &touched,
        "check alive passes, 1 time in a row every 100ms within 1m",
        "so now: it would wait for confirm, at most 30m, and then be escalated",
        "history: none; there is no journal",
    ] {
        assert!(out.contains(words), "{words:?} in {out}");
    }
    assert!(
        end.contains("1 alert planned for, 1 ours, 1 incident: 0 would be acted upon"),
        "{end}"
    );
    assert!(end.trim_end().ends_with("nothing was done"), "{end}");

    let (out, _) = plan(&[&full, "--hook", "narrow"], 0);
    assert!(
        out.contains("clear may not be started by the hook narrow"),
        "{out}"
    );
    let (_, end) = plan(&[&full], 1);
    assert!(
        end.contains("am and narrow are hooks that take it"),
        "{end}"
    );
    let (_, end) = plan(&[&full, "--hook", "an"], 2);
    assert!(end.contains("did you mean am?"), "{end}");

    let foreign = write(json!([{"labels": {"alertname": "Full", "instance": "there"}}]));
    let (out, _) = plan(&[&foreign, "--hook", "am"], 0);
    assert!(out.contains("not of this machine"), "{out}");
    assert!(
        out.contains("it has no label fs, wanted one of [\"/srv\"]"),
        "{out}"
    );
    let hostile = write(json!({"labels": {"alertname": "a\u{1b}[2J\nb", "instance": "here"}}));
    let (out, _) = plan(&[&hostile, "--hook", "am"], 0);
    assert!(!out.contains('\u{1b}') && !out.contains("\nb"), "{out:?}");
    let broken = scratch.write("broken.json", "{\"alerts\": [");
    let (_, end) = plan(&[broken.to_str().unwrap()], 1);
    assert!(end.contains("broken.json: no JSON"), "{end}");

    let (out, _) = plan(&["--check", "alive"], 0);
    assert!(
        out.contains("alert CheckFailed (warning) fires, by the hook check"),
        "{out}"
    );
    let (_, end) = plan(&["--check", "alife"], 2);
    assert!(end.contains("no check is called"), "{end}");
    assert!(!state.exists());
    assert!(!scratch.path().join("touched").exists());
}

#[test]
fn a_check_that_fails_already_is_planned_for_as_the_alert_it_is() {
    let scratch = Scratch::new();
    let text = "
http: {listen: ['127.0.0.1:0']}
checks: {gone: {probe: {process: {name: no-such-process}}, every: 100ms, fall: 1, critical: true}}
playbooks:
  gone:
    match: {alertname: CheckFailed}
    target: node
    ladder: [{do: {command: {argv: [/bin/true]}}}]
    verify: {all: [{check: gone}]}
";
    let path = scratch.write("nodeward.yml", text);
    let state = scratch.path().join("state");
    let (path, state) = (path.to_str().unwrap(), state.to_str().unwrap());
    let with = ["--config", path, "--state-dir", state];
    let program = Program::start(&scratch, &with);
    until(&scratch, state, "observed", 1);
    let plan = |more: &[&str]| planned(&scratch, &[&["--check", "gone"], more, &with[..]].concat());
    let stands = plan(&[]);
    assert!(stands["alerts"][0]["known"].is_string(), "{stands}");
    assert_eq!(stands["incidents"][0]["would"], "go_on");
    let anew = plan(&["--as-new"]);
    assert!(anew["alerts"][0]["known"].is_null(), "{anew}");
    assert_eq!(program.end(), Some(0));
}
