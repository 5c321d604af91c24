//! A load balancer that forgets, or that cannot be told for a while.

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::apart::Blocked;
use super::stage::{Stage, look};
use super::told::says;
use crate::healing::{journal, verified};
use crate::process::{Running, until};

pub const UNREACHABLE: &str = "pools::gates_that_cannot_be_reached_are_told_once_they_can";

/// An operator has the node leave the pool.
fn held(stage: &Stage, config: &Value) -> Result<Running, Failed> {
    let nodeward = stage.nodeward(config)?;
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
    let nodeward = held(&stage, &stage.config())?;
    for _ in 0..2 {
        // A new process, which was told nothing yet.
        stage.balancer.reload()?;
        stage.balancer.status("web-1", "MAINT")?;
    }
    says(&stage.scratch, &["rejoin", "web"])?;
    back(&stage, nodeward)
}

/// An operator has the node out at a HAProxy that is away when nodeward takes it out, and comes back after nodeward was killed.
pub fn away() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let theirs = stage.another()?;
    theirs.operator("set server web/web-1 state maint")?;
    let (socket, away) = (theirs.socket("admin"), theirs.socket("admin.away"));
    std::fs::rename(&socket, &away)?;
    let mut config = stage.config();
    config["pools"]["web"]["gates"] = stage.gates(&theirs);
    let mut nodeward = held(&stage, &config)?;
    until("nodeward to find nobody there", || {
        let log = nodeward.log();
        log.contains("cannot tell the load balancer").then_some(())
    })?;
    let process = i32::try_from(nodeward.id())?;
    kill_process(Pid::from_raw(process).ok_or("no process")?, Signal::KILL)?;
    nodeward.ended()?;
    std::fs::rename(&away, &socket)?;
    let nodeward = stage.nodeward(&config)?;
    stage.balancer.status("web-1", "MAINT")?;
    says(&stage.scratch, &["rejoin", "web"])?;
    back(&stage, nodeward)?;
    theirs.status("web-1", "MAINT")
}

pub fn unreachable() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let nodeward = held(&stage, &stage.config())?;
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
    back(&stage, nodeward)
}
