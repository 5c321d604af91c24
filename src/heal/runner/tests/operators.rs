//! What people order, and what is said to them.

use super::*;

#[tokio::test]
async fn the_kill_switch_and_open_incidents_survive_a_restart() {
    let case = Case::start("auto");
    case.healing
        .operate("ann", Order::Pause { reason: None })
        .await
        .unwrap();
    case.healing
        .deliver("am", delivery(1, vec![alert("here", 1, Status::Firing)]))
        .await
        .unwrap();
    let summary = case
        .until(|s| s.open.iter().any(|o| !o.refused_by.is_empty()))
        .await;
    assert_eq!(summary.open[0].refused_by[0].guard, Guard::KillSwitch);
    let directory = case.stop().await;

    let case = Case::resume(directory, "auto");
    let summary = case
        .until(|s| s.open.iter().any(|o| !o.refused_by.is_empty()))
        .await;
    assert!(summary.paused.as_ref().unwrap().contains("ann"));
    assert!(case.world.acted.lock().unwrap().is_empty());
    let known = case
        .healing
        .deliver("am", delivery(1, vec![alert("here", 1, Status::Firing)]))
        .await
        .unwrap();
    assert_eq!(known.repeats, 1, "a delivery is known after a restart");
    case.healing.operate("ann", Order::Resume).await.unwrap();
    case.until(is_healed).await;
    assert_eq!(case.world.acted.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_approves_and_is_on_record() {
    let case = Case::start("approve");
    case.healing
        .deliver("am", delivery(1, vec![alert("here", 1, Status::Firing)]))
        .await
        .unwrap();
    let asks = |s: &Summary| {
        s.open
            .iter()
            .any(|o| o.refused_by.iter().any(|v| v.guard == Guard::Approval))
    };
    let summary = case.until(asks).await;
    let id = summary.open[0].id.clone();
    case.healing
        .operate("ann", Order::Approve(id.to_string()))
        .await
        .unwrap();
    case.until(is_healed).await;
    let lines = case.lines();
    let operator = lines.iter().find(|l| l["kind"] == "operator").unwrap();
    assert_eq!(operator["data"]["by"], "ann");
    let notify = lines.iter().find(|l| l["kind"] == "notify").unwrap();
    assert_eq!(notify["data"]["to"], json!(["soc"]));
}

#[test]
fn a_yes_to_what_is_asked_no_more_is_told_what_is() {
    let (mut book, id, now) = book_of_one("approve");
    let looked = |book: &mut Book, action: &str| {
        let asked = book.held[&id].incident.asked;
        book.step(&id, Event::Looked(asked, seen(action)), &now);
        book.step(&id, Event::Changed, &now);
    };
    let approve = |book: &mut Book, text: String| book.operate("ann", Order::Approve(text), &now);
    assert!(matches!(
        approve(&mut book, id.to_string()),
        Err(NotDone::State(..))
    ));
    looked(&mut book, "one");
    looked(&mut book, "two");
    for stale in [id.to_string(), format!("{id}-1")] {
        let refused = approve(&mut book, stale).unwrap_err();
        let NotDone::Another(token, action) = &refused else {
            panic!("{refused}");
        };
        assert_eq!(*token, format!("{id}-2"));
        assert_eq!(action, r#"{"restart":"two"}"#);
    }
    // What was never asked has not changed.
    for never in [0, 3] {
        let refused = approve(&mut book, format!("{id}-{never}")).unwrap_err();
        assert!(matches!(refused, NotDone::NoQuestion(..)), "{refused}");
        let said = refused.to_string();
        let words = [
            format!("never asked a question {never};"),
            format!("{id}-2 is asked now"),
        ];
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    assert_eq!(book.held[&id].incident.approval, None);
    let stale = book.operate("ann", Order::Reject(format!("{id}-1")), &now);
    assert!(matches!(stale, Err(NotDone::Another(..))));
    let shown = book.summary().open[0].question.clone().unwrap();
    approve(&mut book, shown.id).unwrap();
    assert!(book.held[&id].incident.approval.is_some());
    let (commit, _) = book.take();
    let told: BTreeSet<String> = commit.outbox.iter().map(|out| out.id.clone()).collect();
    let wanted = [1, 2].map(|number| format!("{id}/approval_wanted/{number}"));
    assert_eq!(told, wanted.into());
    assert!(
        commit.outbox[1]
            .body
            .contains(&format!("nodeward approve {id}-2"))
    );
}

#[test]
fn a_second_pause_without_a_reason_leaves_the_first_as_it_was() {
    let (mut book, _, now) = book_of_one("auto");
    let pause = |book: &mut Book, by: &str, reason: Option<&str>| {
        let reason = reason.map(str::to_owned);
        book.operate(by, Order::Pause { reason }, &now).unwrap()
    };
    pause(&mut book, "ann", Some("release"));
    let first = book.summary().paused.unwrap();
    assert!(first.starts_with("release (by ann since "), "{first}");
    book.take();
    let said = pause(&mut book, "bob", None);
    assert_eq!(said, format!("healing is paused already: {first}"));
    assert_eq!(book.summary().paused, Some(first));
    let (commit, _) = book.take();
    assert!(commit.entries.is_empty(), "nothing was changed");
    pause(&mut book, "bob", Some("disk swap"));
    let second = book.summary().paused.unwrap();
    assert!(second.starts_with("disk swap (by bob since "), "{second}");
}

#[test]
fn people_are_told_who_said_no() {
    let (mut book, id, now) = book_of_one("approve");
    let asked = book.held[&id].incident.asked;
    book.step(&id, Event::Looked(asked, seen("one")), &now);
    book.take();
    let no = Order::Reject(format!("{id}-1"));
    book.operate("ann", no, &now).unwrap();
    let (commit, _) = book.take();
    let body = &commit.outbox[0].body;
    assert!(body.contains("ann said no to the action"), "{body}");
    assert!(body.contains(r#""cause":"not_approved""#), "{body}");
}

#[test]
fn reminders_go_out_under_one_id_each_and_end_with_who_has_it() {
    let (mut book, id, now) = book_of_one("approve");
    let mut rules = rules("approve");
    let remind = json!({"every": "1m", "times": 3});
    rules.playbooks.get_mut("web-down").unwrap().remind = serde_json::from_value(remind).unwrap();
    book.change_rules(rules, &now);
    let refused = book.operate("ann", acknowledge(&id, None), &now);
    assert!(matches!(refused, Err(NotDone::State(..))), "{refused:?}");
    book.operate("bob", Order::Reject(id.to_string()), &now)
        .unwrap();
    let told = |book: &mut Book| -> Vec<String> {
        let (commit, _) = book.take();
        commit.outbox.into_iter().map(|out| out.id).collect()
    };
    assert_eq!(told(&mut book), [format!("{id}/escalated/0.0")]);
    book.keep();
    let later = |minutes: u64| now.after(Duration::from_secs(60 * minutes));
    // What could not be put on record was not told, and is told under the same id once it can be.
    for _ in 0..2 {
        book.timers(&later(1));
        assert_eq!(told(&mut book), [format!("{id}/reminder/0.0.1")]);
        book.undo();
    }
    book.timers(&later(1));
    assert_eq!(told(&mut book), [format!("{id}/reminder/0.0.1")]);
    book.keep();
    let said = book.operate("ann", acknowledge(&id, Some("eve")), &later(1));
    assert_eq!(said.unwrap(), format!("acknowledged: eve (ann) has {id}"));
    let (commit, _) = book.take();
    let data = json!({"did": "acknowledge", "by": "ann", "for": "eve", "reason": "disk"});
    assert_eq!(commit.entries[0].data, data);
    let body = &commit.outbox[0].body;
    assert!(body.contains("eve (ann) has taken up unit:web.service (web-down): disk"));
    book.keep();
    let twice = book.operate("zoe", acknowledge(&id, None), &later(2));
    assert!(twice.unwrap().starts_with("eve (ann) has "));
    book.timers(&later(10));
    assert_eq!(told(&mut book), Vec::<String>::new());
}

fn acknowledge(id: &IncidentId, who: Option<&str>) -> Order {
    Order::Acknowledge {
        incident: id.to_string(),
        who: who.map(str::to_owned),
        reason: Some("disk".into()),
    }
}

#[tokio::test]
async fn who_has_it_has_it_after_a_restart() {
    let case = Case::start("approve");
    let fires = || delivery(1, vec![alert("here", 1, Status::Firing)]);
    case.healing.deliver("am", fires()).await.unwrap();
    let summary = case.until(|s| !s.open.is_empty()).await;
    let id = summary.open[0].id.clone();
    let no = Order::Reject(id.to_string());
    case.healing.operate("bob", no).await.unwrap();
    let order = acknowledge(&id, None);
    case.healing.operate("ann", order).await.unwrap();
    let before = case.until(|s| s.open[0].acknowledged.is_some()).await;
    let directory = case.stop().await;
    let case = Case::resume(directory, "approve");
    let after = case.until(|s| !s.open.is_empty()).await;
    assert_eq!(after.open[0].acknowledged, before.open[0].acknowledged);
    let has = after.open[0].acknowledged.clone().unwrap();
    assert_eq!((&*has.by, has.reason.as_deref()), ("ann", Some("disk")));
    let lines = case.lines();
    let acknowledged = lines.iter().find(|l| l["data"]["did"] == "acknowledge");
    assert_eq!(acknowledged.unwrap()["incident"], json!(id));
}

#[tokio::test]
async fn maintenance_ends_when_it_was_told_to_and_that_is_on_record() {
    let case = Case::start("auto");
    let on = |until| Order::MaintenanceOn {
        reason: "disk swap".into(),
        until,
        isolate: Vec::new(),
    };
    let ends = Timestamp(Timestamp::now().0 + 300);
    case.healing.operate("root", on(Some(ends))).await.unwrap();
    let summary = case.healing.summary();
    assert_eq!(summary.node, NodeState::Maintenance);
    assert!(summary.maintenance.as_ref().unwrap().contains("disk swap"));
    case.healing
        .deliver("am", delivery(1, vec![alert("here", 1, Status::Firing)]))
        .await
        .unwrap();
    // What waited for it is healed then.
    case.until(is_healed).await;
    assert!(case.healing.summary().maintenance.is_none());
    let lines = case.lines();
    let off = lines.iter().find(|l| l["data"]["did"] == "maintenance off");
    assert_eq!(off.unwrap()["data"]["by"], "its end");
}

#[tokio::test]
async fn an_incident_is_named_by_its_end_and_not_by_a_letter() {
    let case = Case::start("approve");
    case.healing
        .deliver("am", delivery(1, vec![alert("here", 1, Status::Firing)]))
        .await
        .unwrap();
    let summary = case
        .until(|s| s.open.iter().any(|o| !o.refused_by.is_empty()))
        .await;
    let id = summary.open[0].id.to_string();
    assert_eq!(summary.alerts[0].incidents[0].as_str(), id);
    let short = case
        .healing
        .operate("ann", Order::Cancel(id.chars().take(3).collect(), false))
        .await;
    assert!(matches!(short, Err(NotDone::TooShort(_))));
    let end = Order::Cancel(
        id.chars().skip(20).collect::<String>().to_lowercase(),
        false,
    );
    let said = case.healing.operate("ann", end).await.unwrap();
    assert!(said.contains(&id), "{said}");
}
