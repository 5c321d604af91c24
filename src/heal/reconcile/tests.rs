//! The comparison against an Alertmanager that answers as it is told, with a real runner and journal.

use super::*;
use crate::heal::runner::tests::{Case, alert, delivery};
use crate::heal::runner::{NodeState, Summary};
use crate::model::alert::Status;
use crate::model::duration::Period;
use crate::peer::alertmanager::tests::{ALERT, Fake, Script};

/// The fingerprint of the runner's alerts.
fn ours() -> String {
    ALERT.replace("cf98175fbd0f011b", "f")
}

fn reconcile(options: &Options) -> (Reconcile, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    let resolver = Resolver::default();
    let reconcile = Reconcile::new("am", options, &resolver, Arc::clone(&counts)).unwrap();
    (reconcile, counts)
}

async fn firing() -> Case {
    let case = Case::start("observe");
    let told = delivery(1, vec![alert("here", 1, Status::Firing)]);
    case.healing.deliver("am", told).await.unwrap();
    let fires = |s: &Summary| s.node == NodeState::Unhealthy && s.open.is_empty();
    case.until(fires).await;
    case
}

#[tokio::test]
async fn what_alertmanager_has_no_longer_is_over_and_may_fire_again() {
    let case = firing().await;
    let fake = Fake::start(Script::listing(&[&ours()])).await;
    let gone: Options = serde_json::from_value(serde_json::json!({
        "urls": ["http://127.0.0.1:1", fake.url],
    }))
    .unwrap();
    let (mut reconcile, counts) = reconcile(&gone);
    for _ in 0..3 {
        reconcile.compare(&case.healing).await;
    }
    assert_eq!(case.healing.summary().node, NodeState::Unhealthy);
    *fake.script.lock().unwrap() = Script::listing(&[ALERT]);
    reconcile.compare(&case.healing).await;
    assert_eq!(case.healing.summary().node, NodeState::Unhealthy);
    reconcile.compare(&case.healing).await;
    case.until(|s| s.node == NodeState::Healthy).await;
    let count = counts.all()[0].1;
    assert_eq!((count.looks, count.failures, count.over), (5, 0, 1));
    let lines = case.lines();
    let told: Vec<_> = lines.iter().filter(|l| l["kind"] == "alert").collect();
    assert_eq!(told.len(), 2);
    assert_eq!(
        (&told[1]["data"]["status"], &told[1]["data"]["by"]),
        (&"resolved".into(), &"reconcile".into())
    );
    assert_eq!(told[1]["data"]["episode"], told[0]["data"]["episode"]);

    // Nothing fires: nothing is asked.
    let asked = fake.asked.lock().unwrap().len();
    reconcile.compare(&case.healing).await;
    assert_eq!(fake.asked.lock().unwrap().len(), asked);

    // It was no end after all, and the source repeats itself to the byte; a restart changes nothing in that.
    let case = Case::resume(case.stop().await, "observe");
    let again = || delivery(1, vec![alert("here", 1, Status::Firing)]);
    let accepted = case.healing.deliver("am", again()).await.unwrap();
    assert_eq!((accepted.ours, accepted.repeats), (1, 0));
    case.until(|s| s.node == NodeState::Unhealthy).await;
    let accepted = case.healing.deliver("am", again()).await.unwrap();
    assert_eq!(accepted.repeats, 1);
    // What its source has called over never fires again.
    let over = delivery(2, vec![alert("here", 1, Status::Resolved)]);
    case.healing.deliver("am", over).await.unwrap();
    assert_eq!(
        case.healing.deliver("am", again()).await.unwrap().repeats,
        1
    );
    case.until(|s| s.node == NodeState::Healthy).await;
}

#[tokio::test]
async fn what_was_no_end_after_all_is_healed() {
    let case = Case::start("approve");
    let told = || delivery(1, vec![alert("here", 1, Status::Firing)]);
    case.healing.deliver("am", told()).await.unwrap();
    case.until(|s| !s.open.is_empty()).await;
    let found = Found {
        by: "reconcile",
        why: "it is not listed",
    };
    let episodes = case.healing.firing("am").await;
    case.healing.over("am", episodes, found).await.unwrap();
    case.until(|s| s.open.is_empty()).await;
    case.healing.deliver("am", told()).await.unwrap();
    let again = case.until(|s| !s.open.is_empty()).await;
    assert_eq!(again.open[0].state, "waiting");
}

#[tokio::test]
async fn nothing_is_over_because_nobody_knows() {
    let case = firing().await;
    let empty = Script::listing(&[]);
    let fake = Fake::start(empty.clone()).await;
    let options = Options {
        settle: Period::secs(300),
        ..fake.options()
    };
    let (mut reconcile, counts) = reconcile(&options);
    let unknown = [
        Script {
            status: 500,
            ..empty.clone()
        },
        Script {
            cut: 1,
            ..empty.clone()
        },
        Script {
            kind: "text/html",
            ..empty.clone()
        },
        // Started a moment ago: it has not been sent its alerts yet.
        Script {
            up: 299,
            ..empty.clone()
        },
    ];
    for script in &unknown {
        for script in [script, script, script, &empty] {
            *fake.script.lock().unwrap() = script.clone();
            reconcile.compare(&case.healing).await;
        }
    }
    let count = counts.all()[0].1;
    assert_eq!((count.looks, count.failures, count.over), (7, 9, 0));
    assert_eq!(case.healing.summary().node, NodeState::Unhealthy);
}

#[tokio::test]
async fn it_is_asked_at_once_even_if_nothing_fires() {
    let case = Case::start("observe");
    let fake = Fake::start(Script {
        status: 401,
        ..Script::listing(&[])
    })
    .await;
    let (mut reconcile, counts) = reconcile(&fake.options());
    reconcile.compare(&case.healing).await;
    reconcile.compare(&case.healing).await;
    assert_eq!(counts.all()[0].1.failures, 1);
}
