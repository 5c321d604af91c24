//! What the API answers, as types: its document comes from them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::heal::evidence::Occasion;
use crate::heal::guards::Verdict;
use crate::heal::runner::{Listed, NodeState, Pool, Summary};
use crate::journal::Kind;

/// How the process and the node are.
#[derive(Debug, Serialize, JsonSchema)]
pub struct State {
    /// The version of nodeward.
    pub version: &'static str,
    /// Its process id.
    pub pid: u32,
    /// How long it runs.
    pub uptime_seconds: u64,
    /// The name of this node.
    pub node: String,
    /// How the node is.
    pub state: NodeState,
    /// What is served and sent where, a line each.
    pub serving: Vec<String>,
    /// Where HTTP is asked on this machine.
    pub http: Vec<String>,
    /// The config in force.
    pub config: Config,
    /// Checks that are down for their `for`.
    pub checks_down: Vec<Down>,
    /// What there is to see of healing; null while it is off.
    #[schemars(with = "Option<Summary>")]
    pub healing: Option<Value>,
    /// The journal; null where there is none to open.
    pub journal: Option<Kept>,
}

/// The config in force.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Config {
    /// The files it came from.
    pub files: Vec<PathBuf>,
    /// A hash of all of it.
    pub fingerprint: String,
    /// Whether the last reload was taken.
    pub last_reload_successful: bool,
    /// When one was, in seconds since 1970.
    pub last_reload_success_timestamp_seconds: u64,
}

/// A check that is down.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Down {
    /// Its name.
    pub check: String,
    /// Whether the node is unhealthy with it.
    pub critical: bool,
    /// Since when, RFC 3339.
    pub since: String,
    /// What its last probe saw.
    pub why: String,
}

/// The journal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Kept {
    /// Records that are there.
    pub records: u64,
    /// What is used of its file.
    pub size_bytes: u64,
    /// Why nothing can be put on record; null while it can.
    pub failing: Option<Failing>,
    /// What came of the last walk along the chain of records; null before the first is over.
    pub chain: Option<Chain>,
}

/// A walk along the chain of records.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Chain {
    /// When it was, RFC 3339.
    pub verified: String,
    /// The first thing that does not fit; null where the chain holds.
    pub broken: Option<String>,
}

/// Why nothing can be put on record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Failing {
    /// Since when, RFC 3339.
    pub since: String,
    /// Why.
    pub why: String,
}

/// The checks by name.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Checks {
    pub checks: Vec<Check>,
}

/// A check and what its last probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Check {
    /// Its name.
    pub name: String,
    /// The kind of its probe.
    pub kind: String,
    /// What the config says of it.
    pub description: Option<String>,
    /// Whether the node is unhealthy while it is down.
    pub critical: bool,
    /// Null until enough probes were made.
    pub up: Option<bool>,
    /// Since when it is so, RFC 3339.
    pub since: String,
    /// Whether its alert fires.
    pub alerting: bool,
    /// Since when it fails, RFC 3339.
    pub failing_since: Option<String>,
    /// Null until the first probe has ended.
    pub last: Option<Probe>,
}

/// A probe that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Probe {
    /// When, RFC 3339.
    pub time: String,
    /// Whether it passed.
    pub ok: bool,
    /// What it saw.
    pub why: String,
    /// How long it took.
    pub seconds: f64,
}

/// The pools by name; `standing` of each says how far its gates are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Pools {
    #[schemars(with = "BTreeMap<String, Pool>")]
    pub pools: Value,
}

/// Incidents.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Incidents {
    pub incidents: Vec<Listed>,
    /// There are others.
    pub more: bool,
}

/// One incident. Its records are as the journal has them, byte for byte.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Incident")]
pub(super) struct Story {
    /// Null once only its records are left.
    incident: Option<Listed>,
    /// The last decision; null where there was none.
    guards: Option<Decision>,
    /// Older records are left out.
    more: bool,
    records: Vec<Record>,
}

/// What the guards said.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Decision {
    /// When, RFC 3339.
    pub time: String,
    pub verdicts: Vec<Verdict>,
}

/// The packets of evidence of an incident that are there (docs/EVIDENCE.md).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Evidence {
    incident: String,
    /// There are others behind the last one: go on with `after`.
    more: bool,
    packets: Vec<Numbered>,
}

/// A packet, and what tells whether it is the one on record.
#[derive(Debug, Serialize, JsonSchema)]
struct Numbered {
    /// Its number within the incident.
    number: u32,
    /// SHA-256 of it as it is stored, its line end included: what `evidence/NUMBER` answers.
    sha256: String,
    /// Length of that.
    bytes: usize,
    packet: Packet,
}

/// How things were on this machine.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Packet {
    incident: String,
    playbook: String,
    target: String,
    occasion: Occasion,
    /// When it was begun, RFC 3339.
    time: String,
    parts: Vec<Part>,
}

/// One part of it: `text`, or why it is `missing`.
#[derive(Debug, Serialize, JsonSchema)]
struct Part {
    /// What: `unit`, `container`, `log`, `processes`, `pressure`, `sockets` or `pool`; `all` where nothing could be had.
    part: String,
    /// Whose: a unit, a container, ports, a pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    of: Option<String>,
    /// How long it took.
    took_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Bytes of it that were cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

/// Records of the journal after a number.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Events {
    /// What to ask for next as `after`.
    next: i64,
    /// Records up to here are gone.
    deleted_to: i64,
    events: Vec<Record>,
}

/// A record of the journal (docs/JOURNAL.md).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Record {
    /// Its number, without gaps.
    seq: i64,
    /// Wall clock, RFC 3339 in UTC.
    time: String,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    playbook: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
    /// The state before.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// The state after.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The span of its run, as a traceparent.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    /// The rest; what is in it depends on the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Map<String, Value>>,
    /// Its place in the chain: 64 hexadecimal digits.
    hash: String,
}

/// What would happen if these alerts came in now; as `nodeward plan --json` says.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Planned {
    /// When that was, RFC 3339.
    pub time: String,
    /// The hook they were taken to come by.
    pub hook: String,
    /// The journal that was looked at; null where there is none.
    pub journal: Option<PathBuf>,
    /// What is made of each alert.
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub alerts: Value,
    /// The incidents they belong to, with guards, action and proof.
    #[schemars(with = "Vec<Map<String, Value>>")]
    pub incidents: Value,
}

/// What was done, once it is on record.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Done {
    pub done: String,
}

/// Why it was refused.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Error {
    pub error: String,
}
