//! Windows of maintenance: opened and closed by the clock, over reloads, restarts and a clock that is set back.

use super::*;

const NIGHT: &str =
    r#"{"night": {"start": "0 3 * * *", "lasts": "2h", "isolate": ["web"], "reason": "patches"}}"#;

fn windowed(windows: &str) -> Rules {
    Rules {
        maintenance: maintenance::Options {
            windows: serde_json::from_str(windows).unwrap(),
        },
        ..rules("auto")
    }
}

/// A moment of that wall clock, as the boot clock would have it.
fn at(text: &str) -> Moment {
    let wall = Timestamp::parse(text).unwrap();
    Moment {
        wall,
        boot: u64::try_from(wall.0).unwrap(),
        boot_id: "b".into(),
    }
}

/// Lets it be `now`; what was put on record, and who holds the pool web.
fn turn(book: &mut Book, now: &str) -> (Vec<String>, Vec<String>) {
    book.timers(&at(now));
    let (commit, _) = book.take();
    book.keep();
    let did = commit.entries.iter().map(|entry| {
        let line = serde_json::to_value(entry.data.clone()).unwrap();
        line["did"].as_str().unwrap_or("?").to_owned()
    });
    (did.collect(), holders(book))
}

fn holders(book: &Book) -> Vec<String> {
    let held = book.holds.get("web").cloned().unwrap_or_default();
    held.holds.keys().map(ToString::to_string).collect()
}

/// What another process finds of what this one has put on record.
fn restored(book: &mut Book) -> Restored {
    let directory = tempfile::tempdir().unwrap();
    let (_journal, mut restored) = Journal::open(directory.path(), &Options::default()).unwrap();
    let (commit, _) = book.take();
    let settings = commit.settings.into_iter();
    restored.settings = settings
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    restored
}

fn nothing() -> (Vec<String>, Vec<String>) {
    (Vec::new(), Vec::new())
}

#[test]
fn a_window_opens_and_closes_by_the_clock_and_the_pool_is_left_meanwhile() {
    let mut book = Book::new(windowed(NIGHT));
    assert_eq!(turn(&mut book, "2026-11-26T02:59:59Z"), nothing());
    assert_eq!(book.wake(&at("2026-11-26T02:59:59Z")).as_secs(), 1);
    let opened = turn(&mut book, "2026-11-26T03:00:00Z");
    assert_eq!(opened.0, ["window open", "place"]);
    assert_eq!(opened.1, ["window:night"]);
    let summary = book.summary();
    assert_eq!(summary.node, NodeState::Maintenance);
    assert!(summary.isolated);
    let words = summary.maintenance.unwrap();
    assert!(words.contains("patches (window night"), "{words}");
    assert_eq!(
        summary.windows["night"].to_string(),
        "2026-11-27T03:00:00.000Z"
    );
    assert_eq!(
        turn(&mut book, "2026-11-26T04:59:59Z"),
        (vec![], vec!["window:night".to_owned()])
    );
    let closed = turn(&mut book, "2026-11-26T05:00:00Z");
    assert_eq!(
        closed,
        (vec!["window closed".into(), "lift".into()], vec![])
    );
    assert_eq!(book.summary().node, NodeState::Healthy);
    // The machine slept until the middle of the next one.
    assert_eq!(turn(&mut book, "2026-11-27T04:00:00Z").1, ["window:night"]);
}

#[test]
fn nothing_is_healed_in_a_window_and_what_waited_is_looked_at_when_it_closes() {
    let mut book = Book::new(windowed(NIGHT));
    turn(&mut book, "2026-11-26T03:00:00Z");
    let now = at("2026-11-26T04:59:00Z");
    book.deliver(
        "am",
        delivery(1, vec![alert("here", 1, Status::Firing)]),
        false,
        &now,
    );
    let looked = |book: &mut Book, now: &Moment| {
        let (_, effects) = book.take();
        book.keep();
        let looks = effects.iter().filter_map(|(id, effect)| match effect {
            Effect::Look(asked, _) => Some((id.clone(), *asked)),
            _ => None,
        });
        for (id, asked) in looks.collect::<Vec<_>>() {
            book.step(&id, Event::Looked(asked, seen("it")), now);
        }
    };
    looked(&mut book, &now);
    let open = &book.summary().open[0];
    assert_eq!((open.state, open.attempts), ("waiting", 0));
    assert!(
        open.refused_by
            .iter()
            .any(|v| v.guard == Guard::Maintenance)
    );
    let now = at("2026-11-26T05:00:00Z");
    book.timers(&now);
    looked(&mut book, &now);
    assert_eq!(book.summary().open[0].attempts, 1);
}

