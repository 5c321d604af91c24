use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;

use super::*;
use crate::model::id::IncidentId;
use crate::model::moment::{Moment, Timestamp};
use crate::model::severity::Severity;

mod crash;
mod proof;
mod retention;

/// A journal in a directory of its own, and its clock.
struct Bench {
    dir: tempfile::TempDir,
    now: Arc<AtomicI64>,
    /// How far the wall clock was set ahead.
    ahead: Arc<AtomicI64>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            now: Arc::new(AtomicI64::new(1_795_647_071_198)),
            ahead: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn try_open(&self, options: &Options) -> Result<(Journal, Restored), OpenError> {
        let (now, ahead) = (Arc::clone(&self.now), Arc::clone(&self.ahead));
        let clock: Clock = Arc::new(move || {
            let boot = now.load(Ordering::Relaxed);
            Moment {
                wall: Timestamp(boot + ahead.load(Ordering::Relaxed)),
                boot: boot.unsigned_abs(),
                boot_id: "boot".into(),
            }
        });
        Journal::open_at(&self.path(), options, clock)
    }

    fn open(&self) -> (Journal, Restored) {
        self.try_open(&Options::default()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        lines(&self.path(), &Filter::default())
    }
}

fn lines(directory: &Path, filter: &Filter) -> Vec<String> {
    let mut lines = Vec::new();
    let reader = Reader::open(directory).unwrap();
    let count = reader
        .entries(filter, &mut |stored| {
            lines.push(stored.exported());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(count, lines.len() as u64);
    lines
}

fn entry(text: &str) -> Entry {
    Entry::new(Kind::Alert).data(serde_json::json!({ "text": text }))
}

fn incident(id: &str, open: bool) -> IncidentRow {
    IncidentRow {
        id: IncidentId::new(id),
        open,
        revision: Some("r1".into()),
        body: format!("{{\"of\":\"{id}\"}}"),
    }
}

fn outgoing(sink: &str, id: &str) -> Outgoing {
    Outgoing {
        sink: sink.into(),
        id: id.into(),
        severity: Severity::Critical,
        body: "{}".into(),
        entry: None,
    }
}

#[tokio::test]
async fn a_restart_resumes_from_what_was_committed() {
    let bench = Bench::new();
    let (journal, before) = bench.open();
    assert_eq!((before.head, before.incidents.len()), (Head::START, 0));
    let first = journal
        .commit(Commit {
            entries: vec![entry("a"), entry("b")],
            incidents: vec![incident("01A", true), incident("01B", true)],
            episodes: vec![EpisodeRow {
                episode: "am/f/1".into(),
                resolved: false,
                body: "{}".into(),
                seen: Timestamp(5),
            }],
            deliveries: vec![[7; 32]],
            playbooks: vec![
                ("r1".into(), "{\"p\":1}".into()),
                ("r2".into(), "{}".into()),
            ],
            settings: vec![
                ("kill".into(), Some("freeze".into())),
                ("maintenance".into(), Some("on".into())),
            ],
            outbox: vec![
                outgoing("soc", "e1"),
                outgoing("soc", "e2"),
                outgoing("mail", "e1"),
            ],
            ..Commit::default()
        })
        .await
        .unwrap();
    assert_eq!((first.seq, first.outbox.len()), (2, 3));
    bench.now.fetch_add(1, Ordering::Relaxed);
    let second = journal
        .commit(Commit {
            entries: vec![entry("c")],
            incidents: vec![incident("01B", false)],
            playbooks: vec![("r1".into(), "changed".into())],
            settings: vec![("maintenance".into(), None)],
            outbox: vec![outgoing("soc", "e2")],
            sent: vec![
                (first.outbox[0], Sent::Delivered),
                (
                    first.outbox[1],
                    Sent::Failed(Timestamp(9), "refused".into()),
                ),
            ],
            ..Commit::default()
        })
        .await
        .unwrap();
    // A notification of the same sink and id is the same one.
    assert_eq!(second.outbox, [first.outbox[1]]);
    journal.close().await;

    let (_journal, after) = bench.open();
    assert_eq!((after.head.seq, after.head.hash), (second.seq, second.hash));
    assert_eq!(after.incidents, [incident("01A", true)]);
    assert_eq!(after.closed, [incident("01B", false)]);
    assert_eq!(after.episodes.len(), 1);
    assert_eq!(after.deliveries, [[7; 32]]);
    let playbooks: Vec<_> = after.playbooks.into_iter().collect();
    assert_eq!(playbooks, [("r1".to_owned(), "{\"p\":1}".to_owned())]);
    let settings: Vec<_> = after.settings.into_iter().collect();
    assert_eq!(settings, [("kill".to_owned(), "freeze".to_owned())]);
    let waiting: Vec<_> = after
        .outbox
        .iter()
        .map(|o| (o.sink.as_str(), o.id.as_str(), o.tries, o.seq, o.severity))
        .collect();
    assert_eq!(
        waiting,
        [
            ("soc", "e2", 1, 2, Severity::Critical),
            ("mail", "e1", 0, 2, Severity::Critical)
        ]
    );
    assert_eq!(after.outbox[0].chain, first.hash);
}

#[tokio::test]
async fn each_record_carries_the_hash_over_the_one_before() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let one = journal.commit(Commit::of(entry("a"))).await.unwrap();
    let two = journal.commit(Commit::of(entry("b"))).await.unwrap();
    let text = "{\"seq\":1,\"time\":\"2026-11-25T22:51:11.198Z\",\"kind\":\"alert\",\"data\":{\"text\":\"a\"}}";
    assert_eq!(one.hash, Hash::ZERO.next(text));
    let exported = bench.lines();
    assert_eq!(
        exported[0],
        format!(
            "{},\"hash\":\"{}\"}}",
            text.strip_suffix('}').unwrap(),
            one.hash
        )
    );
    assert_eq!(
        two.hash,
        one.hash
            .next(&text.replace(":1,", ":2,").replace("\"a\"", "\"b\""))
    );
}

#[tokio::test]
async fn records_are_found_by_incident_kind_time_and_number() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let id = IncidentId::new("01A");
    for i in 0..2_500 {
        let entry = match i % 3 {
            0 => Entry::new(Kind::State).incident(&id),
            _ => entry("x"),
        };
        bench.now.fetch_add(1_000, Ordering::Relaxed);
        journal.commit_waiting(Commit::of(entry)).await.unwrap();
    }
    let count = |filter: Filter| lines(&bench.path(), &filter).len();
    assert_eq!(count(Filter::default()), 2_500);
    let of = |incident: &str| Filter {
        incident: Some(incident.into()),
        ..Filter::default()
    };
    assert_eq!(count(of("01A")), 834);
    assert_eq!(count(of("01B")), 0);
    let kind = Filter {
        kind: Some(Kind::Alert),
        newest: Some(2),
        ..Filter::default()
    };
    let newest = lines(&bench.path(), &kind);
    assert!(newest[0].starts_with("{\"seq\":2498,") && newest[1].starts_with("{\"seq\":2499,"));
    let since = Filter {
        since: Some(Timestamp(bench.now.load(Ordering::Relaxed) - 9_000)),
        ..Filter::default()
    };
    assert_eq!(count(since), 10);
    let reader = Reader::open(&bench.path()).unwrap();
    assert_eq!(reader.incidents_like("01a", 5).unwrap(), ["01A"]);
    assert!(reader.incidents_like("_1A", 5).unwrap().is_empty());
}

#[tokio::test]
async fn the_records_of_an_incident_begin_with_the_alert_that_opened_it() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let id = IncidentId::new("01A");
    let alert = |labels: serde_json::Value, incidents: &[&str]| {
        Entry::new(Kind::Alert).data(json!({"labels": labels, "incidents": incidents}))
    };
    let state = || Entry::new(Kind::State).incident(&id);
    for entry in [
        alert(json!({"n": 1}), &["01A"]),
        alert(json!({"n": 2}), &["01B", "01A"]),
        state(),
        alert(json!({"n": 3}), &["01B"]),
        alert(
            json!({"01A": "01A", "a": "[\"01A\"]", "b": ",\"01A\"]"}),
            &[],
        ),
        alert(json!({"n": 4}), &["01B", "01A", "01C"]),
        state(),
        alert(json!({"n": 5}), &["01A"]),
    ] {
        journal.commit_waiting(Commit::of(entry)).await.unwrap();
    }
    let of = Filter {
        incident: Some("01A".into()),
        ..Filter::default()
    };
    let numbers: Vec<i64> = lines(&bench.path(), &of)
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_i64()
                .unwrap()
        })
        .collect();
    assert_eq!(numbers, [2, 3, 6, 7]);
    let newest = Filter {
        newest: Some(2),
        ..of
    };
    assert_eq!(lines(&bench.path(), &newest).len(), 2);
}

