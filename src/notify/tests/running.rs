//! Delivering from the outbox.

use std::sync::atomic::AtomicBool;

use serde_json::json;
use tokio::time::Instant;

use super::receivers::{self, web};
use super::*;

fn hook(name: &str, url: &str) -> String {
    format!(r#""{name}": {{"to": {{"webhook": {{"url": "{url}"}}}}}}"#)
}

fn one(name: &str, url: &str) -> Options {
    options(&format!("{{{}}}", hook(name, url)))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

pub(super) fn counts(notifiers: &Notifiers, sink: &str) -> (u64, u64, u64, u64) {
    let mut found = (0, 0, 0, 0);
    notifiers.look(|name, counts| {
        if name == sink {
            let [(_, delivered), _, (_, failed), (_, dropped)] = counts.outcomes();
            found = (delivered, failed, dropped, counts.waiting());
        }
    });
    found
}

#[tokio::test]
async fn a_web_server_gets_our_json_with_one_key_however_often_it_fails() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (url, came) = web(|number| match number {
        0 => Some("503 Service Unavailable"),
        1 => Some("429 Too Many Requests\r\nretry-after: 0"),
        _ => Some("204 No Content"),
    })
    .await;
    let token = bench.dir.path().join("token");
    std::fs::write(&token, "abc").unwrap();
    let notifier = json!({"to": {"webhook": {"url": url, "bearer_token_file": "abc"}}});
    let options = options(&json!({"oncall": notifier}).to_string());
    tell(&journal, "oncall", ids(0..2)).await;
    let notifiers = bench.start(&options, &journal, QUICK);
    until("both", || counts(&notifiers, "oncall") == (2, 2, 0, 0)).await;
    let came = came.lock().unwrap().clone();
    let keys: Vec<_> = came
        .iter()
        .map(|(_, body)| body["id"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["e0", "e0", "e0", "e1"]);
    for (head, body) in &came {
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("post /hook http/1.1\r\n"));
        assert!(head.contains("content-type: application/json\r\n"));
        assert!(head.contains("authorization: bearer abc\r\n"));
        assert!(head.contains(&format!(
            "idempotency-key: {}\r\n",
            body["id"].as_str().unwrap()
        )));
    }
    let mut body = came[0].1.clone();
    assert_eq!(body["chain"].as_str().unwrap().len(), 64);
    body["chain"] = json!("");
    assert_eq!(
        body,
        json!({
            "id": "e0", "time": "2026-11-25T22:51:11.198Z", "what": "escalated", "severity": "critical", "node": "db-01",
            "incident": "01JD", "playbook": "web-down", "target": "unit:web.service", "state": "escalated",
            "attempt": "01JD-3", "cause": "exhausted", "summary": "web.service is not healed",
            "labels": {"alertname": "UnitDown"}, "seq": 1, "chain": "",
        })
    );
    assert_eq!(
        bench.records()[0],
        json!({"notifier": "oncall", "id": "e0", "failed": 2, "outcome": "delivered"})
    );
}

#[tokio::test]
async fn what_a_server_refuses_is_dropped_on_record_and_the_next_goes_on() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (url, came) = web(|number| match number {
        0 => Some("422 Unprocessable Content"),
        _ => Some("200 OK"),
    })
    .await;
    tell(&journal, "oncall", ids(0..2)).await;
    let notifiers = bench.start(&one("oncall", &url), &journal, QUICK);
    until("both", || counts(&notifiers, "oncall") == (1, 0, 1, 0)).await;
    until("their marks", || bench.waiting("oncall") == 0).await;
    assert_eq!(came.lock().unwrap().len(), 2);
    let dropped = &bench.records()[0];
    assert!(dropped["outcome"] == "dropped" && dropped["id"] == "e0");
    assert!(
        dropped["why"].as_str().unwrap().contains("422"),
        "{dropped}"
    );
}

