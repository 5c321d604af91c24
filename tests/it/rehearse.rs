//! `nodeward rehearse` tells the incidents that a live run had, and of any recording the same each time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::healing::{Service, Told, body, config, post};
use crate::program::{Program, Scratch, output};

/// All it printed, and what it said of it.
fn rehearsed(scratch: &Scratch, args: &[&str], code: i32) -> (String, String) {
    let ended = output(scratch, &[&["rehearse"], args].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(ended.stdout), text(ended.stderr));
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {out}{err}");
    (out, err)
}

/// By target: each state, and each decision with the guards that refuse.
fn steps(lines: &str) -> BTreeMap<String, Vec<String>> {
    let mut steps = BTreeMap::<String, Vec<String>>::new();
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let step = match record["kind"].as_str().unwrap() {
            "state" => record["to"].as_str().unwrap().to_owned(),
            "decision" => {
                let guards = record["data"]["guards"].as_array().unwrap().iter();
                let refusing = guards.filter(|guard| guard["passes"] == json!(false));
                let names: Vec<&str> = refusing.map(|g| g["guard"].as_str().unwrap()).collect();
                format!("refused by {names:?}")
            }
            "intent" => record["data"]["action"].to_string(),
            _ => continue,
        };
        let target = record["target"].as_str().unwrap();
        steps.entry(target.to_owned()).or_default().push(step);
    }
    steps
}

fn live(scratch: &Scratch) -> BTreeMap<String, Vec<String>> {
    let out = output(scratch, &["journal", "export"]);
    steps(&String::from_utf8(out.stdout).unwrap())
}

