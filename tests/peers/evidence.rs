//! Evidence of a real unit with a real journald, and of a container of a real Podman: what is in it, and that no secret is.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::containers::Podman;
use crate::healing::{journal, once, verified};
use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::systemd::Booted;
use crate::web::Request;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "evidence::a_unit_is_seen_before_it_is_touched_and_no_secret_of_it_is_kept",
        needs: &[Peer::Root, Peer::Systemd, Peer::DbusDaemon],
        run: unit,
    },
    PeerTest {
        name: "evidence::a_container_is_seen_before_it_is_touched_and_no_secret_of_it_is_kept",
        needs: &[Peer::Root, Peer::Podman, Peer::Runc, Peer::Busybox],
        run: container,
    },
];

/// In a setting of the unit, in its file of settings, in its command line, in its log, and in the address of something.
const SECRETS: [&str; 5] = [
    "env-q7Xk9z",
    "file-q7Xk9z",
    "argv-q7Xk9z",
    "log-q7Xk9z",
    "url-q7Xk9z",
];

/// What the program writes before it does nothing: some of it named, some of it bare, some of it no text, and a line without an end.
const SAYS: &str = "echo \"login of ann token=log-q7Xk9z\"; echo \"bare $APP_ONE and $APP_TWO\"; echo \"to db://ann:url-q7Xk9z@db/x\"; \
    printf \"bad \\\\\\\\377 \\\\\\\\033[31m red\\\\n\"; head -c 3000000 /dev/zero | tr \"\\\\\\\\0\" y; echo; echo last words; \
    while :; do sleep 1; done";

/// A journald within a booted systemd, that is told what units write.
fn journald(booted: &Booted) -> Result<(), Failed> {
    let units = Path::new("/proc")
        .join(&booted.first)
        .join("root/run/systemd/system");
    let unit = |name: &str, text: &str| {
        std::fs::write(
            units.join(name),
            format!("[Unit]\nDefaultDependencies=no\n{text}\n"),
        )
    };
    unit(
        "systemd-journald.service",
        "[Service]\nType=notify\nExecStart=/lib/systemd/systemd-journald\nStandardOutput=null\nFileDescriptorStoreMax=64",
    )?;
    unit(
        "systemd-journald.socket",
        "[Socket]\nListenStream=/run/systemd/journal/stdout\nListenDatagram=/run/systemd/journal/socket\nSocketMode=0666\n\
         PassCredentials=yes\nService=systemd-journald.service",
    )?;
    booted.call(&["Reload"])?;
    booted.call(&["StartUnit", "ss", "systemd-journald.socket", "replace"])
}

/// What the API answers over the control socket.
fn api(scratch: &Scratch, path: &str) -> Result<String, Failed> {
    let mut stream = UnixStream::connect(scratch.path().join("nodeward.sock"))?;
    write!(stream, "GET /api/v1/{path} HTTP/1.0\r\nHost: x\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    match head.starts_with("HTTP/1.0 200") || head.starts_with("HTTP/1.1 200") {
        true => Ok(body.to_owned()),
        false => Err(head.to_owned().into()),
    }
}

fn fired(labels: &Value) -> Value {
    json!({"version": "4", "status": "firing", "alerts": [{
        "status": "firing", "labels": labels, "annotations": {}, "startsAt": jiff::Timestamp::now().to_string(),
        "fingerprint": "0123456789abcdef",
    }]})
}

/// What cannot be proven: nobody listens there.
fn config(port: u16, playbook: Value) -> Value {
    let mut whole = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"node": ["here"]}},
        "hooks": {"alertmanager": {}},
        "checks": {"web": {"probe": {"tcp": {"address": format!("127.0.0.1:{port}")}}, "every": "1h"}},
        "playbooks": {"down": playbook},
    });
    whole["playbooks"]["down"]["mode"] = "auto".into();
    whole["playbooks"]["down"]["match"]["alertname"] = "Down".into();
    whole["playbooks"]["down"]["verify"] =
        json!({"all": [{"check": "web"}], "pass": 1, "every": "100ms", "deadline": "1s"});
    whole
}

