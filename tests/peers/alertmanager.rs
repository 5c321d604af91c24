//! Alertmanager takes the routes that nodeward makes for it, and the example that is shipped.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::{Map, Value, json};

use crate::process::{Running, free_port, until};
use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours, web};

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "alertmanager::amtool_finds_nothing_wrong_with_generated_routes",
        needs: &[Peer::Amtool],
        run: || amtool(&["check-config", FILE], "3 receivers"),
    },
    PeerTest {
        name: "alertmanager::an_alert_of_a_node_goes_to_it_and_to_people",
        needs: &[Peer::Amtool],
        run: || route("web-1.internal:9100", "nodeward-web-1.internal,people"),
    },
    PeerTest {
        name: "alertmanager::an_alert_of_another_machine_goes_to_people_alone",
        needs: &[Peer::Amtool],
        run: || route("web-1xinternal:9100", "people"),
    },
    PeerTest {
        name: "alertmanager::an_alert_on_the_state_of_a_node_goes_to_people_alone",
        needs: &[Peer::Amtool],
        run: || {
            let state = ["instance=web-1.internal:9100", "audience=people"];
            let verify = ["--verify.receivers=people"];
            amtool(&[ROUTES, &verify, &state].concat(), "people")
        },
    },
    PeerTest {
        name: "alertmanager::the_shipped_example_sends_each_alert_to_whom_it_is_for",
        needs: &[Peer::Amtool],
        run: shipped,
    },
    PeerTest {
        name: "alertmanager::by_the_shipped_example_a_node_hears_of_its_own_and_of_nothing_else",
        needs: &[Peer::Alertmanager],
        run: live,
    },
];

/// Stands for the file that was made.
const FILE: &str = "FILE";

const ROUTES: &[&str] = &["config", "routes", "test", "--config.file", FILE];

/// What is shipped, and who is told what by it.
const SHIPPED: &str = "packaging/alertmanager/alertmanager.yml";
const TOLD: &[(&str, &[&str])] = &[
    ("nobody", &["instance=web-1:9100", "severity=info"]),
    (
        "people",
        &[
            "instance=web-1:9100",
            "severity=critical",
            "audience=people",
        ],
    ),
    (
        "nodeward-web-1,people",
        &[
            "instance=web-1:9100",
            "severity=warning",
            "alertname=NodeUnitFailed",
        ],
    ),
    (
        "nodeward-web-2,people",
        &["instance=web-2", "severity=warning", "alertname=Of yours"],
    ),
    ("people", &["instance=web-11:9100", "severity=critical"]),
];

fn shipped() -> Result<(), Failed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHIPPED);
    let file = file.to_string_lossy();
    asked(&["check-config", &file], "8 inhibit rules")?;
    for (receivers, labels) in TOLD {
        let verify = format!("--verify.receivers={receivers}");
        let test = ["config", "routes", "test", "--config.file", &file, &verify];
        asked(&[&test[..], labels].concat(), receivers)?;
    }
    Ok(())
}

/// Alerts of `instance` go to `receivers`.
fn route(instance: &str, receivers: &str) -> Result<(), Failed> {
    let verify = format!("--verify.receivers={receivers}");
    let instance = format!("instance={instance}");
    amtool(&[ROUTES, &[&verify, &instance]].concat(), receivers)
}

/// Asks amtool about the routes of two nodes; its answer must hold `expected`.
fn amtool(arguments: &[&str], expected: &str) -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let made = ours::command("generate", &scratch)
        .args([
            "alertmanager",
            "--node",
            "web-1.internal=https://web-1:9300",
        ])
        .args(["--node", "db=http://127.0.0.1:9100/hooks/db"])
        .output()?;
    if !made.status.success() {
        return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
    }
    let file = scratch.path().join("alertmanager.yml");
    std::fs::write(&file, &made.stdout)?;
    let file = file.to_string_lossy();
    let arguments = arguments
        .iter()
        .map(|argument| if *argument == FILE { &*file } else { *argument });
    asked(&arguments.collect::<Vec<_>>(), expected)
}

fn asked(arguments: &[&str], expected: &str) -> Result<(), Failed> {
    let out = Command::new(Peer::Amtool.find()?)
        .args(arguments)
        .output()?;
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    match out.status.success() && said.concat().contains(expected) {
        true => Ok(()),
        false => Err(format!("{}: {}", out.status, said.concat()).into()),
    }
}