#[tokio::test]
async fn one_that_hangs_holds_up_no_other_and_is_counted() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (dead, asked) = web(|_| None).await;
    let (alive, came) = receivers::tcp(vec![]).await;
    let soc = format!(r#""soc": {{"to": {{"syslog": {{"address": "{alive}"}}}}}}"#);
    let options = options(&format!("{{{}, {soc}}}", hook("oncall", &dead)));
    tell(&journal, "oncall", ids(0..40)).await;
    let notifiers = bench.start(&options, &journal, QUICK);
    until("the one that hangs", || asked.lock().unwrap().len() == 1).await;
    tell(&journal, "soc", ids(0..40)).await;
    notifiers.wake();
    until("the other's", || counts(&notifiers, "soc") == (40, 0, 0, 0)).await;
    // Written is not read yet.
    until("its lines", || receivers::ids(&came) == ids(0..40)).await;
    assert_eq!(counts(&notifiers, "oncall"), (0, 0, 0, 40));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_delivered_at_the_end_is_delivered_after_the_next_start() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (down, tried) = web(|_| Some("500 Internal Server Error")).await;
    tell(&journal, "oncall", ids(0..70)).await;
    let notifiers = bench.start(&one("oncall", &down), &journal, QUICK);
    until("some tries", || tried.lock().unwrap().len() > 2).await;
    notifiers.stop(soon()).await;
    assert!(
        tried
            .lock()
            .unwrap()
            .iter()
            .all(|(_, body)| body["id"] == "e0")
    );
    journal.close().await;

    let journal = bench.journal();
    let (up, came) = web(|_| Some("200 OK")).await;
    let notifiers = bench.start(&one("oncall", &up), &journal, QUICK);
    until("all", || counts(&notifiers, "oncall").0 == 70).await;
    // What comes while it ends is delivered too, if it can be.
    tell(&journal, "oncall", ids(70..80)).await;
    notifiers.wake();
    notifiers.stop(soon()).await;
    let came = came.lock().unwrap().clone();
    let came: Vec<_> = came
        .iter()
        .map(|(_, body)| body["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(came, ids(0..80));
    assert_eq!(bench.waiting("oncall"), 0);
    let tries = bench.records()[0]["failed"].as_u64().unwrap();
    assert!(tries > 2, "tries before the restart count: {tries}");
}

#[tokio::test]
async fn what_is_too_old_is_tried_once_and_dropped_on_record() {
    let bench = Bench::new();
    bench
        .behind
        .store(8 * 24 * 60 * 60 * 1000, Ordering::Relaxed);
    let journal = bench.journal();
    let (url, came) = web(|_| Some("500 Internal Server Error")).await;
    tell(&journal, "oncall", ids(0..2)).await;
    let notifiers = bench.start(&one("oncall", &url), &journal, QUICK);
    until("both", || counts(&notifiers, "oncall") == (0, 2, 2, 0)).await;
    until("their marks", || bench.waiting("oncall") == 0).await;
    assert_eq!(came.lock().unwrap().len(), 2);
    let why = bench.records()[0]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("7d") && why.contains("500"), "{why}");
}

#[tokio::test]
async fn a_notifier_that_left_the_config_is_waited_for_and_then_dropped_on_record() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (url, came) = web(|_| Some("200 OK")).await;
    tell(&journal, "gone", ids(0..40)).await;
    let notifiers = bench.start(&Options::new(), &journal, QUICK);
    until("it to be known", || counts(&notifiers, "gone").3 == 40).await;
    notifiers.change(&one("gone", &url));
    until("all", || counts(&notifiers, "gone") == (40, 0, 0, 0)).await;
    assert_eq!(came.lock().unwrap().len(), 40);
    notifiers.stop(soon()).await;
    journal.close().await;

    let journal = bench.journal();
    tell(&journal, "gone", ids(40..80)).await;
    let pace = Pace {
        grace: Duration::ZERO,
        ..QUICK
    };
    let notifiers = bench.start(&Options::new(), &journal, pace);
    until("all", || counts(&notifiers, "gone") == (0, 0, 40, 0)).await;
    until("their marks", || bench.waiting("gone") == 0).await;
    assert_eq!(came.lock().unwrap().len(), 40);
    let dropped = bench.records().pop().unwrap();
    assert!(
        dropped["why"]
            .as_str()
            .unwrap()
            .contains("no longer in the config")
    );
}

#[tokio::test]
async fn other_options_are_taken_while_it_waits_to_try_again() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (down, tried) = web(|_| Some("500 Internal Server Error")).await;
    let (up, came) = web(|_| Some("200 OK")).await;
    tell(&journal, "oncall", ids(0..3)).await;
    let slow = Pace {
        first: Duration::from_secs(3600),
        longest: Duration::from_secs(3600),
        ..QUICK
    };
    let notifiers = bench.start(&one("oncall", &down), &journal, slow);
    until("a try", || counts(&notifiers, "oncall").1 == 1).await;
    notifiers.change(&one("oncall", &up));
    until("all", || counts(&notifiers, "oncall") == (3, 1, 0, 0)).await;
    assert_eq!(
        (tried.lock().unwrap().len(), came.lock().unwrap().len()),
        (1, 3)
    );
    // Under the same options nothing begins anew.
    notifiers.change(&one("oncall", &up));
    notifiers.stop(soon()).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_dropped_on_record_and_the_next_goes_on() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (url, came) = web(|_| Some("200 OK")).await;
    let damaged = Commit {
        outbox: vec![Outgoing {
            sink: "oncall".into(),
            id: "e0".into(),
            severity: Severity::Info,
            body: "{}".into(),
            entry: None,
        }],
        ..Commit::default()
    };
    journal.commit(damaged).await.unwrap();
    tell(&journal, "oncall", ids(1..2)).await;
    let notifiers = bench.start(&one("oncall", &url), &journal, QUICK);
    until("the one after it", || {
        counts(&notifiers, "oncall") == (1, 0, 1, 0)
    })
    .await;
    assert_eq!(came.lock().unwrap()[0].1["id"], "e1");
}

#[tokio::test]
async fn a_wake_while_it_waits_is_not_lost() {
    let bench = Bench::new();
    let journal = bench.journal();
    let up = Arc::new(AtomicBool::new(false));
    let answer = Arc::clone(&up);
    let (url, came) = web(move |_| match answer.load(Ordering::Relaxed) {
        true => Some("200 OK"),
        false => Some("500 Internal Server Error"),
    })
    .await;
    let notifiers = bench.start(&one("oncall", &url), &journal, QUICK);
    tell(&journal, "oncall", ids(0..1)).await;
    notifiers.wake();
    until("a try", || counts(&notifiers, "oncall").1 > 0).await;
    tell(&journal, "oncall", ids(1..50)).await;
    notifiers.wake();
    until("a count", || counts(&notifiers, "oncall").3 == 50).await;
    up.store(true, Ordering::Relaxed);
    until("all", || counts(&notifiers, "oncall").0 == 50).await;
    let came = came.lock().unwrap().clone();
    let came: Vec<_> = came
        .iter()
        .map(|(_, body)| body["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(once(&came), ids(0..50));
}
