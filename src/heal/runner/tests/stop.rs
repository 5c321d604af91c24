//! Actions that run while their incident is cancelled, or while nodeward ends.

use tokio::sync::Notify;

use super::*;

/// A world in which the first action goes on until it is told to stop, and then until the test lets it end.
struct Long {
    clock: Clock,
    begun: Mutex<u32>,
    told: Notify,
    ends: Notify,
}

struct Handed(Arc<Long>);

impl Hands for Handed {
    fn now(&self) -> Moment {
        self.0.clock.now()
    }

    fn look(&self, _: Job) -> Later<Look> {
        Box::pin(async { seen("it") })
    }

    fn act(&self, job: Job, started: Started) -> Later<(Outcome, Value)> {
        let mut begun = self.0.begun.lock().unwrap();
        *begun += 1;
        let (first, long) = (*begun == 1, Arc::clone(&self.0));
        Box::pin(async move {
            started(json!({"pid": 1}));
            if first {
                job.stop.told().await;
                long.told.notify_one();
                long.ends.notified().await;
            }
            (Outcome::Unknown, json!({"stopped_with": "SIGTERM"}))
        })
    }

    fn probe(&self, _: Job) -> Later<(Sight, Value)> {
        Box::pin(async { (Sight::Well, Value::Null) })
    }

    fn after(&self, _: Job) -> Later<After> {
        Box::pin(async { After::Nothing })
    }
}

async fn acting() -> (Case, Arc<Long>) {
    let mut rules = rules("auto");
    for playbook in rules.playbooks.values_mut() {
        playbook.ladder =
            serde_json::from_str(r#"[{"do": {"command": {"argv": ["/bin/x"]}}}]"#).unwrap();
        playbook.guards = serde_json::from_str(r#"{"cooldown": "0s"}"#).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let long = Arc::new(Long {
        clock: Clock::new(),
        begun: Mutex::new(0),
        told: Notify::new(),
        ends: Notify::new(),
    });
    let hands = Arc::new(Handed(Arc::clone(&long)));
    let healing = start(rules, journal.clone(), restored, hands, Arc::new(|| ()));
    let case = Case {
        directory,
        journal,
        healing,
        world: World::new(),
    };
    let first = delivery(1, vec![alert("here", 1, Status::Firing)]);
    case.healing.deliver("am", first).await.unwrap();
    case.until(|s| s.states["acting"] == 1).await;
    (case, long)
}

#[tokio::test]
async fn a_cancelled_action_is_told_to_end_and_holds_its_target_until_it_has() {
    let (case, long) = acting().await;
    let id = case.healing.summary().open[0].id.to_string();
    case.healing
        .operate("ann", Order::Cancel(id.clone(), false))
        .await
        .unwrap();
    long.told.notified().await;
    let second = delivery(2, vec![alert("here", 2, Status::Firing)]);
    case.healing.deliver("am", second).await.unwrap();
    let summary = case
        .until(|s| s.open.iter().any(|o| !o.refused_by.is_empty()))
        .await;
    let refused = json!(summary.open[0].refused_by);
    assert_eq!(
        (refused[0]["guard"].as_str(), *long.begun.lock().unwrap()),
        (Some("lock"), 1)
    );
    long.ends.notify_one();
    case.until(is_healed).await;
    assert_eq!(*long.begun.lock().unwrap(), 2);
    // What became of it is told of the incident that began it, although that is over.
    let lines = case.lines();
    let of_first = |line: &&Value| line["incident"] == json!(id);
    let kinds: Vec<_> = lines.iter().filter(of_first).collect();
    let cancelled = kinds.iter().position(|line| line["to"] == "cancelled");
    let result = kinds.iter().position(|line| line["kind"] == "result");
    assert!(cancelled.is_some() && cancelled < result, "{kinds:?}");
    let result = kinds[result.unwrap()];
    assert_eq!(
        result["data"],
        json!({"outcome": "unknown", "late": true, "detail": {"stopped_with": "SIGTERM"}})
    );
    assert_eq!(result["attempt"], json!(format!("{id}-1")));
}

#[tokio::test]
async fn an_action_that_runs_at_the_end_is_told_to_end_and_that_is_on_record() {
    let (case, long) = acting().await;
    // It lets itself be ended.
    long.ends.notify_one();
    let directory = case.stop().await;
    let reader = Reader::open(directory.path()).unwrap();
    let mut results = Vec::new();
    reader
        .entries(&Filter::default(), &mut |stored| {
            let line: Value = serde_json::from_str(&stored.line).unwrap();
            if line["kind"] == "result" {
                results.push(line["data"]["detail"]["stopped_with"].clone());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(results, ["SIGTERM"]);
}
