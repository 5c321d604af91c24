//! Notices to a real rsyslogd: by TCP, UDP and the local socket, hostile text, and a restart of it in between.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Failed;
use nodeward::journal::{self, Commit, Entry, Journal, Kind, Outgoing};
use nodeward::model::id::IncidentId;
use nodeward::model::moment::Timestamp;
use nodeward::model::notice::{Notice, What};
use nodeward::model::severity::Severity;
use nodeward::net::resolve::Resolver;
use nodeward::notify::{Notifiers, Options};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::PeerTest;
use crate::process::{Running, free_port, patience};
use crate::programs::Peer;
use crate::scratch::Scratch;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "rsyslog::hostile_notices_arrive_as_one_record_each_by_every_way",
        needs: &[Peer::Rsyslogd],
        run: || on_runtime(ways()),
    },
    PeerTest {
        name: "rsyslog::nothing_is_lost_while_it_is_started_again",
        needs: &[Peer::Rsyslogd],
        run: || on_runtime(restarts()),
    },
];

/// A daemon with each kind of input, which writes what it understood as a line of JSON.
pub struct Daemon {
    scratch: Scratch,
    pub tcp: u16,
    udp: u16,
    running: Option<Running>,
}

impl Daemon {
    pub fn new() -> Result<Self, Failed> {
        let mut daemon = Self {
            scratch: Scratch::new()?,
            tcp: free_port()?,
            udp: free_port()?,
            running: None,
        };
        let (dir, tcp, udp) = (
            daemon.scratch.path().display().to_string(),
            daemon.tcp,
            daemon.udp,
        );
        let config = format!(
            r#"
            global(workDirectory="{dir}" maxMessageSize="8k")
            module(load="imtcp")
            module(load="imudp")
            module(load="imuxsock" SysSock.Use="off")
            input(type="imtcp" address="127.0.0.1" port="{tcp}")
            input(type="imudp" address="127.0.0.1" port="{udp}")
            input(type="imuxsock" Socket="{dir}/log" CreatePath="off")
            template(name="json" type="list" option.jsonf="on") {{
                property(outname="input" name="inputname" format="jsonf")
                property(outname="pri" name="pri" format="jsonf")
                property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
                property(outname="host" name="hostname" format="jsonf")
                property(outname="app" name="app-name" format="jsonf")
                property(outname="msgid" name="msgid" format="jsonf")
                property(outname="data" name="structured-data" format="jsonf")
                property(outname="text" name="msg" format="jsonf")
            }}
            action(type="omfile" file="{dir}/out" template="json")
            "#
        );
        std::fs::write(daemon.scratch.path().join("conf"), config)?;
        daemon.start()?;
        Ok(daemon)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.running = None;
    }

    pub fn start(&mut self) -> Result<(), Failed> {
        let dir = self.scratch.path();
        let mut command = Command::new(Peer::Rsyslogd.find()?);
        command
            .arg("-n")
            .arg("-f")
            .arg(dir.join("conf"))
            .arg("-i")
            .arg(dir.join("pid"));
        let mut running = Running::start("rsyslogd", &mut command, &self.scratch)?;
        running.listens(self.tcp)?;
        self.running = Some(running);
        Ok(())
    }

    /// What it has understood.
    pub fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.scratch.path().join("out")).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Ids of what came over the network.
    fn ids(&self) -> BTreeSet<String> {
        let id = |record: &Value| {
            let (_, after) = record["data"].as_str()?.split_once(" id=\"")?;
            Some(after.split_once('"')?.0.to_owned())
        };
        self.records().iter().filter_map(id).collect()
    }
}

/// No records are told here.
fn nothing() -> nodeward::notify::Telling {
    std::sync::Arc::new(|_| None)
}

const HOSTILE: &str = "a \"b\" ]c\\\n<0>1 - evil evil - - - x\r\0\u{1b}[31m é \u{2028} end";

fn notice(id: &str, summary: &str) -> Notice {
    Notice {
        evidence: Vec::new(),
        id: id.into(),
        time: Timestamp(1_795_647_071_198),
        what: What::Escalated,
        severity: Severity::Critical,
        node: "db-01".into(),
        incident: IncidentId::new("01JD"),
        playbook: HOSTILE.into(),
        target: nodeward::model::target::Target::Node,
        state: "escalated".into(),
        attempt: None,
        trace: None,
        cause: "exhausted".into(),
        summary: summary.into(),
        labels: Default::default(),
    }
}

