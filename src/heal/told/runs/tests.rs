//! Runs made from a journal that is written here as the runner writes it.

use serde_json::{Value, json};

use super::*;
use crate::heal::run::Run;
use crate::journal::{Commit, Entry, Journal, Options};
use crate::model::id::{AttemptId, IncidentId};
use crate::model::trace::Attribute;

const ID: &str = "01JD0000000000000000000000";

fn id() -> IncidentId {
    IncidentId::new(ID)
}

fn request(span: u8) -> TraceContext {
    TraceContext {
        trace: [0x77; 16],
        span: [span; 8],
    }
}

fn run(number: u32, parent: Option<TraceContext>) -> TraceContext {
    Run { number, parent }.trace(&id())
}

fn entry(kind: Kind, trace: TraceContext, data: Value) -> Entry {
    let target = "unit:web.service".parse().unwrap();
    let entry = Entry::new(kind).incident(&id()).playbook("web-down");
    entry.target(&target).trace(trace).data(data)
}

fn state(trace: TraceContext, from: &str, to: &str, data: Value) -> Entry {
    entry(Kind::State, trace, data).from(from).to(to)
}

fn alert(trace: TraceContext) -> Entry {
    let data = json!({"status": "firing", "incidents": [ID]});
    Entry::new(Kind::Alert).trace(trace).data(data)
}

/// One that is refused first, acts twice, is given up, recovers, and begins anew.
fn story() -> Vec<Entry> {
    let parent = Some(request(1));
    let (one, two) = (run(0, parent), run(1, None));
    let attempt = |number| AttemptId {
        incident: id(),
        number,
    };
    let refused = json!({"act": false, "guards": [{"guard": "budget", "passes": true}, {"guard": "cooldown", "passes": false}]});
    let intent = |number| {
        let data = json!({"action": {"systemd": {"verb": "restart"}}, "rung": 0});
        entry(Kind::Intent, one, data).attempt(&attempt(number))
    };
    vec![
        alert(request(1)),
        state(
            one,
            "settling",
            "waiting",
            json!({"alert": "UnitDown", "parent": request(1)}),
        ),
        entry(Kind::Decision, one, refused),
        alert(request(2)),
        alert(request(2)),
        entry(Kind::Decision, one, json!({"act": true, "guards": []})),
        intent(1),
        state(one, "waiting", "intent", Value::Null),
        entry(Kind::Started, one, json!({"job": 7})),
        state(one, "intent", "acting", Value::Null),
        entry(Kind::Result, one, json!({"outcome": "failed"})),
        state(one, "acting", "verifying", Value::Null),
        entry(
            Kind::Verify,
            one,
            json!({"passed": false, "passes": 0, "of": 3}),
        ),
        state(
            one,
            "verifying",
            "waiting",
            json!({"why": "it did not help"}),
        ),
        intent(2),
        state(one, "waiting", "intent", Value::Null),
        // nodeward was away, and makes it now.
        entry(Kind::State, one, json!({"why": "it did not happen"})),
        entry(Kind::Result, one, json!({"outcome": "done"})),
        state(one, "intent", "verifying", Value::Null),
        state(
            one,
            "verifying",
            "escalated",
            json!({"cause": {"why": "exhausted"}}),
        ),
        alert(request(3)),
        entry(
            Kind::Notify,
            one,
            json!({"notifier": "oncall", "outcome": "delivered"}),
        ),
        state(one, "escalated", "probation", Value::Null),
        state(one, "probation", "healed", json!({"took_ms": 5})),
        alert(two),
        state(
            two,
            "healed",
            "waiting",
            json!({"why": "it fires again", "alert": "UnitDown"}),
        ),
        entry(Kind::Operator, two, json!({"did": "cancel", "by": "eve"})),
        state(two, "waiting", "cancelled", Value::Null),
    ]
}

/// A journal that holds these records.
async fn written(entries: Vec<Entry>) -> (tempfile::TempDir, Vec<Stored>) {
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(directory.path(), &Options::default()).unwrap();
    for entry in entries {
        journal.commit(Commit::of(entry)).await.unwrap();
    }
    journal.close().await;
    let mut all = Vec::new();
    let reader = Reader::open(directory.path()).unwrap();
    let each = &mut |stored: &Stored| {
        all.push(stored.clone());
        ControlFlow::Continue(())
    };
    reader.entries(&Filter::default(), each).unwrap();
    (directory, all)
}

fn told(runs: &mut Runs, records: &[Stored], reader: &Reader) -> Vec<Past> {
    let spans = records
        .iter()
        .map(|stored| runs.take(stored, reader).unwrap());
    spans.flatten().collect()
}