#[test]
fn a_journal_of_a_live_run_tells_the_same_incidents() {
    let (scratch, service) = (Scratch::new(), Service::start());
    let path = scratch.write("nodeward.yml", &config("auto", &service, 6));
    let path = path.to_str().unwrap();
    let mut program = Program::start(&scratch, &["--config", path]);
    let address = program.http();
    assert_eq!(post(&address, &body(&[0, 1, 2])), Some(200));
    Told::until(&scratch, "healed", |told| told.came_to("healed") == 3);
    let on = ["maintenance", "on", "--reason", "disk swap"];
    assert!(output(&scratch, &on).status.success());
    assert_eq!(post(&address, &body(&[3])), Some(200));
    let refused = |told: &Told| told.came_to("waiting") == 4;
    Told::until(&scratch, "the fourth", refused);
    // It has been decided once its reason is seen.
    loop {
        let status = output(&scratch, &["status"]).stdout;
        if String::from_utf8_lossy(&status).contains("waits for maintenance") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(output(&scratch, &["maintenance", "off"]).status.success());
    Told::until(&scratch, "healed", |told| told.came_to("healed") == 4);
    // While it runs, and once it has ended.
    let effects = service.effects();
    let expected = live(&scratch);
    assert_eq!(expected.len(), 4);
    let (running, _) = rehearsed(&scratch, &["--config", path, "--json"], 0);
    assert_eq!(steps(&running), expected);
    assert_eq!(program.end(), Some(0));
    let state = scratch.path().to_str().unwrap();
    let (again, said) = rehearsed(
        &scratch,
        &["--config", path, "--json", "--journal", state],
        0,
    );
    assert_eq!(again, running);
    assert!(said.contains("4 alerts rehearsed, "), "{said}");
    assert!(
        said.contains("4 incidents, would have acted 4 times, escalated 0; nothing was done"),
        "{said}"
    );
    assert_eq!(live(&scratch), expected, "the journal is as it was");
    assert_eq!(service.effects(), effects, "nothing was done");
    // Only what came before the maintenance.
    let (part, _) = rehearsed(
        &scratch,
        &[
            "--config",
            path,
            "--json",
            "--until",
            "2001-01-01T00:00:00Z",
        ],
        0,
    );
    assert_eq!(part, "");
}

/// What Alertmanager sends of one alert.
fn sent(status: &str, began: &str, ended: &str) -> String {
    json!({"version": "4", "alerts": [{"status": status, "labels": {"alertname": "Down", "instance": "here"},
        "annotations": {}, "startsAt": began, "endsAt": ended, "fingerprint": "f"}]})
    .to_string()
}

const CONFIG: &str = r#"
http: {listen: ['127.0.0.1:0']}
node: {match: {instance: [here]}}
checks: {web: {probe: {tcp: {address: '127.0.0.1:1'}}}}
playbooks:
  web-down:
    match: {alertname: Down}
    target: {unit: web.service}
    confirm: [{check: web}]
    ladder: [{do: {systemd: restart}}]
    verify: {all: [{check: web}]}
  other:
    match: {alertname: Up}
    target: {unit: web.service}
    ladder: [{do: {systemd: restart}}]
"#;

#[test]
fn a_directory_of_bodies_is_told_in_words_and_what_is_bad_in_it_costs_itself() {
    let scratch = Scratch::new();
    let path = scratch.write("nodeward.yml", CONFIG);
    let bodies = scratch.path().join("bodies");
    std::fs::create_dir(&bodies).unwrap();
    let put = |name: &str, text: &str| std::fs::write(bodies.join(name), text).unwrap();
    let never = "0001-01-01T00:00:00Z";
    put("1.json", &sent("firing", "2026-11-22T10:00:00Z", never));
    put("2.json", "{\"alerts\": [");
    put(
        "3.json",
        &sent("resolved", "2026-11-22T10:00:00Z", "2026-11-22T10:15:00Z"),
    );
    put(
        "4.json",
        r#"[{"labels": {"alertname": "Else\u001b[2J", "instance": "here"}}, {"labels": {"alertname": "Down", "instance": "there"}}]"#,
    );
    put("5.json", &"[".repeat(5 << 20));
    put("notes.txt", "no body");
    let state = scratch.path().join("state");
    let with = [bodies.to_str().unwrap(), "--config", path.to_str().unwrap()];
    let run = |more: &[&str]| rehearsed(&scratch, &[&with[..], more].concat(), 1);

    let (out, said) = run(&[]);
    for words in [
        "assumed: the first action helps",
        "00001 unit:web.service by playbook web-down (observe), alert Down (warning)\n",
        "  2026-11-22T10:00:00.000Z  alert Down is firing (from the hook alertmanager)\n",
        "  2026-11-22T10:00:00.000Z  all 19 guards let it pass; confirm: web sees it too (assumed); would be done: restart unit ",
        "  2026-11-22T10:00:00.000Z  the incident of unit:web.service is observed",
        "playbook web-down (observe): 1 alert, 1 incident, would have acted 1 time\n  ended as: observed 1\n",
        "playbook other (observe): 0 alerts, 0 incidents, would have acted 0 times\n",
        "taken by no playbook:\n  Else\\u{1b}[2J, 1 time: nearest is other: alertname is \"Else\\u{1b}[2J\", wanted \"Up\"\n",
    ] {
        assert!(out.contains(words), "{words:?} in {out}");
    }
    assert!(!out.contains('\u{1b}'));
    for words in [
        "2.json: no JSON",
        "5.json: it is larger than",
        "3 alerts rehearsed",
        "1 of other machines",
        "2 files could not be used",
    ] {
        assert!(said.contains(words), "{words:?} in {said}");
    }
    assert_eq!(run(&[]), (out, said), "the same each time");

    // The ladder to its end, and people are told; it never gets well, so that nothing more follows.
    let (out, _) = run(&["--mode", "auto", "--assume", "fail"]);
    for words in [
        "web-down (auto)",
        "intent, on record before anything happens: restart unit ",
        "the incident of unit:web.service is escalated: exhausted",
        "escalated: exhausted 1",
    ] {
        assert!(out.contains(words), "{words:?} in {out}");
    }
    assert!(!out.contains("is healed"), "{out}");
    let (out, _) = run(&["--mode", "auto", "--assume", "resolve"]);
    assert!(
        out.contains("is escalated") && out.contains("is healed"),
        "{out}"
    );
    assert!(!state.exists());

    let empty = scratch.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (_, said) = rehearsed(&scratch, &[empty.to_str().unwrap(), "--config", with[2]], 1);
    assert!(said.contains("no *.json"), "{said}");
    let (_, said) = rehearsed(
        &scratch,
        &["--config", with[2], "--journal", empty.to_str().unwrap()],
        1,
    );
    assert!(said.contains("there is none in"), "{said}");
    rehearsed(&scratch, &["--assume", "hope"], 2);
}