/// The two packets of the one incident, before its action and as people were told, once both are there.
fn packets(scratch: &Scratch, nodeward: &Running) -> Result<[Value; 2], Failed> {
    let is = |record: &Value, occasion: &str| {
        record["kind"] == "evidence" && record["data"]["occasion"] == occasion
    };
    let records = once(scratch, nodeward, "evidence of the escalation", |r| {
        is(r, "escalated")
    })?;
    let place = |wanted: &dyn Fn(&Value) -> bool| records.iter().position(wanted);
    let before = place(&|r| is(r, "before_action")).ok_or("none before the action")?;
    let intent = place(&|r| r["kind"] == "intent").ok_or("no intent")?;
    let told = place(&|r| r["to"] == "escalated").ok_or("nobody was told")?;
    let after = place(&|r| is(r, "escalated")).ok_or("none of the escalation")?;
    assert!(
        before < intent && intent < told && told < after,
        "{records:#?}"
    );
    let incident = records[before]["incident"].as_str().ok_or("no incident")?;

    // By the API, all of them and each alone; on the command line, with the hash that is on record.
    let all: Value =
        serde_json::from_str(&api(scratch, &format!("incidents/{incident}/evidence"))?)?;
    let mut found = Vec::new();
    for (number, record) in [(1, &records[before]), (2, &records[after])] {
        let one = api(scratch, &format!("incidents/{incident}/evidence/{number}"))?;
        assert!(one.len() <= 256 << 10, "{}", one.len());
        assert_eq!(record["data"]["bytes"], one.len());
        let shell = format!("\"$0\" evidence {incident} --number {number} | sha256sum");
        let nodeward = ours::command("evidence", scratch);
        let out = std::process::Command::new("sh")
            .args(["-c", &shell])
            .arg(nodeward.get_program())
            .env("STATE_DIRECTORY", scratch.path())
            .output()?;
        let sum = String::from_utf8_lossy(&out.stdout)
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(
            record["data"]["sha256"],
            sum.as_str(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        assert_eq!(all["packets"][number - 1]["sha256"], sum.as_str());
        let one: Value = serde_json::from_str(&one)?;
        assert_eq!(all["packets"][number - 1]["packet"], one);
        found.push(one);
    }
    let mut shown = ours::command("evidence", scratch);
    let shown = shown.arg(incident).output()?;
    assert!(
        shown.status.success(),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    assert!(
        !shown.stdout.contains(&0x1b),
        "something acts on a terminal"
    );
    // Nowhere: not in what is shown, nor in what lies on the disk.
    let mut kept = shown.stdout;
    for file in ["journal.db", "journal.db-wal"] {
        kept.extend(std::fs::read(scratch.path().join(file)).unwrap_or_default());
    }
    let kept = String::from_utf8_lossy(&kept);
    for secret in SECRETS {
        let at = kept.find(secret);
        let around = at.map(|at| kept.get(kept.floor_char_boundary(at.saturating_sub(80))..at));
        assert!(at.is_none(), "{secret} is kept: {around:?}");
    }
    Ok(found.try_into().map_err(|_| "not two packets")?)
}

/// The text of a part, or why it is missing.
fn part<'a>(packet: &'a Value, name: &str) -> Result<&'a str, String> {
    let parts = packet["parts"].as_array().ok_or("no parts")?;
    let part = parts.iter().find(|part| part["part"] == name);
    let part = part.ok_or_else(|| format!("no part {name}: {packet:#}"))?;
    part["text"]
        .as_str()
        .ok_or_else(|| format!("{name}: {}", part["missing"]))
}

fn unit() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let booted = Booted::boot(&scratch)?;
    journald(&booted)?;
    let settings = Path::new("/proc")
        .join(&booted.first)
        .join("root/run/nodeward/settings");
    std::fs::write(&settings, "APP_TWO=file-q7Xk9z\n")?;
    let web = format!(
        "StartLimitIntervalSec=0\n[Service]\nEnvironment=APP_ONE=env-q7Xk9z\nEnvironmentFile=/run/nodeward/settings\nStandardOutput=journal\n\
         ExecStart=/bin/sh -c '{SAYS}' sh --password argv-q7Xk9z"
    );
    booted.units(&[("web", &web)])?;
    let name = "nodeward-t-web.service";
    booted.call(&["StartUnit", "ss", name, "replace"])?;
    let root = format!("/proc/{}/root", booted.first);
    until("its last words", || {
        let out = std::process::Command::new("journalctl")
            .args(["--quiet", "--root", &root, "--unit", name])
            .output()
            .ok()?;
        String::from_utf8_lossy(&out.stdout)
            .contains("last words")
            .then_some(())
    })?;
    let port = free_port()?;
    let mut config = config(
        port,
        json!({"match": {"unit": {"in": [name]}}, "target": {"unit": {"from": "unit"}},
            "ladder": [{"do": {"systemd": "restart"}, "timeout": "10s"}]}),
    );
    config["roots"] = json!({"rootfs": root, "procfs": format!("{root}/proc")});
    config["subjects"] = json!({"systemd": {"bus": {"address": booted.bus}}});
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let address = nodeward.address()?;
    let body =
        fired(&json!({"alertname": "Down", "node": "here", "unit": name, "severity": "critical"}));
    assert_eq!(
        Request::post(address, "/hooks/alertmanager", &body)?
            .answer()?
            .status,
        200
    );
    let [before, after] = packets(&scratch, &nodeward)?;
    let state = part(&before, "unit")?;
    for line in [
        "ActiveState=active",
        "SubState=running",
        "NRestarts=0",
        "Environment=APP_ONE=[redacted]",
    ] {
        assert!(state.lines().any(|l| l == line), "{line}: {state}");
    }
    assert!(state.contains("--password [redacted]"), "{state}");
    let invocation = |packet: &Value| -> Result<String, Failed> {
        let state = part(packet, "unit")?;
        let line = state.lines().find(|line| line.starts_with("InvocationID="));
        Ok(line.ok_or("no invocation")?.to_owned())
    };
    assert_ne!(
        invocation(&before)?,
        invocation(&after)?,
        "one is of before the restart"
    );
    let log = part(&before, "log")?;
    for said in [
        "login of ann token=[redacted]",
        "bare [redacted] and [redacted]",
        "to db://ann:[redacted]@db/x",
        "bad \u{fffd}  red",
        "bytes left out]",
        "last words",
    ] {
        assert!(
            log.contains(said),
            "{said}: {}",
            &log[..log.floor_char_boundary(4_000)]
        );
    }
    // The process ids there are not those here.
    let processes = part(&before, "processes").err().unwrap_or_default();
    assert!(processes.contains("--path.procfs"), "{processes}");
    assert!(part(&before, "pressure")?.contains("loadavg:"));
    let sockets = before["parts"]
        .as_array()
        .and_then(|p| p.iter().find(|p| p["part"] == "sockets"));
    assert_eq!(sockets.ok_or("no sockets")?["of"], port.to_string());
    assert!(part(&before, "sockets")?.starts_with("all:"));
    nodeward.terminate()?;
    verified(&scratch)?;

    // Whoever changes one is found out, by the packet itself and by the whole walk.
    let database = scratch.path().join("journal.db");
    let sql = "UPDATE evidence SET text = replace(text, 'active', 'failed') WHERE number = 1";
    let changed = std::process::Command::new("sqlite3")
        .arg(&database)
        .arg(sql)
        .output();
    if changed.is_ok_and(|out| out.status.success()) {
        let told = verified(&scratch).err();
        let why = told.as_ref().and_then(Failed::message).unwrap_or_default();
        assert!(why.contains("evidence 1 of incident"), "{why}");
    }
    Ok(())
}

