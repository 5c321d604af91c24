use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::super::plan::Planned;
use super::*;
use crate::dialect::Told;
use crate::dialect::prometheus::{Format, Out};
use crate::dialect::zabbix::key::Key;
use crate::model::alert::Status;
use crate::model::severity::Severity;

/// What a fake does when it is probed for the nth time, from 0.
type Script = fn(usize) -> Fake;

enum Fake {
    Pass,
    /// As a service that shows a certificate which ends then.
    Shown(u64),
    Fail,
    Take(u64),
    Hang,
    Panic,
}

struct Scripted {
    script: Script,
    probes: Arc<AtomicUsize>,
    at_once: AtomicUsize,
}

#[async_trait]
impl Prober for Scripted {
    async fn probe(&self, _: Ask) -> Outcome {
        let nth = self.probes.fetch_add(1, Ordering::Relaxed);
        assert_eq!(
            self.at_once.fetch_add(1, Ordering::Relaxed),
            0,
            "twice at a time"
        );
        let outcome = match (self.script)(nth) {
            Fake::Pass => Outcome::passed("fine", json!({})),
            Fake::Shown(end) => Outcome {
                certificate_end: Some(end),
                ..Outcome::passed("fine", json!({}))
            },
            Fake::Fail => Outcome::blind("broken"),
            Fake::Take(millis) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Outcome::passed("fine", json!({}))
            }
            Fake::Hang => {
                // Dropped at its deadline, it counts as ended.
                self.at_once.store(0, Ordering::Relaxed);
                std::future::pending().await
            }
            Fake::Panic => {
                self.at_once.store(0, Ordering::Relaxed);
                panic!("of the test")
            }
        };
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        outcome
    }
}

/// A check a second, down after 2 failures, up after 2 passes, with more options; and how often it was probed.
fn planned(name: &str, more: serde_json::Value, script: Script) -> (Plan, Arc<AtomicUsize>) {
    let mut options =
        json!({"probe": {"tcp": {"address": "x:1"}}, "every": "1s", "timeout": "500ms", "fall": 2});
    options
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let probes = Arc::new(AtomicUsize::new(0));
    let planned = Planned {
        name: name.into(),
        check: serde_json::from_value(options).unwrap(),
        prober: Box::new(Scripted {
            script,
            probes: Arc::clone(&probes),
            at_once: AtomicUsize::new(0),
        }),
    };
    (Plan([(name.into(), Arc::new(planned))].into()), probes)
}

