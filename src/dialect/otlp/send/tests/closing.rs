//! The end of a sender, and its place being taken by another.

use super::*;

#[tokio::test(start_paused = true)]
async fn closing_sends_what_is_left() {
    let script = Script::new([later(None)]);
    let (sender, running) = metrics_over(&script);
    send(&sender, "a");
    until_failed(&sender, 1).await;
    send(&sender, "b");
    sender.close(Instant::now() + Duration::from_secs(5));
    running.await.unwrap();
    assert_eq!(script.bodies(), ["a", "b", "a"]);
    assert_eq!(sender.counts().items(Metrics), 20);
    send(&sender, "c");
    assert_eq!(sender.counts().dropped(Metrics, Reason::Shutdown), 10);
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_receiver_that_is_away() {
    let script = Script::new(std::iter::repeat_n(later(None), 10));
    let (sender, running) = metrics_over(&script);
    send(&sender, "a");
    send(&sender, "b");
    seconds(1).await;
    let began = Instant::now();
    sender.close(began + Duration::from_secs(5));
    running.await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(sender.counts().dropped(Metrics, Reason::Shutdown), 20);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_at_its_deadline_and_counts_what_was_being_sent() {
    let script = Script::slow([(Duration::from_secs(1000), taken())]);
    let (sender, running) = metrics_over(&script);
    send(&sender, "a");
    seconds(1).await;
    send(&sender, "b");
    let began = Instant::now();
    sender.close(began + Duration::from_secs(5));
    running.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!(sender.counts().dropped(Metrics, Reason::Shutdown), 20);
}

#[tokio::test(start_paused = true)]
async fn an_idle_sender_closes_at_once() {
    let (sender, running) = metrics_over(&Script::new([]));
    seconds(1).await;
    sender.close(Instant::now() + Duration::from_secs(5));
    running.await.unwrap();
}

/// A successor of `sender` over `script`, running.
fn succeed(sender: &Sender, script: &Script) -> Sender {
    let (next, lanes) = sender.succeed_over(10_000, None, [Some(script.clone()), None, None]);
    tokio::spawn(lanes.run());
    next
}

#[tokio::test(start_paused = true)]
async fn a_successor_gets_what_is_left_and_what_is_being_sent() {
    let away = [
        (Duration::ZERO, later(None)),
        (Duration::from_secs(1000), taken()),
    ];
    let (old, new) = (Script::slow(away), Script::new([]));
    let (sender, running) = metrics_over(&old);
    send(&sender, "a");
    until_failed(&sender, 1).await;
    send(&sender, "b");
    until(|| old.got().len() == 2).await;
    send(&sender, "c");
    let next = succeed(&sender, &new);
    send(&next, "d");
    sender.close(Instant::now());
    running.await.unwrap();
    send(&sender, "e");
    seconds(1).await;
    assert_eq!(old.bodies(), ["a", "b"]);
    let mut bodies = new.bodies();
    bodies.sort();
    assert_eq!(bodies, ["a", "b", "c", "d", "e"]);
    assert_eq!(next.counts().items(Metrics), 50);
    assert_eq!(
        next.counts().failures(Metrics, Reason::Unavailable),
        1,
        "counts go on"
    );
    assert_eq!(next.counts().dropped(Metrics, Reason::Shutdown), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_packed_for_another_receiver_is_packed_anew() {
    use Compression::{Gzip, None as Plain};
    use Protocol::{Grpc, HttpProtobuf};
    let ways = [
        (Grpc, Gzip),
        (HttpProtobuf, Gzip),
        (Grpc, Plain),
        (HttpProtobuf, Plain),
    ];
    let scripts = ways.map(|(protocol, compression)| {
        Script::new([later(Some(60))]).packing(protocol, compression)
    });
    let (mut sender, mut running) = metrics_over(&scripts[0]);
    send(&sender, "a");
    for (failed, script) in (1..).zip(&scripts[1..]) {
        until_failed(&sender, failed).await;
        let (next, lanes) = sender.succeed_over(10_000, None, [Some(script.clone()), None, None]);
        sender.close(Instant::now());
        running.await.unwrap();
        (sender, running) = (next, tokio::spawn(lanes.run()));
    }
    seconds(120).await;
    for script in &scripts[..3] {
        assert_eq!(script.bodies(), ["a"]);
    }
    assert_eq!(scripts[3].bodies(), ["a", "a"]);
    assert_eq!(sender.counts().items(Metrics), 10);
}

#[tokio::test(start_paused = true)]
async fn what_no_successor_sends_is_counted() {
    let (sender, running) = metrics_over(&Script::new([later(None)]));
    send(&sender, "a");
    seconds(0).await;
    let (next, _lanes) = sender.succeed_over(10_000, None, [None, Some(Script::new([])), None]);
    sender.close(Instant::now());
    running.await.unwrap();
    assert_eq!(next.counts().dropped(Metrics, Reason::Shutdown), 10);
}
