//! Probes against real peers, and the running checks against a paused clock.

mod command;
mod container;
mod files;
mod http;
mod machine;
mod running;
mod tcp;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::host::{Host, Roots};
use crate::subject::Machine;

/// A world over the machine that the tests run on.
fn world() -> World {
    over(Host::default(), Resolver::default())
}

fn over(host: Host, resolver: Resolver) -> World {
    let machine = Machine {
        host: Arc::new(host),
        runtime: None,
    };
    let sampler = Sampler::start(&crate::subject::Options::default(), &machine, None).unwrap();
    World {
        sampler: Arc::new(sampler),
        resolver,
        container: Arc::new(Engine::new(&Default::default())),
    }
}

/// A world in which no name is looked up until what is given with it is dropped.
fn over_names_that_hang() -> (std::sync::mpsc::Sender<()>, World) {
    let (release, hang) = std::sync::mpsc::channel();
    let hang = std::sync::Mutex::new(hang);
    let resolver = Resolver::over(move |_| {
        hang.lock().unwrap().recv().ok();
        Ok(Vec::new())
    });
    (release, over(Host::default(), resolver))
}

/// A world over a captured machine.
fn captured() -> World {
    let tree = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hosts/server");
    let roots = Roots {
        procfs: tree.join("proc"),
        sysfs: tree.join("sys"),
        ..Roots::default()
    };
    over(Host::new(roots), Resolver::default())
}

fn check(probe: serde_json::Value) -> Check {
    serde_json::from_value(serde_json::json!({"probe": probe})).unwrap()
}

/// Probes once, with as much time as anybody needs.
async fn probe(probe: serde_json::Value, world: &World) -> Probed {
    within(Duration::from_secs(60), probe, world).await
}

/// Probes once, with so much time.
async fn within(patience: Duration, probe: serde_json::Value, world: &World) -> Probed {
    let mut check = check(probe);
    check.timeout = crate::model::duration::Period::secs(60);
    let options = Options::from([("it".to_owned(), check)]);
    assert_eq!(faults(&options), []);
    let plan = Plan::new(&options, world).unwrap();
    plan.probe("it", Instant::now() + patience).await.unwrap()
}

#[test]
fn names_and_labels_are_told_from_texts() {
    let named = |name: &str| {
        faults(&Options::from([(
            name.to_owned(),
            check(serde_json::json!({"tcp": {"address": "x:1"}})),
        )]))
    };
    for name in ["web", "web-1.api_2", &"x".repeat(64)] {
        assert_eq!(named(name), [], "{name}");
    }
    for name in ["", "a b", "a/b", "a\"b", "\u{e9}", &"x".repeat(65)] {
        assert_eq!(named(name).len(), 1, "{name}");
    }
    let mut labelled = check(serde_json::json!({"tcp": {"address": "x"}}));
    for label in ["check", "0a", "a-b", "team"] {
        labelled.alert.insert(label.to_owned(), String::new());
    }
    let faults = faults(&Options::from([("web".to_owned(), labelled)]));
    let keys: Vec<_> = faults.iter().map(|fault| fault.keys.join(".")).collect();
    assert_eq!(keys, ["alert", "alert", "alert", "probe.tcp.address"]);
}
