//! The media type of `zabbix-templates/` in a real server: a trigger fires, its script signs and posts, nodeward heals, the problem ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::house::{Release, Zabbix};
use super::import::import;
use super::list;
use crate::healing::{REPAIR, course, journal, once, verified};
use crate::ours;
use crate::process::{patience, until};
use crate::scratch::Scratch;

const HOST: &str = "batch-1";
const ITEM: &str = "batch.stuck";
/// With what JSON, UTF-8 and a shell could stumble over.
const NAME: &str = "Batch \"nightly\" is stuck – größer 🛠 $(id)";
const SECRET: &str = "a secret of the hook: ü";
/// Counts what it is run for.
const PROGRAM: &str = "#!/bin/sh\nset -e\necho \"$1\" >>\"$2\"\n";

pub fn heals(release: Release) -> Result<(), Failed> {
    let (scratch, trusted) = (Scratch::new()?, Scratch::trusted()?);
    let effects = trusted.path().join("effects");
    let program = trusted.path().join("repair");
    std::fs::write(&program, PROGRAM)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    std::fs::write(scratch.path().join("hook.secret"), SECRET)?;
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"host": [HOST]}},
        "hooks": {"zabbix": {"hmac": {"secret_file": "hook.secret"}}},
        "checks": {"runs": {"probe": {"process": {"name": "nodeward"}}}},
        "playbooks": {"batch-stuck": {
            "mode": "auto",
            "match": {"alertname": NAME, "service": {"in": ["nightly", "weekly"]}, "severity": "high"},
            "target": {"service": {"from": "service"}},
            "ladder": [{"do": {"command": {"argv": [program, {"from": "service"}, effects]}}, "timeout": "10s"}],
            "verify": {"all": [{"check": "runs"}], "pass": 2, "every": "100ms", "deadline": "10s"},
            "probation": "1s",
        }},
    });
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let port = nodeward.address()?.port();
    let zabbix = Zabbix::start(release, &scratch)?;
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("zabbix-templates");
    import(&zabbix, &templates.join("nodeward_mediatype.yaml"))?;
    set_up(&zabbix, port)?;

    let problem = until("the server to see the problem", || {
        send(&zabbix, "1").ok()?;
        let wanted = json!({"output": ["eventid"], "recent": false});
        let problems = zabbix.call("problem.get", &wanted).ok()?;
        Some(list(&problems).first()?["eventid"].clone())
    })?;
    let alerts = |what: &str| {
        let told = zabbix.call(
            "alert.get",
            &json!({"output": ["status", "error", "message"]}),
        );
        format!("{what}; Zabbix says {told:?}")
    };
    let because = |failed: Failed| Failed::from(alerts(failed.message().unwrap_or_default()));
    let records = once(&scratch, &nodeward, "the incident to be healed", |r| {
        r["to"] == "healed"
    })
    .map_err(because)?;
    assert_eq!(course(&records), REPAIR, "{records:#?}");
    assert_eq!(std::fs::read_to_string(&effects)?, "nightly\n");

    until("the server to see its end", || {
        send(&zabbix, "0").ok()?;
        let wanted = json!({"output": ["eventid"], "recent": false});
        let problems = zabbix.call("problem.get", &wanted).ok()?;
        list(&problems).is_empty().then_some(())
    })?;
    let resolved = |r: &Value| r["kind"] == "alert" && r["data"]["status"] == "resolved";
    once(&scratch, &nodeward, "the end of the alert", resolved).map_err(because)?;
    let records = journal(&scratch)?;
    let told: Vec<&Value> = records.iter().filter(|r| r["kind"] == "alert").collect();
    let episode = format!("zabbix/event/{}", problem.as_str().unwrap_or_default());
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told.iter().all(|r| r["data"]["episode"] == episode),
        "{told:#?}"
    );
    assert_eq!(std::fs::read_to_string(&effects)?, "nightly\n", "once");
    let sent = until("the server to have noted both", || {
        let sent = zabbix
            .call("alert.get", &json!({"output": ["status", "error"]}))
            .ok()?;
        let done = |alert: &Value| alert["status"] == "1" && alert["error"] == "";
        (list(&sent).len() == 2 && list(&sent).iter().all(done)).then_some(())
    });
    sent.map_err(because)?;
    nodeward.terminate()?;
    verified(&scratch)
}

/// What docs/HOOKS.md tells people to set up, and something to watch.
fn set_up(zabbix: &Zabbix, port: u16) -> Result<(), Failed> {
    let port = port.to_string();
    for made in [
        json!({"macro": "{$NODEWARD.HOOK.PORT}", "value": port}),
        // 1: a secret text.
        json!({"macro": "{$NODEWARD.HOOK.SECRET}", "value": SECRET, "type": 1}),
    ] {
        zabbix.call("usermacro.createglobal", &made)?;
    }
    let media = zabbix.call("mediatype.get", &json!({"filter": {"name": "nodeward"}}))?;
    let media = &list(&media).first().ok_or("no media type")?["mediatypeid"];
    let user = zabbix.call("user.get", &json!({"filter": {"username": "Admin"}}))?;
    let user = &list(&user).first().ok_or("no user")?["userid"];
    let medias = json!([{"mediatypeid": media, "sendto": "nodeward"}]);
    zabbix.call("user.update", &json!({"userid": user, "medias": medias}))?;
    // As it is shipped, with the two numbers that only the server knows.
    let action = include_str!("../../../zabbix-templates/nodeward_action.json")
        .replace("MEDIATYPEID", media.as_str().ok_or("no number")?)
        .replace("USERID", user.as_str().ok_or("no number")?);
    let action: Value = serde_json::from_str(&action)?;
    zabbix.call("action.create", &action["params"])?;
    let group = zabbix.call("hostgroup.get", &json!({"output": ["groupid"], "limit": 1}))?;
    let host = zabbix.call(
        "host.create",
        &json!({"host": HOST, "groups": group, "interfaces": [{
            "type": 1, "main": 1, "useip": 1, "ip": "127.0.0.1", "dns": "", "port": "10050",
        }]}),
    )?;
    let host = &host["hostids"][0];
    // 2: a trapper; 3: an unsigned number.
    let item = json!({"hostid": host, "name": ITEM, "key_": ITEM, "type": 2, "value_type": 3});
    zabbix.call("item.create", &item)?;
    zabbix.call(
        "trigger.create",
        &json!({
            "description": "Batch is stuck", "event_name": NAME, "priority": 4,
            "expression": format!("last(/{HOST}/{ITEM})>0"),
            "tags": [{"tag": "service", "value": "nightly"}, {"tag": "nodeward", "value": "heal"}],
        }),
    )?;
    Ok(())
}

/// Sends a value as zabbix_sender does; an error if the server does not know the item yet.
fn send(zabbix: &Zabbix, value: &str) -> Result<(), Failed> {
    let body =
        json!({"request": "sender data", "data": [{"host": HOST, "key": ITEM, "value": value}]});
    let body = body.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, zabbix.port))?;
    stream.set_read_timeout(Some(patience()))?;
    let length = u32::try_from(body.len())?.to_le_bytes();
    stream.write_all(&[b"ZBXD\x01", &length[..], &[0; 4], body.as_bytes()].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    match answer.contains("processed: 1; failed: 0") {
        true => Ok(()),
        false => Err(answer.into_owned().into()),
    }
}
