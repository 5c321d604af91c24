//! Other playbooks while an attempt is under way.

use super::*;
use crate::heal::incident::State;

#[test]
fn what_was_seen_for_the_playbook_before_lets_the_new_one_do_nothing() {
    let mut book = Book::new(rules("auto"));
    let now = World::new().now();
    let told = delivery(1, vec![alert("here", 1, Status::Firing)]);
    book.deliver("am", told, false, &now);
    let id = book.held.keys().next().unwrap().clone();
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