#[tokio::test]
async fn ten_thousand_commits_at_once_take_few_syncs_and_all_are_there() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..10_000 {
        let journal = journal.clone();
        tasks.spawn(async move {
            let commit = Commit::of(entry(&i.to_string()));
            journal.commit_waiting(commit).await.unwrap().seq
        });
    }
    let mut seqs = tasks.join_all().await;
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=10_000).collect::<Vec<_>>());
    let counts = journal.counts();
    assert_eq!(
        (counts.commits, counts.entries, counts.queued),
        (10_000, 10_000, 0)
    );
    assert!(counts.transactions <= 1_000, "{counts:?}");
    assert_eq!(bench.lines().len(), 10_000);
}

#[tokio::test]
async fn more_than_may_wait_is_refused_at_once_and_later_taken() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let large = || Commit::of(entry(&"x".repeat(9 << 20)));
    // On this runtime the second is asked for before the first can be answered.
    let (first, second) = tokio::join!(journal.commit(large()), journal.commit(large()));
    assert!(first.is_ok());
    assert_eq!(second, Err(CommitError::Busy));
    assert!(journal.commit(large()).await.is_ok());
    assert_eq!(journal.counts().busy, 1);
}

#[tokio::test]
async fn one_that_fails_takes_no_other_of_its_group_with_it() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let bad = Commit {
        entries: vec![entry("bad")],
        settings: vec![("half".into(), Some("done".into()))],
        sent: vec![(99, Sent::Delivered)],
        ..Commit::default()
    };
    let good = |text| Commit::of(entry(text));
    let (a, b, c) = tokio::join!(
        journal.commit(good("a")),
        journal.commit(bad),
        journal.commit(good("c"))
    );
    assert_eq!((a.unwrap().seq, c.unwrap().seq), (1, 2));
    let why = b.unwrap_err().to_string();
    assert!(why.contains("no notification 99"), "{why}");
    assert_eq!(bench.lines().len(), 2);
    assert!(
        Reader::open(&bench.path())
            .unwrap()
            .settings()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_read_at_once_is_of_one_instant() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.commit(Commit::of(entry("first"))).await.unwrap();
    let reader = Reader::open(&bench.path()).unwrap();
    let all = |reader: &Reader| {
        let mut count = 0;
        let each = &mut |_: &Stored| {
            count += 1;
            ControlFlow::Continue(())
        };
        reader.entries(&Filter::default(), each).unwrap();
        (
            reader.head().unwrap().seq,
            reader.floor().unwrap().seq,
            count,
        )
    };
    let writer = journal.clone();
    reader
        .at_once(|reader| {
            assert_eq!(all(reader), (1, 0, 1));
            let written = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                runtime.unwrap().block_on(async {
                    writer.commit(Commit::of(entry("second"))).await.unwrap();
                    writer.sql("DELETE FROM entries WHERE seq = 1; INSERT INTO floor VALUES (1, 1, 'x')").await;
                });
            });
            written.join().unwrap();
            assert_eq!(all(reader), (1, 0, 1));
            Ok(())
        })
        .unwrap();
    // The hash of the floor is no matter here.
    let count = reader.entries(&Filter::default(), &mut |_| ControlFlow::Continue(()));
    assert_eq!((reader.head().unwrap().seq, count.unwrap()), (2, 1));
}

