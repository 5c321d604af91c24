//! The runner with a real journal and a world of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Mutex;

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

mod crowd;
mod holds;
mod looked;
mod operators;
mod outage;
mod reload;
mod stop;
mod windows;

use super::*;
use crate::gate::View;
use crate::heal::guards::{Guard, Leaving, Look, Rendered};
use crate::heal::hands::{Later, Started};
use crate::heal::intake::{Delivery, Ours};
use crate::heal::job::Job;
use crate::heal::maintenance;
use crate::heal::playbook::Playbook;
use crate::host::Clock;
use crate::journal::{Filter, Options, Reader};
use crate::model::alert::{Alert, Episode, Labels, Status};
use crate::model::hold::{Holds, Owner};
use crate::model::moment::{Moment, Timestamp};
use crate::model::severity::Severity;
use crate::model::sight::Sight;

/// A world in which what is acted upon gets well.
struct World {
    clock: Clock,
    well: Mutex<bool>,
    acted: Mutex<Vec<String>>,
    /// Every word of what is held, in order.
    held: Mutex<Vec<Holds>>,
    /// Whether a pool is never left.
    stays: Mutex<bool>,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: Clock::new(),
            well: Mutex::new(false),
            acted: Mutex::default(),
            held: Mutex::default(),
            stays: Mutex::default(),
        })
    }
}

impl Hands for World {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn look(&self, _: Job) -> Later<Look> {
        Box::pin(async { seen("it") })
    }

    fn hold(&self, holds: &Holds) {
        self.held.lock().unwrap().push(holds.clone());
    }

    fn isolate(&self, _: &str) -> Later<(bool, Value)> {
        if *self.stays.lock().unwrap() {
            return Box::pin(std::future::pending());
        }
        Box::pin(async { (true, json!({"active": 3, "finished": 3})) })
    }

    fn act(&self, job: Job, started: Started) -> Later<(Outcome, Value)> {
        *self.well.lock().unwrap() = true;
        let attempt = job.incident.attempt().unwrap().to_string();
        self.acted.lock().unwrap().push(attempt);
        started(json!({"job": 1}));
        Box::pin(async { (Outcome::Done, Value::Null) })
    }

    fn probe(&self, _: Job) -> Later<(Sight, Value)> {
        let well = *self.well.lock().unwrap();
        Box::pin(async move { (well.into(), Value::Null) })
    }

    fn after(&self, _: Job) -> Later<After> {
        Box::pin(async { After::DidNot })
    }
}

/// What is seen of an action that nothing stands against, by its name.
fn seen(action: &str) -> Look {
    Look {
        confirm: Vec::new(),
        busy: None,
        evidence: None,
        pool: Some(Ok(Leaving {
            min_healthy: None,
            view: Ok(View::default()),
            within: Duration::from_secs(1),
            foreign: BTreeSet::new(),
        })),
        witness: Ok(Some(json!(1))),
        action: Ok(Rendered {
            action: json!({"restart": action}),
            hash: action.into(),
        }),
    }
}

/// Whether what the playbook of these tests is for was healed.
fn is_healed(summary: &Summary) -> bool {
    let healed = ("web-down".to_owned(), "healed");
    summary.tally.ended.contains_key(&healed)
}

/// A book with the incident of one alert.
fn book_of_one(mode: &str) -> (Book, IncidentId, Moment) {
    let mut book = Book::new(rules(mode));
    let now = World::new().now();
    let told = delivery(1, vec![alert("here", 1, Status::Firing)]);
    book.deliver("am", told, false, &now);
    let id = book.held.keys().next().unwrap().clone();
    (book, id, now)
}

/// Room for a delivery that waits.
fn room() -> OwnedSemaphorePermit {
    let semaphore = Arc::new(tokio::sync::Semaphore::new(1));
    semaphore.try_acquire_owned().unwrap()
}

fn rules(mode: &str) -> Rules {
    let text = format!(
        r#"{{"mode": "{mode}", "match": {{"alertname": "Down"}}, "target": {{"unit": "web.service"}},
            "ladder": [{{"do": {{"systemd": "restart"}}}}],
            "verify": {{"pass": 1, "every": "10ms"}}, "probation": "20ms", "escalate": ["soc"]}}"#
    );
    let playbook: Playbook = serde_json::from_str(&text).unwrap();
    Rules {
        playbooks: [("web-down".to_owned(), playbook)].into(),
        ours: Ours::new(&BTreeMap::new(), ["here"], []),
        checks: BTreeMap::new(),
        hooks: BTreeMap::new(),
        config: mode.into(),
        node: "here".into(),
        notifiers: [("soc".to_owned(), Severity::Info)].into(),
        pools: ["web".to_owned(), "db".to_owned()].into(),
        maintenance: maintenance::Options::default(),
        evidence: false,
        traced: true,
    }
}

