//! The lane of metrics with a disk to keep them on.

use super::*;
use crate::dialect::spool::{Bounds, Fault};
use crate::host::testing::Hanging;

const BOUNDS: Bounds = Bounds {
    size: 8 << 20,
    age: Duration::from_secs(7 * 86_400),
};

pub(super) fn spool_in(place: &tempfile::TempDir, counts: &Arc<Counts>) -> Arc<Spool> {
    let directory = place.path().join("spool");
    let losses = Arc::new(Lost(Arc::clone(counts)));
    Arc::new(Spool::new(directory, "otlp", BOUNDS, losses))
}

/// A sender with a disk, as a process that starts has it.
fn started(place: &tempfile::TempDir, script: &Script) -> (Sender, tokio::task::JoinHandle<()>) {
    let counts = Arc::default();
    let spool = spool_in(place, &counts);
    let carriers = [Some(script.clone()), None, None];
    let (sender, lanes) = Sender::over(Queue::new(10_000), 10_000, counts, Some(spool), carriers);
    (sender, tokio::spawn(lanes.run()))
}

fn on_disk(sender: &Sender) -> usize {
    sender.spool(Metrics).unwrap().depth().records
}

/// Nothing is closed, and nothing told: what a kill leaves.
async fn killed(running: tokio::task::JoinHandle<()>) {
    running.abort();
    running.await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_answers_costs_the_disk_nothing() {
    let place = tempfile::tempdir().unwrap();
    let script = Script::new([never(), taken()]);
    let (sender, _running) = started(&place, &script);
    for body in ["a", "b", "c"] {
        send(&sender, body);
        seconds(15).await;
    }
    assert_eq!(script.bodies(), ["a", "b", "c"]);
    assert!(!place.path().join("spool").exists());
}

#[tokio::test(start_paused = true)]
async fn what_waits_outlives_the_process_and_the_newest_goes_first() {
    let place = tempfile::tempdir().unwrap();
    let away = Script::new(std::iter::repeat_n(later(None), 100));
    let (sender, running) = started(&place, &away);
    for body in ["a", "b", "c", "d"] {
        send(&sender, body);
        seconds(15).await;
    }
    assert_eq!(on_disk(&sender), 4);
    assert_eq!(
        sender.depth(Metrics),
        Depth::default(),
        "and memory is free"
    );
    for (interval, body) in ["a", "b", "c", "d"].into_iter().enumerate() {
        let tried = (interval as u64 * 15, body.to_owned());
        assert!(
            away.got().contains(&tried),
            "tried at once: {:?}",
            away.got()
        );
    }
    killed(running).await;
    drop(sender);
    let back = Script::new([]);
    let (sender, _running) = started(&place, &back);
    send(&sender, "e");
    seconds(2).await;
    assert_eq!(back.bodies(), ["e", "a", "b", "c", "d"]);
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.counts().items(Metrics), 50);
}

#[tokio::test(start_paused = true)]
async fn the_backlog_is_sent_at_a_bounded_rate_beside_the_newest() {
    let place = tempfile::tempdir().unwrap();
    let away = Script::new(std::iter::repeat_n(later(Some(3600)), 1));
    let (sender, running) = started(&place, &away);
    for number in 0..100 {
        send(&sender, &format!("old {number}"));
        seconds(1).await;
    }
    assert_eq!(
        on_disk(&sender),
        100,
        "those that came within a Retry-After too"
    );
    killed(running).await;
    drop(sender);
    let back = Script::new([]);
    let (sender, _running) = started(&place, &back);
    seconds(2).await;
    send(&sender, "new");
    seconds(1).await;
    let bodies = back.bodies();
    let new = bodies.iter().position(|body| body == "new").unwrap();
    assert!((20..=60).contains(&new), "{new}");
    seconds(10).await;
    let mut old: Vec<_> = back.bodies();
    old.retain(|body| body != "new");
    let expected: Vec<_> = (0..100).map(|number| format!("old {number}")).collect();
    assert_eq!(old, expected);
}