#[tokio::test]
async fn a_full_disk_is_told_and_over_once_there_is_room() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.commit(Commit::of(entry("first"))).await.unwrap();
    journal.sql("PRAGMA max_page_count = 40").await;
    let large = || Commit::of(entry(&"x".repeat(1 << 20)));
    let (small, full) = tokio::join!(
        journal.commit(Commit::of(entry("small"))),
        journal.commit(large())
    );
    assert_eq!(small.unwrap().seq, 2);
    assert!(matches!(full, Err(CommitError::Full(_))), "{full:?}");
    assert_eq!(journal.counts().full, 1);
    journal.sql("PRAGMA max_page_count = 4000").await;
    assert_eq!(journal.commit(large()).await.unwrap().seq, 3);
    assert!(!journal.fails());
    journal.sql("PRAGMA query_only = ON").await;
    for at in [10, 20] {
        bench.now.fetch_add(10, Ordering::Relaxed);
        let refused = journal.commit(Commit::of(entry("x"))).await;
        assert!(
            matches!(refused, Err(CommitError::Full(_))),
            "{refused:?} at {at}"
        );
    }
    let failing = journal.counts().failing.unwrap();
    assert_eq!(failing.since.0, bench.now.load(Ordering::Relaxed) - 10);
    assert!(failing.why.contains("no room"), "{failing:?}");
    // Nothing to say is a try all the same.
    assert!(journal.commit(Commit::default()).await.is_err());
    assert!(journal.fails());
    journal.sql("PRAGMA query_only = OFF").await;
    journal.commit(Commit::default()).await.unwrap();
    assert!(!journal.fails());
    assert_eq!(journal.commit(Commit::of(entry("x"))).await.unwrap().seq, 4);
    let counts = journal.counts();
    assert_eq!((counts.kept, counts.entries), (4, 4));
    assert_eq!(counts.within.iter().sum::<u64>(), counts.transactions);
    journal.close().await;
    assert_eq!(bench.open().0.counts().kept, 4);
}

