//! A disk without room.

use std::collections::BTreeSet;
use std::process::Command;

use libtest_mimic::Failed;

use super::{Point, decoded, receiver, requests, same, sum};
use crate::process::{Running, free_port, until};
use crate::scratch::Scratch;
use crate::{ours, web};

/// Mounts a file system of a few pages on $1, with room for some batches and not for many, and becomes the rest of its arguments.
const SMALL: &str = r#"
set -e
at=$1; shift
mount -t tmpfs -o size=64k small "$at"
exec "$@"
"#;

/// Exports that do not fit on the disk any more.
const SOME: usize = 8;

pub(super) fn nothing_is_lost() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let port = free_port()?;
    let spool = scratch.path().join("spool");
    std::fs::create_dir(&spool)?;
    let file = scratch.path().join("nodeward.yml");
    std::fs::write(
        &file,
        format!(
            "http: {{listen: [\"127.0.0.1:0\"]}}
otlp: {{endpoint: \"http://127.0.0.1:{port}\", interval: 200ms, traces: false, logs: false}}
"
        ),
    )?;
    let busy = serde_json::json!({"status": 503});
    let refusing = receiver("refusing", ("http", port), &vec![busy; 1000], &scratch)?;
    let mut ours = ours::command("run", &scratch);
    ours.arg("--config").arg(&file);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c", SMALL]);
    command.arg("bash").arg(&spool);
    command.arg(ours.get_program()).args(ours.get_args());
    command.env("RUNTIME_DIRECTORY", scratch.path());
    command.env("STATE_DIRECTORY", scratch.path());
    let mut nodeward = Running::start("nodeward", &mut command, &scratch)?;
    let address = nodeward.address()?;
    let told = |name: &str| {
        let page = web::page(address, "/metrics");
        sum(&page.unwrap_or_default(), name)
    };
    until("a full disk", || {
        let full = told("nodeward_otlp_spool_faults_total") > 0.0;
        (full && told("nodeward_otlp_queue_bytes") > 0.0).then_some(())
    })?;
    same(
        "batches that fitted",
        1.0,
        told("nodeward_otlp_spool_batches").min(1.0),
    )?;
    let before = requests(&refusing).len();
    let refused = until("exports after that", || {
        Some(requests(&refusing)).filter(|all| all.len() >= before + SOME)
    })?;
    let refused: BTreeSet<Point> = refused.iter().flat_map(decoded).collect();
    let warnings = nodeward.log().matches("cannot be used").count();
    same("warnings", 1.0, warnings as f64)?;
    drop(refusing);

    let receiver = receiver("back", ("http", port), &[], &scratch)?;
    let lost = || {
        let arrived: BTreeSet<Point> = requests(&receiver).iter().flat_map(decoded).collect();
        refused.difference(&arrived).count()
    };
    let whole = until("all that was read", || (lost() == 0).then_some(()));
    if whole.is_err() {
        let all = refused.len();
        return Err(format!("{} of {all} points are missing\n{}", lost(), nodeward.log()).into());
    }
    same(
        "dropped points",
        0.0,
        told("nodeward_otlp_dropped_items_total"),
    )
}
