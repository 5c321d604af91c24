//! A service that hangs: its port takes connections, and nobody answers. And one that is ill, and still has work to end.

use libtest_mimic::Failed;
use serde_json::json;

use super::service::now;
use super::stage::{Stage, Watch, attempts};
use super::told::{self, left};
use super::visitors::Visitors;
use crate::haproxy::web::Visitor;
use crate::healing::{once, verified};
use crate::process::until;

pub fn run() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let mut config = stage.config();
    // A look at what hangs takes its time, so that what comes before the restart can be told from what comes of it.
    config["playbooks"]["web-ill"]["confirm"] = json!([{"check": "web"}]);
    let nodeward = stage.nodeward(&config)?;
    let (watch, visitors) = (
        Watch::start(&stage.balancer),
        Visitors::start(20..29, stage.balancer.port)?,
    );
    visitors.all_are_served()?;
    let bound = visitors.bound_to("one");
    assert!(!bound.is_empty(), "HAProxy gave it nobody");
    let first = stage.invocation()?;

    // SIGSTOP.
    stage.signal("one", "19")?;
    let hung = now();
    stage.balancer.status("web-1", "MAINT")?;
    let records = once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    stage.is_back()?;
    visitors.all_are_served()?;

    // Restarted once, and out meanwhile.
    let starts = stage.starts("one")?;
    assert_ne!(stage.invocation()?, first);
    assert_eq!((starts.len(), attempts(&stage.scratch)?.len()), (2, 1));
    let rows = watch.rows();
    let out: Vec<_> = rows.iter().filter(|row| row.is_out()).collect();
    let (Some(from), Some(to)) = (out.first(), out.last()) else {
        return Err("it was never out".into());
    };
    let restart = *starts.last().ok_or("no start")?;
    assert!(
        from.at < restart && restart < to.asked,
        "{from:?} {restart} {to:?}"
    );

    // While HAProxy says so, nobody comes: by the service's own log.
    let log = stage.log("one")?;
    let late: Vec<_> = log
        .iter()
        .filter(|(at, what)| what == "/" && *at > from.at && *at < to.asked)
        .collect();
    assert!(late.is_empty(), "{late:?} between {from:?} and {to:?}");

    // Who was bound to it was served by others meanwhile.
    until("every visitor of it to have been elsewhere", || {
        let visits = visitors.visits();
        let moved = |who: &u8| {
            visits.iter().any(|visit| {
                visit.who == *who && visit.at > hung && visit.by.as_deref() != Some("one")
            })
        };
        bound.iter().all(moved).then_some(())
    })?;

    // Nothing ended from the hang to the cut, so that HAProxy's counters say how many sessions it had.
    let held = rows
        .iter()
        .rev()
        .find(|row| row.is_in() && row.at < from.asked);
    let held = held.ok_or("it was never in")?;
    assert_eq!(to.open, 0, "{to:?}");
    let stopped = stage.stopped()?;
    let cut = out.iter().any(|row| row.open == 0 && row.at < stopped);
    assert!(cut, "sessions were left at {stopped}: {out:?}");
    let (complete, sums) = left(&records)?;
    assert!(complete, "{records:#?}");
    assert_eq!(
        (sums.active, sums.open),
        (to.over() - held.over(), 0),
        "{sums:?} {held:?} {to:?}"
    );
    assert_eq!(sums.active, sums.finished + sums.moved + sums.cut);
    assert!(sums.cut >= 1, "{sums:?}");

    stage.is_visited()?;
    drop(visitors);
    nodeward.terminate()?;
    verified(&stage.scratch)
}

/// A download that has begun is ended before the service is restarted.
pub fn downloading() -> Result<(), Failed> {
    let stage = Stage::set()?;
    let mut config = stage.config();
    config["pools"]["web"]["drain"] = json!("30s");
    config["pools"]["web"]["cut_after"] = json!("40s");
    let nodeward = stage.nodeward(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut visitor = runtime.block_on(async {
        let mut visitor = Visitor::new(30, stage.balancer.port).await?;
        visitor.cookie = Some("web-1".into());
        visitor.waits("/download").await?;
        Ok::<_, Failed>(visitor)
    })?;
    stage.has("one", "ill", "until it is restarted")?;
    let body = runtime.block_on(visitor.gets())?;
    assert_eq!(body, "one".repeat(20));
    let records = once(&stage.scratch, &nodeward, "the service to be healed", |r| {
        r["to"] == "healed"
    })?;
    let log = stage.log("one")?;
    let whole = log.iter().find(|(_, what)| what == "/download was whole");
    let starts = stage.starts("one")?;
    let [_, restart] = starts.as_slice() else {
        return Err(format!("not restarted once: {starts:?}").into());
    };
    assert!(whole.is_some_and(|(at, _)| at <= restart), "{log:?}");
    // How the pool was before it was left is in the evidence, and by then the node was in.
    let view = told::pool_before(&stage.scratch, &records)?;
    let seen = ["servers", "healthy_others", "takes_traffic"].map(|name| &view[name]);
    assert_eq!(seen, [&json!(3), &json!(2), &json!(true)], "{view:#}");
    assert!(view["sessions"].as_u64() >= Some(1), "{view:#}");
    let (complete, sums) = left(&records)?;
    assert!(complete && sums.cut == 0 && sums.open == 0, "{sums:?}");
    assert_eq!(sums.active, sums.finished + sums.moved);
    assert!(sums.active >= 1, "{sums:?}");
    stage.is_back()?;
    nodeward.terminate()?;
    verified(&stage.scratch)
}
