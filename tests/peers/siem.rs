//! The journal's records at a real rsyslogd, which stands for a SIEM, while both of them die again and again and the network between them is
//! slow, resets connections and refuses them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use libtest_mimic::Failed;
use nodeward::journal::{Filter, Reader};
use serde_json::{Value, json};

use crate::PeerTest;
use crate::between::{Between, Mood};
use crate::ours;
use crate::process::until;
use crate::programs::Peer;
use crate::rsyslog::Daemon;
use crate::scratch::Scratch;
use crate::web::Request;

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "siem::every_record_arrives_in_order_though_both_die_and_the_network_fails",
    needs: &[Peer::Rsyslogd],
    run: every_record,
}];

/// How the network is each time that nodeward is started; with none, the receiver is down.
const ROUNDS: [Option<Mood>; 8] = [
    Some(Mood::Well),
    None,
    Some(Mood::Slow),
    Some(Mood::Resetting),
    None,
    Some(Mood::Refusing),
    Some(Mood::Slow),
    Some(Mood::Resetting),
];
/// Alerts each time.
const ALERTS: usize = 250;

/// An alert with a text that forges lines where it is not quoted.
fn alert(number: usize) -> Value {
    let hostile = format!("x\n<0>1 - forged - - - -\r\"]\\ {number}\u{2028}");
    let now = jiff::Timestamp::now().to_string();
    json!({"status": "firing", "startsAt": now, "fingerprint": format!("{number:016x}"),
        "labels": {"alertname": "Full", "instance": "here", "n": number.to_string(), "text": hostile}})
}

/// What the journal has: hash and incident by number.
fn journal(scratch: &Scratch) -> Result<BTreeMap<i64, (String, String)>, Failed> {
    let mut found = BTreeMap::new();
    Reader::open(scratch.path())?.entries(&Filter::default(), &mut |stored| {
        let record: Value = serde_json::from_str(&stored.line).unwrap_or_default();
        let incident = record
            .get("incident")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        found.insert(stored.seq, (stored.hash.clone(), incident));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// What came, in order: number and hash.
fn came(daemon: &Daemon) -> Vec<(i64, String)> {
    let records = daemon.records();
    let value = |record: &Value, name: &str| {
        let (_, after) = record["data"]
            .as_str()?
            .split_once(&format!(" {name}=\""))?;
        Some(after.split_once('"')?.0.to_owned())
    };
    let pair = |record| Some((value(record, "seq")?.parse().ok()?, value(record, "chain")?));
    records.iter().filter_map(pair).collect()
}

/// What came, a line each, as an anchor.
fn seen_with_hashes(daemon: &Daemon) -> Vec<String> {
    let came = came(daemon).into_iter();
    came.map(|(seq, hash)| format!("{seq} {hash}")).collect()
}

fn every_record() -> Result<(), Failed> {
    let mut daemon = Daemon::new()?;
    let between = Between::new(daemon.tcp)?;
    let scratch = Scratch::new()?;
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {"am": {"kind": "alertmanager"}},
        "notify": {"siem": {"to": {"syslog": {"address": format!("tcp://127.0.0.1:{}", between.port)}}, "records": ["all"]}},
        "checks": {"alive": {"probe": {"process": {"name": "nodeward"}}, "every": "1h"}},
        "playbooks": {"clear": {
            "mode": "auto", "match": {"alertname": "Full"}, "target": "node", "guards": {"cooldown": "0s"},
            "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}, "timeout": "10s"}],
            "verify": {"all": [{"check": "alive"}], "pass": 1, "every": "100ms"}, "probation": "0s",
        }},
    })
    .to_string();
    let mut first = None;
    for (round, mood) in ROUNDS.into_iter().enumerate() {
        let mut nodeward = ours::configured(&config, &scratch)?;
        let address = nodeward.address()?;
        if first.is_none() {
            // From here on, all is told.
            until("the cursor", || {
                let settings = Reader::open(scratch.path()).ok()?.settings().ok()?;
                settings.contains_key("notify_records:siem").then_some(())
            })?;
            first = journal(&scratch)?.keys().last().map(|last| last + 1);
        }
        if mood.is_none() {
            // Only while it has read what it was sent: what it has read and not written nobody can send again.
            let head = journal(&scratch)?.keys().last().copied();
            until("what was sent before", || {
                (came(&daemon).iter().map(|(seq, _)| *seq).max() >= head).then_some(())
            })?;
            daemon.kill();
        }
        between.set(mood.unwrap_or(Mood::Well));
        let alerts: Vec<_> = (0..ALERTS).map(|n| alert(round * ALERTS + n)).collect();
        let body = json!({"version": "4", "status": "firing", "alerts": alerts});
        let answer = Request::post(address, "/hooks/am", &body)?.answer()?;
        if answer.status != 200 {
            return Err(format!("the hook answered {}", answer.status).into());
        }
        if mood.is_some() {
            let what = format!("the network to be {mood:?}");
            until(&what, || between.has_acted().then_some(()))?;
        }
        // SIGKILL, amid what follows.
        drop(nodeward);
        if mood.is_none() {
            daemon.start()?;
        }
        between.set(Mood::Well);
    }
    let first = first.ok_or("the journal is empty")?;
    let mut nodeward = ours::configured(&config, &scratch)?;
    nodeward.address()?;
    let missing = until("every record", || {
        let kept = journal(&scratch).ok()?;
        let came: BTreeMap<_, _> = came(&daemon).into_iter().collect();
        let missing = kept
            .keys()
            .any(|seq| *seq >= first && !came.contains_key(seq));
        (!missing).then_some(kept)
    });
    let kept = missing?;
    let came = came(&daemon);
    let mut seen = Vec::new();
    for (seq, hash) in &came {
        match kept.get(seq) {
            Some((wanted, _)) if wanted == hash => {}
            // Written since it was looked at.
            None if kept.keys().last().is_some_and(|last| seq > last) => {}
            other => {
                return Err(
                    format!("record {seq} came with {hash}, the journal has {other:?}").into(),
                );
            }
        }
        if !seen.contains(seq) {
            seen.push(*seq);
        }
    }
    if !seen.is_sorted() {
        return Err(format!("not in the order of the journal: {seen:?}").into());
    }
    let alerts = ROUNDS.len() * ALERTS;
    if kept.len() < alerts {
        return Err(format!("{} records of {alerts} alerts", kept.len()).into());
    }
    // What was killed in between left a chain that holds, and every line that came is an anchor of it.
    nodeward.terminate()?;
    let anchors = scratch.path().join("came");
    let lines: Vec<_> = seen_with_hashes(&daemon);
    std::fs::write(&anchors, lines.join("\n"))?;
    let mut verify = ours::command("journal", &scratch);
    let verified = verify.args(["verify", "--anchor"]).arg(&anchors).output()?;
    if !verified.status.success() {
        return Err(String::from_utf8_lossy(&verified.stderr)
            .into_owned()
            .into());
    }
    Ok(())
}