/// The shipped example as it is, but for addresses and waiting: what Alertmanager says of alerts of all kinds, and what the node hears.
fn live() -> Result<(), Failed> {
    let scratch = Scratch::new()?;
    let token = scratch.path().join("hook.token");
    std::fs::write(&token, "secret of the test")?;
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600))?;
    let config = json!({
        "http": {"listen": ["127.0.0.1:0"]},
        "node": {"match": {"instance": ["web-1:9100"]}},
        "hooks": {"alertmanager": {"bearer_token_file": "hook.token"}},
    });
    let mut nodeward = ours::configured(&config.to_string(), &scratch)?;
    let ours = nodeward.address()?;
    let theirs = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHIPPED);
    let mut text = std::fs::read_to_string(shipped)?;
    for (written, here) in [
        ("https://web-1:9300", format!("http://{ours}")),
        (
            "/etc/alertmanager/nodeward.token",
            token.display().to_string(),
        ),
        (
            "https://pager.example",
            format!("http://127.0.0.1:{}", free_port()?),
        ),
        ("group_wait: 10s", "group_wait: 100ms".into()),
        ("group_wait: 30s", "group_wait: 100ms".into()),
    ] {
        if !text.contains(written) {
            return Err(format!("{SHIPPED} lacks {written}").into());
        }
        text = text.replace(written, &here);
    }
    let file = scratch.path().join("alertmanager.yml");
    std::fs::write(&file, text)?;
    let mut command = Command::new(Peer::Alertmanager.find()?);
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.path={}",
            scratch.path().join("storage").display()
        ))
        .arg(format!("--web.listen-address={theirs}"))
        .arg("--cluster.listen-address=");
    let mut alertmanager = Running::start("alertmanager", &mut command, &scratch)?;
    alertmanager.listens(theirs.port())?;

    // Those that hold others back first.
    for (kinds, known) in [(&LIVE[..HOLDING], HOLDING), (&LIVE[HOLDING..], LIVE.len())] {
        let alerts: Vec<Value> = kinds.iter().map(|(labels, ..)| alert(labels)).collect();
        let answer =
            web::Request::post(theirs, "/api/v2/alerts", &Value::from(alerts))?.answer()?;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        until("the alerts to be looked at", || {
            let processed = listed(theirs)
                .ok()?
                .into_iter()
                .filter(|a| a["status"]["state"] != "unprocessed");
            (processed.count() >= known).then_some(())
        })
        .map_err(|failed| {
            let why = failed.message().unwrap_or_default().to_owned();
            Failed::from(format!(
                "{why}: {:#?}\n{}",
                listed(theirs),
                alertmanager.log()
            ))
        })?;
    }
    let told = LIVE
        .iter()
        .filter(|(_, receivers, held)| receivers.contains(&"nodeward-web-1") && !held)
        .map(|(labels, ..)| labels[0].1.to_owned());
    let told: BTreeSet<String> = told.collect();
    until("the node to hear of its alerts", || {
        heard(&scratch).ok()?.is_superset(&told).then_some(())
    })?;
    let all = listed(theirs)?;
    for (labels, receivers, held) in LIVE {
        let name = labels[0].1;
        let found = all.iter().find(|a| a["labels"]["alertname"] == name);
        let found = found.ok_or_else(|| format!("{name} is not listed"))?;
        let to: Vec<&str> = found["receivers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|r| r["name"].as_str())
            .collect();
        assert_eq!(to, *receivers, "{name}");
        assert_eq!(
            found["status"]["state"] == "suppressed",
            *held,
            "{name}: {found:#}"
        );
    }
    assert_eq!(heard(&scratch)?, told, "{}", nodeward.log());
    nodeward.terminate()?;
    Ok(())
}

type Labels = &'static [(&'static str, &'static str)];

/// How many of [`LIVE`] hold others back.
const HOLDING: usize = 3;
/// An alert, whom it is for, and whether another holds it back.
const LIVE: &[(Labels, &[&str], bool)] = &[
    (
        &[
            ("alertname", "NodeHealing"),
            ("instance", "web-1:9100"),
            ("severity", "info"),
            ("audience", "people"),
        ],
        &["nobody"],
        false,
    ),
    (
        &[
            ("alertname", "NodeFilesystemFull"),
            ("instance", "web-1:9100"),
            ("mountpoint", "/"),
            ("severity", "critical"),
        ],
        &["nodeward-web-1", "people"],
        false,
    ),
    (
        &[
            ("alertname", "NodeDown"),
            ("instance", "web-2:9100"),
            ("severity", "critical"),
            ("audience", "people"),
        ],
        &["people"],
        false,
    ),
    (
        &[
            ("alertname", "NodeUnhealthy"),
            ("instance", "web-1:9100"),
            ("severity", "critical"),
            ("audience", "people"),
        ],
        &["people"],
        true,
    ),
    (
        &[
            ("alertname", "NodeIncidentWaits"),
            ("instance", "web-1:9100"),
            ("severity", "warning"),
            ("audience", "people"),
        ],
        &["people"],
        false,
    ),
    (
        &[
            ("alertname", "NodeFilesystemShort"),
            ("instance", "web-1:9100"),
            ("mountpoint", "/"),
            ("severity", "warning"),
        ],
        &["nodeward-web-1", "people"],
        true,
    ),
    (
        &[
            ("alertname", "Elsewhere"),
            ("instance", "web-2:9100"),
            ("severity", "critical"),
        ],
        &["nodeward-web-2", "people"],
        true,
    ),
    (
        &[
            ("alertname", "Of the node"),
            ("instance", "web-1:9100"),
            ("severity", "warning"),
        ],
        &["nodeward-web-1", "people"],
        false,
    ),
];

fn alert(labels: Labels) -> Value {
    let labels: Map<String, Value> = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    json!({"labels": labels})
}

/// What Alertmanager lists.
fn listed(alertmanager: SocketAddr) -> Result<Vec<Value>, Failed> {
    let answer = web::Request::send(alertmanager, "/api/v2/alerts")?.answer()?;
    Ok(serde_json::from_slice(&answer.body)?)
}

/// The names of the alerts that the node has on record.
fn heard(scratch: &Scratch) -> Result<BTreeSet<String>, Failed> {
    let out = ours::command("journal", scratch).arg("export").output()?;
    let records = out
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut names = BTreeSet::new();
    for record in records {
        let record: Value = serde_json::from_slice(record)?;
        let name = record
            .pointer("/data/labels/alertname")
            .and_then(Value::as_str);
        names.extend(name.map(str::to_owned));
    }
    Ok(names)
}