pub(in crate::heal) fn alert(instance: &str, number: u32, status: Status) -> Alert {
    let labels = [("alertname", "Down"), ("instance", instance)];
    Alert {
        source: "am".into(),
        fingerprint: "f".into(),
        episode: Episode::new("am", "f", &format!("{instance}{number}")),
        status,
        severity: Severity::Critical,
        starts_at: None,
        labels: labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        annotations: Labels::new(),
    }
}

pub(in crate::heal) fn delivery(key: u8, alerts: Vec<Alert>) -> Delivery {
    Delivery {
        alerts,
        truncated: 0,
        left_out: Vec::new(),
        ignored: 0,
        key: [key; 32],
        trace: None,
    }
}

pub(in crate::heal) struct Case {
    directory: tempfile::TempDir,
    journal: Journal,
    pub(in crate::heal) healing: Healing,
    world: Arc<World>,
}

impl Case {
    pub(in crate::heal) fn start(mode: &str) -> Self {
        Self::resume(tempfile::tempdir().unwrap(), mode)
    }

    pub(in crate::heal) fn resume(directory: tempfile::TempDir, mode: &str) -> Self {
        Self::under(directory, rules(mode))
    }

    fn under(directory: tempfile::TempDir, rules: Rules) -> Self {
        let (journal, restored) = Journal::open(directory.path(), &Options::default()).unwrap();
        let world = World::new();
        let hands = Arc::clone(&world) as Arc<dyn Hands>;
        let wake = Arc::new(|| ());
        let healing = start(rules, journal.clone(), restored, hands, wake);
        Self {
            directory,
            journal,
            healing,
            world,
        }
    }

