//! Other playbooks while an attempt is under way.

use super::*;
use crate::heal::incident::State;
use crate::journal::Kind;

#[test]
fn what_was_seen_for_the_playbook_before_lets_the_new_one_do_nothing() {
    let (mut book, id, now) = book_of_one("auto");
    let looked = |book: &mut Book, action: &str| {
        let asked = book.held[&id].incident.asked;
        book.step(&id, Event::Looked(asked, seen(action)), &now);
    };
    let intends = |book: &Book| matches!(book.held[&id].incident.state, State::Intent { .. });
    looked(&mut book, "before");
    assert!(intends(&book));

    let mut other = rules("auto");
    other.config = "other".into();
    book.change_rules(other, &now);
    assert!(intends(&book), "an attempt goes by its own playbook");
    book.step(&id, Event::Restarted(After::DidNot), &now);
    let asked = book.held[&id].incident.asked;
    looked(&mut book, "before");
    assert!(!intends(&book));
    assert!(book.held[&id].incident.asked > asked);
}

/// Rules under which the proof is a check that is made every so often.
fn checked(every: &str) -> Rules {
    let mut rules = rules("auto");
    for playbook in rules.playbooks.values_mut() {
        let verify = r#"{"all": [{"check": "web"}], "pass": 1, "every": "1h", "deadline": "2h"}"#;
        playbook.verify = serde_json::from_str(verify).unwrap();
    }
    let check = json!({"probe": {"process": {"name": "web"}}, "every": every});
    rules.checks = serde_json::from_value(json!({"web": check, "other": check})).unwrap();
    rules.config = every.into();
    rules
}

#[tokio::test]
async fn an_open_attempt_goes_by_the_checks_it_began_with() {
    let before = checked("10s").checks["web"].clone();
    let mut book = Book::new(checked("10s"));
    let now = World::new().now();
    let told = delivery(1, vec![alert("here", 1, Status::Firing)]);
    book.deliver("am", told, false, &now);
    look(&mut book, &now);
    let id = book.held.keys().next().unwrap().clone();
    let checks = |book: &Book| book.job(&id).unwrap().checks;
    book.change_rules(checked("20s"), &now);
    assert_eq!(state(&book), "intent");
    assert_eq!(checks(&book)["web"], before);
    assert_eq!(checks(&book).len(), 1, "those that it names");
    // And in the next process, which has another config.
    let directory = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(directory.path(), &Options::default()).unwrap();
    journal.commit(book.take().0).await.unwrap();
    journal.close().await;
    let (_, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let mut book = Book::restore(checked("30s"), restored);
    assert_eq!(checks(&book)["web"], before);
    // What comes after it goes by what is in force then.
    book.step(&id, Event::Restarted(After::DidNot), &now);
    book.step(&id, Event::Changed, &now);
    assert_eq!(checks(&book)["web"], checked("30s").checks["web"]);
}

/// The state of the one incident there is.
fn state(book: &Book) -> &'static str {
    let mut held = book.held.values();
    let one = held.next().unwrap();
    assert!(held.next().is_none());
    one.incident.state.as_str()
}

/// Answers the last look of the one incident there is.
fn look(book: &mut Book, now: &Moment) {
    let held = book.held.values().next().unwrap();
    let (id, asked) = (held.incident.id.clone(), held.incident.asked);
    book.step(&id, Event::Looked(asked, seen("it")), now);
}

#[test]
fn a_mode_that_is_raised_takes_up_what_ended_by_the_one_before_and_still_fires() {
    for (before, ended) in [("observe", "observed"), ("off", "suppressed")] {
        let (mut book, now) = (Book::new(rules(before)), World::new().now());
        let told = delivery(1, vec![alert("here", 1, Status::Firing)]);
        book.deliver("am", told, false, &now);
        look(&mut book, &now);
        assert_eq!(state(&book), ended);
        // The same again, and less, take up nothing.
        for mode in [before, "off", before] {
            book.change_rules(rules(mode), &now);
            assert_eq!(state(&book), ended);
        }
        // However long it is over: its alert still fires.
        let later = now.after(Duration::from_secs(3 * 3600));
        book.forget(&later);
        book.change_rules(rules("auto"), &later);
        assert_eq!(state(&book), "waiting", "{before}");
        look(&mut book, &later);
        assert_eq!(state(&book), "intent", "{before}");
        let (commit, _) = book.take();
        assert!(commit.entries.iter().any(|e| e.kind == Kind::Intent));
    }
}

#[test]
fn a_mode_that_is_raised_leaves_alone_what_is_over() {
    let (mut book, now) = (Book::new(rules("observe")), World::new().now());
    for (key, status) in [(1, Status::Firing), (2, Status::Resolved)] {
        let told = delivery(key, vec![alert("here", 1, status)]);
        book.deliver("am", told, false, &now);
        if key == 1 {
            look(&mut book, &now);
        }
    }
    book.change_rules(rules("auto"), &now);
    assert_eq!(state(&book), "observed");
    book.forget(&now.after(Duration::from_secs(3 * 3600)));
    assert!(book.held.is_empty(), "it is kept for nothing");
}

#[tokio::test]
async fn a_mode_that_is_raised_between_two_processes_counts_too() {
    let case = Case::start("observe");
    let told = delivery(1, vec![alert("here", 1, Status::Firing)]);
    case.healing.deliver("am", told).await.unwrap();
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    let case = Case::resume(case.stop().await, "auto");
    let healed = ("web-down".to_owned(), "healed");
    case.until(|s| s.tally.ended.contains_key(&healed)).await;
    assert_eq!(case.world.acted.lock().unwrap().len(), 1);
}

#[test]
fn an_incident_takes_its_values_from_the_newest_alert_that_has_them() {
    let mut rules = rules("auto");
    for playbook in rules.playbooks.values_mut() {
        let ladder = r#"[{"do": {"command": {"argv": ["/bin/x", {"from": "disk"}]}}}]"#;
        playbook.ladder = serde_json::from_str(ladder).unwrap();
    }
    let (mut book, now) = (Book::new(rules), World::new().now());
    let tell = |book: &mut Book, number: u8, disk: Option<&str>| {
        let mut told = alert("here", number.into(), Status::Firing);
        told.labels
            .extend(disk.map(|disk| ("disk".to_owned(), disk.to_owned())));
        book.deliver("am", delivery(number, vec![told]), false, &now);
        let held = book.held.values().next().unwrap();
        (
            held.incident.labels.get("disk").cloned(),
            held.incident.asked,
        )
    };
    let (none, asked) = tell(&mut book, 1, None);
    assert_eq!(none, None);
    // One that can be used no more than the first changes nothing.
    assert_eq!(tell(&mut book, 2, Some("-rf")), (None, asked));
    let (taken, again) = tell(&mut book, 3, Some("sda"));
    assert_eq!(taken.as_deref(), Some("sda"));
    assert!(
        again > asked,
        "what was seen for the values before counts no more"
    );
    // A good value stays: what was approved or seen is of it.
    assert_eq!(tell(&mut book, 4, Some("sdb")), (taken, again));
    let id = book.held.keys().next().unwrap().clone();
    let job = book.job(&id).unwrap();
    let action = job.rendered(&job.playbook.ladder[0]).unwrap().action;
    assert_eq!(action["command"]["argv"], json!(["/bin/x", "sda"]));
}
