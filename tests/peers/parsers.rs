//! What nodeward sends to a SIEM, read by parsers that are not ours, while alerts say whatever breaks lines and fields.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::process::Command;

use libtest_mimic::Failed;
use nodeward::journal::{Filter, Reader};
use serde_json::{Value, json};

use crate::process::{Running, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::tls::testing::Authority;
use crate::web::Request;
use crate::{PeerTest, ours, soar};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "parsers::every_record_is_one_message_with_its_fields_by_every_way",
    needs: &[Peer::EventParsers],
    run: hostile,
}];

/// Names of alerts that forge lines, fields or elements where they are not quoted.
const HOSTILE: &[&str] = &[
    "a\nb <0>1 - forged - - - - x",
    "c\r\n38 <0>1 - forged nodeward 1 ESCALATED - x",
    "quote \" backslash \\ bracket ] [nodeward@32473 seq=\"1\"]",
    "pipe | equals = cs5=forged cs5Label=chain msg=forged",
    "CEF:0|evil|evil|1|x|x|10|act=done",
    "{{ .Labels }} ${jndi:ldap://x} {% raw %} %n%s%x",
    "\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}\u{202e}\u{feff}",
    "\u{10fffd}é\u{301}",
];

/// The ways, and what stands in the place of a name that was escaped.
const WAYS: [&str; 4] = ["udp", "tcp", "tls", "cef"];

fn body(names: &[&str]) -> Value {
    let alert = |(number, name): (usize, &&str)| {
        json!({"status": "firing", "startsAt": jiff::Timestamp::now().to_string(), "fingerprint": format!("{number:016x}"),
            "labels": {"alertname": name, "instance": "here", "n": number.to_string()}})
    };
    let alerts: Vec<_> = names.iter().enumerate().map(alert).collect();
    json!({"version": "4", "status": "firing", "alerts": alerts})
}

