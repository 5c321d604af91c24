//! Files in a directory of their own, read again as another process would.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use hyper::body::Bytes;
use proptest::prelude::*;

use super::*;

const MIB: u64 = 1 << 20;
const BOUNDS: Bounds = Bounds {
    size: 8 * MIB,
    age: Duration::from_secs(3600),
};
/// The hour in which it all happens, in milliseconds.
const NOW: u64 = 1_800_000_000_000;

fn spool_in(directory: &Path) -> Spool {
    spool_with(directory, BOUNDS)
}

fn spool_with(directory: &Path, bounds: Bounds) -> Spool {
    counted(directory, bounds).0
}

/// With what it lost, of each kind.
#[derive(Default)]
struct Lost([AtomicU64; 3]);

impl Losses for Lost {
    fn lost(&self, why: Loss, items: u64) {
        self.0[why as usize].fetch_add(items, Relaxed);
    }
}

impl Lost {
    fn of(&self, why: Loss) -> u64 {
        self.0[why as usize].load(Relaxed)
    }
}

fn counted(directory: &Path, bounds: Bounds) -> (Spool, Arc<Lost>) {
    let lost = Arc::<Lost>::default();
    let losses = Arc::clone(&lost) as Arc<dyn Losses>;
    let spool = Spool::new(directory.join("spool"), "test", bounds, losses);
    (spool, lost)
}

fn record(items: u64, length: usize) -> Record {
    Record {
        at: NOW,
        items,
        kind: 3,
        body: Bytes::from(vec![u8::try_from(items % 251).unwrap(); length]),
    }
}

/// Takes everything out; the items of each.
fn drained(spool: &Spool) -> Vec<u64> {
    let next = || {
        let (ticket, record) = spool.oldest(NOW)?;
        spool.settle(&ticket);
        Some(record.items)
    };
    std::iter::from_fn(next).collect()
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let files = place::files(&directory.join("spool"), "test").unwrap_or_default();
    files.into_iter().map(|(_, path)| path).collect()
}

#[test]
fn records_come_back_as_they_were_oldest_first_and_leave_no_file() {
    let place = tempfile::tempdir().unwrap();
    let spool = spool_in(place.path());
    spool.open().unwrap();
    assert!(
        !place.path().join("spool").exists(),
        "made when it is needed"
    );
    for items in 1..=3 {
        spool.append(&record(items, 100)).unwrap();
    }
    assert_eq!(spool.depth().records, 3);
    assert_eq!(spool.depth().items, 6);
    let (ticket, first) = spool.oldest(NOW).unwrap();
    assert_eq!(first, record(1, 100));
    assert_eq!(
        spool.oldest(NOW).unwrap().1,
        first,
        "it stays until it is settled"
    );
    spool.settle(&ticket);
    spool.settle(&ticket);
    assert_eq!(drained(&spool), [2, 3]);
    assert_eq!(spool.depth(), Depth::default());
    assert_eq!(files_in(place.path()), Vec::<PathBuf>::new());
    spool.append(&record(4, 0)).unwrap();
    assert_eq!(drained(&spool), [4]);
}

#[test]
fn another_process_goes_on_behind_what_was_delivered() {
    let place = tempfile::tempdir().unwrap();
    let before = spool_in(place.path());
    let tickets: Vec<_> = (1..=4)
        .map(|items| before.append(&record(items, 10)).unwrap())
        .collect();
    before.settle(&tickets[0]);
    before.settle(&tickets[2]);
    drop(before);
    let after = spool_in(place.path());
    after.open().unwrap();
    after.append(&record(5, 10)).unwrap();
    assert_eq!(
        files_in(place.path()).len(),
        2,
        "it writes a file of its own"
    );
    // What was delivered out of order comes again: at least once.
    assert_eq!(after.depth().records, 4);
    assert_eq!(drained(&after), [2, 3, 4, 5]);
    assert_eq!(after.faults(Fault::Torn), 0);
}

#[test]
fn what_was_delivered_before_its_turn_does_not_come_again() {
    let place = tempfile::tempdir().unwrap();
    let spool = spool_in(place.path());
    let tickets: Vec<_> = (1..=4)
        .map(|items| spool.append(&record(items, 10)).unwrap())
        .collect();
    spool.settle(&tickets[1]);
    spool.settle(&tickets[3]);
    assert_eq!(spool.depth().records, 2);
    assert_eq!(drained(&spool), [1, 3]);
    assert_eq!(files_in(place.path()), Vec::<PathBuf>::new());
    assert!(spool.state().settled.is_empty());
}

