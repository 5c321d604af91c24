//! The scraper nfs of hostmetrics, over a captured machine: its files lie where the Collector looks for them, in a namespace of its own.

use std::process::Command;

use libtest_mimic::Failed;

use super::{Batch, Series, batches, merge};
use crate::ours;
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;

/// Puts the tree $1 in the place of /proc, where alone that scraper looks, and becomes the rest of its arguments.
const ELSEWHERE: &str = r#"
set -e
at=$1; shift
mount --bind "$at" /proc
exec "$@"
"#;
const PROC: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/hosts/storage/proc"
);
/// As it stands in docs/OTLP.md.
const STARTS: &str =
    "sums start at the boot; those of hostmetrics at its own start, though their values are older";
/// The same, of [`MOVED`].
const ORDER: &str = "named in the order of the kernel (5.9 and later); hostmetrics has the counts of `LAYOUTGET` and `GETDEVICEINFO` under \
                     each other's name, and those of `LOOKUPP`, `LAYOUTERROR` and `COPY_NOTIFY` as `COPY_NOTIFY`, `LOOKUPP` and `LAYOUTERROR`";
/// Operations of the client as hostmetrics names them, and what the kernel counts there (`NFSPROC4_CLNT_*`, include/linux/nfs4.h).
const MOVED: [(&str, &str); 5] = [
    ("GETDEVICEINFO", "LAYOUTGET"),
    ("LAYOUTGET", "GETDEVICEINFO"),
    ("COPY_NOTIFY", "LOOKUPP"),
    ("LOOKUPP", "LAYOUTERROR"),
    ("LAYOUTERROR", "COPY_NOTIFY"),
];

pub(super) fn same_metrics() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let (port, home) = (free_port()?, scratch.path().display().to_string());
    let file = scratch.path().join("collector.yaml");
    std::fs::write(
        &file,
        format!(
            "receivers:
  host_metrics: {{collection_interval: 200ms, initial_delay: 0s, scrapers: {{nfs: }}}}
  otlp: {{protocols: {{http: {{endpoint: \"127.0.0.1:{port}\"}}}}}}
exporters:
  file/theirs: {{path: {home}/theirs.json}}
  file/ours: {{path: {home}/ours.json}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics/theirs: {{receivers: [host_metrics], exporters: [file/theirs]}}
    metrics/ours: {{receivers: [otlp], exporters: [file/ours]}}
"
        ),
    )?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-c"]);
    command.args([ELSEWHERE, "bash", PROC]);
    command
        .arg(Peer::Collector.find()?)
        .arg("--config")
        .arg(&file);
    let mut collector = Running::start("otelcol", &mut command, &scratch)?;
    collector.listens(port)?;
    let yaml = format!(
        "http: {{listen: [\"127.0.0.1:0\"]}}
roots: {{procfs: {PROC}}}
subjects: {{enable: [nfs, nfsd]}}
otlp: {{endpoint: \"http://127.0.0.1:{port}\", interval: 200ms, traces: false}}
"
    );
    let mut nodeward = ours::configured(&yaml, &scratch)?;
    nodeward.address()?;
    let told = |name: &str| {
        let path = scratch.path().join(name);
        until(name, || {
            let all = batches(&path).filter(|all| !all.is_empty())?;
            Some(of_nfs(merge(&all, false)))
        })
    };
    let (theirs, ours) = (told("theirs.json")?, told("ours.json")?);
    let mut complaints = Vec::new();
    if theirs.shapes.len() < 16 {
        complaints.push(format!("hostmetrics tells {:?} only", theirs.shapes.keys()));
    }
    if theirs.shapes != ours.shapes {
        let (theirs, ours) = (&theirs.shapes, &ours.shapes);
        complaints.push(format!("{ours:#?} instead of {theirs:#?}"));
    }
    for (series, value) in &theirs.values {
        let told = ours.values.get(&by_the_kernel(series));
        if told != Some(value) {
            complaints.push(format!("{series:?}: {told:?} instead of {value}"));
        }
    }
    let more = ours
        .values
        .keys()
        .filter(|s| !theirs.values.contains_key(*s));
    complaints.extend(more.map(|series| format!("{series:?} is ours alone")));
    if theirs.starts == ours.starts {
        complaints.push(format!("does not occur any more: {STARTS}"));
    }
    let moved = |series: &&Series| by_the_kernel(series) != **series;
    let otherwise = |series: &Series| theirs.values.get(series) != ours.values.get(series);
    let mut operations = theirs.values.keys().filter(moved).peekable();
    if operations.peek().is_none() || !operations.all(otherwise) {
        complaints.push(format!("does not occur any more: {ORDER}"));
    }
    for declared in [STARTS, ORDER] {
        if !include_str!("../../../docs/OTLP.md").contains(declared) {
            complaints.push(format!("docs/OTLP.md does not say: {declared}"));
        }
    }
    match complaints.as_slice() {
        [] => Ok(()),
        _ => Err(complaints.join("\n").into()),
    }
}

/// Where ours has what a series of theirs counts.
fn by_the_kernel(series: &Series) -> Series {
    let (metric, mut attributes) = series.clone();
    if metric == "nfs.client.operation.count" {
        for name in attributes.values_mut() {
            if let Some((_, right)) = MOVED.iter().find(|(theirs, _)| theirs == name) {
                *name = (*right).to_owned();
            }
        }
    }
    (metric, attributes)
}

fn of_nfs(mut batch: Batch) -> Batch {
    batch.shapes.retain(|name, _| name.starts_with("nfs."));
    batch.values.retain(|(name, _), _| name.starts_with("nfs."));
    batch.starts.retain(|(name, _), _| name.starts_with("nfs."));
    batch
}
