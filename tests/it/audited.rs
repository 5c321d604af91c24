//! What the journal says of starts, ends and logins that were refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::operate::told;
use crate::program::{Program, Scratch, exchange, output};
use crate::tls::testing::Authority;
use crate::tls::{ask, authority, client};

/// bcrypt of `abc`, the example of its reference implementation.
const ABC: &str = "$2y$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";

/// The records of a kind, as they are exported.
fn records(scratch: &Scratch, kind: &str) -> Vec<Value> {
    let exported = output(scratch, &["journal", "export"]).stdout;
    let exported = String::from_utf8(exported).unwrap();
    let lines = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|record: &Value| record["kind"] == kind)
        .collect()
}

/// What the logins of an address were that are on record, with how often each came.
fn tried(scratch: &Scratch) -> Vec<(Value, u64)> {
    let mut all: Vec<(Value, u64)> = Vec::new();
    for record in records(scratch, "login") {
        assert_eq!(record["data"]["from"], "127.0.0.1");
        let ways = record["data"]["tried"].as_array().unwrap();
        let counts = ways.iter().map(|way| way["count"].as_u64().unwrap());
        assert_eq!(record["data"]["count"], counts.sum::<u64>());
        for way in ways {
            let count = way["count"].as_u64().unwrap();
            let what = json!([way["listener"], way["at"], way["name"], way["why"]]);
            match all.iter_mut().find(|(known, _)| *known == what) {
                Some((_, sum)) => *sum += count,
                None => all.push((what, count)),
            }
        }
    }
    all
}

fn basic(login: &str) -> String {
    format!("Authorization: Basic {}\r\n", STANDARD.encode(login))
}

fn get(address: &str, path: &str, headers: &str) {
    let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n{headers}\r\n");
    exchange(address, request.as_bytes());
}

#[test]
fn every_way_to_be_refused_is_on_record_with_its_listener_and_name_and_no_secret() {
    let scratch = Scratch::new();
    let ours = authority(&scratch);
    for (name, text) in [
        ("hook.secret", "hook-0123456789abcdef"),
        ("api.token", "api-0123456789abcdef"),
        ("web.yml", &format!("basic_auth_users: {{ann: {ABC}}}\n")),
    ] {
        scratch.write(name, text);
    }
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"], "web_config": "web.yml"},
        "hooks": {"alertmanager": {"basic": {"username": "am", "password_file": "hook.secret"}}},
        "api": {"listen": ["127.0.0.1:0"], "tokens": {"soar": {"token_file": "api.token", "role": "operate"}},
            "tls": {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.pem"}},
    });
    let file = scratch.write("nodeward.yml", &config.to_string());
    let mut program = Program::start(&scratch, &["--config", file.to_str().unwrap()]);
    let api = program.address("taking orders at https://");
    let http = program.http();
    let path = "/api/v1/state";
    get(&http, "/metrics", &basic("ann:wrong-password"));
    get(&http, "/metrics", &basic("eve:wrong-password"));
    // Who asks without a login is asked for one, and has tried nothing.
    get(&http, "/metrics", "");
    let post = format!(
        "POST /hooks/alertmanager HTTP/1.0\r\nHost: x\r\n{}Content-Length: 2\r\n\r\n{{}}",
        basic("mallory:wrong-password")
    );
    exchange(&http, post.as_bytes());
    let known = client(&scratch, "known", Some(&ours.issue(&["soar.example"])));
    for token in ["wrong-token-1", "wrong-token-2"] {
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n");
        let answer = ask(&known, &api, &request).unwrap();
        assert!(answer.starts_with("HTTP/1.0 401"), "{answer}");
    }
    let theirs = Authority::new("theirs").issue(&["soar.example"]);
    let stranger = client(&scratch, "stranger", Some(&theirs));
    assert!(ask(&stranger, &api, "GET / HTTP/1.0\r\n\r\n").is_err());
    assert_eq!(program.end(), Some(0));

    let wrong = "the name or the password is wrong";
    let mut all = tried(&scratch);
    let certificate = |what: &Value| what[1] == "client certificate";
    let of_certificate: Vec<_> = all.extract_if(.., |(what, _)| certificate(what)).collect();
    assert_eq!(of_certificate.len(), 1, "{of_certificate:?}");
    assert_eq!(
        (&of_certificate[0].0[0], of_certificate[0].1),
        (&json!("api"), 1)
    );
    assert_eq!(
        all,
        [
            (json!(["http", "web_config", "ann", wrong]), 1),
            (json!(["http", "web_config", "eve", wrong]), 1),
            (
                json!([
                    "http",
                    "/hooks/alertmanager",
                    "mallory",
                    "the token or password is wrong"
                ]),
                1
            ),
            (json!(["api", "/api/v1", null, "the token is wrong"]), 2),
        ]
    );
    let exported = String::from_utf8(output(&scratch, &["journal", "export"]).stdout).unwrap();
    for secret in ["wrong-password", "wrong-token", "0123456789abcdef"] {
        assert!(!exported.contains(secret), "{secret}: {exported}");
    }
    told(&scratch, &["journal", "verify"], 0);
}

#[test]
fn a_start_says_whether_the_process_before_ended_in_order() {
    let scratch = Scratch::new();
    let hook = "http: {listen: ['127.0.0.1:0']}\nhooks: {alertmanager: {}}\n";
    let file = scratch.write("nodeward.yml", hook);
    let start = || {
        let mut program = Program::start(&scratch, &["--config", file.to_str().unwrap()]);
        program.http();
        program
    };
    let first = start();
    assert_eq!(first.end(), Some(0));
    let second = start();
    second.signal(Signal::KILL);
    assert_ne!(second.end(), Some(0));
    scratch.write(
        "nodeward.yml",
        "http: {listen: ['127.0.0.1:0']}\nhooks: {am: {kind: alertmanager}}\n",
    );
    assert_eq!(start().end(), Some(0));
    let starts = records(&scratch, "start");
    let before: Vec<_> = starts
        .iter()
        .map(|start| start["data"]["before"].as_str().unwrap())
        .collect();
    assert_eq!(before, ["nothing", "stopped", "died"]);
    assert_ne!(starts[0]["data"]["config"], starts[2]["data"]["config"]);
    let stops = records(&scratch, "stop");
    assert_eq!(stops.len(), 2);
    assert_eq!(stops[0]["data"], json!({"why": "it was told to"}));
    told(&scratch, &["journal", "verify"], 0);
}
