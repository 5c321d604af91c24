//! SIGKILL inside the outage.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Point, decoded, receiver, requests, same, sum};
use crate::process::{free_port, until};
use crate::scratch::Scratch;
use crate::{ours, web};

/// Exports of the outage that are seen before each of its turns.
const SOME: usize = 8;
/// How long the receiver takes for each request once it is back: longer than an interval.
const SLOW: f64 = 0.5;

/// What is read is known from outside in two ways. A receiver that answers 503 writes down what it is sent: each of these
/// points was read. Where there is no receiver at all, the files of the spool are counted, by what nodeward tells of them before it is
/// killed: a batch is one snapshot, with one timestamp. What the kill finds in flight between reading and writing is no part of either.
pub(super) fn nothing_is_lost(flag: &str, protocol: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let port = free_port()?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}
subjects: {{defaults: false, enable: [cpu, meminfo, loadavg, diskstats, netdev]}}
otlp: {{endpoint: \"http://127.0.0.1:{port}\", protocol: {protocol}, interval: 200ms, traces: false, logs: false}}
"
    );
    let busy = serde_json::json!({"status": 503});
    let refusing = receiver("refusing", (flag, port), &vec![busy; 1000], &scratch)?;
    let mut nodeward = ours::configured(&yaml, &scratch)?;
    let address = nodeward.address()?;
    let refused = until("exports that are refused", || {
        Some(requests(&refusing)).filter(|all| all.len() >= SOME)
    })?;
    let refused: BTreeSet<Point> = refused.iter().flat_map(decoded).collect();
    drop(refusing);
    let batches = |address, least: f64| {
        until("an outage worth the name", || {
            let page = web::page(address, "/metrics").ok()?;
            Some(sum(&page, "nodeward_otlp_spool_batches")).filter(|kept| *kept >= least)
        })
    };
    let kept = batches(address, (2 * SOME) as f64)?;
    let pid = i32::try_from(nodeward.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.ok_or("no process id")?, Signal::KILL)?;
    nodeward.ended()?;
    let killed = now()?;

    let mut nodeward = ours::configured(&yaml, &scratch)?;
    let address = nodeward.address()?;
    let all = batches(address, kept + SOME as f64)?;
    let back = now()?;
    let slow = serde_json::json!({"delay": SLOW});
    let receiver = receiver("back", (flag, port), &vec![slow; 1000], &scratch)?;
    let missing = |arrived: &[Value]| {
        let points: BTreeSet<Point> = arrived.iter().flat_map(decoded).collect();
        let snapshots: BTreeSet<u64> = points.iter().map(|(_, at)| *at).collect();
        let first = snapshots.range(..killed).count();
        let outage = snapshots.range(..back).count();
        let lost = refused.difference(&points).count();
        let short = |count: usize, told: f64| (count as f64) < told;
        (lost > 0 || short(first, kept) || short(outage, all)).then(|| {
            format!(
                "{lost} of {} points are missing; {first} of {kept} snapshots from before the kill have arrived, \
                 {outage} of {all} of the outage",
                refused.len()
            )
        })
    };
    let whole = until("all that was read", || {
        missing(&requests(&receiver)).is_none().then_some(())
    });
    let arrived = requests(&receiver);
    if whole.is_err() {
        let missing = missing(&arrived).unwrap_or_default();
        return Err(format!("{missing}\n{}", nodeward.log()).into());
    }
    let has = |old: bool| {
        move |request: &Value| decoded(request).iter().any(|(_, at)| (*at < back) == old)
    };
    let newest = arrived.iter().position(has(false));
    let backlog = arrived.iter().rposition(has(true));
    if newest.is_none() || newest >= backlog {
        return Err(format!(
            "the newest came with request {newest:?}, the backlog until {backlog:?}"
        )
        .into());
    }
    let page = web::page(address, "/metrics")?;
    same(
        "dropped points",
        0.0,
        sum(&page, "nodeward_otlp_dropped_items_total"),
    )
}

fn now() -> Result<u64, Failed> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_nanos())?)
}