#[tokio::test]
async fn one_process_at_a_time_and_the_second_hears_who() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    let refused = bench.try_open(&Options::default()).unwrap_err().to_string();
    let pid = format!("(pid {}, for ", std::process::id());
    assert!(
        refused.contains(&pid) && refused.contains("--state-dir"),
        "{refused}"
    );
    journal.clone().close().await;
    let late = journal.commit(Commit::of(entry("late"))).await;
    assert!(matches!(late, Err(CommitError::Broken(_))));
    let (_journal, _) = bench.open();
}

#[tokio::test]
async fn is_read_while_it_is_written_and_as_a_copy_that_may_not_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let none = Reader::open(&bench.path()).unwrap_err();
    assert!(matches!(none, ReadError::None { .. }), "{none}");
    let (journal, _) = bench.open();
    assert!(bench.lines().is_empty());
    journal.commit(Commit::of(entry("a"))).await.unwrap();
    let reader = Reader::open(&bench.path()).unwrap();
    assert_eq!(reader.head().unwrap().seq, 1);
    journal.commit(Commit::of(entry("b"))).await.unwrap();
    assert_eq!(reader.head().unwrap().seq, 2);

    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&bench.path()), 0o700);
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        assert_eq!(mode(&bench.path().join(name)), 0o600, "{name}");
    }

    // What was committed lies partly in the log: a copy of both is whole.
    let copy = bench.dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(bench.path().join(name), copy.join(name)).unwrap();
    }
    assert_eq!(lines(&copy, &Filter::default()), bench.lines());
    // Where neither lock nor index can be made, the same is read.
    let alone = schema::read_only(&copy.join("journal.db"), Some("unix-none")).unwrap();
    assert_eq!(restore::head(&alone).unwrap().seq, 2);
    let other = bench.dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("journal.db"), "x".repeat(5_000)).unwrap();
    let damaged = Reader::open(&other).unwrap_err();
    assert!(matches!(damaged, ReadError::Open(_)), "{damaged}");
}

