//! Holds: on record before a gate is told, there again after a restart, and nobody's but their owner's to lift.

use super::*;

fn isolating(mode: &str) -> Rules {
    let mut rules = rules(mode);
    for playbook in rules.playbooks.values_mut() {
        playbook.isolate = Some("web".into());
    }
    rules
}

async fn fire(case: &Case) {
    let alerts = vec![alert("here", 1, Status::Firing)];
    case.healing
        .deliver("am", delivery(1, alerts))
        .await
        .unwrap();
}

/// What was said of the pool, in order: who holds it, each with whether that eases.
fn said(case: &Case) -> Vec<Vec<(String, bool)>> {
    let words = case.world.held.lock().unwrap();
    let of = |holds: &Holds| {
        let held = holds.get("web").cloned().unwrap_or_default();
        let holds = held.holds.iter();
        let holds = holds.map(|(owner, hold)| (owner.kind().to_owned(), hold.easing));
        holds.collect()
    };
    words.iter().map(of).collect()
}

fn done(lines: &[Value], kind: &str) -> Vec<String> {
    let of = lines.iter().filter(|line| line["kind"] == kind);
    of.map(|line| line["data"]["did"].as_str().unwrap_or("?").to_owned())
        .collect()
}

fn kinds(case: &Case) -> Vec<String> {
    done(&case.lines(), "hold")
}

fn incident() -> (String, bool) {
    ("incident".into(), false)
}

#[tokio::test]
async fn an_incident_leaves_the_pool_and_rejoins_it_and_each_step_is_on_record_before() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    fire(&case).await;
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    let eased = ("incident".to_owned(), true);
    assert_eq!(said(&case), [vec![], vec![incident()], vec![eased], vec![]]);
    let lines = case.lines();
    assert_eq!(done(&lines, "hold"), ["place", "out", "ease", "lift"]);
    let out = lines.iter().find(|line| line["data"]["did"] == "out");
    assert_eq!(out.unwrap()["data"]["detail"]["finished"], 3);
    let states = lines.iter().filter(|line| line["kind"] == "state");
    let states: Vec<&str> = states.map(|line| line["to"].as_str().unwrap()).collect();
    assert_eq!(
        states,
        [
            "waiting",
            "isolating",
            "waiting",
            "intent",
            "acting",
            "verifying",
            "probation",
            "healed"
        ]
    );
    // Lifted, and the gates have still to hear of it: also the process after this one knows.
    let web = case.healing.summary().pools["web"].clone();
    assert!(web.holds.is_empty() && web.returning);
    let case = Case::under(case.stop().await, isolating("auto"));
    assert!(case.world.held.lock().unwrap()[0].get("web").is_some());
    case.healing.heard("web", Gates::Heard).await;
    case.until(|s| !s.pools["web"].returning).await;
    assert_eq!(kinds(&case).last().unwrap(), "heard");
    let case = Case::under(case.stop().await, isolating("auto"));
    assert_eq!(case.world.held.lock().unwrap()[0], Holds::default());
    case.stop().await;
}

#[tokio::test]
async fn what_was_on_its_way_out_when_it_ended_is_on_its_way_again_before_anything_else() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    *case.world.stays.lock().unwrap() = true;
    fire(&case).await;
    case.until(|s| s.states["isolating"] == 1).await;
    assert!(case.healing.summary().isolated);
    let directory = case.stop().await;

    let case = Case::under(directory, isolating("auto"));
    assert_eq!(said(&case)[0], [incident()]);
    assert!(case.healing.summary().isolated, "from the start");
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    assert!(!case.healing.summary().isolated);
    assert_eq!(case.world.acted.lock().unwrap().len(), 1);
    assert_eq!(kinds(&case), ["place", "out", "ease", "lift"]);
    case.stop().await;
}

#[tokio::test]
async fn a_cancelled_incident_stays_out_over_restarts_until_a_person_takes_its_hold_back() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    *case.world.stays.lock().unwrap() = true;
    fire(&case).await;
    let summary = case.until(|s| s.states["isolating"] == 1).await;
    let id = summary.open[0].id.clone();
    let cancel = Order::Cancel(id.to_string(), false);
    case.healing.operate("ann", cancel).await.unwrap();
    let case = Case::under(case.stop().await, isolating("auto"));
    let web = case.healing.summary().pools["web"].clone();
    assert!(web.holds[0].left, "nobody but a person will lift it");
    assert_eq!(web.holds[0].owner, Owner::Incident(id.clone()));
    let rejoin = |hold| Order::Rejoin {
        pool: "web".into(),
        hold,
    };
    let refused = case.healing.operate("ann", rejoin(None)).await.unwrap_err();
    assert!(refused.to_string().contains(id.as_str()), "{refused}");
    let named = rejoin(Some(Owner::Incident(id)));
    case.healing.operate("bob", named.clone()).await.unwrap();
    assert!(!case.healing.summary().isolated);
    assert!(case.healing.operate("bob", named).await.is_err(), "once");
    let lines = case.lines();
    assert_eq!(done(&lines, "hold").last().unwrap(), "lift");
    let rejoined = lines.iter().find(|line| line["data"]["did"] == "rejoin");
    assert_eq!(rejoined.unwrap()["data"]["by"], "bob");
    case.stop().await;
}