    /// Waits until the summary is as wanted; the test's own timeout ends what never comes.
    pub(in crate::heal) async fn until(&self, wanted: impl Fn(&Summary) -> bool) -> Arc<Summary> {
        loop {
            let summary = self.healing.summary();
            if wanted(&summary) {
                return summary;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(in crate::heal) fn lines(&self) -> Vec<Value> {
        let reader = Reader::open(self.directory.path()).unwrap();
        let mut lines = Vec::new();
        reader
            .entries(&Filter::default(), &mut |stored| {
                lines.push(serde_json::from_str(&stored.line).unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        lines
    }

    pub(in crate::heal) async fn stop(self) -> tempfile::TempDir {
        self.healing.end(Instant::now()).await;
        self.journal.close().await;
        self.directory
    }
}

#[tokio::test]
async fn heals_and_puts_every_step_on_record() {
    let case = Case::start("auto");
    let accepted = case
        .healing
        .deliver(
            "am",
            delivery(
                1,
                vec![
                    alert("here:9100", 1, Status::Firing),
                    alert("there", 1, Status::Firing),
                ],
            ),
        )
        .await
        .unwrap();
    assert_eq!(
        (accepted.ours, accepted.not_ours, accepted.repeats),
        (1, 1, 0)
    );
    case.until(is_healed).await;
    assert_eq!(case.world.acted.lock().unwrap().len(), 1);
    let lines = case.lines();
    let states: Vec<&str> = lines.iter().filter_map(|l| l["to"].as_str()).collect();
    assert_eq!(
        states,
        [
            "waiting",
            "intent",
            "acting",
            "verifying",
            "probation",
            "healed"
        ]
    );
    let kinds: BTreeSet<&str> = lines.iter().filter_map(|l| l["kind"].as_str()).collect();
    for kind in [
        "alert", "decision", "intent", "started", "result", "verify", "state", "start",
    ] {
        assert!(kinds.contains(kind), "{kind} in {kinds:?}");
    }
    let others = lines.iter().filter(|l| l["data"]["ours"] == json!(false));
    assert_eq!(others.count(), 1);
}

#[test]
fn what_could_not_be_put_on_record_was_never_counted() {
    let mut book = Book::new(rules("observe"));
    let mut turn = |keep: bool| {
        let now = World::new().now();
        book.deliver(
            "am",
            delivery(1, vec![alert("here", 1, Status::Firing)]),
            false,
            &now,
        );
        let (_, effects) = book.take();
        let (id, crate::heal::machine::Effect::Look(round, _)) = &effects[0] else {
            panic!("{effects:?}");
        };
        let look = Look {
            confirm: Vec::new(),
            busy: None,
            evidence: None,
            pool: None,
            witness: Ok(None),
            action: Err(crate::heal::guards::Unseen("no label".into())),
        };
        book.step(id, Event::Looked(*round, look), &now);
        let counted = book.summary();
        if keep {
            book.keep();
        } else {
            book.undo();
        }
        (counted, book.summary())
    };
    let (counted, after) = turn(false);
    assert_ne!(counted.tally, Tally::default());
    assert_eq!((after.tally, after.firing.len()), (Tally::default(), 0));
    let modes = [("web-down".to_owned(), crate::heal::plan::Mode::Observe)];
    assert_eq!(after.playbooks, modes.into());
    let (counted, after) = turn(true);
    assert_eq!(counted, after);
}

#[tokio::test]
async fn repeats_and_late_firings_change_nothing() {
    let case = Case::start("observe");
    let body = || delivery(1, vec![alert("here", 1, Status::Firing)]);
    case.healing.deliver("am", body()).await.unwrap();
    let before = case
        .until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    assert_eq!(before.node, NodeState::Unhealthy, "a critical alert fires");
    let again = case.healing.deliver("am", body()).await.unwrap();
    assert_eq!(again.repeats, 1);
    let other_body = delivery(2, vec![alert("here", 1, Status::Firing)]);
    assert_eq!(
        case.healing
            .deliver("am", other_body)
            .await
            .unwrap()
            .repeats,
        1
    );
    let resolved = delivery(3, vec![alert("here", 1, Status::Resolved)]);
    assert_eq!(
        case.healing.deliver("am", resolved).await.unwrap().repeats,
        0
    );
    let late = delivery(4, vec![alert("here", 1, Status::Firing)]);
    assert_eq!(case.healing.deliver("am", late).await.unwrap().repeats, 1);
    let summary = case.until(|s| s.node == NodeState::Healthy).await;
    assert_eq!(summary.tally.ended.values().sum::<u64>(), 1);
    assert!(case.world.acted.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_healed_and_fires_again_joins_its_incident() {
    let case = Case::start("auto");
    let tell = |key, number| {
        let delivery = delivery(key, vec![alert("here", number, Status::Firing)]);
        case.healing.deliver("am", delivery)
    };
    tell(1, 1).await.unwrap();
    case.until(|s| s.tally.ended.values().sum::<u64>() == 1)
        .await;
    tell(2, 2).await.unwrap();
    let summary = case
        .until(|s| !s.open.is_empty() && !s.open[0].refused_by.is_empty())
        .await;
    assert_eq!(summary.open[0].attempts, 1);
    assert_eq!(summary.open[0].refused_by[0].guard, Guard::Cooldown);
    let id = summary.open[0].id.clone();
    let said = case
        .healing
        .operate("ann", Order::Cancel(id.to_string(), false))
        .await
        .unwrap();
    assert!(said.contains("cancelled"));
    let again = case
        .healing
        .operate("ann", Order::Cancel(id.to_string(), false))
        .await;
    assert!(matches!(again, Err(NotDone::State(..))));
    let none = Order::Approve("nobody".into());
    let refused = case.healing.operate("ann", none).await;
    assert!(matches!(refused, Err(NotDone::NoSuch(_))));
}

#[tokio::test]
async fn an_alert_that_nobody_can_take_is_recorded_once() {
    let no_target = r#"{"match": {"alertname": "Down"}, "target": {"unit": {"from": "unit"}},
        "ladder": [{"do": {"systemd": "restart"}}]}"#;
    let mut untargeted = rules("observe");
    let playbook = serde_json::from_str(no_target).unwrap();
    untargeted.playbooks.insert("web-down".into(), playbook);
    let mut forbidden = rules("observe");
    forbidden.hooks.insert("am".into(), Vec::new());
    for rules in [untargeted, forbidden] {
        let case = Case::start("observe");
        case.healing.change(rules.clone()).await;
        for (key, repeats) in [(1, 0), (2, 1), (3, 1)] {
            let told = delivery(key, vec![alert("here", 1, Status::Firing)]);
            let accepted = case.healing.deliver("am", told).await.unwrap();
            assert_eq!((accepted.ours, accepted.repeats), (1, repeats));
        }
        let lines = case.lines();
        assert_eq!(lines.iter().filter(|l| l["kind"] == "alert").count(), 1);
        // A playbook that can take it now does.
        case.healing
            .change(Rules {
                config: "other".into(),
                ..super::tests::rules("observe")
            })
            .await;
        let told = delivery(3, vec![alert("here", 1, Status::Firing)]);
        assert_eq!(case.healing.deliver("am", told).await.unwrap().repeats, 0);
    }
}

#[tokio::test]
async fn an_alert_that_says_nothing_is_wrong_leaves_the_node_healthy() {
    let case = Case::start("auto");
    let deliver = async |key, severity| {
        let mut alert = alert("here:9100", 1, Status::Firing);
        alert.labels.insert("alertname".into(), "Watchdog".into());
        alert.severity = severity;
        let taken = case.healing.deliver("am", delivery(key, vec![alert])).await;
        taken.unwrap().repeats
    };
    assert_eq!(deliver(1, Severity::Info).await, 0);
    let summary = case.until(|s| s.firing.contains_key("info")).await;
    assert_eq!(summary.node, NodeState::Healthy);
    // The mapping of its hook is another now.
    assert_eq!(deliver(2, Severity::Warning).await, 1);
    let summary = case.until(|s| s.node == NodeState::Degraded).await;
    assert_eq!(summary.alerts.len(), 1);
    assert_eq!(deliver(3, Severity::Info).await, 1);
    case.until(|s| s.node == NodeState::Healthy).await;
    case.stop().await;
}
