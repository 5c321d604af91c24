//! The chain against whoever edits the database.

use std::sync::OnceLock;

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::model::duration::Period;
use crate::model::size::Size;

const RECORDS: i64 = 12;

/// A closed journal of a dozen records: the bytes of its file, and the hashes.
fn whole() -> &'static (Vec<u8>, Vec<Hash>) {
    static WHOLE: OnceLock<(Vec<u8>, Vec<Hash>)> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        runtime.build_on_thread(async || {
            let bench = Bench::new();
            let (journal, _) = bench.open();
            let mut hashes = Vec::new();
            for i in 0..RECORDS {
                let id = IncidentId::new(if i % 2 == 0 { "01A" } else { "01B" });
                let entry = entry(&format!("record {i}")).incident(&id);
                bench.now.fetch_add(1, Ordering::Relaxed);
                let committed = journal.commit(Commit::of(entry)).await.unwrap();
                hashes.push(committed.hash);
            }
            journal.close().await;
            let file = std::fs::read(bench.path().join("journal.db")).unwrap();
            (file, hashes)
        })
    })
}

trait OnThread {
    fn build_on_thread<T: Send + 'static>(
        self,
        body: impl AsyncFnOnce() -> T + Send + 'static,
    ) -> T;
}

impl OnThread for tokio::runtime::Builder {
    /// The test that comes first may be on a runtime already.
    fn build_on_thread<T: Send + 'static>(
        mut self,
        body: impl AsyncFnOnce() -> T + Send + 'static,
    ) -> T {
        let thread = std::thread::spawn(move || self.build().unwrap().block_on(body()));
        thread.join().unwrap()
    }
}

/// What is found after an edit of the file.
fn after(edit: impl FnOnce(&Connection), anchors: &Anchors) -> Result<Verified, Broken> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal.db");
    std::fs::write(&file, &whole().0).unwrap();
    edit(&Connection::open(&file).unwrap());
    verify(&Reader::open(dir.path()).unwrap(), anchors).unwrap()
}

fn altered(found: &Result<Verified, Broken>) -> Option<i64> {
    match found {
        Err(Broken::Altered { seq, .. }) => Some(*seq),
        _ => None,
    }
}

fn run(connection: &Connection, sql: &str) {
    connection.execute_batch(sql).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_of_a_text_or_a_hash_is_found_at_its_record(
        seq in 1..=RECORDS, at in any::<prop::sample::Index>(), flip in 1..=255_u8, column in prop::sample::select(vec!["line", "hash"]),
    ) {
        let found = after(|connection| {
            let select = format!("SELECT CAST({column} AS BLOB) FROM entries WHERE seq = ?1");
            let mut bytes: Vec<u8> = connection.query_row(&select, [seq], |row| row.get(0)).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let update = format!("UPDATE entries SET {column} = CAST(?2 AS TEXT) WHERE seq = ?1");
            connection.execute(&update, (seq, bytes)).unwrap();
        }, &Anchors::default());
        prop_assert_eq!(altered(&found), Some(seq), "{:?}", found);
    }

    #[test]
    fn deleted_records_are_named(from in 1..RECORDS, count in 1..4_i64) {
        let to = (from + count - 1).min(RECORDS - 1);
        let found = after(
            |connection| run(connection, &format!("DELETE FROM entries WHERE seq BETWEEN {from} AND {to}")),
            &Anchors::default(),
        );
        prop_assert_eq!(found, Err(Broken::Missing { from, to }));
    }

    #[test]
    fn records_that_changed_places_are_found_at_the_first(a in 1..RECORDS, by in 1..RECORDS) {
        let b = (a + by).min(RECORDS);
        let found = after(
            |connection| run(connection, &format!(
                "UPDATE entries SET seq = -1 WHERE seq = {a}; UPDATE entries SET seq = {a} WHERE seq = {b}; \
                 UPDATE entries SET seq = {b} WHERE seq = -1"
            )),
            &Anchors::default(),
        );
        prop_assert_eq!(altered(&found), Some(a), "{:?}", found);
    }

    #[test]
    fn a_record_put_in_is_found_even_if_its_own_hash_is_right(at in 1..=RECORDS, right in any::<bool>()) {
        let found = after(|connection| {
            run(connection, &format!(
                "UPDATE entries SET seq = -seq WHERE seq >= {at}; UPDATE entries SET seq = 1 - seq WHERE seq < 0"
            ));
            let before = whole().1.get(usize::try_from(at).unwrap().wrapping_sub(2)).copied().unwrap_or(Hash::ZERO);
            let line = Entry::new(Kind::Operator).line(at, Timestamp(5)).unwrap();
            let hash = if right { before.next(&line) } else { before };
            connection.execute(
                "INSERT INTO entries (seq, time, kind, line, hash) VALUES (?1, 5, 'operator', ?2, ?3)",
                (at, line, hash.to_string()),
            ).unwrap();
        }, &Anchors::default());
        prop_assert_eq!(altered(&found), Some(if right { at + 1 } else { at }), "{:?}", found);
    }
}

#[test]
fn the_columns_by_which_a_record_is_found_are_proved_too() {
    for edit in [
        "kind = 'state'",
        "incident = '01X'",
        "incident = NULL",
        "time = 5",
    ] {
        let sql = format!("UPDATE entries SET {edit} WHERE seq = 7");
        let found = after(|connection| run(connection, &sql), &Anchors::default());
        assert_eq!(altered(&found), Some(7), "{edit}: {found:?}");
    }
}

