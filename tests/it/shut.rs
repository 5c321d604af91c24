//! What there is to see and to do while healing is off: a config with nothing but checks, and a journal that cannot be opened.

use crate::operate::{CONFIG, fire, told};
use crate::program::{Program, Scratch, exchange, get, value};

/// A page, once it shows a series with this value.
fn page(address: &str, series: &str, wanted: f64) -> String {
    // The bound is only ever used up by a failure.
    for _ in 0..3_000 {
        let page = get(address, "/metrics").1;
        if value(&page, series) == Some(wanted) {
            return page;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("{series} is never {wanted}: {}", get(address, "/metrics").1);
}

#[test]
fn checks_alone_tell_how_the_node_is() {
    let scratch = Scratch::new();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let with = |critical: bool| {
        format!(
            "http: {{listen: ['127.0.0.1:0']}}\nchecks: {{web: {{probe: {{tcp: {{address: '127.0.0.1:{port}'}}}}, \
             every: 50ms, fall: 1, critical: {critical}}}}}\n"
        )
    };
    for (critical, state) in [(true, "unhealthy"), (false, "degraded")] {
        let config = scratch.write("nodeward.yml", &with(critical));
        let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
        let address = program.http();
        let series = format!("nodeward_node_state{{state=\"{state}\"}}");
        page(&address, &series, 1.0);
        assert_eq!(get(&address, "/health"), (200, format!("{state}\n")));
        let shown = told(&scratch, &["status"], 0);
        assert!(shown.contains(&format!("node is {state}\n")), "{shown}");
        assert!(shown.contains("check web"), "{shown}");
        assert_eq!(program.end(), Some(0));
    }
}

#[test]
fn a_journal_that_cannot_be_opened_takes_nothing_else_down_and_is_tried_again() {
    let scratch = Scratch::new();
    let config = scratch.write("nodeward.yml", &format!("{CONFIG}\npools: {{web: {{}}}}\n"));
    let journal = scratch.write("journal.db", &"no journal at all, ".repeat(100));
    let mut program = Program::start(&scratch, &["--config", config.to_str().unwrap()]);
    let address = program.http();
    program.line("nothing can be put on record");
    let page = page(&address, "nodeward_journal_failing", 1.0);
    assert!(value(&page, "node_memory_MemTotal_bytes").is_some());
    let body = r#"{"version": "4", "status": "firing", "alerts": [{"status": "firing",
        "labels": {"alertname": "Full", "instance": "here"}, "startsAt": "2026-11-22T16:38:47Z", "fingerprint": "f"}]}"#;
    let head = "POST /hooks/am HTTP/1.0\r\nHost: x\r\nContent-Type: application/json";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(&address, request.as_bytes());
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.0 503"), "{answer}");
    let refused = "nodeward_journal_commit_failures_total{cause=\"broken\"}";
    let counted = |address: &str| value(&get(address, "/metrics").1, refused);
    assert_eq!(counted(&address), Some(1.0));
    let (code, health) = get(&address, "/health");
    assert_eq!(code, 200);
    assert!(
        health.starts_with("healthy, nothing can be put on record: "),
        "{health}"
    );
    assert_eq!(get(&address, "/health/web"), (200, health));
    assert_eq!(get(&address, "/health/no").0, 404);
    let shown = told(&scratch, &["status"], 0);
    assert!(
        shown.contains("nothing can be put on record since"),
        "{shown}"
    );
    let refused = told(&scratch, &["pause"], 1);
    assert!(refused.contains("could not be put on record"), "{refused}");
    assert_eq!(counted(&address), Some(2.0));

    std::fs::remove_file(journal).unwrap();
    program.line("what there is to heal is healed from now on");
    assert_eq!(
        value(&get(&address, "/metrics").1, "nodeward_journal_failing"),
        Some(0.0)
    );
    assert_eq!(counted(&address), Some(2.0), "a counter never falls");
    fire(&address);
    assert_eq!(program.end(), Some(0));
}
