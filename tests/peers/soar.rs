//! The API as programs use it: every request that its document allows, and those of docs/SIEM.md.

use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::json;

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::tls::testing::Authority;
use crate::web::Request;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "soar::whatever_the_document_allows_is_answered_as_it_says",
        needs: &[Peer::Schemathesis],
        run: conforms,
    },
    PeerTest {
        name: "soar::the_caller_of_the_docs_works",
        needs: &[Peer::Curl],
        run: documented,
    },
    PeerTest {
        name: "soar::the_rsyslog_of_the_docs_takes_records_by_tls_and_its_file_is_an_anchor",
        needs: &[Peer::Rsyslogd],
        run: rsyslog,
    },
];

const TOKEN: &str = "soar-0123456789abcdef";

fn config() -> serde_json::Value {
    json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["here"]}},
        "hooks": {"am": {"kind": "alertmanager"}},
        "checks": {"alive": {"probe": {"process": {"name": "nodeward"}}, "every": "1s"}},
        "pools": {"web": {}},
        "playbooks": {"clear": {
            "mode": "approve", "match": {"alertname": "Full"}, "target": "node",
            "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}, "timeout": "10s"}],
            "verify": {"all": [{"check": "alive"}], "pass": 1, "every": "100ms"}, "probation": "0s",
        }},
    })
}

/// Has an incident ask for approval.
fn fire(address: SocketAddr) -> Result<(), Failed> {
    let alert = json!({"status": "firing", "startsAt": jiff::Timestamp::now().to_string(), "fingerprint": "00000000000000a1",
        "labels": {"alertname": "Full", "instance": "here"}});
    let body = json!({"version": "4", "status": "firing", "alerts": [alert]});
    let answer = Request::post(address, "/hooks/am", &body)?.answer()?;
    match answer.status {
        200 => Ok(()),
        other => Err(format!("the hook answered {other}").into()),
    }
}

fn conforms() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    std::fs::write(scratch.path().join("soar.token"), TOKEN)?;
    let mut config = config();
    config["api"] = json!({"tokens": {"soar": {"token_file": "soar.token", "role": "operate"}}});
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let address = nodeward.address()?;
    fire(address)?;
    let paths = nodeward::serve::api::openapi::document()["paths"]
        .as_object()
        .map_or(0, serde_json::Map::len);
    // What plan takes is for the documents of the alert servers to say: of that, ours has no more than that it is JSON.
    let plan = "/api/v1/plan";
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                  response_schema_conformance,unsupported_method,negative_data_rejection";
    let all = format!("--checks={checks},positive_data_acceptance");
    asked(
        &scratch,
        address,
        &["--exclude-path", plan, &all],
        paths - 1,
    )?;
    let but_one = format!("--checks={checks}");
    asked(&scratch, address, &["--include-path", plan, &but_one], 1)?;
    // Last: wrong tokens are held against the address, and after ten of them the right one is refused too.
    asked(&scratch, address, &["--checks=ignored_auth"], paths)?;
    // A request that nobody may make is none of these, and the process is still there.
    let answer = Request::send(address, "/api/v1/openapi.json")?.answer()?;
    match answer.status {
        401 | 429 => nodeward.terminate().map(drop),
        other => Err(format!("without a token: {other}").into()),
    }
}

/// Has schemathesis ask all that the document allows, and what it does not, and hold the answers against it.
fn asked(
    scratch: &Scratch,
    address: SocketAddr,
    what: &[&str],
    paths: usize,
) -> Result<(), Failed> {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let ended = Command::new(Peer::Schemathesis.find()?)
        .current_dir(scratch.path())
        .args(["run", document, "--no-color", "--seed", "1"])
        .args(["--max-examples", "20", "--phases", "coverage,fuzzing"])
        .args(what)
        .arg(format!("--url=http://{address}"))
        .arg(format!("--header=Authorization: Bearer {TOKEN}"))
        .output()?;
    let said = String::from_utf8_lossy(&ended.stdout);
    match ended.status.success() && said.contains(&format!("Tested: {paths}")) {
        true => Ok(()),
        false => Err(said.into_owned().into()),
    }
}

