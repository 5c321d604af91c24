//! How much a packet takes at most, in bytes and in time.

use super::*;

/// Every part of a packet, of a unit or of a container, as large as it may be.
fn largest(letter: &str) -> Vec<Part> {
    let rooms = [
        ("unit", unit::STATUS.max(container::STATUS)),
        ("log", unit::LOG.max(container::LOG)),
        ("processes", machine::PROCESSES),
        ("pressure", machine::PRESSURE),
        ("sockets", machine::SOCKETS),
        ("pool", pool::VIEW),
    ];
    let part = |(name, most): (&'static str, usize)| {
        // Longer lines are cut on their own account.
        let line = format!("{}\n", letter.repeat(500));
        let text = line.repeat(most / 400);
        let mut part = Part::new(name, line.as_str(), most);
        part.found = Ok(text);
        part
    };
    rooms.into_iter().map(part).collect()
}

#[test]
fn a_packet_has_its_bound_whatever_is_in_it() {
    // What takes most in JSON, and what is spelled out before: a quote, a control, a letter of four bytes.
    for letter in ["\"", "\u{1}", "\u{10fffd}", "x"] {
        let of =
            json!({"incident": "01JD", "playbook": "p".repeat(1_000), "target": "t".repeat(1_000)});
        let packet = write(of, Occasion::BeforeAction, &largest(letter));
        let bytes = packet.text.len();
        assert!(bytes <= MOST && bytes > MOST / 4, "{letter:?}: {bytes}");
        let whole: Value = serde_json::from_str(&packet.text).unwrap();
        for part in whole["parts"].as_array().unwrap() {
            assert!(part["left_out_bytes"].as_u64().unwrap() > 0, "{letter:?}");
        }
        assert_eq!(packet.missing, Vec::<&str>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_answers_is_done_without_and_says_so() {
    let began = Instant::now();
    let gatherer = Gatherer::default();
    let gathered = gatherer.gathered(json!({}), Occasion::BeforeAction, |until| async move {
        let never = Part::new("pool", "web", 100).by(until, std::future::pending());
        let there = Part::new("log", "web", 100).by(until, async { Ok("x".to_owned().into()) });
        let (never, there) = tokio::join!(never, there);
        vec![never, there]
    });
    let packet = gathered.await.unwrap();
    assert_eq!(began.elapsed(), WITHIN);
    assert_eq!(packet.missing, ["pool"]);
    let whole: Value = serde_json::from_str(&packet.text).unwrap();
    assert_eq!(
        whole["parts"],
        json!([
            {"part": "pool", "of": "web", "took_ms": 3000, "missing": "it was not there within 3s"},
            {"part": "log", "of": "web", "took_ms": 0, "text": "x", "left_out_bytes": 0},
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn in_a_storm_few_are_gathered_and_nobody_waits_longer() {
    let began = Instant::now();
    let gatherer = Gatherer::default();
    let slow = |_| async {
        tokio::time::sleep(WITHIN).await;
        Vec::new()
    };
    let all: Vec<_> = (0..20)
        .map(|_| tokio::spawn(gatherer.gathered(json!({}), Occasion::BeforeAction, slow)))
        .collect();
    let (mut gathered, mut busy) = (0, 0);
    for packet in all {
        match packet.await.unwrap().unwrap() {
            packet if packet.missing.is_empty() => gathered += 1,
            packet => {
                assert!(packet.text.contains(BUSY), "{}", packet.text);
                busy += 1;
            }
        }
    }
    assert_eq!((gathered, busy), (AT_ONCE, 20 - AT_ONCE));
    assert_eq!(began.elapsed(), WITHIN);
    // It is over, and there is a turn again.
    let next = gatherer.gathered(json!({}), Occasion::Escalated, slow);
    assert_eq!(next.await.unwrap().missing, Vec::<&str>::new());
}