fn of(span: &Past, name: &str) -> Option<String> {
    let mut found = span.attributes.iter().filter(|(key, _)| *key == name);
    let first = found.next().map(|(_, value)| match value {
        Attribute::Text(text) => text.clone(),
        Attribute::Number(number) => number.to_string(),
        Attribute::Flag(flag) => flag.to_string(),
    });
    assert!(found.next().is_none(), "{name} twice in {span:?}");
    first
}

#[tokio::test]
async fn each_step_is_a_span_below_its_run_with_what_became_of_it() {
    let (directory, records) = written(story()).await;
    let reader = Reader::open(directory.path()).unwrap();
    let spans = told(&mut Runs::default(), &records, &reader);
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    let expected = [
        "waiting",
        "attempt systemd",
        "verifying",
        "waiting",
        "attempt systemd",
        "verifying",
        "heal web-down",
        "escalated",
        "probation",
        "waiting",
        "heal web-down",
    ];
    assert_eq!(names, expected);
    let (first, second) = (&spans[6], &spans[10]);
    assert_eq!(first.context, run(0, Some(request(1))));
    let parent = Parent {
        span: request(1).span,
        remote: true,
    };
    assert_eq!(first.parent, Some(parent));
    // The repeated request once; what came after the run was told is none of its links.
    assert_eq!(first.links, [request(2)]);
    assert_eq!((second.context, second.parent), (run(1, None), None));
    assert_ne!(first.context.trace, second.context.trace);
    for (span, root) in spans
        .iter()
        .zip([[first; 9].as_slice(), &[second; 2]].concat())
    {
        assert_eq!(span.context.trace, root.context.trace);
        assert_eq!(of(span, "nodeward.incident").as_deref(), Some(ID));
        if span.context != root.context {
            let parent = Parent {
                span: root.context.span,
                remote: false,
            };
            assert_eq!(span.parent, Some(parent), "{span:?}");
        }
    }
    let outcomes = spans.iter().map(|span| {
        let failed = span.error.is_some();
        (of(span, "nodeward.outcome").unwrap_or_default(), failed)
    });
    let expected = [
        ("", false),
        ("failed", true),
        ("failed", true),
        ("", false),
        ("done", false),
        ("failed", true),
        ("escalated", true),
        ("recovered", false),
        ("passed", false),
        ("", false),
        ("cancelled", false),
    ];
    let expected = expected.map(|(outcome, failed)| (outcome.to_owned(), failed));
    assert_eq!(outcomes.collect::<Vec<_>>(), expected);
    assert_eq!(of(&spans[0], "nodeward.guard").as_deref(), Some("cooldown"));
    assert_eq!(of(&spans[1], "nodeward.attempt"), Some(format!("{ID}-1")));
    assert!(spans[1].calls && !spans[0].calls);
    assert_eq!(spans[1].events[0].name, "started");
    assert_eq!(
        of(&spans[2], "nodeward.passes.wanted").as_deref(),
        Some("3")
    );
    assert_eq!(of(&spans[4], "nodeward.attempt"), Some(format!("{ID}-2")));
    assert_eq!(spans[4].events[0].name, "resumed");
    assert_eq!(of(first, "nodeward.cause").as_deref(), Some("exhausted"));
    assert_eq!(of(first, "nodeward.attempts").as_deref(), Some("2"));
    assert_eq!(
        of(first, "nodeward.alert.name").as_deref(),
        Some("UnitDown")
    );
    assert_eq!(spans[7].events[0].name, "notice");
}

#[tokio::test]
async fn whoever_goes_on_at_any_record_tells_the_same_spans() {
    let (directory, records) = written(story()).await;
    let reader = Reader::open(directory.path()).unwrap();
    let whole = told(&mut Runs::default(), &records, &reader);
    for at in 0..=records.len() {
        let (before, after) = records.split_at(at);
        let mut spans = told(&mut Runs::default(), before, &reader);
        spans.extend(told(&mut Runs::default(), after, &reader));
        assert_eq!(spans, whole, "cut before record {}", at + 1);
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten_and_what_is_no_record_tells_nothing() {
    let (directory, mut records) = written(story()).await;
    let reader = Reader::open(directory.path()).unwrap();
    records.push(Stored {
        seq: 1_000,
        line: "{\"kind\":\"state\"}".into(),
        hash: String::new(),
    });
    let mut runs = Runs::default();
    assert_eq!(told(&mut runs, &records, &reader).len(), 11);
    assert!(runs.known.is_empty());
}
