//! A firewall that drops what comes for the port of a service that is well: no restart helps.

use libtest_mimic::Failed;
use serde_json::json;

use super::apart::Blocked;
use super::stage::{Stage, attempts};
use super::told::OnCall;
use crate::healing::{once, verified};

pub const NAME: &str = "pools::a_port_behind_a_firewall_is_isolated_and_escalated";

pub fn run() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let oncall = OnCall::start()?;
    let mut config = stage.config();
    oncall.is_told(&mut config);
    let playbook = &mut config["playbooks"]["web-ill"];
    // As many restarts as the budget lets it make: two.
    playbook["ladder"] = vec![json!({"do": {"systemd": "restart"}, "timeout": "10s"}); 4].into();
    playbook["guards"] = json!({"cooldown": "200ms", "budget": "2/1h"});
    playbook["verify"]["deadline"] = json!("1500ms");
    let nodeward = stage.nodeward(&config)?;

    let blocked = Blocked::port(stage.port())?;
    once(&stage.scratch, &nodeward, "people to be told", |r| {
        r["to"] == "escalated"
    })?;
    oncall.knows()?;
    stage.balancer.status("web-1", "MAINT")?;
    let restarts = stage.starts("one")?.len() - 1;
    assert_eq!((restarts, attempts(&stage.scratch)?.len()), (2, 2));
    let run = stage.invocation()?;

    drop(blocked);
    once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    stage.is_back()?;
    stage.is_visited()?;
    assert_eq!(stage.invocation()?, run, "nobody restarted it once more");
    assert_eq!(stage.starts("one")?.len() - 1, restarts);
    assert_eq!(oncall.escalations().len(), 1, "{:#?}", oncall.notices());
    nodeward.terminate()?;
    verified(&stage.scratch)
}
