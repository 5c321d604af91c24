//! Records of the journal, told beside notices.

use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::receivers::{Came, Request, web};
use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn siem(url: &str, more: Value) -> Options {
    let mut notifier = json!({"to": {"webhook": {"url": url}}, "records": ["all"]});
    for (key, value) in more.as_object().unwrap() {
        notifier[key] = value.clone();
    }
    options(&json!({"siem": notifier}).to_string())
}

/// Writes records of a kind.
async fn write(journal: &Journal, kind: Kind, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        let entry = Entry::new(kind).data(json!({"text": text, "severity": "info"}));
        journal.commit(Commit::of(entry)).await.unwrap();
    }
}

fn bodies(came: &Came<Request>) -> Vec<Value> {
    let came = came.lock().unwrap();
    came.iter().map(|(_, body)| body.clone()).collect()
}

fn texts(came: &Came<Request>) -> Vec<String> {
    let bodies = bodies(came).into_iter();
    let texts = bodies.map(|body| body["summary"].as_str().unwrap().to_owned());
    texts.filter(|text| text.starts_with('e')).collect()
}

#[tokio::test]
async fn records_and_notices_come_in_the_order_of_the_journal_and_show_the_chain() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (url, came) = web(|_| Some("204 No Content")).await;
    write(&journal, Kind::Alert, ids(0..3)).await;
    let notifiers = bench.start(&siem(&url, json!({})), &journal, QUICK);
    // What was written before anybody wanted it is not told.
    listens(&bench, "siem").await;
    write(&journal, Kind::Alert, ids(3..4)).await;
    for (notice, part) in [("n1", 4..40), ("n2", 40..100)] {
        write(&journal, Kind::Decision, ids(part)).await;
        tell(&journal, "siem", [notice.to_owned()]).await;
        notifiers.wake();
    }
    let escalated = |body: &Value| body["what"] == "escalated";
    until("all of them", || {
        bodies(&came).into_iter().filter(escalated).count() == 2
    })
    .await;
    assert_eq!(texts(&came), ids(3..100));
    let seqs = bodies(&came)
        .into_iter()
        .map(|body| body["seq"].as_i64().unwrap());
    let seqs: Vec<i64> = seqs.collect();
    assert!(seqs.is_sorted(), "{seqs:?}");
    for body in bodies(&came) {
        if body["what"] == "decision" {
            assert_eq!(body["id"], body["chain"]);
            assert_eq!(body["record"]["hash"], body["chain"]);
            assert_eq!(body["record"]["data"]["text"], body["summary"]);
        }
    }
}

#[tokio::test]
async fn a_receiver_that_was_away_gets_all_of_it_from_the_next_process() {
    let bench = Bench::new();
    let journal = bench.journal();
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    let (url, came) = web(
        move |number| match number < 3 || is_back.load(Ordering::Relaxed) {
            true => Some("204 No Content"),
            false => Some("503 Service Unavailable"),
        },
    )
    .await;
    let options = siem(&url, json!({}));
    let notifiers = bench.start(&options, &journal, QUICK);
    listens(&bench, "siem").await;
    write(&journal, Kind::State, ids(0..50)).await;
    until("a failure", || came.lock().unwrap().len() > 4).await;
    let age = |notifiers: &Notifiers| {
        let mut age = 0.0;
        notifiers.look(|_, counts| age = counts.age());
        age
    };
    assert!(age(&notifiers) > 0.0, "nobody would know that it is away");
    notifiers.stop(soon()).await;
    drop(notifiers);
    write(&journal, Kind::State, ids(50..60)).await;
    let before = came.lock().unwrap().len();
    back.store(true, Ordering::Relaxed);
    let notifiers = bench.start(&options, &journal, QUICK);
    until("all of them", || texts(&came).contains(&"e59".to_owned())).await;
    assert_eq!(once(&texts(&came)), ids(0..60));
    // What the process before delivered does not come again.
    assert!(!texts(&came)[before..].contains(&"e0".to_owned()));
    until("nothing to wait", || age(&notifiers) == 0.0).await;
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn who_is_told_for_the_first_time_is_told_all_that_is_written_from_its_start_on() {
    let bench = Bench::new();
    let journal = bench.journal();
    write(&journal, Kind::State, ids(0..1)).await;
    let (url, came) = web(|_| Some("204 No Content")).await;
    let notifiers = bench.start(&siem(&url, json!({})), &journal, QUICK);
    // Before it was looked from where on.
    write(&journal, Kind::Start, ids(1..2)).await;
    until("it", || texts(&came) == ids(1..2)).await;
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn only_what_is_wanted_and_bad_enough_is_told() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (url, came) = web(|_| Some("204 No Content")).await;
    let only = json!({"records": ["operator", "hold"], "min_severity": "warning"});
    let _notifiers = bench.start(&siem(&url, only), &journal, QUICK);
    listens(&bench, "siem").await;
    for (kind, severity, text) in [
        (Kind::Operator, "info", "e0"),
        (Kind::Operator, "warning", "e1"),
        (Kind::Alert, "critical", "e2"),
        (Kind::Hold, "critical", "e3"),
    ] {
        let entry = Entry::new(kind).data(json!({"text": text, "severity": severity}));
        journal.commit(Commit::of(entry)).await.unwrap();
    }
    until("the last", || texts(&came).contains(&"e3".to_owned())).await;
    assert_eq!(texts(&came), ["e1", "e3"]);
}

#[test]
fn every_kind_of_record_has_its_word() {
    for kind in Kind::ALL {
        let word = format!("{:?}", kind.as_str());
        assert!(
            serde_json::from_str::<crate::notify::Which>(&word).is_ok(),
            "{word}"
        );
    }
}
