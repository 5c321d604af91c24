//! Actions on a booted systemd: what the result of a job means, and what a witness proves.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Failed;
use nodeward::action::{Do, Looked, Order, Outcome, Stop, Strength, World};
use nodeward::host::Host;
use nodeward::model::alert::Labels;
use nodeward::model::id::{AttemptId, IncidentId};
use nodeward::model::target::Target;
use nodeward::net::resolve::Resolver;
use nodeward::peer::systemd::{Options, Systemd};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::PeerTest;
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;

const NEEDS: &[Peer] = &[Peer::Root, Peer::Systemd, Peer::DbusDaemon];

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "actions::the_result_of_a_job_is_told_for_what_it_is",
        needs: NEEDS,
        run: results,
    },
    PeerTest {
        name: "actions::a_witness_changes_with_the_effect_and_only_then",
        needs: NEEDS,
        run: witnesses,
    },
    PeerTest {
        name: "actions::the_start_limit_is_named_and_cleared_only_when_asked_for",
        needs: NEEDS,
        run: start_limit,
    },
    PeerTest {
        name: "actions::a_unit_that_systemd_is_at_work_on_is_busy",
        needs: NEEDS,
        run: busy,
    },
];

/// The units of the table, and what a restart of each ends with: the outcome, the job's result, and words of the reason.
const ROWS: &[(&str, &str, &str, &str)] = &[
    (
        "simple",
        "[Service]\nExecStart=/bin/sleep infinity",
        "done",
        "",
    ),
    (
        "nobinary",
        "[Service]\nExecStart=/nonexistent/program",
        "done",
        "",
    ),
    ("early", "[Service]\nExecStart=/bin/sleep 0.3", "done", ""),
    (
        "condition",
        "ConditionPathExists=/nonexistent\n[Service]\nExecStart=/bin/sleep infinity",
        "done",
        "",
    ),
    (
        "exec",
        "[Service]\nType=exec\nExecStart=/nonexistent/program",
        "failed",
        "exit-code",
    ),
    (
        "notifyexits",
        "[Service]\nType=notify\nExecStart=/bin/true",
        "failed",
        "protocol",
    ),
    (
        "notready",
        "[Service]\nType=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep infinity",
        "failed",
        "timeout",
    ),
    (
        "dependent",
        "Requires=nodeward-t-exec.service\nAfter=nodeward-t-exec.service\n[Service]\nExecStart=/bin/sleep infinity",
        "dependency",
        "dependency",
    ),
    (
        "stubborn",
        "[Service]\nTimeoutStopSec=1\nExecStart=/bin/sh -c \"trap '' TERM; while :; do sleep 1; done\"",
        "done",
        "",
    ),
    (
        "work",
        "[Service]\nType=oneshot\nExecStart=/bin/true",
        "done",
        "",
    ),
    (
        "badwork",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"exit 7\"",
        "failed",
        "exit-code",
    ),
];

/// A booted systemd with units of our own, and a way to act on it.
struct Stage {
    _booted: Booted,
    runtime: Runtime,
    world: World,
    attempt: AttemptId,
}

impl Stage {
    fn set(scratch: &Scratch, units: &[(&str, &str)]) -> Result<Self, Failed> {
        let booted = Booted::boot(scratch)?;
        booted.units(units)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let options = Options {
            private: false,
            address: Some(booted.bus.clone()),
        };
        let systemd = Systemd::new(runtime.handle().clone(), &options, Arc::default())?;
        Ok(Self {
            _booted: booted,
            runtime,
            world: World {
                host: Arc::new(Host::default()),
                systemd: Some(Arc::new(systemd)),
                container: None,
                resolver: Resolver::default(),
                state: None,
            },
            attempt: AttemptId {
                incident: IncidentId::new("01JD"),
                number: 1,
            },
        })
    }

    fn order<T>(&self, unit: &str, with: impl FnOnce(Order<'_>) -> T) -> Result<T, Failed> {
        let target = Target::new("unit", &format!("nodeward-t-{unit}.service"))?;
        Ok(with(Order {
            attempt: &self.attempt,
            playbook: "test",
            target: &target,
            labels: &Labels::new(),
            timeout: Duration::from_secs(60),
            stop: &Stop::never(),
        }))
    }

    fn act(&self, what: Value, unit: &str) -> Result<(Outcome, Vec<Value>), Failed> {
        let what: Do = serde_json::from_value(json!({"systemd": what}))?;
        let mut started = Vec::new();
        let outcome = self.order(unit, |order| {
            let act = what.act(&self.world, &order, |handle| started.push(handle));
            self.runtime.block_on(act)
        })?;
        Ok((outcome, started))
    }

    fn look(&self, unit: &str) -> Result<Looked, Failed> {
        let what: Do = serde_json::from_value(json!({"systemd": "restart"}))?;
        assert_eq!(what.strength(), Strength::Strong);
        self.order(unit, |order| {
            self.runtime.block_on(what.look(&self.world, &order))
        })
    }

    /// Looks until it has seen what it wants.
    fn until(&self, unit: &str, seen: impl Fn(&Looked) -> bool) -> Result<Looked, Failed> {
        crate::process::until("the unit to get there", || {
            self.look(unit).ok().filter(|looked| seen(looked))
        })
    }
}

fn told(outcome: &Outcome) -> (&str, &Value) {
    match outcome {
        Outcome::Done(detail) => ("", detail),
        Outcome::Failed { why, detail } => (why, detail),
        Outcome::Unknown { .. } => ("unknown", &Value::Null),
    }
}

fn results() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let units: Vec<_> = ROWS.iter().map(|(name, text, ..)| (*name, *text)).collect();
    let stage = Stage::set(&scratch, &units)?;
    let mut complaints = Vec::new();
    for (unit, _, result, says) in ROWS {
        let rounds = if *unit == "stubborn" { 2 } else { 1 };
        for _ in 0..rounds {
            let (outcome, started) = stage.act(json!("restart"), unit)?;
            let (why, detail) = told(&outcome);
            let job = started.first().and_then(|s| s["job"].as_str());
            let right = detail["result"] == *result
                && (*result == "done") == matches!(outcome, Outcome::Done(_))
                && why.contains(says)
                && job.is_some_and(|job| job.starts_with("/org/freedesktop/systemd1/job/"))
                && detail["job"].as_str() == job;
            if !right {
                complaints.push(format!("{unit}: {outcome:?}, started {started:?}"));
            }
        }
    }
    let (outcome, started) = stage.act(json!("restart"), "no-such")?;
    if !matches!(&outcome, Outcome::Failed { why, .. } if why.contains("NoSuchUnit"))
        || !started.is_empty()
    {
        complaints.push(format!("a unit without a file: {outcome:?}"));
    }
    match complaints.as_slice() {
        [] => Ok(()),
        complaints => Err(complaints.join("\n").into()),
    }
}