#[test]
fn a_file_cut_off_anywhere_gives_its_whole_records() {
    let place = tempfile::tempdir().unwrap();
    let spool = spool_in(place.path());
    for items in 1..=3 {
        spool.append(&record(items, 5)).unwrap();
    }
    let path = files_in(place.path()).remove(0);
    drop(spool);
    let whole = std::fs::read(&path).unwrap();
    let size = usize::try_from(record(1, 5).size()).unwrap();
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let spool = spool_in(place.path());
        spool.open().unwrap();
        let expected = (cut.saturating_sub(16)) / size;
        assert_eq!(spool.depth().records, expected, "{cut}");
        let clean = cut >= 16 && (cut - 16).is_multiple_of(size);
        assert_eq!(spool.faults(Fault::Torn), u64::from(!clean), "{cut}");
        let got = drained(&spool);
        assert_eq!(got, (1..=expected as u64).collect::<Vec<_>>(), "{cut}");
        assert_eq!(files_in(place.path()), Vec::<PathBuf>::new(), "{cut}");
    }
}

#[test]
fn one_wrong_byte_ends_a_file_and_not_the_spool() {
    let place = tempfile::tempdir().unwrap();
    let spool = spool_in(place.path());
    spool.append(&record(1, 50)).unwrap();
    spool.append(&record(2, 50)).unwrap();
    let path = files_in(place.path()).remove(0);
    drop(spool);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        std::fs::write(&path, bytes).unwrap();
        let spool = spool_in(place.path());
        spool.open().unwrap();
        let next = spool.append(&record(3, 50)).unwrap();
        let got = drained(&spool);
        assert!(next.place.0 <= 1);
        let expected: &[u64] = match at {
            0..8 => &[3],
            8..16 => &[1, 2, 3],
            at if at < 16 + (whole.len() - 16) / 2 => &[3],
            _ => &[1, 3],
        };
        assert_eq!(got, expected, "{at}");
        assert_eq!(files_in(place.path()), Vec::<PathBuf>::new(), "{at}");
    }
}

#[test]
fn a_file_that_is_spoiled_while_it_is_in_use_is_given_up_and_counted() {
    let place = tempfile::tempdir().unwrap();
    let (spool, lost) = counted(place.path(), BOUNDS);
    spool.append(&record(7, 50)).unwrap();
    let path = files_in(place.path()).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(spool.oldest(NOW).is_none());
    assert_eq!(lost.of(Loss::Damaged), 7);
    spool.append(&record(8, 50)).unwrap();
    assert_eq!(drained(&spool), [8]);
}

#[test]
fn the_oldest_file_goes_when_there_is_no_room() {
    let place = tempfile::tempdir().unwrap();
    let (spool, lost) = counted(place.path(), BOUNDS);
    let each = 200 << 10;
    for items in 1..=100 {
        spool.append(&record(items, each)).unwrap();
        let on_disk: u64 = files_in(place.path())
            .iter()
            .map(|path| path.metadata().unwrap().len())
            .sum();
        assert!(on_disk <= BOUNDS.size, "{on_disk}");
    }
    let left = drained(&spool);
    let first = left[0];
    assert_eq!(left, (first..=100).collect::<Vec<_>>());
    assert!(
        (left.len() * each) as u64 > BOUNDS.size * 3 / 4,
        "{}",
        left.len()
    );
    let lost = lost.of(Loss::Full);
    assert_eq!(lost, (1..first).sum::<u64>());
}

#[test]
fn a_smaller_bound_holds_from_the_start_on() {
    let place = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        size: 32 * MIB,
        ..BOUNDS
    };
    let spool = spool_with(place.path(), bounds);
    for items in 1..=20 {
        spool.append(&record(items, 1 << 20)).unwrap();
    }
    drop(spool);
    let spool = spool_in(place.path());
    spool.open().unwrap();
    assert!(spool.depth().bytes as u64 <= BOUNDS.size);
    assert_eq!(*drained(&spool).last().unwrap(), 20);
}

#[test]
fn what_is_too_old_is_counted_and_not_sent() {
    let place = tempfile::tempdir().unwrap();
    let (spool, lost) = counted(place.path(), BOUNDS);
    let hour = 3_600_000;
    for (items, at) in [(1, NOW - hour - 1), (2, NOW - hour), (3, NOW + 5 * hour)] {
        let record = Record {
            at,
            ..record(items, 10)
        };
        spool.append(&record).unwrap();
    }
    assert_eq!(drained(&spool), [2, 3]);
    assert_eq!(lost.of(Loss::Expired), 1);
}

#[test]
fn a_batch_that_no_file_can_hold_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let spool = spool_in(place.path());
    assert!(spool.append(&record(1, record::MOST + 1)).is_err());
    assert_eq!(spool.faults(Fault::Write), 1);
    spool.append(&record(2, record::MOST)).unwrap();
    assert_eq!(drained(&spool), [2]);
}

