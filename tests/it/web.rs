//! The web configuration file of Prometheus' exporters: who comes in, what every answer has, and a file that changes under the process.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::program::{Program, Scratch, command, connect, exchange, get_unix, output, value};
use crate::tls::testing::Authority;
use crate::tls::{ask, authority, client, code};

/// Of the password `abc`, at the lowest cost that is quick in a test.
const ABC: &str = "$2y$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i";
/// Of the password `a`.
const A: &str = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";

/// A request, with a login if there is one.
fn request(path: &str, login: Option<&str>) -> String {
    let login = login.map(|login| format!("Authorization: Basic {}\r\n", STANDARD.encode(login)));
    let login = login.unwrap_or_default();
    format!("GET {path} HTTP/1.0\r\nHost: x\r\n{login}\r\n")
}

/// The whole answer over plain HTTP.
fn answer(address: &str, path: &str, login: Option<&str>) -> String {
    let answer = exchange(address, request(path, login).as_bytes());
    String::from_utf8(answer).unwrap()
}

fn asked(address: &str, path: &str, login: Option<&str>) -> String {
    code(&answer(address, path, login)).to_owned()
}

fn start(scratch: &Scratch, web: &str, more: &[&str]) -> Program {
    let web = scratch.write("web.yml", web);
    let web = format!("--web.config.file={}", web.display());
    let words = [&["--web.listen-address=127.0.0.1:0", &*web], more].concat();
    Program::spawn(&mut command(scratch, &words))
}

