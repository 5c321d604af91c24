//! A journal that cannot be written for a while, and a start under another config: what guards count, what is known, what is in force.

use super::*;
use crate::heal::incident::State;
use crate::heal::machine::PATIENCE;

const FULL: &str =
    "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'no room'); END";
const ROOM: &str = "DROP TRIGGER full";

fn firing(key: u8, number: u32) -> Delivery {
    delivery(key, vec![alert("here", number, Status::Firing)])
}

/// Rules of which each playbook has these guards.
fn guarded(guards: &str) -> Rules {
    let mut rules = rules("auto");
    for playbook in rules.playbooks.values_mut() {
        playbook.guards = serde_json::from_str(guards).unwrap();
    }
    rules
}

/// Answers what a book wants of the world until it wants nothing more, and has each turn on record.
fn follow(book: &mut Book, now: &mut Moment) {
    loop {
        let (_, effects) = book.take();
        book.keep();
        let mut events = Vec::new();
        for (id, effect) in effects {
            match effect {
                Effect::Look(asked, _) => events.push((id, Event::Looked(asked, seen("it")))),
                Effect::Isolate(asked) => {
                    events.push((id, Event::Isolated(asked, true, Value::Null)))
                }
                Effect::Gather(_) => {}
                Effect::Act => events.push((id, Event::Done(1, Outcome::Done, Value::Null))),
                Effect::Probe(asked) => {
                    events.push((id, Event::Probed(asked, Sight::Well, Value::Null)))
                }
            }
        }
        if events.is_empty() {
            let Some(due) = book.next_due(|_| true, now).filter(|d| d.as_secs() < 1) else {
                return;
            };
            *now = now.after(due);
            book.timers(now);
        }
        for (id, event) in events {
            book.step(&id, event, now);
        }
    }
}

