//! Alertmanager takes the routes that nodeward makes for it, and the example that is shipped.

use std::process::Command;

use libtest_mimic::Failed;

use crate::programs::Peer;
use crate::scratch::Scratch;
use crate::{PeerTest, ours};

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
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SHIPPED);
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