#[test]
fn who_has_a_name_and_its_password_comes_in_and_every_answer_has_the_headers() {
    let scratch = Scratch::new();
    let text = format!(
        "basic_auth_users:\n  ann: {ABC}\n  bob: {A}\nhttp_server_config:\n  headers:\n    X-Frame-Options: deny\n    \
         Strict-Transport-Security: max-age=31536000\n"
    );
    let mut program = start(&scratch, &text, &[]);
    let address = program.http();
    for path in ["/metrics", "/", "/-/healthy", "/health", "/no-such"] {
        let refused = answer(&address, path, None);
        assert_eq!(code(&refused), "401", "{path}");
        let head = refused.to_ascii_lowercase();
        assert!(head.contains("www-authenticate: basic"), "{refused}");
        assert!(head.contains("x-frame-options: deny"), "{refused}");
    }
    assert_eq!(asked(&address, "/metrics", Some("ann:abc")), "200");
    assert_eq!(asked(&address, "/no-such", Some("bob:a")), "404");
    for wrong in ["ann:a", "bob:abc", "eve:abc", "ann:", ":", "ann"] {
        assert_eq!(asked(&address, "/metrics", Some(wrong)), "401", "{wrong}");
    }
    let page = answer(&address, "/metrics", Some("ann:abc"));
    assert!(
        page.to_ascii_lowercase()
            .contains("strict-transport-security: max-age=31536000")
    );
    let count = |series: &str| value(&page, series);
    let refused = |why: &str| {
        count(&format!(
            "nodeward_http_refused_logins_total{{why={why:?}}}"
        ))
    };
    assert_eq!(
        (refused("wrong"), refused("missing")),
        (Some(5.0), Some(6.0))
    );
    assert_eq!(count("nodeward_web_config_current"), Some(1.0));
    assert!(!program.log_has("abc"), "a password or hash is in the log");
    // Who asks for health on the machine itself needs no login.
    let healthy = output(&scratch, &["health"]);
    assert!(healthy.status.success(), "{healthy:?}");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_client_certificate_is_asked_for_and_its_name_looked_at() {
    let scratch = Scratch::new();
    let authority = authority(&scratch);
    let text = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  client_ca_file: ca.pem\n  \
                client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.example]\n  min_version: TLS12\n  \
                cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [CurveP256]\n";
    let mut program = start(&scratch, text, &[]);
    let address = program.address("serving https://");
    let get = request("/metrics", None);
    let pair = |name: &str| authority.issue(&[name]);
    let known = client(&scratch, "known", Some(&pair("prometheus.example")));
    assert_eq!(code(&ask(&known, &address, &get).unwrap()), "200");
    let other = client(&scratch, "other", Some(&pair("other.example")));
    assert!(ask(&other, &address, &get).is_err());
    let nobody = client(&scratch, "nobody", None);
    assert!(ask(&nobody, &address, &get).is_err());
    let theirs = Authority::new("theirs").issue(&["prometheus.example"]);
    let stranger = client(&scratch, "stranger", Some(&theirs));
    assert!(ask(&stranger, &address, &get).is_err());
    assert!(!exchange(&address, get.as_bytes()).starts_with(b"HTTP"));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn certificate_and_key_may_stand_in_the_file_itself() {
    let scratch = Scratch::new();
    let authority = Authority::new("ours");
    authority.write(scratch.path(), "ca");
    let (cert, key) = authority
        .issue(&["web-1.example"])
        .write(scratch.path(), "server");
    let indented = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    };
    let text = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}basic_auth_users: {{ann: {ABC}}}\n",
        indented(&cert),
        indented(&key)
    );
    let mut program = start(&scratch, &text, &[]);
    let address = program.address("serving https://");
    let one = client(&scratch, "one", None);
    let with = |login| code(&ask(&one, &address, &request("/metrics", login)).unwrap()).to_owned();
    assert_eq!(
        (with(None), with(Some("ann:abc"))),
        ("401".into(), "200".into())
    );
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_changed_file_is_taken_and_a_broken_or_empty_one_opens_nothing() {
    let scratch = Scratch::new();
    let users = |name: &str| format!("basic_auth_users: {{{name}: {ABC}}}\n");
    let mut program = start(&scratch, &users("ann"), &[]);
    let address = program.http();
    assert_eq!(asked(&address, "/metrics", Some("ann:abc")), "200");
    scratch.write("web.yml", &users("bob"));
    // The file is looked at once a second.
    while asked(&address, "/metrics", Some("bob:abc")) != "200" {
        std::thread::sleep(Duration::from_millis(50));
    }
    program.line("took the changed web configuration file");
    assert_eq!(asked(&address, "/metrics", Some("ann:abc")), "401");
    for (text, said) in [
        ("basic_auth_users: [\n", "what it said before stays"),
        ("", "basic_auth_users is gone"),
        ("basic_auth_users: {bob: plain}\n", "no bcrypt hash"),
    ] {
        scratch.write("web.yml", text);
        while !program.log_has(said) {
            assert_eq!(asked(&address, "/metrics", None), "401", "{text:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let page = answer(&address, "/metrics", Some("bob:abc"));
        assert_eq!(code(&page), "200");
        assert_eq!(value(&page, "nodeward_web_config_current"), Some(0.0));
    }
    assert!(program.log_has("cannot be used, what it said before stays"));
    // A reload is all or nothing, and takes what was meant.
    program.signal(rustix::process::Signal::HUP);
    program.line("the config was not reloaded");
    assert_eq!(asked(&address, "/metrics", None), "401");
    std::fs::remove_file(scratch.path().join("web.yml")).unwrap();
    assert_eq!(asked(&address, "/metrics", None), "401");
    scratch.write("web.yml", "# open to all\n");
    program.signal(rustix::process::Signal::HUP);
    program.next_line("config reloaded");
    let page = answer(&address, "/metrics", None);
    assert_eq!(code(&page), "200");
    assert_eq!(value(&page, "nodeward_web_config_current"), Some(1.0));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn tls_comes_with_the_next_connection_and_goes_only_with_a_reload() {
    let scratch = Scratch::new();
    authority(&scratch);
    let mut program = start(&scratch, "{}\n", &[]);
    let address = program.http();
    assert_eq!(asked(&address, "/metrics", None), "200");
    scratch.write(
        "web.yml",
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n",
    );
    let one = client(&scratch, "one", None);
    let get = request("/metrics", None);
    while ask(&one, &address, &get).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!exchange(&address, get.as_bytes()).starts_with(b"HTTP"));
    scratch.write("web.yml", "");
    while !program.log_has("tls_server_config is gone") {
        assert_eq!(code(&ask(&one, &address, &get).unwrap()), "200");
        std::thread::sleep(Duration::from_millis(50));
    }
    program.signal(rustix::process::Signal::HUP);
    program.line("config reloaded");
    assert_eq!(asked(&address, "/metrics", None), "200");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn hooks_and_the_api_keep_their_own_logins_and_an_open_hook_gets_this_one() {
    let scratch = Scratch::new();
    scratch.write("hook.token", "hook-token");
    scratch.write("api.token", "a-token-of-the-api");
    scratch.write("web.yml", &format!("basic_auth_users: {{ann: {ABC}}}\n"));
    let config = "http: {listen: ['127.0.0.1:0'], web_config: web.yml}\nhooks:\n  alertmanager: {bearer_token_file: hook.token}\n  \
                  open: {kind: alertmanager}\napi: {tokens: {ops: {token_file: api.token, role: read}}}\n";
    let config = scratch.write("nodeward.yml", config);
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    let body = crate::healing::body(&[1]);
    let post = |hook: &str, login: &str| {
        let text = format!(
            "POST /hooks/{hook} HTTP/1.0\r\nHost: x\r\nAuthorization: {login}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        code(&String::from_utf8(exchange(&address, text.as_bytes())).unwrap()).to_owned()
    };
    let ann = format!("Basic {}", STANDARD.encode("ann:abc"));
    assert_eq!(post("alertmanager", "Bearer hook-token"), "200");
    assert_eq!(post("alertmanager", &ann), "401");
    assert_eq!(post("open", "Bearer hook-token"), "401");
    assert_eq!(post("open", "Basic x"), "401");
    assert_eq!(post("open", &ann), "200");
    let state = |login: &str| {
        let text =
            format!("GET /api/v1/state HTTP/1.0\r\nHost: x\r\nAuthorization: {login}\r\n\r\n");
        code(&String::from_utf8(exchange(&address, text.as_bytes())).unwrap()).to_owned()
    };
    assert_eq!(state("Bearer a-token-of-the-api"), "200");
    assert_eq!(state(&ann), "401");
    assert_eq!(asked(&address, "/metrics", None), "401");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn requests_beyond_the_rate_are_turned_away() {
    let scratch = Scratch::new();
    let mut program = start(&scratch, "rate_limit: {interval: 1h, burst: 3}\n", &[]);
    let address = program.http();
    let codes: Vec<_> = (0..5)
        .map(|_| asked(&address, "/-/healthy", None))
        .collect();
    assert_eq!(codes, ["200", "200", "200", "429", "429"]);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_password_that_takes_long_to_look_at_holds_up_nobody_else() {
    let scratch = Scratch::new();
    // A cost at which one look takes seconds.
    let slow = ABC.replace("$06$", "$16$");
    let text = format!("basic_auth_users: {{ann: {slow}, bob: {A}}}\n");
    let mut program = start(&scratch, &text, &[]);
    let address = program.http();
    let mut guessing = Vec::new();
    for guess in 0..3 {
        use std::io::Write as _;
        let mut stream = connect(&address);
        let login = format!("ann:{guess}");
        stream
            .write_all(request("/metrics", Some(&login)).as_bytes())
            .unwrap();
        stream.set_nonblocking(true).unwrap();
        guessing.push(stream);
    }
    // What needs no password goes on, while none of the guesses has an answer.
    let socket = scratch.path().join("nodeward.sock");
    for _ in 0..3 {
        assert_eq!(get_unix(&socket, "/-/healthy").0, 200);
        assert_eq!(asked(&address, "/metrics", None), "401");
    }
    for stream in &mut guessing {
        use std::io::Read as _;
        let waits = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(waits.kind(), std::io::ErrorKind::WouldBlock);
    }
    drop(guessing);
    program.signal(rustix::process::Signal::KILL);
}

#[test]
fn a_file_that_cannot_be_used_ends_the_start_with_its_place() {
    let scratch = Scratch::new();
    let web = scratch.write(
        "web.yml",
        "tls_server_config:\n  cert_file: gone.crt\n  key_file: gone.key\n  min_version: TLS11\n",
    );
    let flag = format!("--web.config.file={}", web.display());
    let refused = output(&scratch, &["--web.listen-address=127.0.0.1:0", &flag]);
    assert_eq!(refused.status.code(), Some(78));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("web.yml:4:16: tls_server_config.min_version: TLS11"),
        "{said}"
    );
    // The same by the config, and beside TLS of its own.
    let config = scratch.write("nodeward.yml", "http: {web_config: web.yml}\n");
    let refused = output(&scratch, &["validate", config.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(78));
    authority(&scratch);
    scratch.write(
        "web.yml",
        "tls_server_config: {cert_file: server.crt, key_file: server.key}\n",
    );
    let valid = output(&scratch, &["validate", config.to_str().unwrap()]);
    assert!(valid.status.success(), "{valid:?}");
    scratch.write(
        "nodeward.yml",
        "http: {web_config: web.yml, tls: {cert_file: server.crt, key_file: server.key}}\n",
    );
    let both = output(&scratch, &["validate", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&both.stderr).into_owned();
    assert!(said.contains("keep one of both"), "{said}");
}