fn refusing(book: &Book) -> Vec<String> {
    let waiting = book.held.values().map(|held| &held.incident.state);
    let verdicts = waiting.filter_map(|state| match state {
        State::Waiting { verdicts, .. } => Some(verdicts),
        _ => None,
    });
    let refusing = verdicts.flatten().filter(|v| !v.passes);
    refusing
        .map(|v| json!(v)["guard"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_turn_that_never_was_leaves_what_guards_count_and_what_is_shown() {
    let rules = guarded(r#"{"budget": "1/24h", "cooldown": "0s"}"#);
    let (mut book, mut now) = (Book::new(rules), Clock::new().now());
    book.deliver("am", firing(1, 1), false, &now);
    follow(&mut book, &mut now);
    assert_eq!(
        book.held.values().next().unwrap().incident.state,
        State::Healed
    );
    // What is over is forgotten after a while, what was done is not.
    now = now.after(Duration::from_secs(2 * 3600));
    book.forget(&now);
    assert!(book.held.is_empty());
    for _ in 0..3 {
        let accepted = book.deliver("am", firing(2, 2), false, &now);
        assert_eq!(accepted.repeats, 0);
        book.take();
        book.undo();
        assert_eq!((book.held.len(), book.episodes.len()), (0, 1));
    }
    book.deliver("am", firing(2, 2), false, &now);
    follow(&mut book, &mut now);
    assert_eq!(refusing(&book), ["budget", "playbook_budget"]);
    // Each alert that fires is listed once, however often it was tried.
    assert_eq!(book.summary().alerts.len(), 2);
}

#[test]
fn memory_is_bounded_with_each_turn() {
    let (mut book, now) = (Book::new(rules("observe")), Clock::new().now());
    for key in 0..3_u8 {
        let alert = |number| alert("here", u32::from(key) * 8_000 + number, Status::Resolved);
        let alerts = (0..8_000).map(alert).collect();
        book.deliver("am", delivery(key, alerts), false, &now);
        book.take();
        book.keep();
    }
    assert_eq!(book.episodes.len(), 20_000);
}

#[tokio::test]
async fn what_was_done_to_a_target_counts_after_its_playbook_was_renamed() {
    let case = Case::start("auto");
    case.healing.deliver("am", firing(1, 1)).await.unwrap();
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    let mut renamed = guarded(r#"{"budget": "1/24h", "cooldown": "0s"}"#);
    let playbook = renamed.playbooks.remove("web-down").unwrap();
    renamed.playbooks.insert("web-is-down".into(), playbook);
    let case = Case::under(case.stop().await, renamed);
    case.healing.deliver("am", firing(2, 2)).await.unwrap();
    let summary = case
        .until(|s| s.open.iter().any(|o| !o.refused_by.is_empty()))
        .await;
    let refused = json!(summary.open[0].refused_by);
    assert_eq!(refused[0]["guard"], "budget", "{refused}");
    assert!(case.world.acted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn heals_of_an_incident_that_was_joined_count_after_a_start() {
    let flap = || guarded(r#"{"flap": "2/1h", "cooldown": "0s", "budget": "off"}"#);
    let mut case = Case::under(tempfile::tempdir().unwrap(), flap());
    case.healing.deliver("am", firing(1, 1)).await.unwrap();
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    case.healing.deliver("am", firing(2, 2)).await.unwrap();
    case.until(|s| s.tally.ended.values().sum::<u64>() == 2)
        .await;
    assert_eq!(case.world.acted.lock().unwrap().len(), 2);
    case = Case::under(case.stop().await, flap());
    case.healing.deliver("am", firing(3, 3)).await.unwrap();
    let summary = case
        .until(|s| {
            let ended = |state| ["escalated", "healed"].contains(&state);
            s.open.iter().any(|o| ended(o.state)) || !s.tally.ended.is_empty()
        })
        .await;
    assert_eq!(summary.open[0].state, "escalated");
    assert!(case.world.acted.lock().unwrap().is_empty());
    let lines = case.lines();
    let decided = lines.iter().rfind(|l| l["kind"] == "decision").unwrap();
    assert!(
        decided.to_string().contains("2 heals of this target"),
        "{decided}"
    );
}

#[tokio::test]
async fn a_repeat_is_none_after_a_start_under_another_config() {
    let mut none = rules("observe");
    none.playbooks.clear();
    none.config = "none".into();
    let case = Case::under(tempfile::tempdir().unwrap(), none);
    case.healing.deliver("am", firing(1, 1)).await.unwrap();
    let case = Case::resume(case.stop().await, "observe");
    let taken = case.healing.deliver("am", firing(1, 1)).await.unwrap();
    assert_eq!(taken.repeats, 0, "a playbook takes it now");
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    let case = Case::resume(case.stop().await, "observe");
    let again = case.healing.deliver("am", firing(1, 1)).await.unwrap();
    assert_eq!(again.repeats, 1);
}

#[tokio::test]
async fn a_start_and_new_rules_are_on_record_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    journal.sql(FULL).await;
    let world = World::new();
    let hands = Arc::clone(&world) as Arc<dyn Hands>;
    let healing = start(
        rules("observe"),
        journal.clone(),
        restored,
        hands,
        Arc::new(|| ()),
    );
    let case = Case {
        directory,
        journal,
        healing,
        world,
    };
    let refused = case.healing.deliver("am", firing(1, 1)).await;
    assert_eq!(refused, Err(Refused::Full));
    case.healing.change(rules("auto")).await;
    let refused = case.healing.deliver("am", firing(1, 1)).await;
    assert_eq!(refused, Err(Refused::Full));
    assert!(case.lines().is_empty());
    case.journal.sql(ROOM).await;
    let auto = |s: &Summary| s.playbooks["web-down"] == crate::heal::plan::Mode::Auto;
    case.until(auto).await;
    let lines = case.lines();
    let config: Vec<_> = lines
        .iter()
        .map(|l| (&l["kind"], &l["data"]["config"]))
        .collect();
    assert_eq!(
        config,
        [
            (&json!("start"), &json!("observe")),
            (&json!("config"), &json!("auto"))
        ]
    );
}

/// A world of which the test answers each look, by a clock that the test sets.
struct Asked {
    now: Mutex<Moment>,
    looks: mpsc::UnboundedSender<oneshot::Sender<Look>>,
    acted: Mutex<u32>,
}

impl Hands for Asked {
    fn now(&self) -> Moment {
        self.now.lock().unwrap().clone()
    }

    fn look(&self, _: Job) -> Later<Look> {
        let (answer, answered) = oneshot::channel();
        self.looks.send(answer).unwrap();
        Box::pin(async { answered.await.unwrap() })
    }

    fn act(&self, _: Job, _: Started) -> Later<(Outcome, Value)> {
        *self.acted.lock().unwrap() += 1;
        Box::pin(std::future::pending())
    }

    fn probe(&self, _: Job) -> Later<(Sight, Value)> {
        Box::pin(std::future::pending())
    }

    fn after(&self, _: Job) -> Later<After> {
        Box::pin(async { panic!("this look goes wrong") })
    }
}

impl Asked {
    fn runner(
        rules: Rules,
        journal: Journal,
        restored: Restored,
    ) -> (
        Runner,
        Arc<Self>,
        mpsc::UnboundedReceiver<oneshot::Sender<Look>>,
    ) {
        let (looks, asked) = mpsc::unbounded_channel();
        let hands = Arc::new(Self {
            now: Mutex::new(Clock::new().now()),
            looks,
            acted: Mutex::new(0),
        });
        let (_, mail) = mpsc::channel(1);
        let (answering, answers) = mpsc::unbounded_channel();
        let runner = Runner {
            book: Book::restore(rules, restored),
            journal,
            hands: Arc::clone(&hands) as Arc<dyn Hands>,
            wake: Arc::new(|| ()),
            mail,
            answers,
            answering,
            kept: VecDeque::new(),
            begun: false,
            ending: false,
            acts: HashMap::new(),
            stuck: false,
            summary: Arc::default(),
        };
        (runner, hands, asked)
    }

    fn later(&self, span: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = now.after(span);
    }
}

#[tokio::test]
async fn how_the_world_looked_before_an_outage_is_not_acted_on_after_it() {
    for (outage, acts) in [(Duration::from_secs(2), true), (PATIENCE * 2, false)] {
        let directory = tempfile::tempdir().unwrap();
        let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
        let (mut runner, hands, mut asked) = Asked::runner(rules("auto"), journal, restored);
        let (reply, _answer) = oneshot::channel();
        let deliver = Mail::Deliver {
            hook: "am".into(),
            delivery: firing(1, 1),
            local: false,
            reply,
            room: room(),
        };
        runner.turn(vec![deliver]).await;
        assert_eq!(runner.book.held.len(), 1);
        let look = asked.recv().await.unwrap();
        runner.journal.sql(FULL).await;
        look.send(seen("it")).unwrap();
        let answer = runner.answers.recv().await.unwrap();
        runner.turn(vec![answer]).await;
        assert!(runner.stuck && *hands.acted.lock().unwrap() == 0);
        runner.journal.sql(ROOM).await;
        hands.later(outage);
        let kept = runner.kept.drain(..).collect();
        runner.turn(kept).await;
        assert!(!runner.stuck);
        assert_eq!(*hands.acted.lock().unwrap() == 1, acts, "after {outage:?}");
        assert_eq!(asked.try_recv().is_ok(), !acts, "it is looked at again");
    }
}

#[tokio::test]
async fn what_a_person_stops_does_not_begin_in_the_turn_that_says_so() {
    let orders = [
        |id: &IncidentId| Order::Cancel(id.to_string(), false),
        |_: &IncidentId| Order::Pause { reason: None },
    ];
    for order in orders {
        let directory = tempfile::tempdir().unwrap();
        let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
        let (mut runner, hands, mut asked) = Asked::runner(rules("auto"), journal, restored);
        let now = runner.hands.now();
        runner.book.deliver("am", firing(1, 1), false, &now);
        runner.turn(Vec::new()).await;
        let id = runner.book.held.keys().next().unwrap().clone();
        asked.recv().await.unwrap().send(seen("it")).unwrap();
        let answer = runner.answers.recv().await.unwrap();
        let operate = |order| {
            let (reply, done) = oneshot::channel();
            let by = "ann".to_owned();
            (Mail::Operate { by, order, reply }, done)
        };
        let (mail, done) = operate(order(&id));
        runner.turn(vec![answer, mail]).await;
        done.await.unwrap().unwrap();
        let state = runner.book.held[&id].incident.state.as_str();
        assert!(["cancelled", "waiting"].contains(&state), "{state}");
        assert_eq!(*hands.acted.lock().unwrap(), 0);
        // Who ordered something and has gone was told that it is not done.
        let (mail, gone) = operate(Order::Resume);
        drop(gone);
        let paused = runner.book.switches.paused.clone();
        runner.turn(vec![mail]).await;
        assert_eq!(runner.book.switches.paused, paused);
    }
}

#[test]
fn an_incident_that_is_over_and_holds_a_pool_is_not_the_latest_of_its_target() {
    let (mut book, old, now) = book_of_one("auto");
    book.held
        .change(&old)
        .unwrap()
        .incident
        .pools
        .insert("web".into(), crate::heal::incident::Left::Held);
    book.operate("ann", Order::Cancel(old.to_string(), false), &now)
        .unwrap();
    // Later by its name: two of one millisecond have no order.
    book.names = crate::heal::runner::book::Names::Counted("LATER", 0);
    book.deliver("am", firing(2, 2), false, &now);
    let target = book.held[&old].incident.target.clone();
    let key = ("web-down".to_owned(), target);
    let new = book.latest[&key].clone();
    assert_ne!(new, old);
    let directory = tempfile::tempdir().unwrap();
    let (_journal, mut restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let (commit, _) = book.take();
    restored.incidents = commit.incidents;
    restored.incidents.sort_by(|a, b| b.id.cmp(&a.id));
    assert_eq!(restored.incidents.len(), 2);
    let book = Book::restore(rules("auto"), restored);
    assert_eq!(book.latest[&key], new);
}

#[tokio::test]
async fn who_looks_after_an_open_attempt_and_goes_wrong_leaves_it_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let (mut runner, _, mut asked) = Asked::runner(rules("auto"), journal.clone(), restored);
    let now = runner.hands.now();
    runner.book.deliver("am", firing(1, 1), false, &now);
    runner.turn(Vec::new()).await;
    asked.recv().await.unwrap().send(seen("it")).unwrap();
    let answer = runner.answers.recv().await.unwrap();
    runner.turn(vec![answer]).await;
    drop(runner);
    journal.close().await;
    let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let (mut runner, ..) = Asked::runner(rules("auto"), journal, restored);
    runner.ask_witnesses();
    let answer = runner.answers.recv().await.unwrap();
    assert!(matches!(
        &answer,
        Mail::Answer(_, Event::Restarted(After::Unknown), _)
    ));
    runner.turn(vec![answer]).await;
    assert_eq!(runner.book.summary().states["verifying"], 1);
}

#[test]
fn a_playbook_with_another_secret_is_taken_over_although_its_text_is_the_same() {
    let (mut book, now) = (Book::new(rules("approve")), Clock::new().now());
    book.deliver("am", firing(1, 1), false, &now);
    book.take();
    book.keep();
    book.change_rules(rules("approve"), &now);
    let held = book.held.values().next().unwrap();
    let current = &book.current["web-down"];
    assert!(Arc::ptr_eq(&held.current.playbook, &current.playbook));
}

#[test]
fn age_and_severity_are_those_of_the_alerts_that_fire() {
    let rules = guarded(r#"{"max_age": "1h", "cooldown": "0s", "budget": "off"}"#);
    let (mut book, mut now) = (Book::new(rules), Clock::new().now());
    let told = |number, status, severity, since: &Moment| {
        let mut alert = alert("here", number, status);
        alert.severity = severity;
        alert.starts_at = Some(since.wall);
        alert
    };
    let began = now.clone();
    now = now.after(Duration::from_secs(3000));
    let mild = told(1, Status::Firing, Severity::Warning, &began);
    book.deliver("am", delivery(1, vec![mild]), false, &now);
    let bad = told(2, Status::Firing, Severity::Critical, &now);
    book.deliver("am", delivery(2, vec![bad]), false, &now);
    let held = |book: &Book| book.held.values().next().unwrap().incident.clone();
    assert_eq!(
        held(&book).severity,
        Severity::Critical,
        "a worse one joined"
    );
    follow(&mut book, &mut now);
    assert_eq!(held(&book).state, State::Healed);
    // Both end; the same trouble begins anew, an hour after the first alert of all.
    for (key, number, severity) in [(3, 1, Severity::Warning), (4, 2, Severity::Critical)] {
        let over = told(number, Status::Resolved, severity, &began);
        book.deliver("am", delivery(key, vec![over]), false, &now);
    }
    now = now.after(Duration::from_secs(599));
    now.wall.0 += 60_000;
    let anew = told(3, Status::Firing, Severity::Warning, &now);
    book.deliver("am", delivery(5, vec![anew]), false, &now);
    assert_eq!(held(&book).severity, Severity::Warning);
    let (_, effects) = book.take();
    book.keep();
    let (id, Effect::Look(asked, _)) = effects.last().unwrap() else {
        panic!("{effects:?}");
    };
    book.step(id, Event::Looked(*asked, seen("it")), &now);
    assert!(
        matches!(held(&book).state, State::Intent { .. }),
        "{:?}",
        held(&book).state
    );
}

#[tokio::test]
async fn a_delivery_that_nobody_waits_for_any_more_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let (mut runner, ..) = Asked::runner(rules("auto"), journal, restored);
    let (reply, answer) = oneshot::channel();
    drop(answer);
    let deliver = Mail::Deliver {
        hook: "am".into(),
        delivery: firing(1, 1),
        local: false,
        reply,
        room: room(),
    };
    runner.turn(vec![deliver]).await;
    assert!(runner.book.held.is_empty() && runner.book.episodes.is_empty());
}
