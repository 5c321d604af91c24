//! What operators see and order over HTTP, and who is not let in.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::operate::{CONFIG, fire};
use crate::program::{Program, Scratch, connect, exchange, get, output, value};

const ANN: &str = "ann-0123456789abcdef";
const SEE: &str = "see-0123456789abcdef";
const NEXT: &str = "next-0123456789abcdef";

const API: &str = "api: {tokens: {ann: {token_file: [ann.token, next.token], role: operate}, see: {token_file: see.token, role: read}}}\n";

/// An answer of the API.
struct Answer {
    code: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn of(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Self {
            code: code.unwrap_or_else(|| panic!("no answer: {text}")),
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> String {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let token = token.unwrap_or_default();
    let length = body.len();
    format!("{method} {path} HTTP/1.0\r\nHost: x\r\n{token}Content-Length: {length}\r\n\r\n{body}")
}

fn ask(address: &str, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    let path = format!("/api/v1/{path}");
    let request = request(method, &path, token, body);
    Answer::of(&exchange(address, request.as_bytes()))
}

/// What `path` shows.
fn see(address: &str, path: &str) -> Value {
    let answer = ask(address, "GET", path, Some(SEE), "");
    assert_eq!(answer.code, 200, "{path}: {}", answer.error());
    answer.body
}

/// The same once it is as wanted.
fn until(address: &str, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    // The bound is only ever used up by a failure.
    for _ in 0..3_000 {
        let seen = see(address, path);
        if wanted(&seen) {
            return seen;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{path}: {:#}", see(address, path));
}

fn secret(scratch: &Scratch, name: &str, token: &str) {
    let file = scratch.write(name, token);
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A directory with tokens and a config that has them.
fn prepared(more: &str) -> Scratch {
    let scratch = Scratch::new();
    for (name, token) in [("ann.token", ANN), ("next.token", NEXT), ("see.token", SEE)] {
        secret(&scratch, name, token);
    }
    scratch.write("nodeward.yml", &format!("{CONFIG}{more}"));
    scratch
}

fn start(scratch: &Scratch) -> (Program, String) {
    let config = scratch.path().join("nodeward.yml");
    let mut program = Program::start(scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    (program, address)
}

#[test]
fn without_tokens_there_is_no_api() {
    let scratch = prepared("");
    let (program, address) = start(&scratch);
    for (method, path) in [("GET", "state"), ("POST", "pause")] {
        assert_eq!(ask(&address, method, path, Some(ANN), "").code, 404);
    }
    assert_eq!(program.end(), Some(0));
}

#[test]
fn who_may_what_is_said_with_the_right_code() {
    let scratch = prepared(API);
    let (program, address) = start(&scratch);
    let long = format!("{{\"reason\": \"{}\"}}", "x".repeat(17 << 10));
    for (method, path, token, body, code, head) in [
        (
            "GET",
            "state",
            None,
            "",
            401,
            "www-authenticate: bearer realm=\"nodeward\"\r\n",
        ),
        (
            "GET",
            "state",
            Some("nobody's"),
            "",
            401,
            "error=\"invalid_token\"",
        ),
        ("POST", "pause", None, "{}", 401, "www-authenticate: bearer"),
        ("GET", "nothing", None, "", 401, "www-authenticate: bearer"),
        (
            "POST",
            "pause",
            Some(SEE),
            "{}",
            403,
            "error=\"insufficient_scope\"",
        ),
        (
            "POST",
            "ack",
            Some(SEE),
            "{\"incident\": \"01JD\"}",
            403,
            "error=\"insufficient_scope\"",
        ),
        (
            "POST",
            "ack",
            Some(ANN),
            "{\"incident\": \"ZZZZ\"}",
            404,
            "",
        ),
        ("POST", "ack", Some(ANN), "{\"by\": \"x\"}", 400, ""),
        ("GET", "pause", Some(ANN), "", 405, "allow: post\r\n"),
        (
            "DELETE",
            "state",
            Some(ANN),
            "",
            405,
            "allow: get, head\r\n",
        ),
        ("GET", "nothing", Some(ANN), "", 404, ""),
        ("GET", "state/", Some(ANN), "", 404, ""),
        ("POST", "reload", Some(ANN), "", 404, ""),
        ("GET", "incidents/..%2f", Some(ANN), "", 404, ""),
        ("GET", "incidents/01JD", Some(ANN), "", 404, ""),
        ("GET", "events?aftr=1", Some(ANN), "", 400, ""),
        ("GET", "events?limit=1001", Some(ANN), "", 400, ""),
        ("GET", "incidents?state=well", Some(ANN), "", 400, ""),
        ("POST", "pause", Some(ANN), "{\"reson\": \"x\"}", 400, ""),
        ("POST", "pause", Some(ANN), "[", 400, ""),
        (
            "POST",
            "approve",
            Some(ANN),
            "{\"incident\": \"ZZZZZZ\"}",
            404,
            "",
        ),
        (
            "HEAD",
            "state",
            Some(SEE),
            "",
            200,
            "content-type: application/json",
        ),
    ] {
        let answer = ask(&address, method, path, token, body);
        let said = format!("{method} {path} {token:?}: {} {}", answer.head, answer.body);
        assert_eq!(answer.code, code, "{said}");
        assert!(answer.head.contains(head), "{head} in {said}");
        assert!(answer.head.contains("cache-control: no-store"), "{said}");
        assert_eq!(answer.error().is_empty(), code == 200, "{said}");
    }
    assert_eq!(ask(&address, "POST", "pause", Some(ANN), &long).code, 413);
    let basic = "GET /api/v1/state HTTP/1.0\r\nAuthorization: Basic YTpi\r\n\r\n";
    assert_eq!(Answer::of(&exchange(&address, basic.as_bytes())).code, 401);

    let page = get(&address, "/metrics").1;
    let refused = |why: &str| {
        value(
            &page,
            &format!("nodeward_api_refused_logins_total{{why=\"{why}\"}}"),
        )
    };
    assert_eq!(refused("missing"), Some(3.0));
    assert_eq!(refused("wrong"), Some(2.0));
    let answered = |code: u16| {
        value(
            &page,
            &format!("nodeward_http_requests_total{{path=\"/api\",code=\"{code}\"}}"),
        )
    };
    assert_eq!((answered(401), answered(403)), (Some(5.0), Some(2.0)));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_pause_survives_a_restart_and_is_on_record_by_the_name_of_the_token() {
    let scratch = prepared(API);
    let (program, address) = start(&scratch);
    let paused = ask(
        &address,
        "POST",
        "pause",
        Some(ANN),
        "{\"reason\": \"release\"}",
    );
    assert!(paused.body["done"].as_str().unwrap().starts_with("paused"));
    assert_eq!(program.end(), Some(0));

    let (program, address) = start(&scratch);
    let state = see(&address, "state");
    let said = state["healing"]["paused"].as_str().unwrap();
    assert!(said.starts_with("release (by ann since "), "{said}");
    assert_eq!(
        (&state["state"], &state["healing"]["storm"]),
        (&"healthy".into(), &Value::Null)
    );
    let maintenance = "{\"on\": true, \"reason\": \"disk\", \"until\": \"2999-01-01T00:00:00Z\"}";
    ask(&address, "POST", "maintenance", Some(NEXT), maintenance);
    assert_eq!(see(&address, "state")["state"], "maintenance");
    ask(
        &address,
        "POST",
        "maintenance",
        Some(ANN),
        "{\"on\": false}",
    );
    ask(&address, "POST", "resume", Some(ANN), "");
    let record = output(&scratch, &["journal", "list", "--kind", "operator"]).stdout;
    let record = String::from_utf8(record).unwrap();
    for did in ["pause", "maintenance on", "maintenance off", "resume"] {
        let words = [format!("\"did\":\"{did}\""), "\"by\":\"ann\"".to_owned()];
        let said = |line: &str| words.iter().all(|word| line.contains(word));
        assert!(record.lines().any(said), "{words:?} in {record}");
    }
    assert_eq!(program.end(), Some(0));
}

#[test]
fn what_waits_is_seen_approved_and_healed_and_every_record_read_once() {
    let scratch = prepared(API);
    let (program, address) = start(&scratch);
    let checks = until(&address, "checks", |seen| {
        !seen["checks"][0]["last"].is_null()
    });
    let check = &checks["checks"][0];
    let told = (
        &check["name"],
        &check["kind"],
        &check["critical"],
        &check["last"]["ok"],
    );
    let wanted = ("alive".into(), "process".into(), false.into(), true.into());
    assert_eq!(
        told,
        (&wanted.0, &wanted.1, &wanted.2, &wanted.3),
        "{check}"
    );

    fire(&address);
    let waits = |seen: &Value| seen["incidents"][0]["refused_by"][0]["guard"] == "approval";
    let seen = until(&address, "incidents?state=waiting", waits);
    let id = seen["incidents"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(see(&address, "state")["state"], "degraded");
    assert_eq!(
        see(&address, "incidents?state=closed")["incidents"],
        Value::Array(Vec::new())
    );
    let body = format!("{{\"incident\": \"{id}\"}}");
    assert_eq!(ask(&address, "POST", "approve", Some(ANN), &body).code, 200);
    let healed = until(&address, "incidents?state=healed", |seen| {
        !seen["incidents"][0].is_null()
    });
    assert_eq!(healed["incidents"][0]["id"], id.as_str());
    assert_eq!(
        see(&address, "incidents")["incidents"],
        Value::Array(Vec::new())
    );

    let one = see(&address, &format!("incidents/{}", id.to_lowercase()));
    assert_eq!(one["incident"]["state"], "healed");
    let verdicts = one["guards"]["verdicts"].as_array().unwrap();
    let approval = verdicts
        .iter()
        .find(|verdict| verdict["guard"] == "approval");
    assert_eq!(approval.unwrap()["value"], "given by ann");
    let shown = output(&scratch, &["journal", "show", &id]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert_eq!(
        one["records"].as_array().unwrap().len(),
        shown.lines().count()
    );

    let mut after = 0;
    let mut read = Vec::new();
    loop {
        let some = see(&address, &format!("events?after={after}&limit=3"));
        let events = some["events"].as_array().unwrap();
        assert!(events.len() <= 3);
        assert_eq!(some["deleted_to"], 0);
        if events.is_empty() {
            assert_eq!(some["next"], after);
            break;
        }
        read.extend(events.iter().map(ToString::to_string));
        after = some["next"].as_i64().unwrap();
    }
    let exported = output(&scratch, &["journal", "export"]).stdout;
    let exported = String::from_utf8(exported).unwrap();
    let exported: Vec<Value> = exported
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let exported: Vec<String> = exported.iter().map(ToString::to_string).collect();
    assert_eq!(read, exported);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_token_is_changed_by_a_reload_while_it_is_in_use() {
    let scratch = prepared(API);
    let (mut program, address) = start(&scratch);
    let code = |token| ask(&address, "GET", "state", Some(token), "").code;
    assert_eq!(
        (code(ANN), code(NEXT), code("third-0123456789")),
        (200, 200, 401)
    );
    secret(&scratch, "ann.token", "third-0123456789\n");
    program.signal(Signal::HUP);
    program.next_line("config reloaded");
    assert_eq!(
        (code(ANN), code(NEXT), code("third-0123456789")),
        (401, 200, 200)
    );
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_thousand_wrong_tokens_are_held_back_and_the_right_one_with_them() {
    let scratch = prepared(API);
    let (mut program, address) = start(&scratch);
    let codes: Vec<u16> = (0..1_000)
        .map(|n| ask(&address, "GET", "state", Some(&format!("guess-{n}")), "").code)
        .collect();
    assert!(codes[..10].iter().all(|code| *code == 401), "{codes:?}");
    assert_eq!(codes[10], 429);
    let refused = ask(&address, "GET", "state", Some(SEE), "");
    // On a slow machine a minute may be over before the thousandth.
    if codes.iter().filter(|code| **code == 401).count() == 10 {
        assert_eq!(refused.code, 429);
        assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    }
    program.line("refused a login to the API");
    let page = get(&address, "/metrics").1;
    let throttled = value(
        &page,
        "nodeward_api_refused_logins_total{why=\"throttled\"}",
    );
    assert!(
        throttled.is_some_and(|count| count >= 900.0),
        "{throttled:?}"
    );
    // Nobody is locked out of the control socket.
    assert_eq!(output(&scratch, &["pause"]).status.code(), Some(0));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn slow_and_huge_requests_cost_nobody_else() {
    let scratch = prepared(API);
    let (program, address) = start(&scratch);
    let head = |token: &str| {
        format!("POST /api/v1/pause HTTP/1.1\r\nHost: x\r\n{token}Content-Length: 100\r\n\r\n")
    };
    let known = format!("Authorization: Bearer {ANN}\r\n");
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut stream = connect(&address);
            stream.write_all(head(&known).as_bytes()).unwrap();
            stream.write_all(b"{").unwrap();
            stream
        })
        .collect();
    // Who is not let in is told so before he has sent his body.
    let mut stream = connect(&address);
    stream.write_all(head("").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(Answer::of(&answer).code, 401);
    let huge = format!(
        "GET /api/v1/state HTTP/1.0\r\nAuthorization: Bearer {}\r\n\r\n",
        "x".repeat(100_000)
    );
    let huge = String::from_utf8_lossy(&exchange(&address, huge.as_bytes())).into_owned();
    assert!(
        huge.starts_with("HTTP/1.1 431") || huge.starts_with("HTTP/1.0 431"),
        "{huge}"
    );
    assert_eq!(see(&address, "state")["healing"]["paused"], Value::Null);
    drop(slow);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn on_a_listener_of_its_own_it_is_served_nowhere_else_and_tokens_in_clear_are_warned_of() {
    let scratch = prepared(&API.replace("api: {", "api: {listen: ['0.0.0.0:0'], "));
    std::fs::set_permissions(
        scratch.path().join("see.token"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let (mut program, address) = start(&scratch);
    let line = program.line("taking orders at http://");
    let port = line.split("taking orders at http://").nth(1).unwrap();
    let port = port.split([':', '/']).nth(1).unwrap();
    let own = format!("127.0.0.1:{port}");
    assert_eq!(see(&own, "state")["state"], "healthy");
    assert_eq!(ask(&own, "GET", "../../metrics", Some(SEE), "").code, 404);
    assert_eq!(get(&own, "/metrics").0, 401);
    assert_eq!(ask(&address, "GET", "state", Some(SEE), "").code, 404);
    program.line("tokens cross the network to 0.0.0.0:0 in clear");
    program.line("may read the secret in");
    assert_eq!(program.end(), Some(0));
}
