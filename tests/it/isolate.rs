//! A node that leaves its pool, seen from outside, over SIGKILL.

use rustix::process::Signal;
use serde_json::Value;

use crate::operate::fire;
use crate::program::{Program, Scratch, output};

/// A playbook that leaves a pool which sessions leave within `drain`.
fn config(drain: &str) -> String {
    format!(
        r#"
http: {{listen: ['127.0.0.1:0']}}
node: {{match: {{instance: [here]}}}}
hooks: {{am: {{kind: alertmanager}}}}
pools: {{web: {{drain: {drain}}}}}
checks: {{alive: {{probe: {{process: {{name: nodeward}}}}, every: 1h}}}}
playbooks:
  clear:
    mode: auto
    match: {{alertname: Full}}
    target: node
    isolate: web
    ladder: [{{do: {{command: {{argv: [/bin/true]}}}}, timeout: 10s}}]
    verify: {{all: [{{check: alive}}], pass: 1, every: 100ms}}
    probation: 200ms
"#
    )
}

/// Healing as `status` tells it, once it is as wanted.
fn until(scratch: &Scratch, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    // The bound is only ever used up by a failure.
    for _ in 0..3_000 {
        let text = output(scratch, &["status", "--json"]).stdout;
        last = serde_json::from_slice::<Value>(&text).unwrap()["healing"].clone();
        if wanted(&last) {
            return last;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{last:#}");
}

/// What was done to holds, as the journal has it.
fn done(scratch: &Scratch) -> Vec<String> {
    let text = output(scratch, &["journal", "list", "--kind", "hold"]).stdout;
    let text = String::from_utf8(text).unwrap();
    let lines = text.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["data"]["did"].as_str().unwrap().to_owned()
    });
    lines.collect()
}

#[test]
fn heals_out_of_the_pool_and_rejoins() {
    let scratch = Scratch::new();
    let config = scratch.write("nodeward.yml", &config("100ms"));
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    fire(&address);
    until(&scratch, |healing| {
        let web = &healing["pools"]["web"];
        healing["open"] == serde_json::json!([])
            && web["holds"] == serde_json::json!([])
            && web["returning"] == false
            && done(&scratch).len() >= 5
    });
    assert_eq!(done(&scratch), ["place", "out", "ease", "lift", "heard"]);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn killed_on_its_way_out_it_is_out_again_when_it_starts_and_a_person_takes_it_back() {
    let scratch = Scratch::new();
    let config = scratch.write("nodeward.yml", &config("1h"));
    let run = ["--config", config.to_str().unwrap()];
    let mut program = Program::start(&scratch, &run);
    let address = program.http();
    fire(&address);
    let healing = until(&scratch, |healing| {
        healing["open"][0]["state"] == "isolating"
    });
    assert_eq!(healing["isolated"], true);
    program.signal(Signal::KILL);
    assert_eq!(program.end(), None);

    let program = Program::start(&scratch, &run);
    let healing = until(&scratch, |_| true);
    assert_eq!(healing["isolated"], true, "from the first answer on");
    let id = healing["open"][0]["id"].as_str().unwrap().to_owned();
    let owner = format!("incident:{id}");
    assert_eq!(healing["pools"]["web"]["holds"][0]["owner"], owner.as_str());
    let said = |args: &[&str]| {
        let ended = output(&scratch, args);
        let said = [ended.stdout, ended.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        (ended.status.code(), said)
    };
    assert_eq!(said(&["cancel", &id]).0, Some(0));
    let (_, status) = said(&["status"]);
    let lift = format!("nodeward rejoin web --hold {owner}");
    assert!(status.contains(&lift), "{status}");
    let (code, refused) = said(&["rejoin", "web"]);
    assert!(code == Some(1) && refused.contains(&owner), "{refused}");
    assert_eq!(said(&["rejoin", "web", "--hold", &owner]).0, Some(0));
    let healing = until(&scratch, |healing| healing["isolated"] == false);
    assert_eq!(healing["pools"]["web"]["holds"], serde_json::json!([]));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn an_operator_sees_who_has_not_heard_of_a_hold() {
    let scratch = Scratch::new();
    let gone = scratch.path().join("admin.sock");
    let config = format!(
        "pools: {{web: {{drain: 0s, gates: [{{haproxy_runtime: {{socket: 'unix:{}', backend: web, server: here}}}}]}}}}\n",
        gone.display()
    );
    let config = scratch.write("nodeward.yml", &config);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    program.line("serving");
    let ended = output(&scratch, &["isolate", "web", "--reason", "a test"]);
    assert!(ended.status.success());
    until(&scratch, |healing| {
        healing["pools"]["web"]["standing"]["traffic"] == "out"
            && healing["pools"]["web"]["standing"]["gates"][0]["ok"] == false
    });
    let status = output(&scratch, &["status"]).stdout;
    let status = String::from_utf8(status).unwrap();
    let lines: Vec<&str> = status.lines().collect();
    let held = lines
        .iter()
        .position(|line| line.starts_with("held out of web since "));
    let [_, lift, stands, gate, ..] = &lines[held.unwrap()..] else {
        panic!("{status}");
    };
    assert!(
        lift.contains("nodeward rejoin web --hold operator:"),
        "{status}"
    );
    assert_eq!(
        *stands,
        "  is to take no traffic, and not every gate has heard"
    );
    assert!(gate.contains("admin.sock"), "{status}");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn how_an_operator_had_the_node_leave_a_pool_is_on_record_once() {
    let scratch = Scratch::new();
    let config = scratch.write("nodeward.yml", &config("100ms"));
    let run = ["--config", config.to_str().unwrap()];
    let mut program = Program::start(&scratch, &run);
    program.line("serving");
    let ended = output(&scratch, &["isolate", "web", "--reason", "a test"]);
    assert!(ended.status.success());
    until(&scratch, |_| done(&scratch).len() == 2);
    assert_eq!(program.end(), Some(0));
    let mut program = Program::start(&scratch, &run);
    program.line("out of the pool: ");
    let owner = until(&scratch, |_| true)["pools"]["web"]["holds"][0]["owner"].clone();
    let lift = ["rejoin", "web", "--hold", owner.as_str().unwrap()];
    assert!(output(&scratch, &lift).status.success());
    until(&scratch, |healing| {
        healing["pools"]["web"]["returning"] == false && done(&scratch).len() == 4
    });
    assert_eq!(done(&scratch), ["place", "out", "lift", "heard"]);
    assert_eq!(program.end(), Some(0));
}
