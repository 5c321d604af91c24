//! Many incidents at once: no turn takes more of anything than has room, and each has its turn.

use std::collections::BTreeMap;

use super::*;
use crate::model::moment::Timestamp;

const CROWD: usize = 3 * BATCH + 8;

fn name(number: usize) -> String {
    format!("s{number}")
}

fn rules() -> Rules {
    let names: Vec<String> = (0..CROWD).map(name).collect();
    let playbook = json!({
        "mode": "auto", "match": {"alertname": "Down", "name": {"in": names}}, "target": {"service": {"from": "name"}},
        "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}}], "verify": {"all": [{"check": "c"}]},
    });
    let playbook: Playbook = serde_json::from_value(playbook).unwrap();
    Rules {
        playbooks: [("down".to_owned(), playbook)].into(),
        ..super::rules("auto")
    }
}

/// One delivery with an alert for each.
fn crowd() -> Delivery {
    let alert = |number: usize| {
        let mut alert = alert("here:9100", 1, Status::Firing);
        alert.episode = Episode::new("am", &name(number), "1");
        alert.labels.insert("name".into(), name(number));
        alert
    };
    delivery(1, (0..CROWD).map(alert).collect())
}

#[test]
fn those_whose_time_has_come_together_have_their_turns_one_after_the_other() {
    let (mut book, now) = (Book::new(rules()), Clock::new().now());
    let accepted = book.deliver("am", crowd(), false, &now);
    assert_eq!(accepted.ours, CROWD as u64);
    let (_, looks) = book.take();
    book.keep();
    assert_eq!(looks.len(), CROWD, "each is looked at once");
    // Nobody answered: all ask again at the same time, again and again.
    let mut late = now;
    let mut asked = BTreeMap::<IncidentId, usize>::new();
    for _ in 0..2 * CROWD / BATCH {
        late.wall = Timestamp(late.wall.0 + 60_000);
        late.boot += 60_000;
        assert!(book.wake(&late).is_zero());
        book.timers(&late);
        let (commit, effects) = book.take();
        book.keep();
        assert!(effects.len() <= BATCH && commit.incidents.len() <= BATCH);
        for (id, _) in effects {
            *asked.entry(id).or_default() += 1;
        }
    }
    assert_eq!(
        asked.len(),
        CROWD,
        "each had a turn before any had its third"
    );
    assert!(asked.values().all(|times| *times <= 2), "{asked:?}");
}

#[tokio::test]
async fn an_alert_does_not_wait_behind_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let (sender, mail) = mpsc::channel(WAITING);
    let (answering, answers) = mpsc::unbounded_channel();
    let mut runner = Runner {
        book: Book::restore(rules(), restored),
        journal,
        hands: World::new(),
        wake: Arc::new(|| ()),
        mail,
        answers,
        answering,
        kept: VecDeque::new(),
        begun: true,
        ending: false,
        acts: HashMap::new(),
        stuck: false,
        summary: Arc::default(),
    };
    for number in 0..CROWD {
        let id = IncidentId::new(&name(number));
        let answer = Mail::Answer(id, Event::Timer, runner.hands.now());
        assert!(runner.answering.send(answer).is_ok());
    }
    let (reply, _answer) = oneshot::channel();
    let deliver = Mail::Deliver {
        hook: "am".into(),
        delivery: crowd(),
        local: false,
        reply,
        room: room(),
    };
    assert!(sender.try_send(deliver).is_ok());
    let mut batch = Vec::new();
    assert!(runner.gather(&mut batch).is_none());
    assert_eq!(batch.len(), BATCH + 1);
    assert!(matches!(batch.last(), Some(Mail::Deliver { .. })));
}

#[tokio::test]
async fn deliveries_that_wait_share_a_bounded_room() {
    // Nobody takes them.
    let (mail, waiting) = mpsc::channel(WAITING);
    let healing = Healing::new(mail, Arc::default());
    let heavy = || {
        let mut alert = alert("here", 1, Status::Firing);
        let text = "x".repeat(20 << 20);
        alert.annotations.insert("summary".into(), text);
        delivery(1, vec![alert])
    };
    let first = healing.deliver("am", heavy());
    tokio::pin!(first);
    tokio::select! {
        biased;
        answer = &mut first => panic!("{answer:?}"),
        () = std::future::ready(()) => {}
    }
    let second = healing.deliver("am", heavy()).await;
    assert_eq!(second, Err(Refused::Overloaded));
    drop(waiting);
    assert_eq!(first.await, Err(Refused::Ending));
    let third = healing.deliver("am", heavy()).await;
    assert_eq!(third, Err(Refused::Ending), "there is room again");
}
