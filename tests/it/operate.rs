//! What operators tell a running nodeward, and what it says of its incidents.

use crate::program::{Program, Scratch, command, exchange, output};

/// A playbook that waits for a person.
pub const CONFIG: &str = r#"
http: {listen: ['127.0.0.1:0']}
node: {match: {instance: [here]}}
hooks: {am: {kind: alertmanager}}
checks: {alive: {probe: {process: {name: nodeward}}, every: 1h}}
playbooks:
  clear:
    mode: approve
    match: {alertname: Full}
    target: node
    ladder: [{do: {command: {argv: [/bin/true]}}, timeout: 10s}]
    verify: {all: [{check: alive}], pass: 1, every: 100ms}
    probation: 0s
"#;

/// Runs a command that must end with `code`; all it printed.
pub fn told(scratch: &Scratch, args: &[&str], code: i32) -> String {
    let ended = output(scratch, args);
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
    said
}

/// Sends an alert that fires.
pub fn fire(address: &str) {
    fire_as(address, "Full");
}

/// The same of another name, as JSON writes it.
fn fire_as(address: &str, name: &str) {
    let now = nodeward::model::moment::Timestamp::now().to_string();
    let body = r#"{"version": "4", "receiver": "r", "status": "firing", "alerts": [{"status": "firing",
        "labels": {"alertname": "Full", "instance": "here", "severity": "warning"}, "annotations": {},
        "startsAt": "NOW", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "f"}]}"#;
    let body = body.replace("NOW", &now).replace("Full", name);
    let request = format!(
        "POST /hooks/am HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = String::from_utf8_lossy(&exchange(address, request.as_bytes())).into_owned();
    assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
}

