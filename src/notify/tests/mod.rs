mod email;
mod receivers;
mod records;
mod running;
mod syslog;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::deliver::Pace;
use super::{Notifiers, Options};
use crate::host::Clock;
use crate::journal::{self, Commit, Entry, Filter, Journal, Kind, Outgoing, Reader, Stored};
use crate::model::event::Event;
use crate::model::id::{AttemptId, IncidentId};
use crate::model::moment::{Moment, Timestamp};
use crate::model::notice::{Evidence, Notice, What};
use crate::model::severity::Severity;
use crate::net::resolve::Resolver;

/// A notice with everything in it.
pub(super) fn notice(id: &str) -> Notice {
    let incident = IncidentId::new("01JD");
    Notice {
        evidence: Vec::new(),
        id: id.into(),
        time: Timestamp(1_795_647_071_198),
        what: What::Escalated,
        severity: Severity::Critical,
        node: "db-01".into(),
        attempt: Some(AttemptId {
            incident: incident.clone(),
            number: 3,
        }),
        incident,
        playbook: "web-down".into(),
        target: "unit:web.service".parse().unwrap(),
        state: "escalated".into(),
        trace: None,
        cause: "exhausted".into(),
        summary: "web.service is not healed".into(),
        labels: [("alertname".to_owned(), "UnitDown".to_owned())].into(),
    }
}

/// A packet that was on record.
pub(super) fn evidence() -> Vec<Evidence> {
    vec![Evidence {
        number: 1,
        occasion: "before_action".into(),
        sha256: "9f".repeat(32),
        bytes: 48_213,
    }]
}

/// A record as an event: its kind, its text, and how bad its data say it is.
fn told(stored: &Stored) -> Option<Event> {
    let record: serde_json::Value = serde_json::from_str(&stored.line).ok()?;
    let text = |at: &str| {
        record
            .pointer(at)
            .and_then(|v| v.as_str())
            .unwrap_or_default()
    };
    let severity = Severity::of_word(Some(text("/data/severity")).filter(|word| !word.is_empty()));
    Some(Event {
        id: stored.hash.clone(),
        time: Timestamp::now(),
        what: text("/kind").to_owned().into(),
        severity,
        summary: text("/data/text").into(),
        record: Some(stored.exported()),
        ..Event::default()
    })
}

/// A state directory, and how far its clock is behind.
struct Bench {
    dir: tempfile::TempDir,
    behind: Arc<AtomicI64>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            behind: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn journal(&self) -> Journal {
        let behind = Arc::clone(&self.behind);
        let clock = Clock::new();
        let clock: journal::Clock = Arc::new(move || {
            let now = clock.now();
            let wall = Timestamp(now.wall.0 - behind.load(Ordering::Relaxed));
            Moment { wall, ..now }
        });
        let options = journal::Options::default();
        Journal::open_at(&self.path(), &options, clock).unwrap().0
    }

    fn start(&self, options: &Options, journal: &Journal, pace: Pace) -> Notifiers {
        let (journal, resolver) = (journal.clone(), Resolver::default());
        Notifiers::at(
            options,
            journal,
            self.path(),
            resolver,
            Arc::new(told),
            pace,
        )
    }

    /// Data of the records of what became of notifications.
    fn records(&self) -> Vec<serde_json::Value> {
        let filter = Filter {
            kind: Some(Kind::Notify),
            ..Filter::default()
        };
        let mut records = Vec::new();
        let reader = Reader::open(&self.path()).unwrap();
        reader
            .entries(&filter, &mut |stored| {
                let line: serde_json::Value = serde_json::from_str(&stored.line).unwrap();
                assert!(line["incident"] == "01JD" && line["playbook"] == "web-down");
                records.push(line["data"].clone());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        records
    }

    fn waiting(&self, sink: &str) -> u64 {
        let waiting = Reader::open(&self.path()).unwrap().waiting().unwrap();
        waiting.get(sink).copied().unwrap_or_default()
    }
}

const QUICK: Pace = Pace {
    first: Duration::from_millis(2),
    longest: Duration::from_millis(20),
    grace: Duration::from_secs(3600),
};

fn options(text: &str) -> Options {
    let options = serde_json::from_str(text).unwrap();
    assert_eq!(super::faults(&options), []);
    options
}

/// Puts notices into the outbox, each in a commit with its record.
async fn tell(journal: &Journal, sink: &str, ids: impl IntoIterator<Item = String>) {
    for id in ids {
        let body = serde_json::to_string(&notice(&id)).unwrap();
        let commit = Commit {
            entries: vec![Entry::new(Kind::State).to("escalated")],
            outbox: vec![Outgoing {
                sink: sink.into(),
                id,
                severity: Severity::Critical,
                body,
                entry: None,
            }],
            ..Commit::default()
        };
        journal.commit(commit).await.unwrap();
    }
}

/// Waits until it is on the disk from where on a notifier is told records.
async fn listens(bench: &Bench, notifier: &str) {
    let setting = format!("notify_records:{notifier}");
    until("its cursor", || {
        let settings = Reader::open(&bench.path()).unwrap().settings().unwrap();
        settings.contains_key(&setting)
    })
    .await;
}

fn ids(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| format!("e{number}")).collect()
}

/// Asks until it holds; a test that fails waits a minute.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(60), asked).await;
    assert!(within.is_ok(), "waited in vain for {what}");
}

/// The first of each, in the order they came.
fn once(ids: &[String]) -> Vec<String> {
    let mut seen = Vec::new();
    for id in ids {
        if !seen.contains(id) {
            seen.push(id.clone());
        }
    }
    seen
}