/// A config of the docs with what else a test needs; what stands in it is not set again, but for a node's own name.
pub fn with(block: &str, rest: &serde_json::Value) -> String {
    let mut text = block.to_owned();
    for (key, value) in rest.as_object().into_iter().flatten() {
        let named = format!("{key}: {{name: db-01}}");
        if text.contains(&named) {
            let mut value = value.clone();
            value["name"] = "db-01".into();
            text = text.replace(&named, &format!("{key}: {value}"));
        } else {
            text.push_str(&format!("\n{key}: {value}"));
        }
    }
    text
}

/// The block of docs/SIEM.md that begins with a line.
pub fn block(first: &str) -> Result<String, Failed> {
    let docs = include_str!("../../docs/SIEM.md");
    let blocks = docs.split("```").skip(1).step_by(2);
    let mut bodies = blocks.filter_map(|block| Some(block.split_once('\n')?.1));
    let found = bodies.find(|body| body.starts_with(first));
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("docs/SIEM.md has no block that begins with {first:?}").into())
}

fn documented() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let directory = scratch.path();
    let authority = Authority::new("ours");
    authority.write(directory, "ca");
    authority
        .issue(&["db-01.example"])
        .write(directory, "db-01");
    authority.issue(&["soar.example"]).write(directory, "soar");
    std::fs::write(directory.join("soar.token"), TOKEN)?;
    let port = free_port()?;
    let api = block("api:\n")?.replace("0.0.0.0:9300", &format!("127.0.0.1:{port}"));
    let mut nodeward = ours::configured(&with(&api, &config()), &scratch)?;
    let http = nodeward.address()?;
    nodeward.listens(port)?;
    fire(http)?;
    let script = block("api() {")?.replace(
        "curl ",
        &format!(
            "{} --connect-to db-01.example:9300:127.0.0.1:{port} ",
            Peer::Curl.find()?.display()
        ),
    );
    std::fs::write(directory.join("soar.sh"), &script)?;
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "soar.sh"])
        .current_dir(directory);
    let mut caller = Running::start("caller", &mut command, &scratch)?;
    let status = caller.ended()?;
    let said = caller.log();
    for word in [
        "\"state\":\"waiting\"",
        "\"done\":\"approved",
        "\"kind\":\"start\"",
    ] {
        if !status.success() || !said.contains(word) {
            return Err(format!("{word} is not in ({status}):\n{said}").into());
        }
    }
    // What was approved is done.
    let healed = || {
        let mut command = ours::command("journal", &scratch);
        let listed = command.args(["list", "--kind", "result"]).output().ok()?;
        String::from_utf8_lossy(&listed.stdout)
            .contains("done")
            .then_some(())
    };
    until("the action that was approved", healed)
}

