//! Mails, several events in one.

use tokio::time::Instant;

use super::receivers::{Came, smtp};
use super::*;

fn oncall(server: &str, digest: &str) -> Options {
    options(&format!(
        r#"{{"oncall": {{"to": {{"email": {{"server": "{server}", "require_tls": false, "from": "a@b", "to": ["c@d"], "digest": "{digest}"}}}}}}}}"#
    ))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// The events of each mail.
fn events(came: &Came<String>) -> Vec<Vec<String>> {
    let came = came.lock().unwrap();
    let of = |mail: &String| {
        let lines = mail.lines().filter_map(|line| line.strip_prefix("event: "));
        lines.map(str::to_owned).collect()
    };
    came.iter().map(of).collect()
}

fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let line = mail.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {mail}"))
}

#[tokio::test]
async fn the_first_goes_at_once_and_what_follows_together() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (server, came) = smtp(|_, _| "250 ok").await;
    let notifiers = bench.start(&oncall(&server, "1h"), &journal, QUICK);
    tell(&journal, "oncall", ids(0..1)).await;
    notifiers.wake();
    until("the first", || came.lock().unwrap().len() == 1).await;
    tell(&journal, "oncall", ids(1..9)).await;
    notifiers.wake();
    until("a count", || bench.waiting("oncall") == 8).await;
    assert_eq!(events(&came), [ids(0..1)]);
    // The end does not wait for it.
    notifiers.stop(soon()).await;
    assert_eq!(events(&came), [ids(0..1), ids(1..9)]);
    assert_eq!(bench.waiting("oncall"), 0);
    assert_eq!(bench.records().len(), 9);
}

#[tokio::test]
async fn what_is_gathered_goes_again_as_a_whole_under_one_name_until_it_is_taken() {
    let bench = Bench::new();
    let journal = bench.journal();
    let tried = Came::<String>::default();
    let seen = Arc::clone(&tried);
    let (server, came) = smtp(move |number, mail| {
        let id = header(mail, "Message-ID: ").to_owned();
        seen.lock().unwrap().push(id);
        match number {
            0..3 => "451 later",
            _ => "250 ok",
        }
    })
    .await;
    tell(&journal, "oncall", ids(0..5)).await;
    let notifiers = bench.start(&oncall(&server, "1ms"), &journal, QUICK);
    until("all of them", || events(&came).concat().len() == 5).await;
    assert_eq!(events(&came), [ids(0..5)]);
    let tried = tried.lock().unwrap().clone();
    assert_eq!(once(&tried).len(), 1, "{tried:?}");
    notifiers.stop(soon()).await;
    let failed = bench
        .records()
        .iter()
        .map(|data| data["failed"].clone())
        .collect::<Vec<_>>();
    assert_eq!(failed, vec![serde_json::json!(3); 5]);
}

#[tokio::test]
async fn one_that_is_refused_takes_no_other_with_it() {
    let bench = Bench::new();
    let journal = bench.journal();
    let (server, came) = smtp(|_, mail| match mail.contains("event: e2\r\n") {
        true => "554 spam",
        false => "250 ok",
    })
    .await;
    tell(&journal, "oncall", ids(0..4)).await;
    let notifiers = bench.start(&oncall(&server, "1m"), &journal, QUICK);
    until("all but one", || events(&came).concat().len() == 3).await;
    until("their marks", || bench.waiting("oncall") == 0).await;
    assert_eq!(events(&came).concat(), ["e0", "e1", "e3"]);
    let dropped = bench
        .records()
        .into_iter()
        .find(|data| data["outcome"] == "dropped")
        .unwrap();
    assert_eq!(dropped["id"], "e2");
    assert!(
        dropped["why"].as_str().unwrap().contains("554 spam"),
        "{dropped}"
    );
    notifiers.stop(soon()).await;
}