#[tokio::test(start_paused = true)]
async fn what_a_slow_receiver_has_not_answered_is_on_the_disk_and_not_sent_twice() {
    let place = tempfile::tempdir().unwrap();
    let slow = Script::slow([
        (Duration::from_secs(8), taken()),
        (Duration::from_secs(8), taken()),
    ]);
    let (sender, running) = started(&place, &slow);
    send(&sender, "a");
    seconds(2).await;
    assert_eq!(on_disk(&sender), 1, "it is being sent");
    send(&sender, "b");
    seconds(1).await;
    assert_eq!(on_disk(&sender), 2, "and what came meanwhile");
    seconds(30).await;
    assert_eq!(slow.bodies(), ["a", "b"]);
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.counts().items(Metrics), 20);
    let hanging = Script::slow([(Duration::from_secs(1000), taken())]);
    killed(running).await;
    drop(sender);
    let (sender, running) = started(&place, &hanging);
    send(&sender, "c");
    seconds(2).await;
    killed(running).await;
    drop(sender);
    let back = Script::new([]);
    let (_sender, _running) = started(&place, &back);
    seconds(1).await;
    assert_eq!(back.bodies(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_refused_for_good_does_not_hold_up_the_backlog() {
    let place = tempfile::tempdir().unwrap();
    let script = Script::new([later(None), later(Some(60)), never(), never(), taken()]);
    let (sender, _running) = started(&place, &script);
    for body in ["a", "b", "c"] {
        send(&sender, body);
        seconds(1).await;
    }
    seconds(100).await;
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.counts().dropped(Metrics, Reason::Rejected), 20);
    assert_eq!(sender.counts().items(Metrics), 10);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_never_taken_goes_behind_the_others() {
    let place = tempfile::tempdir().unwrap();
    let away = Script::new(std::iter::repeat_n(later(Some(3600)), 1));
    let (sender, running) = started(&place, &away);
    for body in ["poison", "b", "c"] {
        send(&sender, body);
        seconds(1).await;
    }
    killed(running).await;
    drop(sender);
    let back = Script::new([]);
    back.0.lock().unwrap().unwanted = Some(("poison", 20));
    let (sender, _running) = started(&place, &back);
    for number in 0..5 {
        send(&sender, &format!("new {number}"));
        seconds(15).await;
    }
    seconds(3600).await;
    let bodies = back.bodies();
    let tries = |what: &str| bodies.iter().filter(|body| *body == what).count();
    assert_eq!((tries("poison"), tries("b"), tries("c")), (21, 1, 1));
    let last = |what: &str| bodies.iter().rposition(|body| body == what).unwrap();
    assert!(
        last("b") < last("poison") && last("c") < last("poison"),
        "{bodies:?}"
    );
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.counts().items(Metrics), 80);
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_takes_nothing_costs_nothing_that_memory_can_hold() {
    let place = tempfile::tempdir().unwrap();
    let blocked = place.path().join("spool");
    std::fs::write(&blocked, "").unwrap();
    let script = Script::new(std::iter::repeat_n(later(None), 30));
    let (sender, _running) = started(&place, &script);
    for body in ["a", "b", "c"] {
        send(&sender, body);
        seconds(5).await;
    }
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.depth(Metrics).parcels, 3);
    assert!(sender.spool(Metrics).unwrap().faults(Fault::Open) >= 1);
    std::fs::remove_file(&blocked).unwrap();
    until(|| on_disk(&sender) == 3 || sender.counts().items(Metrics) == 30).await;
    seconds(3600).await;
    assert_eq!(sender.counts().items(Metrics), 30);
}

#[tokio::test(start_paused = true)]
async fn the_end_leaves_on_the_disk_what_is_not_delivered() {
    let place = tempfile::tempdir().unwrap();
    let slow = Script::slow([(Duration::from_secs(1000), taken())]);
    let (sender, running) = started(&place, &slow);
    send(&sender, "a");
    send(&sender, "b");
    sender.close(Instant::now());
    running.await.unwrap();
    assert_eq!(sender.counts().dropped(Metrics, Reason::Shutdown), 0);
    drop(sender);
    let back = Script::new([]);
    let (_sender, _running) = started(&place, &back);
    seconds(1).await;
    let mut bodies = back.bodies();
    bodies.sort();
    assert_eq!(bodies, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_successor_goes_on_with_the_same_disk() {
    let place = tempfile::tempdir().unwrap();
    let away = Script::new(std::iter::repeat_n(later(None), 100));
    let (sender, running) = started(&place, &away);
    send(&sender, "a");
    until(|| on_disk(&sender) == 1).await;
    let back = Script::new([]).packing(Protocol::Grpc, Compression::Gzip);
    let carriers = [Some(back.clone()), None, None];
    let (next, lanes) = sender.succeed_over(10_000, sender.spool(Metrics), carriers);
    let _running = tokio::spawn(lanes.run());
    sender.close(Instant::now());
    running.await.unwrap();
    seconds(1).await;
    assert_eq!(back.bodies(), ["a"], "packed anew");
    assert_eq!(on_disk(&next), 0);
}

/// A lane that starts with so many batches on the disk, each of them marked at its end.
async fn behind(
    place: &tempfile::TempDir,
    batches: u64,
    script: &Script,
) -> (Sender, tokio::task::JoinHandle<()>) {
    let away = Script::new([later(Some(3600))]);
    let (sender, running) = started(place, &away);
    for number in 0..batches {
        send(&sender, &format!("old {number};"));
        seconds(1).await;
    }
    assert_eq!(on_disk(&sender) as u64, batches);
    killed(running).await;
    drop(sender);
    started(place, script)
}

/// The batches of each request.
fn requests(script: &Script) -> Vec<Vec<String>> {
    let parts = |body: String| body.split_terminator(';').map(str::to_owned).collect();
    script.bodies().into_iter().map(parts).collect()
}

#[tokio::test(start_paused = true)]
async fn a_receiver_slower_than_the_interval_gets_the_newest_and_the_backlog() {
    let place = tempfile::tempdir().unwrap();
    let three = Duration::from_secs(3);
    let slow = Script::slow(std::iter::repeat_n((three, taken()), 1000));
    let (sender, _running) = behind(&place, 50, &slow).await;
    for number in 0..120 {
        send(&sender, &format!("new {number};"));
        seconds(1).await;
    }
    let requests = requests(&slow);
    let old: Vec<_> = requests.concat();
    let old: Vec<_> = old.iter().filter(|body| body.starts_with("old")).collect();
    let expected: Vec<_> = (0..50).map(|number| format!("old {number}")).collect();
    assert_eq!(
        old,
        expected.iter().collect::<Vec<_>>(),
        "each once, oldest first"
    );
    let news = requests.iter().map(|request| request.last().unwrap());
    // The newest of its time: a request takes three intervals.
    let tried: Vec<u64> = news
        .filter_map(|body| body.strip_prefix("new ")?.parse().ok())
        .collect();
    assert!(tried.len() > 15, "{requests:?}");
    let waits = |live: &u64| {
        let at = requests
            .iter()
            .position(|request| request.contains(&format!("new {live}")));
        (at.unwrap() as u64 * 3).abs_diff(*live)
    };
    let fresh: Vec<_> = tried.iter().filter(|live| waits(live) <= 4).collect();
    assert!(
        fresh.len() >= 18,
        "every other request is of the newest: {requests:?}"
    );
    assert!(on_disk(&sender) <= 20, "{}", on_disk(&sender));
    seconds(60).await;
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.counts().items(Metrics), 1700);
    let mut all = requests_sorted(&slow);
    all.dedup();
    assert_eq!(all.len(), 170, "each arrives once");
}

fn requests_sorted(script: &Script) -> Vec<String> {
    let mut all = requests(script).concat();
    all.sort();
    all
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_memory_does_not_keep_the_backlog_waiting() {
    let place = tempfile::tempdir().unwrap();
    // Longer than an interval, and not long enough for what waits to be written.
    let half = Duration::from_millis(500);
    let slow = Script::slow(std::iter::repeat_n((half, taken()), 1000));
    let (sender, _running) = behind(&place, 20, &slow).await;
    for number in 0..100 {
        send(&sender, &format!("new {number};"));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let arrived = requests(&slow).concat();
    let old = arrived.iter().filter(|body| body.starts_with("old"));
    assert_eq!(old.count(), 20, "{arrived:?}");
}

#[tokio::test(start_paused = true)]
async fn what_went_together_and_was_refused_goes_alone() {
    let place = tempfile::tempdir().unwrap();
    let three = Duration::from_secs(3);
    let slow = Script::slow(std::iter::repeat_n((three, taken()), 1000));
    slow.0.lock().unwrap().refused = Some("old 9;");
    let (sender, _running) = behind(&place, 20, &slow).await;
    for number in 0..60 {
        send(&sender, &format!("new {number};"));
        seconds(1).await;
    }
    seconds(300).await;
    let requests = requests(&slow);
    let alone = |request: &Vec<String>| *request == ["old 9"];
    assert_eq!(requests.iter().filter(|request| alone(request)).count(), 1);
    assert!(
        requests
            .iter()
            .any(|request| request.len() > 1 && request.contains(&"old 9".into())),
        "it went with others before: {requests:?}"
    );
    assert_eq!(on_disk(&sender), 0);
    assert_eq!(sender.counts().dropped(Metrics, Reason::Rejected), 10);
    assert_eq!(sender.counts().items(Metrics), 790);
}

/// Time goes on here: a paused one does not while something blocks.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_nothing_that_is_sent() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("spool");
    std::fs::create_dir(&directory).unwrap();
    let _hangs = Hanging::new(&directory.join("lock"));
    let script = Script::new([later(None)]);
    let (sender, _running) = started(&place, &script);
    for body in ["a", "b", "c"] {
        send(&sender, body);
        until(|| script.bodies().iter().any(|sent| sent == body)).await;
    }
    // Memory holds what was not taken, and it is sent from there.
    until(|| sender.counts().items(Metrics) == 30).await;
    assert_eq!(sender.depth(Metrics), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn what_the_disk_panics_with_stays_in_memory_and_is_sent() {
    let place = tempfile::tempdir().unwrap();
    // Room for one: the first goes for the second, and that panics.
    let bounds = Bounds { size: 1, ..BOUNDS };
    let spool = Arc::new(Spool::new(
        place.path().join("spool"),
        "otlp",
        bounds,
        Arc::new(Panics),
    ));
    let script = Script::new(std::iter::repeat_n(later(None), 4));
    let carriers = [Some(script.clone()), None, None];
    let (sender, lanes) = Sender::over(
        Queue::new(10_000),
        10_000,
        Arc::default(),
        Some(Arc::clone(&spool)),
        carriers,
    );
    let _running = tokio::spawn(lanes.run());
    send(&sender, "a");
    until(|| spool.depth().records == 1).await;
    send(&sender, "b");
    until(|| sender.counts().items(Metrics) >= 10).await;
    assert_eq!(script.bodies().last().unwrap(), "b");
    assert_eq!(sender.depth(Metrics), Depth::default());
}

struct Panics;

impl crate::dialect::spool::Losses for Panics {
    fn lost(&self, _: crate::dialect::spool::Loss, _: u64) {
        panic!("nobody counts")
    }
}