#[test]
fn one_process_has_it_and_the_next_takes_it_over() {
    let place = tempfile::tempdir().unwrap();
    let first = spool_in(place.path());
    first.append(&record(1, 10)).unwrap();
    let second = spool_in(place.path());
    assert!(
        second
            .append(&record(2, 10))
            .unwrap_err()
            .to_string()
            .contains("another process")
    );
    assert_eq!(second.faults(Fault::Open), 1);
    drop(first);
    second.append(&record(2, 10)).unwrap();
    assert_eq!(drained(&second), [1, 2]);
}

#[test]
fn a_place_that_is_none_is_tried_again() {
    let place = tempfile::tempdir().unwrap();
    let spool = spool_in(place.path());
    let blocked = place.path().join("spool");
    std::fs::write(&blocked, "").unwrap();
    assert!(spool.open().is_err());
    assert!(spool.append(&record(1, 10)).is_err());
    std::fs::remove_file(&blocked).unwrap();
    spool.append(&record(1, 10)).unwrap();
    std::fs::write(blocked.join("notes.txt"), "not the spool's").unwrap();
    assert_eq!(drained(&spool), [1]);
    assert!(blocked.join("notes.txt").exists());
}

#[test]
fn a_file_that_cannot_be_read_now_stays_and_comes_later() {
    let place = tempfile::tempdir().unwrap();
    let (spool, lost) = counted(place.path(), BOUNDS);
    spool.append(&record(1, 10)).unwrap();
    spool.append(&record(2, 10)).unwrap();
    let file = files_in(place.path()).remove(0);
    let aside = place.path().join("aside");
    std::fs::rename(&file, &aside).unwrap();
    // A directory opens and cannot be read, whoever asks.
    std::fs::create_dir(&file).unwrap();
    assert!(spool.oldest(NOW).is_none());
    assert_eq!((spool.depth().records, lost.of(Loss::Damaged)), (2, 0));
    assert_eq!(spool.faults(Fault::Read), 1);
    std::fs::remove_dir(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    assert_eq!(drained(&spool), [1, 2]);
    spool.append(&record(3, 10)).unwrap();
    std::fs::remove_file(files_in(place.path()).remove(0)).unwrap();
    assert!(spool.oldest(NOW).is_none());
    assert_eq!((spool.depth().records, lost.of(Loss::Damaged)), (0, 3));
}

const PLACE: &str = "NODEWARD_TEST_SPOOL";

/// No test: what the killed process runs. It says each number once it is written.
#[test]
#[ignore = "started by the test below"]
fn writes_until_killed() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let spool = spool_in(Path::new(&place));
    for items in 1.. {
        spool.append(&record(items, 3000)).unwrap();
        writeln!(std::io::stdout(), "written {items}").unwrap();
    }
}

#[test]
fn nothing_written_is_lost_by_kill_9() {
    let place = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("dialect::spool::tests::writes_until_killed")
        .env(PLACE, place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        said.extend(
            line.split_once("written ")
                .and_then(|(_, n)| n.parse::<u64>().ok()),
        );
        if said.len() == 500 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    let spool = spool_in(place.path());
    spool.open().unwrap();
    let got = drained(&spool);
    assert!(
        got.len() >= said.len() && got.starts_with(&said),
        "{said:?} {got:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn it_is_a_queue_whatever_is_done_and_over_starts(
        steps in proptest::collection::vec((0_u8..5, 0_usize..60_000), 0..60)
    ) {
        let place = tempfile::tempdir().unwrap();
        let bounds = Bounds { size: MIB, ..BOUNDS };
        let mut spool = spool_with(place.path(), bounds);
        let mut expected = VecDeque::new();
        let mut next = 0;
        for (step, length) in steps {
            match step {
                0..3 => {
                    next += 1;
                    spool.append(&record(next, length)).unwrap();
                    expected.push_back(next);
                }
                3 => if let Some((ticket, record)) = spool.oldest(NOW) {
                    // What had to go for room went from the front.
                    while expected.front().is_some_and(|first| *first < record.items) {
                        expected.pop_front();
                    }
                    prop_assert_eq!(expected.pop_front(), Some(record.items));
                    spool.settle(&ticket);
                }
                _ => {
                    drop(spool);
                    spool = spool_with(place.path(), bounds);
                    spool.open().unwrap();
                }
            }
            prop_assert!(spool.depth().bytes as u64 <= bounds.size);
        }
        let left: Vec<_> = drained(&spool);
        let expected: Vec<_> = expected.into_iter().collect();
        prop_assert!(expected.ends_with(&left));
    }
}
