//! A service that dies a while after each start.

use libtest_mimic::Failed;
use serde_json::json;

use super::stage::{Row, Stage, UNIT, Watch, attempts};
use super::told::OnCall;
use crate::healing::{once, verified};

pub fn run() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let oncall = OnCall::start()?;
    let mut config = stage.config();
    oncall.is_told(&mut config);
    let playbook = &mut config["playbooks"]["web-ill"];
    playbook["ladder"] = vec![json!({"do": {"systemd": "restart"}, "timeout": "10s"}); 5].into();
    playbook["guards"] = json!({"cooldown": "2s", "budget": "3/1h"});
    // It doubles with each relapse.
    playbook["probation"] = json!("1s");
    let nodeward = stage.nodeward(&config)?;
    let watch = Watch::start(&stage.balancer);

    // Long enough to be taken for well, not long enough to be trusted.
    stage.has("one", "dies", "1200")?;
    stage.signal("one", "9")?;
    once(&stage.scratch, &nodeward, "people to be told", |r| {
        r["to"] == "escalated"
    })?;
    oncall.knows()?;
    let starts = stage.starts("one")?;
    assert_eq!(attempts(&stage.scratch)?.len(), 3, "the budget");
    let [_, first, second, third] = starts.as_slice() else {
        return Err(format!("not three restarts: {starts:?}").into());
    };
    assert!(third - second > second - first, "gaps grow: {starts:?}");
    // Out since before the first, in between too: a relapse never had visitors.
    let rows = watch.rows();
    let since = rows.iter().position(Row::is_out);
    let after = rows.get(since.ok_or("never out")?..).unwrap_or_default();
    assert!(after.first().is_some_and(|row| row.at < *first));
    assert!(after.iter().all(Row::is_out), "{after:?}");

    stage.has_no("one", "dies")?;
    stage.call(&["StartUnit", "ss", UNIT, "replace"])?;
    once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    stage.is_back()?;
    stage.is_visited()?;
    assert_eq!(stage.starts("one")?.len(), 5, "one more start, by a person");
    assert_eq!(oncall.escalations().len(), 1, "{:#?}", oncall.notices());
    nodeward.terminate()?;
    verified(&stage.scratch)
}
