use std::sync::Arc;

use super::*;
use crate::action::tests::Case;
use crate::peer::container::tests::{Fake, STATE};

fn container(value: Value) -> Container {
    serde_json::from_value(value).unwrap()
}

fn case() -> Case {
    Case {
        target: "container:api".parse().unwrap(),
        ..Case::default()
    }
}

fn world(case: &Case, fake: &Fake) -> World {
    World {
        container: Some(Arc::new(fake.engine())),
        ..case.world()
    }
}

#[tokio::test]
async fn a_restart_waits_as_long_as_the_container_may_take() {
    let fake = Fake::answering(&[(200, STATE), (204, ""), (200, STATE)]);
    let case = case();
    let outcome = container(json!("restart"))
        .act(&world(&case, &fake), &case.order(), |_| ())
        .await;
    let Outcome::Done(detail) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(detail["state"]["pid"], 42);
    assert_eq!(detail["already_so"], false);
    assert_eq!(
        fake.asked().await,
        [
            "GET /containers/api/json",
            "POST /containers/api/restart?t=3",
            "GET /containers/api/json"
        ]
    );
}

#[tokio::test]
async fn a_rung_too_short_for_the_stop_is_refused_before_anything_is_done() {
    let fake = Fake::answering(&[]);
    let case = case();
    let act = container(json!({"verb": "stop", "stop_wait": "1m"}));
    let outcome = act
        .act(&world(&case, &fake), &case.order(), |_| panic!("started"))
        .await;
    assert!(
        matches!(&outcome, Outcome::Failed { why, .. } if why.contains("longer timeout")),
        "{outcome:?}"
    );
    assert_eq!(fake.asked().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_the_engine_says_is_kept_and_silence_is_no_answer() {
    let case = case();
    for (answers, done, says) in [
        (&[(304, "")][..], Some(true), ""),
        (
            &[(404, "{\"message\":\"no such\"}")],
            Some(false),
            "knows no container",
        ),
        (
            &[(500, "{\"message\":\"runc is cross\"}")],
            Some(false),
            "runc is cross",
        ),
        (&[(0, "")], None, "closed the connection"),
    ] {
        let fake = Fake::answering(answers);
        let outcome = container(json!("start"))
            .act(&world(&case, &fake), &case.order(), |_| ())
            .await;
        let (seen, why) = match &outcome {
            Outcome::Done(detail) => (Some(detail["already_so"] == true), String::new()),
            Outcome::Failed { why, .. } => (Some(false), why.clone()),
            Outcome::Unknown { why, .. } => (None, why.clone()),
        };
        assert_eq!(seen, done, "{outcome:?}");
        assert!(why.contains(says), "{why}");
    }
}

#[tokio::test]
async fn another_start_is_another_witness_and_a_restart_of_the_engine_is_busy() {
    let other = STATE.replace("2026-11-25T10:00:00Z", "2026-11-25T10:00:01Z");
    let again = STATE.replace("\"Restarting\":false", "\"Restarting\":true");
    let fake = Fake::answering(&[(200, STATE), (200, STATE), (200, &other), (200, &again)]);
    let case = case();
    let world = world(&case, &fake);
    let act = container(json!("restart"));
    let first = act.look(&world, &case.order()).await;
    assert_eq!(first.busy, None);
    assert_eq!(act.look(&world, &case.order()).await, first);
    assert_ne!(act.look(&world, &case.order()).await.witness, first.witness);
    assert!(act.look(&world, &case.order()).await.busy.is_some());
}

#[test]
fn a_container_comes_from_the_target_or_is_written_out() {
    let site = |target| Site {
        target,
        labels: &[],
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(container(json!("restart")).check(&site("container")), none);
    let fixed = container(json!({"verb": "stop", "name": "api", "stop_wait": "5s"}));
    assert_eq!(fixed.check(&site("node")), none);
    for (value, says) in [
        (json!("restart"), "target is a node"),
        (
            json!({"verb": "stop", "name": "../x"}),
            "cannot be the name",
        ),
        (
            json!({"verb": "kill", "name": "x", "stop_wait": "5s"}),
            "means nothing",
        ),
        (
            json!({"verb": "stop", "name": "x", "stop_wait": "500ms"}),
            "whole seconds",
        ),
    ] {
        let said = container(value).check(&site("node"));
        assert!(said.len() == 1 && said[0].contains(says), "{said:?}");
    }
}