fn both((one, _): (Plan, Arc<AtomicUsize>), (other, _): (Plan, Arc<AtomicUsize>)) -> Plan {
    Plan(one.0.into_iter().chain(other.0).collect())
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_probe_is_never_joined_by_another_and_keeps_its_beat() {
    let (plan, probes) = planned("slow", json!({"timeout": "9s"}), |_| Fake::Take(2500));
    let checks = Checks::default();
    checks.change(&plan);
    // Begun at 0, 3, 6 and 9: each lasts 2.5 s, and the beats at 1, 2, 4, 5 ... are left out.
    pass(9_100).await;
    assert_eq!(probes.load(Ordering::Relaxed), 4);
    assert_eq!(checks.state("slow").unwrap().health, Health::Up);
}

#[tokio::test(start_paused = true)]
async fn an_alert_is_raised_after_its_time_and_ends_with_the_recovery() {
    let script: Script = |nth| {
        if (3..8).contains(&nth) {
            Fake::Hang
        } else {
            Fake::Pass
        }
    };
    let more = json!({"for": "3s", "critical": true, "alert": {"team": "web", "alertname": "WebDown"}, "description": "the web"});
    let (plan, _) = planned("web", more, script);
    let checks = Checks::default();
    let mut changes = checks.changes();
    checks.change(&plan);
    pass(2_100).await;
    assert_eq!(checks.state("web").unwrap().health, Health::Up);
    // Probes 3 and 4 time out at 3.5 and 4.5, so it is down; probe 6 at 6.5 finds it failing for 3 s.
    pass(2_800).await;
    assert_eq!(checks.state("web").unwrap().health, Health::Down);
    assert!(changes.try_recv().is_err());
    let raised = changes.recv().await.unwrap();
    let state = checks.state("web").unwrap();
    assert!(state.alerting && state.fails == 4);
    assert_eq!(raised.why, "timed out: no result within 500ms");
    let alert = raised.alert();
    assert_eq!(
        (alert.source.as_str(), alert.fingerprint.as_str()),
        ("check", "web")
    );
    assert_eq!(
        (alert.status, alert.severity),
        (Status::Firing, Severity::Critical)
    );
    let labels: Vec<_> = alert
        .labels
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(
        labels,
        [
            "alertname=WebDown",
            "check=web",
            "severity=critical",
            "team=web"
        ]
    );
    assert_eq!(alert.annotations["description"], "the web");
    assert_eq!(alert.starts_at, state.failing_since);
    let over = changes.recv().await.unwrap().alert();
    assert_eq!(
        (over.status, &over.episode),
        (Status::Resolved, &alert.episode)
    );
    assert_eq!(checks.state("web").unwrap().health, Health::Up);
    assert!(changes.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn one_that_passes_and_is_not_up_yet_says_how_far_it_is() {
    let (plan, _) = planned("web", json!({"rise": 3}), |nth| match nth {
        0..6 => Fake::Hang,
        _ => Fake::Pass,
    });
    let checks = Checks::default();
    checks.change(&plan);
    pass(7_600).await;
    let standing = checks.standing();
    let why = &standing.first().unwrap().why;
    assert!(why.ends_with(", and so 2 of 3 times in a row"), "{why}");
    pass(1_000).await;
    assert!(checks.standing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_probe_fails_that_check_and_no_other() {
    let plan = both(
        planned("bad", json!({}), |_| Fake::Panic),
        planned("good", json!({}), |_| Fake::Pass),
    );
    let checks = Checks::default();
    checks.change(&plan);
    pass(5_000).await;
    let bad = checks.state("bad").unwrap();
    assert_eq!(bad.health, Health::Down);
    assert!(bad.last.unwrap().why.contains("panicked"));
    assert_eq!(checks.state("good").unwrap().health, Health::Up);
}

#[tokio::test(start_paused = true)]
async fn a_probe_beside_the_schedule_leaves_no_trace() {
    let (plan, probes) = planned("web", json!({}), |nth| {
        if nth < 3 { Fake::Pass } else { Fake::Fail }
    });
    let checks = Checks::default();
    checks.change(&plan);
    pass(2_100).await;
    let before = checks.state("web").unwrap();
    let said = checks
        .probe("web", Instant::now() + Duration::from_secs(9))
        .await
        .unwrap();
    assert!(!said.ok && said.why == "broken");
    assert_eq!(probes.load(Ordering::Relaxed), 4);
    assert_eq!(checks.state("web").unwrap(), before);
    assert!(checks.probe("none", Instant::now()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_is_the_same_and_ends_the_alerts_of_what_is_gone() {
    let failing = |name: &str, more| planned(name, more, |_| Fake::Fail);
    let checks = Checks::default();
    let mut changes = checks.changes();
    checks.change(&both(
        failing("gone", json!({})),
        failing("kept", json!({})),
    ));
    pass(3_000).await;
    assert!(!changes.try_recv().unwrap().up && !changes.try_recv().unwrap().up);
    let kept = checks.state("kept").unwrap();
    let (plan, probes) = failing("kept", json!({}));
    checks.change(&plan);
    let gone = changes.try_recv().unwrap();
    assert!(gone.up && &*gone.name == "gone", "{gone:?}");
    assert_eq!(checks.state("kept").unwrap(), kept);
    assert!(checks.state("gone").is_none());
    pass(3_000).await;
    assert!(probes.load(Ordering::Relaxed) >= 3);
    assert!(changes.try_recv().is_err(), "its alert still stands");
    checks.change(&failing("kept", json!({"fall": 3})).0);
    assert!(changes.try_recv().unwrap().up);
    assert_eq!(checks.state("kept").unwrap().health, Health::Unknown);
    checks.stop();
    pass(9_000).await;
    assert_eq!(checks.state("kept").unwrap().health, Health::Unknown);
}

fn page(checks: &Checks) -> String {
    let mut out = Out::new(Format::Text, 0);
    checks.prometheus(&mut out);
    String::from_utf8(out.finish()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn checks_are_told_once_they_are_known() {
    let plan = both(
        planned(
            "bad",
            json!({"critical": true, "description": "say \"x\""}),
            |_| Fake::Fail,
        ),
        planned("good", json!({}), |_| Fake::Pass),
    );
    let checks = Checks::default();
    checks.change(&plan);
    let ask = |key: &str| {
        checks
            .zabbix(&Key::parse(key).unwrap())
            .map(|said| match said {
                Ok(value) => value.into_string(),
                Err(why) => why.to_string(),
            })
    };
    assert_eq!(page(&checks), "");
    assert_eq!(
        ask("nodeward.check[good]").unwrap(),
        "Not enough probes were made yet."
    );
    pass(5_000).await;
    let page = page(&checks);
    for line in [
        "nodeward_check_up{check=\"bad\"} 0\n",
        "nodeward_check_up{check=\"good\"} 1\n",
        "nodeward_check_duration_seconds{check=\"good\"} 0\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
    assert!(
        page.contains("nodeward_check_last_change_timestamp_seconds{check=\"bad\"} "),
        "{page}"
    );
    assert_eq!(ask("nodeward.check[good]").unwrap(), "1");
    assert_eq!(ask("nodeward.check[bad]").unwrap(), "0");
    assert_eq!(
        ask("nodeward.check[none]").unwrap(),
        "There is no such check."
    );
    assert_eq!(ask("nodeward.check").unwrap(), "Invalid first parameter.");
    assert_eq!(ask("nodeward.check[a,b]").unwrap(), "Too many parameters.");
    assert_eq!(ask("agent.ping"), None);
    let found: serde_json::Value =
        serde_json::from_str(&ask("nodeward.check.discovery").unwrap()).unwrap();
    let bad = json!({"{#CHECK}": "bad", "{#KIND}": "tcp", "{#CRITICAL}": "1", "{#DESCRIPTION}": "say \"x\""});
    assert_eq!(found[0], bad);
    assert_eq!(found.as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_certificate_is_told_until_another_is_seen() {
    let script: Script = |nth| match nth {
        0 => Fake::Shown(4_000_000_000),
        4 => Fake::Shown(5_000_000_000),
        _ => Fake::Fail,
    };
    let checks = Checks::default();
    let (plan, _) = planned("web", json!({}), script);
    checks.change(&plan);
    let ask = || {
        let key = Key::parse("nodeward.check.certificate_expiry[web]").unwrap();
        match checks.zabbix(&key).unwrap() {
            Ok(value) => value.into_string(),
            Err(why) => why.to_string(),
        }
    };
    assert_eq!(ask(), "It was shown no certificate yet.");
    let name = "nodeward_check_certificate_expiry_timestamp_seconds";
    for (millis, end) in [
        (100, "4000000000"),
        (3_000, "4000000000"),
        (2_000, "5000000000"),
    ] {
        pass(millis).await;
        assert_eq!(ask(), end);
        let page = page(&checks);
        let line = page.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit(' ').next()).unwrap();
        assert_eq!(value.parse::<f64>(), end.parse(), "{page}");
    }
}
