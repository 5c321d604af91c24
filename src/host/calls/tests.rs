//! Calls that hang, in every number.

use std::sync::mpsc;

use super::*;

fn numbered(count: u32) -> Vec<Key> {
    (0..count)
        .map(|i| OsStr::new(&i.to_string()).into())
        .collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn answers_every_key_in_order() {
    let calls = Calls::default();
    let answers = calls.each("n", numbered(100), soon(), |k| {
        k.to_str().unwrap().parse::<u32>().unwrap()
    });
    assert_eq!(answers.len(), 100);
    assert!(answers.iter().zip(0..).all(|(a, i)| *a == Called::Done(i)));
}

#[test]
fn a_stuck_call_costs_one_thread_is_never_repeated_and_ends_well() {
    let calls = Calls::default();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let issued = Arc::new(AtomicU64::new(0));
    let ask = |limit: Duration| {
        let (held, issued) = (Arc::clone(&held), Arc::clone(&issued));
        calls.each(
            "n",
            ["a", "stuck", "b"].map(|k| OsStr::new(k).into()).into(),
            Instant::now() + limit,
            move |key| {
                if key == "stuck" {
                    issued.fetch_add(1, Ordering::SeqCst);
                    let _released = lock(&held).recv();
                }
            },
        )
    };
    for _ in 0..10 {
        let answers = ask(Duration::from_millis(300));
        assert_eq!(
            answers,
            [Called::Done(()), Called::Parked, Called::Done(())]
        );
    }
    assert_eq!(issued.load(Ordering::SeqCst), 1);
    assert_eq!(calls.counters().parked.load(Ordering::SeqCst), 1);
    assert!(lock(&calls.pool.state).threads <= 2);
    release.send(()).unwrap();
    while calls.counters().parked.load(Ordering::SeqCst) > 0 {
        std::thread::yield_now();
    }
    release.send(()).unwrap();
    assert_eq!(ask(Duration::from_secs(20)), vec![Called::Done(()); 3]);
}

#[test]
fn more_stuck_calls_than_threads_leave_the_rest_busy_not_waiting() {
    let calls = Calls::default();
    let (release, held) = mpsc::channel::<()>();
    let held = Arc::new(Mutex::new(held));
    let limit = Instant::now() + Duration::from_secs(2);
    let answers = calls.each("n", numbered(8), limit, move |_| {
        let _closed = lock(&held).recv();
    });
    let parked = answers.iter().filter(|a| **a == Called::Parked).count();
    assert_eq!(parked, THREADS);
    assert_eq!(
        answers.iter().filter(|a| **a == Called::Busy).count(),
        8 - THREADS
    );
    drop(release);
}