fn witnesses() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let units = [
        ("plain", "[Service]\nExecStart=/bin/sleep infinity"),
        (
            "condition",
            "ConditionPathExists=/nonexistent\n[Service]\nExecStart=/bin/sleep infinity",
        ),
        (
            "reloads",
            "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/true",
        ),
        ("work", "[Service]\nType=oneshot\nExecStart=/bin/true"),
        ("kept", "[Service]\nType=oneshot\nExecStart=/bin/true"),
        (
            "keeper",
            "After=nodeward-t-kept.service\n[Service]\nExecStart=/bin/sleep infinity",
        ),
    ];
    let stage = Stage::set(&scratch, &units)?;
    let witness = |unit: &str| stage.look(unit)?.witness.map_err(Failed::from);
    // Whether there is a witness before, and after; and whether they differ.
    for (unit, verb, before, after, differ) in [
        ("plain", "reset-failed", false, false, false),
        ("plain", "start", false, true, true),
        ("plain", "start", true, true, false),
        ("plain", "restart", true, true, true),
        ("plain", "reset-failed", true, true, false),
        ("plain", "stop", true, false, true),
        ("condition", "restart", false, false, false),
        ("reloads", "start", false, true, true),
        ("reloads", "reload", true, true, true),
        // It ends well and is forgotten.
        ("work", "start", false, false, false),
        // So does this one, but another unit that runs names it.
        ("keeper", "start", false, true, true),
        ("kept", "start", false, true, true),
        ("kept", "start", true, true, true),
    ] {
        let was = witness(unit)?;
        let (outcome, _) = stage.act(json!(verb), unit)?;
        let is = witness(unit)?;
        let seen = (was.is_some(), is.is_some(), was != is);
        if !matches!(outcome, Outcome::Done(_)) || seen != (before, after, differ) {
            return Err(format!("{verb} of {unit}: {outcome:?}, {was:?}, {is:?}").into());
        }
    }
    Ok(())
}

fn start_limit() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let limited =
        "StartLimitBurst=2\nStartLimitIntervalSec=1h\n[Service]\nExecStart=/bin/sleep infinity";
    let stage = Stage::set(&scratch, &[("limited", limited)])?;
    for _ in 0..2 {
        let (outcome, _) = stage.act(json!("restart"), "limited")?;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    }
    let (outcome, _) = stage.act(json!("restart"), "limited")?;
    let (why, detail) = told(&outcome);
    assert_eq!(detail["result"], "failed", "{outcome:?}");
    assert!(
        why.contains("start-limit-hit") && why.contains("reset_failed: true"),
        "{why}"
    );
    let reset = json!({"verb": "restart", "reset_failed": true});
    let (outcome, _) = stage.act(reset, "limited")?;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    Ok(())
}

fn busy() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let units = [
        (
            "again",
            "StartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=1h",
        ),
        (
            "slow",
            "[Service]\nType=notify\nTimeoutStartSec=1h\nExecStart=/bin/sleep infinity",
        ),
    ];
    let stage = Stage::set(&scratch, &units)?;
    let (outcome, _) = stage.act(json!("start"), "again")?;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let looked = stage.until("again", |looked| looked.busy.is_some())?;
    assert_eq!(
        looked.busy.as_deref(),
        Some("systemd restarts it itself: auto-restart")
    );
    let start = async {
        let target = Target::new("unit", "nodeward-t-slow.service").map_err(|e| e.to_string())?;
        let what: Do =
            serde_json::from_value(json!({"systemd": "start"})).map_err(|e| e.to_string())?;
        let order = Order {
            attempt: &stage.attempt,
            playbook: "test",
            target: &target,
            labels: &Labels::new(),
            timeout: Duration::from_secs(2),
            stop: &Stop::never(),
        };
        Ok::<_, String>(what.act(&stage.world, &order, |_| ()).await)
    };
    let outcome = stage.runtime.block_on(start)?;
    assert!(
        matches!(&outcome, Outcome::Unknown { why, detail } if why.contains("goes on") && detail["job"].is_string()),
        "{outcome:?}"
    );
    let looked = stage.look("slow")?;
    assert_eq!(
        looked.busy.as_deref(),
        Some("systemd has a job queued: start")
    );
    Ok(())
}
