//! What is forgotten, and that the rest still proves itself.

use std::time::Duration;

use super::*;
use crate::model::duration::Period;
use crate::model::size::Size;

const HOUR: i64 = 3_600_000;

fn options(max_size: Size) -> Options {
    Options {
        keep: Period::secs(24 * 3_600),
        max_size,
        evidence: Size::mib(1),
    }
}

fn packet(number: u32, text: &str) -> Commit {
    let incident = IncidentId::new("01J");
    let data = json!({"number": number, "sha256": Hash::of(text).to_string()});
    Commit {
        evidence: vec![Evidence {
            incident: incident.clone(),
            number,
            text: text.into(),
        }],
        ..Commit::of(Entry::new(Kind::Evidence).incident(&incident).data(data))
    }
}

fn packets(bench: &Bench) -> Vec<u32> {
    let reader = Reader::open(&bench.path()).unwrap();
    let mut kept = Vec::new();
    reader
        .packets("01J", 0, &mut |packet| {
            kept.push(packet.number);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    kept
}

#[tokio::test]
async fn the_oldest_evidence_goes_for_want_of_room_and_with_its_time_and_its_record_stays() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    let text = "x".repeat(200 << 10);
    for number in 1..=40 {
        journal.commit(packet(number, &text)).await.unwrap();
    }
    // Looked at as it grows: what is over the line when nobody looked is less than was written since.
    let left = packets(&bench);
    assert!(left.len() < 30 && left.last() == Some(&40), "{left:?}");
    assert!(left.is_sorted() && left.first() > Some(&1), "{left:?}");
    journal.close().await;
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    until(&bench, |_| packets(&bench).len() == 5).await;
    assert_eq!(packets(&bench), [36, 37, 38, 39, 40]);
    assert_eq!(checked(&bench).records, 40);
    journal.commit(packet(41, "new")).await.unwrap();
    bench.now.fetch_add(23 * HOUR, Ordering::Relaxed);
    journal.commit(packet(42, "newer")).await.unwrap();
    bench.now.fetch_add(2 * HOUR, Ordering::Relaxed);
    journal.commit(Commit::of(entry("later"))).await.unwrap();
    until(&bench, |_| packets(&bench) == [42]).await;
}

#[tokio::test]
async fn packets_with_nothing_in_them_take_no_places_of_others() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    let full = "x".repeat(4 << 10);
    journal.commit(packet(1, &full)).await.unwrap();
    bench.now.fetch_add(HOUR, Ordering::Relaxed);
    let mut storm = Commit::default();
    for number in 2..=1_600 {
        let one = packet(number, "others were being gathered");
        storm.entries.extend(one.entries);
        storm.evidence.extend(one.evidence);
    }
    journal.commit(storm).await.unwrap();
    // A journal of this size keeps 1,000 of each.
    until(&bench, |_| packets(&bench).len() <= 1_001).await;
    let left = packets(&bench);
    assert_eq!((left.len(), left.first()), (1_001, Some(&1)));
}

#[tokio::test]
async fn evidence_that_was_changed_is_named_and_what_is_gone_is_no_fault() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    for number in 1..=3 {
        let text = format!("packet {number}\n");
        journal.commit(packet(number, &text)).await.unwrap();
    }
    // It is there already: nobody puts another in its place.
    let again = Commit {
        entries: Vec::new(),
        ..packet(2, "another")
    };
    journal.commit(again).await.unwrap();
    assert_eq!(checked(&bench).records, 3);
    let tampered = |sql: &str| {
        rusqlite::Connection::open(bench.path().join("journal.db"))
            .unwrap()
            .execute(sql, ())
            .unwrap()
    };
    tampered("DELETE FROM evidence WHERE number = 1");
    assert_eq!(checked(&bench).records, 3);
    tampered("UPDATE evidence SET text = 'packet 2, changed' WHERE number = 2");
    let reader = Reader::open(&bench.path()).unwrap();
    let broken = verify(&reader, &Anchors::default()).unwrap().unwrap_err();
    assert_eq!(
        broken.to_string(),
        "evidence 2 of incident 01J is not what record 2 has the hash of: it was changed"
    );
}

#[tokio::test]
async fn a_journal_without_a_place_for_evidence_has_none_and_gets_one() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    journal.close().await;
    rusqlite::Connection::open(bench.path().join("journal.db"))
        .unwrap()
        .execute("DROP TABLE evidence", ())
        .unwrap();
    assert!(packets(&bench).is_empty());
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    journal.commit(packet(1, "it")).await.unwrap();
    assert_eq!(packets(&bench), [1]);
}

fn checked(bench: &Bench) -> Verified {
    let reader = Reader::open(&bench.path()).unwrap();
    verify(&reader, &Anchors::default()).unwrap().unwrap()
}