/// Records by number: kind and hash.
fn journal(scratch: &Scratch) -> Result<BTreeMap<String, (String, String)>, Failed> {
    let mut found = BTreeMap::new();
    Reader::open(scratch.path())?.entries(&Filter::default(), &mut |stored| {
        let record: Value = serde_json::from_str(&stored.line).unwrap_or_default();
        let kind = record["kind"].as_str().unwrap_or_default().to_owned();
        found.insert(stored.seq.to_string(), (kind, stored.hash.clone()));
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

fn hostile() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let directory = scratch.path();
    let authority = Authority::new("ours");
    authority.write(directory, "ca");
    authority.issue(&["127.0.0.1"]).write(directory, "siem");
    let mut command = Command::new(Peer::EventParsers.find()?);
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/peers/parse-events.py"
        ))
        .args([directory.join("siem.crt"), directory.join("siem.key")]);
    let parsers = Running::start("parsers", &mut command, &scratch)?;
    let lines = || -> Vec<Value> {
        let log = parsers.log();
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    let ports =
        until("the ports of the parsers", || lines().first().cloned()).map_err(|failed| {
            format!(
                "{}: {}",
                failed.message().unwrap_or_default(),
                parsers.log()
            )
        })?;
    let sink = |way: &str, more: Value| {
        let mut syslog = json!({"address": format!("{way}://127.0.0.1:{}", ports[way])});
        if let (Some(syslog), Value::Object(more)) = (syslog.as_object_mut(), more) {
            syslog.extend(more);
        }
        json!({"to": {"syslog": syslog}, "records": ["all"]})
    };
    let rest = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {"am": {"kind": "alertmanager"}},
    });
    // The one of CEF is that of the docs, named `siem` there.
    let mut notify = soar::block("node: {name: db-01}\nnotify:\n  siem: {to:")?.replace(
        "collector.example:6514",
        &format!("127.0.0.1:{}", ports["cef"]),
    );
    for (way, more) in [
        ("udp", json!({})),
        ("tcp", json!({})),
        ("tls", json!({"tls": {"ca_file": "ca.pem"}})),
    ] {
        notify.push_str(&format!("  {way}: {}\n", sink(way, more)));
    }
    let mut nodeward = ours::configured(&soar::with(&notify, &rest), &scratch)?;
    let address = nodeward.address()?;
    until("the cursors", || {
        let settings = Reader::open(directory).ok()?.settings().ok()?;
        let all = ["udp", "tcp", "tls", "siem"]
            .iter()
            .all(|sink| settings.contains_key(&format!("notify_records:{sink}")));
        all.then_some(())
    })?;
    let first = journal(&scratch)?.len();
    let long = "x".repeat(1 << 20);
    let all: Vec<&str> = HOSTILE.iter().copied().chain([&*long]).collect();
    let answer = Request::post(address, "/hooks/am", &body(&all))?.answer()?;
    if answer.status != 200 {
        return Err(format!("the hook answered {}", answer.status).into());
    }
    // No UTF-8: not taken, and nothing of it is on record.
    let broken = Request::post_bytes(
        address,
        "/hooks/am",
        b"{\"alerts\":[{\"labels\":{\"alertname\":\"\xff\xfe\"}}]}",
    )?;
    let status = broken.answer()?.status;
    if status != 400 {
        return Err(format!("a body that is no UTF-8 was answered {status}").into());
    }
    let kept = journal(&scratch)?;
    let wanted: BTreeMap<_, _> = kept
        .iter()
        .filter(|(seq, _)| seq.parse::<usize>().is_ok_and(|seq| seq > first))
        .collect();
    // The one of 1 MB is left out alone.
    let alerts = wanted.values().filter(|(kind, _)| kind == "alert").count();
    if alerts != HOSTILE.len() {
        return Err(format!("{alerts} alerts are on record").into());
    }
    let seq = |told: &Value| {
        let of_cef = told["cef"]["seq"].as_str();
        let of_data = told["message"]["sd"]["nodeward@32473"]["seq"].as_str();
        of_cef.or(of_data).unwrap_or_default().to_owned()
    };
    let came = until("every record by every way", || {
        let told: Vec<_> = lines().into_iter().skip(1).collect();
        let has = |way: &&str| {
            let of_way = told.iter().filter(|t| t["way"] == **way);
            let seqs: Vec<_> = of_way.map(seq).collect();
            wanted.keys().all(|wanted| seqs.contains(wanted))
        };
        let wrong = told.iter().any(|told| told.get("wrong").is_some());
        (wrong || WAYS.iter().all(has)).then_some(told)
    })?;
    for told in &came {
        let way = told["way"].as_str().unwrap_or_default();
        let seq = seq(told);
        let Some((kind, hash)) = kept.get(&seq) else {
            return Err(format!("nothing on record is this message: {told}").into());
        };
        let (chain, id) = match way {
            "cef" => (&told["cef"]["chain"], &told["cef"]["externalId"]),
            _ => {
                let data = &told["message"]["sd"]["nodeward@32473"];
                (&data["chain"], &data["id"])
            }
        };
        let head = &told["message"];
        let fits = chain == hash
            && id == hash
            && head["appname"] == "nodeward"
            && head["facility"] == "audit"
            && head["msgid"] == kind.to_ascii_uppercase()
            && told["controls"] == json!([])
            && told.get("wrong").is_none();
        if !fits {
            return Err(format!("record {seq} ({kind}, {hash}) came as {told}").into());
        }
        if way == "cef"
            && (told["cef"]["act"] != **kind || told["cef"]["DeviceVendor"] != "nodeward")
        {
            return Err(format!("record {seq} came as {told}").into());
        }
    }
    // One message a record and way: no connection broke.
    let mut all: Vec<_> = came
        .iter()
        .map(|told| (told["way"].to_string(), seq(told)))
        .collect();
    all.sort();
    all.dedup();
    if came.len() != all.len() {
        return Err(format!("{} messages of {} records", came.len(), all.len()).into());
    }
    nodeward.terminate().map(drop)
}
