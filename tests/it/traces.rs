//! A heal as a receiver of OTLP sees it: one trace, and the journal as log records, each once and in order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::trace::v1::{Span, span, status};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::collector::{Collector, attribute};
use crate::healing::{Service, Told, body, config, post, verified};
use crate::program::{Program, Scratch, exchange, get, output, value};

/// What the alert server says of its own trace.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// The config of [`config`] with somewhere to send.
fn sending(config: &str, collector: &Collector) -> String {
    let mut config: Value = serde_json::from_str(config).unwrap();
    config["otlp"] = json!({"endpoint": collector.url, "compression": "none", "interval": "200ms"});
    config.to_string()
}

fn start(scratch: &Scratch, config: &str) -> Program {
    let file = scratch.write("nodeward.yml", config);
    Program::start(scratch, &["--config", file.to_str().unwrap()])
}

/// What `journal export` prints: each record by its number.
fn exported(scratch: &Scratch) -> BTreeMap<i64, Value> {
    let out = output(scratch, &["journal", "export"]);
    let text = String::from_utf8(out.stdout).unwrap();
    let records = text.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap();
        (record["seq"].as_i64().unwrap(), record)
    });
    records.collect()
}

/// Numbers of the records that came, in the order in which they came.
fn numbers(collector: &Collector) -> Vec<i64> {
    let logs = collector.logs();
    let numbers = logs.iter().map(|log| {
        let number = attribute(&log.attributes, "nodeward.journal.seq").unwrap();
        number.parse().unwrap()
    });
    numbers.collect()
}

/// Waits for the record with which an incident came to a state.
fn came_to(collector: &Collector, state: &str) {
    collector.until(state, |collector| {
        let logs = collector.logs();
        let to = |attributes: &[_]| attribute(attributes, "nodeward.state.to");
        logs.iter()
            .any(|log| to(&log.attributes).as_deref() == Some(state))
            .then_some(())
    });
}

/// Every record that came is the one that is exported, and belongs to the run of its incident.
fn logs_are_the_journal(collector: &Collector, scratch: &Scratch, root: &Span) {
    let records = exported(scratch);
    for log in collector.logs() {
        let told = |name| attribute(&log.attributes, name);
        let number: i64 = told("nodeward.journal.seq").unwrap().parse().unwrap();
        let record = &records[&number];
        assert_eq!(
            told("nodeward.journal.hash").as_deref(),
            record["hash"].as_str()
        );
        let mut stored: Value =
            serde_json::from_str(&told("nodeward.journal.record").unwrap()).unwrap();
        stored["hash"] = record["hash"].clone();
        assert_eq!(&stored, record);
        assert!(log.event_name.starts_with("nodeward."), "{log:?}");
        assert!(log.time_unix_nano > 0 && log.severity_number > 0 && log.body.is_some());
        if record["incident"].is_string() {
            assert_eq!(
                (&log.trace_id, &log.span_id),
                (&root.trace_id, &root.span_id)
            );
        }
    }
}

/// The run's own span and those of its steps, by their start; a span that came twice is the same span.
fn run_of(collector: &Collector) -> (Span, Vec<Span>) {
    let spans = collector.spans();
    let mut by_id = BTreeMap::<Vec<u8>, Span>::new();
    for span in spans {
        let before = by_id.insert(span.span_id.clone(), span.clone());
        assert!(before.is_none_or(|before| before == span), "{span:?}");
    }
    let roots: Vec<&Span> = by_id
        .values()
        .filter(|span| span.name.starts_with("heal "))
        .collect();
    let [root] = roots[..] else {
        panic!("not one run: {by_id:#?}");
    };
    let of_root = |span: &&Span| span.parent_span_id == root.span_id;
    let mut steps: Vec<Span> = by_id.values().filter(of_root).cloned().collect();
    steps.sort_by_key(|step| (step.start_time_unix_nano, step.end_time_unix_nano));
    for step in &steps {
        assert_eq!(step.trace_id, root.trace_id);
        let (start, end) = (step.start_time_unix_nano, step.end_time_unix_nano);
        assert!(
            start >= root.start_time_unix_nano && end <= root.end_time_unix_nano,
            "{step:?}"
        );
    }
    // What tells of the incident is part of its trace.
    for span in by_id.values() {
        if attribute(&span.attributes, "nodeward.incident").is_some() {
            assert_eq!(span.trace_id, root.trace_id, "{span:?}");
        }
    }
    (root.clone(), steps)
}

