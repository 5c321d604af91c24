//! TLS of the running program: who comes in by a certificate, what a port does with garbage, and files that change.

#[path = "../../src/net/tls/testing.rs"]
pub mod testing;

use std::time::Duration;

use nodeward::net::stream::Stream;
use nodeward::net::tls::{ClientOptions, Connector};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::healing::body;
use crate::program::{Program, Scratch, exchange, get, output, value};
use testing::{Authority, Pair};

fn config(hook: &serde_json::Value) -> String {
    json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {
            "listen": ["127.0.0.1:0"],
            "tls": {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.pem",
                "client_auth_type": "VerifyClientCertIfGiven"},
            "alertmanager": hook,
        },
    })
    .to_string()
}

/// An authority whose certificate lies in the scratch directory as `ca`, with one of a server, `server`.
pub fn authority(scratch: &Scratch) -> Authority {
    let authority = Authority::new("ours");
    authority.write(scratch.path(), "ca");
    authority
        .issue(&["web-1.example"])
        .write(scratch.path(), "server");
    authority
}

/// A client with or without a certificate.
pub fn client(scratch: &Scratch, name: &str, pair: Option<&Pair>) -> Connector {
    let files = pair.map(|pair| pair.write(scratch.path(), name)).unzip();
    Connector::new(ClientOptions {
        ca_file: Some(scratch.path().join("ca.pem")),
        cert_file: files.0,
        key_file: files.1,
        server_name: Some("web-1.example".into()),
    })
}

/// What comes back for a request over a connection of its own, or why nothing does.
pub fn ask(connector: &Connector, address: &str, request: &str) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let asking = async {
        let stream = tokio::net::TcpStream::connect(address).await?;
        let mut stream = connector
            .connect(Stream::Tcp(stream), "127.0.0.1", None)
            .await?;
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8(answer).unwrap())
    };
    runtime.block_on(asking).map_err(|error| error.to_string())
}

