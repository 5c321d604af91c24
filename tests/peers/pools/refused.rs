//! Pools that must not be left, and maintenance that is not nodeward's.

use libtest_mimic::Failed;

use super::stage::{Row, Stage, Watch, attempts};
use super::told::{incident, says};
use crate::healing::{journal, once, verified};
use crate::process::until;

/// The second of three is to go while the third is out.
pub fn run() -> Result<(), Failed> {
    let stage = Stage::set()?;
    stage
        .balancer
        .operator("set server web/web-3 state maint")?;
    let nodeward = stage.nodeward(&stage.config())?;
    let (watch, first) = (Watch::start(&stage.balancer), stage.invocation()?);
    stage.has("one", "ill", "until it is restarted")?;
    let records = once(&stage.scratch, &nodeward, "a refusal", |r| {
        r["kind"] == "decision" && r.to_string().contains("need 2 after leaving: refused")
    })?;
    let why = says(&stage.scratch, &["why", &incident(&records)?])?;
    let line = why.lines().find(|line| line.contains("min_healthy"));
    assert!(
        line.is_some_and(|line| line.contains("healthy 2 of 3") && line.contains("need 2")),
        "{why}"
    );
    assert_eq!(
        (stage.invocation()?, stage.starts("one")?.len()),
        (first.clone(), 1)
    );
    assert!(attempts(&stage.scratch)?.is_empty());
    stage.balancer.status("web-3", "MAINT")?;
    let rows = watch.rows();
    assert!(rows.iter().all(Row::is_in), "{rows:?}");

    // The third is back: it goes on.
    stage
        .balancer
        .operator("set server web/web-3 state ready")?;
    once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    assert!(watch.rows().iter().any(Row::is_out));
    assert_ne!(stage.invocation()?, first);
    assert_eq!(stage.starts("one")?.len(), 2);
    stage.is_back()?;
    stage.balancer.status("web-3", "UP")?;
    nodeward.terminate()?;
    verified(&stage.scratch)
}

/// Somebody has the node out already: what is ill is healed, and the maintenance stands.
pub fn operators() -> Result<(), Failed> {
    let stage = Stage::set()?;
    stage
        .balancer
        .operator("set server web/web-1 state maint")?;
    let nodeward = stage.nodeward(&stage.config())?;
    let watch = Watch::start(&stage.balancer);
    stage.has("one", "ill", "until it is restarted")?;
    once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    until("the gates to be done", || {
        let records = journal(&stage.scratch).ok()?;
        let heard = |r: &serde_json::Value| r["kind"] == "hold" && r["data"]["did"] == "heard";
        records.iter().any(heard).then_some(())
    })?;
    assert_eq!(stage.starts("one")?.len(), 2);
    let seen = watch.rows().len();
    // Several rounds of the agent, and of every other way to lift it.
    until("more looks at HAProxy", || {
        (watch.rows().len() > seen + 50).then_some(())
    })?;
    let rows = watch.rows();
    let lifted: Vec<_> = rows.iter().filter(|row| !row.is_out()).collect();
    assert!(lifted.is_empty(), "{lifted:?}");
    nodeward.terminate()?;
    verified(&stage.scratch)
}
