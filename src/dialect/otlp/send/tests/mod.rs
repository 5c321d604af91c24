//! The lanes over a scripted carrier, with tokio's clock paused.

mod closing;
mod logged;
mod parts;
mod spooled;

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::dialect::otlp::answer::Answer;
use crate::dialect::otlp::options::{Compression, Protocol};
use crate::dialect::otlp::wire::Packing;

use Signal::{Metrics, Traces};

/// Answers as scripted, then takes everything; notes what it got and when.
#[derive(Clone)]
struct Script(Arc<Mutex<Play>>, Packing);

struct Play {
    began: Instant,
    answers: VecDeque<(Duration, Answer)>,
    got: Vec<(u64, String)>,
    /// Not taken so many times, whatever becomes of others.
    unwanted: Option<(&'static str, u32)>,
    /// Refused for good, and all that comes with it.
    refused: Option<&'static str>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::slow(answers.into_iter().map(|answer| (Duration::ZERO, answer)))
    }

    fn slow(answers: impl IntoIterator<Item = (Duration, Answer)>) -> Self {
        let answers = answers.into_iter().collect();
        let play = Play {
            began: Instant::now(),
            answers,
            got: Vec::new(),
            unwanted: None,
            refused: None,
        };
        let packing = Packing {
            protocol: Protocol::HttpProtobuf,
            compression: Compression::None,
        };
        Self(Arc::new(Mutex::new(play)), packing)
    }

    fn packing(mut self, protocol: Protocol, compression: Compression) -> Self {
        self.1 = Packing {
            protocol,
            compression,
        };
        self
    }

    /// Seconds since the start and the body of each request.
    fn got(&self) -> Vec<(u64, String)> {
        self.0.lock().unwrap().got.clone()
    }

    fn bodies(&self) -> Vec<String> {
        self.got().into_iter().map(|(_, body)| body).collect()
    }
}

impl Carry for Script {
    fn packing(&self) -> Packing {
        self.1
    }

    async fn carry(&self, packed: Bytes) -> Answer {
        let message = self.1.unpack(&packed).unwrap();
        let (pause, answer) = {
            let mut play = self.0.lock().unwrap();
            let seconds = play.began.elapsed().as_secs();
            let message = String::from_utf8(message.to_vec()).unwrap();
            play.got.push((seconds, message.clone()));
            let now = (Duration::ZERO, taken());
            let refused = play.refused.is_some_and(|body| message.contains(body));
            match &mut play.unwanted {
                _ if refused => (Duration::ZERO, never()),
                Some((body, times)) if *times > 0 && message == *body => {
                    *times -= 1;
                    (Duration::ZERO, later(None))
                }
                _ => play.answers.pop_front().unwrap_or(now),
            }
        };
        tokio::time::sleep(pause).await;
        answer
    }

    fn peer(&self) -> String {
        "http://receiver".into()
    }
}

fn taken() -> Answer {
    Answer::Taken {
        rejected: 0,
        told: String::new(),
    }
}

fn later(wait: Option<u64>) -> Answer {
    let wait = wait.map(Duration::from_secs);
    Answer::Later {
        reason: Reason::Unavailable,
        wait,
        told: "answered 503".into(),
    }
}

fn never() -> Answer {
    Answer::Never {
        reason: Reason::Rejected,
        told: "answered 400".into(),
    }
}

fn over(limit: usize, carriers: [Option<Script>; 3]) -> (Sender, Lanes<Script>) {
    Sender::over(Queue::new(limit), limit, Arc::default(), None, carriers)
}

/// A sender of metrics whose lanes run in a task of their own.
fn metrics_over(script: &Script) -> (Sender, tokio::task::JoinHandle<()>) {
    let (sender, lanes) = over(10_000, [Some(script.clone()), None, None]);
    (sender, tokio::spawn(lanes.run()))
}

fn send(sender: &Sender, body: &str) {
    sender.send(Metrics, Bytes::copy_from_slice(body.as_bytes()), 10);
}

