//! Pools: what load balancers are answered.

use std::io::Read;

use rustix::process::Signal;

use crate::program::{Program, Scratch, connect, exchange, get, value};

fn config(agent: &str) -> String {
    let pool = format!("{{gates: [{{haproxy_agent: {{listen: ['{agent}']}}}}]}}");
    format!("http: {{listen: ['127.0.0.1:0']}}\npools: {{web: {pool}}}\n")
}

fn ask(agent: &str) -> String {
    let mut said = String::new();
    connect(agent).read_to_string(&mut said).unwrap();
    said
}

#[test]
fn an_agent_and_health_answer_and_change_nothing_while_nothing_holds() {
    let scratch = Scratch::new();
    let file = scratch.write("nodeward.yml", &config("127.0.0.1:0"));
    let mut program = Program::start(&scratch, &["--config", file.to_str().unwrap()]);
    let address = program.http();
    let agent = program.address("answering load balancers on ");
    assert_eq!(ask(&agent), "up\n");
    assert_eq!(exchange(&agent, b"GET / HTTP/1.1\r\n\r\n"), b"up\n");
    for (path, code, body) in [
        ("/health", 200, "healthy\n"),
        ("/health/web", 200, "healthy\n"),
        ("/health/db", 404, "there is no such pool\n"),
        ("/health/", 404, "there is no such pool\n"),
        ("/-/healthy", 200, "healthy\n"),
    ] {
        assert_eq!(get(&address, path), (code, body.to_owned()), "{path}");
    }
    let close = "HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let post = exchange(&address, format!("POST /health/web {close}").as_bytes());
    assert!(post.starts_with(b"HTTP/1.1 405"), "{post:?}");
    let head = exchange(&address, format!("HEAD /health/web {close}").as_bytes());
    assert!(head.starts_with(b"HTTP/1.1 200") && head.ends_with(b"\r\n\r\n"));
    let page = get(&address, "/metrics").1;
    let traffic = "nodeward_pool_traffic{pool=\"web\",state=\"in\"}";
    assert_eq!(value(&page, traffic), Some(1.0), "{page}");
    // A port that is taken leaves all as it was.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    scratch.write("nodeward.yml", &config(&taken));
    program.signal(Signal::HUP);
    program.line("haproxy_agent.listen");
    assert_eq!(ask(&agent), "up\n");
    scratch.write("nodeward.yml", "http: {listen: ['127.0.0.1:0']}\n");
    program.signal(Signal::HUP);
    program.line("config reloaded");
    assert_eq!(get(&address, "/health/web").0, 404);
    assert_eq!(program.end(), Some(0));
}