fn post() -> String {
    let body = body(&[1]);
    format!(
        "POST /hooks/alertmanager HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn a_hook_lets_in_who_has_a_certificate_with_a_name_it_knows() {
    let scratch = Scratch::new();
    let authority = authority(&scratch);
    let guard = json!({"client_certificate": {"names": ["am.example", "spiffe://example/am"]}});
    let file = scratch.write("nodeward.yml", &config(&guard));
    let mut program = Program::start(&scratch, &["--config", file.to_str().unwrap()]);
    let hooks = program.address("taking alerts at https://");
    let metrics = program.http();
    let known = client(&scratch, "am", Some(&authority.issue(&["am.example"])));
    let uri = client(
        &scratch,
        "uri",
        Some(&authority.issue(&["spiffe://example/am"])),
    );
    let other = client(
        &scratch,
        "other",
        Some(&authority.issue(&["other.example"])),
    );
    let stranger = client(
        &scratch,
        "stranger",
        Some(&Authority::new("theirs").issue(&["am.example"])),
    );
    let nobody = client(&scratch, "nobody", None);
    assert_eq!(code(&ask(&known, &hooks, &post()).unwrap()), "200");
    assert_eq!(code(&ask(&uri, &hooks, &post()).unwrap()), "200");
    assert_eq!(code(&ask(&other, &hooks, &post()).unwrap()), "403");
    let line = program.line("refused a webhook");
    assert!(line.contains("other.example"), "{line}");
    assert_eq!(code(&ask(&nobody, &hooks, &post()).unwrap()), "403");
    assert!(ask(&stranger, &hooks, &post()).is_err());
    // Plain text, a hello that is cut short, bytes of no meaning.
    for sent in [&post().into_bytes()[..], b"\x16\x03\x01\x02", &[0xff; 4096]] {
        exchange(&hooks, sent);
    }
    assert_eq!(code(&ask(&known, &hooks, &post()).unwrap()), "200");
    let (_, page) = get(&metrics, "/metrics");
    let count = |series: &str| value(&page, series).unwrap();
    assert!(count(r#"nodeward_tls_handshake_failures_total{kind="certificate"}"#) >= 1.0);
    assert!(count(r#"nodeward_tls_handshake_failures_total{kind="not_tls"}"#) >= 2.0);
    assert!(count("nodeward_tls_handshakes_total") >= 5.0);
    let end = r#"nodeward_tls_certificate_expiry_timestamp_seconds{listener="hooks"}"#;
    assert_eq!(count(end), 64_060_588_800.0);
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_certificate_is_replaced_while_running_and_a_broken_one_is_not_taken() {
    let scratch = Scratch::new();
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    first.write(scratch.path(), "ca");
    first
        .issue(&["web-1.example"])
        .write(scratch.path(), "server");
    let text = json!({
        "http": {"listen": ["127.0.0.1:0"], "tls": {"cert_file": "server.crt", "key_file": "server.key"}},
    });
    let file = scratch.write("nodeward.yml", &text.to_string());
    let file = file.to_str().unwrap();
    let mut program = Program::start(&scratch, &["--config", file]);
    let address = program.address("serving https://");
    let get = "GET /-/healthy HTTP/1.0\r\nHost: x\r\n\r\n";
    let old = client(&scratch, "old", None);
    assert_eq!(code(&ask(&old, &address, get).unwrap()), "200");
    second.write(scratch.path(), "ca");
    let new = client(&scratch, "new", None);
    let why = ask(&new, &address, get).unwrap_err();
    assert!(why.contains("no authority that is trusted here"), "{why}");
    let pair = second.issue(&["web-1.example"]);
    pair.write(scratch.path(), "server");
    // The files are looked at once a second.
    while ask(&new, &address, get).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    program.line("took the changed certificate");
    std::fs::write(scratch.path().join("server.key"), "no key").unwrap();
    while !program.log_has("cannot be used, the one before stays") {
        assert_eq!(code(&ask(&new, &address, get).unwrap()), "200");
    }
    // A reload with such a file changes nothing.
    program.signal(rustix::process::Signal::HUP);
    let refused = program.line("the config was not reloaded");
    assert!(refused.contains("http.tls.key_file"), "{refused}");
    assert_eq!(code(&ask(&new, &address, get).unwrap()), "200");
    pair.write(scratch.path(), "server");
    let healthy = output(&scratch, &["health", "--config", file]);
    assert!(healthy.status.success(), "{healthy:?}");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_certificate_that_nobody_asks_for_and_files_that_are_not_there_are_refused_with_their_place() {
    let scratch = Scratch::new();
    let file = scratch.write(
        "nodeward.yml",
        "http: {listen: ['127.0.0.1:0']}\nhooks:\n  alertmanager:\n    client_certificate: {names: [am.example]}\n",
    );
    let said = output(&scratch, &["validate", file.to_str().unwrap()]);
    assert_eq!(said.status.code(), Some(78));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("nodeward.yml:4:25: hooks: alertmanager: client_certificate needs http.tls.client_ca_file"),
        "{said}"
    );
    let file = scratch.write(
        "nodeward.yml",
        "http: {tls: {cert_file: gone.crt, key_file: gone.key}}\n",
    );
    let said = output(&scratch, &["validate", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.contains("nodeward.yml:1:25: http.tls.cert_file: cannot read"),
        "{said}"
    );
}

#[test]
fn the_api_asks_for_a_certificate_and_then_for_a_token() {
    let scratch = Scratch::new();
    let authority = authority(&scratch);
    let token = "0123456789abcdef";
    scratch.write("ann.token", token);
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "api": {
            "listen": ["0.0.0.0:0"],
            "tls": {"cert_file": "server.crt", "key_file": "server.key", "client_ca_file": "ca.pem"},
            "tokens": {"ann": {"token_file": "ann.token", "role": "read"}},
        },
    });
    let file = scratch.write("nodeward.yml", &config.to_string());
    let mut program = Program::start(&scratch, &["--config", file.to_str().unwrap()]);
    let line = program.line("taking orders at https://");
    let port = line.split("taking orders at https://").nth(1).unwrap();
    let api = format!("127.0.0.1:{}", port.split([':', '/']).nth(1).unwrap());
    let known = client(&scratch, "ann", Some(&authority.issue(&["ann.example"])));
    let nobody = client(&scratch, "nobody", None);
    let request = |token: &str| {
        format!("GET /api/v1/state HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    assert_eq!(code(&ask(&known, &api, &request(token)).unwrap()), "200");
    assert_eq!(code(&ask(&known, &api, &request("x")).unwrap()), "401");
    assert!(ask(&nobody, &api, &request(token)).is_err());
    // Nothing crosses the network in clear, so nothing is said of that.
    let shown = output(&scratch, &["status"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("taking orders at https://"), "{shown}");
    assert_eq!(program.end(), Some(0));
}
