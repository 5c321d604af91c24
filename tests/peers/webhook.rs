//! Webhooks at a server of Python's: the body by its published schema, the signature by `hmac`, and the templates of the docs as JSON.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Value, json};

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::web::Request;
use crate::{PeerTest, ours};

pub const TESTS: &[PeerTest] = &[PeerTest {
    name: "webhook::bodies_keep_to_their_schema_and_templates_stay_json_whatever_an_alert_says",
    needs: &[Peer::MailPython],
    run: bodies,
}];

/// A text that ends texts and objects, and makes placeholders, where it is not kept from it.
const HOSTILE: &str = "\"}],\"routing_key\":\"mine\",\"x\":[{\"\n\r${key} ${id} {{ . }} \\u0000\\ \u{2028}\u{1b}[2J <!channel>";
/// What the docs' templates are posted to.
const PLACES: [(&str, &str, &str); 2] = [
    (
        "slack",
        "https://hooks.slack.com/services/T000/B000/XXXX",
        "slack",
    ),
    (
        "pagerduty",
        "https://events.pagerduty.com/v2/enqueue",
        "pagerduty",
    ),
];

/// The example of the docs that posts to `url`, posting to another.
fn example(url: &str, instead: &str) -> Result<String, Failed> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/NOTIFY.md");
    let page = std::fs::read_to_string(page)?;
    let blocks = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains(url));
    let block = block.ok_or_else(|| format!("no example posts to {url}"))?;
    Ok(block.replace(url, instead))
}

fn lines(receiver: &Running) -> Vec<Value> {
    let log = receiver.log();
    log.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn bodies() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(Peer::MailPython.find()?);
    command.arg(root.join("tests/peers/webhook-receiver.py"));
    command
        .arg("--schema")
        .arg(root.join("docs/webhook.schema.json"));
    command.arg("--secret").arg("of the tests");
    let receiver = Running::start("webhook-receiver", &mut command, &scratch)?;
    let port = until("the receiver's port", || {
        lines(&receiver).into_iter().next()
    })?;
    let url = format!("http://127.0.0.1:{}", port["port"]);
    std::fs::write(scratch.path().join("hmac.secret"), "of the tests\n")?;
    std::fs::write(scratch.path().join("pagerduty.key"), "R0UT1NG\n")?;
    let drop_ins = scratch.path().join("nodeward.d");
    std::fs::create_dir(&drop_ins)?;
    for (name, of, path) in PLACES {
        let text = example(of, &format!("{url}/{path}"))?;
        std::fs::write(drop_ins.join(format!("{name}.yml")), text)?;
    }
    let service = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let hook = |path: &str| json!({"webhook": {"url": format!("{url}/{path}"), "hmac_secret_file": "hmac.secret"}});
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"node": ["here"]}},
        "hooks": {"alertmanager": {}},
        "notify": {"own": {"to": hook("own")}, "records": {"to": hook("records"), "records": ["all"]}},
        "escalation": {"to": ["own", "slack", "pagerduty"]},
        "checks": {"web": {"probe": {"tcp": {"address": service.to_string()}}, "every": "100ms", "for": "1h"}},
        "playbooks": {"web": {
            "mode": "auto", "match": {"alertname": "Down"}, "target": {"service": "web"},
            "ladder": [{"do": {"command": {"argv": ["/bin/true"]}}}],
            "verify": {"all": [{"check": "web"}], "pass": 1, "every": "100ms", "deadline": "1s"}, "probation": "0s",
        }},
    });
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let now = jiff::Timestamp::now().to_string();
    // As long as a label may be; a longer one is refused where it comes in.
    let big = "é".repeat(4_000);
    let body = json!({"version": "4", "status": "firing", "alerts": [{"status": "firing", "startsAt": now, "fingerprint": "00000000000000aa",
        "labels": {"alertname": "Down", "node": "here", "severity": "critical", "text": HOSTILE, "big": big}}]});
    let answer = Request::post(nodeward.address()?, "/hooks/alertmanager", &body)?.answer()?;
    if answer.status != 200 {
        return Err(format!("the hook answered {}", answer.status).into());
    }
    let at = |path: &str| {
        let all = lines(&receiver).into_iter();
        all.filter(|line| line["path"] == path).collect::<Vec<_>>()
    };
    until("the escalation", || {
        ["/own", "/slack", "/pagerduty"]
            .iter()
            .all(|path| !at(path).is_empty())
            .then_some(())
    })?;
    let well = TcpListener::bind(service)?;
    std::thread::spawn(move || well.incoming().for_each(drop));
    until("the recovery", || {
        ["/own", "/slack", "/pagerduty"]
            .iter()
            .all(|path| at(path).len() == 2)
            .then_some(())
    })?;
    for line in at("/own").iter().chain(&at("/records")) {
        if line["signed"] != true
            || line["faults"] != json!([])
            || line["key"] != line["body"]["id"]
        {
            return Err(format!(
                "not as it is published: {} {}",
                line["signed"], line["faults"]
            )
            .into());
        }
    }
    if at("/own")[0]["body"]["labels"]["text"] != HOSTILE {
        return Err("a label is not as it came".into());
    }
    let kinds: std::collections::BTreeSet<String> = at("/records")
        .iter()
        .map(|line| line["body"]["what"].to_string())
        .collect();
    if kinds.len() < 6 {
        return Err(format!("few kinds of records: {kinds:?}").into());
    }
    let slack: Vec<Value> = at("/slack")
        .iter()
        .map(|line| line["body"].clone())
        .collect();
    for body in &slack {
        let members: Vec<&String> = body
            .as_object()
            .into_iter()
            .flat_map(|all| all.keys())
            .collect();
        let text = body["text"].as_str().unwrap_or_default();
        if members != ["blocks", "text"]
            || !text.contains("service:web")
            || text.contains("channel")
        {
            return Err(format!("not the template's form: {body}").into());
        }
    }
    let pages: Vec<Value> = at("/pagerduty")
        .iter()
        .map(|line| line["body"].clone())
        .collect();
    for (body, action) in pages.iter().zip(["trigger", "resolve"]) {
        let payload = &body["payload"];
        let holds = body["routing_key"] == "R0UT1NG"
            && body["event_action"] == action
            && body["dedup_key"] == pages[0]["dedup_key"]
            && payload["custom_details"]["text"] == HOSTILE
            && payload["custom_details"]["big"]
                .as_str()
                .is_some_and(|big| big.len() <= 4096)
            && body.as_object().is_some_and(|all| all.len() == 4);
        if !holds {
            return Err(format!("not the template's form: {body}").into());
        }
    }
    if at("/slack")[0]["given"] != "" {
        return Err("signed without a secret".into());
    }
    Ok(())
}