fn container() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let podman = Podman::start(&scratch)?;
    let says = "echo 'login of ann token=log-q7Xk9z'; echo \"bare $APP_ONE and $APP_TWO\" >&2; echo 'to db://ann:url-q7Xk9z@db/x'; \
        printf 'bad \\377 \\033[31m red\\n'; echo last words; exec busybox sleep 1000";
    let run = "run --detach --network none --stop-timeout 1 --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --log-driver k8s-file \
        --env APP_ONE=env-q7Xk9z --env APP_TWO=file-q7Xk9z --name api nodeward-test /bin/sh -c";
    let run: Vec<&str> = run
        .split_whitespace()
        .chain([says, "sh", "--password", "argv-q7Xk9z"])
        .collect();
    podman.run(&run)?;
    until("its last words", || {
        podman
            .output(&["logs", "api"])
            .ok()?
            .contains("last words")
            .then_some(())
    })?;
    let mut config = config(
        free_port()?,
        json!({"match": {"container": {"in": ["api"]}}, "target": {"container": {"from": "container"}},
            "ladder": [{"do": {"container": "restart"}, "timeout": "30s"}]}),
    );
    config["container"] = json!({"socket": podman.socket});
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let address = nodeward.address()?;
    let body = fired(
        &json!({"alertname": "Down", "node": "here", "container": "api", "severity": "critical"}),
    );
    assert_eq!(
        Request::post(address, "/hooks/alertmanager", &body)?
            .answer()?
            .status,
        200
    );
    let [before, after] = packets(&scratch, &nodeward)?;
    let state = part(&before, "container")?;
    assert!(
        state.contains("\"Status\":\"running\"") && state.contains("\"APP_ONE=[redacted]\""),
        "{state}"
    );
    let started = |packet: &Value| {
        part(packet, "container")
            .map(|s| s.split("\"StartedAt\":").nth(1).map(|s| s[..30].to_owned()))
    };
    assert_ne!(
        started(&before)?,
        started(&after)?,
        "one is of before the restart"
    );
    let log = part(&before, "log")?;
    for said in [
        "login of ann token=[redacted]",
        "bare [redacted] and [redacted]",
        "to db://ann:[redacted]@db/x",
        "bad \u{fffd}  red",
        "last words",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    for list in ["by memory:", "by CPU:", "by descriptors:"] {
        assert!(part(&before, "processes")?.contains(list));
    }
    assert!(journal(&scratch)?.iter().any(|r| r["kind"] == "evidence"));
    nodeward.terminate()?;
    verified(&scratch)
}