fn names(steps: &[Span]) -> Vec<&str> {
    steps.iter().map(|step| step.name.as_str()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_heal_is_one_trace_that_goes_on_with_the_alert_servers_and_its_journal_is_logged() {
    let (scratch, service, collector) = (Scratch::new(), Service::start(), Collector::start());
    let config = sending(&config("auto", &service, 1), &collector);
    let mut program = start(&scratch, &config);
    let address = program.http();
    let body = body(&[0]);
    let request = format!(
        "POST /hooks/alertmanager HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\n\
         traceparent: 00-{TRACE}-{SPAN}-01\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(&address, request.as_bytes());
    assert!(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"));
    came_to(&collector, "healed");
    let served = collector.until("the request's span", |collector| {
        let mut spans = collector.spans().into_iter();
        spans.find(|span| span.name == "POST /hooks/alertmanager")
    });
    collector.until("the run's span", |collector| {
        let mut spans = collector.spans().into_iter();
        spans.find(|span| span.name == "heal counted")
    });
    let (root, steps) = run_of(&collector);

    assert_eq!(hex(&served.trace_id), TRACE);
    assert_eq!(hex(&served.parent_span_id), SPAN);
    assert_eq!(served.kind(), span::SpanKind::Server);
    let code = attribute(&served.attributes, "http.response.status_code");
    assert_eq!(code.as_deref(), Some("200"));
    assert_eq!(hex(&root.trace_id), TRACE);
    assert_eq!(root.parent_span_id, served.span_id);
    assert_eq!(names(&steps), ["waiting", "attempt http", "verifying"]);
    let told = |span: &Span, name: &str| attribute(&span.attributes, name);
    let incident = told(&root, "nodeward.incident").unwrap();
    assert_eq!(told(&root, "nodeward.outcome").as_deref(), Some("healed"));
    assert_eq!(
        told(&root, "nodeward.alert.name").as_deref(),
        Some("Broken")
    );
    assert_eq!(
        told(&steps[1], "nodeward.attempt"),
        Some(format!("{incident}-1"))
    );
    assert_eq!(told(&steps[1], "nodeward.outcome").as_deref(), Some("done"));
    assert_eq!(
        told(&steps[1], "nodeward.target").as_deref(),
        Some("service:s0")
    );
    assert_eq!(steps[1].kind(), span::SpanKind::Client);
    assert_eq!(told(&steps[2], "nodeward.passes").as_deref(), Some("1"));
    let failed = steps.iter().chain([&root]).any(|span| {
        span.status.as_ref().map(|status| status.code()) == Some(status::StatusCode::Error)
    });
    assert!(!failed);
    // Each step begins where the one before ended.
    for pair in steps.windows(2) {
        assert_eq!(pair[0].end_time_unix_nano, pair[1].start_time_unix_nano);
    }

    logs_are_the_journal(&collector, &scratch, &root);
    let numbers = numbers(&collector);
    let expected: Vec<i64> = (1..=i64::try_from(numbers.len()).unwrap()).collect();
    assert_eq!(numbers, expected);

    // The durations name the run, to who asks for OpenMetrics and over OTLP.
    let exemplar = collector.until("an exemplar", |collector| {
        let metrics = collector.metrics().into_iter();
        let durations = metrics.filter(|metric| metric.name == "nodeward.heal.duration");
        let points = durations.flat_map(|metric| match metric.data {
            Some(metric::Data::Histogram(histogram)) => histogram.data_points,
            other => panic!("{other:?}"),
        });
        points.flat_map(|point| point.exemplars).next()
    });
    assert_eq!(
        (&exemplar.trace_id, &exemplar.span_id),
        (&root.trace_id, &root.span_id)
    );
    let (_, page) = get(&address, "/metrics");
    assert!(!page.contains("trace_id"), "text 0.0.4 has no exemplars");
    assert_eq!(program.end(), Some(0));
    verified(&scratch);
}

/// A service that never answers a repair, and says when one was asked for.
fn stuck() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            drop(stream.read_line(&mut line));
            if line.starts_with("POST ") {
                asked.send(()).unwrap_or_default();
                held.push(stream);
                continue;
            }
            let mut answers = stream.get_ref().try_clone().unwrap();
            drop(
                answers.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                ),
            );
            drop(stream.read(&mut [0; 4096]));
        }
    });
    (address, heard)
}