fn commit(sinks: &[&str], notice: &Notice) -> Result<Commit, Failed> {
    let body = serde_json::to_string(notice)?;
    let outgoing = |sink: &&str| Outgoing {
        sink: (*sink).into(),
        id: notice.id.clone(),
        severity: notice.severity,
        body: body.clone(),
        entry: None,
    };
    Ok(Commit {
        entries: vec![Entry::new(Kind::State)],
        outbox: sinks.iter().map(outgoing).collect(),
        ..Commit::default()
    })
}

fn options(of: Value) -> Result<Options, Failed> {
    Ok(serde_json::from_value(of)?)
}

fn to(address: String) -> Value {
    json!({"to": {"syslog": {"address": address}}})
}

/// Runs a test on the runtime that nodeward has.
fn on_runtime(test: impl Future<Output = Result<(), Failed>>) -> Result<(), Failed> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(test)
}

/// As [`crate::process::until`], for what goes on on the same thread.
async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Failed> {
    let asked = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let within = tokio::time::timeout(patience(), asked).await;
    within.map_err(|_| format!("waited {:?} in vain for {what}", patience()).into())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

async fn ways() -> Result<(), Failed> {
    let daemon = Daemon::new()?;
    let state = daemon.scratch.path().join("state");
    let (tcp, udp, dir) = (daemon.tcp, daemon.udp, daemon.scratch.path().display());
    let options = options(json!({
        "tcp": to(format!("tcp://127.0.0.1:{tcp}")),
        "udp": to(format!("udp://127.0.0.1:{udp}")),
        "local": to(format!("local:{dir}/log")),
    }))?;
    let (journal, _) = Journal::open(&state, &journal::Options::default())?;
    let long = "x".repeat(20_000);
    let mut heads = Vec::new();
    for (number, text) in [HOSTILE, &long].into_iter().enumerate() {
        let notice = notice(&format!("e{number}"), text);
        let commit = commit(&["tcp", "udp", "local"], &notice)?;
        heads.push(journal.commit(commit).await?);
    }
    let notifiers = Notifiers::start(&options, journal, state, Resolver::default(), nothing());
    until("six records", || daemon.records().len() >= 6).await?;
    let records = daemon.records();
    if records.len() != 6 {
        return Err(format!("more records than notices: {records:#?}").into());
    }
    for (number, head) in heads.iter().enumerate() {
        for input in ["imtcp", "imudp", "imuxsock"] {
            let id = format!("id=\"e{number}\"");
            let holds = |record: &&Value| {
                let said = |name: &str| record[name].as_str().is_some_and(|t| t.contains(&id));
                record["input"] == input && (said("data") || said("text"))
            };
            let record = records.iter().find(holds);
            let record = record.ok_or_else(|| format!("no e{number} by {input}: {records:#?}"))?;
            let end = if number == 0 { " end" } else { "xx…(cut)" };
            if !as_sent(record, &format!("chain=\"{}\"]", head.hash), end) {
                return Err(format!("not as it was sent: {record:#}").into());
            }
        }
    }
    notifiers.stop(soon()).await;
    Ok(())
}

/// Whether a record is what was sent, by the words its structured data and its text end with.
fn as_sent(record: &Value, chain: &str, end: &str) -> bool {
    let said = |name: &str| record[name].as_str().unwrap_or_default();
    let whole = if record["input"] == "imuxsock" {
        said("text")
            .trim_start()
            .starts_with("[nodeward@32473 seq=")
            && said("text").contains(chain)
    } else {
        said("host") == "db-01"
            && said("msgid") == "ESCALATED"
            && said("time").starts_with("2026-11-25T22:51:11.198")
            && said("data").starts_with("[nodeward@32473 seq=")
            && said("data").ends_with(chain)
    };
    whole && said("pri") == "106" && said("app") == "nodeward" && said("text").ends_with(end)
}

async fn restarts() -> Result<(), Failed> {
    let mut daemon = Daemon::new()?;
    let state = daemon.scratch.path().join("state");
    let options = options(json!({"soc": to(format!("tcp://127.0.0.1:{}", daemon.tcp))}))?;
    let (journal, _) = Journal::open(&state, &journal::Options::default())?;
    let notifiers = Notifiers::start(
        &options,
        journal.clone(),
        state,
        Resolver::default(),
        nothing(),
    );
    let mut told = BTreeSet::new();
    for _ in 0..3 {
        for meanwhile in [false, true] {
            if meanwhile {
                // What it has read and not written would be gone with it: nodeward cannot know of that.
                daemon.running = None;
            }
            for _ in 0..20 {
                let id = format!("e{}", told.len());
                journal.commit(commit(&["soc"], &notice(&id, "x"))?).await?;
                notifiers.wake();
                told.insert(id);
            }
            if meanwhile {
                daemon.start()?;
            }
            until("all that was told", || daemon.ids() == told).await?;
        }
    }
    notifiers.stop(soon()).await;
    Ok(())
}