#[test]
fn a_whole_chain_holds_and_a_cut_tail_is_told_by_an_anchor_alone() {
    let hashes = &whole().1;
    let mut anchors = Anchors::default();
    anchors.add(1, "no hash here, 0123456789");
    anchors.add(
        2,
        &format!(
            "<107>1 - a nodeward 1 STATE [nodeward@1 seq=\"3\" chain=\"{}\"] {} failed",
            hashes[2],
            "0b".repeat(32)
        ),
    );
    anchors.add(3, &hashes[10].to_string());
    anchors.add(4, &format!("12 {}", hashes[11]));
    let found = after(|_| {}, &anchors).unwrap();
    assert_eq!((found.records, found.anchored, found.pruned), (12, 3, 0));
    assert_eq!((found.head.seq, found.head.hash), (12, hashes[11]));

    let cut = |connection: &Connection| run(connection, "DELETE FROM entries WHERE seq >= 11");
    assert!(after(cut, &Anchors::default()).is_ok());
    let broken = after(cut, &anchors).unwrap_err();
    let hash = hashes[10];
    assert_eq!(broken, Broken::Anchor { line: 3, hash });
    assert!(broken.to_string().contains("of line 3"));

    let one = |text: String| {
        let mut anchors = Anchors::default();
        anchors.add(1, &text);
        anchors
    };
    let broken = after(cut, &one(format!("12 {}", hashes[11]))).unwrap_err();
    let (line, seq, last) = (1, 12, 10);
    assert_eq!(broken, Broken::Cut { line, seq, last });
    let broken = after(|_| {}, &one(format!("3 {}", hashes[3]))).unwrap_err();
    let (seq, hash) = (3, hashes[3]);
    assert_eq!(broken, Broken::Differs { line, seq, hash });
}

/// Records up to the seventh are taken out, and the journal says that they were deleted.
const BEHEADED: &str = "DELETE FROM entries WHERE seq <= 7; \
                        INSERT INTO floor (one, seq, hash) SELECT 1, 7, '{hash}'";

#[test]
fn a_head_that_was_cut_off_is_no_record_deleted_by_age_where_an_anchor_is_too_young() {
    let hashes = &whole().1;
    let behead = |connection: &Connection| {
        run(
            connection,
            &BEHEADED.replace("{hash}", &hashes[6].to_string()),
        );
    };
    let time = Timestamp(1_795_647_071_198);
    let anchors = |keep: u64, hours: i64| {
        let mut anchors = Anchors::default();
        for seq in [3, 9] {
            let hash = hashes[seq - 1];
            let line = format!(
                "<107>1 {time} a nodeward 1 STATE - [nodeward@1 seq=\"{seq}\" chain=\"{hash}\"] x"
            );
            anchors.add(seq, &line);
        }
        let options = Options {
            keep: Period::secs(keep * 3_600),
            ..Options::default()
        };
        anchors.kept(options, Timestamp(time.0 + hours * 3_600_000))
    };
    // By itself the journal cannot tell, and what is older than is kept may have gone.
    assert_eq!(after(behead, &Anchors::default()).unwrap().floor.seq, 7);
    assert_eq!(after(behead, &anchors(24, 25)).unwrap().pruned, 1);
    let broken = after(behead, &anchors(24, 23)).unwrap_err();
    let is = |b: &Broken| {
        matches!(
            b,
            Broken::Young {
                line: 3,
                seq: 3,
                floor: 7,
                ..
            }
        )
    };
    assert!(is(&broken), "{broken}");
    let said = broken.to_string();
    for part in ["record 3 of line 3", "younger than journal.keep", "cut off"] {
        assert!(said.contains(part), "{said}");
    }
    // Nor may the last that is said to have gone be young, though its hash is there.
    let mut last = Anchors::default();
    last.add(
        1,
        &format!(
            "{{\"seq\":7,\"time\":\"{time}\",\"kind\":\"state\",\"hash\":\"{}\"}}",
            hashes[6]
        ),
    );
    let last = last.kept(Options::least(), time);
    let broken = after(behead, &last).unwrap_err();
    assert!(matches!(broken, Broken::Young { seq: 7, .. }), "{broken}");
    // A journal that is full enough may have deleted it for its size.
    let mut full = anchors(24, 23);
    let small = Options {
        max_size: Size::kib(64),
        ..Options::default()
    };
    full = full.kept(small, time);
    assert_eq!(after(behead, &full).unwrap().pruned, 1);
    // What is there is young and well.
    assert_eq!(after(|_| {}, &anchors(24, 23)).unwrap().anchored, 2);
}

#[tokio::test]
async fn a_running_journal_that_was_tampered_with_is_counted_as_broken() {
    let bench = Bench::new();
    let (journal, _) = bench.open();
    for i in 0..3 {
        journal
            .commit(Commit::of(entry(&format!("{i}"))))
            .await
            .unwrap();
    }
    assert_eq!(journal.counts().proven, None);
    assert_eq!(journal.prove(&bench.path()).unwrap().broken, None);
    journal
        .sql("UPDATE entries SET line = replace(line, '\"1\"', '\"9\"')")
        .await;
    journal.prove(&bench.path()).unwrap();
    let proven = journal.counts().proven.unwrap();
    let why = proven.broken.unwrap();
    assert!(why.starts_with("record 2:"), "{why}");
}
