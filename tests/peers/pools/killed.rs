//! nodeward dies by SIGKILL at each step of the way out of the pool and back, and is started again.

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::stage::{Stage, attempts};
use crate::haproxy::balancer::Balancer;
use crate::healing::{journal, once, verified};
use crate::process::{Running, until};
use crate::scratch::Scratch;

/// When it dies.
enum Dies {
    /// By itself, at a point of its own.
    At(&'static str),
    /// Once its journal says that the incident is in this state.
    In(&'static str),
}

pub fn on_the_way_out() -> Result<(), Failed> {
    all(&[
        Dies::At("gate.before_look"),
        Dies::At("gate.after_look"),
        Dies::At("gate.before_drain"),
        Dies::At("gate.after_drain"),
        Dies::At("gate.before_out"),
        Dies::At("gate.after_out"),
        Dies::At("gate.before_cut"),
        Dies::At("gate.after_cut"),
    ])
}

pub fn on_the_way_back() -> Result<(), Failed> {
    all(&[
        Dies::At("heal.before_effect"),
        Dies::At("heal.after_effect"),
        Dies::In("verifying"),
        Dies::In("probation"),
        Dies::At("gate.before_in"),
        Dies::At("gate.after_in"),
    ])
}

fn all(deaths: &[Dies]) -> Result<(), Failed> {
    let stage = Stage::set()?;
    // Where an operator has the node out.
    let theirs = stage.another()?;
    theirs.operator("set server web/web-1 state maint")?;
    let visitors = super::visitors::Visitors::start(20..24, stage.balancer.port)?;
    visitors.all_are_served()?;
    for death in deaths {
        let name = match death {
            Dies::At(name) | Dies::In(name) => name,
        };
        for theirs in [None, Some(&theirs)] {
            once_more(&stage, theirs, death).map_err(|failed| {
                let why = failed.message().unwrap_or_default();
                let beside = theirs.map_or("", |_| " beside an operator's maintenance");
                Failed::from(format!("{name}{beside}: {why}"))
            })?;
        }
    }
    visitors.all_are_served()
}

fn once_more(stage: &Stage, theirs: Option<&Balancer>, death: &Dies) -> Result<(), Failed> {
    let state = Scratch::new()?;
    let mut config = stage.config();
    if let Some(theirs) = theirs {
        config["pools"]["web"]["gates"] = stage.gates(theirs);
    }
    let before = stage.starts("one")?.len();
    let mut command = Stage::command(&config, &state)?;
    if let Dies::At(point) = death {
        command.env("NODEWARD_FAULT", point);
    }
    let mut nodeward = Running::start("nodeward", &mut command, &state)?;
    nodeward.address()?;
    // Somebody is bound to it.
    stage.is_visited()?;
    stage.signal("one", "19")?;
    if let Dies::In(word) = death {
        once(&state, &nodeward, word, |r| r["to"] == *word)?;
        let process = i32::try_from(nodeward.id())?;
        kill_process(Pid::from_raw(process).ok_or("no process")?, Signal::KILL)?;
    }
    nodeward.ended()?;

    command.env_remove("NODEWARD_FAULT");
    let mut nodeward = Running::start("nodeward", &mut command, &state)?;
    nodeward.address()?;
    let records = once(&state, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    let restarts = stage.starts("one")?.len() - before;
    assert_eq!((restarts, attempts(&state)?.len()), (1, 1), "{records:#?}");
    stage.is_back()?;
    stage.is_visited()?;
    if let Some(theirs) = theirs {
        until("the gates to have heard", || {
            let records = journal(&state).ok()?;
            let heard = |r: &Value| r["kind"] == "hold" && r["data"]["did"] == "heard";
            records.iter().any(heard).then_some(())
        })?;
        theirs.status("web-1", "MAINT")?;
    }
    nodeward.terminate()?;
    verified(&state)
}
