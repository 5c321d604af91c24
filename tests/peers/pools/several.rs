//! Two HAProxys in front of the same services: both are told, and both give the share back by steps.

use libtest_mimic::Failed;
use serde_json::json;

use super::stage::{Row, Stage, Watch};
use super::told::left;
use crate::healing::{once, verified};
use crate::process::until;

/// The share in probation, in percent of 100.
const PROBATION: u64 = 10;

pub fn run() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let other = stage.another()?;
    let mut config = stage.config();
    config["pools"]["web"]["gates"] = stage.gates(&other);
    config["pools"]["web"]["probation_weight"] = json!(PROBATION);
    config["pools"]["web"]["ramp"] = json!("3s");
    config["playbooks"]["web-ill"]["probation"] = json!("1s");
    let nodeward = stage.nodeward(&config)?;
    let watches = [&stage.balancer, &other].map(Watch::start);
    stage.has("one", "ill", "until it is restarted")?;
    let records = once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    let healed = watches.each_ref().map(|watch| watch.rows().len());
    let (complete, sums) = left(&records)?;
    assert!(complete, "{records:#?}");
    assert_eq!(sums.active, sums.finished + sums.moved + sums.cut);
    for (watch, healed) in watches.iter().zip(healed) {
        until("the whole share", || {
            let rows = watch.rows();
            let last = rows.last()?;
            (rows.len() > healed && last.is_in() && last.weight == 100).then_some(())
        })?;
        let rows = watch.rows();
        let out = rows
            .iter()
            .rposition(Row::is_out)
            .ok_or("it was never out")?;
        let back: Vec<u64> = rows
            .iter()
            .skip(out)
            .filter(|row| row.is_in())
            .map(|row| row.weight)
            .collect();
        assert!(back.contains(&PROBATION), "{back:?}");
        assert!(back.is_sorted(), "{back:?}");
        let between = |weight: &&u64| (PROBATION + 1..100).contains(*weight);
        assert!(back.iter().any(|weight| between(&weight)), "{back:?}");
        // The whole share only once it is healed.
        let early = rows.iter().take(healed).skip(out + 1);
        let early = early.filter(|row| row.weight == 100).count();
        assert_eq!(early, 0, "{back:?}");
    }
    assert_eq!(stage.starts("one")?.len(), 2);
    nodeward.terminate()?;
    verified(&stage.scratch)
}