/// Returns once `fact` holds.
async fn until(fact: impl Fn() -> bool) {
    while !fact() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Returns once so many requests for metrics were not taken.
async fn until_failed(sender: &Sender, count: u64) {
    until(|| sender.counts().failures(Metrics, Reason::Unavailable) == count).await;
}

async fn seconds(count: u64) {
    tokio::time::sleep(Duration::from_secs(count)).await;
}

#[tokio::test(start_paused = true)]
async fn sends_at_once_and_counts() {
    let script = Script::new([]);
    let (sender, _running) = metrics_over(&script);
    send(&sender, "a");
    seconds(1).await;
    assert_eq!(script.got(), [(0, "a".into())]);
    assert_eq!(sender.counts().requests(Metrics), 1);
    assert_eq!(sender.counts().items(Metrics), 10);
    assert_eq!(sender.depth(Metrics), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn an_outage_loses_nothing_and_the_newest_goes_first() {
    let script = Script::new(std::iter::repeat_n(later(None), 8));
    let (sender, _running) = metrics_over(&script);
    for interval in 0..5 {
        send(&sender, &interval.to_string());
        seconds(15).await;
    }
    seconds(120).await;
    let bodies = script.bodies();
    let mut delivered: Vec<_> = bodies[8..].to_vec();
    delivered.sort();
    assert_eq!(delivered, ["0", "1", "2", "3", "4"], "{:?}", script.got());
    let fresh: Vec<_> = script
        .got()
        .into_iter()
        .filter(|(at, _)| at % 15 == 0)
        .collect();
    for interval in 0..5 {
        let tried = (interval * 15, interval.to_string());
        assert!(
            fresh.contains(&tried),
            "{interval} was tried when it came: {:?}",
            script.got()
        );
    }
    assert_eq!(sender.counts().failures(Metrics, Reason::Unavailable), 8);
    assert_eq!(sender.counts().items(Metrics), 50);
    for reason in Reason::ALL {
        assert_eq!(sender.counts().dropped(Metrics, reason), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_back_gets_the_backlog_at_once_after_the_live_point() {
    // Long away, so that the backoff stands at its most.
    let script = Script::new(std::iter::repeat_n(later(None), 12));
    let (sender, _running) = metrics_over(&script);
    for body in ["a", "b", "c"] {
        send(&sender, body);
        seconds(1).await;
    }
    while script.got().len() < 12 {
        seconds(1).await;
    }
    send(&sender, "d");
    seconds(1).await;
    let got = script.got();
    let bodies: Vec<_> = got[12..].iter().map(|(_, body)| body.as_str()).collect();
    assert_eq!(bodies, ["d", "a", "b", "c"], "{got:?}");
    assert!(got[15].0 - got[12].0 <= 1, "{got:?}");
}

#[tokio::test(start_paused = true)]
async fn in_memory_too_newest_and_backlog_take_turns() {
    let three = Duration::from_secs(3);
    // Between two seconds, in each of which a new one comes.
    let answers = std::iter::once((Duration::from_millis(400), later(Some(10))));
    let slow = Script::slow(answers.chain(std::iter::repeat_n((three, taken()), 100)));
    let (sender, _running) = metrics_over(&slow);
    for number in 0..30 {
        send(&sender, &number.to_string());
        seconds(1).await;
    }
    let bodies = slow.bodies();
    // Away for ten seconds; then every other request is of the backlog, which is sent oldest first.
    let expected = ["0", "10", "0", "16", "1", "22", "2", "28"];
    assert_eq!(bodies, expected, "{:?}", slow.got());
}

#[tokio::test(start_paused = true)]
async fn the_backoff_grows_to_a_minute_and_stays_there() {
    let script = Script::new(std::iter::repeat_n(later(None), 30));
    let (sender, _running) = metrics_over(&script);
    send(&sender, "a");
    seconds(3600).await;
    let at: Vec<_> = script.got().iter().map(|(at, _)| *at).collect();
    let pauses: Vec<_> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses.iter().all(|pause| *pause <= 73), "{pauses:?}");
    assert!(pauses[0] <= 2, "{pauses:?}");
    assert!(pauses[10..].iter().all(|pause| *pause >= 47), "{pauses:?}");
    assert_eq!(sender.counts().items(Metrics), 10, "taken in the end");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_inside_a_retry_after() {
    let script = Script::new([later(Some(100))]);
    let (sender, _running) = metrics_over(&script);
    for body in ["a", "b", "c"] {
        send(&sender, body);
        seconds(30).await;
    }
    assert_eq!(script.bodies(), ["a"]);
    seconds(30).await;
    let got = script.got();
    assert_eq!(script.bodies(), ["a", "c", "a", "b"]);
    assert!(
        got[1..].iter().all(|(at, _)| (100..=101).contains(at)),
        "{got:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_refused_for_good_does_not_hold_up_the_next() {
    let script = Script::new([later(None), never(), never()]);
    let (sender, _running) = metrics_over(&script);
    send(&sender, "a");
    seconds(20).await;
    send(&sender, "b");
    send(&sender, "c");
    seconds(1).await;
    assert_eq!(script.bodies(), ["a", "a", "c", "b"]);
    assert_eq!(sender.counts().dropped(Metrics, Reason::Rejected), 20);
    assert_eq!(sender.counts().failures(Metrics, Reason::Rejected), 2);
    assert_eq!(sender.counts().requests(Metrics), 1);
    assert_eq!(sender.depth(Metrics), Depth::default());
}

#[tokio::test(start_paused = true)]
async fn what_a_receiver_rejects_of_a_request_is_counted_and_not_sent_again() {
    let script = Script::new([Answer::Taken {
        rejected: 3,
        told: "too old".into(),
    }]);
    let (sender, _running) = metrics_over(&script);
    send(&sender, "a");
    seconds(3600).await;
    assert_eq!(script.bodies(), ["a"]);
    assert_eq!(sender.counts().items(Metrics), 7);
    assert_eq!(sender.counts().dropped(Metrics, Reason::PartialSuccess), 3);
}

#[tokio::test(start_paused = true)]
async fn one_signal_does_not_wait_for_the_other() {
    let slow = Script::slow([(Duration::from_secs(1000), later(None))]);
    let quick = Script::new([]);
    let (sender, lanes) = over(10_000, [Some(slow.clone()), Some(quick.clone()), None]);
    let _running = tokio::spawn(lanes.run());
    send(&sender, "a");
    sender.send(Traces, Bytes::from_static(b"t"), 1);
    seconds(1).await;
    assert_eq!(
        (slow.bodies(), quick.bodies()),
        (vec!["a".into()], vec!["t".into()])
    );
    assert_eq!(sender.counts().items(Traces), 1);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_its_oldest_goes() {
    let script = Script::new(std::iter::repeat_n(later(Some(3600)), 1));
    let (sender, lanes) = over(1000, [Some(script.clone()), None, None]);
    let _running = tokio::spawn(lanes.run());
    for body in 0..10 {
        send(&sender, &format!("{body}{}", "x".repeat(199)));
        seconds(1).await;
    }
    let depth = sender.depth(Metrics);
    assert!(depth.bytes <= 1000 && depth.parcels == 3, "{depth:?}");
    assert_eq!(sender.counts().dropped(Metrics, Reason::QueueFull), 70);
    seconds(3600).await;
    let bodies = script.bodies();
    let left: Vec<_> = bodies[1..].iter().map(|body| body.as_bytes()[0]).collect();
    assert_eq!(left, *b"978");
}

#[tokio::test(start_paused = true)]
async fn too_large_a_request_is_dropped_and_counted() {
    let script = Script::new([]);
    let (sender, _running) = metrics_over(&script);
    sender.send(Metrics, vec![0; REQUEST_MOST + 1].into(), 7);
    seconds(1).await;
    assert_eq!(script.bodies(), [""; 0]);
    assert_eq!(sender.counts().dropped(Metrics, Reason::TooLarge), 7);
}

#[tokio::test(start_paused = true)]
async fn a_signal_without_a_receiver_is_ignored() {
    let (sender, _running) = metrics_over(&Script::new([]));
    assert!(sender.sends(Metrics) && !sender.sends(Traces));
    sender.send(Traces, Bytes::from_static(b"t"), 1);
    assert_eq!(sender.depth(Traces), Depth::default());
}
