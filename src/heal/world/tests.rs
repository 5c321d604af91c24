//! The proofs of a playbook against stand-ins and real programs.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::heal::incident::Incident;
use crate::heal::playbook::Names;
use crate::heal::playbook::Playbook;
use crate::heal::pools::NoPools;
use crate::host::{Host, Roots};
use crate::model::id::IncidentId;
use crate::model::moment::{Deadline, Moment};
use crate::model::severity::Severity;
use crate::net::resolve::Resolver;
use crate::peer::container::Engine;
use crate::peer::container::tests::{Fake, STATE};
use crate::subject::{Machine, Sampler};

/// Hands over a captured machine.
fn world() -> World {
    let tree = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts/server");
    let roots = Roots {
        procfs: tree.join("proc"),
        sysfs: tree.join("sys"),
        ..Roots::default()
    };
    let host = Arc::new(Host::new(roots));
    let machine = Machine {
        host: Arc::clone(&host),
        runtime: None,
    };
    let sampler = Sampler::start(&crate::subject::Options::default(), &machine, None).unwrap();
    let resolver = Resolver::default();
    let reach = Reach {
        action: action::World {
            host,
            systemd: None,
            container: None,
            resolver: resolver.clone(),
            state: None,
        },
        checks: Arc::default(),
        probes: check::World {
            sampler: Arc::new(sampler),
            resolver,
            container: Arc::new(Engine::new(&Default::default())),
        },
        pools: Arc::new(NoPools),
    };
    World::new(Clock::new(), reach)
}

/// An incident of a playbook with these keys, about a container.
fn job(world: &World, keys: Value) -> Job {
    job_with(world, keys, &["gone"])
}

/// The same where there are these checks.
fn job_with(world: &World, keys: Value, checks: &[&str]) -> Job {
    let mut playbook = json!({
        "match": {"alertname": "Down", "name": {"in": ["api"]}},
        "target": {"container": {"from": "name"}},
        "ladder": [{"do": {"container": "restart"}}],
    });
    playbook
        .as_object_mut()
        .unwrap()
        .extend(keys.as_object().unwrap().clone());
    let playbook: Playbook = serde_json::from_value(playbook).unwrap();
    let checks: Vec<_> = checks.iter().map(|name| (*name, Period::secs(3))).collect();
    let names = Names {
        checks,
        ..Names::default()
    };
    assert_eq!(playbook.faults(&names), []);
    let now = world.now();
    let labels = [("alertname", "Down"), ("name", "api")];
    let labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let target = playbook.target_of(&labels).unwrap();
    Job {
        incident: Incident {
            severity: Severity::Critical,
            labels,
            ..Incident::new(IncidentId::new("01JD"), "api", target, &now)
        },
        plan: Arc::new(playbook.plan()),
        playbook: Arc::new(playbook),
        checks: Arc::default(),
        stop: crate::action::Stop::never(),
    }
}

#[tokio::test]
async fn a_container_that_may_still_be_stopping_was_not_left_alone() {
    let other = STATE.replace("\"Pid\":42", "\"Pid\":43");
    let restart = |wait: &str| {
        let restart = json!({"verb": "restart", "stop_wait": wait});
        json!({"ladder": [{"do": {"container": restart}, "timeout": "2m"}]})
    };
    let begun = |now: &Moment, left: u64| {
        let ago = 120_000 - left;
        let from = Moment {
            boot: now.boot - ago,
            ..now.clone()
        };
        Deadline::new(from, Duration::from_secs(120))
    };
    for (answers, wait, left, after) in [
        // It was asked for, and stops only while it is looked at.
        (&[STATE, other.as_str()][..], "10s", 300, After::Happened),
        (&[STATE, STATE], "10s", 300, After::DidNot),
        // Nobody waits so long.
        (&[STATE], "1m", 100_000, After::Unknown),
        // Whoever had asked for it, it would be over.
        (&[STATE], "1m", 0, After::DidNot),
        (&[&other], "1m", 100_000, After::Happened),
    ] {
        let answers: Vec<_> = answers.iter().map(|state| (200, *state)).collect();
        let fake = Fake::answering(&answers);
        let world = world();
        let mut reach = world.reach();
        reach.action.container = Some(Arc::new(fake.engine()));
        world.change(reach);
        let mut job = job(&world, restart(wait));
        let witness = json!({
            "id": "abc", "started": "2026-11-25T10:00:00Z", "finished": "0001-01-01T00:00:00Z", "pid": 42,
        });
        job.incident.attempts.push(world.now());
        job.incident.state = State::Intent {
            limit: begun(&world.now(), left),
            witness: Some(witness),
        };
        assert_eq!(world.after(job).await, after, "{wait} {left}");
        assert_eq!(fake.asked().await.len(), answers.len());
    }
}