#[tokio::test]
async fn who_cancels_and_releases_has_the_node_rejoin() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    *case.world.stays.lock().unwrap() = true;
    fire(&case).await;
    let summary = case.until(|s| s.states["isolating"] == 1).await;
    let cancel = Order::Cancel(summary.open[0].id.to_string(), true);
    case.healing.operate("ann", cancel).await.unwrap();
    assert_eq!(said(&case), [vec![], vec![incident()], vec![]]);
    case.stop().await;
}

#[tokio::test]
async fn an_operators_hold_is_lifted_by_its_operator_and_by_no_incident() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    let isolate = |pool: &str| Order::Isolate {
        pool: pool.into(),
        reason: "patch".into(),
    };
    let unknown = case.healing.operate("ann", isolate("wed")).await;
    assert!(unknown.unwrap_err().to_string().contains("db, web"));
    case.healing.operate("ann", isolate("web")).await.unwrap();
    fire(&case).await;
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    let operator = ("operator".to_owned(), false);
    assert_eq!(said(&case).last().unwrap(), &[operator]);
    case.healing.heard("web", Gates::Heard).await;
    case.healing
        .heard("web", Gates::Foreign("haproxy_agent".into()))
        .await;
    let telling = || Gates::Telling("haproxy_runtime".into());
    case.healing.heard("web", telling()).await;
    case.healing.heard("web", telling()).await;
    case.healing.heard("db", telling()).await;
    let sessions = serde_json::json!({"ledger": {"active": 3, "cut": 3}});
    case.healing
        .heard("web", Gates::Out(sessions.clone()))
        .await;
    case.healing.heard("db", Gates::Out(sessions.clone())).await;
    // Answered once what was heard before is on record.
    drop(case.healing.operate("ann", isolate("wed")).await);
    let lines = case.lines();
    let mut out = lines
        .iter()
        .filter(|line| line["data"]["did"] == "out" && line["data"]["owner"] == "operator:ann");
    assert_eq!(out.next().unwrap()["data"]["detail"], sessions);
    assert_eq!(out.next(), None);
    let case = Case::under(case.stop().await, isolating("auto"));
    let restored = case.world.held.lock().unwrap()[0].clone();
    let told = restored.get("web").map(|held| held.told.clone());
    assert_eq!(told, Some(["haproxy_runtime".to_owned()].into()));
    assert!(restored.get("db").is_none());
    let tells = kinds(&case).iter().filter(|did| *did == "tell").count();
    assert_eq!(tells, 1);
    let web = case.healing.summary().pools["web"].clone();
    assert_eq!(web.foreign, ["haproxy_agent"]);
    assert_eq!(
        (web.holds[0].owner.to_string().as_str(), web.holds[0].left),
        ("operator:ann", false)
    );
    let rejoin = Order::Rejoin {
        pool: "web".into(),
        hold: None,
    };
    assert!(case.healing.operate("bob", rejoin.clone()).await.is_err());
    case.healing.operate("ann", rejoin).await.unwrap();
    assert!(!case.healing.summary().isolated);
    case.stop().await;
}

#[tokio::test]
async fn maintenance_holds_what_it_names_for_as_long_as_it_lasts() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    let on = |isolate: &str| Order::MaintenanceOn {
        reason: "kernel".into(),
        until: None,
        isolate: vec![isolate.into()],
    };
    assert!(case.healing.operate("ann", on("wed")).await.is_err());
    assert_eq!(case.healing.summary().maintenance, None, "all or nothing");
    case.healing.operate("ann", on("all")).await.unwrap();
    let pools = case.healing.summary().pools.clone();
    assert!(pools.values().all(|pool| pool.holds[0].why == "kernel"));
    assert_eq!(pools.len(), 2);
    case.healing
        .operate("bob", Order::MaintenanceOff)
        .await
        .unwrap();
    assert!(!case.healing.summary().isolated);
    case.stop().await;
}

#[tokio::test]
async fn what_could_not_be_put_on_record_is_held_nowhere() {
    let case = Case::under(tempfile::tempdir().unwrap(), isolating("auto"));
    case.until(|s| s.playbooks.len() == 1).await;
    let trap =
        "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END";
    case.journal.sql(trap).await;
    let isolate = Order::Isolate {
        pool: "web".into(),
        reason: "patch".into(),
    };
    let refused = case.healing.operate("ann", isolate).await.unwrap_err();
    assert!(matches!(refused, NotDone::Record(_)), "{refused}");
    assert_eq!(said(&case), [vec![]]);
    assert!(!case.healing.summary().isolated);
    case.stop().await;
}