/// Waits until the writer has nothing left to delete: it deletes after it has answered.
async fn until(bench: &Bench, done: impl Fn(&Verified) -> bool) -> Verified {
    let end = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let verified = checked(bench);
        if done(&verified) {
            return verified;
        }
        assert!(std::time::Instant::now() < end, "{verified:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn old_records_go_and_their_last_hash_stays() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    let commit = |text: String| Commit::of(entry(&text));
    let mut hashes = Vec::new();
    for i in 0..1_200 {
        let committed = journal.commit(commit(format!("old {i}"))).await.unwrap();
        hashes.push(committed.hash);
    }
    bench.now.fetch_add(25 * HOUR, Ordering::Relaxed);
    let new = journal.commit(commit("new".into())).await.unwrap();
    let left = until(&bench, |v| v.records == 1).await;
    assert_eq!((left.floor.seq, left.floor.hash), (1_200, hashes[1_199]));
    assert_eq!((left.head.seq, left.head.hash), (1_201, new.hash));
    assert_eq!(journal.counts().pruned, 1_200);
    let kept = u64::try_from(bench.lines().len()).unwrap();
    assert_eq!(journal.counts().kept, kept);

    // Anchors of what was deleted prove nothing and are no fault, as long as a later one is found.
    let mut anchors = Anchors::default();
    anchors.add(1, &hashes[3].to_string());
    let reader = Reader::open(&bench.path()).unwrap();
    assert!(verify(&reader, &anchors).unwrap().is_err());
    anchors.add(2, &new.hash.to_string());
    let verified = verify(&reader, &anchors).unwrap().unwrap();
    assert_eq!((verified.anchored, verified.pruned), (1, 1));
    drop(reader);

    // Nothing is left: the chain goes on behind what was deleted.
    bench.now.fetch_add(25 * HOUR, Ordering::Relaxed);
    journal.close().await;
    let (journal, restored) = bench.try_open(&options(Size::mib(64))).unwrap();
    assert_eq!(restored.head.hash, new.hash);
    until(&bench, |v| v.records == 0).await;
    journal.close().await;
    let (journal, restored) = bench.try_open(&options(Size::mib(64))).unwrap();
    assert_eq!(restored.head.hash, new.hash);
    assert_eq!(
        journal.commit(commit("on".into())).await.unwrap().seq,
        1_202
    );
    assert_eq!(checked(&bench).records, 1);
}

#[tokio::test]
async fn records_of_an_open_incident_stay_however_old() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    let of = |open| Commit {
        entries: vec![entry("of it").incident(&IncidentId::new("01A"))],
        incidents: vec![incident("01A", open)],
        ..Commit::default()
    };
    journal.commit(Commit::of(entry("before"))).await.unwrap();
    journal.commit(of(true)).await.unwrap();
    bench.now.fetch_add(25 * HOUR, Ordering::Relaxed);
    journal.commit(Commit::of(entry("after"))).await.unwrap();
    let left = until(&bench, |v| v.records < 3).await;
    assert_eq!((left.floor.seq, left.records), (1, 2));
    journal.commit(of(false)).await.unwrap();
    until(&bench, |v| v.floor.seq == 2).await;
}

#[tokio::test]
async fn the_size_is_bounded_and_at_last_wins_over_an_open_incident() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(1))).unwrap();
    let id = IncidentId::new("01A");
    let large = || Commit::of(entry(&"x".repeat(10_000)));
    for _ in 0..400 {
        journal.commit_waiting(large()).await.unwrap();
    }
    let left = until(&bench, |_| journal.counts().size <= 1 << 20).await;
    // No more went than had to.
    assert!(left.records > 80, "{left:?}");

    let open = Commit {
        entries: vec![entry("of it").incident(&id)],
        incidents: vec![incident("01A", true)],
        ..Commit::default()
    };
    let first = journal.commit(open).await.unwrap().seq;
    for _ in 0..110 {
        journal.commit_waiting(large()).await.unwrap();
    }
    // Over the size, but not by half: what is older than the incident went, no more.
    let held = until(&bench, |v| v.floor.seq == first - 1).await;
    assert_eq!(held.records, 111);
    for _ in 0..200 {
        journal.commit_waiting(large()).await.unwrap();
    }
    until(&bench, |v| {
        v.floor.seq > first && journal.counts().size <= 3 << 19
    })
    .await;
    assert!(bench.path().join("journal.db").metadata().unwrap().len() <= 2 << 20);
}

#[tokio::test]
async fn in_a_small_journal_the_keys_of_deliveries_leave_room_for_records() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(16))).unwrap();
    for number in 0..20_u8 {
        let keys = (0..1_000_u32).map(|key| {
            let mut bytes = [number; 32];
            bytes[..4].copy_from_slice(&key.to_le_bytes());
            bytes
        });
        let commit = Commit {
            entries: vec![entry("of it")],
            deliveries: keys.collect(),
            ..Commit::default()
        };
        journal.commit(commit).await.unwrap();
    }
    journal.close().await;
    let (journal, _) = bench.try_open(&options(Size::mib(16))).unwrap();
    // Closing waits for what the writer does at its start.
    journal.close().await;
    let (journal, restored) = bench.try_open(&options(Size::mib(16))).unwrap();
    // A 32nd of what a large one keeps.
    assert_eq!(restored.deliveries.len(), 3_125);
    assert_eq!(checked(&bench).records, 20);
    journal.close().await;
}

