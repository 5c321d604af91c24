//! What is shipped beside the program, taken by the programs it is for: rules by Prometheus, dashboards by Grafana's
//! types, the Collector's config by the Collector. (The dashboards' queries: `dashboards.rs`; the Zabbix template:
//! `zabbix_server.rs`.)

use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;

use crate::PeerTest;
use crate::programs::Peer;

pub const TESTS: &[PeerTest] = &[
    PeerTest {
        name: "product::promtool_finds_nothing_wrong_with_the_rules",
        needs: &[Peer::Promtool],
        run: || {
            promtool(
                &["check", "rules", "--lint=all", "--lint-fatal"],
                "alert-rules",
            )?;
            promtool(&["check", "rules"], "alert-rules/examples")
        },
    },
    PeerTest {
        name: "product::every_alert_fires_when_it_should_and_ends",
        needs: &[Peer::Promtool],
        run: || promtool(&["test", "rules"], "alert-rules/tests"),
    },
    PeerTest {
        name: "product::the_collector_takes_the_config_of_the_compose_file",
        needs: &[Peer::Collector],
        run: collector_config,
    },
    PeerTest {
        name: "product::the_unit_is_as_confined_as_the_docs_say",
        needs: &[Peer::SystemdAnalyze],
        run: || {
            let mut command = Command::new(Peer::SystemdAnalyze.find()?);
            command.args(["security", "--offline=true", "--threshold=24", "--no-pager"]);
            judge(command.arg(root().join("packaging/systemd/nodeward.service")))
        },
    },
    PeerTest {
        name: "product::grafana_knows_all_that_the_dashboards_say",
        needs: &[Peer::GrafanaSchema],
        run: || {
            for version in ["old", "new"] {
                let mut command = Command::new(Peer::GrafanaSchema.find()?);
                command
                    .arg(version)
                    .arg(root().join("tests/peers/grafana-schema.py"));
                judge(command.args(files("dashboards", ".json")?))?;
            }
            Ok(())
        },
    },
];

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn files(directory: &str, end: &str) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root().join(directory))? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(format!("{directory} holds no *{end}").into()),
        false => Ok(files),
    }
}

/// Runs a program that judges files.
fn judge(command: &mut Command) -> Result<(), Failed> {
    let out = command.output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = [out.stdout, out.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Err(format!("{command:?}: {}\n{}", out.status, said.concat()).into())
}

fn promtool(arguments: &[&str], directory: &str) -> Result<(), Failed> {
    let mut command = Command::new(Peer::Promtool.find()?);
    judge(command.args(arguments).args(files(directory, ".yml")?))
}

fn collector_config() -> Result<(), Failed> {
    let config = root().join("packaging/compose/collector.yaml");
    let mut command = Command::new(Peer::Collector.find()?);
    judge(command.arg("validate").arg("--config").arg(config))
}