/// The state, once it is as wanted.
fn state(scratch: &Scratch, wanted: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    // The bound is only ever used up by a failure.
    for _ in 0..3_000 {
        let text = output(scratch, &["status", "--json"]).stdout;
        let state: serde_json::Value = serde_json::from_slice(&text).unwrap();
        if wanted(&state["healing"]) {
            return state["healing"].clone();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{}", told(scratch, &["status", "--json"], 0));
}

fn waits_for(guard: &str) -> impl Fn(&serde_json::Value) -> bool {
    move |healing| {
        let refused = healing["open"][0]["refused_by"].as_array();
        refused.is_some_and(|all| all.iter().any(|v| v["guard"] == guard))
    }
}

#[test]
fn a_name_that_holds_a_line_end_makes_no_line_of_its_own() {
    let scratch = Scratch::new();
    let config = scratch.write("nodeward.yml", CONFIG);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    fire_as(&program.http(), r"a\nnode is healthy\u001b[2K");
    state(&scratch, |healing| healing["alerts"][0].is_object());
    let shown = told(&scratch, &["status"], 0);
    assert!(
        !shown
            .lines()
            .any(|line| line.starts_with("node is healthy")),
        "{shown}"
    );
    assert!(
        shown.contains(r"alert a\u{a}node is healthy\u{1b}[2K (warning)"),
        "{shown}"
    );
    assert_eq!(program.end(), Some(0));
}

#[test]
fn operators_pause_maintain_and_approve_and_each_is_on_record_by_name() {
    let scratch = Scratch::new();
    let config = scratch.write("nodeward.yml", CONFIG);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();

    told(&scratch, &["pause", "--reason", "release"], 0);
    let said = told(
        &scratch,
        &[
            "maintenance",
            "on",
            "--reason",
            "disk swap",
            "--until",
            "2h",
        ],
        0,
    );
    assert!(said.contains("until"), "{said}");
    fire(&address);
    state(&scratch, waits_for("maintenance"));
    let shown = told(&scratch, &["status"], 0);
    for word in [
        "node is maintenance",
        "healing is paused: release (by ",
        "maintenance: disk swap (by ",
        "alert Full (warning)",
        "node by clear, waiting, 0 attempts",
        "waits for kill_switch",
    ] {
        assert!(shown.contains(word), "{word} in {shown}");
    }
    told(&scratch, &["maintenance", "off"], 0);
    told(&scratch, &["resume"], 0);

    let only = |healing: &serde_json::Value| {
        let refused = healing["open"][0]["refused_by"].as_array();
        refused.is_some_and(|all| all.len() == 1 && all[0]["guard"] == "approval")
    };
    let healing = state(&scratch, only);
    let id = healing["open"][0]["id"].as_str().unwrap().to_owned();
    let none = told(&scratch, &["approve", "ZZZZZZ"], 1);
    assert!(none.contains("no open incident ZZZZZZ"), "{none}");
    let said = told(&scratch, &["approve", &id[id.len() - 6..]], 0);
    assert!(said.contains(&id), "{said}");
    state(&scratch, |healing| {
        healing["open"].as_array().is_some_and(Vec::is_empty)
    });
    for (said, outcome) in [("an action has ended", "done"), ("is healed", "healed")] {
        let line = program.line(said);
        for part in [&*id, "clear", "node", "rung=0", outcome] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
    let why = told(&scratch, &["why", &id], 0);
    assert!(why.contains("\ntrace "), "{why}");
    let fires = format!("fires still: nodeward why {id} says how that ended");
    let shown = told(&scratch, &["status"], 0);
    assert!(shown.contains(&fires), "{shown}");

    let who = match rustix::process::geteuid().as_raw() {
        0 => "root".to_owned(),
        uid => format!("uid {uid}"),
    };
    let record = told(&scratch, &["journal", "list", "--kind", "operator"], 0);
    for did in [
        "pause",
        "maintenance on",
        "maintenance off",
        "resume",
        "approve",
    ] {
        let words = [format!("\"did\":\"{did}\""), format!("\"by\":\"{who}\"")];
        let said = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(record.lines().any(said), "{words:?} in {record}");
    }
    assert_eq!(program.end(), Some(0));
}

#[test]
fn who_takes_up_an_escalation_is_shown_everywhere_and_stays_so_over_a_restart() {
    let scratch = Scratch::new();
    // It does not get well meanwhile.
    let ill = CONFIG.replace("name: nodeward", "name: no-such-program");
    let config = scratch.write("nodeward.yml", &ill);
    let flags = ["--config", config.to_str().unwrap()];
    let mut program = Program::start(&scratch, &flags);
    fire(&program.http());
    let healing = state(&scratch, waits_for("approval"));
    let id = healing["open"][0]["id"].as_str().unwrap().to_owned();
    let early = told(&scratch, &["ack", &id], 1);
    assert!(
        early.contains("is waiting: that cannot be done now"),
        "{early}"
    );
    told(&scratch, &["reject", &id], 0);
    state(&scratch, |healing| {
        healing["open"][0]["state"] == "escalated"
    });
    let shown = told(&scratch, &["status"], 0);
    let ask = format!("nobody has acknowledged it: nodeward ack {id}");
    assert!(shown.contains(&ask), "{shown}");
    let order = ["ack", &id, "--by", "eve", "--reason", "making room"];
    let said = told(&scratch, &order, 0);
    assert!(said.contains("acknowledged: eve ("), "{said}");
    let said = told(&scratch, &["ack", &id], 0);
    assert!(
        said.contains("eve (") && said.contains(" already, since "),
        "{said}"
    );
    assert_eq!(program.end(), Some(0));
    let mut program = Program::start(&scratch, &flags);
    program.http();
    let healing = state(&scratch, |healing| healing["open"][0].is_object());
    let has = &healing["open"][0]["acknowledged"];
    assert!(
        has["for"] == "eve" && has["reason"] == "making room",
        "{has}"
    );
    let shown = told(&scratch, &["status"], 0);
    assert!(shown.contains("  eve ("), "{shown}");
    assert!(shown.contains(": making room"), "{shown}");
    let why = told(&scratch, &["why", &id], 0);
    assert!(
        why.contains(") has acknowledged the escalation: making room"),
        "{why}"
    );
    assert_eq!(program.end(), Some(0));
    let proven = told(&scratch, &["journal", "verify"], 0);
    assert!(
        proven.contains("intact") || proven.contains("records"),
        "{proven}"
    );
}

#[test]
fn an_order_that_cannot_be_done_says_why() {
    let scratch = Scratch::new();
    let mut program = Program::start(&scratch, &["--web.listen-address=127.0.0.1:0"]);
    program.line("control socket");
    let off = told(&scratch, &["pause"], 1);
    assert!(off.contains("healing is off"), "{off}");
    let never = ["maintenance", "on", "--reason", "x", "--until", "soon"];
    let said = told(&scratch, &never, 2);
    assert!(said.contains("--until soon"), "{said}");
    let past = [
        "maintenance",
        "on",
        "--reason",
        "x",
        "--until",
        "2001-01-01T00:00:00Z",
    ];
    let said = told(&scratch, &past, 1);
    assert!(said.contains("over already"), "{said}");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_config_that_is_broken_just_now_is_in_no_operators_way() {
    let scratch = Scratch::new();
    let socket = scratch.path().join("own.sock");
    let state = scratch.path().join("state");
    let own = format!(
        "{CONFIG}\ncontrol: {}\nstate: {}\n",
        socket.display(),
        state.display()
    );
    let config = scratch.write("nodeward.yml", &own);
    let file = config.to_str().unwrap();
    let mut program = Program::start(&scratch, &["--config", file]);
    program.line("control socket");
    let named = |args: &[&str], code: i32| {
        let mut command = command(&scratch, args);
        let ended = command.env("NODEWARD_CONFIG", file).output().unwrap();
        let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {said}");
        said
    };
    // A typo, a key that stands twice, a value of the wrong kind and a secret that is not there, beside what is asked for.
    let wrong = format!(
        "{own}\nhtpp: {{}}\nnode: {{}}\nlog: 5\napi: {{tokens: [{{name: a, token_file: gone}}]}}\n"
    );
    scratch.write("nodeward.yml", &wrong);
    named(&["validate"], 78);
    assert!(named(&["pause", "--reason", "release"], 0).starts_with("paused: "));
    assert!(!named(&["status"], 0).contains("cannot be read"));
    let shown = told(&scratch, &["status", "--config", file], 0);
    assert!(shown.contains("healing is paused: release"), "{shown}");
    named(
        &["resume", "--state-dir", scratch.path().to_str().unwrap()],
        0,
    );
    let listed = named(&["journal", "list", "--kind", "operator"], 0);
    assert!(listed.contains("\"did\":\"resume\""), "{listed}");
    named(&["journal", "verify"], 0);
    let none = named(&["why", "ZZZZZZ"], 1);
    assert!(
        none.contains("the journal has no incident ZZZZZZ"),
        "{none}"
    );
    assert!(named(&["health"], 0).contains("healthy"));
    let reload = named(&["reload"], 78);
    assert!(
        reload.contains("the config before stays in force"),
        "{reload}"
    );

    // What is no YAML says nothing of any key: it is said where else is looked.
    scratch.write("nodeward.yml", &format!("{own}\nnode: [\n"));
    let lost = named(&["status"], 1);
    let first = lost.lines().next().unwrap();
    let there = scratch.path().join("nodeward.sock");
    let at = format!("the control socket is looked for at {}", there.display());
    for word in [
        "the config cannot be read: ",
        "nodeward.yml:",
        "this is no YAML",
        &at,
    ] {
        assert!(first.contains(word), "{word} in {lost}");
    }
    std::os::unix::fs::symlink(&socket, &there).unwrap();
    named(&["pause"], 0);
    let lost = named(&["journal", "verify"], 1);
    let at = format!("is looked for at {}", scratch.path().display());
    assert!(
        lost.contains("cannot be read") && lost.contains(&at),
        "{lost}"
    );
    named(
        &["journal", "verify", "--state-dir", state.to_str().unwrap()],
        0,
    );

    // A file that is not there is no config that is broken: somebody named the wrong one.
    let gone = scratch.path().join("gone.yml");
    told(&scratch, &["pause", "--config", gone.to_str().unwrap()], 78);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_notifier_is_tried_out_and_what_it_answers_is_said() {
    let scratch = Scratch::new();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp, tcp) = (socket.local_addr().unwrap(), nobody.local_addr().unwrap());
    drop(nobody);
    let config = format!(
        "notify:\n  soc: {{to: {{syslog: {{address: 'udp://{udp}', format: cef}}}}}}\n  oncall: {{to: {{webhook: {{url: 'http://{tcp}/'}}}}}}\n"
    );
    let config = scratch.write("nodeward.yml", &config);
    let test = |name: &str, code| {
        let args = ["notify", "test", name, "--config", config.to_str().unwrap()];
        told(&scratch, &args, code)
    };
    assert_eq!(
        test("soc", 0),
        "soc (syslog): taken: it was written, and syslog answers nothing\n"
    );
    let mut line = [0; 9_000];
    let (length, _) = socket.recv_from(&mut line).unwrap();
    let line = String::from_utf8_lossy(&line[..length]);
    assert!(line.contains(" TEST - CEF:0|nodeward|nodeward|"), "{line}");
    let refused = test("oncall", 1);
    assert!(
        refused.contains("oncall (webhook): not taken: "),
        "{refused}"
    );
    assert!(refused.contains("refused"), "{refused}");
    let typo = test("sox", 2);
    assert!(typo.contains("did you mean soc?"), "{typo}");
}
