//! A load balancer that forgets, or that cannot be told for a while.

use libtest_mimic::Failed;
use serde_json::Value;

use super::apart::Blocked;
use super::stage::{Stage, look};
use super::told::says;
use crate::healing::{journal, verified};
use crate::process::{Running, until};

pub const UNREACHABLE: &str = "pools::gates_that_cannot_be_reached_are_told_once_they_can";

/// An operator has the node leave the pool.
fn held(stage: &Stage) -> Result<Running, Failed> {
    let nodeward = stage.nodeward(&stage.config())?;
    says(&stage.scratch, &["isolate", "web", "--reason", "new disks"])?;
    stage.balancer.status("web-1", "MAINT")?;
    Ok(nodeward)
}

/// What nodeward has done about the pool.
fn did(stage: &Stage, what: &str) -> Result<usize, Failed> {
    let records = journal(&stage.scratch)?;
    let hold = |r: &&Value| r["kind"] == "hold" && r["data"]["did"] == what;
    Ok(records.iter().filter(hold).count())
}

/// All is as before, and nobody touched the service.
fn back(stage: &Stage, nodeward: Running) -> Result<(), Failed> {
    stage.is_back()?;
    stage.is_visited()?;
    until("the gates to have heard", || {
        (did(stage, "heard").ok()? == 1).then_some(())
    })?;
    assert_eq!(stage.starts("one")?.len(), 1);
    nodeward.terminate()?;
    verified(&stage.scratch)
}

pub fn reloaded() -> Result<(), Failed> {
    let mut stage = Stage::set()?;
    let nodeward = held(&stage)?;
    for _ in 0..2 {
        // A new process, which was told nothing yet.
        stage.balancer.reload()?;
        stage.balancer.status("web-1", "MAINT")?;
    }
    says(&stage.scratch, &["rejoin", "web"])?;
    back(&stage, nodeward)
}

pub fn unreachable() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let operator = "set server web/web-2 state maint";
    stage.balancer.operator(operator)?;
    let nodeward = held(&stage)?;
    let (socket, away) = (
        stage.balancer.socket("admin"),
        stage.balancer.socket("admin.away"),
    );
    {
        let _blocked = Blocked::port(stage.agent)?;
        std::fs::rename(&socket, &away)?;
        says(&stage.scratch, &["rejoin", "web"])?;
        until("nodeward to find nobody there", || {
            let log = nodeward.log();
            log.contains("cannot tell the load balancer").then_some(())
        })?;
        // HAProxy goes on with what it has, and nodeward knows that.
        let row = look(&stage.balancer.socket("operator")).ok_or("no answer of HAProxy")?;
        assert!(row.is_out(), "{row:?}");
        assert_eq!((did(&stage, "lift")?, did(&stage, "heard")?), (1, 0));
        std::fs::rename(&away, &socket)?;
    }
    stage.is_back()?;
    stage.balancer.status("web-2", "MAINT")?;
    back(&stage, nodeward)
}