fn rsyslog() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let directory = scratch.path();
    let authority = Authority::new("ours");
    authority.write(directory, "ca");
    authority.issue(&["siem.example"]).write(directory, "siem");
    authority
        .issue(&["db-01.example"])
        .write(directory, "db-01");
    let port = free_port()?;
    let place = directory.display().to_string();
    let conf = block("global(")?
        .replace("/etc/rsyslog-tls", &place)
        .replace("/var/spool/rsyslog", &place)
        .replace("/var/log/nodeward", &place)
        .replace(
            "port=\"6514\"",
            &format!("address=\"127.0.0.1\" port=\"{port}\""),
        );
    std::fs::write(directory.join("conf"), conf)?;
    let mut command = Command::new(Peer::Rsyslogd.find()?);
    let (conf, pid) = (directory.join("conf"), directory.join("pid"));
    command.arg("-n").arg("-f").arg(conf).arg("-i").arg(pid);
    let mut daemon = Running::start("rsyslogd", &mut command, &scratch)?;
    daemon.listens(port)?;
    let siem = block("node: {name: db-01}\nnotify:\n  siem:\n")?
        .replace("siem.example:6514", &format!("127.0.0.1:{port}"))
        .replace("tls: {", "tls: {server_name: siem.example, ");
    let mut nodeward = ours::configured(&with(&siem, &config()), &scratch)?;
    let http = nodeward.address()?;
    until("the cursor", || {
        let settings = nodeward::journal::Reader::open(directory)
            .ok()?
            .settings()
            .ok()?;
        settings.contains_key("notify_records:siem").then_some(())
    })?;
    fire(http)?;
    let kept = || std::fs::read_to_string(directory.join("siem.log")).unwrap_or_default();
    until("a decision at rsyslog", || {
        kept().contains(" DECISION [nodeward@32473 ").then_some(())
    })
    .map_err(|failed| {
        format!(
            "{}: {}{}",
            failed.message().unwrap_or_default(),
            daemon.log(),
            kept()
        )
    })?;
    nodeward.terminate()?;
    // rsyslog says only after the first line that it does not take who is none of `permittedPeer`.
    let stranger = directory.join("stranger.yml");
    std::fs::write(
        &stranger,
        siem.replace("db-01.crt", "siem.crt")
            .replace("db-01.key", "siem.key"),
    )?;
    for (config, taken) in [("nodeward.yml", true), ("stranger.yml", false)] {
        let mut test = ours::command("notify", &scratch);
        test.args(["test", "siem", "--config"])
            .arg(directory.join(config));
        let told = test.output()?;
        let said = [told.stdout, told.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if told.status.success() != taken || said.contains("siem (syslog): taken") != taken {
            return Err(format!("with {config}: {said}").into());
        }
    }
    let log = directory.join("siem.log");
    let anchored = ["verify", "--anchor", log.to_str().unwrap_or_default()];
    let verify = |args: &[&str]| -> Result<(bool, String), Failed> {
        let verified = ours::command("journal", &scratch).args(args).output()?;
        let said = [verified.stdout, verified.stderr].concat();
        Ok((
            verified.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    };
    let whole = std::fs::read(directory.join("journal.db"))?;
    // What was done to it, whether the chain alone shows it, and what is said with the file of rsyslog.
    for (sql, shows, word) in [
        ("", false, "anchors of"),
        (
            "UPDATE entries SET line = replace(line, 'Full', 'Fool') WHERE kind = 'alert'",
            true,
            "record 2: ",
        ),
        (
            "DELETE FROM entries WHERE seq = 2",
            true,
            "records 2 to 2 are missing",
        ),
        (
            "UPDATE entries SET seq = -seq WHERE seq > 2; UPDATE entries SET seq = 1 - seq WHERE seq < 0; \
             INSERT INTO entries (seq, time, kind, incident, line, hash) \
             SELECT 3, time, kind, incident, line, hash FROM entries WHERE seq = 2",
            true,
            "record 3: its text is that of another number",
        ),
        (
            "UPDATE entries SET seq = -2 WHERE seq = 2; UPDATE entries SET seq = 2 WHERE seq = 3; \
             UPDATE entries SET seq = 3 WHERE seq = -2",
            true,
            "record 2: its text is that of another number",
        ),
        ("DELETE FROM entries WHERE seq > 2", false, "were cut off"),
    ] {
        std::fs::write(directory.join("journal.db"), &whole)?;
        rusqlite::Connection::open(directory.join("journal.db"))?.execute_batch(sql)?;
        let (holds, said) = verify(&["verify"])?;
        if holds == shows {
            return Err(format!("after {sql:?}: {said}").into());
        }
        let (holds, said) = verify(&anchored)?;
        if holds != sql.is_empty() || !said.contains(word) {
            return Err(format!("after {sql:?}, with the anchor: {said}").into());
        }
    }
    Ok(())
}