#[test]
fn a_run_that_a_kill_cuts_between_intent_and_result_is_still_one_trace() {
    let (scratch, collector) = (Scratch::new(), Collector::start());
    let (address, asked) = stuck();
    let service = Service::start();
    let config = config("auto", &service, 1).replace(&service.address, &address);
    let config = sending(&config, &collector);
    let mut program = start(&scratch, &config);
    assert_eq!(post(&program.http(), &body(&[0])), Some(200));
    asked.recv().unwrap();
    program.signal(Signal::KILL);
    drop(program);
    let mut program = start(&scratch, &config);
    program.http();
    came_to(&collector, "healed");
    collector.until("the run's span", |collector| {
        let mut spans = collector.spans().into_iter();
        spans.find(|span| span.name == "heal counted")
    });
    let (root, steps) = run_of(&collector);
    assert_eq!(names(&steps), ["waiting", "attempt http", "verifying"]);
    let outcome = attribute(&steps[1].attributes, "nodeward.outcome");
    assert_eq!(outcome.as_deref(), Some("unknown"));
    assert_eq!(
        steps[1].status.as_ref().unwrap().code(),
        status::StatusCode::Error
    );
    logs_are_the_journal(&collector, &scratch, &root);
    let numbers = numbers(&collector);
    let last = *numbers.iter().max().unwrap();
    let told: BTreeSet<i64> = numbers.into_iter().collect();
    assert_eq!(told, (1..=last).collect());
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_receiver_that_is_away_gets_every_record_once_and_in_order_when_it_is_back() {
    let (scratch, service, collector) = (Scratch::new(), Service::start(), Collector::start());
    collector.set_away(true);
    let config = sending(&config("auto", &service, 3), &collector);
    let heal = |program: &mut Program, number: usize| {
        assert_eq!(post(&program.http(), &body(&[number])), Some(200));
        let healed = |told: &Told| told.came_to("healed") == number + 1;
        Told::until(&scratch, "the heal", healed);
    };
    // The whole life of a process without anybody who listens, and half of another's.
    let mut program = start(&scratch, &config);
    heal(&mut program, 0);
    assert_eq!(program.end(), Some(0));
    let mut program = start(&scratch, &config);
    heal(&mut program, 1);
    assert!(collector.logs().is_empty() && collector.spans().is_empty());
    collector.set_away(false);
    heal(&mut program, 2);
    let last = *exported(&scratch).keys().last().unwrap();
    collector.until("the last record", |collector| {
        numbers(collector).contains(&last).then_some(())
    });
    assert_eq!(numbers(&collector), (1..=last).collect::<Vec<_>>());
    let runs = collector.until("three runs", |collector| {
        let spans = collector.spans().into_iter();
        let runs: Vec<Span> = spans.filter(|span| span.name == "heal counted").collect();
        (runs.len() >= 3).then_some(runs)
    });
    let traces: BTreeSet<_> = runs.iter().map(|run| &run.trace_id).collect();
    assert_eq!((runs.len(), traces.len()), (3, 3));
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_record_that_the_receiver_refuses_costs_itself_and_is_counted() {
    let (scratch, service, collector) = (Scratch::new(), Service::start(), Collector::start());
    collector.refuse(Some(("nodeward.heal.intended", 400)));
    let config = sending(&config("auto", &service, 1), &collector);
    let mut program = start(&scratch, &config);
    let address = program.http();
    assert_eq!(post(&address, &body(&[0])), Some(200));
    came_to(&collector, "healed");
    let refused = exported(&scratch);
    let refused: Vec<i64> = refused
        .iter()
        .filter(|(_, record)| record["kind"] == "intent")
        .map(|(number, _)| *number)
        .collect();
    let [refused] = refused[..] else {
        panic!("{refused:?}");
    };
    let numbers = numbers(&collector);
    let last = numbers.iter().max().copied().unwrap();
    let expected: Vec<i64> = (1..=last).filter(|number| *number != refused).collect();
    assert_eq!(numbers, expected);
    let (_, page) = get(&address, "/metrics");
    let series = "nodeward_otlp_dropped_items_total{signal=\"logs\",reason=\"rejected\"}";
    assert_eq!(value(&page, series), Some(1.0), "{page}");
    assert_eq!(program.end(), Some(0));
}

#[test]
fn a_receiver_that_has_no_logs_yet_gets_all_of_them_when_it_has() {
    let (scratch, service, collector) = (Scratch::new(), Service::start(), Collector::start());
    collector.refuse(Some(("nodeward.journal.seq", 404)));
    let config = sending(&config("auto", &service, 1), &collector);
    let mut program = start(&scratch, &config);
    let address = program.http();
    assert_eq!(post(&address, &body(&[0])), Some(200));
    Told::until(&scratch, "the heal", |told| told.came_to("healed") == 1);
    let said = program.line("refuses logs");
    assert!(said.contains("stay in the journal"), "{said}");
    assert!(said.contains("otlp.logs: false"), "{said}");
    assert!(collector.logs().is_empty());
    collector.refuse(None);
    // After a reload it is offered again at once.
    program.signal(Signal::HUP);
    came_to(&collector, "healed");
    let numbers = numbers(&collector);
    let last = *numbers.last().unwrap();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>());
    let (_, page) = get(&address, "/metrics");
    assert!(
        !page.contains("nodeward_otlp_dropped_items_total"),
        "{page}"
    );
    assert_eq!(program.end(), Some(0));
}