#[test]
fn an_operator_closes_a_window_until_it_comes_round_again() {
    let mut book = Book::new(windowed(NIGHT));
    turn(&mut book, "2026-11-26T03:00:00Z");
    let now = at("2026-11-26T03:30:00Z");
    let said = book.operate("ann", Order::MaintenanceOff, &now).unwrap();
    assert!(
        said.contains("night is closed until 2026-11-27T03:00:00.000Z"),
        "{said}"
    );
    assert_eq!((holders(&book), book.maintenance()), (vec![], None));
    let again = book.operate("ann", Order::MaintenanceOff, &now).unwrap();
    assert_eq!(again, "there is no maintenance");
    // Over a restart, too.
    let mut book = Book::restore(windowed(NIGHT), restored(&mut book));
    assert_eq!(turn(&mut book, "2026-11-26T04:00:00Z"), nothing());
    assert_eq!(turn(&mut book, "2026-11-26T05:00:00Z"), nothing());
    assert_eq!(turn(&mut book, "2026-11-27T03:00:00Z").1, ["window:night"]);
}

#[test]
fn a_window_that_ended_while_nodeward_was_away_is_closed_and_one_that_goes_on_is_not_opened_twice()
{
    let mut book = Book::new(windowed(NIGHT));
    book.timers(&at("2026-11-26T03:00:00Z"));
    let restored = restored(&mut book);
    let mut book = Book::restore(windowed(NIGHT), restored.clone());
    assert_eq!(holders(&book), ["window:night"]);
    assert_eq!(
        turn(&mut book, "2026-11-26T03:10:00Z"),
        (vec![], vec!["window:night".to_owned()])
    );
    let mut book = Book::restore(windowed(NIGHT), restored.clone());
    let closed = turn(&mut book, "2026-11-26T06:00:00Z");
    assert_eq!(
        closed,
        (vec!["window closed".into(), "lift".into()], vec![])
    );
    // It went out of the config.
    let mut book = Book::restore(rules("auto"), restored);
    assert_eq!(turn(&mut book, "2026-11-26T03:10:00Z").1, [""; 0]);
}

#[test]
fn a_reload_takes_the_windows_as_they_are_now() {
    let mut book = Book::new(windowed(NIGHT));
    turn(&mut book, "2026-11-26T03:00:00Z");
    let now = at("2026-11-26T03:10:00Z");
    let other = NIGHT.replace(r#"["web"]"#, r#"["all"]"#);
    book.change_rules(windowed(&other), &now);
    let held = |book: &Book| {
        let held = book.holds.iter().filter(|(_, held)| held.is_held());
        held.map(|(pool, _)| pool.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(held(&book), ["db", "web"]);
    book.change_rules(windowed("{}"), &now);
    assert_eq!((held(&book), book.maintenance()), (vec![], None));
}

#[test]
fn a_clock_that_is_set_back_closes_what_is_not_open_yet() {
    let mut book = Book::new(windowed(NIGHT));
    turn(&mut book, "2026-11-26T03:00:00Z");
    let closed = turn(&mut book, "2025-01-01T12:00:00Z");
    assert_eq!(
        closed,
        (vec!["window closed".into(), "lift".into()], vec![])
    );
    assert_eq!(turn(&mut book, "2025-01-02T03:00:00Z").1, ["window:night"]);
}

#[test]
fn what_an_operator_ordered_and_a_window_end_each_by_itself() {
    let mut book = Book::new(windowed(NIGHT));
    let on = Order::MaintenanceOn {
        reason: "disk swap".into(),
        until: Timestamp::parse("2026-11-26T04:00:00Z"),
        isolate: vec!["web".into()],
    };
    book.operate("ann", on, &at("2026-11-26T02:00:00Z"))
        .unwrap();
    let both = turn(&mut book, "2026-11-26T03:00:00Z").1;
    assert_eq!(both, ["operator:maintenance", "window:night"]);
    assert_eq!(turn(&mut book, "2026-11-26T04:00:00Z").1, ["window:night"]);
    assert_eq!(turn(&mut book, "2026-11-26T05:00:00Z").1, [""; 0]);
    assert_eq!(book.maintenance(), None);
}

#[tokio::test]
async fn a_window_that_is_open_at_the_start_holds_the_pool_and_is_on_record() {
    let always = r#"{"always": {"start": "* * * * *", "lasts": "1h", "isolate": ["web"]}}"#;
    let case = Case::under(tempfile::tempdir().unwrap(), windowed(always));
    case.until(|s| s.isolated).await;
    let summary = case.healing.summary();
    assert_eq!(summary.node, NodeState::Maintenance);
    let lines = case.lines();
    let open = lines
        .iter()
        .find(|line| line["data"]["did"] == "window open");
    assert_eq!(open.unwrap()["data"]["by"], "window:always");
    assert!(
        case.world
            .held
            .lock()
            .unwrap()
            .last()
            .unwrap()
            .is_isolated()
    );
}