#[tokio::test]
async fn programs_and_probes_of_a_playbooks_own_are_asked() {
    let world = world();
    let verify = json!({"all": [
        {"command": {"argv": ["/bin/echo", "well:", {"from": "name"}]}},
        {"probe": {"reading": {"metric": "node_memory_MemTotal_bytes", "above": "1TiB"}}},
    ]});
    let (sight, seen) = world.probe(job(&world, json!({"verify": verify}))).await;
    assert_eq!(sight, Sight::Well, "{seen}");
    assert_eq!(seen[0]["command"], "/bin/echo");
    assert_eq!(seen[0]["why"], "exit status 0: well: api");
    assert_eq!(seen[1]["probe"], "reading");

    let verify = json!({"all": [
        {"command": {"argv": ["/bin/false"]}},
        {"command": {"argv": ["/bin/sleep", "1000"], "timeout": "100ms"}},
        {"probe": {"reading": {"metric": "node_memory_MemTotal_bytes", "below": "1TiB"}}},
    ]});
    let (sight, seen) = world.probe(job(&world, json!({"verify": verify}))).await;
    assert_eq!(sight, Sight::Ill);
    for (index, why) in ["exit status 1", "longer than 100ms", "below 1TiB fails"]
        .into_iter()
        .enumerate()
    {
        assert_eq!(seen[index]["passed"], false);
        assert!(seen[index]["why"].as_str().unwrap().contains(why), "{seen}");
    }
}

#[tokio::test]
async fn what_confirms_must_fail_here_too() {
    let world = world();
    let confirm = json!([
        {"command": {"argv": ["/bin/false"]}, "fails": 2},
        {"command": {"argv": ["/bin/true"]}},
        {"probe": {"reading": {"metric": "node_memory_MemTotal_bytes", "below": "1TiB"}}},
    ]);
    let looked = world.look(job(&world, json!({"confirm": confirm}))).await;
    let seen: Vec<_> = looked
        .confirm
        .iter()
        .map(|(name, sight, _)| (&**name, *sight))
        .collect();
    assert_eq!(
        seen,
        [
            ("command /bin/false", Sight::Ill),
            ("command /bin/true", Sight::Well),
            ("probe reading", Sight::Ill)
        ]
    );
}

#[tokio::test]
async fn a_check_is_probed_as_it_was_when_the_playbook_was_taken() {
    let world = world();
    let memory = |above: &str| {
        let reading = json!({"metric": "node_memory_MemTotal_bytes", "above": above});
        let checks = json!({"memory": {"probe": {"reading": reading}, "every": "1h"}});
        serde_json::from_value::<check::Options>(checks).unwrap()
    };
    let wanted = json!({"all": [{"check": "memory"}]});
    let keys = json!({"verify": wanted, "confirm": [{"check": "memory"}]});
    let mut job = job_with(&world, keys, &["memory"]);
    // What runs under its name is another one by now, or nothing does.
    for running in [memory("1"), memory("2TiB"), check::Options::default()] {
        let reach = world.reach();
        let plan = check::Plan::new(&running, &reach.probes).unwrap();
        reach.checks.change(&plan);
        for (above, sight) in [("1", Sight::Ill), ("1TiB", Sight::Well)] {
            job.checks = Arc::new(memory(above));
            let (seen, why) = world.probe(job.clone()).await;
            assert_eq!(seen, sight, "{above}: {why}");
            assert_eq!(world.look(job.clone()).await.confirm[0].1, sight);
        }
    }
}

#[tokio::test]
async fn a_program_that_would_not_be_run_is_no_action_before_the_attempt() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let changeable = directory.path().join("repair");
    std::fs::copy("/bin/true", &changeable).unwrap();
    let changeable = changeable.to_str().unwrap();
    for (program, why) in [
        ("/bin/no-such-program", "cannot be looked at"),
        ("/etc/passwd", "no file that can be executed"),
        (changeable, "would not be run"),
        ("/bin/true", ""),
    ] {
        let ladder = json!([{"do": {"command": {"argv": [program]}}}]);
        let looked = world.look(job(&world, json!({"ladder": ladder}))).await;
        match looked.action {
            Ok(rendered) => assert_eq!((program, why), ("/bin/true", ""), "{rendered:?}"),
            Err(said) => assert!(!why.is_empty() && said.0.contains(why), "{said:?}"),
        }
    }
}

#[tokio::test]
async fn what_cannot_be_asked_neither_confirms_nor_proves() {
    let world = world();
    let confirm = json!([{"check": "gone"}]);
    let looked = world.look(job(&world, json!({"confirm": confirm}))).await;
    assert_eq!(looked.confirm[0].1, Sight::Blind, "{looked:?}");
    let verify = json!({"all": [{"check": "gone"}, {"command": {"argv": ["/bin/true"]}}]});
    let (sight, seen) = world.probe(job(&world, json!({"verify": verify}))).await;
    assert_eq!(sight, Sight::Blind, "{seen}");
}

#[tokio::test]
async fn a_program_that_does_not_run_is_no_proof_of_anything() {
    let directory = tempfile::tempdir().unwrap();
    let others = directory.path().join("others-may-write-here");
    std::os::unix::fs::symlink("/bin/false", &others).unwrap();
    let world = world();
    for argv in [
        json!(["/bin/no-such-program"]),
        json!(["/etc/passwd"]),
        json!([others]),
        // Longer than any command line may be: execve(2) refuses it.
        json!(["/bin/false", "x".repeat(4 << 20)]),
    ] {
        let confirm = json!([{"command": {"argv": argv}, "fails": 3}]);
        let looked = world.look(job(&world, json!({"confirm": confirm}))).await;
        assert_eq!(looked.confirm[0].1, Sight::Blind, "{:?}", looked.confirm);
        let verify = json!({"all": [{"command": {"argv": argv}}]});
        let (sight, seen) = world.probe(job(&world, json!({"verify": verify}))).await;
        assert_eq!(sight, Sight::Blind, "{seen}");
    }
}
