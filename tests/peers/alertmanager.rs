//! Alertmanager takes the routes that nodeward makes for it.

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
];

/// Stands for the file that was made.
const FILE: &str = "FILE";

/// Alerts of `instance` go to `receivers`.
fn route(instance: &str, receivers: &str) -> Result<(), Failed> {
    let verify = format!("--verify.receivers={receivers}");
    let instance = format!("instance={instance}");
    let test = ["config", "routes", "test", "--config.file", FILE];
    amtool(&[&test[..], &[&verify, &instance]].concat(), receivers)
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
    let out = Command::new(Peer::Amtool.find()?)
        .args(arguments)
        .output()?;
    let said = [out.stdout, out.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    match out.status.success() && said.concat().contains(expected) {
        true => Ok(()),
        false => Err(format!("{}: {}", out.status, said.concat()).into()),
    }
}