#[tokio::test]
async fn what_is_over_is_forgotten_with_its_time_and_what_is_not_stays() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    let episode = |name: &str, resolved| EpisodeRow {
        episode: name.into(),
        resolved,
        body: "{}".into(),
        seen: Timestamp(bench.now.load(Ordering::Relaxed)),
    };
    let closed = IncidentRow {
        revision: Some("r2".into()),
        ..incident("01B", false)
    };
    let committed = journal
        .commit(Commit {
            incidents: vec![incident("01A", true), closed],
            episodes: vec![episode("a", true), episode("b", false)],
            deliveries: vec![[1; 32]],
            playbooks: vec![("r1".into(), "{}".into()), ("r2".into(), "{}".into())],
            outbox: vec![outgoing("soc", "1"), outgoing("soc", "2")],
            ..Commit::default()
        })
        .await
        .unwrap();
    let sent = Commit {
        sent: vec![(committed.outbox[0], Sent::Delivered)],
        ..Commit::default()
    };
    journal.commit(sent).await.unwrap();
    journal.close().await;
    bench.now.fetch_add(8 * 24 * HOUR, Ordering::Relaxed);
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    // Closing waits for what the writer does at its start.
    journal.close().await;
    let (journal, restored) = bench.try_open(&options(Size::mib(64))).unwrap();
    assert_eq!((restored.incidents.len(), restored.closed.len()), (1, 0));
    let episodes: Vec<_> = restored
        .episodes
        .iter()
        .map(|e| e.episode.as_str())
        .collect();
    assert_eq!(episodes, ["b"]);
    assert!(restored.deliveries.is_empty());
    // How long a notice waits is for its notifier to say.
    assert_eq!(restored.outbox.len(), 1);
    let reader = Reader::open(&bench.path()).unwrap();
    assert!(reader.playbook("r1").unwrap().is_some());
    assert!(reader.playbook("r2").unwrap().is_none());
    journal.close().await;
}

#[tokio::test]
async fn a_wall_clock_that_was_set_ahead_makes_nothing_old_for_a_day() {
    let bench = Bench::new();
    let commit = |number: u8| Commit {
        entries: vec![entry("of it")],
        deliveries: vec![[number; 32]],
        incidents: vec![incident(&format!("01{number}"), false)],
        ..Commit::default()
    };
    let run = async |number| {
        let (journal, restored) = bench.try_open(&options(Size::mib(64))).unwrap();
        journal.commit(commit(number)).await.unwrap();
        // Closing waits for what the writer deletes.
        journal.close().await;
        (restored.closed.len(), restored.deliveries.len())
    };
    run(1).await;
    bench
        .ahead
        .fetch_add(73 * 365 * 24 * HOUR, Ordering::Relaxed);
    assert_eq!(run(2).await, (1, 1));
    assert_eq!(run(3).await, (2, 2));
    assert_eq!(checked(&bench).records, 3);
    // Set right again, nothing has happened.
    bench.ahead.store(0, Ordering::Relaxed);
    assert_eq!(run(4).await, (3, 3));
    assert_eq!(checked(&bench).records, 4);
    // It stays: then that is the time.
    bench.ahead.fetch_add(HOUR * 10_000, Ordering::Relaxed);
    // Whoever closes has looked at the clock.
    assert_eq!(run(5).await, (4, 4));
    assert_eq!(checked(&bench).records, 5);
    let (journal, _) = bench.try_open(&options(Size::mib(64))).unwrap();
    bench.now.fetch_add(24 * HOUR, Ordering::Relaxed);
    journal.commit(commit(6)).await.unwrap();
    // What the clock dated ahead is not old, and holds what is behind it.
    until(&bench, |v| v.floor.seq == 1).await;
}

#[tokio::test]
async fn a_flood_of_alerts_that_fire_leaves_the_records_where_they_are() {
    let bench = Bench::new();
    let (journal, _) = bench.try_open(&options(Size::mib(16))).unwrap();
    let id = IncidentId::new("01A");
    let open = Commit {
        entries: vec![entry("of it").incident(&id)],
        incidents: vec![incident("01A", true)],
        ..Commit::default()
    };
    journal.commit(open).await.unwrap();
    for body in 0..30 {
        let episodes = (0..5_000).map(|number| EpisodeRow {
            episode: format!("am/{body}/{number}"),
            resolved: false,
            body: "x".repeat(200),
            seen: Timestamp(bench.now.load(Ordering::Relaxed)),
        });
        let commit = Commit {
            entries: vec![entry("alerts")],
            episodes: episodes.collect(),
            ..Commit::default()
        };
        journal.commit_waiting(commit).await.unwrap();
    }
    let left = until(&bench, |_| journal.counts().size <= 16 << 20).await;
    assert_eq!((left.records, left.pruned), (31, 0));
}