#[tokio::test]
async fn a_journal_whose_log_was_deleted_is_not_one_that_never_was() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.commit(Commit::of(entry("a"))).await.unwrap();
    let copy = bench.dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let file = "journal.db";
    std::fs::copy(bench.path().join(file), copy.join(file)).unwrap();
    for gone in [
        Reader::open(&copy).err(),
        Reader::undisturbed(&copy, |_| Ok(())).err(),
    ] {
        let gone = gone.unwrap().to_string();
        assert!(gone.contains("journal.db-wal is not beside it"), "{gone}");
    }
}

#[tokio::test]
async fn reading_undisturbed_leaves_no_file_behind_and_sees_all_that_was_written() {
    let bench = Bench::new();
    let seen = || Reader::undisturbed(&bench.path(), |reader| Ok(reader.head()?.seq));
    assert!(matches!(seen(), Err(ReadError::None { .. })));
    let files = || {
        let files = std::fs::read_dir(bench.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let (journal, _) = bench.open();
    journal.commit(Commit::of(entry("a"))).await.unwrap();
    assert_eq!(seen().unwrap(), 1, "it lies in the log still");
    journal.close().await;
    let rest = files();
    assert_eq!(rest, ["journal.db", "lock"]);
    assert_eq!(seen().unwrap(), 1);
    assert_eq!(files(), rest);
    // One who opens it meanwhile is noticed, and what he wrote is seen.
    let mut opened = None;
    let mut times = 0;
    let head = Reader::undisturbed(&bench.path(), |reader| {
        times += 1;
        opened.get_or_insert_with(|| bench.open());
        Ok(reader.head()?.seq)
    });
    assert_eq!((head.unwrap(), times), (1, 2));
}

#[tokio::test]
async fn a_journal_of_another_version_or_program_is_left_alone() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.sql("PRAGMA user_version = 99").await;
    journal.close().await;
    let newer = bench.try_open(&Options::default()).unwrap_err();
    assert!(
        matches!(newer, OpenError::Newer { found: 99, .. }),
        "{newer}"
    );

    let other = Bench::new();
    std::fs::create_dir(other.path()).unwrap();
    let foreign = rusqlite::Connection::open(other.path().join("journal.db")).unwrap();
    foreign.execute_batch("CREATE TABLE theirs (x)").unwrap();
    let refused = other.try_open(&Options::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
}

#[tokio::test]
async fn reading_beside_the_writer_leaves_its_locks_in_place() {
    use std::os::unix::fs::MetadataExt as _;

    let bench = Bench::new();
    let (journal, _) = bench.open();
    journal.commit(Commit::of(entry("one"))).await.unwrap();
    let inode = bench.path().join("journal.db").metadata().unwrap().ino();
    let locks = || {
        let all = std::fs::read_to_string("/proc/locks").unwrap();
        all.lines()
            .filter(|line| line.contains(&format!(":{inode} ")))
            .count()
    };
    assert!(locks() > 0);
    assert_eq!(bench.lines().len(), 1);
    // Besides the one that it keeps, the writer has more of them while it writes.
    assert!(locks() > 0);
    journal.close().await;
}
